"""Check a CA module when it is loaded, before a certificate depends on it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import lru_cache
from types import FunctionType, MappingProxyType, MethodType
from typing import Any, Final

import attrs

from certcore.adapters.plugins.hooks import NO_YIELD, PluginLoadError
from certcore.messages import Message
from certcore.model.form import fields_of
from certcore.model.plugin_results import SHORT_NAME
from certcore.ports.ca_module import (
    CAModule,
    SupportsCheck,
    SupportsCleanUp,
    SupportsDeletion,
    SupportsDiagnosis,
    SupportsPreflight,
    SupportsRenewalInfo,
    SupportsRevocation,
)
from certcore.ports.dns import ServesZones
from certcore.ports.module_actions import SupportsActions, SupportsCertificateActions
from certcore.ports.module_budgets import SupportsBudgets
from certcore.ports.module_files import SupportsFiles
from certcore.ports.signing_ca import SigningCA

__all__ = ["LISTS", "METHODS", "check_module", "return_instance", "write_def"]

_LONGEST_TITLE: Final = 100
_SIMILAR: Final = 0.85
_POWERS: Final = (
    SupportsActions,
    SupportsCertificateActions,
    SupportsBudgets,
    SupportsFiles,
    SupportsCheck,
    SupportsCleanUp,
    SupportsDeletion,
    SupportsDiagnosis,
    SupportsPreflight,
    SupportsRenewalInfo,
    SupportsRevocation,
    ServesZones,
)


def _methods(*kinds: type) -> Iterator[tuple[str, inspect.Signature]]:
    for kind in kinds:
        for name, function in vars(kind).items():
            if inspect.isfunction(function) and not name.startswith("_"):
                signature = inspect.signature(function)
                parameters = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
                yield name, signature.replace(parameters=parameters)


#: The signature of every method of a module that certcore calls.
METHODS: Final[Mapping[str, inspect.Signature]] = MappingProxyType(dict(_methods(CAModule, *_POWERS)))
#: The methods that each power (an optional protocol of a module) requires.
_NEEDED: Final[Mapping[type, frozenset[str]]] = MappingProxyType(
    {power: frozenset(name for name, _ in _methods(power)) for power in _POWERS}
)
#: Further methods of a signing CA.
_SIGNING: Final[Mapping[str, inspect.Signature]] = MappingProxyType(
    {name: signature for name, signature in _methods(SigningCA) if name not in METHODS}
)
#: Methods that return lists, and may be written as generators.
LISTS: Final = frozenset(
    {
        "budgets",
        "certificate_actions",
        "certificate_files",
        "certificate_form",
        "hints",
        "profile_actions",
        "profile_files",
        "profile_form",
        "profile_hints",
    }
)


def check_module(module: object) -> CAModule[Any, Any]:
    """Check a CA module and return it.

    Raises:
        PluginLoadError: The module has a fault.
    """
    if isinstance(module, type):
        text = "certcore_ca_modules returned the class {name}, which is not a CAModule instance."
        reason = Message("plugin.module.class", text, {"name": module.__name__})
        raise PluginLoadError(reason, return_instance(module))
    if not issubclass(type(module), CAModule):
        text = "certcore_ca_modules returned a {kind}, which is not a CAModule."
        raise PluginLoadError(
            Message("plugin.module.other", text, {"kind": type(module).__name__}),
            Message("plugin.module.other.advice", "Inherit from certcore.plugin.CAModule."),
        )
    known: Any = module
    name = inspect.getattr_static(known, "name", None)
    if type(name) is not str or not SHORT_NAME.fullmatch(name):
        text = "the module's name {name} must be lower-case letters, digits and underscores."
        raise PluginLoadError(
            Message("plugin.module.name", text, {"name": repr(str(name)[:60])}),
            Message("plugin.module.name.advice", "Write it as text in the class: name = 'my_ca'."),
        )
    title = known.title if hasattr(known, "title") else None
    if type(title) is not str or not title.strip() or len(title) > _LONGEST_TITLE or not title.isprintable():
        raise PluginLoadError(
            Message("plugin.module.no_title", "the module {module} has no title.", {"module": repr(name)}),
            Message("plugin.module.no_title.advice", "Give it one line: title = 'My CA'."),
        )
    for attribute in ("profile_type", "certificate_type"):
        _check_settings(name, attribute, getattr(known, attribute, None))
    there = _check_methods(name, known)
    _check_powers(name, known, there)
    _check_needs_clean_up(name, known)
    checked: CAModule[Any, Any] = known
    return checked


def return_instance(kind: type) -> Message:
    """The advice for a plugin that returned a class instead of an instance."""
    return Message("plugin.load.return_instance", "Return an instance: [{name}()].", {"name": kind.__name__})


def _check_settings(module: str, attribute: str, settings_type: object) -> None:
    text = "Write it with @attrs.frozen(kw_only=True), its fields with certcore.plugin.form."
    advice = Message("plugin.module.settings.advice", text)
    params = {"attribute": attribute, "module": repr(module)}
    if not isinstance(settings_type, type) or not attrs.has(settings_type):
        text = "{attribute} of the module {module} must be an attrs class."
        raise PluginLoadError(Message("plugin.module.settings", text, params), advice)
    try:
        fields_of(settings_type)
    except TypeError as error:
        text = "{attribute} of the module {module}: {reason}"
        reason = Message("plugin.module.settings_because", text, {**params, "reason": str(error)})
        raise PluginLoadError(reason, advice) from None
    for field in attrs.fields(settings_type):
        if not field.init or field.alias not in (None, field.name):
            text = "{attribute} of the module {module}: {field} cannot be given by its name."
            raise PluginLoadError(
                Message("plugin.module.field", text, {**params, "field": repr(field.name)}),
                Message("plugin.module.field.advice", "Remove the underscore, init=False or the alias."),
            )


def _check_methods(module: str, instance: object) -> frozenset[str]:
    """Refuse methods that certcore cannot call, and return the names of the methods that the module has."""
    there = set()
    methods = {**METHODS, **_SIGNING} if isinstance(instance, SigningCA) else METHODS
    for name, signature in methods.items():
        static = inspect.getattr_static(instance, name, None)
        if static is None:
            continue
        there.add(name)
        method = getattr(instance, name)
        params = {"name": name, "module": repr(module)}
        if not callable(method):
            text = "{name} of the module {module} is a {kind}, not a method."
            raise PluginLoadError(Message("plugin.module.no_method", text, {**params, "kind": type(method).__name__}))
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            text = "{name} of the module {module} is a coroutine function; certcore calls plain functions in threads."
            raise PluginLoadError(Message("plugin.module.coroutine", text, params), write_def(name))
        if name not in LISTS and inspect.isgeneratorfunction(method):
            text = "{name} of the module {module} is a generator function: calling it does nothing."
            raise PluginLoadError(Message("plugin.module.generator", text, params), NO_YIELD)
        _check_signature(module, name, method, signature)
    return frozenset(there) & METHODS.keys()


def _check_needs_clean_up(module: str, instance: object) -> None:
    value = inspect.getattr_static(instance, "needs_clean_up", None)
    params = {"module": repr(module)}
    if type(value) is not bool:
        text = "needs_clean_up of the module {module} must be True or False."
        advice = "Write it in the class: needs_clean_up = True."
        raise PluginLoadError(
            Message("plugin.module.needs_clean_up", text, params),
            Message("plugin.module.needs_clean_up.advice", advice),
        )
    if value and not isinstance(instance, SupportsCleanUp):
        text = "the module {module} has needs_clean_up = True, but no method clean_up."
        advice = "Write clean_up(work), or take needs_clean_up away."
        raise PluginLoadError(
            Message("plugin.module.no_clean_up", text, params), Message("plugin.module.no_clean_up.advice", advice)
        )


def write_def(name: str) -> Message:
    """The advice for a method that is not a plain function."""
    return Message("plugin.load.write_def_of", "Write `def {name}`.", {"name": name})


@lru_cache(maxsize=512)
def _is_called_so(function: FunctionType, name: str) -> bool:
    """Whether certcore's call of the method with this name fits the function; cached, because the check is slow."""
    by_position, by_name = _arguments(METHODS[name] if name in METHODS else _SIGNING[name])
    try:
        inspect.signature(function).bind(None, *by_position, **dict.fromkeys(by_name))
    except (TypeError, ValueError):
        return False
    return True


def _arguments(expected: inspect.Signature) -> tuple[list[inspect.Parameter], list[str]]:
    """The arguments with which a method is called: the positional ones, and the names of the keyword arguments."""
    parameters = expected.parameters.values()
    by_position = [parameter for parameter in parameters if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    by_name = [parameter.name for parameter in parameters if parameter.kind is inspect.Parameter.KEYWORD_ONLY]
    return by_position, by_name


def _check_signature(module: str, name: str, method: Any, expected: inspect.Signature) -> None:
    function = method.__func__ if isinstance(method, MethodType) else None
    if isinstance(function, FunctionType) and _is_called_so(function, name):
        return
    try:
        signature = inspect.signature(method)
    except ValueError:  # written in C, without a signature
        return
    by_position, by_name = _arguments(expected)
    try:
        signature.bind(*by_position, **dict.fromkeys(by_name))
    except TypeError as error:
        called = [parameter.name for parameter in by_position] + [f"{parameter}=…" for parameter in by_name]
        text = "{name} of the module {module} does not fit: {reason}."
        params = {"name": name, "arguments": ", ".join(called), "written": _without_types(signature)}
        advice = "certcore calls {name}({arguments}); it is written {name}{written}."
        raise PluginLoadError(
            Message("plugin.module.signature", text, {"name": name, "module": repr(module), "reason": str(error)}),
            Message("plugin.module.signature.advice", advice, params),
        ) from None


def _without_types(signature: inspect.Signature) -> str:
    empty = inspect.Parameter.empty
    plain = [parameter.replace(annotation=empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))[:200]


def _check_powers(module: str, instance: object, there: AbstractSet[str]) -> None:
    """Refuse a module with only some methods of a power, or with a method whose name nearly is that of a power."""
    own = {name for kind in type(instance).__mro__ if kind not in (SigningCA, CAModule, object) for name in vars(kind)}
    for power, needed in _NEEDED.items():
        if needed & there and not needed <= there:
            missing = ", ".join(sorted(needed - there))
            params = {"module": repr(module), "there": ", ".join(sorted(needed & there)), "missing": missing}
            text = "Both belong to {power}: write {missing}, too."
            raise PluginLoadError(
                Message("plugin.module.half_a_power", "the module {module} has {there}, but not {missing}.", params),
                Message("plugin.module.half_a_power.advice", text, {"power": power.__name__, "missing": missing}),
            )
    absent = [name for name in METHODS if name not in own]
    for name in sorted(own - METHODS.keys()):
        if name.startswith("_") or not callable(getattr(type(instance), name, None)):
            continue
        near = _nearly(name, absent)
        if near:
            text = "the module {module} has a method {name}, which certcore never calls; it looks like {near}."
            params = {"module": repr(module), "name": name, "near": near}
            advice = "Rename it to {near}, or choose another name if it is not this method."
            raise PluginLoadError(
                Message("plugin.module.misspelt", text, params),
                Message("plugin.module.misspelt.advice", advice, {"near": near}),
            )


def _nearly(name: str, absent: list[str]) -> str | None:
    plain = {name.replace("_", ""): name for name in absent}
    close = difflib.get_close_matches(name.lower().replace("_", ""), list(plain), n=1, cutoff=_SIMILAR)
    return plain[close[0]] if close else None
