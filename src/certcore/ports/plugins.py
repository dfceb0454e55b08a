"""What the engine and the services ask of the loaded plugins."""

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
    """A plugin that could not be loaded, or that broke its promise while it was."""

    plugin: str
    #: What is wrong with it. Built as ``reason=``; `reason` is its English text.
    reason_text: Message = field(converter=as_message, alias="reason", hash=False)
    #: What can be done about it; `advice` is its English text, empty when there is nothing to add.
    advice_text: Message = field(default=Message("", ""), converter=as_message, alias="advice", hash=False)
    #: Where it failed: the frames of the traceback, without the error's text, which may hold a secret.
    trace: str = field(default="", repr=False)

    @property
    def reason(self) -> str:
        """What is wrong with it, in English."""
        return str(self.reason_text)

    @property
    def advice(self) -> str:
        """What can be done about it, in English."""
        return str(self.advice_text)


class PluginState(StrEnum):
    """What became of a plugin."""

    #: It is used.
    LOADED = "loaded"
    #: It could not be used; see `PluginInfo.failure`.
    FAILED = "failed"
    #: It was disabled by its name, and not imported.
    DISABLED = "disabled"


@frozen(kw_only=True)
class PluginInfo:
    """A plugin that is installed or was handed to certcore, and what it brings."""

    #: Its name: that of the entry point, or of the object.
    name: str
    state: PluginState
    #: Whether it comes with certcore.
    is_own: bool = False
    #: The distribution that it is installed with, and its version; both empty for one that was handed to certcore.
    package: str = ""
    version: str = ""
    #: The version of the plugin interface that it was written for; None while it is not loaded.
    api_level: int | None = None
    #: The names of its hooks.
    hooks: tuple[str, ...] = ()
    #: The names of the CA modules, writers of TXT values and export formats that it brings.
    ca_modules: tuple[str, ...] = ()
    zone_writers: tuple[str, ...] = ()
    export_formats: tuple[str, ...] = ()
    #: What is wrong with it. A plugin that is loaded has one when something that it brings cannot be used.
    failure: PluginFailure | None = None


class CertificateSource(Protocol):
    """What an observer of events may ask about the certificate that an event is about."""

    def view(self, certificate_id: str, *, actor: str = "system") -> CertificateView:
        """Everything that the certificate's page shows; never its private key.

        Raises:
            NotFoundError: It was deleted.
            AccessDeniedError: The policy refused this actor.
        """
        ...

    def export(
        self, certificate_id: str, *, with_key: bool = True, reason: str = "", actor: str = "system"
    ) -> Exported:
        """The leaf in service, its chain and, recorded in the timeline, its private key.

        Args:
            certificate_id: The certificate.
            with_key: False leaves the private key out.
            reason: Why the private key is exported, for the timeline. Required with the key.
            actor: Who exports: for a plugin ``plugin:<its name>``.

        Raises:
            NotFoundError: It was deleted.
            CertCoreError: There is no leaf in service, or its key is not here.
            AccessDeniedError: The policy refused this actor.
        """
        ...


class Plugins(Protocol):
    """The plugins of one CertCore. MUST be thread-safe, and MUST let no exception of a plugin through as it is."""

    @property
    def modules(self) -> Mapping[str, CAModule[Any, Any]]:
        """The CA modules by name."""
        ...

    @property
    def zone_writers(self) -> Mapping[str, ZoneWriter]:
        """The writers of TXT values by name; what they raise is a `CertCoreError`."""
        ...

    @property
    def failures(self) -> Sequence[PluginFailure]:
        """The plugins that could not be used, with the reason."""
        ...

    @property
    def infos(self) -> Sequence[PluginInfo]:
        """Every plugin with its state, in the order of registration."""
        ...

    @property
    def observers(self) -> Sequence[str]:
        """The names of the plugins that want to learn of events, in the order of registration."""
        ...

    def module(self, name: str) -> CAModule[Any, Any]:
        """A CA module by its name.

        Raises:
            UnknownModuleError: It is not loaded.
        """
        ...

    def more_hints(self, view: CertificateView) -> Sequence[Hint]:
        """What plugins other than the CA module add to the right column."""
        ...

    def export_formats(self) -> Sequence[ExportFormat]:
        """The formats that plugins add; two of them may share a name."""
        ...

    def catalogues(self) -> Sequence[Catalogue]:
        """The translations that plugins bring."""
        ...

    def notify(self, observer: str, event: Event, certificates: CertificateSource) -> None:
        """Tell one observer of an event.

        Raises:
            PluginError: It raised, whatever it was; the event is to be delivered again.
        """
        ...

    def controls_name(self, owner: str, name: str) -> bool | None:
        """Whether the panel says that an owner controls a name; None when no plugin has an opinion.

        Raises:
            PluginError: A plugin failed: this counts as False.
        """
        ...

    def check_targets(self, certificate_id: str, certificates: CertificateSource) -> Mapping[str, Sequence[Finding]]:
        """What would keep the plugins that deploy certificates from deploying the next leaf, by plugin.

        Every plugin that can tell is in it, without findings when all is well; one that raises has a finding.
        """
        ...

    def authorize(self, actor: str, action: str, subject: str, owner: str) -> bool | None:
        """The first plugin's opinion; None when none has one. A policy that raises counts as a denial."""
        ...
