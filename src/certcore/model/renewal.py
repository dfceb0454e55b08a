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
#: The longest time over which simultaneous renewals are spread.
_SPREAD: Final = timedelta(days=1)
#: A renewal in the first third (1/3) of the time that a leaf had left at its installation is too early. The leaf may be
#: dated back or short-lived, or may seem old because this machine's clock is ahead.
_TOO_EARLY: Final = 3
#: The share of that time that must pass instead, by the number of early renewals in a row.
_SHARES: Final = (1 / 2, 3 / 4, 7 / 8, 9 / 10)
#: A renewal at the CA's suggestion is early if it begins before this share of that time has passed.
_EARLY: Final = 0.45
#: How long a CA's suggestion waits after the installation: an hour, and after early renewals in a row a day, two days,
#: four days and so on, but never longer than half of the time that the leaf had left.
_FIRST_WISH: Final = timedelta(hours=1)
_NEXT_WISHES: Final = timedelta(days=1)


def _days(instance: object, attribute: object, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_DAYS):
        text = "must be a whole number of days from 1 to {most}."
        raise InvalidInputError("days_before", Message("renewal.not_days", text, {"most": MAX_DAYS}))


class RenewalReason(StrEnum):
    """What determines the moment of a renewal."""

    #: The policy's number of days before the end.
    DAYS_BEFORE = "days_before"
    #: A share of the lifetime, because the policy has no number of days.
    LIFETIME = "lifetime"
    #: Half of the lifetime, because the policy's number of days is more than that.
    HALF_OF_LIFETIME = "half_of_lifetime"
    #: A share of the lifetime before the end, because the policy or the CA asks for a later moment than is safe.
    BEFORE_END = "before_end"
    #: The CA's suggestion (RFC 9773).
    AUTHORITY = "authority"
    #: The CA's suggestion, delayed because it is too soon after the installation.
    AUTHORITY_LATER = "authority_later"
    #: A minimum time after the installation, because the leaf was old or renewals came early.
    AFTER_INSTALLATION = "after_installation"


@frozen
class RenewalMoment:
    """When a leaf is due for renewal, and why."""

    #: UTC.
    at: datetime
    reason: RenewalReason


@frozen(kw_only=True)
class RenewalPolicy:
    """Whether and when a certificate renews automatically."""

    #: Whether the certificate renews automatically.
    auto: bool = True
    #: The number of days before not_after; None for a third of the leaf's lifetime, or half of it below ten days.
    days_before: int | None = field(default=None, validator=_days)
    #: Whether each renewal generates a new key.
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
        """The moment from which the leaf is due for renewal, and why.

        - If the CA suggests a moment (RFC 9773), it applies, unless the policy's number of days is earlier.
        - A number of days is limited to half of the lifetime, so that a threshold of 30 days does not renew a
          certificate of 6 days again and again.
        - The latest moment is 1/20 of the lifetime before the end, or 1/3 of a lifetime below ten days.
        - Certificates that were issued together are not renewed together: each is delayed by a part, derived from its
          ID, of a tenth of the remaining time, at most a day.
        - If the moment is in the first third of the time that the leaf had left when it was installed, half of that
          time must pass instead, and more after each early renewal in a row, up to nine tenths. A suggestion of the CA
          is followed sooner: an hour after the installation; after early renewals in a row, after a day, two days, four
          days and so on, up to half of that time.

        Args:
            leaf: The leaf in service.
            certificate_id: The ID of the certificate.
            info: The CA's suggestion; None if there is none.
            installed: When the leaf was put into service, see `installed_at`; None for an imported leaf, which may be
                due at once.
            early: How many renewals in a row began early, up to the one that gave this leaf.
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
        """How long before the leaf's end a renewal begins at the latest, whatever the policy or the CA asks for."""
        return leaf.lifetime / (3 if leaf.lifetime < _SHORT_LIFETIME else 20)

    def is_capped(self, leaf: Leaf) -> bool:
        """Whether the number of days is more than half of the leaf's lifetime, so that half of it applies."""
        return self.days_before is not None and timedelta(days=self.days_before) > leaf.lifetime / 2

    def own_moment(self, leaf: Leaf, certificate_id: str) -> RenewalMoment:
        """The moment from the number of days or the lifetime, without the limits of `moment`."""
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
    """See `RenewalPolicy.moment`. Cached, because a step computes the same moment several times."""
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
    """When a leaf was put into service; its not_before if that is unknown, or was stored under a clock that was behind.

    The result is in UTC.
    """
    return leaf.not_before if finished_at is None else max(finished_at, leaf.not_before)


def is_early(policy: RenewalPolicy, leaf: Leaf, certificate_id: str, *, installed: datetime, now: datetime) -> bool:
    """Whether a renewal that begins now is early.

    That is, less than 45% of the time that the leaf had left at its installation has passed, or the policy's moment was
    too soon after the installation (see `RenewalPolicy.moment`).

    Args:
        policy: The certificate's policy.
        leaf: The leaf in service.
        certificate_id: The certificate.
        installed: When the leaf was put into service.
        now: The moment at which the renewal begins.
    """
    left = leaf.not_after - installed
    is_braked = policy.renew_at(leaf, certificate_id) < installed + left / _TOO_EARLY
    return is_braked or now < installed + left * _EARLY


def usual_time_in_service(leaf: Leaf, installed: datetime) -> timedelta:
    """The usual time from a leaf's installation to its renewal, derived from its lifetime."""
    left = leaf.not_after - installed
    used = leaf.lifetime / 2 if leaf.lifetime < _SHORT_LIFETIME else leaf.lifetime * 2 / 3
    return max(leaf.not_before + used - installed, left / 2)


def _sooner(moment: RenewalMoment, other: RenewalMoment) -> RenewalMoment:
    """The earlier of two moments; the first argument if they are equal."""
    return moment if moment.at <= other.at else other


def _braked(moment: RenewalMoment, installed: datetime, left: timedelta, early: int) -> RenewalMoment:
    if moment.at >= installed + left / _TOO_EARLY:
        return moment
    later = installed + left * _SHARES[min(early, len(_SHARES) - 1)]
    return RenewalMoment(later, RenewalReason.AFTER_INSTALLATION)


def _wish_waits(early: int, left: timedelta) -> timedelta:
    """How long a CA's suggestion waits at least after the installation."""
    if not early:
        return min(_FIRST_WISH, left / 20)
    waits: timedelta = _NEXT_WISHES * 2 ** min(early - 1, 10)
    return waits


def _share(text: str) -> float:
    """A number from 0 to 1, determined by the text and uniformly distributed over texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


class Retry(StrEnum):
    """When to try again after a failure."""

    #: Soon, because of a fault of the network or a server.
    SOON = "soon"
    #: After hours, because the CA refused for a reason that may pass.
    SLOW = "slow"
    #: Not before somebody changes something.
    NEVER = "never"


_FIRST: Final = {Retry.SOON: timedelta(seconds=10), Retry.SLOW: timedelta(minutes=15)}
_LONGEST: Final = {Retry.SOON: timedelta(hours=1), Retry.SLOW: timedelta(hours=24)}


def retry_delay(retry: Retry, attempt: int, roll: float) -> timedelta:
    """How long to wait before the next issuance: exponential backoff with jitter.

    Args:
        retry: `Retry.SOON` or `Retry.SLOW`.
        attempt: How many issuances have failed in a row, from 1.
        roll: A random number from 0 to 1.

    Returns:
        Between half of the step and the whole step. The step doubles from 10 seconds to 1 hour (soon), or from 15
        minutes to 24 hours (slow).
    """
    step: timedelta = min(_FIRST[retry] * 2 ** min(attempt - 1, 20), _LONGEST[retry])
    return step / 2 + step / 2 * roll
