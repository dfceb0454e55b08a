"""The setup of a CA module for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from attrs import field, frozen

from certcore.core import CertCore
from certcore.ports.ca_module import CAModule

__all__ = ["ModuleSetup"]


def _nothing_to_do(_core: CertCore, _certificate_id: str) -> None:
    return None


@frozen(kw_only=True)
class ModuleSetup:
    """A CA module with what the checks need: most modules need no more than ``settings``.

    The suite runs under a frozen clock that it puts forward itself, so its deadlines are in simulated time.
    """

    #: The plugin that registers the module: a module or an object with hooks.
    plugin: object
    #: The name of the CA module; empty for the only one of the plugin.
    module: str = ""
    #: The settings of a CA profile that works.
    settings: Mapping[str, Any] = field(factory=dict, repr=False)
    #: The settings of a certificate.
    certificate_settings: Mapping[str, Any] = field(factory=dict)
    #: Four names to obtain certificates for; all different, all possible with ``settings``.
    domains: tuple[str, ...] = ("one.shop.test", "two.shop.test", "three.shop.test", "four.shop.test")
    #: Settings that have to be refused, each with the field that the error has to name; by default, values beyond the
    #: limits of the fields.
    invalid_settings: tuple[tuple[Mapping[str, Any], str], ...] = ()
    #: Other plugins that the module needs: those with zone writers, say.
    more_plugins: tuple[object, ...] = ()
    #: Acts as the owner of the domain or an administrator, before the request and before every step.
    others_act: Callable[[CertCore, str], None] = _nothing_to_do
    #: How many things the module holds outside now (TXT values, say).
    held_outside: Callable[[], int] | None = None
    #: How many orders were placed with the CA so far.
    orders_placed: Callable[[], int] | None = None
    #: Makes the CA unreachable for as long as it is entered; by default, calls of the module reach nobody.
    ca_down: Callable[[], AbstractContextManager[object]] | None = None
    #: Whether the plugin is installed, so that its names are its own.
    is_installed: bool = False
    #: How much simulated time an issuance may take.
    patience: timedelta = timedelta(days=3)
    #: How many seconds, on the real clock, a call may take.
    longest_call: float = 10.0

    def offered(self) -> tuple[CAModule[Any, Any], ...]:
        """The CA modules that the plugin registers, as they are."""
        hook = getattr(self.plugin, "certcore_ca_modules", None)
        return tuple(hook()) if hook is not None else ()
