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
    """A CA module with what its checks need. Most modules only need ``settings``.

    The suite moves a simulated clock, so its deadlines are in simulated time.
    """

    #: The plugin that registers the module: a module or an object with hooks.
    plugin: object
    #: The name of the CA module; empty for the only one of the plugin.
    module: str = ""
    #: The settings of a working CA profile.
    settings: Mapping[str, Any] = field(factory=dict, repr=False)
    #: The settings of a certificate.
    certificate_settings: Mapping[str, Any] = field(factory=dict)
    #: Four different names for which certificates can be obtained with ``settings``.
    domains: tuple[str, ...] = ("one.shop.test", "two.shop.test", "three.shop.test", "four.shop.test")
    #: Settings that must be refused, each with the field that the error must name; by default, values beyond the limits
    #: of the fields.
    invalid_settings: tuple[tuple[Mapping[str, Any], str], ...] = ()
    #: Other plugins that the module needs, for example those with zone writers.
    more_plugins: tuple[object, ...] = ()
    #: Acts as the domain's owner or an administrator, before the request and before every step. The arguments are the
    #: core and the certificate's ID.
    others_act: Callable[[CertCore, str], None] = _nothing_to_do
    #: Returns the number of resources that the module holds outside now, for example TXT values.
    held_outside: Callable[[], int] | None = None
    #: Returns the number of orders that were placed with the CA so far.
    orders_placed: Callable[[], int] | None = None
    #: Returns a context manager during which the CA is unreachable; by default, all connections of the module are
    #: refused.
    ca_down: Callable[[], AbstractContextManager[object]] | None = None
    #: Whether the plugin is installed, so that its names are already taken by itself.
    is_installed: bool = False
    #: How much simulated time an issuance may take.
    patience: timedelta = timedelta(days=3)
    #: How many seconds, on the real clock, a call may take.
    longest_call: float = 10.0

    def offered(self) -> tuple[CAModule[Any, Any], ...]:
        """The CA modules that the plugin registers, without a proxy."""
        hook = getattr(self.plugin, "certcore_ca_modules", None)
        return tuple(hook()) if hook is not None else ()
