"""`run`: check all parts of a plugin with their suites."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

from certcore.adapters.plugins.entry_points import installed_plugins
from certcore.adapters.plugins.hooks import HOOKS
from certcore.adapters.plugins.loaded import load_plugins
from certcore.errors import InvalidInputError, MissingPackageError
from certcore.hookspecs import hookimpl
from certcore.model.export import ExportFormat
from certcore.ports.ca_module import CAModule
from certcore.ports.sealing import Keyring
from certcore.ports.zone_writers import ZoneWriter
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence
from certcore.testing.conformance.ca_module.setup import ModuleSetup
from certcore.testing.conformance.ca_module.suite import MODULE_CHECKS
from certcore.testing.conformance.export_formats import EXPORT_FORMAT_CHECKS, ExportFormatEvidence
from certcore.testing.conformance.given_setups import SETUP_SUITES
from certcore.testing.conformance.keyrings import KEYRING_CHECKS, KeyringEvidence
from certcore.testing.conformance.observers import OBSERVER_CHECKS, ObserverEvidence
from certcore.testing.conformance.policies import POLICY_CHECKS, PolicyEvidence
from certcore.testing.conformance.running import run_checks
from certcore.testing.conformance.store_setup import StoreSetup
from certcore.testing.conformance.values import ConformanceCheck, ConformanceReport, ConformanceResult, Suite
from certcore.testing.conformance.zone_writers.evidence import WriterEvidence
from certcore.testing.conformance.zone_writers.setup import WrittenZone
from certcore.testing.conformance.zone_writers.suite import WRITER_CHECKS

__all__ = ["all_checks", "run", "store_checks"]


def all_checks() -> Sequence[ConformanceCheck]:
    """All checks of all suites, except those of stores (see `store_checks`)."""
    return (
        *MODULE_CHECKS,
        *OBSERVER_CHECKS,
        *POLICY_CHECKS,
        *KEYRING_CHECKS,
        *EXPORT_FORMAT_CHECKS,
        *WRITER_CHECKS,
    )


def store_checks() -> Sequence[ConformanceCheck]:
    """All checks of the suite of stores.

    Raises:
        MissingPackageError: pytest is not installed.
    """
    checks: Sequence[ConformanceCheck] = _store_suite().STORE_CHECKS
    return checks


def _store_suite() -> Any:
    """The suite of stores, which is written with pytest.

    Raises:
        MissingPackageError: pytest is not installed.
    """
    try:
        from certcore.testing.contracts import stores  # noqa: PLC0415 - the other suites do without pytest
    except ModuleNotFoundError as error:
        if error.name != "pytest":
            raise
        raise MissingPackageError("The conformance suite of stores", "pytest", extra="testing") from None
    return stores


def run(
    subject: object,
    *,
    settings: Mapping[str, Any] | None = None,
    keyring_url: str = "",
    tell_observer: bool | None = None,
    see_zone: Callable[[ZoneWriter], WrittenZone] | None = None,
    instead: Sequence[object] = (),
    only: Callable[[ConformanceCheck], bool] = bool,
    **setup: Any,
) -> ConformanceReport:
    """Check all parts of a plugin: CA modules, observer, policy, export formats, zone writers and keyring.

    Args:
        subject: The name of an installed plugin or of its CA module; a plugin (a module or an object with hooks); a
            `CAModule`; a `ModuleSetup`; a `Keyring`; an `ExportFormat`; a `WrittenZone`; or a `StoreSetup`.
        settings: The settings of a working CA profile, for each CA module.
        keyring_url: The URL of a keyring that the plugin opens. Without it, the keyring is not checked.
        tell_observer: Whether to deliver the events of a certificate for ``tenant-1.shop.test`` to an observer, which
            acts on them as in operation. By default True for a plugin that is passed in, and False for an installed
            plugin.
        see_zone: Makes the `WrittenZone` for each zone writer, for example with `seen_by_dns`. Without it, only the
            rules that need no zone are checked.
        instead: Setups (`ModuleSetup`, `WrittenZone` or `StoreSetup`) to check instead of the plugin's own parts of the
            same kind.
        only: Returns whether to run a check; by default all are run. Other checks treat an omitted check as passed.
        setup: Other fields of `ModuleSetup`.

    Returns:
        The results of all checks.

    Raises:
        InvalidInputError: No such plugin is installed.
        CertCoreError: The keyring cannot be opened.
        MissingPackageError: pytest is not installed, which the suite of stores needs.
    """
    if settings is not None:
        setup["settings"] = settings
    if isinstance(subject, ExportFormat):
        return ConformanceReport(name=subject.name, results=_run_format(subject, only))
    if isinstance(subject, WrittenZone):
        return ConformanceReport(name=str(subject.writer.name), results=_run_writer(subject, only))
    if isinstance(subject, StoreSetup):
        return ConformanceReport(name="store", results=_run_store(subject, only))
    if isinstance(subject, Keyring):
        return ConformanceReport(name=type(subject).__name__, results=_run_keyring(subject, only))
    name, known = _setup_of(subject)
    known = evolve(known, **setup)
    results = [result for each in instead for result in run(each, only=only).results]
    only = _without(only, {SETUP_SUITES[type(each)] for each in instead})
    hooks = {hook for hook in HOOKS if getattr(known.plugin, hook, None) is not None}
    if known.module or "certcore_ca_modules" in hooks or not hooks:
        results += _run_modules(known, only)
    if not known.module:
        is_told = not known.is_installed if tell_observer is None else tell_observer
        results += _run_hooks(known.plugin, hooks if is_told else hooks - {"certcore_on_event"}, keyring_url, only)
        if "certcore_zone_writers" in hooks:
            results += _run_writers(known.plugin, see_zone, only)
    return ConformanceReport(name=name or type(known.plugin).__name__, results=tuple(results))


def _without(only: Callable[[ConformanceCheck], bool], suites: Collection[Suite]) -> Callable[[ConformanceCheck], bool]:
    """The same selection of checks, without some suites."""
    return lambda check: check.subject not in suites and only(check)


def _setup_of(subject: object) -> tuple[str, ModuleSetup]:
    """The name of the subject, and its setup."""
    if isinstance(subject, ModuleSetup):
        return subject.module, subject
    if isinstance(subject, str):
        return subject, _installed(subject)
    if isinstance(subject, CAModule):
        return subject.name, ModuleSetup(plugin=_Registered(subject), module=subject.name)
    name = getattr(subject, "__name__", "") or getattr(subject, "name", "")
    return str(name) if isinstance(name, str) else "", ModuleSetup(plugin=subject)


def _run_modules(setup: ModuleSetup, only: Callable[[ConformanceCheck], bool]) -> Iterator[ConformanceResult]:
    for each in _each_module(setup):
        with ModuleEvidence(each) as evidence:
            yield from run_checks(filter(only, MODULE_CHECKS), evidence)


def _run_hooks(
    plugin: object, hooks: Collection[str], keyring_url: str, only: Callable[[ConformanceCheck], bool]
) -> Iterator[ConformanceResult]:
    if "certcore_on_event" in hooks:
        with ObserverEvidence(plugin) as observer:
            yield from run_checks(filter(only, OBSERVER_CHECKS), observer)
    if "certcore_authorize" in hooks:
        with PolicyEvidence(plugin) as policy:
            yield from run_checks(filter(only, POLICY_CHECKS), policy)
    loaded = load_plugins([plugin], installed=False)
    for export_format in loaded.export_formats():
        yield from _run_format(export_format, only)
    keyring = loaded.open_keyring(keyring_url) if keyring_url else None
    if keyring is not None:
        yield from _run_keyring(keyring, only)


def _run_writers(
    plugin: Any, see_zone: Callable[[ZoneWriter], WrittenZone] | None, only: Callable[[ConformanceCheck], bool]
) -> Iterator[ConformanceResult]:
    for writer in plugin.certcore_zone_writers():
        yield from _run_writer(WrittenZone(writer=writer) if see_zone is None else see_zone(writer), only)


def _run_writer(written: WrittenZone, only: Callable[[ConformanceCheck], bool]) -> tuple[ConformanceResult, ...]:
    with WriterEvidence(written) as evidence:
        return run_checks(filter(only, WRITER_CHECKS), evidence)


def _run_store(setup: StoreSetup, only: Callable[[ConformanceCheck], bool]) -> tuple[ConformanceResult, ...]:
    suite = _store_suite()
    with suite.StoreEvidence(setup) as evidence:
        return run_checks(filter(only, suite.STORE_CHECKS), evidence)


def _run_format(export_format: ExportFormat, only: Callable[[ConformanceCheck], bool]) -> tuple[ConformanceResult, ...]:
    with ExportFormatEvidence(export_format) as evidence:
        return run_checks(filter(only, EXPORT_FORMAT_CHECKS), evidence)


def _run_keyring(keyring: Keyring, only: Callable[[ConformanceCheck], bool]) -> tuple[ConformanceResult, ...]:
    with KeyringEvidence(keyring) as evidence:
        return run_checks(filter(only, KEYRING_CHECKS), evidence)


def _each_module(setup: ModuleSetup) -> Sequence[ModuleSetup]:
    """A setup for each CA module of the plugin."""
    if setup.module:
        return (setup,)
    modules = load_plugins([setup.plugin, *setup.more_plugins], installed=False).modules
    names = [name for name in modules if len(modules) > 1]
    return tuple(evolve(setup, module=name) for name in names) or (setup,)


def _installed(name: str) -> ModuleSetup:
    """The setup of an installed plugin, found by its name or that of its CA module.

    Raises:
        InvalidInputError: There is no such plugin.
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

    def __init__(self, module: CAModule[Any, Any]) -> None:
        self.name = f"plugin of {module.name}"
        self._module = module

    @hookimpl
    def certcore_ca_modules(self) -> Sequence[CAModule[Any, Any]]:
        """The module."""
        return [self._module]
