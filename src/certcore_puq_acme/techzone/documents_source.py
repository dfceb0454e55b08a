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
#: For how long records are remembered: a certcore that is older than `ZoneChanges` notes no changes.
_REMEMBERED_FOR: Final = timedelta(minutes=5)
_ABSENT_FOR: Final = timedelta(seconds=1)
#: Octets of memory that remembered records may take, roughly, and names without records.
_MAX_MEMORY: Final = 64 * 1024 * 1024
_MAX_ABSENT: Final = 10_000
#: Octets that an entry and a value take besides their text.
_ENTRY: Final = 800
_VALUE: Final = 64


@frozen
class _Known:
    zones: tuple[Zone, ...]
    read_at: datetime
    #: The store's change mark before they were read.
    mark: object | None


@frozen
class _Entry:
    """The cached records of a name."""

    name: str
    records: Mapping[str, Sequence[str]]
    read_at: datetime
    #: Whether there are names below it; None where nobody has asked.
    names_below: bool | None = None


@define(eq=False)
class _Memory:
    """Records by the digest of their name, the oldest first, and names that have none."""

    #: Octets of memory that the records may take, roughly.
    max_octets: int
    #: How many names without records.
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
        """Cache a name; without room, the oldest entries are dropped."""
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
        """Forget names, or everything; and all names without records, since names above a new one are among them."""
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
    """What is remembered at a moment; implements `certcore.ports.dns.RecalledRecords`."""

    _memory: _Memory
    serial: int | None
    _now: datetime

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]] | None:
        """The records at a name; None when the store has to be asked."""
        if (addresses := _addresses(zone, name)) is not None:
            return addresses
        entry = self._memory.get(name, self._now)
        return None if entry is None else entry.records

    def has_names_below(self, zone: Zone, name: str) -> bool | None:
        """Whether there are names below a name; None when the store has to be asked."""
        if (below := _is_above_a_host(zone, name)) is not None:
            return below
        entry = self._memory.get(name, self._now)
        return None if entry is None else entry.names_below


class DocumentsZoneSource:
    """Serves the TXT values of `TechZoneRecords`; a value is served from the moment that it is stored.

    What was read is remembered until `ZoneChanges` names it, or for five minutes. Where the store tells at once that
    something was committed, changes count from that moment on; elsewhere they are looked for every 20 ms.

    Args:
        documents: The module's documents.
        zones: The zones to serve; asked again every ``refresh``. Of several with one apex the first counts.
        environment: Its clock says when to ask again.
        refresh: How long the answer of ``zones`` is kept.
        max_memory: Octets that remembered records may take, roughly.
        max_absent: How many names without records are remembered.
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
        #: The store's change mark before the changes were looked for last, and when that was.
        self._mark: object | None = None
        self._looked_at: datetime | None = None

    def zones(self) -> Sequence[Zone]:
        """The zones as they were a second ago at most; the first zone of all is served at once.

        When they cannot be read again, the last ones stand: the other sources' zones must not suffer, and `records`
        reports a broken store anyway.
        """
        known = self._known
        now = self._environment.now()
        # Also read again when the clock was set back, or it might be long until the next time.
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
        # The first zone is not waited for where the store tells that something was committed.
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
        """Whether a name below this one has TXT values, or is a name server's."""
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
        """Every name with TXT values, and those of name servers inside the zone. The store is read in parts."""
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
        """The cached answers; None when they may be out of date.

        Raises:
            CertCoreError: The store is closed or cannot be used now.
        """
        now = self._environment.now()
        return Recollection(self._memory, self._changes.serial, now) if self._has_looked(now) else None

    def serial(self) -> int | None:
        """The serial after the last change; None when there was none yet."""
        return self._look().serial

    def _has_looked(self, now: datetime) -> bool:
        """Whether all changes are known."""
        if self._looked_at is None:
            return False
        mark = self._documents.change_mark()
        return abs(now - self._looked_at) < _UNSEEN_FOR if mark is None else mark == self._mark

    def _look(self) -> ZoneChanges:
        """Forget what has changed; returns the changes as they stand."""
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
            # Records that were read before a change that is known by now may be out of date.
            if changes is self._changes:
                self._memory.put(entry)


def _addresses(zone: Zone, name: str) -> Mapping[str, Sequence[str]] | None:
    """The addresses of a name server inside the zone, nothing for a name that no record can have; else None."""
    if not is_record_name(name):
        return {}
    addresses = zone.addresses.get(name)
    if not addresses:
        return None
    kinds = {"A": [each for each in addresses if ":" not in each], "AAAA": [each for each in addresses if ":" in each]}
    return {kind: values for kind, values in kinds.items() if values}


def _is_above_a_host(zone: Zone, name: str) -> bool | None:
    """Whether a name server's name lies below a name; None where TXT values may."""
    if any(host.endswith(f".{name}") for host in zone.addresses):
        return True
    return None if is_record_name(name) else False


def _size_of(entry: _Entry) -> int:
    return _ENTRY + len(entry.name) + sum(len(value) + _VALUE for values in entry.records.values() for value in values)
