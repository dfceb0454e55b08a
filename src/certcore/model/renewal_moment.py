"""When the leaf in service is due for renewal, from the policy, the CA's suggestion and the origin of the leaf."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from certcore.messages import Message, shown_moment
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance, Purpose
from certcore.model.leaf import Leaf
from certcore.model.renewal import RenewalMoment, RenewalPolicy, RenewalReason, installed_at, is_early

__all__ = ["begins_early", "planned_renewal", "renewal_message", "renewal_moment"]


def renewal_moment(certificate: Certificate, active: Issuance, leaf: Leaf) -> datetime:
    """The moment from which the leaf in service is due for renewal. `planned_renewal` also gives the reason."""
    return planned_renewal(certificate, active, leaf).at


def planned_renewal(certificate: Certificate, active: Issuance, leaf: Leaf) -> RenewalMoment:
    """The moment from which the leaf in service is due for renewal, and why.

    Args:
        certificate: The certificate.
        active: The issuance whose leaf is in service.
        leaf: The leaf in service.
    """
    # An imported leaf may be due at once. It was not ordered here, so this cannot lead to a series of orders.
    is_ours = active.purpose is not Purpose.IMPORT
    return certificate.renewal.moment(
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


def renewal_message(planned: RenewalMoment, policy: RenewalPolicy, leaf: Leaf) -> Message:
    """The reason for the moment of a renewal, as a sentence.

    Args:
        planned: The result of `planned_renewal`.
        policy: The certificate's renewal policy.
        leaf: The leaf in service.
    """
    facts = {
        "renews_at": shown_moment(planned.at),
        "days": policy.days_before or 0,
        "lifetime": leaf.lifetime.days,
        "margin": policy.end_margin(leaf).days,
    }
    match planned.reason:
        case RenewalReason.DAYS_BEFORE:
            text = "The renewal begins at {renews_at}: the renewal policy asks for {days} days before the end."
            return Message("renewal.reason.days_before", text, facts)
        case RenewalReason.LIFETIME:
            text = "The renewal begins at {renews_at}, which follows from the lifetime of {lifetime} days."
            return Message("renewal.reason.lifetime", text, facts)
        case RenewalReason.HALF_OF_LIFETIME:
            text = (
                "The renewal begins at {renews_at}: the renewal policy asks for {days} days before the end, but no "
                "renewal begins before half of the lifetime of {lifetime} days has passed."
            )
            return Message("renewal.reason.half_of_lifetime", text, facts)
        case RenewalReason.BEFORE_END:
            text = (
                "The renewal begins at {renews_at}: with a lifetime of {lifetime} days it begins at the latest "
                "{margin} days before the end."
            )
            return Message("renewal.reason.before_end", text, facts)
        case RenewalReason.AUTHORITY:
            text = "The renewal begins at {renews_at}: the CA asks for it."
            return Message("renewal.reason.authority", text, facts)
        case RenewalReason.AUTHORITY_LATER:
            text = (
                "The CA asks for a renewal at once. It begins at {renews_at}, because the leaf was installed only "
                "recently."
            )
            return Message("renewal.reason.authority_later", text, facts)
        case RenewalReason.AFTER_INSTALLATION:
            text = (
                "The renewal begins at {renews_at}: the leaf was due soon after its installation, and quick successive "
                "renewals are spaced out."
            )
            return Message("renewal.reason.after_installation", text, facts)
        case _:
            assert_never(planned.reason)
