"""Notices: when observers are told that a leaf expires soon, or that its renewal keeps failing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import Attribute, field, frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.model.renewal_danger import Danger, danger_at, danger_of
from certcore.model.renewal_moment import renewal_moment
from certcore.model.stored_moments import is_ahead

__all__ = [
    "FAILING",
    "NoticePolicy",
    "is_failing",
    "next_danger",
    "next_notice",
    "passed_days",
    "told_of_days",
    "without_notices_ahead",
]

#: The entry in `Issuance.told` for a renewal that keeps failing.
FAILING: Final = "failing"
_DAYS: Final = "days-"
_MOST_DAYS: Final = 365
_MOST: Final = 20
#: Longer than any pause between two failed issuances of one series.
_LONGEST_PAUSE: Final = timedelta(days=2)
#: How long a due renewal may take before there are notices about the leaf's expiry.
_TIME_TO_RENEW: Final = timedelta(days=1)


def _largest_first(days: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(sorted(set(days), reverse=True))
    except TypeError:
        reason = Message("input.days_needed", "a list of whole numbers of days is needed.")
        raise InvalidInputError("days_before", reason) from None


def _days(_: object, __: Attribute[Any], value: tuple[int, ...]) -> None:
    whole = all(isinstance(day, int) and not isinstance(day, bool) and 1 <= day <= _MOST_DAYS for day in value)
    if not whole or len(value) > _MOST:
        text = "at most {count} whole numbers of days from 1 to {highest}."
        params = {"count": _MOST, "highest": _MOST_DAYS}
        raise InvalidInputError("days_before", Message("input.too_many_days", text, params))


def _failures(_: object, __: Attribute[Any], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        reason = Message("input.whole_number_from_1", "a whole number from 1 is needed.")
        raise InvalidInputError("after_failures", reason)


def _duration(_: object, __: Attribute[Any], value: timedelta) -> None:
    if not isinstance(value, timedelta) or value < timedelta(0):
        reason = Message("input.not_a_duration", "a timedelta that is not negative is needed.")
        raise InvalidInputError("failing_for", reason)


@frozen(kw_only=True)
class NoticePolicy:
    """When certcore reports, once for each leaf, that the leaf expires soon or that its renewal keeps failing.

    A number of days is ignored if the leaf's lifetime is less than twice that number. If the certificate renews
    automatically, there is no notice about the expiry before the renewal has been due for a day.
    """

    #: The days before not_after with a notice, in any order; empty for no notices about the expiry.
    days_before: tuple[int, ...] = field(default=(30, 14, 7, 3, 1), converter=_largest_first, validator=_days)
    #: How many times in a row a renewal must fail before it is reported as failing.
    after_failures: int = field(default=3, validator=_failures)
    #: How long ago the first of these failures must be, so that a short outage of a CA is not reported. In any case,
    #: the renewal is reported when a third of the time between its due time and the leaf's end has passed.
    failing_for: timedelta = field(default=timedelta(days=1), validator=_duration)


def passed_days(policy: NoticePolicy, certificate: Certificate, active: Issuance, now: datetime) -> tuple[int, ...]:
    """The numbers of days that are reached and have had no notice, the smallest last."""
    return tuple(days for days, at in _moments(policy, certificate, active) if at <= now)


def told_of_days(active: Issuance, days: Sequence[int]) -> tuple[str, ...]:
    """`Issuance.told` after a notice."""
    return tuple(dict.fromkeys([*active.told, *(_word(day) for day in days)]))


def without_notices_ahead(issuance: Issuance, now: datetime, *, was_wrong: bool) -> tuple[str, ...]:
    """`Issuance.told` without the notices that were given too early under a wrong clock, so that they can be repeated.

    Args:
        issuance: The issuance of the leaf in service.
        now: The present moment.
        was_wrong: Whether the last step of the certificate ran under a clock that was ahead.
    """
    leaf = issuance.leaf
    if leaf is None:
        return issuance.told

    def is_true(word: str) -> bool:
        if not word.startswith(_DAYS):
            return not was_wrong
        return not is_ahead(leaf.not_after - timedelta(days=int(word.removeprefix(_DAYS))), now)

    return tuple(filter(is_true, issuance.told))


def is_failing(
    policy: NoticePolicy, certificate: Certificate, issuances: Sequence[Issuance], attempts: int, now: datetime
) -> bool:
    """Whether a notice about a failing or late renewal is due and has not been given.

    A renewal is late if it is not complete when a third of the time between its due time and the leaf's end has passed,
    whatever the reason.

    Args:
        policy: The policy.
        certificate: The certificate.
        issuances: All issuances of the certificate.
        attempts: How many issuances have failed in a row.
        now: The present moment.
    """
    active = _active(certificate, issuances)
    if active is None or FAILING in active.told:
        return False
    if _has_begun(certificate) and danger_of(certificate, active, now) is not Danger.NONE:
        return True
    if certificate.problem is None or attempts < policy.after_failures:
        return False
    return now - _failing_since(active, issuances, now) >= policy.failing_for


def next_notice(
    policy: NoticePolicy, certificate: Certificate, issuances: Sequence[Issuance], now: datetime
) -> datetime | None:
    """The next moment at which a notice about the end of the leaf may be due; None if there is no such moment."""
    active = _active(certificate, issuances)
    if active is None or certificate.status is not Status.ACTIVE:
        return None
    return min((max(at, now) for _, at in _moments(policy, certificate, active)), default=None)


def next_danger(certificate: Certificate, issuances: Sequence[Issuance], now: datetime) -> datetime | None:
    """The next moment at which a notice about a late renewal may be due; None if there is no such moment."""
    active = _active(certificate, issuances)
    if active is None or FAILING in active.told:
        return None
    late_at = danger_at(certificate, active, Danger.WARNING)
    if late_at is None or (late_at <= now and not _has_begun(certificate)):
        return None
    return max(late_at, now)


def _has_begun(certificate: Certificate) -> bool:
    return certificate.issuance_id not in (None, certificate.active_issuance_id)


def _moments(policy: NoticePolicy, certificate: Certificate, active: Issuance) -> Iterator[tuple[int, datetime]]:
    """The numbers of days that apply to a leaf with their moments, the largest number first."""
    if active.leaf is None:
        return
    earliest = _earliest(certificate, active, active.leaf)
    # No less urgent notice follows a more urgent one, even if the policy has changed.
    days_told = (int(word.removeprefix(_DAYS)) for word in active.told if word.startswith(_DAYS))
    least_told = min(days_told, default=_MOST_DAYS + 1)
    for days in policy.days_before:
        at = active.leaf.not_after - timedelta(days=days)
        if at >= earliest and days < least_told:
            yield days, at


def _failing_since(active: Issuance, issuances: Sequence[Issuance], now: datetime) -> datetime:
    """When the series of failed issuances began. An issuance that was abandoned long before does not belong to it."""
    began = now
    for issuance in sorted(issuances, key=lambda issuance: issuance.number, reverse=True):
        ended = now if issuance.finished_at is None else issuance.finished_at
        if issuance.number <= active.number or began - ended > _LONGEST_PAUSE:
            break
        began = issuance.created_at
    return began


def _earliest(certificate: Certificate, active: Issuance, leaf: Leaf) -> datetime:
    middle = leaf.not_after - leaf.lifetime / 2
    if not certificate.renews_itself:
        return middle
    return max(middle, renewal_moment(certificate, active, leaf) + _TIME_TO_RENEW)


def _active(certificate: Certificate, issuances: Sequence[Issuance]) -> Issuance | None:
    return next((issuance for issuance in issuances if issuance.id == certificate.active_issuance_id), None)


def _word(days: int) -> str:
    return f"{_DAYS}{days}"
