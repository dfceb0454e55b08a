"""Rate limits of CAs: their text form, and pure functions that count moments against them.

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

from certcore.errors import InvalidInputError
from certcore.messages import Message

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
    "is_public_suffix",
    "limits_of",
    "parse_limit",
    "registered_domain",
    "registry_domain",
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
#: Turns follow the earlier orders: a certificate that asks within an hour before the first of them is promised one,
#: too, in the order of asking.
SLACK: Final = timedelta(minutes=15)
#: No promise is made for later than this; workers' clocks may be some minutes apart.
_LONGEST_PROMISE: Final = HORIZON + SLACK + timedelta(minutes=5)
_MAX_COUNT: Final = 1_000_000
_UNITS: Final = MappingProxyType({"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)})
_LONG_FIRST: Final = tuple(reversed(tuple(_UNITS.items())))
_FORM: Final = re.compile(
    r"(?P<kind>[a-z_]+)\s+(?P<count>\d{1,7})\s+per\s+(?P<length>\d{1,4})\s*(?P<unit>[mhd])"
    r"(?:\s+except\s+(?P<except>[a-z ,]+))?"
)
_MAX_PERIOD: Final = timedelta(days=366)
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
    """A number of orders in a period."""

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
            InvalidInputError: It is not of this form.
        """
        match = _FORM.fullmatch(" ".join(text.lower().split()))
        if match is None:
            raise InvalidInputError(
                field,
                Message(
                    "puq_acme.limit.form",
                    "{limit} is not of the form: orders 300 per 3h except renewals and ari (m, h or d).",
                    {"limit": repr(text[:60])},
                ),
            )
        kinds = [str(kind) for kind in LimitKind]
        if match["kind"] not in kinds:
            raise InvalidInputError(
                field,
                Message(
                    "input.not_one_of",
                    "{value} is not one of: {choices}.",
                    {"value": repr(match["kind"][:40]), "choices": ", ".join(kinds)},
                ),
            )
        count, window = int(match["count"]), int(match["length"]) * _UNITS[match["unit"]]
        if not 1 <= count <= _MAX_COUNT or not timedelta(0) < window <= _MAX_PERIOD:
            raise InvalidInputError(
                field,
                Message(
                    "puq_acme.limit.range",
                    "{limit}: from 1 to {most} within at most 366 days.",
                    {"limit": repr(text[:60]), "most": _MAX_COUNT},
                ),
            )
        exceptions = {exception for exception in re.split(r"[ ,]+", match["except"] or "") if exception} - {"and"}
        if exceptions - {"renewals", "ari"}:
            raise InvalidInputError(
                field,
                Message(
                    "puq_acme.limit.exceptions",
                    "{limit}: only renewals and ari can be exempted.",
                    {"limit": repr(text[:60])},
                ),
            )
        return cls(
            kind=LimitKind(match["kind"]),
            count=count,
            window=window,
            except_renewals="renewals" in exceptions,
            except_ari="ari" in exceptions,
        )

    @property
    def span(self) -> timedelta:
        """The period with a margin, because requests take different times to reach the CA."""
        return self.window + min(self.window / 100, _MARGIN)

    def counts(self, *, renewal: bool, ari: bool) -> bool:
        """Whether an order counts towards this limit.

        Args:
            renewal: It is for the same names as the leaf in service, which is from the same CA.
            ari: It says which leaf it replaces.
        """
        return not (renewal and self.except_renewals) and not (ari and self.except_ari)

    def __str__(self) -> str:
        exceptions = [
            name for name, is_excepted in (("renewals", self.except_renewals), ("ari", self.except_ari)) if is_excepted
        ]
        unit, length = next((unit, seconds) for unit, seconds in _LONG_FIRST if not self.window % seconds)
        more = f" except {' and '.join(exceptions)}" if exceptions else ""
        return f"{self.kind} {self.count} per {self.window // length}{unit}{more}"


@frozen
class NoLimits:
    """The word ``none`` in a list of limits: the CA's published limits do not apply either."""

    def __str__(self) -> str:
        return "none"


def parse_limit(text: str, field: str) -> Limit | NoLimits:
    """One line of a list of limits.

    Raises:
        InvalidInputError: It is neither a limit nor ``none``.
    """
    return NoLimits() if text.strip().lower() == str(NoLimits()) else Limit.parse(text, field)


def limits_of(entries: Iterable[Limit | NoLimits], preset: Iterable[str]) -> tuple[Limit, ...]:
    """The limits in force: the user's, else those of the CA's preset.

    Args:
        entries: What the profile says.
        preset: The published limits of the CA, as text.
    """
    own = tuple(entries)
    if own:
        return tuple(entry for entry in own if isinstance(entry, Limit))
    return tuple(Limit.parse(text, "limits") for text in preset)


def free_at(placed: Sequence[datetime], limit: int, window: timedelta, now: datetime) -> datetime:
    """The first moment from now on at which another order fits.

    Args:
        placed: The moments that are taken, past and future, ascending.
        limit: How many may fall into any window.
        window: Its length.
        now: The present moment.
    """
    candidates = (now, *(moment + window for moment in placed if moment + window > now))
    return next(candidate for candidate in candidates if _fits(placed, candidate, limit, window))


def _fits(placed: Sequence[datetime], moment: datetime, limit: int, window: timedelta) -> bool:
    """Whether no window would hold too many with this moment in it."""
    place = bisect(placed, moment)
    for first in range(max(0, place - limit), place + 1):
        # The moments from ``first`` on with the new one among them: one more than may be in a window.
        last = first + limit - 1
        if last >= len(placed):
            break
        begins = placed[first] if first < place else moment
        ends = moment if last < place else placed[last]
        if ends - begins < window:
            return False
    return True


@frozen
class Placed:
    """An order that was placed."""

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
        """Without orders before the window and promises that were not used.

        Promises further ahead than any is made, and orders further ahead than clocks are apart, are of a clock that
        was wrong: they are left out, too.
        """
        placed = map(Placed.read, stored.get("placed", ()))
        promised = {issuance: Promise.read(entry) for issuance, entry in stored.get("promised", {}).items()}
        return cls(
            placed=tuple(turn for turn in placed if now - limit.span < turn.at <= now + _APART),
            promised={
                issuance: promise
                for issuance, promise in promised.items()
                if now - HORIZON < promise.at <= now + _LONGEST_PROMISE
            },
        )

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        promised = {issuance: promise.to_json() for issuance, promise in self.promised.items()}
        return {"placed": [turn.to_json() for turn in self.placed], "promised": promised}


def used_by_owner(lanes: Iterable[Lane]) -> Counter[str]:
    """How many turns each owner has had within the window, or is promised."""
    return Counter(turn.owner for lane in lanes for turns in (lane.placed, lane.promised.values()) for turn in turns)


def seen_from(moments: Iterable[datetime], now: datetime) -> list[datetime]:
    """Moments of the past by the clocks of other workers, ascending: one that is ahead of our clock counts as now."""
    return sorted(min(moment, now) if moment - now <= _APART else moment for moment in moments)


def stamped(stored: int) -> datetime:
    """The moment of a `stamp`."""
    return datetime.fromtimestamp(stored / 1000, UTC)


def stamp(moment: datetime) -> int:
    """Milliseconds since 1970, rounded up: never earlier than the moment."""
    return -int(-moment.timestamp() * 1000 // 1)


def registered_domain(name: str) -> str:
    """The registered domain of a name by the public suffix list, or the name itself when there is none.

    Args:
        name: A-labels, possibly with ``*.`` in front.
    """
    base = name.removeprefix("*.")
    return str(_suffixes().privatesuffix(base) or base)


def registry_domain(name: str) -> str:
    """The domain that a registry delegates, regardless of suffixes that are no registry's (``github.io``, say).

    Args:
        name: A-labels, possibly with ``*.`` or ``_acme-challenge.`` in front.
    """
    base = name.removeprefix("*.")
    return str(_registries().privatesuffix(base) or base)


def is_public_suffix(name: str) -> bool:
    """Whether a name is a registry's own suffix, below which domains are registered."""
    return _registries().publicsuffix(name) == name and _registries().privatesuffix(name) is None


def same_names(names: Iterable[str]) -> str:
    """A digest of a set of names."""
    return hashlib.sha256("\n".join(sorted(set(names))).encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _registries() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - see _suffixes

    return PublicSuffixList(only_icann=True)


@lru_cache(maxsize=1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - it reads 10,000 lines

    return PublicSuffixList()
