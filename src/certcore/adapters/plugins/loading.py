"""Load plugins one by one: a broken plugin is left out and reported, and no plugin can take the name of another."""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final, TypeVar

from attrs import Factory, define, evolve, field, frozen

from certcore.adapters.plugins.entry_points import HANDED_IN, InstalledPlugin, PluginOrigin
from certcore.adapters.plugins.hooks import WRITE_DEF, Hook, PluginLoadError, api_level, hooks_of, means_policy
from certcore.adapters.plugins.module_checks import check_module
from certcore.adapters.plugins.zone_writers import check_zone_writer
from certcore.errors import CertCoreError
from certcore.messages import Message, as_message
from certcore.model.export import ExportFormat
from certcore.model.plugin_calls import frames_of, is_interrupt, kind_of
from certcore.model.plugin_results import UnexpectedResultError, conform
from certcore.ports.ca_module import CAModule
from certcore.ports.plugins import PluginFailure, PluginInfo, PluginState
from certcore.ports.zone_writers import ZoneWriter
from certcore.translations import Catalogue
from certcore.x509.formats import EXPORT_FORMATS

__all__ = ["LoadedPlugin", "Loader"]

_log = logging.getLogger(__name__)
_LONGEST_NAME: Final = 200
_MOST_TEXT: Final = 500
#: How many errors of a chain of causes are shown.
_MOST_CAUSES: Final = 5
#: Exceptions of Python itself, whose texts are about code; the text of any other exception may contain a secret.
_OF_CODE: Final = (ImportError, TypeError, AttributeError, NameError)

T = TypeVar("T")


# The step that failed, as a clause before the plugin's own error.
_NOT_IMPORTED: Final = Message("plugin.load.not_imported", "it cannot be imported")
_NOT_REGISTERED: Final = Message("plugin.load.not_registered", "it cannot be registered")
_NO_NAME: Final = Message("plugin.load.no_name", "its name cannot be read")
_NO_MODULE: Final = Message("plugin.load.no_module", "a CA module cannot be used")
_NO_FORMAT: Final = Message("plugin.load.no_format", "an export format cannot be used")
_NO_CATALOGUE: Final = Message("plugin.load.no_catalogue", "a catalogue cannot be used")
_NO_WRITER: Final = Message("plugin.load.no_writer", "a writer of TXT values cannot be used")
# What the plugin's author can do.
_OTHER_NAME: Final = Message("plugin.load.other_name", "Choose another name.")
_RENAME: Final = Message("plugin.load.rename", "Rename it.")


@frozen(eq=False)
class LoadedPlugin:
    """A plugin that can be used."""

    name: str
    #: Whether it comes with certcore.
    is_own: bool
    plugin: object = field(repr=False)
    hooks: Mapping[str, Hook] = field(repr=False)
    origin: PluginOrigin
    #: The version of the plugin interface for which the plugin was written.
    api_level: int


@define(eq=False)
class Loader:
    """Collects the usable plugins, and the faults of the others."""

    #: Names that belong to certcore.
    reserved: frozenset[str] = frozenset()
    #: The names of the disabled plugins.
    disabled: frozenset[str] = frozenset()
    loaded: list[LoadedPlugin] = Factory(list)
    #: Access policies that cannot be used.
    broken_policies: list[str] = Factory(list)
    _faults: dict[str, list[PluginFailure]] = Factory(dict)
    #: Every plugin in the order of registration, by its name.
    _infos: dict[str, PluginInfo] = Factory(dict)
    #: The plugin that provides a module, format or writer, by hook and name.
    _brought: dict[tuple[str, str], LoadedPlugin] = Factory(dict)

    def infos(self) -> tuple[PluginInfo, ...]:
        """Every plugin with its state, in the order of registration."""
        failures = {failure.plugin: failure for failure in self.failures()}
        loaded = {plugin.name: plugin for plugin in self.loaded}
        return tuple(self._info(info, loaded.get(name), failures.get(name)) for name, info in self._infos.items())

    def _info(self, info: PluginInfo, loaded: LoadedPlugin | None, failure: PluginFailure | None) -> PluginInfo:
        if loaded is None:
            return evolve(info, failure=failure)

        def brought(hook: str) -> tuple[str, ...]:
            return tuple(name for (of, name), plugin in self._brought.items() if (of, plugin) == (hook, loaded))

        return evolve(
            info,
            state=PluginState.LOADED,
            api_level=loaded.api_level,
            hooks=tuple(sorted(loaded.hooks)),
            ca_modules=brought("certcore_ca_modules"),
            zone_writers=brought("certcore_zone_writers"),
            export_formats=brought("certcore_export_formats"),
            failure=failure,
        )

    def failures(self) -> tuple[PluginFailure, ...]:
        """One failure per plugin."""
        return tuple(_merged(name, faults) for name, faults in self._faults.items())

    def add_installed(self, installed: InstalledPlugin) -> None:
        """Import and register the plugin of an entry point."""
        entry = installed.entry
        origin = installed.origin
        imported = installed.imported()
        if imported is not None and any(loaded_plugin.plugin is imported for loaded_plugin in self.loaded):
            return  # the caller has given this plugin explicitly
        refusal = self._taken(entry.name, is_own=installed.is_own)
        name = f"{entry.name} ({origin.label or 'of an unknown package'})" if refusal else entry.name
        if self._is_disabled(name, origin, is_own=installed.is_own, is_disabled=entry.name in self.disabled):
            return
        plugin: object = None
        with self._contained(name, _NOT_IMPORTED):
            if refusal:
                text = "Its entry point needs another name."
                raise PluginLoadError(refusal, Message("plugin.load.entry_point_name", text))
            plugin = entry.load()
            if plugin is None:
                raise PluginLoadError(
                    Message("plugin.load.names_none", "its entry point names None."),
                    Message("plugin.load.names_none.advice", "Name a module or an object with hooks."),
                )
        if plugin is None or any(loaded_plugin.plugin is plugin for loaded_plugin in self.loaded):
            return
        with self._contained(name, _NOT_REGISTERED, plugin):
            self._add(plugin, entry.name, origin, is_own=installed.is_own)

    def add(self, plugin: object) -> None:
        """Register a plugin that the caller has given."""
        if any(loaded_plugin.plugin is plugin for loaded_plugin in self.loaded):
            return  # the caller has given it twice
        name = ""
        with self._contained(type(plugin).__name__, _NO_NAME, plugin):
            name = _name_of(plugin)
        if not name:
            return
        is_policy = name in self.disabled and _decides(plugin)
        if self._is_disabled(name, HANDED_IN, is_own=False, is_disabled=name in self.disabled and not is_policy):
            return
        if is_policy:
            text = "it is an access policy, so it cannot be disabled by name."
            advice = "Remove it from the plugins that are passed to certcore."
            reason = Message("plugin.load.policy_not_disabled", text)
            advice_text = Message("plugin.load.policy_not_disabled.advice", advice)
            self._report(PluginFailure(plugin=name, reason=reason, advice=advice_text), None)
        with self._contained(name, _NOT_REGISTERED, plugin):
            refusal = self._taken(name, is_own=False)
            if refusal:
                raise PluginLoadError(refusal, Message("plugin.load.own_name", "Give it a `name` of its own."))
            self._add(plugin, name, HANDED_IN, is_own=False)

    def modules(self) -> Mapping[str, CAModule[Any, Any]]:
        """The CA modules, by name; of two with the same name, the second is refused."""
        modules: dict[str, CAModule[Any, Any]] = {}
        for plugin, offered in self._offered("certcore_ca_modules"):
            with self._contained(plugin.name, _NO_MODULE):
                module = check_module(offered)
                if module.name in self.reserved and not plugin.is_own:
                    text = "the module name {name} belongs to certcore."
                    reason = Message("plugin.load.reserved_module", text, {"name": repr(module.name)})
                    raise PluginLoadError(reason, _OTHER_NAME)
                if module.name in modules:
                    text = "the module name {name} is already taken by {holder}."
                    params = self._taken_name("certcore_ca_modules", module.name)
                    raise PluginLoadError(Message("plugin.load.module_taken", text, params), _OTHER_NAME)
                modules[module.name] = module
                self._brought["certcore_ca_modules", module.name] = plugin
        return MappingProxyType(modules)

    def export_formats(self) -> tuple[ExportFormat, ...]:
        """The export formats of the plugins; of two with the same name, the second is refused."""
        formats: dict[str, ExportFormat] = {}
        own = {export_format.name for export_format in EXPORT_FORMATS}
        for plugin, offered in self._offered("certcore_export_formats"):
            with self._contained(plugin.name, _NO_FORMAT):
                if not issubclass(type(offered), ExportFormat):
                    text = "certcore_export_formats returned a {kind}, which is not an ExportFormat."
                    advice = "Make it with certcore.plugin.ExportFormat."
                    raise PluginLoadError(
                        Message("plugin.load.not_a_format", text, {"kind": type(offered).__name__}),
                        Message("plugin.load.not_a_format.advice", advice),
                    )
                export_format: Any = offered
                if export_format.name in own:
                    text = "the export format {name} is already taken by certcore."
                    reason = Message("plugin.load.own_format", text, {"name": repr(export_format.name)})
                    raise PluginLoadError(reason, _RENAME)
                if export_format.name in formats:
                    text = "the export format {name} is already taken by {holder}."
                    params = self._taken_name("certcore_export_formats", export_format.name)
                    raise PluginLoadError(Message("plugin.load.format_taken", text, params), _RENAME)
                conform(export_format, ExportFormat)
                _check_make(export_format)
                formats[export_format.name] = export_format
                self._brought["certcore_export_formats", export_format.name] = plugin
        return tuple(formats.values())

    def catalogues(self) -> tuple[Catalogue, ...]:
        """The translations of the plugins, in the order of registration."""
        catalogues = []
        for plugin, offered in self._offered("certcore_catalogues"):
            with self._contained(plugin.name, _NO_CATALOGUE):
                if not isinstance(offered, Catalogue):
                    text = "certcore_catalogues returned a {kind}, which is not a Catalogue."
                    raise PluginLoadError(
                        Message("plugin.load.not_a_catalogue", text, {"kind": type(offered).__name__}),
                        Message("plugin.load.not_a_catalogue.advice", "Make it with certcore.plugin.Catalogue."),
                    )
                if not offered.languages:
                    text = "the catalogue {name} has no LANGUAGE/LC_MESSAGES/{domain}.mo."
                    params = {"name": repr(offered.domain), "domain": offered.domain}
                    advice = "Name the folder that has a folder for each language, and compile the files in it."
                    raise PluginLoadError(
                        Message("plugin.load.no_languages", text, params),
                        Message("plugin.load.no_languages.advice", advice),
                    )
                catalogues.append(offered)
        return tuple(catalogues)

    def zone_writers(self) -> Mapping[str, ZoneWriter]:
        """The writers of TXT values of the plugins, by name; of two with the same name, the second is refused."""
        writers: dict[str, ZoneWriter] = {}
        for plugin, offered in self._offered("certcore_zone_writers"):
            with self._contained(plugin.name, _NO_WRITER):
                writer = check_zone_writer(plugin.name, offered)
                if writer.name in writers:
                    text = "the writer {name} is already taken by {holder}."
                    params = self._taken_name("certcore_zone_writers", writer.name)
                    raise PluginLoadError(Message("plugin.load.writer_taken", text, params), _RENAME)
                writers[writer.name] = writer
                self._brought["certcore_zone_writers", writer.name] = plugin
        return MappingProxyType(writers)

    def _offered(self, hook: str) -> Iterator[tuple[LoadedPlugin, object]]:
        """The objects that every plugin returned for a registering hook, in the order of registration."""
        for plugin in self.loaded:
            if hook not in plugin.hooks:
                continue
            offered: tuple[object, ...] = ()
            with self._contained(plugin.name, as_message(hook)):
                offered = conform(plugin.hooks[hook].function(), tuple[Any, ...])
            for item in offered:
                yield plugin, item

    def _taken_name(self, hook: str, name: str) -> Mapping[str, Message | str]:
        """The parameters of the error for a name that another plugin has taken."""
        return {"name": repr(name), "holder": _holder(self._brought[hook, name])}

    def _is_disabled(self, name: str, origin: PluginOrigin, *, is_own: bool, is_disabled: bool) -> bool:
        """Note a plugin that is not loaded yet; returns `is_disabled`."""
        state = PluginState.DISABLED if is_disabled else PluginState.FAILED
        info = PluginInfo(name=name, state=state, is_own=is_own, package=origin.package, version=origin.version)
        self._infos.setdefault(name, info)
        if is_disabled:
            _log.info("The plugin %r is disabled.", name)
        return is_disabled

    def _taken(self, name: str, *, is_own: bool) -> Message | None:
        params = {"name": repr(name)}
        if name in self.reserved and not is_own:
            return Message("plugin.load.reserved", "the name {name} belongs to certcore.", params)
        for plugin in self.loaded:
            if plugin.name == name:
                text = "the name {name} is already taken by {holder}."
                return Message("plugin.load.taken", text, {**params, "holder": _holder(plugin)})
        return None

    def _add(self, plugin: object, name: str, origin: PluginOrigin, *, is_own: bool) -> None:
        if len(name) > _LONGEST_NAME or not name.isprintable() or not name.strip():
            text = "its name {name} is not one line of at most {count} characters."
            params = {"name": repr(name[:60]), "count": _LONGEST_NAME}
            raise PluginLoadError(Message("plugin.load.name", text, params))
        level = api_level(plugin)
        hooks = hooks_of(plugin, name)
        self.loaded.append(LoadedPlugin(name, is_own, plugin, hooks, origin, level))
        _log.debug("The plugin %r (%s) is loaded; its hooks: %s", name, origin.label or "-", ", ".join(hooks))

    @contextmanager
    def _contained(self, name: str, place: Message, plugin: object = None) -> Iterator[None]:
        """Report any exception that a plugin raises in the block."""
        try:
            yield
        except PluginLoadError as fault:
            self._report(PluginFailure(plugin=name, reason=fault.reason, advice=fault.advice or ""), plugin)
        except BaseException as error:  # isolation: a plugin that exits, at its import or in a hook, ends only itself
            if is_interrupt(error):
                raise
            self._report(_failure(name, place, error), plugin)

    def _report(self, failure: PluginFailure, plugin: object) -> None:
        self._infos.setdefault(failure.plugin, PluginInfo(name=failure.plugin, state=PluginState.FAILED))
        known = self._faults.setdefault(failure.plugin, [])
        known.append(failure)
        parts = (failure.reason, failure.advice, failure.trace and f"\n{failure.trace}")
        _log.error("The plugin %r: %s", failure.plugin, " ".join(filter(None, parts)))
        is_policy = False
        if plugin is not None:
            try:
                is_policy = means_policy(plugin)
            except PluginLoadError:
                is_policy = True  # unknown, so it counts as a policy: access is denied
        if is_policy:
            self.broken_policies.append(failure.plugin)
            text = "It is an access policy, so every access is denied until it is repaired."
            known.append(PluginFailure(plugin=failure.plugin, reason=Message("plugin.load.policy", text)))
            _log.error("The policy %r cannot be used: every action is refused.", failure.plugin)


def _holder(plugin: LoadedPlugin) -> Message:
    return plugin.origin.holder(plugin.name)


def _decides(plugin: object) -> bool:
    """Whether a plugin is or may be an access policy: such a plugin must not be disabled through the environment."""
    try:
        return means_policy(plugin)
    except PluginLoadError:
        return True


def _name_of(plugin: object) -> str:
    """The name of a module, or an object's ``name``, or the name of its class.

    Two objects of the same class need different ``name`` attributes.
    """
    own = getattr(plugin, "name", None)
    name = getattr(plugin, "__name__", own if isinstance(own, str) and own else type(plugin).__name__)
    return str.__str__(name) if isinstance(name, str) and name else type(plugin).__name__


def _failure(name: str, place: Message, error: BaseException) -> PluginFailure:
    if isinstance(error, UnexpectedResultError):
        text = "{what}: it returned {returned}."
        reason = Message("plugin.load.returned", text, {"what": place, "returned": str(error)})
    elif isinstance(error, SyntaxError):
        raised = f"{kind_of(error)} at {error.filename}:{error.lineno}: {error.msg}"
        reason = Message("plugin.load.syntax", "{what}: {error}", {"what": place, "error": _sentence(raised)})
    else:
        params = {"what": place, "error": _sentence(_cause(error))}
        reason = Message("plugin.load.raised", "{what}: raised {error}", params)
    return PluginFailure(plugin=name, reason=reason, advice=_advice(error), trace=_trace(error))


def _trace(error: BaseException) -> str:
    """The stack frames of an exception, followed by those of the exceptions that caused it."""
    parts, included = [frames_of(error)], {id(error)}
    cause = error
    while len(parts) < _MOST_CAUSES:
        following = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
        if following is None or id(following) in included:
            break
        cause = following
        included.add(id(cause))
        parts.append(f"caused by {_cause(cause)}\n{frames_of(cause)}".rstrip())
    return "\n".join(part for part in parts if part)


def _advice(error: BaseException) -> Message:
    if isinstance(error, ModuleNotFoundError):
        return Message("plugin.load.not_installed.advice", "Install it, or correct the entry point.")
    return Message("error.plugin_error.advice", "Report this to the author of the plugin.")


def _cause(error: BaseException) -> str:
    """The type and place of an exception, and its text if the text is about code (see `_OF_CODE`)."""
    text = ""
    if isinstance(error, (CertCoreError, *_OF_CODE)):
        try:
            text = f": {' '.join(str(error).split())[:_MOST_TEXT]}"
        except Exception:  # isolation: a plugin's exception class whose ``__str__`` raises
            text = ""
    if isinstance(error, RecursionError | MemoryError | SystemExit):
        text = ""
    return f"{kind_of(error)}{text}{_place(error)}"


def _place(error: BaseException) -> str:
    """The last place outside of Python's import system, as file and line."""
    places = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    here = {inspect.getfile(Loader), inspect.getfile(hooks_of), inspect.getfile(contextmanager)}
    outside = [(file, line) for file, line in places if "importlib" not in file and file not in here]
    return f" (at {outside[-1][0]}:{outside[-1][1]})" if outside else ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _merged(name: str, faults: list[PluginFailure]) -> PluginFailure:
    reasons = {fault.reason: fault.reason_text for fault in faults}
    advice = {fault.advice: fault.advice_text for fault in faults if fault.advice}
    return PluginFailure(
        plugin=name,
        reason=_together(reasons.values()),
        advice=_together(advice.values()),
        trace="\n".join(fault.trace for fault in faults if fault.trace),
    )


def _together(messages: Iterable[Message]) -> Message:
    each = tuple(messages)
    return each[0] if len(each) == 1 else Message("", "{each}", {"each": each})


def _check_make(export_format: ExportFormat) -> None:
    make: Callable[..., object] = export_format.make
    params = {"name": repr(export_format.name)}
    if not callable(make):
        text = "make of the export format {name} is not a function."
        raise PluginLoadError(Message("plugin.load.make_is_no_function", text, params))
    if inspect.iscoroutinefunction(make) or inspect.isasyncgenfunction(make):
        text = "make of the export format {name} is a coroutine function."
        raise PluginLoadError(Message("plugin.load.make_is_coroutine", text, params), WRITE_DEF)
    try:
        inspect.signature(make).bind("material", "options")
    except TypeError as error:
        text = "make of the export format {name} does not fit: {reason}."
        raise PluginLoadError(
            Message("plugin.load.make_does_not_fit", text, {**params, "reason": str(error)}),
            Message("plugin.load.make_does_not_fit.advice", "certcore calls make(material, options)."),
        ) from None
    except ValueError:  # written in C, without a signature
        return
