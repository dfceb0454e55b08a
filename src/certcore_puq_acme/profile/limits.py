"""Rate limits of CAs: their text form, and pure functions that count moments against them.

A limit is a count within a sliding window: no period of that length, wherever it begins, contains more orders. This is
stricter than the token buckets of some CAs, so it satisfies those as well.

Each order gets a *turn*: the moment at which it may be placed. A *promise* is a turn in the future.
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

#: If an order's turn is too far ahead for a promise, the order asks again this long before its turn.
HORIZON: Final = timedelta(hours=1)
#: How far the clocks of two workers may differ, and how far a clock may be set back. A stamp that is further ahead was
#: made by a wrong clock, and is ignored, because otherwise it would count against the limit until then.
_APART: Final = timedelta(days=1)
#: A turn may be promised this much further ahead than the horizon. Orders that were placed shortly after each other
#: also leave the window shortly after each other. So all that ask again before the first of these turns get a promise.
SLACK: Final = timedelta(minutes=15)
#: No promise is further ahead than this. The 5 minutes allow for differences between the clocks of workers.
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
    """What a limit counts."""

    #: New orders of the account.
    ORDERS = "orders"
    #: Certificates for a registered domain and the names below it, by the public suffix list.
    REGISTERED_DOMAIN = "registered_domain"
    #: Certificates for exactly the same set of names.
    SAME_NAMES = "same_names"
    #: Failed authorizations of one name.
    FAILED_AUTHORIZATIONS = "failed_authorizations"


@frozen(kw_only=True)
class Limit:
    """The greatest number of orders in a period."""

    kind: LimitKind
    count: int
    window: timedelta
    #: Renewals (the same names at the same CA) do not count.
    except_renewals: bool = False
    #: Renewals whose order names the leaf that it replaces (RFC 9773 section 5) do not count.
    except_ari: bool = False

    @classmethod
    def parse(cls, text: str, field: str) -> Limit:
        """Read a text such as ``orders 300 per 3h except renewals and ari``.

        Raises:
            InvalidInputError: The text does not have this form.
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
            renewal: The order is for the same names as the leaf in service, which is from the same CA.
            ari: The order names the leaf that it replaces (RFC 9773 section 5).
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
    """Read one line of a list of limits.

    Raises:
        InvalidInputError: The line is neither a limit nor ``none``.
    """
    return NoLimits() if text.strip().lower() == str(NoLimits()) else Limit.parse(text, field)


def limits_of(entries: Iterable[Limit | NoLimits], preset: Iterable[str]) -> tuple[Limit, ...]:
    """The limits in force: those of the CA profile, or those of the CA's preset if the CA profile has none.

    Args:
        entries: The lines of the profile.
        preset: The published limits of the CA, as text.
    """
    own = tuple(entries)
    if own:
        return tuple(entry for entry in own if isinstance(entry, Limit))
    return tuple(Limit.parse(text, "limits") for text in preset)


def free_at(placed: Sequence[datetime], limit: int, window: timedelta, now: datetime) -> datetime:
    """The first moment, not before ``now``, at which another order can be placed.

    Args:
        placed: The moments of other orders, past and promised, in ascending order.
        limit: How many orders a window may contain.
        window: The length of the window.
        now: The present moment.
    """
    candidates = (now, *(moment + window for moment in placed if moment + window > now))
    return next(candidate for candidate in candidates if _fits(placed, candidate, limit, window))


def _fits(placed: Sequence[datetime], moment: datetime, limit: int, window: timedelta) -> bool:
    """Whether an order at this moment leaves no window with too many orders."""
    place = bisect(placed, moment)
    for first in range(max(0, place - limit), place + 1):
        # If these orders and the new one are all in a window, the window has one order too many.
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
        """Read the stored form; an order without an owner is stored as its stamp alone."""
        return cls(stamped(stored[0]), str(stored[1])) if isinstance(stored, list) else cls(stamped(stored))

    def to_json(self) -> int | list[Any]:
        """The stored form."""
        return [stamp(self.at), self.owner] if self.owner else stamp(self.at)


@frozen
class Promise:
    """A turn that was promised for a moment."""

    at: datetime
    owner: str = ""
    #: The turn is for the renewal of a leaf that expires soon, so it is not given to another owner.
    near_end: bool = False
    #: When the leaf to renew expires, as a `stamp`; 0 if the order is not a renewal.
    ends: int = 0

    @classmethod
    def read(cls, stored: Any) -> Promise:
        """Read the stored form; older versions stored the stamp alone."""
        if isinstance(stored, list):
            return cls(stamped(stored[0]), str(stored[1]), bool(stored[2]), *stored[3:4])
        return cls(stamped(stored))

    def to_json(self) -> list[Any]:
        """The stored form."""
        return [stamp(self.at), self.owner, self.near_end, self.ends]


@frozen(kw_only=True)
class Lane:
    """A share of a limit: the orders that were placed, and the turns that were promised."""

    placed: tuple[Placed, ...]
    #: By issuance.
    promised: Mapping[str, Promise]

    @classmethod
    def read(cls, stored: Mapping[str, Any], limit: Limit, now: datetime) -> Lane:
        """Read the stored form, without orders from before the window and without promises that were not used.

        Promises and orders that are too far ahead are also left out, because they were stored by a wrong clock.
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
        """The stored form."""
        promised = {issuance: promise.to_json() for issuance, promise in self.promised.items()}
        return {"placed": [turn.to_json() for turn in self.placed], "promised": promised}


def used_by_owner(lanes: Iterable[Lane]) -> Counter[str]:
    """How many orders and promises each owner has within the window."""
    return Counter(turn.owner for lane in lanes for turns in (lane.placed, lane.promised.values()) for turn in turns)


def seen_from(moments: Iterable[datetime], now: datetime) -> list[datetime]:
    """Moments by the clocks of other workers, ascending. A moment that is ahead of our clock is replaced by ``now``."""
    return sorted(min(moment, now) if moment - now <= _APART else moment for moment in moments)


def stamped(stored: int) -> datetime:
    """The moment of a `stamp`."""
    return datetime.fromtimestamp(stored / 1000, UTC)


def stamp(moment: datetime) -> int:
    """Milliseconds since 1970, rounded up, so that the stamp is never before the moment."""
    return -int(-moment.timestamp() * 1000 // 1)


def registered_domain(name: str) -> str:
    """The registered domain of a name by the public suffix list, or the name itself if it has none.

    Args:
        name: A-labels, possibly with ``*.`` in front.
    """
    base = name.removeprefix("*.")
    return str(_suffixes().privatesuffix(base) or base)


def registry_domain(name: str) -> str:
    """The domain that a registry delegates; private suffixes such as ``github.io`` are not taken into account.

    Args:
        name: A-labels, possibly with ``*.`` or ``_acme-challenge.`` in front.
    """
    base = name.removeprefix("*.")
    return str(_registries().privatesuffix(base) or base)


def is_public_suffix(name: str) -> bool:
    """Whether a name is a registry's own suffix, below which domains are registered."""
    return _registries().publicsuffix(name) == name and _registries().privatesuffix(name) is None


def same_names(names: Iterable[str]) -> str:
    """A digest of a set of names, equal for equal sets."""
    return hashlib.sha256("\n".join(sorted(set(names))).encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def _registries() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - see _suffixes

    return PublicSuffixList(only_icann=True)


@lru_cache(maxsize=1)
def _suffixes() -> Any:
    from publicsuffixlist import PublicSuffixList  # noqa: PLC0415 - it reads 10,000 lines

    return PublicSuffixList()
