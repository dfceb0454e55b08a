"""Finding the hooks of one plugin, and saying what is wrong with them: pluggy reads the marks, the rest is here."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from types import MappingProxyType, ModuleType
from typing import Any, Final

import pluggy
from attrs import frozen

from certcore import hookspecs
from certcore.model.plugin_calls import kind_of

__all__ = ["HOOKS", "Hook", "PluginFault", "hooks_of", "means_policy"]

#: The arguments of every hook, by its name.
HOOKS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        name: frozenset(inspect.signature(getattr(hookspecs, name)).parameters)
        for name in hookspecs.__all__
        if name.startswith("certcore_")
    }
)
#: These may be written as generators.
_LISTS: Final = frozenset({"certcore_ca_modules", "certcore_export_formats", "certcore_hints"})
_POLICY: Final = "certcore_authorize"
_SIMILAR: Final = 0.85
_MARK: Final = "certcore_impl"


class PluginFault(Exception):
    """Why a plugin cannot be used.

    Args:
        reason: What is wrong with it.
        advice: What its author, or whoever installed it, can do.
    """

    def __init__(self, reason: str, advice: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.advice = advice


@frozen
class Hook:
    """One hook of a plugin."""

    function: Callable[..., Any]
    #: The arguments that it takes: it may leave some out.
    takes: frozenset[str]

    def arguments(self, offered: Mapping[str, object]) -> dict[str, object]:
        """Those of the arguments that it takes."""
        return {name: value for name, value in offered.items() if name in self.takes}


class _Manager(pluggy.PluginManager):
    """Reads the marks of a plugin without running its properties."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if isinstance(inspect.getattr_static(plugin, name, None), property | cached_property):
            return None
        return super().parse_hookimpl_opts(plugin, name)


def hooks_of(plugin: object, name: str) -> Mapping[str, Hook]:
    """The hooks of a plugin, by their names.

    Raises:
        PluginFault: It has none, or one that cannot work.
    """
    if isinstance(plugin, type) and not _works_as_class(plugin):
        raise PluginFault(
            f"it is the class {plugin.__name__}, whose hooks need an instance.",
            f"Make one in the module (`plugin = {plugin.__name__}()`), and name that.",
        )
    # A manager of its own: what one plugin does to its registry hurts no other.
    manager = _Manager("certcore")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginFault(*_refused_by_pluggy(str(error))) from None
    found: dict[str, Hook] = {}
    for hook, takes in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            _check_kind(hook, implementation)
            found[hook] = Hook(implementation.function, _taken(hook, implementation.function, takes))
    _check_forgotten(plugin, found)
    return MappingProxyType(found)


def means_policy(plugin: object) -> bool:
    """Whether a plugin that cannot be used was meant to say who may do what: nobody may do anything then."""
    return any(name == _POLICY or _similar(name, [_POLICY]) for name in _names(plugin))


def _works_as_class(plugin: type) -> bool:
    marked = [
        static
        for name in dir(plugin)
        if hasattr(static := inspect.getattr_static(plugin, name, None), _MARK)
        or hasattr(getattr(static, "__func__", None), _MARK)
    ]
    return bool(marked) and all(isinstance(one, staticmethod | classmethod) for one in marked)


def _refused_by_pluggy(text: str) -> tuple[str, str]:
    whole = " ".join(text.split())[:600]
    for word in whole.replace("'", " ").split():
        if word.startswith("certcore_") and word not in HOOKS and (near := _similar(word, HOOKS)):
            return f"it implements an unknown hook: {whole}.", f"Did you mean {near}?"
    if "unknown hook" in whole:
        return f"it implements an unknown hook: {whole}.", f"The hooks are: {', '.join(HOOKS)}."
    return f"a hook does not fit: {whole}.", "certcore.hookspecs has the arguments of every hook."


def _check_kind(hook: str, implementation: pluggy.HookImpl) -> None:
    function = implementation.function
    if implementation.wrapper or implementation.hookwrapper:
        raise PluginFault(
            f"{hook} is a hook wrapper; certcore calls each plugin by itself, so there is nothing to wrap.",
            "Write it as a plain function that returns its answer.",
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginFault(f"{hook} is a coroutine function; certcore calls plain functions.", "Write `def` for it.")
    if hook not in _LISTS and inspect.isgeneratorfunction(function):
        raise PluginFault(f"{hook} is a generator function: calling it does nothing.", "Take the `yield` out of it.")


def _taken(hook: str, function: Callable[..., Any], offered: frozenset[str]) -> frozenset[str]:
    parameters = inspect.signature(function).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values())
    takes = offered if takes_all else offered & parameters.keys()
    try:
        inspect.signature(function).bind(**dict.fromkeys(takes))
    except TypeError as error:
        raise PluginFault(
            f"{hook} cannot be called with {', '.join(sorted(offered)) or 'no arguments'} by name: {error}.",
            "certcore.hookspecs has the arguments of every hook.",
        ) from None
    return takes


def _check_forgotten(plugin: object, found: Mapping[str, Hook]) -> None:
    """Refuse functions that look like hooks and are none, and a plugin without any."""
    for name, function in _functions(plugin):
        near = name if name in HOOKS else _similar(name, HOOKS)
        if near is None or hasattr(function, _MARK):
            continue
        marks = [attribute for attribute in vars(function) if attribute.endswith("_impl")]
        if marks:
            project = marks[0].removesuffix("_impl")
            reason = f"{name} has the mark of another project ({project}), so certcore does not see it."
        else:
            reason = f"{name} has no mark, so certcore does not see it."
        raise PluginFault(reason, f"Write @certcore.hookimpl above `def {near}`.")
    if not found:
        raise PluginFault("no hook was found in it.", _where_hooks_are(plugin))


def _where_hooks_are(plugin: object) -> str:
    usual = "Mark functions named as in certcore.hookspecs with @certcore.hookimpl."
    if not isinstance(plugin, ModuleType):
        return usual
    for name, value in vars(plugin).items():
        if value is plugin or isinstance(value, ModuleType) or name.startswith("__"):
            continue
        kind = value if isinstance(value, type) else type(value)
        if not any(hasattr(one, _MARK) for one in vars(kind).values()):
            continue
        if isinstance(value, type):
            return f"The hooks are in the class {name}: add `plugin = {name}()`, and name `{plugin.__name__}:plugin`."
        return f"The hooks are in {name}: name `{plugin.__name__}:{name}`."
    return usual


def _functions(plugin: object) -> Iterator[tuple[str, Any]]:
    for name in _names(plugin):
        static = inspect.getattr_static(plugin, name, None)
        function = getattr(static, "__func__", static)
        function = function.func if isinstance(function, partial) else function
        if inspect.isfunction(function):
            yield name, function


def _names(plugin: object) -> list[str]:
    try:
        return [name for name in dir(plugin) if name.startswith("certcore_")]
    except BaseException as error:  # isolation: a plugin's own __dir__
        if isinstance(error, KeyboardInterrupt):
            raise
        raise PluginFault(f"its __dir__ raised {kind_of(error)}.") from None


def _similar(name: str, known: Mapping[str, object] | list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=_SIMILAR)), None)
