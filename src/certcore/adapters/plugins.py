"""Loading plugins with pluggy, one by one, so that a broken one is reported and stops nobody else."""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType, UnionType
from typing import TYPE_CHECKING, Any, Final

import attrs
import pluggy

from certcore import hookspecs
from certcore.errors import CertCoreError, PluginError, UnknownModule
from certcore.model.events import Event
from certcore.model.export import ExportFormat
from certcore.model.form import fields_of
from certcore.model.hints import Hint
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule
from certcore.ports.plugins import CertificateSource, PluginFailure
from certcore.ports.sealing import Keyring

__all__ = ["LoadedPlugins", "load_plugins"]

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

_log = logging.getLogger(__name__)
_GROUP: Final = "certcore"
_MODULE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


def load_plugins(explicit: Iterable[object] = (), *, installed: bool = True) -> LoadedPlugins:
    """Load the plugins handed in, then those that are installed under the entry-point group ``certcore``.

    Never raises for a broken plugin: it is listed in `LoadedPlugins.failures` and left out.

    Args:
        explicit: Modules or objects with `hookimpl` functions.
        installed: Whether to look for installed plugins as well.
    """
    manager = pluggy.PluginManager("certcore")
    manager.add_hookspecs(hookspecs)
    failures: list[PluginFailure] = []
    for plugin in explicit:
        _register(manager, plugin, _plugin_name(plugin), failures)
    if installed:
        from importlib.metadata import entry_points  # noqa: PLC0415 - costs a tenth of the core's import

        for entry in sorted(entry_points(group=_GROUP), key=lambda one: one.name):
            _load_entry(manager, entry, failures)
    modules = _collect_modules(manager, failures)
    for failure in failures:
        _log.error("The plugin %r is not used: %s", failure.plugin, failure.reason)
    return LoadedPlugins(manager=manager, modules=MappingProxyType(modules), failures=tuple(failures))


def _plugin_name(plugin: object) -> str:
    """A module's name, the ``name`` that an object gives itself (two of a kind need two), or its class's."""
    own = getattr(plugin, "name", None)
    return str(getattr(plugin, "__name__", own if isinstance(own, str) and own else type(plugin).__name__))


def _load_entry(manager: pluggy.PluginManager, entry: EntryPoint, failures: list[PluginFailure]) -> None:
    if manager.has_plugin(entry.name):
        return
    try:
        plugin = entry.load()
    except Exception as error:  # isolation: a plugin that cannot be imported must not stop the host
        failures.append(PluginFailure(plugin=entry.name, reason=f"it cannot be imported: {_reason(error)}"))
        return
    if plugin not in manager.get_plugins():
        _register(manager, plugin, entry.name, failures)


def _register(manager: pluggy.PluginManager, plugin: object, name: str, failures: list[PluginFailure]) -> None:
    try:
        manager.register(plugin, name=name)
    except (pluggy.PluginValidationError, ValueError) as error:
        failures.append(PluginFailure(plugin=name, reason=f"a hook does not fit: {_reason(error)}"))
        _unregister(manager, plugin)
        return
    try:
        manager.check_pending()  # only this catches a misspelt hook
    except pluggy.PluginValidationError as error:
        failures.append(PluginFailure(plugin=name, reason=f"it implements an unknown hook: {_reason(error)}"))
        _unregister(manager, plugin)


def _unregister(manager: pluggy.PluginManager, plugin: object) -> None:
    if manager.is_registered(plugin):
        manager.unregister(plugin)


def _collect_modules(manager: pluggy.PluginManager, failures: list[PluginFailure]) -> dict[str, CAModule]:
    modules: dict[str, CAModule] = {}
    for implementation in manager.hook.certcore_ca_modules.get_hookimpls():
        name = implementation.plugin_name
        try:
            offered: list[object] = list(implementation.function())  # type: ignore[call-overload]
        except Exception as error:  # isolation: report the plugin, keep the others
            failures.append(PluginFailure(plugin=name, reason=f"certcore_ca_modules raised {_reason(error)}"))
            continue
        for module in offered:
            reason = _module_fault(module, modules)
            if reason:
                failures.append(PluginFailure(plugin=name, reason=reason))
            elif isinstance(module, CAModule):
                modules[module.name] = module
    return modules


def _module_fault(module: object, known: Mapping[str, CAModule]) -> str:
    if not isinstance(module, CAModule):
        return f"certcore_ca_modules returned a {type(module).__name__}, which is not a CAModule."
    name = getattr(module, "name", None)
    if not isinstance(name, str) or not _MODULE_NAME.fullmatch(name):
        return f"the module's name {name!r} must be lower-case letters, digits and underscores."
    if name in known:
        return f"the module name {name!r} is already taken by another plugin."
    if not getattr(module, "title", ""):
        return f"the module {name!r} has no title."
    for attribute in ("profile_type", "certificate_type"):
        settings_type = getattr(module, attribute, None)
        if not isinstance(settings_type, type) or not attrs.has(settings_type):
            return f"{attribute} of the module {name!r} must be an attrs class."
        try:
            fields_of(settings_type)
        except TypeError as error:
            return f"{attribute} of the module {name!r}: {error}"
    return ""


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _reason(error: BaseException) -> str:
    """The kind of an exception and, for our own errors only, its text: a stranger's text may hold a secret."""
    if isinstance(error, (CertCoreError, ImportError, pluggy.PluginValidationError)):
        return f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
    return type(error).__name__


@attrs.frozen(kw_only=True, eq=False)
class LoadedPlugins:
    """The plugins of one CertCore; every call into one is isolated."""

    manager: pluggy.PluginManager = attrs.field(repr=False)
    modules: Mapping[str, CAModule]
    failures: tuple[PluginFailure, ...]

    @property
    def observers(self) -> Sequence[str]:
        """The names of the plugins that implement ``certcore_on_event``."""
        return tuple(one.plugin_name for one in self._implementations("certcore_on_event"))

    def module(self, name: str) -> CAModule:
        """A CA module by its name.

        Raises:
            UnknownModule: It is not loaded.
        """
        try:
            return self.modules[name]
        except KeyError:
            raise UnknownModule(name, self.modules) from None

    def more_hints(self, view: CertificateView) -> Sequence[Hint]:
        """The hints of every plugin; what is not a hint is left out and reported."""
        return [one for one in self._returned("certcore_hints", Hint, view=view) if isinstance(one, Hint)]

    def export_formats(self) -> Sequence[ExportFormat]:
        """The formats of every plugin; what is not a format is left out and reported."""
        returned = self._returned("certcore_export_formats", ExportFormat)
        return [one for one in returned if isinstance(one, ExportFormat)]

    def notify(self, observer: str, event: Event, certificates: CertificateSource) -> None:
        """Tell one observer.

        Raises:
            PluginError: It raised.
        """
        for implementation in self._implementations("certcore_on_event"):
            if implementation.plugin_name != observer:
                continue
            try:
                _call(implementation.function, event=event, certificates=certificates)
            except Exception as error:  # isolation: the outbox tries again, and tells the others meanwhile
                raise PluginError(observer, "certcore_on_event", f"it raised {_sentence(_reason(error))}") from None

    def authorize(self, actor: str, action: str, subject: str, owner: str) -> bool | None:
        """The first opinion; a policy that raises, or answers something else than yes or no, counts as a no."""
        for implementation in self._implementations("certcore_authorize"):
            try:
                answer = _call(implementation.function, actor=actor, action=action, subject=subject, owner=owner)
            except Exception as error:  # isolation: a policy that fails must not open the door
                _log.error("%r failed in certcore_authorize: %s", implementation.plugin_name, _reason(error))
                return False
            if answer is not None:
                return answer is True
        return None

    def open_keyring(self, url: str) -> Keyring | None:
        """The first plugin's keyring for this URL. Errors pass: without its keyring nothing can start."""
        for implementation in self._implementations("certcore_open_keyring"):
            keyring: Keyring | None = _call(implementation.function, url=url)
            if keyring is not None:
                return keyring
        return None

    def _implementations(self, hook: str) -> Sequence[pluggy.HookImpl]:
        # pluggy calls the last registered first; so do we, but one by one
        return tuple(reversed(getattr(self.manager.hook, hook).get_hookimpls()))

    def _returned(self, hook: str, kind: type | UnionType, **arguments: Any) -> Iterator[object]:
        """What every plugin returned; what is of another kind is reported."""
        for implementation in self._implementations(hook):
            for one in self._isolated(implementation, hook, **arguments) or ():
                if not isinstance(one, kind):
                    _log.error(
                        "The plugin %r returned in %s what does not belong there.", implementation.plugin_name, hook
                    )
                yield one

    def _isolated(self, implementation: pluggy.HookImpl, hook: str, **arguments: Any) -> Any:
        try:
            returned = _call(implementation.function, **arguments)
            return list(returned) if inspect.isgenerator(returned) else returned
        except Exception as error:  # isolation: one plugin's failure is its own
            _log.error("The plugin %r failed in %s: %s", implementation.plugin_name, hook, _reason(error))
            return None


def _call(function: Callable[..., Any], **arguments: Any) -> Any:
    """Call a hook with the arguments that it takes: a plugin may leave some out."""
    wanted = inspect.signature(function).parameters
    return function(**{name: value for name, value in arguments.items() if name in wanted})
