"""The only way to call a plugin: `call_plugin` contains its exceptions, and checks its results.

A plugin is everything that certcore calls and did not write: CA modules, hooks, export formats, keyrings. No other
code calls their methods; a test of the architecture looks for such calls.
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
#: How much text of an error is shown on a page.
_MOST_TEXT: Final = 20_000
#: How many hints a page may have, and how many characters they may have as JSON.
_MOST_HINTS: Final = 200
_MOST_HINT_TEXT: Final = 256 * 1024
#: How many of the last frames are logged.
_FRAMES: Final = 12
#: The code that may raise an error of the store in the call of a plugin that reads or writes documents.
_STORE: Final = ("certcore.engine.", "certcore.services.", "certcore.adapters.")


def call_plugin(
    plugin: str, place: str, function: Callable[..., Any], /, *arguments: Any, returns: Any, **named: Any
) -> Any:
    """Call a function of a plugin.

    Args:
        plugin: Its name.
        place: The hook or method, for the error and the log.
        function: What is called.
        arguments: Its arguments by position.
        returns: What it has to return, as an annotation (see `certcore.model.plugin_results.conform`); or a function
            that makes the result of what was returned, and raises `UnexpectedResultError` where that cannot be.
        named: Its arguments by name.

    Returns:
        A copy of what it returned, in certcore's own classes.

    Raises:
        PluginError: It raised anything but an error of `certcore.errors`, or returned something else.
        CertCoreError: It raised this error on purpose, for people.
        LeaseLostError, StorageError: The store refused something that the plugin did. Raised without the store's doing,
            these are a `PluginError`.
        KeyboardInterrupt: Somebody interrupted the main thread; likewise whatever a signal's handler raises there.
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
    """As `call_plugin`, for calls that return hints; their number and size are bounded.

    Raises:
        PluginError: It raised, or returned something else, or more than a page holds.
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
    """That a plugin raised an error; its text is left out, as it might hold a secret."""
    return Message("plugin.raised", "it raised {error}.", {"error": kind_of(error)})


def is_interrupt(error: BaseException) -> bool:
    """Whether an error came to the main thread from outside: Ctrl-C, or what a signal's handler raised."""
    if threading.current_thread() is not threading.main_thread():
        return False
    if isinstance(error, KeyboardInterrupt):
        return True
    handlers = set(_handlers())
    return any(frame.tb_frame.f_code in handlers for frame in _walk(error.__traceback__))


def kind_of(error: BaseException) -> str:
    """The real name of an error's class: a metaclass may return another one."""
    return str(type.__dict__["__name__"].__get__(type(error)))[:100]


def frames_of(error: BaseException) -> str:
    """Where an error was raised: files and lines. Its text, and that of the source, might hold a secret."""
    lines = [
        f'  File "{frame.tb_frame.f_code.co_filename}", line {frame.tb_lineno}, in {frame.tb_frame.f_code.co_name}'
        for frame in _walk(error.__traceback__)
    ]
    return "\n".join(lines[-_FRAMES:])


def _refuse_unfinished(returned: object) -> None:
    if inspect.iscoroutine(returned):
        returned.close()  # else Python warns that nobody has awaited it
    if inspect.isawaitable(returned) or inspect.isasyncgen(returned):
        raise UnexpectedResultError(
            f"{with_article(returned)}: certcore calls plain functions, so write `def` without `async`"
        )


def _is_meant(error: BaseException) -> bool:
    """Whether an error is of `certcore.errors` and can be shown as it is."""
    if isinstance(error, (LeaseLostError, StorageError)):
        return _is_of_the_store(error)
    if not isinstance(error, CertCoreError):
        return False
    try:
        texts = (error.message, error.advice, str(error), error.code)
        retry_after = getattr(error, "retry_after", None)
        is_number = isinstance(retry_after, int | float) or retry_after is None
        return is_number and all(type(text) is str and len(text.encode()) <= _MOST_TEXT for text in texts)
    except Exception:  # isolation: a subclass of a plugin that does not call its parent's __init__, say
        return False


def _is_of_the_store(error: BaseException) -> bool:
    return any(
        str(frame.tb_frame.f_globals.get("__name__", "")).startswith(_STORE) for frame in _walk(error.__traceback__)
    )


def _walk(trace: TracebackType | None) -> Iterator[TracebackType]:
    """The frames below the one that called the plugin."""
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
