"""Renew locks, connections, threads and identities in a child process.

`os.fork` copies the memory and one thread. A lock that another thread holds stays locked in the child, connections are
shared by two processes, and other threads are gone. So every object of certcore that holds one of these registers here
when it is created, and replaces it in the child before other code runs. The handlers run for every fork by Python:
`os.fork`, `multiprocessing`, gunicorn, Celery, uWSGI. Children of `subprocess` do not need them, because they execute
another program.

Libraries have their own locks. OpenSSL holds some while a TLS context is created and during a handshake. A child that
is forked at this moment would wait for these locks forever when it uses TLS. So such calls are made inside
`delays_fork`.

A plugin can use the functions of this module or `os.register_at_fork`, or compare `os.getpid()` with a stored value.
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


#: How many seconds a fork waits for other threads.
_PATIENCE: Final = 10.0


@define(eq=False)
class Gate:
    """Keeps threads out of a section during a fork. `shut` waits for threads inside, and delays other threads."""

    _changed: Any = field(factory=threading.Condition, init=False, repr=False)
    #: How many times each thread has entered.
    _inside: dict[int, int] = field(factory=dict, init=False, repr=False)
    _is_shut: bool = field(default=False, init=False)

    @property
    def is_empty(self) -> bool:
        """Whether no thread is inside."""
        return not self._inside

    @contextmanager
    def passed(self) -> Iterator[None]:
        """A context manager that is inside the gate during its block."""
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
        """Delay other threads, and wait up to 10 seconds for those that are inside."""
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
    """An object that holds locks, connections or other things that processes must not share."""

    def after_fork(self) -> None:
        """Called in the child: replace the parent's locks, connections and threads by new ones.

        MUST NOT wait, acquire a lock of the parent, or send anything on a connection of the parent. Other objects may
        not be renewed yet.
        """
        ...


@runtime_checkable
class QuietAtFork(RenewedAfterFork, Protocol):
    """An object that must pause its work while the process forks."""

    def before_fork(self) -> None:
        """Called in the parent before the fork: pause, within a few seconds."""
        ...

    def after_fork_in_parent(self) -> None:
        """Called in the parent after the fork, even if it failed: continue."""
        ...


class _Forks:
    """Weak references to all objects of this process that are renewed after a fork."""

    def __init__(self) -> None:
        # Held during a fork, so that nothing is registered meanwhile and only one thread forks at a time.
        self._lock = threading.Lock()
        self._holders: WeakSet[Any] = WeakSet()
        #: Guards calls of libraries with their own locks.
        self.libraries = Gate()

    def add(self, holder: RenewedAfterFork) -> None:
        with self._lock:
            self._holders.add(holder)

    def before(self) -> None:
        self._lock.acquire()
        for holder in list(self._holders):
            if isinstance(holder, QuietAtFork):
                holder.before_fork()
        # Last, because objects may have to connect before they pause.
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
    """Call ``after_fork`` of an object in every child process, as long as the object exists.

    If the object has ``before_fork`` and ``after_fork_in_parent``, these are called in the parent, too.
    """
    _forks.add(holder)


def delays_fork() -> AbstractContextManager[None]:
    """A context manager for calls of libraries with their own locks, such as OpenSSL.

    A fork waits for the end of the block, at most 10 seconds. If another thread is forking, the block begins
    afterwards. Do not create objects of certcore in the block.
    """
    return _forks.libraries.passed()
