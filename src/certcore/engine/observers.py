"""Which observers there are, in whatever process: so that a process keeps the events that another one's wait for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.model.deliveries import KnownObserver
from certcore.model.stored_moments import not_ahead
from certcore.ports.storage import Storage

__all__ = ["FORGOTTEN_AFTER", "is_gone", "keep_up_to_date", "observer_changes"]

#: How exactly it is written down when an observer was here.
_EXACT: Final = timedelta(hours=1)
#: What no process has had for so long is missed. One that comes once a day is not.
_MISSED_AFTER: Final = timedelta(days=1)
#: What no process has had for so long was taken away: nothing is kept for it any more.
FORGOTTEN_AFTER: Final = timedelta(days=7)
#: How many cursors of one that is gone are deleted at a time.
_CURSORS: Final = 1000


def keep_up_to_date(storage: Storage, here: Collection[str], now: datetime) -> None:
    """Write down that these observers are here, and forget those that no process has had for a week.

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
        # Again: another process may have seen one meanwhile that this one was about to forget.
        stored = transaction.deliveries.known_observers(lock=True)
        for observer in observer_changes(stored, here, now):
            transaction.deliveries.save_observer(observer)
        for observer in stored:
            if is_gone(observer, now) and observer.name not in here:
                transaction.deliveries.forget_observer(observer.name, limit=_CURSORS)


def observer_changes(stored: Iterable[KnownObserver], here: Collection[str], now: datetime) -> Sequence[KnownObserver]:
    """What is to be written down of the observers now.

    One that is not here is missed first, and gone only when it was missed for days. A process whose clock is weeks
    ahead misses all observers of the others at once; they say within the hour that they are there, and it forgets none.

    Args:
        stored: All that are known.
        here: The observers of this process.
        now: The present moment.
    """
    known = {observer.name: observer for observer in stored}
    changed = [KnownObserver(name=name, seen_at=now) for name in here if name not in known]
    for observer in known.values():
        # What was written while a clock was ahead happened at most now.
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
    """Whether no process has had it for so long that nothing is kept for it any more."""
    missed_since = observer.missed_since
    return missed_since is not None and now - missed_since >= FORGOTTEN_AFTER - _MISSED_AFTER
