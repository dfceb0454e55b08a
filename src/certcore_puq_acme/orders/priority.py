"""Which renewals are urgent, and which of these precede the orders of other owners."""

from __future__ import annotations

from typing import Final

from certcore.model.issuance import Purpose
from certcore_puq_acme.profile.settings import AcmeWork

__all__ = ["goes_first", "is_near_its_end"]

#: A renewal is urgent if less than one part in this many of the lifetime of the leaf in service is left.
_URGENT: Final = 10


def is_near_its_end(work: AcmeWork) -> bool:
    """Whether the renewal of the leaf in service is urgent; False without such a leaf."""
    leaf = work.active.leaf if work.active else None
    return leaf is not None and leaf.not_after - work.environment.now() < leaf.lifetime / _URGENT


def goes_first(work: AcmeWork) -> bool:
    """Whether a renewal precedes the orders of other owners: it is urgent, and the leaf was issued by this certcore.

    Imported leaves do not count: by importing some that end tomorrow, any owner could precede all others.
    """
    return work.active is not None and work.active.purpose is not Purpose.IMPORT and is_near_its_end(work)
