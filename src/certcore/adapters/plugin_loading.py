"""Loading plugins one by one: a broken one is left out and reported, and no plugin takes another one's name."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, TypeVar

from attrs import Factory, define, field, frozen

from certcore.adapters.plugin_entries import InstalledPlugin
from certcore.adapters.plugin_hooks import Hook, PluginFault, hooks_of, means_policy
from certcore.adapters.plugin_modules import check_module
from certcore.errors import CertCoreError
from certcore.model.conform import Misfit, conform
from certcore.model.export import ExportFormat
from certcore.model.plugin_calls import frames_of, is_interrupt, kind_of
from certcore.ports.ca_module import CAModule
from certcore.ports.plugins import PluginFailure
from certcore.x509.formats import EXPORT_FORMATS

__all__ = ["LoadedPlugin", "Loader"]

_log = logging.getLogger(__name__)
_LONGEST_NAME: Final = 200
_MOST_TEXT: Final = 500
#: Errors of Python itself, whose texts speak of code; the text of any other error may hold a secret.
_OF_CODE: Final = (ImportError, TypeError, AttributeError, NameError)

T = TypeVar("T")


@frozen(eq=False)
class LoadedPlugin:
    """A plugin that can be used."""

    name: str
    #: Whether it comes with certcore.
    is_own: bool
    plugin: object = field(repr=False)
    hooks: Mapping[str, Hook] = field(repr=False)


@define(eq=False)
class Loader:
    """Collects plugins, and what is wrong with those that cannot be used."""

    #: Names that belong to certcore.
    reserved: frozenset[str] = frozenset()
    loaded: list[LoadedPlugin] = Factory(list)
    #: Those that were meant to say who may do what, and cannot be used.
    broken_policies: list[str] = Factory(list)
    _faults: dict[str, list[PluginFailure]] = Factory(dict)

    def failures(self) -> tuple[PluginFailure, ...]:
        """One failure per plugin."""
        return tuple(_merged(name, faults) for name, faults in self._faults.items())

    def add_installed(self, installed: InstalledPlugin) -> None:
        """Import and register what an entry point names."""
        entry = installed.entry
        taken = self._taken(entry.name, is_own=installed.is_own)
        name = f"{entry.name} ({installed.package or 'of an unknown package'})" if taken else entry.name
        plugin: object = None
        with self._contained(name, "it cannot be imported"):
            if taken:
                raise PluginFault(taken, "Its entry point needs another name.")
            plugin = entry.load()
            if plugin is None:
                raise PluginFault("its entry point names None.", "Name a module or an object with hooks.")
        if plugin is None or any(one.plugin is plugin for one in self.loaded):
            return
        with self._contained(name, "it cannot be registered", plugin):
            self._add(plugin, entry.name, is_own=installed.is_own)

    def add(self, plugin: object) -> None:
        """Register a plugin that was handed to certcore."""
        if any(one.plugin is plugin for one in self.loaded):
            return  # it was handed in twice
        name = ""
        with self._contained(type(plugin).__name__, "its name cannot be read", plugin):
            name = _name_of(plugin)
        if not name:
            return
        with self._contained(name, "it cannot be registered", plugin):
            taken = self._taken(name, is_own=False)
            if taken:
                raise PluginFault(taken, "Give it a `name` of its own.")
            self._add(plugin, name, is_own=False)

    def modules(self) -> Mapping[str, CAModule]:
        """The CA modules, by name; the first that has a name keeps it."""
        modules: dict[str, CAModule] = {}
        for plugin, offered in self._offered("certcore_ca_modules"):
            with self._contained(plugin.name, "a CA module cannot be used"):
                module = check_module(offered)
                if module.name in self.reserved and not plugin.is_own:
                    raise PluginFault(f"the module name {module.name!r} belongs to certcore.", "Choose another name.")
                if module.name in modules:
                    raise PluginFault(
                        f"the module name {module.name!r} is already taken by another plugin.", "Choose another name."
                    )
                modules[module.name] = module
        return MappingProxyType(modules)

    def export_formats(self) -> tuple[ExportFormat, ...]:
        """The export formats of the plugins; the first that has a name keeps it."""
        formats: dict[str, ExportFormat] = {}
        own = {one.name for one in EXPORT_FORMATS}
        for plugin, offered in self._offered("certcore_export_formats"):
            with self._contained(plugin.name, "an export format cannot be used"):
                if not issubclass(type(offered), ExportFormat):
                    raise PluginFault(
                        f"certcore_export_formats returned a {type(offered).__name__}, which is not an ExportFormat.",
                        "Make it with certcore.model.export.ExportFormat.",
                    )
                one: Any = offered
                if one.name in own or one.name in formats:
                    whose = "certcore" if one.name in own else "another plugin"
                    raise PluginFault(f"the export format {one.name!r} is already taken by {whose}.", "Rename it.")
                conform(one, ExportFormat)
                _check_make(one)
                formats[one.name] = one
        return tuple(formats.values())

    def _offered(self, hook: str) -> Iterator[tuple[LoadedPlugin, object]]:
        """What every plugin returned for a hook that registers something, in the order of registration."""
        for plugin in self.loaded:
            if hook not in plugin.hooks:
                continue
            offered: tuple[object, ...] = ()
            with self._contained(plugin.name, hook):
                offered = conform(plugin.hooks[hook].function(), tuple[Any, ...])
            for one in offered:
                yield plugin, one

    def _taken(self, name: str, *, is_own: bool) -> str:
        if name in self.reserved and not is_own:
            return f"the name {name!r} belongs to certcore."
        if any(one.name == name for one in self.loaded):
            return f"the name {name!r} is already taken by another plugin."
        return ""

    def _add(self, plugin: object, name: str, *, is_own: bool) -> None:
        if len(name) > _LONGEST_NAME or not name.isprintable() or not name.strip():
            raise PluginFault(f"its name {name[:60]!r} is not one line of at most {_LONGEST_NAME} characters.")
        self.loaded.append(LoadedPlugin(name, is_own, plugin, hooks_of(plugin, name)))

    @contextmanager
    def _contained(self, name: str, what: str, plugin: object = None) -> Iterator[None]:
        """Report what goes wrong with a plugin, whatever it raises."""
        try:
            yield
        except PluginFault as fault:
            self._report(PluginFailure(plugin=name, reason=fault.reason, advice=fault.advice), plugin)
        except BaseException as error:  # isolation: a plugin that exits, at its import or in a hook, ends only itself
            if is_interrupt(error):
                raise
            self._report(_failure(name, what, error), plugin)

    def _report(self, failure: PluginFailure, plugin: object) -> None:
        known = self._faults.setdefault(failure.plugin, [])
        known.append(failure)
        parts = (failure.reason, failure.advice, failure.trace and f"\n{failure.trace}")
        _log.error("The plugin %r: %s", failure.plugin, " ".join(filter(None, parts)))
        is_policy = False
        if plugin is not None:
            try:
                is_policy = means_policy(plugin)
            except PluginFault:
                is_policy = True  # nobody can tell; it must not open the door
        if is_policy:
            self.broken_policies.append(failure.plugin)
            reason = "It was to say who may do what, so nobody may do anything until that is repaired."
            known.append(PluginFailure(plugin=failure.plugin, reason=reason))
            _log.error("The policy %r cannot be used: every action is refused.", failure.plugin)


def _name_of(plugin: object) -> str:
    """A module's name, the ``name`` that an object gives itself (two of a kind need two), or its class's."""
    own = getattr(plugin, "name", None)
    name = getattr(plugin, "__name__", own if isinstance(own, str) and own else type(plugin).__name__)
    return str.__str__(name) if isinstance(name, str) and name else type(plugin).__name__


def _failure(name: str, what: str, error: BaseException) -> PluginFailure:
    reason = f"{what}: it returned {error}." if isinstance(error, Misfit) else f"{what}: {_cause(error)}"
    return PluginFailure(plugin=name, reason=_sentence(reason), advice=_advice(error), trace=frames_of(error))


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError):
        return "Install it, or correct the entry point."
    return "Report this to the author of the plugin."


def _cause(error: BaseException) -> str:
    """What was raised and where, and its text where that speaks of code."""
    if isinstance(error, SyntaxError):
        return f"{kind_of(error)} at {error.filename}:{error.lineno}: {error.msg}"
    text = ""
    if isinstance(error, (CertCoreError, *_OF_CODE)):
        try:
            text = f": {' '.join(str(error).split())[:_MOST_TEXT]}"
        except Exception:  # isolation: an exception of the plugin's own whose text raises
            text = ""
    if isinstance(error, RecursionError | MemoryError | SystemExit):
        text = ""
    return f"raised {kind_of(error)}{text}{_place(error)}"


def _place(error: BaseException) -> str:
    """The last place outside of Python's import system, as file and line."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    here = {inspect.getfile(Loader), inspect.getfile(hooks_of), inspect.getfile(contextmanager)}
    outside = [(file, line) for file, line in places if "importlib" not in file and file not in here]
    return f" (at {outside[-1][0]}:{outside[-1][1]})" if outside else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _merged(name: str, faults: list[PluginFailure]) -> PluginFailure:
    return PluginFailure(
        plugin=name,
        reason=" ".join(dict.fromkeys(one.reason for one in faults)),
        advice=" ".join(dict.fromkeys(one.advice for one in faults if one.advice)),
        trace="\n".join(one.trace for one in faults if one.trace),
    )


def _check_make(one: ExportFormat) -> None:
    make: Callable[..., object] = one.make
    if not callable(make):
        raise PluginFault(f"make of the export format {one.name!r} is not a function.")
    if inspect.iscoroutinefunction(make) or inspect.isasyncgenfunction(make):
        raise PluginFault(f"make of the export format {one.name!r} is a coroutine function.", "Write `def` for it.")
    try:
        inspect.signature(make).bind("material", "options")
    except TypeError as error:
        advice = "certcore calls make(material, options)."
        raise PluginFault(f"make of the export format {one.name!r} does not fit: {error}.", advice) from None
    except ValueError:  # written in C, without a signature
        return
