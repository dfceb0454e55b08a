"""When the leaf in service is due for renewal: the policy, the CA's wish, and how the leaf came here, together."""

from __future__ import annotations

from datetime import datetime

from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance, Purpose
from certcore.model.leaf import Leaf
from certcore.model.renewal import installed_at, is_early

__all__ = ["begins_early", "renewal_moment"]


def renewal_moment(certificate: Certificate, active: Issuance, leaf: Leaf) -> datetime:
    """The moment from which the leaf in service is due for renewal.

    Args:
        certificate: As it stands.
        active: The issuance whose leaf is in service.
        leaf: That leaf.
    """
    # An imported leaf may be due at once: nothing was ordered for it, so nothing runs in a circle.
    is_ours = active.purpose is not Purpose.IMPORT
    return certificate.renewal.renew_at(
        leaf,
        certificate.id,
        active.renewal_info,
        installed=installed_at(leaf, active.finished_at) if is_ours else None,
        early=active.engine_state.early,
    )


def begins_early(certificate: Certificate, active: Issuance, now: datetime) -> bool:
    """Whether a renewal that begins now is early, see `certcore.model.renewal.is_early`."""
    leaf = active.leaf
    if leaf is None or active.purpose is Purpose.IMPORT:
        return False
    installed = installed_at(leaf, active.finished_at)
    return is_early(certificate.renewal, leaf, certificate.id, installed=installed, now=now)
