"""What is wrong with a CA module, seen when it is loaded: before a certificate depends on it."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from certcore.adapters.plugin_hooks import PluginFault
from certcore.model.form import fields_of
from certcore.ports.ca_module import (
    CAModule,
    SupportsActions,
    SupportsCheck,
    SupportsCleanUp,
    SupportsRenewalInfo,
    SupportsRevocation,
)
from certcore.ports.dns import ServesZones

__all__ = ["METHODS", "check_module"]

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_LONGEST_TITLE: Final = 100
_SIMILAR: Final = 0.85
_POWERS: Final = (
    SupportsActions,
    SupportsCheck,
    SupportsCleanUp,
    SupportsRenewalInfo,
    SupportsRevocation,
    ServesZones,
)


def _methods(*kinds: type) -> Iterator[tuple[str, inspect.Signature]]:
    for kind in kinds:
        for name, function in vars(kind).items():
            if inspect.isfunction(function) and not name.startswith("_"):
                signature = inspect.signature(function)
                parameters = [one for one in signature.parameters.values() if one.name != "self"]
                yield name, signature.replace(parameters=parameters)


#: Every method of a module that certcore calls, as it is called.
METHODS: Final[Mapping[str, inspect.Signature]] = MappingProxyType(dict(_methods(CAModule, *_POWERS)))
#: Methods that may be written as generators: they return lists.
_LISTS: Final = frozenset({"certificate_form", "hints", "profile_actions", "profile_form", "profile_hints"})


def check_module(module: object) -> CAModule:
    """A CA module that can work, as far as that can be seen.

    Raises:
        PluginFault: It cannot.
    """
    if isinstance(module, type):
        raise PluginFault(
            f"certcore_ca_modules returned the class {module.__name__}, which is not a CAModule but makes one.",
            f"Return an instance: [{module.__name__}()].",
        )
    if not issubclass(type(module), CAModule):
        raise PluginFault(
            f"certcore_ca_modules returned a {type(module).__name__}, which is not a CAModule.",
            "Inherit from certcore.ports.ca_module.CAModule.",
        )
    known: Any = module
    name = inspect.getattr_static(known, "name", None)
    if type(name) is not str or not _NAME.fullmatch(name):
        raise PluginFault(
            f"the module's name {str(name)[:60]!r} must be lower-case letters, digits and underscores.",
            "Write it as text in the class: name = 'my_ca'.",
        )
    title = known.title if hasattr(known, "title") else None
    if type(title) is not str or not title.strip() or len(title) > _LONGEST_TITLE or not title.isprintable():
        raise PluginFault(f"the module {name!r} has no title.", "Give it one line: title = 'My CA'.")
    for attribute in ("profile_type", "certificate_type"):
        _check_settings(name, attribute, getattr(known, attribute, None))
    _check_methods(name, known)
    _check_powers(name, known)
    checked: CAModule = known
    return checked


def _check_settings(module: str, attribute: str, settings_type: object) -> None:
    advice = "Write it with @attrs.frozen(kw_only=True), its fields with certcore.model.form."
    if not isinstance(settings_type, type) or not attrs.has(settings_type):
        raise PluginFault(f"{attribute} of the module {module!r} must be an attrs class.", advice)
    try:
        fields_of(settings_type)
    except TypeError as error:
        raise PluginFault(f"{attribute} of the module {module!r}: {error}", advice) from None
    for field in attrs.fields(settings_type):
        if not field.init or field.alias not in (None, field.name):
            raise PluginFault(
                f"{attribute} of the module {module!r}: {field.name!r} cannot be given by its name.",
                "Take the underscore, init=False or the alias away.",
            )


def _check_methods(module: str, instance: object) -> None:
    for name, wanted in METHODS.items():
        static = inspect.getattr_static(instance, name, None)
        if static is None:
            continue
        method = getattr(instance, name)
        if not callable(method):
            raise PluginFault(f"{name} of the module {module!r} is a {type(method).__name__}, not a method.")
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
            raise PluginFault(
                f"{name} of the module {module!r} is a coroutine function; certcore calls plain functions in threads.",
                f"Write `def {name}`.",
            )
        if name not in _LISTS and inspect.isgeneratorfunction(method):
            raise PluginFault(
                f"{name} of the module {module!r} is a generator function: calling it does nothing.",
                "Take the `yield` out of it.",
            )
        _check_signature(module, name, method, wanted)


def _check_signature(module: str, name: str, method: Any, wanted: inspect.Signature) -> None:
    try:
        signature = inspect.signature(method)
    except ValueError:  # written in C, without a signature
        return
    by_position = [one for one in wanted.parameters.values() if one.kind is not inspect.Parameter.KEYWORD_ONLY]
    by_name = [one.name for one in wanted.parameters.values() if one.kind is inspect.Parameter.KEYWORD_ONLY]
    try:
        signature.bind(*by_position, **dict.fromkeys(by_name))
    except TypeError as error:
        called = [one.name for one in by_position] + [f"{one}=…" for one in by_name]
        raise PluginFault(
            f"{name} of the module {module!r} does not fit: {error}.",
            f"certcore calls {name}({', '.join(called)}); it is written {name}{_without_types(signature)}.",
        ) from None


def _without_types(signature: inspect.Signature) -> str:
    empty = inspect.Parameter.empty
    plain = [one.replace(annotation=empty) for one in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))[:200]


def _check_powers(module: str, instance: object) -> None:
    """Refuse half of a power, and a method whose name is nearly that of one."""
    own = {name for kind in type(instance).__mro__ if kind not in (CAModule, object) for name in vars(kind)}
    there = {name for name in METHODS if inspect.getattr_static(instance, name, None) is not None}
    for power in _POWERS:
        needed = {name for name, _ in _methods(power)}
        if needed & there and not needed <= there:
            missing = ", ".join(sorted(needed - there))
            raise PluginFault(
                f"the module {module!r} has {', '.join(sorted(needed & there))}, but not {missing}.",
                f"Both belong to {power.__name__}: write {missing}, too.",
            )
    absent = [name for name in METHODS if name not in own]
    for name in sorted(own - METHODS.keys()):
        if name.startswith("_") or not callable(getattr(type(instance), name, None)):
            continue
        near = _nearly(name, absent)
        if near:
            raise PluginFault(
                f"the module {module!r} has a method {name}, which certcore never calls; it looks like {near}.",
                f"Rename it to {near}; or to something else, if it is not meant.",
            )


def _nearly(name: str, absent: list[str]) -> str | None:
    plain = {one.replace("_", ""): one for one in absent}
    close = difflib.get_close_matches(name.lower().replace("_", ""), list(plain), n=1, cutoff=_SIMILAR)
    return plain[close[0]] if close else None
