"""Which observers there are, in whatever process: so that a process keeps the events that another one's wait for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Final

from certcore.errors import StaleWrite
from certcore.model.clocks import not_ahead
from certcore.ports.storage import Storage

__all__ = ["FORGOTTEN_AFTER", "known_observers"]

#: No CA module has this name: names of modules have no hyphen.
_NAMESPACE: Final = "certcore-engine"
_KEY: Final = "observers"
#: How exactly it is written down when an observer was here.
_EXACT: Final = timedelta(hours=1)
#: What no process has had for so long was taken away: nothing is kept for it any more.
FORGOTTEN_AFTER: Final = timedelta(days=7)


def known_observers(storage: Storage, here: Collection[str], now: datetime) -> frozenset[str]:
    """The observers of all processes; those of this one are written down when they are new, or were not for an hour.

    Args:
        storage: The store that the processes share.
        here: The observers of this process.
        now: The present moment.

    Raises:
        StorageError: The store cannot be used now.
    """
    with storage.read() as transaction:
        document = transaction.documents.get(_NAMESPACE, _KEY)
    stored = _read({} if document is None else document.value)
    # One that was here while the clock was ahead was here at most now.
    seen = {name: not_ahead(at, now) or now for name, at in stored.items()}
    if seen == stored and all(name in seen and now - seen[name] < _EXACT for name in here):
        return frozenset(name for name, at in seen.items() if now - at < FORGOTTEN_AFTER)
    seen = {name: at for name, at in {**seen, **dict.fromkeys(here, now)}.items() if now - at < FORGOTTEN_AFTER}
    try:
        with storage.write() as transaction:
            value = {name: at.isoformat() for name, at in sorted(seen.items())}
            version = 0 if document is None else document.version
            transaction.documents.put(_NAMESPACE, _KEY, value, version=version)
    except StaleWrite:
        pass  # another process was faster: the next call writes ours down
    return frozenset(seen)


def _read(value: Mapping[str, str]) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(at) for name, at in value.items()}
