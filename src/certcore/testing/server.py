"""Run servers as child processes: start them, wait until they are ready, and stop them by their process ID."""

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

#: How many times a server is started, in case another process takes its port.
START_TRIES: Final = 3
#: How many seconds a server may take to be ready.
START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_TAIL: Final = 2000


class ProgramMissingError(CertCoreError):
    """A program that a test needs is not installed. The test can be skipped."""

    code = "program_missing"


class ServerStartError(CertCoreError):
    """A server that a test needs is installed, but does not start."""

    code = "server_start_error"


def find_program(name: str, package: str, *places: str) -> str:
    """Find the path of a program that a test needs.

    Args:
        name: The file name of the program.
        package: The Debian package that contains it, for the error.
        places: Folders to search in addition to PATH and /usr/sbin.

    Raises:
        ProgramMissingError: The program is not installed.
    """
    path = os.pathsep.join((*places, os.environ.get("PATH", ""), "/usr/sbin"))
    path_found = shutil.which(name, path=path)
    if path_found is None:
        raise ProgramMissingError(f"{name} is not installed.", advice=f"On Debian: apt-get install {package}.")
    return path_found


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A context manager that delays SIGINT and SIGTERM until the end of its block, which must be short.

    It protects the moment between the creation of a folder or process and its registration for the clean-up. Children
    start with the default handlers of both signals. Outside the main thread it does nothing, because Python handles
    signals only there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    late: list[tuple[int, FrameType | None]] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # Handlers that Python cannot restore, and ignored signals, are not changed.
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
    """A child process with a log file.

    Args:
        binary: The program.
        arguments: Its arguments.
        folder: Its working folder, which `stop` removes.
        env: Environment variables in addition to those of this process.
        user: The user to run it as; None for the present user.
        stop_signal: The signal that asks it to end.
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
        """The process ID."""
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
        """Wait until it is ready; False if it ended or took too long."""
        deadline = time.monotonic() + START_SECONDS
        while self.running() and time.monotonic() < deadline:
            if ready():
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """Stop the child and remove its folder. Further calls do nothing."""
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
    """The base class of servers. Use one as a context manager to stop it at the end."""

    def __init__(self, child: Child) -> None:
        self._child = child

    @property
    def pid(self) -> int:
        """The child's process ID."""
        return self._child.pid

    @property
    def log_path(self) -> Path:
        """The path of the child's log, which `stop` removes."""
        return self._child.log_path

    def running(self) -> bool:
        """Whether the child is alive."""
        return self._child.running()

    def log_tail(self) -> str:
        """The last lines of the log, for messages of failing tests; empty after `stop`."""
        return self._child.log_tail()

    def stop(self) -> None:
        """Stop the child and remove its folder. Further calls do nothing."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
