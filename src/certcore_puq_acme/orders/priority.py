"""Which renewals are urgent, and which of these precede the orders of other owners."""

from __future__ import annotations

from typing import Final

from certcore.model.issuance import Purpose
from certcore_puq_acme.profile.settings import AcmeWork

__all__ = ["goes_first", "is_near_its_end"]

#: How far before its end a leaf in service counts as one that cannot wait: this share of its lifetime.
_URGENT: Final = 10


def is_near_its_end(work: AcmeWork) -> bool:
    """Whether the leaf in service cannot wait for its renewal; False without one."""
    leaf = work.active.leaf if work.active else None
    return leaf is not None and leaf.not_after - work.environment.now() < leaf.lifetime / _URGENT


def goes_first(work: AcmeWork) -> bool:
    """Whether a renewal goes before what other owners wait for: one near the end of a leaf that was issued here.

    An imported leaf proves nothing: with a few that end tomorrow, any owner could go before all others.
    """
    return work.active is not None and work.active.purpose is not Purpose.IMPORT and is_near_its_end(work)
