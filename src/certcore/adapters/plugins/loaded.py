"""The plugins of one CertCore. Each call is isolated, so that a broken plugin does not affect others."""

from __future__ import annotations

import copy
import inspect
import logging
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import Factory, evolve, field, frozen

from certcore.adapters.plugins.disabling import disabled_names
from certcore.adapters.plugins.entry_points import installed_plugins
from certcore.adapters.plugins.loading import LoadedPlugin, Loader
from certcore.errors import CertCoreError, PluginError, StorageError, UnknownModuleError
from certcore.forks import renew_after_fork
from certcore.messages import Message
from certcore.model.events import Event
from certcore.model.export import ExportFormat
from certcore.model.finding import Finding, Severity
from certcore.model.hints import Hint
from certcore.model.plugin_calls import call_for_hints, call_plugin, raised
from certcore.model.plugin_results import UnexpectedResultError, with_article
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule
from certcore.ports.plugins import CertificateSource, PluginFailure, PluginInfo, PluginState
from certcore.ports.sealing import Keyring
from certcore.ports.zone_writers import ZoneWriter
from certcore.translations import Catalogue

__all__ = ["LoadedPlugins", "load_plugins"]

_log = logging.getLogger(__name__)
#: Invalid answers of a policy: the first is logged, then every n-th.
_EVERY: Final = 1000


def load_plugins(
    explicit: Iterable[object] = (), *, installed: bool = True, disabled: Iterable[str] = ()
) -> LoadedPlugins:
    """Load certcore's own plugins, the given ones, and those installed under the entry-point group ``certcore``.

    Never raises for a broken plugin: it is listed in `LoadedPlugins.failures` and left out. The first plugin with a
    name keeps it, and certcore's own names are reserved.

    Args:
        explicit: Modules or objects with `hookimpl` functions.
        installed: Whether to look for installed plugins, certcore's own among them.
        disabled: The names of plugins not to use, in addition to those in the environment: see `disabled_names`.

    Raises:
        InvalidInputError: `disabled` is not a list of names.
    """
    plugins = installed_plugins() if installed else []
    reserved = frozenset(plugin.entry.name for plugin in plugins if plugin.is_own)
    loader = Loader(reserved=reserved, disabled=disabled_names(disabled))
    for installed_plugin in plugins:
        if installed_plugin.is_own:
            loader.add_installed(installed_plugin)
    for plugin in explicit:
        loader.add(plugin)
    for installed_plugin in plugins:
        if not installed_plugin.is_own:
            loader.add_installed(installed_plugin)
    unknown = loader.disabled - {info.name for info in loader.infos()}
    if unknown and installed:
        _log.warning("No plugin has the name of one that is disabled: %s", ", ".join(sorted(unknown)))
    modules, formats, writers = loader.modules(), loader.export_formats(), loader.zone_writers()
    return LoadedPlugins(
        plugins=tuple(loader.loaded),
        modules=modules,
        formats=formats,
        zone_writers=writers,
        translations=loader.catalogues(),
        broken_policies=tuple(loader.broken_policies),
        failures=loader.failures(),
        infos=loader.infos(),
    )


@frozen(kw_only=True, eq=False)
class LoadedPlugins:
    """The plugins of one CertCore; every call to a plugin is guarded against the plugin's exceptions."""

    #: In the order of registration.
    plugins: Sequence[LoadedPlugin] = field(repr=False)
    modules: Mapping[str, CAModule[Any, Any]]
    formats: Sequence[ExportFormat] = field(repr=False)
    #: The writers of TXT values, by name.
    zone_writers: Mapping[str, ZoneWriter] = field(repr=False)
    #: The catalogues with translations.
    translations: Sequence[Catalogue] = field(repr=False)
    #: The names of the policies that cannot be used.
    broken_policies: Sequence[str]
    failures: tuple[PluginFailure, ...]
    #: Every plugin with its state.
    infos: tuple[PluginInfo, ...] = field(repr=False)
    #: The number of invalid answers of each policy.
    _no_answers: Counter[str] = field(factory=Counter, init=False, repr=False)
    _lock: Any = field(default=Factory(threading.Lock), init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.forks`."""
        object.__setattr__(self, "_lock", threading.Lock())

    @property
    def observers(self) -> Sequence[str]:
        """The names of the plugins that implement ``certcore_on_event``."""
        return tuple(plugin.name for plugin in self._with("certcore_on_event"))

    def module(self, name: str) -> CAModule[Any, Any]:
        """A CA module by its name.

        Raises:
            UnknownModuleError: No module with this name is loaded.
        """
        try:
            return self.modules[name]
        except KeyError:
            broken = [failure.plugin for failure in self.failures]
            disabled = [info.name for info in self.infos if info.state is PluginState.DISABLED]
            raise UnknownModuleError(name, self.modules, broken=broken, disabled=disabled) from None

    def more_hints(self, view: CertificateView) -> Sequence[Hint]:
        """The hints of every plugin. A plugin that fails is logged and left out."""
        hints: list[Hint] = []
        for plugin in self._with("certcore_hints"):
            hook = plugin.hooks["certcore_hints"]
            try:
                hints += call_for_hints(plugin.name, "certcore_hints", hook.function, **hook.arguments({"view": view}))
            except PluginError:  # already logged
                continue
            except CertCoreError as error:
                _log.error("The plugin %r has no hints: %s", plugin.name, error.message)
        return hints

    def export_formats(self) -> Sequence[ExportFormat]:
        """The formats of every plugin, each with a name of its own."""
        return self.formats

    def catalogues(self) -> Sequence[Catalogue]:
        """The translations of every plugin."""
        return self.translations

    def notify(self, observer: str, event: Event, certificates: CertificateSource) -> None:
        """Deliver an event to one observer.

        Raises:
            PluginError: The observer raised, or returned a coroutine or generator, whose code has not run.
        """
        for plugin in self._with("certcore_on_event"):
            if plugin.name != observer:
                continue
            hook = plugin.hooks["certcore_on_event"]
            own = evolve(event, data=copy.deepcopy(dict(event.data)))  # each observer gets its own copy
            arguments = hook.arguments({"event": own, "certificates": certificates})
            try:
                call_plugin(observer, "certcore_on_event", hook.function, returns=_has_run, **arguments)
            except CertCoreError as error:  # the outbox tries again later; other observers are not affected
                if isinstance(error, PluginError) and error.plugin == observer:
                    raise
                raise PluginError(observer, "certcore_on_event", _raised_with_words(error)) from None

    def check_targets(self, certificate_id: str, certificates: CertificateSource) -> Mapping[str, Sequence[Finding]]:
        """The findings of every plugin that deploys certificates, about its target."""
        findings: dict[str, Sequence[Finding]] = {}
        for plugin in self._with("certcore_check_targets"):
            hook = plugin.hooks["certcore_check_targets"]
            arguments = hook.arguments({"certificate_id": certificate_id, "certificates": certificates})
            try:
                findings[plugin.name] = call_plugin(
                    plugin.name, "certcore_check_targets", hook.function, returns=tuple[Finding, ...], **arguments
                )
            except StorageError:
                raise
            except CertCoreError as error:
                findings[plugin.name] = (_unchecked(plugin.name, error),)
        return findings

    def authorize(self, actor: str, action: str, subject: str, owner: str) -> bool | None:
        """The first decision of a policy; None if none decides. A policy that raises or returns nonsense denies."""
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
            except CertCoreError as error:  # a policy that fails must not permit anything
                self._tell_no_answer(plugin.name, f"it failed ({error.code})")
                return False
            if answer is True or answer is False:
                return answer is True
            if answer is not None:
                self._tell_no_answer(plugin.name, f"it answered {with_article(answer)} instead of True, False or None")
                return False
        return None

    def controls_name(self, owner: str, name: str) -> bool | None:
        """Whether an owner controls a name: False as soon as one plugin returns False, None when all return None.

        Raises:
            PluginError: A plugin failed or returned something else; callers treat this as a refusal, with the reason.
        """
        answers: list[bool | None] = []
        for plugin in self._with("certcore_controls_name"):
            hook = plugin.hooks["certcore_controls_name"]
            arguments = hook.arguments({"owner": owner, "name": name})
            try:
                answer = call_plugin(
                    plugin.name, "certcore_controls_name", hook.function, returns=_true_false_or_none, **arguments
                )
            except CertCoreError as error:
                if isinstance(error, PluginError) and error.plugin == plugin.name:
                    raise
                raise PluginError(plugin.name, "certcore_controls_name", raised(error)) from None
            answers.append(answer)
        if False in answers:
            return False
        return True if True in answers else None

    def open_keyring(self, url: str) -> Keyring | None:
        """The first plugin's keyring for this URL, certcore's own before others.

        Raises:
            PluginError: A plugin failed. certcore cannot start without the keyring.
            CertCoreError: A plugin refused, with its own message.
        """
        for plugin in sorted(self._with("certcore_open_keyring"), key=lambda plugin: not plugin.is_own):
            hook = plugin.hooks["certcore_open_keyring"]
            keyring: Keyring | None = call_plugin(
                plugin.name, "certcore_open_keyring", hook.function, returns=_keyring, **hook.arguments({"url": url})
            )
            if keyring is not None:
                return keyring
        return None

    def _with(self, hook: str) -> Iterator[LoadedPlugin]:
        """The plugins that have a hook; as in pluggy, the last registered one comes first."""
        return (plugin for plugin in reversed(self.plugins) if hook in plugin.hooks)

    def _tell_no_answer(self, policy: str, why: str) -> None:
        with self._lock:
            self._no_answers[policy] += 1
            number = self._no_answers[policy]
        if number % _EVERY == 1:
            text = "The policy %r: %s; this counts as a denial (%s times so far)."
            _log.error(text, policy, why, number)


def _unchecked(plugin: str, error: CertCoreError) -> Finding:
    text = "The target {target} could not be checked: {reason}"
    return Finding(
        code="target_unchecked",
        severity=Severity.ERROR,
        name="",
        cause=Message("core.preflight.target_unchecked.cause", text, {"target": plugin, "reason": error.text}),
        advice=Message(
            "core.preflight.target_unchecked.advice", "Look in the log, and repair the plugin or its target."
        ),
    )


def _raised_with_words(error: CertCoreError) -> Message:
    """The message that an observer raised an error of certcore, with that error's own text."""
    params = {"error": type(error).__name__, "message": error.text, "advice": error.advice_text}
    if error.advice:
        return Message("plugin.raised_with_advice", "it raised {error}: {message} {advice}", params)
    return Message("plugin.raised_with_words", "it raised {error}: {message}", params)


def _has_run(returned: object) -> None:
    if inspect.isgenerator(returned):
        raise UnexpectedResultError(f"{with_article(returned)}: nothing has run yet; take the `yield` out of it")


def _true_false_or_none(returned: object) -> bool | None:
    if returned is True or returned is False or returned is None:
        return returned
    raise UnexpectedResultError(f"{with_article(returned)}, where True, False or None is expected")


def _keyring(returned: object) -> Keyring | None:
    if returned is not None and not isinstance(returned, Keyring):
        raise UnexpectedResultError(f"{with_article(returned)}, where a Keyring or None is expected")
    return returned
