"""Running a command after files have changed: without a shell, with nothing inherited, and not for ever."""

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

from certcore.contrib.deploy_record import DeploymentFailed
from certcore.contrib.target_fields import plain

__all__ = ["run_command"]

_ENVIRONMENT: Final = MappingProxyType(
    {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
)
#: Of what the command says at the end, so much is shown, and so many bytes are kept for it.
_SHOWN: Final = 200
_KEPT: Final = 4096
_CHUNK: Final = 65536
#: Seconds between two looks whether the command has ended, when it says nothing.
_LOOK: Final = 0.05
#: Looks until a command that was asked to end is killed: two seconds.
_GRACE: Final = 40
#: A pipe holds no more than this many chunks, unless somebody still writes to it.
_LEFT: Final = 16


def run_command(command: Sequence[str], *, environment: Mapping[str, str], timeout: float) -> None:
    """Run a command to its end.

    It has no input, its output is dropped, its working folder is ``/``, and of this process's environment and open
    files it has nothing. When the time is over, it and all that it started in its own session are ended. What it leaves
    running in the background after it has ended well is left alone.

    Args:
        command: The program, by its absolute path, and its arguments.
        environment: What is set besides PATH and LANG.
        timeout: Seconds.

    Raises:
        DeploymentFailed: It cannot be started, did not end in time, or ended with another code than 0.
    """
    program = command[0]
    said, ended = b"", False
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
        reason = os.strerror(error.errno) if error.errno else "the system refused"
        missing = "Is the path right?" if error.errno == errno.ENOENT else "May it be executed?"
        raise DeploymentFailed(f"The command {program} cannot be started: {reason}.", advice=missing) from None
    try:
        timer.start()
        said = _listen(process, over)
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
    how = _how(code) if ended else f"did not end within {timeout:g} seconds and was ended"
    last = _last_line(said)
    stop = "" if last.endswith((".", "!", "?", "…")) else "."
    raise DeploymentFailed(
        f"The command {program} {how}{f': {last}' if last else ''}{stop}",
        advice="The files are there; the command is run again later. Run it by hand to see what is wrong.",
    )


def _listen(process: subprocess.Popen[bytes], over: threading.Event) -> bytes:
    """Wait for the end of a command, or for the end of its time; returns the end of what it said on stderr."""
    said = b""
    if process.stderr is None:
        return said
    os.set_blocking(process.stderr.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        silent = False
        while not over.is_set() and not _has_ended(process):
            if silent:  # it has closed stderr, and goes on
                over.wait(_LOOK)
            elif selector.select(_LOOK):
                part = _part(process.stderr)
                silent = part == b""
                said = (said + (part or b""))[-_KEPT:]
    # What it said at last. Something that it left in the background may go on talking: that is not waited for.
    for _ in range(_LEFT):
        part = _part(process.stderr)
        if not part:
            break
        said = (said + part)[-_KEPT:]
    return said


def _part(stream: IO[bytes]) -> bytes | None:
    """Some of what a stream holds; None when it holds nothing now, empty when it has ended."""
    try:
        return os.read(stream.fileno(), _CHUNK)
    except BlockingIOError:
        return None


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has; its number stays its own until `Popen.wait`, so that nobody else can get what we send."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:  # the host collects the children of all its threads
        return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it started: asked first, killed then."""
    pause = threading.Event()
    if not _has_ended(process):
        _signal(process, signal.SIGTERM)
    for _ in range(_GRACE):
        if _has_ended(process):
            break
        pause.wait(_LOOK)
    _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # nobody is there any more, or it has become another user's
        process.send_signal(number)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode("utf-8", "replace").splitlines() if line.strip()]
    return plain(lines[-1], _SHOWN) if lines else ""
