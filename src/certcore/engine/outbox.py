"""Handing committed events to the observers, in order, at least once."""

from __future__ import annotations

import threading
from typing import Any, Final

from attrs import define, field

from certcore.errors import StaleWrite
from certcore.ports.plugins import Plugins
from certcore.ports.storage import Storage

__all__ = ["Outbox"]

_NAMESPACE: Final = "certcore"
_CURSOR: Final = "outbox"
_BATCH: Final = 100


@define(kw_only=True, eq=False)
class Outbox:
    """Delivers events from the store to ``certcore_on_event``; how far it got is in the store as well.

    An observer can get an event twice (after a crash, or from two processes), never out of order within one
    delivery, and never before it was committed.
    """

    storage: Storage
    plugins: Plugins
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def deliver(self) -> int:
        """Deliver what is new; returns how many events that were.

        Returns at once when there are no observers, or when another thread is delivering.
        """
        if not self.plugins.has_observers or not self._lock.acquire(blocking=False):
            return 0
        try:
            delivered = 0
            while batch := self._deliver_batch():
                delivered += batch
            return delivered
        finally:
            self._lock.release()

    def has_work(self) -> bool:
        """Whether observers are waiting for events."""
        if not self.plugins.has_observers:
            return False
        with self.storage.read() as transaction:
            cursor = transaction.documents.get(_NAMESPACE, _CURSOR)
            return bool(transaction.events.after(int(cursor.value["sequence"]) if cursor else 0, limit=1))

    def _deliver_batch(self) -> int:
        with self.storage.read() as transaction:
            cursor = transaction.documents.get(_NAMESPACE, _CURSOR)
            last = int(cursor.value["sequence"]) if cursor else 0
            events = transaction.events.after(last, limit=_BATCH)
        for event in events:
            self.plugins.notify(event)
        if not events:
            return 0
        try:
            with self.storage.write() as transaction:
                version = cursor.version if cursor else 0
                value = {"sequence": events[-1].sequence}
                transaction.documents.put(_NAMESPACE, _CURSOR, value, version=version)
        except StaleWrite:
            return 0  # another process delivered the same events at the same time
        return len(events)
