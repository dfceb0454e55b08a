"""The plugins of one CertCore: found, checked, and called one by one, so that a broken one stops nobody else."""

from __future__ import annotations

import copy
import inspect
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import Factory, evolve, field, frozen

from certcore.adapters.plugin_entries import installed_plugins
from certcore.adapters.plugin_loading import LoadedPlugin, Loader
from certcore.errors import CertCoreError, PluginError, UnknownModule
from certcore.model.conform import Misfit, with_article
from certcore.model.events import Event
from certcore.model.export import ExportFormat
from certcore.model.hints import Hint
from certcore.model.plugin_calls import call_for_hints, call_plugin
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule
from certcore.ports.forks import renew_after_fork
from certcore.ports.plugins import CertificateSource, PluginFailure
from certcore.ports.sealing import Keyring

__all__ = ["LoadedPlugins", "load_plugins"]

_log = logging.getLogger(__name__)
#: Of the answers of a policy that are none, the first is logged, and then every so many.
_EVERY: Final = 1000


def load_plugins(explicit: Iterable[object] = (), *, installed: bool = True) -> LoadedPlugins:
    """Load certcore's own plugins, those handed in, and those installed under the entry-point group ``certcore``.

    Never raises for a broken plugin: it is listed in `LoadedPlugins.failures` and left out. The first that has a name
    keeps it, and certcore's own names are theirs in any case.

    Args:
        explicit: Modules or objects with `hookimpl` functions.
        installed: Whether to look for installed plugins, certcore's own among them.
    """
    found = installed_plugins() if installed else []
    loader = Loader(reserved=frozenset(one.entry.name for one in found if one.is_own))
    for one in found:
        if one.is_own:
            loader.add_installed(one)
    for plugin in explicit:
        loader.add(plugin)
    for one in found:
        if not one.is_own:
            loader.add_installed(one)
    modules, formats = loader.modules(), loader.export_formats()
    return LoadedPlugins(
        plugins=tuple(loader.loaded),
        modules=modules,
        formats=formats,
        broken_policies=tuple(loader.broken_policies),
        failures=loader.failures(),
    )


@frozen(kw_only=True, eq=False)
class LoadedPlugins:
    """The plugins of one CertCore; every call into one is isolated."""

    #: In the order of registration.
    plugins: Sequence[LoadedPlugin] = field(repr=False)
    modules: Mapping[str, CAModule]
    formats: Sequence[ExportFormat] = field(repr=False)
    #: The names of the policies that cannot be used.
    broken_policies: Sequence[str]
    failures: tuple[PluginFailure, ...]
    #: How often a policy's answer was none, by plugin.
    _no_answers: Counter[str] = field(factory=Counter, init=False, repr=False)
    _lock: Any = field(default=Factory(threading.Lock), init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.ports.forks`."""
        object.__setattr__(self, "_lock", threading.Lock())

    @property
    def observers(self) -> Sequence[str]:
        """The names of the plugins that implement ``certcore_on_event``."""
        return tuple(plugin.name for plugin in self._with("certcore_on_event"))

    def module(self, name: str) -> CAModule:
        """A CA module by its name.

        Raises:
            UnknownModule: It is not loaded.
        """
        try:
            return self.modules[name]
        except KeyError:
            raise UnknownModule(name, self.modules, broken=[one.plugin for one in self.failures]) from None

    def more_hints(self, view: CertificateView) -> Sequence[Hint]:
        """The hints of every plugin; those of one that fails are left out, and logged."""
        hints: list[Hint] = []
        for plugin in self._with("certcore_hints"):
            hook = plugin.hooks["certcore_hints"]
            try:
                hints += call_for_hints(plugin.name, "certcore_hints", hook.function, **hook.arguments({"view": view}))
            except PluginError:  # it is in the log already
                continue
            except CertCoreError as error:
                _log.error("The plugin %r has no hints: %s", plugin.name, error.message)
        return hints

    def export_formats(self) -> Sequence[ExportFormat]:
        """The formats of every plugin, each with a name of its own."""
        return self.formats

    def notify(self, observer: str, event: Event, certificates: CertificateSource) -> None:
        """Tell one observer.

        Raises:
            PluginError: It raised, or returned something that has yet to run: a coroutine, a generator.
        """
        for plugin in self._with("certcore_on_event"):
            if plugin.name != observer:
                continue
            hook = plugin.hooks["certcore_on_event"]
            own = evolve(event, data=copy.deepcopy(dict(event.data)))  # what one observer changes, no other sees
            given = hook.arguments({"event": own, "certificates": certificates})
            try:
                call_plugin(observer, "certcore_on_event", hook.function, returns=_has_run, **given)
            except CertCoreError as error:  # the outbox tries again, and tells the others meanwhile
                if isinstance(error, PluginError) and error.plugin == observer:
                    raise
                reason = f"it raised {type(error).__name__}: {error}"
                reason = reason if reason.endswith((".", "?", "!")) else f"{reason}."
                raise PluginError(observer, "certcore_on_event", reason) from None

    def authorize(self, actor: str, action: str, subject: str, owner: str) -> bool | None:
        """The first opinion; a policy that raises, or answers something else than True or False, counts as a no."""
        if self.broken_policies:
            self._tell_no_answer(self.broken_policies[0], "it could not be loaded")
            return False
        question = {"actor": actor, "action": action, "subject": subject, "owner": owner}
        for plugin in self._with("certcore_authorize"):
            hook = plugin.hooks["certcore_authorize"]
            try:
                answer: object = call_plugin(
                    plugin.name, "certcore_authorize", hook.function, returns=Any, **hook.arguments(question)
                )
            except CertCoreError as error:  # a policy that fails must not open the door
                self._tell_no_answer(plugin.name, f"it failed ({error.code})")
                return False
            if answer is True or answer is False:
                return answer is True
            if answer is not None:
                self._tell_no_answer(plugin.name, f"it answered {with_article(answer)} instead of True, False or None")
                return False
        return None

    def open_keyring(self, url: str) -> Keyring | None:
        """The first plugin's keyring for this URL, certcore's own before others.

        Raises:
            PluginError: A plugin failed. Without its keyring nothing can start.
            CertCoreError: A plugin refused, in its own words.
        """
        for plugin in sorted(self._with("certcore_open_keyring"), key=lambda one: not one.is_own):
            hook = plugin.hooks["certcore_open_keyring"]
            keyring: Keyring | None = call_plugin(
                plugin.name, "certcore_open_keyring", hook.function, returns=_keyring, **hook.arguments({"url": url})
            )
            if keyring is not None:
                return keyring
        return None

    def _with(self, hook: str) -> Iterator[LoadedPlugin]:
        """The plugins that have a hook. As pluggy does, the last registered is the first that is asked."""
        return (plugin for plugin in reversed(self.plugins) if hook in plugin.hooks)

    def _tell_no_answer(self, policy: str, why: str) -> None:
        with self._lock:
            self._no_answers[policy] += 1
            number = self._no_answers[policy]
        if number % _EVERY == 1:
            text = "The policy %r: %s; that counts as a no (%s times so far)."
            _log.error(text, policy, why, number)


def _has_run(returned: object) -> None:
    if inspect.isgenerator(returned):
        raise Misfit(f"{with_article(returned)}: nothing has run yet; take the `yield` out of it")


def _keyring(returned: object) -> Keyring | None:
    if returned is not None and not isinstance(returned, Keyring):
        raise Misfit(f"{with_article(returned)}, where a Keyring or None belongs")
    return returned
