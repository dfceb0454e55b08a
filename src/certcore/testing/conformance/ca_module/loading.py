"""Checks at the loading of a plugin: names, forms, signatures, and output of its import."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from typing import Final

from certcore.adapters.plugins.entry_points import installed_plugins
from certcore.adapters.plugins.loaded import load_plugins
from certcore.messages import Message
from certcore.ports.plugins import PluginFailure
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence
from certcore.testing.conformance.values import (
    ConformanceCheck,
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)

__all__ = ["LOADING"]

_check: Final = check_of(Suite.CA_MODULE)

#: The check for a refusal, by the key of its reason.
_CHECKS: Final = {
    "plugin.module.name": "module-name",
    "plugin.module.no_title": "module-title",
    "plugin.module.settings": "settings-classes",
    "plugin.module.settings_because": "settings-classes",
    "plugin.module.field": "settings-classes",
    "plugin.module.signature": "method-signatures",
    "plugin.module.no_method": "method-signatures",
    "plugin.module.coroutine": "plain-methods",
    "plugin.module.generator": "plain-methods",
    "plugin.module.half_a_power": "whole-powers",
    "plugin.module.misspelt": "method-names",
}
_NAME_TAKEN: Final = frozenset(
    {
        "plugin.load.format_taken",
        "plugin.load.module_taken",
        "plugin.load.own_format",
        "plugin.load.reserved",
        "plugin.load.reserved_module",
        "plugin.load.taken",
        "plugin.load.writer_taken",
    }
)
_IMPORT_SECONDS: Final = 60


def _parts(message: Message) -> Iterator[Message]:
    """A reason, or each of several that were put together."""
    if message.key:
        yield message
        return
    for value in message.params.values():
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, Message):
                yield from _parts(item)


def _faults(evidence: ModuleEvidence) -> Iterator[tuple[str, PluginFailure]]:
    """Each reason for which something of the plugin was refused: the name of its check, and the failure."""
    for failure in evidence.loaded.failures:
        for part in _parts(failure.reason_text):
            yield _CHECKS.get(part.key, "hooks" if part.key.startswith("plugin.load.") else "loads"), failure


def _refusal_check(name: str, rule: str, why: str) -> ConformanceCheck:
    """A check that fails when something of the plugin was refused for a reason that belongs to it."""

    def test(evidence: ModuleEvidence) -> None:
        for check, failure in _faults(evidence):
            require(check != name, f"{failure.reason} {failure.advice}".strip())

    return _check(name, rule, why, test)


def _loads(evidence: ModuleEvidence) -> None:
    for failure in evidence.loaded.failures:
        raise RuleBrokenError(f"{failure.plugin}: {failure.reason} {failure.advice}".strip())
    require(evidence.module.name, "The module has no name.")


def _own_names(evidence: ModuleEvidence) -> None:
    plugin = evidence.setup.plugin
    if evidence.setup.is_installed or any(_is_entry_of(each.entry, plugin) for each in installed_plugins()):
        raise NotApplicableError("The plugin is installed: a name that is taken is told when it is loaded.")
    name = evidence.loaded.plugins[0].name if evidence.loaded.plugins else type(plugin).__name__
    for failure in load_plugins([plugin, *evidence.setup.more_plugins], installed=True).failures:
        name_faults = [part for part in _parts(failure.reason_text) if part.key in _NAME_TAKEN]
        is_of_plugin = failure.plugin == name or any(evidence.module.name in str(part) for part in name_faults)
        require(not (name_faults and is_of_plugin), f"{failure.reason} {failure.advice}".strip())


def _is_entry_of(entry: EntryPoint, plugin: object) -> bool:
    """Whether an entry point names this plugin; nothing is imported to find out."""
    module, _, attributes = entry.value.partition(":")
    target: object = sys.modules.get(module.strip())
    for attribute in filter(None, attributes.split(".")):
        target = getattr(target, attribute, None)
    return target is plugin


def _quiet_import(evidence: ModuleEvidence) -> None:
    module = type(evidence.module).__module__
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise NotApplicableError(f"{module} cannot be imported by its name.")
    printed = _import_output(module, os.pathsep.join(path for path in sys.path if path))
    require(not printed, f"Importing {module} prints: {printed[:200]!r}. Use logging.")


@lru_cache(maxsize=32)
def _import_output(module: str, path: str) -> str:
    """What a new interpreter prints when it imports a module."""
    run = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-W", "ignore", "-c", f"import {module}"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=_IMPORT_SECONDS,
        check=False,
    )
    if run.returncode:
        raise NotApplicableError(f"{module} cannot be imported in a new interpreter.")
    return run.stdout + run.stderr


#: In the order in which they are run.
LOADING: Final = (
    _refusal_check(
        "hooks",
        "Every hook has a name and arguments of certcore.hookspecs, the mark @hookimpl, and is a plain function; "
        "certcore_ca_modules returns objects of classes that inherit from CAModule.",
        "certcore never calls a function that it does not recognise, so the plugin would do nothing.",
    ),
    _refusal_check(
        "module-name",
        "The module's name is lower-case letters, digits and underscores, at most 40, beginning with a letter.",
        "The name is stored with every CA profile and typed on the command line.",
    ),
    _refusal_check(
        "module-title",
        "The module has a title of one line.",
        "People choose the CA by its title.",
    ),
    _refusal_check(
        "settings-classes",
        "profile_type and certificate_type are attrs classes whose fields are made with certcore.plugin.form.",
        "The form, the validation and the options of the command are made from these classes.",
    ),
    _refusal_check(
        "method-signatures",
        "Every method of CAModule and of the powers takes the arguments that certcore calls it with.",
        "A wrong signature would be seen when the method is first needed: a revocation, after months.",
    ),
    _refusal_check(
        "plain-methods",
        "No method is a coroutine function, and only those that return lists are generators.",
        "certcore calls plain functions in threads; a coroutine that nobody awaits does nothing.",
    ),
    _refusal_check(
        "whole-powers",
        "A power is there with all of its methods.",
        "Half of a power is ignored: a button that is shown and cannot be pressed, say.",
    ),
    _refusal_check(
        "method-names",
        "No method has a name that is nearly that of a method of certcore.",
        "certcore never calls `cleanup`, so what the module holds outside would stay there.",
    ),
    _check(
        "loads",
        "The plugin is loaded without a failure, and registers the module.",
        "A plugin that cannot be loaded is left out, and the certificates of its CA profiles are not renewed.",
        _loads,
        needs=("hooks", *dict.fromkeys(_CHECKS.values())),
    ),
    _check(
        "own-names",
        "The plugin and its modules have names that neither certcore nor another installed plugin has.",
        "The first that has a name keeps it, so the other one would be missing.",
        _own_names,
        needs=("loads",),
    ),
    _check(
        "quiet-import",
        "Importing the module prints nothing.",
        "What is printed ends up in the output of every command, and breaks its JSON.",
        _quiet_import,
        needs=("loads",),
    ),
)
