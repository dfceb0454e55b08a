"""Servers as child processes: started, waited for, and ended once, by their own pid."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final, Self

from certcore.errors import CertCoreError

__all__ = [
    "START_SECONDS",
    "START_TRIES",
    "Child",
    "ProgramMissingError",
    "Server",
    "ServerStartError",
    "find_program",
    "uninterrupted",
]

#: How often a server is started anew when somebody took its port in between.
START_TRIES: Final = 3
#: How long a server may take to be ready.
START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_TAIL: Final = 2000


class ProgramMissingError(CertCoreError):
    """A program that a test needs is not installed: the test can be skipped."""

    code = "program_missing"


class ServerStartError(CertCoreError):
    """A server that a test needs is installed and does not start."""

    code = "server_start_error"


def find_program(name: str, package: str, *places: str) -> str:
    """The path of a program that a test needs.

    Args:
        name: Its file name.
        package: The Debian package that brings it, for the error.
        places: Folders to look into besides PATH and /usr/sbin, which many users do not have in theirs.

    Raises:
        ProgramMissingError: It is not installed.
    """
    path = os.pathsep.join((*places, os.environ.get("PATH", ""), "/usr/sbin"))
    path_found = shutil.which(name, path=path)
    if path_found is None:
        raise ProgramMissingError(f"{name} is not installed.", advice=f"On Debian: apt-get install {package}.")
    return path_found


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the end of the block, which must be short.

    For the moments in which something is there already, a folder or a process, that nobody who cleans up knows of yet.
    Children begin with the usual meaning of both. In other threads than the main one, where Python interrupts nobody,
    it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    late: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # One that another program set and Python cannot put back, or that nobody is to notice, stays as it is.
    caught = {number: handler for number, handler in before.items() if handler not in (None, signal.SIG_IGN)}
    try:
        for number in caught:
            signal.signal(number, lambda number, frame: late.append((number, frame)))
        yield
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler)
        for signal_number, frame in late[:1]:
            meaning = before[signal.Signals(signal_number)]
            if callable(meaning):
                meaning(signal_number, frame)
            else:
                signal.raise_signal(signal_number)


class Child:
    """A child process with a log file, ended once, by its own pid.

    Args:
        binary: The program.
        arguments: Its arguments.
        folder: Its working folder, which is removed with it.
        env: Environment variables besides ours.
        user: Run it as this user; None as ourselves.
        stop_signal: What asks it to end.
    """

    def __init__(
        self,
        binary: str,
        arguments: list[str],
        *,
        folder: Path,
        env: Mapping[str, str],
        user: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self.folder = folder
        #: The file for the child's output.
        self.log_path = folder / f"{Path(binary).name}.log"
        self._stop_signal = stop_signal
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a fixed binary, our own arguments
                [binary, *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **env},
                cwd=folder,
                user=user,
            )
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def running(self) -> bool:
        """Whether the child is alive."""
        return self._process.poll() is None

    def log_tail(self) -> str:
        """The last lines of the log; empty after `stop`."""
        try:
            return self.log_path.read_text(errors="replace")[-_TAIL:]
        except OSError:
            return ""

    def wait_until(self, ready: Callable[[], bool]) -> bool:
        """Whether it became ready; False when it ended or took too long."""
        deadline = time.monotonic() + START_SECONDS
        while self.running() and time.monotonic() < deadline:
            if ready():
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End the child and remove its folder. Calling it again does nothing."""
        atexit.unregister(self.stop)
        if self.running():
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(_STOP_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """What all servers of the kit share: they stop once, and end with a ``with`` block."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def log_path(self) -> Path:
        """The child's log; it goes when the child is stopped."""
        return self._child.log_path

    def running(self) -> bool:
        """Whether the child is alive."""
        return self._child.running()

    def log_tail(self) -> str:
        """The last lines of the log, for a failing test's message; empty after :meth:`stop`."""
        return self._child.log_tail()

    def stop(self) -> None:
        """End the child and remove its folder. Calling it again does nothing."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
