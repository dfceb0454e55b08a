"""Record the calls of a CA module: arguments, results and side effects."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final, Self

from attrs import define, field, frozen

from certcore.adapters.plugins.module_checks import LISTS, METHODS
from certcore.errors import CertCoreError
from certcore.model.issuance import Issuance
from certcore.model.plugin_calls import frames_of, is_interrupt, kind_of
from certcore.ports.ca_module import CAModule

__all__ = ["PAGE_METHODS", "Call", "Recorder", "recorded"]

#: Methods for pages, forms and validation, which must not use the network.
PAGE_METHODS: Final = frozenset(
    {
        "budgets",
        "certificate_actions",
        "certificate_files",
        "certificate_form",
        "check_profile",
        "check_request",
        "hints",
        "profile_actions",
        "profile_files",
        "profile_form",
        "profile_hints",
        "wants_preflights",
    }
)
#: Other methods of plugins that do not use the network.
_OFFLINE: Final = PAGE_METHODS | {"servers"}
#: In seconds; shorter pauses are allowed, for example between two attempts.
_SHORT_SLEEP: Final = 0.05
#: The methods of sockets that contact another machine.
_REACHES: Final = ("connect", "connect_ex", "sendto")


class _GuardError(RuntimeError):
    """A module did something that the call must not do. The recorder has noted it."""


@frozen(kw_only=True, eq=False)
class Call:
    """One call of a method, with its unchecked result."""

    method: str
    arguments: tuple[Any, ...]
    returned: Any = None
    raised: BaseException | None = None
    #: The duration on the real clock.
    seconds: float = 0.0
    #: How many seconds it tried to sleep, which the recorder prevents.
    slept: float = 0.0
    #: The addresses that it tried to contact, for methods of pages.
    reached: tuple[str, ...] = ()
    #: Its output to standard output and standard error.
    printed: str = ""
    #: Whether it changed the state that was passed to it.
    changed_input: bool = False
    #: The moment of the call on the clock of the trial.
    now: datetime

    @property
    def failure(self) -> str:
        """Its exception and the place, without a text that may contain a secret; empty if there was no exception."""
        if self.raised is None:
            return ""
        text = f": {self.raised.message}" if isinstance(self.raised, CertCoreError) else ""
        return f"{self.method} raised {kind_of(self.raised)}{text}\n{frames_of(self.raised)}"


@define(eq=False)
class _Notes:
    """The side effects of one call."""

    slept: float = 0.0
    reached: list[str] = field(factory=list)
    printed: io.StringIO = field(factory=io.StringIO)
    #: Whether the call is for a page, so that it must not use the network.
    is_page: bool = False


@define(eq=False)
class CallWatch:
    """Notes the side effects of calls in their threads: sleeping, printing and, in calls for pages, network access.

    As a context manager, it replaces functions of the standard library meanwhile.
    """

    #: Whether calls may sleep; otherwise they get an error.
    lets_sleep: bool = False
    #: The addresses that calls tried to contact while the network was down; None while it is up.
    _refused: list[str] | None = field(default=None, init=False)
    _local: threading.local = field(factory=threading.local, init=False)
    _stack: contextlib.ExitStack = field(factory=contextlib.ExitStack, init=False)

    def __enter__(self) -> Self:
        self._stack.enter_context(_replaced(time, "sleep", self._sleeping(time.sleep)))
        for name in ("stdout", "stderr"):
            self._stack.enter_context(_replaced(sys, name, _Tee(getattr(sys, name), self._notes)))
        look_up = self._looking_up(socket.getaddrinfo)
        self._stack.enter_context(_replaced(socket, "getaddrinfo", look_up))
        for name in _REACHES:
            connect = self._connecting(getattr(socket.socket, name))
            self._stack.enter_context(_replaced(socket.socket, name, connect))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def network_down(self) -> Iterator[Sequence[str]]:
        """Refuse every connection of recorded calls, and yield the addresses that they tried to contact."""
        refused: list[str] = []
        self._refused = refused
        try:
            yield refused
        finally:
            self._refused = None

    @contextlib.contextmanager
    def noting(self, notes: _Notes, *, is_page: bool) -> Iterator[None]:
        """Note the side effects of this thread."""
        notes.is_page = is_page
        before = self._notes()
        self._local.notes = notes
        try:
            yield
        finally:
            self._local.notes = before

    def _notes(self) -> _Notes | None:
        return getattr(self._local, "notes", None)

    def _sleeping(self, sleep: Callable[[float], None]) -> Callable[[float], None]:
        def call(seconds: float) -> None:
            notes = self._notes()
            if notes is None or seconds <= _SHORT_SLEEP:
                sleep(seconds)
                return
            notes.slept += seconds
            if self.lets_sleep:
                sleep(seconds)
                return
            raise _GuardError("A CA module does not sleep: it returns Waiting.")

        return call

    def _looking_up(self, look_up: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            host = arguments[0] if arguments else named.get("host")
            self._refuse(host)
            if self._is_cut_off(host):
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return look_up(*arguments, **named)

        return call

    def _connecting(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        def call(itself: socket.socket, *arguments: Any) -> Any:
            if itself.family in (socket.AF_INET, socket.AF_INET6):
                self._refuse(arguments[-1])
                if self._is_cut_off(arguments[-1]):
                    raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
            return connect(itself, *arguments)

        return call

    def _is_cut_off(self, target: object) -> bool:
        if self._refused is None or self._notes() is None:
            return False
        self._refused.append(str(target))
        return True

    def _refuse(self, target: object) -> None:
        notes = self._notes()
        if notes is not None and notes.is_page:
            notes.reached.append(str(target))
            raise _GuardError("This method of a plugin does not use the network.")


@define(eq=False)
class Recorder:
    """The calls of a module, in order; thread-safe."""

    watch: CallWatch
    now: Callable[[], datetime]
    calls: list[Call] = field(factory=list)
    _lock: Any = field(factory=threading.Lock, repr=False)

    def of(self, method: str) -> Sequence[Call]:
        """The calls of one method."""
        return tuple(call for call in self.calls if call.method == method)

    def record(self, method: str, function: Callable[..., Any], arguments: tuple[Any, ...], named: Any) -> Any:
        """Call a method, record its side effects, and pass on its result or exception."""
        call = self.noted(method, function, arguments, named)
        if call.raised is not None:
            raise call.raised
        return call.returned

    def noted(self, method: str, function: Callable[..., Any], arguments: tuple[Any, ...], named: Any) -> Call:
        """Call a method and record its side effects. The returned call has the result or the exception.

        Raises:
            KeyboardInterrupt: The main thread was interrupted.
        """
        states = [_state_of(argument) for argument in arguments]
        notes = _Notes()
        now = self.now()
        returned: Any = None
        raised: BaseException | None = None
        begun = time.monotonic()
        with self.watch.noting(notes, is_page=method in _OFFLINE):
            try:
                returned = function(*arguments, **named)
                if method in LISTS and hasattr(returned, "__next__"):
                    returned = tuple(returned)  # runs a generator
            except BaseException as error:  # isolation: the checks judge the exception
                if is_interrupt(error):
                    raise
                raised = error
        call = Call(
            method=method,
            arguments=arguments,
            returned=returned,
            raised=raised,
            seconds=time.monotonic() - begun,
            slept=notes.slept,
            reached=tuple(notes.reached),
            printed=notes.printed.getvalue(),
            changed_input=states != [_state_of(argument) for argument in arguments],
            now=now,
        )
        with self._lock:
            self.calls.append(call)
        return call


def recorded(module: CAModule[Any, Any], recorder: Recorder) -> CAModule[Any, Any]:
    """A proxy for a module, whose class inherits from the module's class. It records every call and passes it on."""
    kind = type(module)

    def method(name: str) -> Callable[..., Any]:
        def call(_self: object, *arguments: Any, **named: Any) -> Any:
            return recorder.record(name, getattr(module, name), arguments, named)

        return call

    methods = {name: method(name) for name in METHODS if hasattr(module, name)}
    attributes = {
        name: getattr(module, name)
        for name in ("name", "title", "profile_type", "certificate_type")
        if hasattr(module, name)
    }
    namespace = {**methods, **attributes, "__getattr__": lambda _self, name: getattr(module, name)}
    stand_in: CAModule[Any, Any] = object.__new__(type(kind.__name__, (kind,), namespace))
    return stand_in


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    is_own = name in vars(owner)
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if is_own:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


class _Tee:
    """Standard output that notes the output of watched calls instead of writing it."""

    def __init__(self, stream: Any, notes: Callable[[], _Notes | None]) -> None:
        self._stream, self._notes = stream, notes

    def write(self, text: str) -> int:
        notes = self._notes()
        return int(self._stream.write(text)) if notes is None else notes.printed.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _state_of(argument: object) -> str:
    """The state and findings in an argument, as text."""
    parts = []
    for name in ("issuance", "active"):
        issuance = argument if name == "issuance" and isinstance(argument, Issuance) else getattr(argument, name, None)
        if isinstance(issuance, Issuance):
            parts.append([issuance.module_state, issuance.findings])
    return json.dumps(parts, default=repr, sort_keys=True)
