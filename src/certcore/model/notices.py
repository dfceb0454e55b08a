"""When somebody is to be told that a certificate needs a person: pure functions of the policy and the clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import Attribute, field, frozen

from certcore.errors import InvalidInput
from certcore.model.certificate import Certificate
from certcore.model.clocks import is_ahead
from certcore.model.danger import Danger, danger_at, danger_of
from certcore.model.issuance import Issuance
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.model.renewal_moment import renewal_moment

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

#: In `Issuance.told`: that the renewal of this leaf keeps failing.
FAILING: Final = "failing"
_DAYS: Final = "days-"
_MOST_DAYS: Final = 365
_MOST: Final = 20
#: Longer than the pause between two attempts of one run of failures.
_LONGEST_PAUSE: Final = timedelta(days=2)
#: A renewal that is due has so long to succeed before the leaf's end is worth a notice.
_TIME_TO_RENEW: Final = timedelta(days=1)


def _largest_first(days: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(sorted(set(days), reverse=True))
    except TypeError:
        raise InvalidInput("days_before", "a list of whole numbers of days is needed.") from None


def _days(_: object, __: Attribute[Any], value: tuple[int, ...]) -> None:
    whole = all(isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= _MOST_DAYS for one in value)
    if not whole or len(value) > _MOST:
        raise InvalidInput("days_before", f"at most {_MOST} whole numbers of days from 1 to {_MOST_DAYS}.")


def _failures(_: object, __: Attribute[Any], value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidInput("after_failures", "a whole number from 1 is needed.")


def _duration(_: object, __: Attribute[Any], value: timedelta) -> None:
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise InvalidInput("failing_for", "a timedelta that is not negative is needed.")


@frozen(kw_only=True)
class NoticePolicy:
    """Of what certcore tells by itself, once per leaf: that it ends soon, and that its renewal keeps failing.

    A number of days counts only where it says something: not for a lifetime of less than twice as long, and, for a
    certificate that renews by itself, not before its renewal has been due for a day.
    """

    #: Days before not_after, in any order; empty for no such notices.
    days_before: tuple[int, ...] = field(default=(30, 14, 7, 3, 1), converter=_largest_first, validator=_days)
    #: A renewal keeps failing when it has failed so often in a row …
    after_failures: int = field(default=3, validator=_failures)
    #: … and began so long ago: a CA that is down for an hour is no news. Whatever these say, it is told of when a
    #: third of the time between the renewal's moment and the leaf's end has passed.
    failing_for: timedelta = field(default=timedelta(days=1), validator=_duration)


def passed_days(policy: NoticePolicy, certificate: Certificate, active: Issuance, now: datetime) -> tuple[int, ...]:
    """The numbers of days that have passed and were not told of, the smallest last; empty when there is nothing new."""
    return tuple(days for days, at in _moments(policy, certificate, active) if at <= now)


def told_of_days(active: Issuance, days: Sequence[int]) -> tuple[str, ...]:
    """What `Issuance.told` is after a notice."""
    return tuple(dict.fromkeys([*active.told, *(_word(one) for one in days)]))


def without_notices_ahead(issuance: Issuance, now: datetime, *, was_wrong: bool) -> tuple[str, ...]:
    """`Issuance.told` without what was told under a clock that was ahead: it is told again when it is true.

    Args:
        issuance: With the leaf in service.
        now: The present moment.
        was_wrong: Whether the certificate was last looked at under such a clock.
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
    """Whether a renewal has failed so often and so long, or is so late, that somebody should know, and does not yet.

    Late is one that is not done when a third of the time between its moment and the leaf's end has passed, whatever
    keeps it: the owner, the CA, a limit.

    Args:
        policy: What counts.
        certificate: As it stands.
        issuances: All of its issuances.
        attempts: How many attempts have failed in a row.
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
    """The next moment at which a notice about the end of the leaf may be due; None when there is none."""
    active = _active(certificate, issuances)
    if active is None or certificate.status is not Status.ACTIVE:
        return None
    return min((max(at, now) for _, at in _moments(policy, certificate, active)), default=None)


def next_danger(certificate: Certificate, issuances: Sequence[Issuance], now: datetime) -> datetime | None:
    """The next moment at which a late renewal may have to be told of; None when there is none."""
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
    """The numbers of days that count for a leaf and are to be told of, the largest first, each with its moment."""
    if active.leaf is None:
        return
    earliest = _earliest(certificate, active, active.leaf)
    # What is less urgent than what was told is no news, also where another policy makes it count from now on.
    told = [int(word.removeprefix(_DAYS)) for word in active.told if word.startswith(_DAYS)]
    for days in policy.days_before:
        at = active.leaf.not_after - timedelta(days=days)
        if at >= earliest and days < min(told, default=_MOST_DAYS + 1):
            yield days, at


def _failing_since(active: Issuance, issuances: Sequence[Issuance], now: datetime) -> datetime:
    """When the attempts began of which the last one fails; one that was given up long before is none of them."""
    began = now
    for one in sorted(issuances, key=lambda one: one.number, reverse=True):
        ended = now if one.finished_at is None else one.finished_at
        if one.number <= active.number or began - ended > _LONGEST_PAUSE:
            break
        began = one.created_at
    return began


def _earliest(certificate: Certificate, active: Issuance, leaf: Leaf) -> datetime:
    middle = leaf.not_after - leaf.lifetime / 2
    if not certificate.renews_itself:
        return middle
    return max(middle, renewal_moment(certificate, active, leaf) + _TIME_TO_RENEW)


def _active(certificate: Certificate, issuances: Sequence[Issuance]) -> Issuance | None:
    return next((one for one in issuances if one.id == certificate.active_issuance_id), None)


def _word(days: int) -> str:
    return f"{_DAYS}{days}"
