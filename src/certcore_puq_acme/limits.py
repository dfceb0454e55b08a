"""What a CA permits in how much time: written by people, counted in moments, all of it pure.

A limit is a count within a window that slides: whatever window of that length one looks at, no more fell into it. That
is stricter than the token buckets that some CAs keep, so that it holds for those as well.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen

from certcore.errors import InvalidInput

__all__ = [
    "HORIZON",
    "SLACK",
    "Lane",
    "Limit",
    "LimitKind",
    "NoLimits",
    "Placed",
    "Promise",
    "free_at",
    "limits_of",
    "parse_limit",
    "registered_domain",
    "same_names",
    "seen_from",
    "stamp",
    "stamped",
    "used_by_owner",
]

#: How far ahead a turn is promised.
HORIZON: Final = timedelta(hours=1)
#: How far the clocks of workers may be apart, or one may be set back. A stamp that is still further ahead was made by
#: a clock that was wrong, and must not keep a limit full until then.
_APART: Final = timedelta(days=1)
#: Turns come one after the other, as orders went out one after the other: who asks at an hour before the first of them
#: is promised the next ones, too, in the order of asking.
SLACK: Final = timedelta(minutes=15)
#: No promise is made for later than this; workers' clocks may be some minutes apart.
_LONGEST_PROMISE: Final = HORIZON + SLACK + timedelta(minutes=5)
_MOST: Final = 1_000_000
_UNITS: Final = MappingProxyType({"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)})
_LONG_FIRST: Final = tuple(reversed(tuple(_UNITS.items())))
_FORM: Final = re.compile(
    r"(?P<kind>[a-z_]+)\s+(?P<count>\d{1,7})\s+per\s+(?P<length>\d{1,4})\s*(?P<unit>[mhd])"
    r"(?:\s+except\s+(?P<except>[a-z ,]+))?"
)
_LONGEST: Final = timedelta(days=366)
_MARGIN: Final = timedelta(seconds=10)


class LimitKind(StrEnum):
    """What is counted."""

    #: New orders of the account.
    ORDERS = "orders"
    #: Certificates for names below one registered domain, which is found by the public suffix list.
    REGISTERED_DOMAIN = "registered_domain"
    #: Certificates for exactly the same set of names.
    SAME_NAMES = "same_names"
    #: Authorizations of one name that failed.
    FAILED_AUTHORIZATIONS = "failed_authorizations"


@frozen(kw_only=True)
class Limit:
    """So many in so much time."""

    kind: LimitKind
    count: int
    window: timedelta
    #: Renewals (the same names at the same CA) do not count.
    except_renewals: bool = False
    #: Renewals that say which leaf they replace (RFC 9773 section 5) do not count.
    except_ari: bool = False

    @classmethod
    def parse(cls, text: str, field: str) -> Limit:
        """Read ``orders 300 per 3h except renewals and ari``.

        Raises:
            InvalidInput: It is not of this form.
        """
        found = _FORM.fullmatch(" ".join(text.lower().split()))
        if found is None:
            raise InvalidInput(
                field, f"{text[:60]!r} is not of the form: orders 300 per 3h except renewals and ari (m, h or d)."
            )
        kinds = [str(kind) for kind in LimitKind]
        if found["kind"] not in kinds:
            raise InvalidInput(field, f"{found['kind'][:40]!r} is not one of: {', '.join(kinds)}.")
        count, window = int(found["count"]), int(found["length"]) * _UNITS[found["unit"]]
        if not 1 <= count <= _MOST or not timedelta(0) < window <= _LONGEST:
            raise InvalidInput(field, f"{text[:60]!r}: from 1 to {_MOST} within at most 366 days.")
        exceptions = {one for one in re.split(r"[ ,]+", found["except"] or "") if one} - {"and"}
        if exceptions - {"renewals", "ari"}:
            raise InvalidInput(field, f"{text[:60]!r}: only renewals and ari can be excepted.")
        return cls(
            kind=LimitKind(found["kind"]),
            count=count,
            window=window,
            except_renewals="renewals" in exceptions,
            except_ari="ari" in exceptions,
        )

    @property
    def span(self) -> timedelta:
        """The window with a little more: a request takes its time to the CA, and one takes less than another."""
        return self.window + min(self.window / 100, _MARGIN)

    def counts(self, *, renewal: bool, ari: bool) -> bool:
        """Whether an order counts towards this limit.

        Args:
            renewal: It is for the same names as the leaf in service, which is from the same CA.
            ari: It says which leaf it replaces.
        """
        return not (renewal and self.except_renewals) and not (ari and self.except_ari)

    def __str__(self) -> str:
        exceptions = [name for name, given in (("renewals", self.except_renewals), ("ari", self.except_ari)) if given]
        unit, length = next((unit, one) for unit, one in _LONG_FIRST if not self.window % one)
        more = f" except {' and '.join(exceptions)}" if exceptions else ""
        return f"{self.kind} {self.count} per {self.window // length}{unit}{more}"


@frozen
class NoLimits:
    """The word ``none`` in a list of limits: those that the CA publishes do not count either."""

    def __str__(self) -> str:
        return "none"


def parse_limit(text: str, field: str) -> Limit | NoLimits:
    """One line of a list of limits.

    Raises:
        InvalidInput: It is neither a limit nor ``none``.
    """
    return NoLimits() if text.strip().lower() == str(NoLimits()) else Limit.parse(text, field)


def limits_of(given: Iterable[Limit | NoLimits], preset: Iterable[str]) -> tuple[Limit, ...]:
    """The limits that count: those that a user gave, else those of the CA's preset.

    Args:
        given: What the profile says.
        preset: The published limits of the CA, as text.
    """
    own = tuple(given)
    if own:
        return tuple(one for one in own if isinstance(one, Limit))
    return tuple(Limit.parse(text, "limits") for text in preset)


def free_at(taken: Sequence[datetime], limit: int, window: timedelta, now: datetime) -> datetime:
    """The first moment, now or later, at which one more fits.

    Args:
        taken: The moments that are taken, past and future, ascending.
        limit: How many may fall into any window.
        window: Its length.
        now: The present moment.
    """
    candidates = (now, *(one + window for one in taken if one + window > now))
    return next(one for one in candidates if _fits(taken, one, limit, window))


def _fits(taken: Sequence[datetime], moment: datetime, limit: int, window: timedelta) -> bool:
    """Whether no window would hold too many with this moment in it."""
    place = bisect(taken, moment)
    for first in range(max(0, place - limit), place + 1):
        # The moments from ``first`` on with the new one among them: one more than may be in a window.
        last = first + limit - 1
        if last >= len(taken):
            break
        begins = taken[first] if first < place else moment
        ends = moment if last < place else taken[last]
        if ends - begins < window:
            return False
    return True


@frozen
class Placed:
    """An order that went out."""

    at: datetime
    owner: str = ""

    @classmethod
    def read(cls, stored: Any) -> Placed:
        """A stored one; before there were owners it was a stamp alone."""
        return cls(stamped(stored[0]), str(stored[1])) if isinstance(stored, list) else cls(stamped(stored))

    def to_json(self) -> int | list[Any]:
        """As it is kept."""
        return [stamp(self.at), self.owner] if self.owner else stamp(self.at)


@frozen
class Promise:
    """A turn that was promised for a moment."""

    at: datetime
    owner: str = ""
    #: It is of a renewal near its end, from which no other owner takes it.
    near_end: bool = False
    #: When the leaf that it renews ends, as a stamp; 0 without one.
    ends: int = 0

    @classmethod
    def read(cls, stored: Any) -> Promise:
        """A stored one; before there were owners it was a stamp alone."""
        if isinstance(stored, list):
            return cls(stamped(stored[0]), str(stored[1]), bool(stored[2]), *stored[3:4])
        return cls(stamped(stored))

    def to_json(self) -> list[Any]:
        """As it is kept."""
        return [stamp(self.at), self.owner, self.near_end, self.ends]


@frozen(kw_only=True)
class Lane:
    """A share of a limit: the orders that went out, and the turns that were promised."""

    placed: tuple[Placed, ...]
    promised: Mapping[str, Promise]

    @classmethod
    def read(cls, stored: Mapping[str, Any], limit: Limit, now: datetime) -> Lane:
        """Without what has slid out of the window, and without promises that nobody has taken up.

        Promises further ahead than any is made, and orders further ahead than clocks are apart, are of a clock that
        was wrong: they are left out, too.
        """
        placed = map(Placed.read, stored.get("placed", ()))
        promised = {issuance: Promise.read(one) for issuance, one in stored.get("promised", {}).items()}
        return cls(
            placed=tuple(one for one in placed if now - limit.span < one.at <= now + _APART),
            promised={
                issuance: one for issuance, one in promised.items() if now - HORIZON < one.at <= now + _LONGEST_PROMISE
            },
        )

    def taken(self, issuance_id: str, now: datetime, robbed: str = "") -> list[datetime]:
        """What is taken already for this one, ascending: who has a promise passes those who came later.

        Args:
            issuance_id: Who asks.
            now: The present moment.
            robbed: Whose promise does not count, because it is taken away.
        """
        others = () if issuance_id in self.promised else self.promised.items()
        promises = (one.at for issuance, one in others if issuance != robbed)
        return sorted((*seen_from((one.at for one in self.placed), now), *promises))

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        promised = {issuance: one.to_json() for issuance, one in self.promised.items()}
        return {"placed": [one.to_json() for one in self.placed], "promised": promised}


def used_by_owner(lanes: Iterable[Lane]) -> Counter[str]:
    """How many turns each owner has had within the window, or is promised."""
    return Counter(one.owner for lane in lanes for turns in (lane.placed, lane.promised.values()) for one in turns)


def seen_from(moments: Iterable[datetime], now: datetime) -> list[datetime]:
    """Moments of the past by the clocks of other workers, ascending: one that is ahead of our clock counts as now."""
    return sorted(min(one, now) if one - now <= _APART else one for one in moments)


def stamped(stored: int) -> datetime:
    """The moment of a `stamp`."""
    return datetime.fromtimestamp(stored / 1000, UTC)


def stamp(moment: datetime) -> int:
    """Milliseconds since 1970, rounded up: never earlier than the moment."""
    return -int(-moment.timestamp() * 1000 // 1)


def registered_domain(name: str) -> str:
    """The part of a name that somebody has registered, by the public suffix list; the name itself where it is none.

    Args:
        name: A-labels, possibly with ``*.`` in front.
    """
    base = name.removeprefix("*.")
    return str(_suffixes().privatesuffix(base) or base)


def same_names(names: Iterable[str]) -> str:
    """A short text that is the same for the same set of names."""
    return hashlib.sha256("\n".join(sorted(set(names))).encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - it reads 10,000 lines

    return PublicSuffixList()
