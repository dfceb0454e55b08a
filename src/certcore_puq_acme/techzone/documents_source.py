"""The tech zones with the TXT values of the module's documents, cached until they change."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field, frozen

from certcore.ports.ca_module import Documents
from certcore.ports.dns import Zone
from certcore.ports.environment import Environment
from certcore_puq_acme.techzone.records import is_record_name, key_prefix, name_of_key
from certcore_puq_acme.techzone.zone_changes import CHANGES_KEY, ZoneChanges, name_digest

__all__ = ["DocumentsZoneSource"]

_log = logging.getLogger(__name__)

#: How long cached records are used without a check, where the store cannot report changes at once.
_UNSEEN_FOR: Final = timedelta(milliseconds=20)
#: How long records are cached. Older versions of certcore, without `ZoneChanges`, may change them unnoticed.
_REMEMBERED_FOR: Final = timedelta(minutes=5)
_ABSENT_FOR: Final = timedelta(seconds=1)
#: The approximate size of cached records in octets, and the number of cached names without records.
_MAX_MEMORY: Final = 64 * 1024 * 1024
_MAX_ABSENT: Final = 10_000
#: The approximate memory of an entry and of a value in octets, without their text.
_ENTRY: Final = 800
_VALUE: Final = 64


@frozen
class _Known:
    zones: tuple[Zone, ...]
    read_at: datetime
    #: The store's change mark before the zones were read.
    mark: object | None


@frozen
class _Entry:
    """The cached records of a name."""

    name: str
    records: Mapping[str, Sequence[str]]
    read_at: datetime
    #: Whether there are names below it; None if unknown.
    names_below: bool | None = None


@define(eq=False)
class _Memory:
    """A cache of records by the digest of their name, the oldest first, and of names without records."""

    #: The approximate size of the records in octets.
    max_octets: int
    #: The largest number of names without records.
    max_absent: int
    _present: dict[int, _Entry] = field(factory=dict, init=False)
    _absent: dict[str, _Entry] = field(factory=dict, init=False)
    _size: int = field(default=0, init=False)

    def get(self, name: str, now: datetime) -> _Entry | None:
        """The cached records of a name, if any."""
        entry = self._present.get(name_digest(name))
        if entry is not None and entry.name == name:
            return entry if abs(now - entry.read_at) < _REMEMBERED_FOR else None
        entry = self._absent.get(name)
        return entry if entry is not None and abs(now - entry.read_at) < _ABSENT_FOR else None

    def put(self, entry: _Entry) -> None:
        """Cache a name. If the cache is full, the oldest entries are dropped."""
        if not entry.records:
            if len(self._absent) >= self.max_absent:
                self._absent.clear()
            self._absent[entry.name] = entry
            return
        self._forget(name_digest(entry.name))
        self._present[name_digest(entry.name)] = entry
        self._size += _size_of(entry)
        while self._size > self.max_octets and self._present:
            self._forget(next(iter(self._present)))

    def forget(self, digests: frozenset[int] | None) -> None:
        """Drop names, or everything. All names without records are dropped, because a new name may be below them."""
        self._absent.clear()
        if digests is None:
            self._present.clear()
            self._size = 0
            return
        for digest in digests:
            self._forget(digest)

    def _forget(self, digest: int) -> None:
        entry = self._present.pop(digest, None)
        if entry is not None:
            self._size -= _size_of(entry)


@frozen
class Recollection:
    """The cached records at a moment; implements `certcore.ports.dns.RecalledRecords`."""

    _memory: _Memory
    serial: int | None
    _now: datetime

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]] | None:
        """The records at a name; None if they are not cached."""
        if (addresses := _addresses(zone, name)) is not None:
            return addresses
        entry = self._memory.get(name, self._now)
        return None if entry is None else entry.records

    def has_names_below(self, zone: Zone, name: str) -> bool | None:
        """Whether there are names below a name; None if this is not cached."""
        if (below := _is_above_a_host(zone, name)) is not None:
            return below
        entry = self._memory.get(name, self._now)
        return None if entry is None else entry.names_below


class DocumentsZoneSource:
    """Serves the TXT values of `TechZoneRecords` as soon as they are stored.

    Records are cached until `ZoneChanges` contains their name, or for five minutes. If the store has a change mark,
    changes are seen at once; otherwise they are queried every 20 ms.

    Args:
        documents: The module's documents.
        zones: Returns the zones to serve. Of several zones with the same apex, the first one is used.
        environment: The clock.
        refresh: How long the result of ``zones`` is cached.
        max_memory: The approximate size of cached records in octets.
        max_absent: The largest number of cached names without records.
    """

    def __init__(
        self,
        documents: Documents,
        zones: Callable[[], Sequence[Zone]],
        environment: Environment,
        *,
        refresh: timedelta = timedelta(seconds=1),
        max_memory: int = _MAX_MEMORY,
        max_absent: int = _MAX_ABSENT,
    ) -> None:
        self._documents = documents
        self._read_zones = zones
        self._environment = environment
        self._refresh = refresh
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._memory = _Memory(max_memory, max_absent)
        self._remembering = threading.Lock()
        self._looking = threading.Lock()
        self._changes = ZoneChanges()
        #: The store's change mark before the last query for changes, and the time of that query.
        self._mark: object | None = None
        self._looked_at: datetime | None = None

    def zones(self) -> Sequence[Zone]:
        """The zones, read again after ``refresh`` (a second by default). The very first zone is served at once.

        If the zones cannot be read again, the last known zones are returned, so that a query for a zone of another
        source does not fail. `records` raises the error of a broken store.
        """
        known = self._known
        now = self._environment.now()
        # Also read again if the clock was set back; otherwise the next time could be far in the future.
        if known is not None and self._is_fresh(known, now):
            return known.zones
        with self._lock:
            if self._known is not known and self._known is not None:
                return self._known.zones  # another thread was faster
            try:
                mark = self._documents.change_mark()
                zones = tuple({zone.apex: zone for zone in reversed(self._read_zones())}.values())
            except Exception as error:  # isolation: any store's or profile's error
                if known is None:
                    raise
                _log.warning("The tech zones could not be read again (%s); the last ones stand", type(error).__name__)
                zones, mark = known.zones, None
            self._known = _Known(zones, now, mark)
            return zones

    def _is_fresh(self, known: _Known, now: datetime) -> bool:
        age = abs(now - known.read_at)
        if known.zones:
            return age < self._refresh
        # Without zones, read again after any commit, and after 20 ms, so that the first zone is served at once.
        return age < _UNSEEN_FOR and self._documents.change_mark() == known.mark

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The TXT values at a name, or the addresses of a name server inside the zone."""
        known = self.recall()
        records = _addresses(zone, name) if known is None else known.records(zone, name)
        if records is not None:
            return records
        changes = self._look()
        now = self._environment.now()
        prefix = f"{key_prefix(name)}/"
        values = sorted(
            {str(each.value["value"]) for each in self._documents.list(prefix) if each.key.startswith(prefix)}
        )
        records = {"TXT": values} if values else {}
        self._remember(_Entry(name, records, now), changes)
        return records

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether a name below this name has TXT values, or is the name of a name server."""
        known = self.recall()
        below = _is_above_a_host(zone, name) if known is None else known.has_names_below(zone, name)
        if below is not None:
            return below
        changes = self._look()
        now = self._environment.now()
        prefix = f"{key_prefix(name)}."
        below = any(each.key.startswith(prefix) for each in self._documents.list(prefix))
        if known is not None and known.records(zone, name) == {}:
            self._remember(_Entry(name, {}, now, below), changes)
        return below

    def all_records(self, zone: Zone) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
        """All names with TXT values, and the names of name servers inside the zone. The store is read in parts."""
        for host in zone.addresses:
            if host == zone.apex or host.endswith(f".{zone.apex}"):
                yield host, _addresses(zone, host) or {}
        prefix, after = key_prefix(zone.apex), ""
        others = [each.apex for each in self.zones() if each.apex.endswith(f".{zone.apex}")]
        name, values = "", set[str]()
        while page := self._documents.list(prefix, after=after):
            after = page[-1].key
            for document in page:
                owner = name_of_key(document.key)
                if owner != name:
                    if values:
                        yield name, {"TXT": sorted(values)}
                    name, values = owner, set()
                lower = any(owner == other or owner.endswith(f".{other}") for other in others)
                if document.key[len(prefix) : len(prefix) + 1] in {"/", "."} and not lower:
                    values.add(str(document.value["value"]))
        if values:
            yield name, {"TXT": sorted(values)}

    def recall(self) -> Recollection | None:
        """The cached answers; None if they may be outdated.

        Raises:
            CertCoreError: The store is closed or cannot be used now.
        """
        now = self._environment.now()
        return Recollection(self._memory, self._changes.serial, now) if self._has_looked(now) else None

    def serial(self) -> int | None:
        """The zone's serial number after the last change; None if there was no change yet."""
        return self._look().serial

    def _has_looked(self, now: datetime) -> bool:
        """Whether the known changes are up to date."""
        if self._looked_at is None:
            return False
        mark = self._documents.change_mark()
        return abs(now - self._looked_at) < _UNSEEN_FOR if mark is None else mark == self._mark

    def _look(self) -> ZoneChanges:
        """Drop changed names from the cache; returns the present changes."""
        if self._has_looked(self._environment.now()):
            return self._changes
        with self._looking:
            now = self._environment.now()
            if self._has_looked(now):
                return self._changes  # another thread was faster
            mark = self._documents.change_mark()
            document = self._documents.get(CHANGES_KEY)
            changes = ZoneChanges.of({} if document is None else document.value)
            if changes != self._changes or self._looked_at is None:
                with self._remembering:
                    self._memory.forget(changes.names_changed_since(self._changes.serial))
                    self._changes = changes
            self._mark, self._looked_at = mark, now
            return changes

    def _remember(self, entry: _Entry, changes: ZoneChanges) -> None:
        with self._remembering:
            # If a change has become known meanwhile, the records that were read may be outdated.
            if changes is self._changes:
                self._memory.put(entry)


def _addresses(zone: Zone, name: str) -> Mapping[str, Sequence[str]] | None:
    """The addresses of a name server inside the zone; empty for a name that cannot have records; otherwise None."""
    if not is_record_name(name):
        return {}
    addresses = zone.addresses.get(name)
    if not addresses:
        return None
    kinds = {"A": [each for each in addresses if ":" not in each], "AAAA": [each for each in addresses if ":" in each]}
    return {kind: values for kind, values in kinds.items() if values}


def _is_above_a_host(zone: Zone, name: str) -> bool | None:
    """True if the name of a name server is below this name; False if no name can be; None if TXT values may be."""
    if any(host.endswith(f".{name}") for host in zone.addresses):
        return True
    return None if is_record_name(name) else False


def _size_of(entry: _Entry) -> int:
    return _ENTRY + len(entry.name) + sum(len(value) + _VALUE for values in entry.records.values() for value in values)
