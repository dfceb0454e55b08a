"""What the engine and the services ask of the loaded plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import field, frozen

from certcore.model.events import Event
from certcore.model.export import ExportFormat, Material
from certcore.model.hints import Hint
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule

__all__ = ["CertificateSource", "PluginFailure", "Plugins"]


@frozen(kw_only=True)
class PluginFailure:
    """A plugin that could not be loaded, or that broke its promise while it was."""

    plugin: str
    reason: str
    #: What its author, or whoever installed it, can do; empty when there is nothing to add.
    advice: str = ""
    #: Where it failed: the frames of the traceback, without the error's text, which may hold a secret.
    trace: str = field(default="", repr=False)


class CertificateSource(Protocol):
    """What an observer of events may ask about the certificate that an event is about."""

    def view(self, certificate_id: str, *, actor: str = "system") -> CertificateView:
        """Everything that the certificate's page shows; never its private key.

        Raises:
            NotFound: It was deleted.
            AccessDenied: The policy said no to this actor.
        """
        ...

    def material(
        self, certificate_id: str, *, with_key: bool = True, reason: str = "", actor: str = "system"
    ) -> Material:
        """What export formats are made from: the leaf in service, its chain and, on the record, its private key.

        Args:
            certificate_id: Whose.
            with_key: Whether the private key is needed; a reason is, too, then.
            reason: Why the key is taken out; it goes on the record.
            actor: Who asks: for a plugin ``plugin:<its name>``.

        Raises:
            NotFound: It was deleted.
            CertCoreError: There is no leaf in service, or its key is not here.
            AccessDenied: The policy said no to this actor.
        """
        ...


class Plugins(Protocol):
    """The plugins of one CertCore. MUST be thread-safe, and MUST let no exception of a plugin through as it is."""

    @property
    def modules(self) -> Mapping[str, CAModule]:
        """The CA modules by name."""
        ...

    @property
    def failures(self) -> Sequence[PluginFailure]:
        """The plugins that could not be used, with the reason."""
        ...

    @property
    def observers(self) -> Sequence[str]:
        """The names of the plugins that want to learn of events, in the order of registration."""
        ...

    def module(self, name: str) -> CAModule:
        """A CA module by its name.

        Raises:
            UnknownModule: It is not loaded.
        """
        ...

    def more_hints(self, view: CertificateView) -> Sequence[Hint]:
        """What plugins other than the CA module add to the right column."""
        ...

    def export_formats(self) -> Sequence[ExportFormat]:
        """The formats that plugins add; two of them may share a name."""
        ...

    def notify(self, observer: str, event: Event, certificates: CertificateSource) -> None:
        """Tell one observer of an event.

        Raises:
            PluginError: It raised, whatever it was; the event is to be delivered again.
        """
        ...

    def authorize(self, actor: str, action: str, subject: str, owner: str) -> bool | None:
        """The first plugin's opinion; None when none has one. A policy that raises counts as a no."""
        ...
