"""`run`: everything that a plugin brings, checked by the suites that concern it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve

from certcore.adapters.plugins.entry_points import installed_plugins
from certcore.adapters.plugins.loaded import load_plugins
from certcore.errors import InvalidInputError
from certcore.hookspecs import hookimpl
from certcore.ports.ca_module import CAModule
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence
from certcore.testing.conformance.ca_module.setup import ModuleSetup
from certcore.testing.conformance.ca_module.suite import MODULE_CHECKS
from certcore.testing.conformance.running import run_checks
from certcore.testing.conformance.values import ConformanceCheck, ConformanceReport, ConformanceResult

__all__ = ["all_checks", "run"]


def all_checks() -> Sequence[ConformanceCheck]:
    """Every check of every suite."""
    return MODULE_CHECKS


def run(
    subject: object,
    *,
    settings: Mapping[str, Any] | None = None,
    only: Callable[[ConformanceCheck], bool] | None = None,
    **setup: Any,
) -> ConformanceReport:
    """Check a plugin.

    Args:
        subject: The name of an installed plugin, or of a CA module of one; a plugin (a module or an object with
            hooks); a `CAModule`; or a `ModuleSetup`.
        settings: The settings of a CA profile that works, for each CA module.
        only: Which checks are run, by default all; one that is left out counts as passed for those that need it.
        setup: Other fields of `ModuleSetup`.

    Returns:
        What came of each check.

    Raises:
        InvalidInputError: No such plugin is installed.
    """
    if settings is not None:
        setup["settings"] = settings
    if isinstance(subject, ModuleSetup):
        name, known = subject.module, subject
    elif isinstance(subject, str):
        name, known = subject, _installed(subject)
    elif isinstance(subject, CAModule):
        name, known = subject.name, ModuleSetup(plugin=_Registered(subject), module=subject.name)
    else:
        name, known = str(getattr(subject, "name", "") or type(subject).__name__), ModuleSetup(plugin=subject)
    known = evolve(known, **setup)
    chosen = [check for check in MODULE_CHECKS if only is None or only(check)]
    results: list[ConformanceResult] = []
    for each in _each_module(known):
        with ModuleEvidence(each) as evidence:
            results += run_checks(chosen, evidence)
    return ConformanceReport(name=name or type(known.plugin).__name__, results=tuple(results))


def _each_module(setup: ModuleSetup) -> Sequence[ModuleSetup]:
    """A setup for each CA module of the plugin."""
    if setup.module:
        return (setup,)
    modules = load_plugins([setup.plugin, *setup.more_plugins], installed=False).modules
    names = [name for name in modules if len(modules) > 1]
    return tuple(evolve(setup, module=name) for name in names) or (setup,)


def _installed(name: str) -> ModuleSetup:
    """The setup of an installed plugin, by its name or by that of its CA module.

    Raises:
        InvalidInputError: There is none.
    """
    plugins = installed_plugins()
    for plugin in plugins:
        if plugin.entry.name == name:
            return ModuleSetup(plugin=plugin.entry.load(), is_installed=True)
    loaded = load_plugins()
    if name in loaded.modules:
        return ModuleSetup(plugin=_Registered(loaded.modules[name]), module=name, is_installed=True)
    names = ", ".join(plugin.entry.name for plugin in plugins) or "none"
    raise InvalidInputError("plugin", f"no plugin {name!r} is installed.", advice=f"Installed: {names}.")


class _Registered:
    """A plugin with one CA module."""

    def __init__(self, module: CAModule) -> None:
        self.name = f"plugin of {module.name}"
        self._module = module

    @hookimpl
    def certcore_ca_modules(self) -> Sequence[CAModule]:
        """The module."""
        return [self._module]
