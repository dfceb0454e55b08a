"""The recent changes of the tech zone by name, and the zone's serial, in one document.

Every transaction that changes TXT values notes their names here. A name server that caches records reads this document
to know which records to drop from its cache. The serial (RFC 1982) changes with every change, and all name servers show
the same one. The document has a bounded length: names are noted as digests, and only the latest ones are kept. A server
that missed more changes drops its whole cache.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from attrs import frozen

__all__ = ["CHANGES_KEY", "ZoneChanges", "name_digest", "next_serial"]

#: The document's key.
CHANGES_KEY: Final = "tech_zone/changes"
#: How many name digests are kept at most.
_MAX_NAMES: Final = 256
_SERIALS: Final = 2**32


@frozen
class ZoneChanges:
    """The last changes of the tech zones."""

    #: The serial after the last change; None when there was none.
    serial: int | None = None
    #: The serial before the oldest recorded change.
    since: int | None = None
    #: For each change, oldest first: the serial after it, and the digests of the names. It is the document's own array,
    #: not converted, because other writers wait for the transaction that reads and writes it.
    recent: Sequence[Sequence[Any]] = ()

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> ZoneChanges:
        """Read the document's value, which is empty if there is no document."""
        if not value:
            return cls()
        return cls(serial=value["serial"], since=value["since"], recent=value["recent"])

    def names_changed_since(self, serial: int | None) -> frozenset[int] | None:
        """The digests of the names that changed after a serial; None if that is not known."""
        if serial == self.serial:
            return frozenset()
        serials = [self.since, *(each for each, _ in self.recent)]
        if serial not in serials:
            return None
        after = self.recent[serials.index(serial) :]
        return frozenset[int]().union(*(names for _, names in after))

    def have_name_since(self, name: str, moment: datetime) -> bool:
        """Whether the document notes a change of a name at or after a moment."""
        begin = next_serial(None, moment)
        digest = name_digest(name)
        return any(digest in names and (serial - begin) % _SERIALS < _SERIALS // 2 for serial, names in self.recent)

    def with_change(self, names: Collection[str], now: datetime | None) -> ZoneChanges:
        """These changes and one more.

        Args:
            names: The names whose records changed.
            now: The current time, for the serial.
        """
        serial = next_serial(self.serial, now)
        recent = [*self.recent, [serial, sorted({name_digest(name) for name in names})]]
        since = self.since
        excess = sum(map(len, map(itemgetter(1), recent))) - _MAX_NAMES
        dropped = 0
        while excess > 0:
            since, digests = recent[dropped]
            excess -= len(digests)
            dropped += 1
        return ZoneChanges(serial, since, recent[dropped:])

    def value(self) -> dict[str, Any]:
        """The document's value."""
        return {"serial": self.serial, "since": self.since, "recent": list(self.recent)}


def name_digest(name: str) -> int:
    """A short digest of a name. Names with the same digest are dropped from caches together."""
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


def next_serial(serial: int | None, now: datetime | None) -> int:
    """The serial after a change: the time in seconds since 1970, or the last serial plus one if that is not later.

    Serials are 32 bits and wrap (RFC 1982).
    """
    clock = 1 if now is None else int(now.timestamp()) % _SERIALS
    if serial is None:
        return clock
    is_later = now is not None and 0 < (clock - serial) % _SERIALS < _SERIALS // 2
    return clock if is_later else (serial + 1) % _SERIALS
