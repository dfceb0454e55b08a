"""What the engine and the services ask of the loaded plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from certcore.model.events import Event
from certcore.model.hints import Hint
from certcore.model.views import CertificateView
from certcore.ports.ca_module import CAModule

__all__ = ["PluginFailure", "Plugins"]


@frozen(kw_only=True)
class PluginFailure:
    """A plugin that could not be loaded, or that broke its promise while it was."""

    plugin: str
    reason: str


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

    def notify(self, observer: str, event: Event) -> None:
        """Tell one observer of an event.

        Raises:
            PluginError: It raised, whatever it was; the event is to be delivered again.
        """
        ...

    def authorize(self, actor: str, action: str, subject: str, owner: str) -> bool | None:
        """The first plugin's opinion; None when none has one. A policy that raises counts as a no."""
        ...
