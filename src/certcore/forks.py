"""Renewal of locks, connections, threads and identities in a child process.

`os.fork` copies memory and one thread. A lock that another thread holds stays locked in the child, a connection is
shared by two processes, and threads are gone. So every object of certcore that holds such a thing registers here when
it is made, and replaces it in the child before other code runs there. The handlers run for every fork that Python
itself makes: `os.fork`, `multiprocessing`, gunicorn, Celery, uWSGI. `subprocess` needs none: its children keep nothing.

Libraries have locks of their own. OpenSSL takes some while a TLS context is made and while a handshake runs. A child
that is forked in that moment waits for them for ever when it uses TLS itself: such calls are made inside `delays_fork`.

A plugin can use `os.register_at_fork`, or store `os.getpid()` beside what it holds.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final, Protocol, runtime_checkable
from weakref import WeakSet

from attrs import define, field

__all__ = ["Gate", "QuietAtFork", "RenewedAfterFork", "delays_fork", "renew_after_fork"]


#: Seconds that a fork waits for other threads.
_PATIENCE: Final = 10.0


@define(eq=False)
class Gate:
    """Admits threads to what must not run during a fork. Shut before a fork, it waits for them and delays others."""

    _changed: Any = field(factory=threading.Condition, init=False, repr=False)
    #: How often each thread is inside.
    _inside: dict[int, int] = field(factory=dict, init=False, repr=False)
    _is_shut: bool = field(default=False, init=False)

    @property
    def is_empty(self) -> bool:
        """Whether no thread is inside."""
        return not self._inside

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Be inside for the block."""
        me = threading.get_ident()
        with self._changed:
            while self._is_shut and me not in self._inside:
                self._changed.wait()
            self._inside[me] = self._inside.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                    self._changed.notify_all()

    def shut(self) -> None:
        """Delay other threads, and wait some seconds for those that are inside."""
        me, deadline = threading.get_ident(), time.monotonic() + _PATIENCE
        with self._changed:
            self._is_shut = True
            while self._inside.keys() - {me} and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)

    def open(self) -> None:
        """Admit threads again."""
        with self._changed:
            self._is_shut = False
            self._changed.notify_all()


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
        #: Where threads call libraries that hold locks of their own.
        self.libraries = Gate()

    def add(self, holder: RenewedAfterFork) -> None:
        with self._lock:
            self._holders.add(holder)

    def before(self) -> None:
        self._lock.acquire()
        for holder in list(self._holders):
            if isinstance(holder, QuietAtFork):
                holder.before_fork()
        # Last: what comes to rest before may still have to connect.
        self.libraries.shut()

    def after_in_parent(self) -> None:
        self.libraries.open()
        try:
            for holder in list(self._holders):
                if isinstance(holder, QuietAtFork):
                    holder.after_fork_in_parent()
        finally:
            self._lock.release()

    def after_in_child(self) -> None:
        self._lock = threading.Lock()
        self.libraries = Gate()
        for holder in list(self._holders):
            holder.after_fork()


_forks: Final = _Forks()
os.register_at_fork(before=_forks.before, after_in_parent=_forks.after_in_parent, after_in_child=_forks.after_in_child)


def renew_after_fork(holder: RenewedAfterFork) -> None:
    """Have an object renewed in every child process, for as long as it lives."""
    _forks.add(holder)


def delays_fork() -> AbstractContextManager[None]:
    """Call a library that holds locks of its own, such as OpenSSL: a fork waits for the block, 10 seconds at most.

    While another thread forks, the block begins afterwards. Do not create certcore's objects inside of it.
    """
    return _forks.libraries.passed()
