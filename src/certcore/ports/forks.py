"""What a process holds is not its children's: locks, connections, threads, the name that its leases bear.

`os.fork` copies memory and one thread. A lock that another thread held stays locked in the child for ever, a connection
leads two processes to one server, and threads are gone. So every object of certcore that holds such a thing registers
itself here when it is made, and replaces it in the child before any other code runs there. The handlers run for every
fork that Python knows of: `os.fork`, `multiprocessing`, gunicorn, Celery, uWSGI; not for `subprocess`, whose children
keep nothing.

A plugin does the same with `os.register_at_fork`, or remembers `os.getpid()` beside what it holds.
"""

from __future__ import annotations

import os
import threading
from typing import Any, Final, Protocol, runtime_checkable
from weakref import WeakSet

__all__ = ["QuietAtFork", "RenewedAfterFork", "renew_after_fork"]


class RenewedAfterFork(Protocol):
    """Something that holds what only one process can use."""

    def after_fork(self) -> None:
        """In the child: put new locks and empty pools in the place of the parent's.

        It MUST NOT wait, take a lock that was there before, or send anything on a connection of the parent. Other
        objects may not have been renewed yet.
        """
        ...


@runtime_checkable
class QuietAtFork(RenewedAfterFork, Protocol):
    """Something that must be at rest while the process forks."""

    def before_fork(self) -> None:
        """In the parent, before: come to rest, within seconds at most."""
        ...

    def after_fork_in_parent(self) -> None:
        """In the parent, afterwards, also when the fork failed: go on."""
        ...


class _Forks:
    """All objects of this process that are renewed after a fork; they are not kept alive by it."""

    def __init__(self) -> None:
        # Held from before a fork to its end: nothing is registered meanwhile, and one thread forks at a time.
        self._lock = threading.Lock()
        self._holders: WeakSet[Any] = WeakSet()

    def add(self, holder: RenewedAfterFork) -> None:
        with self._lock:
            self._holders.add(holder)

    def before(self) -> None:
        self._lock.acquire()
        for holder in list(self._holders):
            if isinstance(holder, QuietAtFork):
                holder.before_fork()

    def after_in_parent(self) -> None:
        try:
            for holder in list(self._holders):
                if isinstance(holder, QuietAtFork):
                    holder.after_fork_in_parent()
        finally:
            self._lock.release()

    def after_in_child(self) -> None:
        self._lock = threading.Lock()
        for holder in list(self._holders):
            holder.after_fork()


_forks: Final = _Forks()
os.register_at_fork(before=_forks.before, after_in_parent=_forks.after_in_parent, after_in_child=_forks.after_in_child)


def renew_after_fork(holder: RenewedAfterFork) -> None:
    """Have an object renewed in every child process, for as long as it lives."""
    _forks.add(holder)
