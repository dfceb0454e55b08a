"""How long an issuance waits for a CA, depending on the kind of wait and the remaining time of the leaf in service.

These are values of an issuance's state, and pure functions of them.
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

    #: The CA is processing an order: a validation or an issuance.
    ORDER = "order"
    #: A rate limit, or maintenance of the CA.
    LIMIT = "limit"


#: The longest wait of each kind, and the share of the leaf's remaining time that it may take.
_LONGEST: Final = MappingProxyType({Wait.ORDER: 10 * _MINUTE, Wait.LIMIT: LONGEST_PAUSE})
_SHARE: Final = MappingProxyType({Wait.ORDER: 50, Wait.LIMIT: 10})
#: A wait that a CA asks for is not shortened below this.
_SHORTEST: Final = _MINUTE
#: An order that the CA neither completes nor refuses is abandoned after this time.
_ORDER_LIFE: Final = timedelta(days=1)
#: An order may take this part (1/3) of the leaf's remaining time.
_ORDER_SHARE: Final = 3
#: How many times a URL of the CA is requested again before the order counts as lost.
_DOUBTS: Final = 5
#: How many times a trouble must occur before an issuance ends after some time, and at which it ends in any case. The
#: clock may jump or stand still.
_LOOKS: Final = 10
_MOST_LOOKS: Final = 500
_LONGEST_SAID: Final = 500
_UNSAID: Final = Message("", "")


def bounded_wait(seconds: float, kind: Wait, left: timedelta | None) -> float:
    """Limit a CA's Retry-After, in seconds.

    Args:
        seconds: The CA's Retry-After.
        kind: The reason of the wait.
        left: The remaining time of the leaf in service; None without a leaf.
    """
    longest = _LONGEST[kind]
    if left is not None:
        longest = min(longest, max(left / _SHARE[kind], _SHORTEST))
    return max(0.0, min(seconds, longest.total_seconds()))


def order_life(left: timedelta | None) -> timedelta:
    """How long to wait for an order that is not completed.

    Args:
        left: The remaining time of the leaf in service; None without a leaf.
    """
    return _ORDER_LIFE if left is None else min(_ORDER_LIFE, max(left / _ORDER_SHARE, _HOUR))


def growing_pause(looks: int) -> float:
    """The seconds to the next poll. They grow by half each time, from 7 ms to 5 minutes."""
    return min(0.007 * 1.5 ** min(looks, 30), 300.0)


@frozen(kw_only=True)
class Trouble:
    """A trouble that delays an issuance, since when, and how many times it occurred."""

    since: datetime = stored(moment)
    looks: int = stored(count, 0)
    #: The last text about it.
    said: Message = stored(message(_LONGEST_SAID), _UNSAID)

    @classmethod
    def continued(cls, known: Trouble | None, now: datetime) -> Trouble:
        """A stored trouble, whose beginning is never in the future; or a new trouble that begins now."""
        return cls(since=now) if known is None else evolve(known, since=moment_before(known.since, now))

    def again(self, reason: str | Message) -> Trouble:
        """A copy after it occurred once more."""
        return evolve(self, looks=self.looks + 1, said=shown_message(reason, _LONGEST_SAID) or _UNSAID)

    def is_believed(self, now: datetime) -> bool:
        """Whether a CA's refusal of its own URL is final, because it was repeated for over a minute."""
        return (self.looks > _DOUBTS and self.has_gone_on(now)) or self.looks > _DOUBTS * 4

    def has_gone_on(self, now: datetime) -> bool:
        """Whether it persists for longer than a replica of the CA can lag behind."""
        return now - self.since >= DOUBT

    def has_lasted(self, life: timedelta, now: datetime) -> bool:
        """Whether an issuance with this trouble is abandoned."""
        return (self.looks >= _LOOKS and now - self.since > life) or self.looks >= _MOST_LOOKS

    @property
    def pause(self) -> float:
        """The seconds to the next request while a refusal may be temporary."""
        return min(2.0 ** max(self.looks, 1), 32.0)

    def told(self, problem: Problem) -> Problem:
        """The problem, with the time since when it persists."""
        if self.looks < 2:  # noqa: PLR2004 - the first time says nothing of a length
            return problem
        title = problem.title_text if problem.title else problem.type
        params = {"since": shown_moment(self.since), "count": self.looks}
        lasts = Message("puq_acme.trouble.lasts", "This has lasted since {since} ({count} times).", params)
        return evolve(problem, title=sentences(title, lasts))


#: The requests of a certificate are counted in slots of this length, for an hour.
_SLOT: Final = 300
_SLOTS: Final = 13
#: How many requests an hour the steps of a certificate with one name may send, and how many more for each further name.
#: A few of sixty are reserved for renewal information.
_PER_HOUR: Final = 54
_PER_NAME: Final = 6
#: A step does not begin with fewer requests left, because it could not be completed.
_RESERVE: Final = 6


@frozen(kw_only=True)
class Asked:
    """The requests to the CA for a certificate within the last hour, whatever their result."""

    slots: Mapping[int, int]
    most: int
    now: datetime

    @classmethod
    def of(cls, slots: Mapping[int, int], names: int, now: datetime) -> Asked:
        """The requests of the last hour.

        Args:
            slots: The stored `Asked.slots`.
            names: The number of names of the certificate.
            now: The present moment. Requests in the future, from a wrong clock, are dropped.
        """
        current = _slot(now)
        recent = {slot: many for slot, many in slots.items() if current - _SLOTS < slot <= current}
        return cls(slots=recent, most=_PER_HOUR + _PER_NAME * max(names - 1, 0), now=now)

    @property
    def left(self) -> int:
        """How many more requests are allowed now."""
        return max(self.most - sum(self.slots.values()), 0)

    @property
    def is_enough(self) -> bool:
        """Whether no further step may begin before `free_at`."""
        return self.left < _RESERVE

    @property
    def free_at(self) -> datetime:
        """When the next step may begin."""
        if not self.is_enough:
            return self.now
        left = self.left
        for slot in sorted(self.slots):
            left += self.slots[slot]
            if left >= _RESERVE:
                return datetime.fromtimestamp((slot + _SLOTS) * _SLOT, self.now.tzinfo)
        return self.now + _HOUR

    def with_more(self, sent: int) -> Asked:
        """A copy after a step that sent this many requests."""
        current = _slot(self.now)
        return evolve(self, slots={**self.slots, current: self.slots.get(current, 0) + sent}) if sent else self


def _slot(at: datetime) -> int:
    return int(at.timestamp()) // _SLOT
