"""Calls of plugins: `call_plugin` contains their exceptions and checks their results.

Plugins are all code that certcore calls but does not contain: CA modules, hooks, export formats and keyrings. No other
code calls their methods; an architecture test checks this.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import CodeType, FunctionType, TracebackType
from typing import Any, Final

from certcore.errors import CertCoreError, LeaseLostError, PluginError, StorageError
from certcore.messages import Message
from certcore.model.hints import Hint, Link, hint_to_json
from certcore.model.plugin_results import UnexpectedResultError, conform, with_article
from certcore.model.web_pages import is_web_page

__all__ = ["call_for_hints", "call_plugin", "frames_of", "is_interrupt", "kind_of", "raised"]

_log = logging.getLogger(__name__)
#: The largest number of characters of an error that are shown on a page.
_MOST_TEXT: Final = 20_000
#: The largest number of hints on a page, and of their characters as JSON.
_MOST_HINTS: Final = 200
_MOST_HINT_TEXT: Final = 256 * 1024
#: How many of the innermost frames are logged.
_FRAMES: Final = 12
#: The packages that may raise a `StorageError` while a plugin reads or writes documents.
_STORE: Final = ("certcore.engine.", "certcore.services.", "certcore.adapters.")


def call_plugin(
    plugin: str, place: str, function: Callable[..., Any], /, *arguments: Any, returns: Any, **named: Any
) -> Any:
    """Call a function of a plugin.

    Args:
        plugin: The plugin's name.
        place: The hook or method, for errors and the log.
        function: The function to call.
        arguments: The positional arguments.
        returns: The expected type of the result as an annotation (see `certcore.model.plugin_results.conform`); or a
            function that converts the returned value, and raises an `UnexpectedResultError` if it cannot.
        named: The keyword arguments.

    Returns:
        A copy of the returned value that consists of certcore's own classes.

    Raises:
        PluginError: The plugin raised an exception that is not one of `certcore.errors`, or returned a value of another
            type.
        CertCoreError: The plugin raised this error on purpose, for the user.
        LeaseLostError, StorageError: The store refused an operation of the plugin. If the plugin raises one of these
            itself, it becomes a `PluginError`.
        KeyboardInterrupt: The main thread was interrupted. Any exception of a signal handler is passed on, too.
    """
    try:
        returned = function(*arguments, **named)
        _refuse_unfinished(returned)
        return returns(returned) if isinstance(returns, FunctionType | partial) else conform(returned, returns)
    except UnexpectedResultError as error:
        reason = Message("plugin.returned", "it returned {returned}.", {"returned": str(error)})
        _log_safely("The plugin %r failed in %s: %s", plugin, place, reason)
        raise PluginError(plugin, place, reason) from None
    except BaseException as error:  # isolation: SystemExit and similar exceptions are a plugin's failure, too
        if is_interrupt(error) or _is_meant(error):
            raise
        _log_safely("The plugin %r raised %s in %s:\n%s", plugin, kind_of(error), place, frames_of(error))
        raise PluginError(plugin, place, raised(error)) from None


def call_for_hints(
    plugin: str, place: str, function: Callable[..., Any], /, *arguments: Any, **named: Any
) -> tuple[Hint, ...]:
    """As `call_plugin`, for calls that return hints. The number and size of hints are limited.

    Raises:
        PluginError: The plugin raised an exception, or returned other values or too many hints.
    """
    hints: tuple[Hint, ...] = call_plugin(plugin, place, function, *arguments, returns=_some_hints, **named)
    return hints


def _some_hints(returned: object) -> tuple[Hint, ...]:
    hints: tuple[Hint, ...] = conform(returned, tuple[Hint, ...])
    for hint in hints:
        if isinstance(hint, Link) and not is_web_page(hint.url):
            raise UnexpectedResultError(f"a Link to {hint.url[:60]!r}, where an https URL belongs")
    size = sum(len(json.dumps(hint_to_json(hint), default=str)) for hint in hints)
    if len(hints) > _MOST_HINTS or size > _MOST_HINT_TEXT:
        allowed = f"{_MOST_HINTS} hints of {_MOST_HINT_TEXT} characters are allowed"
        raise UnexpectedResultError(f"{len(hints)} hints of {size} characters; {allowed}")
    return hints


def raised(error: BaseException) -> Message:
    """The message for an exception of a plugin, without the exception's text, which may contain a secret."""
    return Message("plugin.raised", "it raised {error}.", {"error": kind_of(error)})


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception interrupted the main thread from outside: Ctrl-C, or an exception of a signal handler."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    handlers = set(_handlers())
    return any(frame.tb_frame.f_code in handlers for frame in _walk(error.__traceback__))


def kind_of(error: BaseException) -> str:
    """The real name of an exception's class, even if its metaclass returns another one."""
    return str(type.__dict__["__name__"].__get__(type(error)))[:100]


def frames_of(error: BaseException) -> str:
    """The files and lines of a traceback, without the exception's text and source lines, which may contain a secret."""
    lines = [
        f'  File "{frame.tb_frame.f_code.co_filename}", line {frame.tb_lineno}, in {frame.tb_frame.f_code.co_name}'
        for frame in _walk(error.__traceback__)
    ]
    return "\n".join(lines[-_FRAMES:])


def _refuse_unfinished(returned: object) -> None:
    if inspect.iscoroutine(returned):
        returned.close()  # otherwise Python warns that the coroutine was never awaited
    if inspect.isawaitable(returned) or inspect.isasyncgen(returned):
        raise UnexpectedResultError(
            f"{with_article(returned)}: certcore calls plain functions, so write `def` without `async`"
        )


def _is_meant(error: BaseException) -> bool:
    """Whether an exception is one of `certcore.errors` and can be shown unchanged."""
    if isinstance(error, (LeaseLostError, StorageError)):
        return _is_of_the_store(error)
    if not isinstance(error, CertCoreError):
        return False
    try:
        texts = (error.message, error.advice, str(error), error.code)
        retry_after = getattr(error, "retry_after", None)
        is_number = isinstance(retry_after, int | float) or retry_after is None
        return is_number and all(type(text) is str and len(text.encode()) <= _MOST_TEXT for text in texts)
    except Exception:  # isolation: for example, a plugin's subclass that does not call its parent's __init__
        return False


def _is_of_the_store(error: BaseException) -> bool:
    return any(
        str(frame.tb_frame.f_globals.get("__name__", "")).startswith(_STORE) for frame in _walk(error.__traceback__)
    )


def _walk(trace: TracebackType | None) -> Iterator[TracebackType]:
    """The frames inside the frame that called the plugin."""
    trace = None if trace is None else trace.tb_next
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _handlers() -> Iterator[CodeType]:
    for number in signal.valid_signals():
        handler: Any = signal.getsignal(number)
        code = getattr(getattr(handler, "__func__", handler), "__code__", None)
        if isinstance(code, CodeType):
            yield code


def _log_safely(message: str, *arguments: object) -> None:
    with contextlib.suppress(OSError, ValueError):  # a plugin may have closed the stream that the log goes to
        _log.error(message, *arguments)
