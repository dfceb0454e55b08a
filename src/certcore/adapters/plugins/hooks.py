"""Find and check the hooks of a plugin. pluggy finds the functions marked with `hookimpl`; this module checks them."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from types import MappingProxyType, ModuleType
from typing import Any, Final

import pluggy
from attrs import frozen

from certcore import hookspecs
from certcore.messages import Message
from certcore.model.plugin_calls import kind_of

__all__ = ["HOOKS", "Hook", "PluginLoadError", "api_level", "hooks_of", "means_policy"]

#: The arguments of every hook, by its name.
HOOKS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        name: frozenset(inspect.signature(getattr(hookspecs, name)).parameters)
        for name in hookspecs.__all__
        if name.startswith("certcore_")
    }
)
#: Hooks that may be generators.
_LISTS: Final = frozenset(
    {
        "certcore_ca_modules",
        "certcore_catalogues",
        "certcore_check_targets",
        "certcore_export_formats",
        "certcore_hints",
        "certcore_zone_writers",
    }
)
#: The prefix of hook names.
_PREFIX: Final = "certcore_"
_POLICY: Final = "certcore_authorize"
_SIMILAR: Final = 0.85
_ARGUMENTS: Final = Message("plugin.load.arguments", "certcore.hookspecs has the arguments of every hook.")
#: Advice about functions of a kind that certcore does not call.
WRITE_DEF: Final = Message("plugin.load.write_def", "Write `def` for it.")
NO_YIELD: Final = Message("plugin.load.no_yield", "Take the `yield` out of it.")
_MARK: Final = "certcore_impl"
_API: Final = "certcore_api"
_BY_NAME: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


class PluginLoadError(Exception):
    """A plugin cannot be used.

    Args:
        reason: What is wrong with the plugin.
        advice: What its author or the administrator can do.
    """

    def __init__(self, reason: Message, advice: Message | None = None) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.advice = advice


@frozen
class Hook:
    """One hook of a plugin."""

    function: Callable[..., Any]
    #: The arguments that the function takes; it may omit some of those that certcore offers.
    takes: frozenset[str]

    def arguments(self, offered: Mapping[str, object]) -> dict[str, object]:
        """The arguments that the hook takes."""
        return {name: value for name, value in offered.items() if name in self.takes}


class _Manager(pluggy.PluginManager):
    """Reads the marks of a plugin without running its properties."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        if name.startswith("__"):  # special methods are never hooks
            return None
        if isinstance(inspect.getattr_static(plugin, name, None), property | cached_property):
            return None
        return super().parse_hookimpl_opts(plugin, name)


def hooks_of(plugin: object, name: str) -> Mapping[str, Hook]:
    """The hooks of a plugin, by name.

    Raises:
        PluginLoadError: The plugin has no hook, or a hook that cannot work.
    """
    if isinstance(plugin, type) and not _works_as_class(plugin):
        params = {"name": plugin.__name__}
        text = "Make one in the module (`plugin = {name}()`), and name that."
        raise PluginLoadError(
            Message("plugin.load.class", "it is the class {name}, whose hooks need an instance.", params),
            Message("plugin.load.class.advice", text, params),
        )
    # A separate manager, so that one plugin's registry does not affect others.
    manager = _Manager("certcore")
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginLoadError(*(_unknown_arguments(plugin) or _refused_by_pluggy(str(error)))) from None
    hooks: dict[str, Hook] = {}
    for hook, takes in HOOKS.items():
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            _check_kind(hook, implementation)
            hooks[hook] = Hook(implementation.function, _taken(hook, implementation.function, takes))
    _check_forgotten(plugin, hooks)
    return MappingProxyType(hooks)


def api_level(plugin: object) -> int:
    """The version of the plugin interface for which a plugin was written: its ``certcore_api``, or 1 without one.

    Raises:
        PluginLoadError: ``certcore_api`` is not an integer, or a version that this certcore does not support.
    """
    level = inspect.getattr_static(plugin, _API, 1)
    if type(level) is not int or level < 1:
        text = "certcore_api must be a whole number from 1."
        advice = "Write certcore_api = {level} beside the hooks."
        raise PluginLoadError(
            Message("plugin.load.api", text), Message("plugin.load.api.advice", advice, {"level": hookspecs.API_LEVEL})
        )
    if level > hookspecs.API_LEVEL:
        text = "it needs version {level} of the plugin interface; this certcore has version {known}."
        params = {"level": level, "known": hookspecs.API_LEVEL}
        raise PluginLoadError(
            Message("plugin.load.newer_api", text, params),
            Message("plugin.load.newer_api.advice", "Upgrade certcore, or install an older version of the plugin."),
        )
    return level


def means_policy(plugin: object) -> bool:
    """Whether an unusable plugin implements an access policy; if so, everything is denied."""
    return any(name == _POLICY or _similar(name, [_POLICY]) for name in _names(plugin))


def _works_as_class(plugin: type) -> bool:
    marked = [
        static
        for name in dir(plugin)
        if hasattr(static := inspect.getattr_static(plugin, name, None), _MARK)
        or hasattr(getattr(static, "__func__", None), _MARK)
    ]
    return bool(marked) and all(isinstance(value, staticmethod | classmethod) for value in marked)


def _refused_by_pluggy(text: str) -> tuple[Message, Message]:
    whole = " ".join(text.split())[:600]
    for word in whole.replace("'", " ").split():
        if word.startswith("certcore_") and word not in HOOKS and (near := _similar(word, HOOKS)):
            return _unknown_hook(word), Message("plugin.load.did_you_mean", "Did you mean {near}?", {"near": near})
    if unknown := re.search(r"unknown hook '(.*?)'", whole):
        advice = Message("plugin.load.hooks", "The hooks are: {hooks}.", {"hooks": ", ".join(HOOKS)})
        return _unknown_hook(unknown[1]), advice
    return Message("plugin.load.hook_does_not_fit", "a hook does not fit: {reason}.", {"reason": whole}), _ARGUMENTS


def _unknown_hook(name: str) -> Message:
    return Message("plugin.load.unknown_hook", "it implements the unknown hook {hook}.", {"hook": repr(name)})


def _unknown_arguments(plugin: object) -> tuple[Message, Message] | None:
    """The fault and the advice for a plugin with a hook that takes unknown arguments; None if there is none."""
    for name, function in _functions(plugin, prefix=""):
        hook = getattr(function, _MARK, {}).get("specname") or name
        if not hasattr(function, _MARK) or hook not in HOOKS:
            continue
        parameters = inspect.signature(getattr(plugin, name)).parameters.values()
        needed = [
            parameter.name
            for parameter in parameters
            if parameter.default is parameter.empty and parameter.kind in _BY_NAME
        ]
        unknown = [argument for argument in needed if argument not in HOOKS[hook]]
        if unknown:
            near = [similar for argument in unknown if (similar := _similar(argument, list(HOOKS[hook])))]
            params = {"hook": hook, "count": len(unknown), "arguments": ", ".join(map(repr, unknown))}
            text = "{hook} does not fit: it takes the unknown arguments {arguments}."
            singular = "{hook} does not fit: it takes the unknown argument {arguments}."
            reason = Message("plugin.load.unknown_arguments", text, params, singular=singular)
            return reason, _meant(near, sorted(HOOKS[hook]))
    return None


def _meant(near: Sequence[str], offered: Sequence[str]) -> Message:
    """Advice that names the correct arguments of a hook."""
    if near:
        text = "Did you mean {near}? See certcore.hookspecs."
        return Message("plugin.load.arguments_meant", text, {"near": ", ".join(near)})
    if offered:
        text = "It can take: {arguments}. See certcore.hookspecs."
        return Message("plugin.load.arguments_offered", text, {"arguments": ", ".join(offered)})
    return Message("plugin.load.no_arguments_offered", "It can take: nothing. See certcore.hookspecs.")


def _check_kind(hook: str, implementation: pluggy.HookImpl) -> None:
    function = implementation.function
    if implementation.wrapper or implementation.hookwrapper:
        text = "{hook} is a hook wrapper; certcore calls each plugin by itself, so there is nothing to wrap."
        raise PluginLoadError(
            Message("plugin.load.wrapper", text, {"hook": hook}),
            Message("plugin.load.wrapper.advice", "Write it as a plain function that returns its answer."),
        )
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        text = "{hook} is a coroutine function; certcore calls plain functions."
        raise PluginLoadError(Message("plugin.load.coroutine", text, {"hook": hook}), WRITE_DEF)
    if hook not in _LISTS and inspect.isgeneratorfunction(function):
        text = "{hook} is a generator function: calling it does nothing."
        raise PluginLoadError(Message("plugin.load.generator", text, {"hook": hook}), NO_YIELD)


def _taken(hook: str, function: Callable[..., Any], offered: frozenset[str]) -> frozenset[str]:
    parameters = inspect.signature(function).parameters
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values())
    takes = offered if takes_all else offered & parameters.keys()
    try:
        inspect.signature(function).bind(**dict.fromkeys(takes))
    except TypeError as error:
        raise PluginLoadError(_not_by_name(hook, sorted(offered), str(error)), _ARGUMENTS) from None
    return takes


def _not_by_name(hook: str, offered: Sequence[str], reason: str) -> Message:
    params = {"hook": hook, "arguments": ", ".join(offered), "reason": reason}
    if offered:
        text = "{hook} cannot be called with {arguments} by name: {reason}."
        return Message("plugin.load.not_by_name", text, params)
    text = "{hook} cannot be called with no arguments by name: {reason}."
    return Message("plugin.load.not_without_arguments", text, params)


def _check_forgotten(plugin: object, hooks: Mapping[str, Hook]) -> None:
    """Refuse functions that look like hooks but are not marked, and plugins without hooks."""
    for name, function in _functions(plugin):
        near = name if name in HOOKS else _similar(name, HOOKS)
        if near is None or hasattr(function, _MARK):
            continue
        marks = [attribute for attribute in vars(function) if attribute.endswith("_impl")]
        if marks:
            text = "{name} has the mark of another project ({project}), so certcore does not see it."
            params = {"name": name, "project": marks[0].removesuffix("_impl")}
            reason = Message("plugin.load.other_mark", text, params)
        else:
            text = "{name} has no mark, so certcore does not see it."
            reason = Message("plugin.load.no_mark", text, {"name": name})
        text = "Write @certcore.hookimpl above `def {hook}`."
        raise PluginLoadError(reason, Message("plugin.load.mark", text, {"hook": near}))
    if not hooks:
        reason = Message("plugin.load.no_hook", "no hook was found in it.")
        raise PluginLoadError(reason, _where_hooks_are(plugin))


def _where_hooks_are(plugin: object) -> Message:
    text = "Mark functions named as in certcore.hookspecs with @certcore.hookimpl."
    usual = Message("plugin.load.mark_functions", text)
    if not isinstance(plugin, ModuleType):
        return usual
    for name, value in vars(plugin).items():
        if value is plugin or isinstance(value, ModuleType) or name.startswith("__"):
            continue
        kind = value if isinstance(value, type) else type(value)
        if not any(hasattr(value, _MARK) for value in vars(kind).values()):
            continue
        if isinstance(value, type):
            text = "The hooks are in the class {name}: add `plugin = {name}()`, and name `{module}:plugin`."
            return Message("plugin.load.hooks_in_class", text, {"name": name, "module": plugin.__name__})
        text = "The hooks are in {name}: name `{module}:{name}`."
        return Message("plugin.load.hooks_in_object", text, {"name": name, "module": plugin.__name__})
    return usual


def _functions(plugin: object, prefix: str = _PREFIX) -> Iterator[tuple[str, Any]]:
    for name in _names(plugin, prefix):
        static = inspect.getattr_static(plugin, name, None)
        function = getattr(static, "__func__", static)
        function = function.func if isinstance(function, partial) else function
        if inspect.isfunction(function):
            yield name, function


def _names(plugin: object, prefix: str = _PREFIX) -> list[str]:
    try:
        return [name for name in dir(plugin) if name.startswith(prefix)]
    except BaseException as error:  # isolation: a plugin's own __dir__
        if isinstance(error, KeyboardInterrupt):
            raise
        reason = Message("plugin.load.dir_raised", "its __dir__ raised {error}.", {"error": kind_of(error)})
        raise PluginLoadError(reason) from None


def _similar(name: str, known: Mapping[str, object] | list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=_SIMILAR)), None)
