"""Record the observers of all processes, so that events are kept for observers that only another process has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.model.deliveries import KnownObserver
from certcore.model.stored_moments import not_ahead
from certcore.ports.storage import Storage

__all__ = ["FORGOTTEN_AFTER", "is_gone", "keep_up_to_date", "observer_changes"]

#: The precision of the stored time at which an observer was last present.
_EXACT: Final = timedelta(hours=1)
#: An observer that no process has had for this long is marked as missed. One that runs once a day is not marked.
_MISSED_AFTER: Final = timedelta(days=1)
#: An observer that no process has had for this long was removed: its events are no longer kept.
FORGOTTEN_AFTER: Final = timedelta(days=7)
#: How many cursors of a removed observer are deleted at a time.
_CURSORS: Final = 1000


def keep_up_to_date(storage: Storage, here: Collection[str], now: datetime) -> None:
    """Record that these observers are present, and forget those that no process has had for a week.

    Args:
        storage: The store that the processes share.
        here: The observers of this process.
        now: The present moment.

    Raises:
        StorageError: The store cannot be used now.
    """
    with storage.read() as transaction:
        stored = transaction.deliveries.known_observers()
    if not observer_changes(stored, here, now) and not any(is_gone(observer, now) for observer in stored):
        return
    with storage.write() as transaction:
        # Read again: another process may have recorded an observer meanwhile that this one was about to forget.
        stored = transaction.deliveries.known_observers(lock=True)
        for observer in observer_changes(stored, here, now):
            transaction.deliveries.save_observer(observer)
        for observer in stored:
            if is_gone(observer, now) and observer.name not in here:
                transaction.deliveries.forget_observer(observer.name, limit=_CURSORS)


def observer_changes(stored: Iterable[KnownObserver], here: Collection[str], now: datetime) -> Sequence[KnownObserver]:
    """The record of the observers to store now.

    An absent observer is first marked as missed, and removed only after it was missed for days. A process whose clock
    is weeks ahead marks the observers of all other processes as missed. Those processes report them within the hour, so
    that none is removed.

    Args:
        stored: All known observers.
        here: The observers of this process.
        now: The present moment.
    """
    known = {observer.name: observer for observer in stored}
    changed = [KnownObserver(name=name, seen_at=now) for name in here if name not in known]
    for observer in known.values():
        # A time stored under a clock that was ahead counts as now.
        seen_at = not_ahead(observer.seen_at, now) or now
        after = evolve(observer, seen_at=seen_at, missed_since=not_ahead(observer.missed_since, now))
        if observer.name in here:
            if now - seen_at >= _EXACT or after.missed_since is not None:
                after = evolve(after, seen_at=now, missed_since=None)
        elif now - seen_at >= _MISSED_AFTER and after.missed_since is None:
            after = evolve(after, missed_since=now)
        if after != observer:
            changed.append(after)
    return changed


def is_gone(observer: KnownObserver, now: datetime) -> bool:
    """Whether no process has had the observer for so long that its events are no longer kept."""
    missed_since = observer.missed_since
    return missed_since is not None and now - missed_since >= FORGOTTEN_AFTER - _MISSED_AFTER
