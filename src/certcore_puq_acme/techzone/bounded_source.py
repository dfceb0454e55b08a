"""A zone source with a time limit, however long the database takes.

If a database server is stopped or a network drops packets, a lookup can take minutes. The threads that answer queries
must not wait that long, because they also serve other zones, and resolvers give up much earlier.

So lookups run in separate threads, and callers wait for a limited time. concurrent.futures is not used, because Python
joins the threads of its executors at exit, and a stuck thread would prevent the process from ending.
"""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from attrs import define, field, frozen

from certcore.errors import CertCoreError
from certcore.messages import Message
from certcore.ports.dns import HasSerial, ListsRecords, RecalledRecords, RecallsRecords, Zone, ZoneSource

__all__ = ["BoundedSource", "SourceTimeoutError", "StoreNeededError"]

_T = TypeVar("_T")

#: How many seconds the list of zones is cached.
_ZONES_FOR: Final = 0.2
#: The seconds between two attempts while a lookup is stuck.
_TRY_AGAIN: Final = 1.0


class SourceTimeoutError(CertCoreError):
    """A zone source did not answer in time."""

    code = "zone_source_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            Message(
                "puq_acme.zone_source.timeout",
                "The records of a zone could not be looked up within {seconds} seconds.",
                {"seconds": f"{seconds:g}"},
            ),
            advice=Message(
                "puq_acme.zone_source.timeout.advice",
                "Check the database server and the network between it and this machine.",
            ),
        )


class StoreNeededError(Exception):
    """The answer needs a query of the source's store."""


@define(eq=False)
class _Lookup:
    """One call of the source."""

    call: Callable[[], Any]
    done: threading.Event = field(factory=threading.Event)
    result: Any = None
    error: Exception | None = None
    #: Whether the caller has stopped waiting for the result.
    overdue: bool = False


@define(eq=False)
class BoundedSource:
    """Calls another source in separate threads, with a time limit. Thread-safe.

    After a lookup has exceeded the limit, further lookups fail at once until a lookup ends. Only one lookup per second
    is still tried, to see whether the source works again. Meanwhile, the last list of zones is used.

    Args:
        source: The source.
        seconds: The time limit of a lookup.
        monotonic: A monotonic clock in seconds.
        threads: The largest number of concurrent lookups, including stuck ones.
    """

    _source: ZoneSource
    _seconds: float
    _monotonic: Callable[[], float]
    _threads: int = 8
    _queue: queue.SimpleQueue[_Lookup | None] = field(factory=queue.SimpleQueue, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _started: int = field(default=0, init=False)
    #: Lookups that run or wait for a thread.
    _running: int = field(default=0, init=False)
    _overdue: int = field(default=0, init=False)
    #: Whether no lookup has ended since a lookup exceeded the time limit.
    _is_stuck: bool = field(default=False, init=False)
    _try_at: float = field(default=0.0, init=False)
    _zones: Sequence[Zone] | None = field(default=None, init=False)
    _zones_until: float = field(default=0.0, init=False)
    _recall: Callable[[], RecalledRecords | None] | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._recall = self._source.recall if isinstance(self._source, RecallsRecords) else None

    def for_a_query(self) -> ZoneSource:
        """The source for one query, with one time limit for all lookups of the query."""
        return _SourceOfQuery(self, self._monotonic() + self._seconds)

    def known(self) -> ZoneSource:
        """A source that answers only from memory. It raises a `StoreNeededError` if an answer needs the store."""
        zones = self._zones if self._monotonic() < self._zones_until else None
        return _KnownSource(zones, self.recall())

    def zones(self, *, deadline: float = math.inf) -> Sequence[Zone]:
        """The zones, at most 0.2 seconds old; or the last known zones, if the source fails.

        So the zones of other sources are still served while this source fails. Queries for its own zones then fail.

        Args:
            deadline: The monotonic time at which the caller stops waiting.

        Raises:
            SourceTimeoutError: The source has never answered.
            Exception: The source raised this exception and has never answered.
        """
        known = self._zones
        if known is not None and self._monotonic() < self._zones_until:
            return known
        try:
            zones: Sequence[Zone] = self._bounded(self._source.zones, deadline)
        except Exception:  # isolation: a source may be foreign code
            if known is None:
                raise
            return known
        # An empty list is not cached, so that the first zone is served at once.
        self._zones, self._zones_until = zones, self._monotonic() + (_ZONES_FOR if zones else 0.0)
        return zones

    def records(self, zone: Zone, name: str, *, deadline: float = math.inf) -> Mapping[str, Sequence[str]]:
        """The records at a name.

        Raises:
            SourceTimeoutError: The source does not answer.
            Exception: Whatever the source raises.
        """
        records: Mapping[str, Sequence[str]] = self._bounded(lambda: self._source.records(zone, name), deadline)
        return records

    def has_names_below(self, zone: Zone, name: str, *, deadline: float = math.inf) -> bool:
        """Whether records exist below a name. Raises the exceptions of `records`."""
        return bool(self._bounded(lambda: self._source.has_names_below(zone, name), deadline))

    def serial(self, *, deadline: float = math.inf) -> int | None:
        """The serial number of the source's zones, or None if it has none. Raises the exceptions of `records`."""
        source = self._source
        serial: int | None = self._bounded(source.serial, deadline) if isinstance(source, HasSerial) else None
        return serial

    def all_records(self, zone: Zone) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
        """All names with their records; empty if the source cannot list them.

        They are read in the calling thread, without a time limit.
        """
        source = self._source
        return source.all_records(zone) if isinstance(source, ListsRecords) else iter(())

    def recall(self) -> RecalledRecords | None:
        """The answers that the source has in memory; None if it has to query its store, or if it fails."""
        if self._recall is None:
            return None
        try:
            return self._recall()
        except Exception:  # isolation: a source may be foreign code; the lookup itself reports the fault
            return None

    def close(self) -> None:
        """End the threads. Stuck threads end with their lookup."""
        with self._lock:
            started, self._started = self._started, 0
        for _ in range(started):
            self._queue.put(None)

    def _bounded(self, call: Callable[[], Any], deadline: float) -> Any:
        patience = min(self._seconds, deadline - self._monotonic())
        if patience <= 0:
            raise SourceTimeoutError(self._seconds)
        lookup = _Lookup(call)
        self._begin(lookup)
        if not lookup.done.wait(patience):
            with self._lock:
                if not lookup.done.is_set():
                    lookup.overdue = True
                    self._overdue += 1
                    self._is_stuck = True
                    self._try_at = self._monotonic() + _TRY_AGAIN
                    raise SourceTimeoutError(self._seconds)
        if lookup.error is not None:
            raise lookup.error
        return lookup.result

    def _begin(self, lookup: _Lookup) -> None:
        with self._lock:
            if self._overdue >= self._threads:
                raise SourceTimeoutError(self._seconds)
            if self._is_stuck:
                now = self._monotonic()
                if now < self._try_at:
                    raise SourceTimeoutError(self._seconds)
                self._try_at = now + _TRY_AGAIN
            self._running += 1
            if self._running > self._started and self._started < self._threads:
                self._started += 1
                threading.Thread(target=self._work, name="certcore-dns-lookup", daemon=True).start()
        self._queue.put(lookup)

    def _work(self) -> None:
        while (lookup := self._queue.get()) is not None:
            try:
                lookup.result = lookup.call()
            except Exception as error:  # isolation: raised in the waiting thread
                lookup.error = error
            with self._lock:
                self._running -= 1
                self._overdue -= lookup.overdue
                self._is_stuck = False
                lookup.done.set()


@frozen(eq=False)
class _SourceOfQuery:
    """A bounded source with a fixed deadline; implements `certcore.ports.dns.ZoneSource`."""

    _source: BoundedSource
    _deadline: float

    def zones(self) -> Sequence[Zone]:
        return self._source.zones(deadline=self._deadline)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        recalled = self._source.recall()
        records = None if recalled is None else recalled.records(zone, name)
        return self._source.records(zone, name, deadline=self._deadline) if records is None else records

    def has_names_below(self, zone: Zone, name: str) -> bool:
        return self._source.has_names_below(zone, name, deadline=self._deadline)

    def serial(self) -> int | None:
        recalled = self._source.recall()
        return self._source.serial(deadline=self._deadline) if recalled is None else recalled.serial


@frozen(eq=False)
class _KnownSource:
    """The zones and records that a source had in memory at a moment; implements `certcore.ports.dns.ZoneSource`."""

    _zones: Sequence[Zone] | None
    _recalled: RecalledRecords | None

    def zones(self) -> Sequence[Zone]:
        return _known(self._zones)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        return _known(_known(self._recalled).records(zone, name))

    def has_names_below(self, zone: Zone, name: str) -> bool:
        return _known(_known(self._recalled).has_names_below(zone, name))

    def serial(self) -> int | None:
        return _known(self._recalled).serial


def _known(value: _T | None) -> _T:
    if value is None:
        raise StoreNeededError
    return value
