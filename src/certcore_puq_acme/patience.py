"""How long a CA is waited for: by the kind of wait, by what the leaf in service has left, in looks and in hours.

Nothing here asks or stores anything: these are values of an attempt's state, and pure functions of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen

from certcore.model.problem import Problem
from certcore_puq_acme.foreign_text import printable

__all__ = [
    "CLOCKS_APART",
    "DOUBT",
    "LONGEST_PAUSE",
    "Asked",
    "Trouble",
    "Wait",
    "bounded_wait",
    "growing_pause",
    "is_ahead",
    "moment_before",
    "order_life",
    "pause_between_orders",
    "shown_moment",
]

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
#: Two clocks may be so far apart; a stored moment that is further ahead was made by a clock that was wrong.
CLOCKS_APART: Final = 5 * _MINUTE
#: However long a CA asks for: no longer pause of an account is kept.
LONGEST_PAUSE: Final = timedelta(hours=6)


class Wait(StrEnum):
    """What a CA asks to be given time for."""

    #: An order in work: a validation, an issuance.
    ORDER = "order"
    #: A limit, or maintenance.
    LIMIT = "limit"


#: The longest wait of a kind, and the share of what the leaf in service has left that it may take.
_LONGEST: Final = MappingProxyType({Wait.ORDER: 10 * _MINUTE, Wait.LIMIT: LONGEST_PAUSE})
_SHARE: Final = MappingProxyType({Wait.ORDER: 50, Wait.LIMIT: 10})
#: No wait that a CA asks for is cut below this.
_SHORTEST: Final = _MINUTE
#: An order that the CA neither completes nor refuses is given up after this time.
_ORDER_LIFE: Final = timedelta(days=1)
#: The share of what the leaf in service has left that an order may take.
_ORDER_SHARE: Final = 3
#: New orders that the CA answers with errors are never further apart because of that.
_LONGEST_BETWEEN_ORDERS: Final = timedelta(days=1)
#: What the CA has named itself is asked for again for so long, and so often, before it counts as lost.
DOUBT: Final = _MINUTE
_DOUBTS: Final = 5
#: A trouble has to be met so often before time alone ends an attempt; and ends it after so many times in any case: a
#: clock may jump, or stand still.
_LOOKS: Final = 10
_MOST_LOOKS: Final = 500
_LONGEST_SAID: Final = 500


def bounded_wait(seconds: float, kind: Wait, left: timedelta | None) -> float:
    """How long a CA's Retry-After is heeded, in seconds.

    Args:
        seconds: What the CA asks for.
        kind: What for.
        left: How long the leaf in service is valid; None without one.
    """
    longest = _LONGEST[kind]
    if left is not None:
        longest = min(longest, max(left / _SHARE[kind], _SHORTEST))
    return max(0.0, min(seconds, longest.total_seconds()))


def order_life(left: timedelta | None) -> timedelta:
    """How long an order that is not completed is waited for.

    Args:
        left: How long the leaf in service is valid; None without one.
    """
    return _ORDER_LIFE if left is None else min(_ORDER_LIFE, max(left / _ORDER_SHARE, _HOUR))


def pause_between_orders(since: datetime, now: datetime) -> timedelta:
    """The pause after a new order that the CA has answered with an error: it may be there all the same.

    The pauses double, up to a day: after a week some twenty orders were asked for, and an outage delays the next one by
    no more than it has lasted.

    Args:
        since: When the first of these orders was asked for.
        now: The present moment.
    """
    return min(max(now - since, timedelta(0)), _LONGEST_BETWEEN_ORDERS)


def growing_pause(looks: int) -> float:
    """Seconds to the next look at something: from 7 ms up to 5 minutes, half as much again each time."""
    return min(0.007 * 1.5 ** min(looks, 30), 300.0)


def is_ahead(stored: object, now: datetime, apart: timedelta = CLOCKS_APART) -> bool:
    """Whether a stored moment of the past is unreadable, or further ahead than clocks may be apart."""
    try:
        moment = datetime.fromisoformat(str(stored))
        return moment.tzinfo is None or moment > now + apart
    except ValueError:
        return True


def moment_before(stored: object, now: datetime) -> datetime:
    """A stored moment of the past; now, where it is missing, unreadable, or further ahead than clocks are apart."""
    return now if is_ahead(stored, now) else datetime.fromisoformat(str(stored))


def shown_moment(moment: datetime) -> str:
    """A moment for people."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


@frozen(kw_only=True)
class Trouble:
    """What has kept an attempt from getting on since when, and how often it was met."""

    since: datetime
    looks: int = 0
    #: What was said last.
    said: str = ""

    @classmethod
    def of(cls, state: Mapping[str, Any], now: datetime) -> Trouble:
        """The trouble that an attempt's state tells of; one that begins now when it tells of none."""
        stored = state.get("trouble") or {}
        looks = stored.get("looks")
        return cls(
            since=moment_before(stored.get("since"), now),
            looks=looks if isinstance(looks, int) else 0,
            said=str(stored.get("said", "")),
        )

    def again(self, said: str) -> Trouble:
        """The same, met once more."""
        return evolve(self, looks=self.looks + 1, said=printable(said, _LONGEST_SAID))

    def is_believed(self, now: datetime) -> bool:
        """Whether a refusal of what the CA has named itself counts: it was repeated for over a minute."""
        return (self.looks > _DOUBTS and self.has_gone_on(now)) or self.looks > _DOUBTS * 4

    def has_gone_on(self, now: datetime) -> bool:
        """Whether it is not of a moment only: a replica that lags has caught up meanwhile."""
        return now - self.since >= DOUBT

    def has_lasted(self, life: timedelta, now: datetime) -> bool:
        """Whether an attempt that this keeps from getting on is to be given up."""
        return (self.looks >= _LOOKS and now - self.since > life) or self.looks >= _MOST_LOOKS

    @property
    def pause(self) -> float:
        """Seconds to the next look while a refusal is not believed."""
        return min(2.0 ** max(self.looks, 1), 32.0)

    def told(self, problem: Problem) -> Problem:
        """The problem with since when it is so."""
        if self.looks < 2:  # noqa: PLR2004 - the first time says nothing of a length
            return problem
        text = problem.title or problem.type
        return evolve(problem, title=f"{text} It has been so since {shown_moment(self.since)} ({self.looks} times).")

    def to_json(self) -> dict[str, Any]:
        """As it is kept in the state."""
        return {"since": self.since.isoformat(), "looks": self.looks, "said": self.said}


#: The requests of a certificate are counted in slots of this length, for an hour.
_SLOT: Final = 300
_SLOTS: Final = 13
#: How many requests an hour the steps of a certificate of one name may cost, and each further name: of sixty, a few are
#: left for renewal information, which is asked for beside the steps.
_PER_HOUR: Final = 54
_PER_NAME: Final = 6
#: A step is not begun with fewer: it would break off in the middle.
_RESERVE: Final = 6


@frozen(kw_only=True)
class Asked:
    """The requests that a certificate has cost within the last hour, whatever the CA answers."""

    slots: Mapping[int, int]
    most: int
    now: datetime

    @classmethod
    def of(cls, state: Mapping[str, Any], names: int, now: datetime) -> Asked:
        """What an attempt's state tells of the last hour.

        Args:
            state: The state.
            names: How many names the certificate has.
            now: The present moment. What was counted later than that, by a clock that was wrong, does not count.
        """
        current = _slot(now)
        stored = state.get("asked")
        known = stored if isinstance(stored, Mapping) else {}
        counted = {int(slot): many for slot, many in known.items() if str(slot).isdecimal() and isinstance(many, int)}
        recent = {slot: many for slot, many in counted.items() if current - _SLOTS < slot <= current}
        return cls(slots=recent, most=_PER_HOUR + _PER_NAME * max(names - 1, 0), now=now)

    @property
    def left(self) -> int:
        """How many more there may be now."""
        return max(self.most - sum(self.slots.values()), 0)

    @property
    def is_enough(self) -> bool:
        """Whether no further step is begun before `free_at`."""
        return self.left < _RESERVE

    @property
    def free_at(self) -> datetime:
        """When a step can be begun again."""
        if not self.is_enough:
            return self.now
        left = self.left
        for slot in sorted(self.slots):
            left += self.slots[slot]
            if left >= _RESERVE:
                return datetime.fromtimestamp((slot + _SLOTS) * _SLOT, self.now.tzinfo)
        return self.now + _HOUR

    def with_more(self, sent: int) -> Asked:
        """The same after a step that sent so many."""
        current = _slot(self.now)
        return evolve(self, slots={**self.slots, current: self.slots.get(current, 0) + sent}) if sent else self

    def to_json(self) -> dict[str, int]:
        """As it is kept in the state."""
        return {str(slot): many for slot, many in sorted(self.slots.items())}


def _slot(moment: datetime) -> int:
    return int(moment.timestamp()) // _SLOT
