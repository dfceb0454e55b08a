"""When to renew, and how long to wait after a failure: pure functions of their arguments."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final

from attrs import field, frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.leaf import Leaf
from certcore.model.renewal_info import RenewalInfo

__all__ = [
    "MAX_DAYS",
    "RenewalMoment",
    "RenewalPolicy",
    "RenewalReason",
    "Retry",
    "installed_at",
    "is_early",
    "retry_delay",
    "usual_time_in_service",
]

_SHORT_LIFETIME: Final = timedelta(days=10)
#: The largest number of days before its end at which a leaf can be renewed.
MAX_DAYS: Final = 365
#: The longest time over which renewals that would begin together are spread.
_SPREAD: Final = timedelta(days=1)
#: A moment in the first third of what a leaf had left when it was installed is too early: a leaf may have been dated
#: back, be very short, or seem to be old because this machine's clock is ahead.
_TOO_EARLY: Final = 3
#: The share of the time left at its installation that has to pass then, by the number of early renewals in a row before
#: it.
_SHARES: Final = (1 / 2, 3 / 4, 7 / 8, 9 / 10)
#: A renewal that begins before this share has passed, because the CA asks for it, is early.
_EARLY: Final = 0.45
#: How long a CA's wish waits after the installation, by the number of early renewals in a row: an hour, a day, two,
#: four …; never longer than half of what the leaf had left.
_FIRST_WISH: Final = timedelta(hours=1)
_NEXT_WISHES: Final = timedelta(days=1)


def _days(instance: object, attribute: object, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_DAYS):
        text = "must be a whole number of days from 1 to {most}."
        raise InvalidInputError("days_before", Message("renewal.not_days", text, {"most": MAX_DAYS}))


class RenewalReason(StrEnum):
    """Why a leaf is due for renewal when it is: by the policy, by the CA's wish, or by a limit of either."""

    #: The policy's number of days before the end.
    DAYS_BEFORE = "days_before"
    #: The policy has no number of days: a share of the lifetime counts.
    LIFETIME = "lifetime"
    #: The policy's number of days is more than half of the lifetime: that half counts.
    HALF_OF_LIFETIME = "half_of_lifetime"
    #: The policy, or the CA, wants it later than is safe: a share of the lifetime before the end counts.
    BEFORE_END = "before_end"
    #: The CA's wish (RFC 9773).
    AUTHORITY = "authority"
    #: The CA's wish is followed, but not so soon after the installation.
    AUTHORITY_LATER = "authority_later"
    #: It would be too soon after the installation: the leaf was old, or renewals came early.
    AFTER_INSTALLATION = "after_installation"


@frozen
class RenewalMoment:
    """When a leaf is due for renewal, and why then."""

    at: datetime
    reason: RenewalReason


@frozen(kw_only=True)
class RenewalPolicy:
    """Whether and when a certificate renews automatically."""

    #: Renew automatically.
    auto: bool = True
    #: Days before not_after; None leaves it to the lifetime: a third of it, half of it below ten days.
    days_before: int | None = field(default=None, validator=_days)
    #: Make a new key at each renewal.
    rotate_key: bool = True

    def moment(
        self,
        leaf: Leaf,
        certificate_id: str,
        info: RenewalInfo | None = None,
        *,
        installed: datetime | None = None,
        early: int = 0,
    ) -> RenewalMoment:
        """The moment from which the leaf is due for renewal, and why then.

        Where the CA says when (RFC 9773), that counts, unless a number of days asks for an earlier renewal.

        A number of days never reaches back further than half the lifetime, so that a threshold of 30 days does not
        renew a certificate of 6 days in a circle. Nothing comes later than 1/20 of the lifetime before the end, and of
        a lifetime below ten days nothing later than a third.

        Certificates that were issued together do not renew together: each begins later by a share of its own, made
        from its id, of a tenth of the time that is left, at most a day.

        No moment lies in the first third of what the leaf had left when it was installed: half of that has to pass
        instead, and more after each early renewal in a row, up to nine tenths. A CA's wish is followed sooner: an hour
        after the installation, and after early renewals in a row a day, two days, four and so on, up to half.

        Args:
            leaf: The leaf in service.
            certificate_id: The certificate.
            info: What the CA said about it.
            installed: When the leaf was put into service, see `installed_at`; None for one that was not ordered here,
                which may be due at once.
            early: How many renewals that followed each other began early, up to the one that brought this leaf.
        """
        return _moment(self, leaf, certificate_id, info, installed, early)

    def renew_at(
        self,
        leaf: Leaf,
        certificate_id: str,
        info: RenewalInfo | None = None,
        *,
        installed: datetime | None = None,
        early: int = 0,
    ) -> datetime:
        """The moment of `moment`, with the same arguments."""
        return self.moment(leaf, certificate_id, info, installed=installed, early=early).at

    @staticmethod
    def end_margin(leaf: Leaf) -> timedelta:
        """How long before the leaf's end a renewal begins at the latest, whatever the policy or the CA says."""
        return leaf.lifetime / (3 if leaf.lifetime < _SHORT_LIFETIME else 20)

    def is_capped(self, leaf: Leaf) -> bool:
        """Whether the number of days is more than half of the leaf's lifetime: then that half counts."""
        return self.days_before is not None and timedelta(days=self.days_before) > leaf.lifetime / 2

    def own_moment(self, leaf: Leaf, certificate_id: str) -> RenewalMoment:
        """The moment that the number of days, or the lifetime, asks for; without the bounds of `moment`."""
        reason = RenewalReason.DAYS_BEFORE
        if self.days_before is None:
            reason = RenewalReason.LIFETIME
        elif self.is_capped(leaf):
            reason = RenewalReason.HALF_OF_LIFETIME
        share = leaf.lifetime / (2 if leaf.lifetime < _SHORT_LIFETIME else 3)
        before = share if self.days_before is None else timedelta(days=self.days_before)
        before = min(before, leaf.lifetime / 2)
        before -= min(before / 10, _SPREAD) * _share(certificate_id)
        return RenewalMoment(leaf.not_after - before, reason)


@lru_cache(maxsize=64)
def _moment(
    policy: RenewalPolicy,
    leaf: Leaf,
    certificate_id: str,
    info: RenewalInfo | None,
    installed: datetime | None,
    early: int,
) -> RenewalMoment:
    """See `RenewalPolicy.moment`. A step asks several times for the same one."""
    end = leaf.not_after - policy.end_margin(leaf)
    latest = RenewalMoment(end, RenewalReason.BEFORE_END)
    own = _sooner(policy.own_moment(leaf, certificate_id), latest)
    wished = None
    if info is not None and info.counts and info.renew_at is not None:
        wished = RenewalMoment(info.renew_at, RenewalReason.AUTHORITY)
    if installed is not None and leaf.not_after > installed:
        left = leaf.not_after - installed
        own, latest = (_braked(moment, installed, left, early) for moment in (own, latest))
        soonest = installed + min(_wish_waits(early, left), left / 2)
        if wished is not None and wished.at < soonest:
            wished = RenewalMoment(soonest, RenewalReason.AUTHORITY_LATER)
    if wished is None:
        return own
    return _sooner(wished, latest if policy.days_before is None else own)


def installed_at(leaf: Leaf, finished_at: datetime | None) -> datetime:
    """When a leaf was put into service; its own beginning where that is not known, or was noted by a slow clock."""
    return leaf.not_before if finished_at is None else max(finished_at, leaf.not_before)


def is_early(policy: RenewalPolicy, leaf: Leaf, certificate_id: str, *, installed: datetime, now: datetime) -> bool:
    """Whether a renewal that begins now is early: before half of what the leaf had left, or as soon as it may.

    Args:
        policy: The certificate's.
        leaf: The leaf in service.
        certificate_id: The certificate.
        installed: When the leaf was put into service.
        now: The moment at which the renewal begins.
    """
    left = leaf.not_after - installed
    is_braked = policy.renew_at(leaf, certificate_id) < installed + left / _TOO_EARLY
    return is_braked or now < installed + left * _EARLY


def usual_time_in_service(leaf: Leaf, installed: datetime) -> timedelta:
    """From a leaf's installation to its renewal, as the lifetime has it."""
    left = leaf.not_after - installed
    used = leaf.lifetime / 2 if leaf.lifetime < _SHORT_LIFETIME else leaf.lifetime * 2 / 3
    return max(leaf.not_before + used - installed, left / 2)


def _sooner(moment: RenewalMoment, other: RenewalMoment) -> RenewalMoment:
    """The first of two moments; of two equal ones, the first argument."""
    return moment if moment.at <= other.at else other


def _braked(moment: RenewalMoment, installed: datetime, left: timedelta, early: int) -> RenewalMoment:
    if moment.at >= installed + left / _TOO_EARLY:
        return moment
    later = installed + left * _SHARES[min(early, len(_SHARES) - 1)]
    return RenewalMoment(later, RenewalReason.AFTER_INSTALLATION)


def _wish_waits(early: int, left: timedelta) -> timedelta:
    """How long after the installation a CA's wish is followed at the soonest."""
    if not early:
        return min(_FIRST_WISH, left / 20)
    waits: timedelta = _NEXT_WISHES * 2 ** min(early - 1, 10)
    return waits


def _share(text: str) -> float:
    """From 0 to 1, always the same for the same text, and even over many texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


class Retry(StrEnum):
    """What a failure means for the next issuance."""

    #: The network, or a server in trouble: retry soon.
    SOON = "soon"
    #: The CA refused for a reason that may pass: retry after hours.
    SLOW = "slow"
    #: A retry does not help until something is changed.
    NEVER = "never"


_FIRST: Final = {Retry.SOON: timedelta(seconds=10), Retry.SLOW: timedelta(minutes=15)}
_LONGEST: Final = {Retry.SOON: timedelta(hours=1), Retry.SLOW: timedelta(hours=24)}


def retry_delay(retry: Retry, attempt: int, roll: float) -> timedelta:
    """How long to wait before the next attempt: exponential, with jitter.

    Args:
        retry: The class of the failure, `Retry.SOON` or `Retry.SLOW`.
        attempt: How many attempts have failed in a row, from 1.
        roll: A random number from 0 to 1.

    Returns:
        Between half of the step and the whole step; the step doubles from 10 seconds to 1 hour (soon) or from 15
        minutes to 24 hours (slow). Half of it is always kept, so that a failing CA is never hammered.
    """
    step: timedelta = min(_FIRST[retry] * 2 ** min(attempt - 1, 20), _LONGEST[retry])
    return step / 2 + step / 2 * roll
