"""How long a CA is waited for: by the kind of wait, by what the leaf in service has left, in looks and in hours.

Nothing here asks or stores anything: these are values of an attempt's state, and pure functions of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from certcore.messages import Message, sentences, shown_moment
from certcore.model.problem import Problem
from certcore_puq_acme.moments import DOUBT, moment_before
from certcore_puq_acme.orders.stored_fields import count, message, moment, shown_message, stored
from certcore_puq_acme.rate_limits.pauses import LONGEST_PAUSE

__all__ = [
    "Asked",
    "Trouble",
    "Wait",
    "bounded_wait",
    "growing_pause",
    "order_life",
]

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)


class Wait(StrEnum):
    """The reasons for which a CA may ask to wait."""

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
#: How often what the CA has named is asked for again at least, before it counts as lost.
_DOUBTS: Final = 5
#: A trouble has to be met so often before time alone ends an attempt; and ends it after so many times in any case: a
#: clock may jump, or stand still.
_LOOKS: Final = 10
_MOST_LOOKS: Final = 500
_LONGEST_SAID: Final = 500
_UNSAID: Final = Message("", "")


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


def growing_pause(looks: int) -> float:
    """Seconds to the next look at something: from 7 ms up to 5 minutes, half as much again each time."""
    return min(0.007 * 1.5 ** min(looks, 30), 300.0)


@frozen(kw_only=True)
class Trouble:
    """The trouble that delays an attempt, since when, and how often it was met."""

    since: datetime = stored(moment)
    looks: int = stored(count, 0)
    #: What was said last.
    said: Message = stored(message(_LONGEST_SAID), _UNSAID)

    @classmethod
    def continued(cls, known: Trouble | None, now: datetime) -> Trouble:
        """A stored trouble, which began in the past; without one, a trouble that begins now."""
        return cls(since=now) if known is None else evolve(known, since=moment_before(known.since, now))

    def again(self, reason: str | Message) -> Trouble:
        """The same, met once more."""
        return evolve(self, looks=self.looks + 1, said=shown_message(reason, _LONGEST_SAID) or _UNSAID)

    def is_believed(self, now: datetime) -> bool:
        """Whether a refusal of what the CA has named itself counts: it was repeated for over a minute."""
        return (self.looks > _DOUBTS and self.has_gone_on(now)) or self.looks > _DOUBTS * 4

    def has_gone_on(self, now: datetime) -> bool:
        """Whether it persists: a lagging replica would have caught up meanwhile."""
        return now - self.since >= DOUBT

    def has_lasted(self, life: timedelta, now: datetime) -> bool:
        """Whether an attempt with this trouble is given up."""
        return (self.looks >= _LOOKS and now - self.since > life) or self.looks >= _MOST_LOOKS

    @property
    def pause(self) -> float:
        """Seconds to the next look while a refusal may be temporary."""
        return min(2.0 ** max(self.looks, 1), 32.0)

    def told(self, problem: Problem) -> Problem:
        """The problem with since when it is so."""
        if self.looks < 2:  # noqa: PLR2004 - the first time says nothing of a length
            return problem
        title = problem.title_text if problem.title else problem.type
        params = {"since": shown_moment(self.since), "count": self.looks}
        lasts = Message("puq_acme.trouble.lasts", "This has lasted since {since} ({count} times).", params)
        return evolve(problem, title=sentences(title, lasts))


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
    def of(cls, slots: Mapping[int, int], names: int, now: datetime) -> Asked:
        """What is known of the last hour.

        Args:
            slots: The stored `Asked.slots`.
            names: How many names the certificate has.
            now: The present moment. Requests that a wrong clock has counted in the future are dropped.
        """
        current = _slot(now)
        recent = {slot: many for slot, many in slots.items() if current - _SLOTS < slot <= current}
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


def _slot(at: datetime) -> int:
    return int(at.timestamp()) // _SLOT
