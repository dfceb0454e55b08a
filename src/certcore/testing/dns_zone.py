"""A DNS zone in memory: a customer's zone in a demo, and anybody's in tests."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from certcore.errors import InvalidInputError
from certcore.ports.dns import Zone

__all__ = ["MemoryZone"]


class MemoryZone:
    """One zone as a `certcore.ports.dns.ZoneSource` that can be changed while it is served, from any thread.

    Names are full names at or below the apex, in any case, with or without a trailing dot. Types are mnemonics; values
    are in presentation form without quotes.

    Example:
        >>> zone = MemoryZone("example.com")
        >>> zone.set("_acme-challenge.example.com", "CNAME", "abc.acme.example.net")
        >>> zone.records(zone.zone, "_acme-challenge.example.com")
        {'CNAME': ('abc.acme.example.net',)}

    Args:
        apex: The zone's name.
        nameservers: The host names of its name servers; ``ns1.<apex>`` when there are none.
        ttl: Seconds that an answer may be kept.
        negative_ttl: Seconds that "there is no such name" may be kept.

    Raises:
        InvalidInputError: The apex is empty.
    """

    def __init__(self, apex: str, nameservers: Sequence[str] = (), *, ttl: int = 30, negative_ttl: int = 5) -> None:
        name = _canonical(apex)
        if not name:
            raise InvalidInputError("apex", "a zone needs a name.")
        servers = tuple(_canonical(server) for server in nameservers) or (f"ns1.{name}",)
        #: The zone as name servers see it.
        self.zone = Zone(apex=name, nameservers=servers, ttl=ttl, negative_ttl=negative_ttl)
        self._lock = threading.Lock()
        self._records: dict[str, dict[str, tuple[str, ...]]] = {}

    def set(self, name: str, rdtype: str, *values: str) -> None:
        """Make these the only values of a type at a name; without values there are none any more.

        Raises:
            InvalidInputError: The name is not in the zone.
        """
        name, rdtype = self._inside(name), rdtype.upper()
        with self._lock:
            self._put(name, rdtype, values)

    def add(self, name: str, rdtype: str, *values: str) -> None:
        """Add values beside those that are there; one that is there already stays once.

        Raises:
            InvalidInputError: The name is not in the zone.
        """
        name, rdtype = self._inside(name), rdtype.upper()
        with self._lock:
            self._put(name, rdtype, (*self._records.get(name, {}).get(rdtype, ()), *values))

    def remove(self, name: str, rdtype: str, value: str | None = None) -> None:
        """Remove one value of a type at a name, or all of them; a missing value is not an error.

        Raises:
            InvalidInputError: The name is not in the zone.
        """
        name, rdtype = self._inside(name), rdtype.upper()
        with self._lock:
            old = self._records.get(name, {}).get(rdtype, ())
            self._put(name, rdtype, () if value is None else [each for each in old if each != value])

    def zones(self) -> Sequence[Zone]:
        """The one zone."""
        return (self.zone,)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The records at a name, as they are now."""
        del zone
        with self._lock:
            return dict(self._records.get(name, {}))

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether any name below has records."""
        del zone
        with self._lock:
            return any(each.endswith(f".{name}") for each in self._records)

    def _put(self, name: str, rdtype: str, values: Sequence[str]) -> None:
        here = self._records.setdefault(name, {})
        here[rdtype] = tuple(dict.fromkeys(values))
        if not here[rdtype]:
            del here[rdtype]
        if not here:
            del self._records[name]

    def _inside(self, name: str) -> str:
        canonical = _canonical(name)
        if canonical != self.zone.apex and not canonical.endswith(f".{self.zone.apex}"):
            raise InvalidInputError("name", f"{name!r} is not in the zone {self.zone.apex}.")
        return canonical


def _canonical(name: str) -> str:
    return name.removesuffix(".").lower()
