"""The interface between the loaded plugins and the engine and services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Protocol

from attrs import field, frozen

from certcore.messages import Message, as_message
from certcore.model.events import Event
from certcore.model.export import Exported, ExportFormat
from certcore.model.finding import Finding
from certcore.model.hints import Hint
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule
from certcore.ports.zone_writers import ZoneWriter
from certcore.translations import Catalogue

__all__ = ["CertificateSource", "PluginFailure", "PluginInfo", "PluginState", "Plugins"]


@frozen(kw_only=True)
class PluginFailure:
    """A plugin that could not be loaded, or a part of a plugin that cannot be used."""

    #: The plugin's name.
    plugin: str
    #: The reason; the argument is ``reason=``, and `reason` is the English text.
    reason_text: Message = field(converter=as_message, alias="reason", hash=False)
    #: What to do; the argument is ``advice=``, and `advice` is the English text, which may be empty.
    advice_text: Message = field(default=Message("", ""), converter=as_message, alias="advice", hash=False)
    #: The frames of the traceback, without the error's text, which may contain a secret.
    trace: str = field(default="", repr=False)

    @property
    def reason(self) -> str:
        """The reason, in English."""
        return str(self.reason_text)

    @property
    def advice(self) -> str:
        """What to do, in English; may be empty."""
        return str(self.advice_text)


class PluginState(StrEnum):
    """The state of a plugin."""

    #: The plugin is used.
    LOADED = "loaded"
    #: The plugin could not be used, see `PluginInfo.failure`.
    FAILED = "failed"
    #: The plugin is disabled by its name, and was not imported.
    DISABLED = "disabled"


@frozen(kw_only=True)
class PluginInfo:
    """A plugin that is installed or was passed to certcore, and what it registers."""

    #: The name of the entry point or of the object.
    name: str
    #: Whether the plugin is used.
    state: PluginState
    #: Whether the plugin is part of certcore.
    is_own: bool = False
    #: The name of the installed distribution; empty for a plugin that was passed to certcore.
    package: str = ""
    #: The version of the distribution; empty for a plugin that was passed to certcore.
    version: str = ""
    #: The version of the plugin interface that it was written for; None if it is not loaded.
    api_level: int | None = None
    #: The names of its hooks.
    hooks: tuple[str, ...] = ()
    #: The names of its CA modules.
    ca_modules: tuple[str, ...] = ()
    #: The names of its writers of TXT values.
    zone_writers: tuple[str, ...] = ()
    #: The names of its export formats.
    export_formats: tuple[str, ...] = ()
    #: Why the plugin, or a part of a loaded plugin, cannot be used; None if there is no failure.
    failure: PluginFailure | None = None


class CertificateSource(Protocol):
    """Gives observers access to certificates and their files."""

    def view(self, certificate_id: str, *, actor: str = "system") -> CertificateView:
        """Everything that the certificate's page shows, without the private key.

        Raises:
            NotFoundError: The certificate was deleted.
            AccessDeniedError: The policy refused the actor.
        """
        ...

    def export(
        self, certificate_id: str, *, with_key: bool = True, reason: str = "", actor: str = "system"
    ) -> Exported:
        """Export the leaf in service, its chain and its private key. The export of a key is recorded in the timeline.

        Args:
            certificate_id: The ID of the certificate.
            with_key: Whether to export the private key.
            reason: Why the private key is exported, for the timeline. Required with the key.
            actor: Who exports; plugins pass ``plugin:<their name>``.

        Raises:
            NotFoundError: The certificate was deleted.
            NotIssuedError: There is no leaf in service.
            PrivateKeyNotStoredError: The private key is not in this store.
            InvalidInputError: The reason is missing.
            AccessDeniedError: The policy refused the actor.
        """
        ...


class Plugins(Protocol):
    """The plugins of a `CertCore`. MUST be thread-safe, and MUST NOT pass on an exception of a plugin unchanged."""

    @property
    def modules(self) -> Mapping[str, CAModule[Any, Any]]:
        """The CA modules by name."""
        ...

    @property
    def zone_writers(self) -> Mapping[str, ZoneWriter]:
        """The writers of TXT values by name. All their exceptions are `CertCoreError`."""
        ...

    @property
    def failures(self) -> Sequence[PluginFailure]:
        """The plugins that could not be used, with the reasons."""
        ...

    @property
    def infos(self) -> Sequence[PluginInfo]:
        """All plugins, in the order of registration."""
        ...

    @property
    def observers(self) -> Sequence[str]:
        """The names of the plugins that observe events, in the order of registration."""
        ...

    def module(self, name: str) -> CAModule[Any, Any]:
        """A CA module by its name.

        Raises:
            UnknownModuleError: No module of this name is loaded.
        """
        ...

    def more_hints(self, view: CertificateView) -> Sequence[Hint]:
        """The hints that plugins other than the CA module add to the right column."""
        ...

    def export_formats(self) -> Sequence[ExportFormat]:
        """The export formats of plugins."""
        ...

    def catalogues(self) -> Sequence[Catalogue]:
        """The translations of plugins."""
        ...

    def notify(self, observer: str, event: Event, certificates: CertificateSource) -> None:
        """Deliver an event to one observer.

        Raises:
            PluginError: The observer raised any exception. The event must be delivered again.
        """
        ...

    def controls_name(self, owner: str, name: str) -> bool | None:
        """Whether an owner controls a name according to the panel; None if no plugin has an opinion.

        Raises:
            PluginError: A plugin failed, which counts as False.
        """
        ...

    def check_targets(self, certificate_id: str, certificates: CertificateSource) -> Mapping[str, Sequence[Finding]]:
        """What would prevent the plugins from deploying the next leaf, by plugin.

        The mapping contains every plugin that implements `certcore.hookspecs.certcore_check_targets`, with no findings
        if it could deploy. A plugin that raises an exception gets a finding.
        """
        ...

    def authorize(self, actor: str, action: str, subject: str, owner: str) -> bool | None:
        """The decision of the first policy that has one; None if there is none. An exception counts as a denial."""
        ...
