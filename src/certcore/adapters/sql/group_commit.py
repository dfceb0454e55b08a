"""Concurrent writers of one process share a commit, where the database has one writer at a time.

A commit waits for the disk, which takes longer than most transactions. So a thread that is about to commit first lets
the threads that wait for their turn write on its connection, each after a savepoint, and then commits for all of them.
If no thread waits, it commits at once. A transaction that fails is rolled back to its savepoint, and the others are
committed.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Final

import sqlalchemy as sa
from attrs import define, field

__all__ = ["Group", "WriteQueue"]

#: The most transactions that share a commit: the first one waits for the last one.
_MOST: Final = 16


@define(eq=False)
class Group:
    """Transactions that are committed together on one connection. The thread that opened it, the leader, commits."""

    #: None while only the leader uses it.
    connection: sa.Connection | None = None
    #: How many other threads have joined.
    members: int = 0
    is_over: bool = False
    #: Why the group was not committed; None if it was, or while it is open.
    error: BaseException | None = None


@define(eq=False)
class WriteQueue:
    """Lets the threads of a process write one after the other."""

    _lock: Any = field(factory=threading.Lock, init=False, repr=False)
    #: The lock, with conditions for waiting threads, for leaders while others join, and for members until the commit.
    _turn: Any = field(init=False, repr=False)
    _leading: Any = field(init=False, repr=False)
    _over: Any = field(init=False, repr=False)
    #: Whether a thread has its turn.
    _is_taken: bool = field(default=False, init=False)
    #: How many threads wait for their turn.
    _waiting: int = field(default=0, init=False)
    #: The group that the next thread joins.
    _open: Group | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._turn, self._leading, self._over = (threading.Condition(self._lock) for _ in range(3))

    @property
    def waiting(self) -> int:
        """How many threads wait for their turn."""
        return self._waiting

    def take(self, seconds: float) -> Group | None:
        """Wait for this thread's turn to write.

        Args:
            seconds: How long to wait at most.

        Returns:
            A group with a connection, to join; or a new group without one, to lead; or None after ``seconds``.
        """
        deadline = time.monotonic() + seconds
        with self._lock:
            self._waiting += 1
            try:
                while self._is_taken:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return None
                    self._turn.wait(left)
                self._is_taken = True
            finally:
                self._waiting -= 1
                if not self._is_taken:  # this thread had been woken for its turn, so another one must be woken
                    self._next()
                elif not self._waiting:
                    self._leading.notify()
            return self._open or Group()

    def share(self, group: Group, connection: sa.Connection) -> None:
        """Let waiting threads join a group; returns when the leader has to commit.

        Args:
            group: The group that this thread leads, which has its turn.
            connection: Its connection, inside a transaction.

        Raises:
            BaseException: The transaction was lost while another thread had it.
        """
        with self._lock:
            if not self._waiting:
                return
            group.connection, self._open, self._is_taken = connection, group, False
            self._turn.notify()
            try:
                while self._is_taken or (self._waiting and group.members < _MOST):
                    self._leading.wait()
            finally:
                self._open = None
                while self._is_taken:  # even if this thread is interrupted, because another one uses the connection
                    self._leading.wait()
                self._is_taken = True
        if group.error is not None:
            raise group.error

    def step_back(self, group: Group) -> None:
        """Called when a member has finished its writes, or has failed."""
        with self._lock:
            group.members += 1
            self._is_taken = False
            if group.members < _MOST:
                self._turn.notify()
            self._leading.notify()

    def leave(self, group: Group, error: BaseException | None) -> None:
        """The leader has committed or failed: end its turn and notify the members."""
        with self._lock:
            group.is_over, group.error = True, error
            self._over.notify_all()
            self._is_taken = False
            self._next()

    def outcome(self, group: Group) -> BaseException | None:
        """Wait until a group is committed; returns the error if it was not."""
        with self._lock:
            while not group.is_over:
                self._over.wait()
            return group.error

    def _next(self) -> None:
        self._turn.notify()
        self._leading.notify()
