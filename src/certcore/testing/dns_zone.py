"""A DNS zone in memory, for tests and demonstrations."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from certcore.errors import InvalidInputError
from certcore.ports.dns import Zone

__all__ = ["MemoryZone"]


class MemoryZone:
    """A `certcore.plugin.ZoneSource` with one zone. It is thread-safe, and can be changed while it is served.

    Names are full names at or below the apex, in upper or lower case, with or without a trailing dot. Types are
    mnemonics such as ``TXT``. Values are in presentation format without quotes.

    Example:
        >>> zone = MemoryZone("example.com")
        >>> zone.set("_acme-challenge.example.com", "CNAME", "abc.acme.example.net")
        >>> zone.records(zone.zone, "_acme-challenge.example.com")
        {'CNAME': ('abc.acme.example.net',)}

    Args:
        apex: The zone's name.
        nameservers: The host names of its name servers; by default ``ns1.<apex>``.
        ttl: The TTL of records, in seconds.
        negative_ttl: How many seconds resolvers may cache that a name does not exist.

    Raises:
        InvalidInputError: The apex is empty.
    """

    def __init__(self, apex: str, nameservers: Sequence[str] = (), *, ttl: int = 30, negative_ttl: int = 5) -> None:
        name = _canonical(apex)
        if not name:
            raise InvalidInputError("apex", "a zone needs a name.")
        servers = tuple(_canonical(server) for server in nameservers) or (f"ns1.{name}",)
        #: The settings of the zone.
        self.zone = Zone(apex=name, nameservers=servers, ttl=ttl, negative_ttl=negative_ttl)
        self._lock = threading.Lock()
        self._records: dict[str, dict[str, tuple[str, ...]]] = {}

    def set(self, name: str, rdtype: str, *values: str) -> None:
        """Replace all values of a type at a name. Without values, they are removed.

        Raises:
            InvalidInputError: The name is not in the zone.
        """
        name, rdtype = self._inside(name), rdtype.upper()
        with self._lock:
            self._put(name, rdtype, values)

    def add(self, name: str, rdtype: str, *values: str) -> None:
        """Add values of a type at a name. Existing values are kept, and duplicates are ignored.

        Raises:
            InvalidInputError: The name is not in the zone.
        """
        name, rdtype = self._inside(name), rdtype.upper()
        with self._lock:
            self._put(name, rdtype, (*self._records.get(name, {}).get(rdtype, ()), *values))

    def remove(self, name: str, rdtype: str, value: str | None = None) -> None:
        """Remove one value of a type at a name, or all of them. A missing value is not an error.

        Raises:
            InvalidInputError: The name is not in the zone.
        """
        name, rdtype = self._inside(name), rdtype.upper()
        with self._lock:
            old = self._records.get(name, {}).get(rdtype, ())
            self._put(name, rdtype, () if value is None else [each for each in old if each != value])

    def zones(self) -> Sequence[Zone]:
        """The zone."""
        return (self.zone,)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The present records at a name."""
        del zone
        with self._lock:
            return dict(self._records.get(name, {}))

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether any name below a name has records."""
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
