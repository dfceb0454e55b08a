"""Run the command of a deployment: without a shell, with a clean environment and a time limit."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import IO, Final

from certcore.contrib.deploy.record import DeploymentError
from certcore.net.foreign_text import printable

__all__ = ["run_command"]

_ENVIRONMENT: Final = MappingProxyType(
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
)
#: The most characters of the last line of stderr that an error quotes.
_MAX_QUOTED: Final = 200
#: How many of the last bytes of stderr are kept to find that line.
_MAX_TAIL: Final = 4096
_CHUNK: Final = 65536
#: Seconds between two checks whether the command has ended.
_POLL_INTERVAL: Final = 0.05
#: Polls after SIGTERM until the command is killed: two seconds.
_GRACE_POLLS: Final = 40
#: The most chunks that are read after the end of the command. A pipe buffers less, unless a process still writes to it.
_MAX_LAST_CHUNKS: Final = 16


def run_command(command: Sequence[str], *, environment: Mapping[str, str], timeout: float) -> None:
    """Run a command and wait for its end.

    Its stdin is empty, its stdout is discarded, and the last line of its stderr is quoted if it fails. Its working
    directory is ``/``, and it inherits neither this process's environment nor its open files. After `timeout`, the
    command and its process group are ended. Background processes of a command that has ended in time are left running.

    Args:
        command: The program's absolute path and its arguments.
        environment: Environment variables beside PATH and LANG.
        timeout: Seconds.

    Raises:
        DeploymentError: The command cannot be started, did not end in time, or its exit code is not 0.
    """
    program = command[0]
    stderr_tail, ended = b"", False
    over = threading.Event()
    timer = threading.Timer(timeout, over.set)
    timer.name, timer.daemon = "certcore-command", True
    try:
        process = subprocess.Popen(  # noqa: S603 - the administrator's own command, and no shell
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env={**_ENVIRONMENT, **environment},
            start_new_session=True,
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the system reported an error"
        missing = "Check the path." if error.errno == errno.ENOENT else "Check that it is executable."
        raise DeploymentError(f"The command {program} cannot be started: {reason}.", advice=missing) from None
    try:
        timer.start()
        stderr_tail = _listen(process, over)
        ended = not over.is_set()
    finally:
        timer.cancel()
        if not ended:
            _end(process)
        if process.stderr is not None:
            process.stderr.close()
        code = process.wait()
    if ended and code == 0:
        return
    ending = _how(code) if ended else f"did not end within {timeout:g} seconds and was stopped"
    last = _last_line(stderr_tail)
    stop = "" if last.endswith((".", "!", "?", "…")) else "."
    raise DeploymentError(
        f"The command {program} {ending}{f': {last}' if last else ''}{stop}",
        advice="The files are written; the command will be run again. Run it by hand to find the cause.",
    )


def _listen(process: subprocess.Popen[bytes], over: threading.Event) -> bytes:
    """Wait until a command ends or `over` is set, and return the last bytes of its stderr."""
    tail = b""
    if process.stderr is None:
        return tail
    os.set_blocking(process.stderr.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        silent = False
        while not over.is_set() and not _has_ended(process):
            if silent:  # it has closed stderr and is still running
                over.wait(_POLL_INTERVAL)
            elif selector.select(_POLL_INTERVAL):
                part = _part(process.stderr)
                silent = part == b""
                tail = (tail + (part or b""))[-_MAX_TAIL:]
    # Read the rest, but do not wait for a background process that keeps writing.
    for _ in range(_MAX_LAST_CHUNKS):
        part = _part(process.stderr)
        if not part:
            break
        tail = (tail + part)[-_MAX_TAIL:]
    return tail


def _part(stream: IO[bytes]) -> bytes | None:
    """The next bytes of a stream: None if there are none yet, empty at the end of the stream."""
    try:
        return os.read(stream.fileno(), _CHUNK)
    except BlockingIOError:
        return None


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended. It is not reaped, so that its pid cannot be reused before `Popen.wait`."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # the host program has reaped the process
        return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and its process group: with SIGTERM, and after a pause with SIGKILL."""
    pause = threading.Event()
    if not _has_ended(process):
        _signal(process, signal.SIGTERM)
    for _ in range(_GRACE_POLLS):
        if _has_ended(process):
            break
        pause.wait(_POLL_INTERVAL)
    _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # the group has ended, or runs as another user
        process.send_signal(number)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def _last_line(output: bytes) -> str:
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(lines[-1], _MAX_QUOTED) if lines else ""
