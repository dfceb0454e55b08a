"""A zone source that always answers in time, whatever the database behind it does.

A database server that is stopped, or a network that swallows packets, keeps a lookup waiting for minutes. The threads
that answer queries must not wait for it: they serve other zones as well, and resolvers give up long before.

So lookups run in threads of their own, and callers wait for a bounded time. concurrent.futures is not used: Python
joins the threads of its executors at exit, and a stuck thread would keep the process from ending.
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

#: Seconds for which the list of zones is reused.
_ZONES_FOR: Final = 0.2
#: Seconds between two attempts while a lookup is stuck.
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
    """The answer is not known without a query of the source's store."""


@define(eq=False)
class _Lookup:
    """One call of the source."""

    call: Callable[[], Any]
    done: threading.Event = field(factory=threading.Event)
    result: Any = None
    error: Exception | None = None
    #: The caller no longer waits for it.
    overdue: bool = False


@define(eq=False)
class BoundedSource:
    """Asks another source, in threads of its own, and waits for a bounded time. Thread-safe.

    After a lookup that was not answered in time, further ones fail at once, save one a second that finds out whether
    the source is back: it may be one connection alone that is stuck. The list of zones is the last one that was read.

    Args:
        source: The source.
        seconds: How long a lookup may take.
        monotonic: Seconds from any start, never backwards.
        threads: How many lookups may run at once, stuck ones included.
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
    #: No lookup has been answered since one was not answered in time.
    _is_stuck: bool = field(default=False, init=False)
    _try_at: float = field(default=0.0, init=False)
    _zones: Sequence[Zone] | None = field(default=None, init=False)
    _zones_until: float = field(default=0.0, init=False)
    _recall: Callable[[], RecalledRecords | None] | None = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._recall = self._source.recall if isinstance(self._source, RecallsRecords) else None

    def for_a_query(self) -> ZoneSource:
        """The source for one query: its lookups together take no longer than one alone may take."""
        return _SourceOfQuery(self, self._monotonic() + self._seconds)

    def known(self) -> ZoneSource:
        """A source without queries of the store: it raises `StoreNeededError` where it would need one."""
        zones = self._zones if self._monotonic() < self._zones_until else None
        return _KnownSource(zones, self.recall())

    def zones(self, *, deadline: float = math.inf) -> Sequence[Zone]:
        """The zones as they were a moment ago, or when the source answered last.

        Where a source fails, the zones of others are served on: it is asked for the records of its own ones, and fails.

        Args:
            deadline: The monotonic time at which the caller stops waiting.

        Raises:
            SourceTimeoutError: The source has never answered.
            Exception: Whatever a source raises that has never answered.
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
        # No zones are not kept: the first one is served at once.
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
        """Whether records exist below a name; raises as `records`."""
        return bool(self._bounded(lambda: self._source.has_names_below(zone, name), deadline))

    def serial(self, *, deadline: float = math.inf) -> int | None:
        """The serial of the source's zones; None where it counts no changes. Raises as `records`."""
        source = self._source
        serial: int | None = self._bounded(source.serial, deadline) if isinstance(source, HasSerial) else None
        return serial

    def all_records(self, zone: Zone) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
        """Every name with its records, read in the thread that asks, without a deadline.

        There are none where the source cannot list them.
        """
        source = self._source
        return source.all_records(zone) if isinstance(source, ListsRecords) else iter(())

    def recall(self) -> RecalledRecords | None:
        """The answers of the source without a query of its store; None if it needs one, or fails."""
        if self._recall is None:
            return None
        try:
            return self._recall()
        except Exception:  # isolation: a source may be foreign code; the lookup itself reports the fault
            return None

    def close(self) -> None:
        """Let the threads end. Those that are stuck end with their lookup."""
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
            except Exception as error:  # isolation: it is raised where the answer is waited for
                lookup.error = error
            with self._lock:
                self._running -= 1
                self._overdue -= lookup.overdue
                self._is_stuck = False
                lookup.done.set()


@frozen(eq=False)
class _SourceOfQuery:
    """A bounded source up to a moment; implements `certcore.ports.dns.ZoneSource`."""

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
    """What a source knows at a moment; implements `certcore.ports.dns.ZoneSource`."""

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
