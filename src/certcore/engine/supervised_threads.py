"""`Crew`: threads that run one function and are replaced when they die."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from attrs import define, field

from certcore.forks import renew_after_fork

__all__ = ["Crew"]

_log = logging.getLogger(__name__)
#: Seconds before a replacement starts, so that threads which die at once do not cause a busy loop.
_PAUSE: Final = 1.0


@define(kw_only=True, eq=False)
class Crew:
    """Threads that run one function. A thread that dies between `start` and `end` is replaced, logged and counted.

    A dying thread starts its own replacement. `check` replaces threads that could not.
    """

    name: str
    size: int
    #: The function that each thread runs. It returns when the crew is to end.
    job: Callable[[], None]
    #: Called from any thread with a dead or dying thread, to release what it held.
    let_go: Callable[[threading.Thread], None]
    #: How many threads died and were replaced since `start`.
    replaced: int = field(default=0, init=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)
    _threads: list[threading.Thread] = field(factory=list, init=False, repr=False)
    _numbers: itertools.count[int] = field(factory=itertools.count, init=False, repr=False)
    #: Set from `end` to the next `start`.
    _ending: threading.Event = field(factory=threading.Event, init=False, repr=False)

    #: Whether the threads were started in the parent process and do not run here.
    started_in_parent: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._ending.set()
        renew_after_fork(self)

    def after_fork(self) -> None:
        """The threads are the parent's; see `certcore.forks`."""
        self.started_in_parent = self.started_in_parent or not self._ending.is_set()
        self._lock, self._threads, self._ending = threading.Lock(), [], threading.Event()
        self._ending.set()

    @property
    def alive(self) -> int:
        """How many threads are alive."""
        with self._lock:
            return sum(thread.is_alive() for thread in self._threads)

    def start(self) -> None:
        """Start the threads.

        Raises:
            RuntimeError: Some are alive.
        """
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if self._threads:
                raise RuntimeError(f"The threads {self.name} are running already.")
            self._ending.clear()
            self.replaced, self.started_in_parent = 0, False
            self._fill()

    def expect_end(self) -> None:
        """From now on threads that end are not replaced. Call this before the threads are told to end."""
        self._ending.set()

    def end(self, deadline: float | None) -> bool:
        """Wait until the threads have ended. The caller has to tell them to end first. They are not replaced.

        Args:
            deadline: The time to give up, by `time.monotonic`; None for no limit.

        Returns:
            Whether all have ended.
        """
        self.expect_end()
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(None if deadline is None else max(0.0, deadline - time.monotonic()))
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            return not self._threads

    def check(self) -> None:
        """Replace the threads that are missing."""
        with self._lock:
            dead = [thread for thread in self._threads if not thread.is_alive()]
            short = len(self._threads) < self.size
        # Checked again: the threads may have ended meanwhile, because the crew is stopping.
        if self._ending.is_set():
            return
        if dead or short:
            self._replace(dead)
        for thread in dead:
            _log.error("The thread %s died without an error message and was replaced.", thread.name)

    def _serve(self, pause: float) -> None:
        me = threading.current_thread()
        try:
            if pause:
                self._ending.wait(pause)
            self.job()
        except BaseException:  # boundary: the caller is the interpreter, which would not log it
            self._replace([me])
            _log.exception("The thread %s died and is replaced", me.name)

    def _replace(self, dead: list[threading.Thread]) -> None:
        with self._lock:
            gone = [thread for thread in dead if thread in self._threads]
            self._threads = [thread for thread in self._threads if thread not in dead]
            if not self._ending.is_set():
                self.replaced += len(gone)
                self._fill(_PAUSE)
        for thread in gone:
            self.let_go(thread)

    def _fill(self, pause: float = 0.0) -> None:
        while len(self._threads) < self.size:
            name = f"{self.name}-{next(self._numbers)}"
            thread = threading.Thread(target=self._serve, args=(pause,), name=name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system has no more, or the interpreter is ending; `check` tries again
                _log.error("The thread %s could not be started: %s", name, error)
                return
            self._threads.append(thread)
