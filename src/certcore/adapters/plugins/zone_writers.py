"""Check the zone writers of plugins when they are loaded, and convert their exceptions when they are called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen

from certcore.adapters.plugins.hooks import PluginLoadError
from certcore.adapters.plugins.module_checks import return_instance, write_def
from certcore.messages import Message
from certcore.model.plugin_calls import call_plugin
from certcore.model.plugin_results import SHORT_NAME
from certcore.ports.zone_writers import CnameChange, HostedName, TxtChange, ZoneServer, ZoneWriter

__all__ = ["ContainedCnameWriter", "ContainedZoneWriter", "check_zone_writer"]

#: The methods of every writer: the positional arguments, the keyword arguments, and the call as text for messages.
_METHODS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...], str]]] = MappingProxyType(
    {
        "write": (("zone", "changes"), ("ttl",), "write(zone, changes, ttl=…)"),
        "servers": (("zone",), (), "servers(zone)"),
    }
)
#: The further methods of a writer that sets CNAMEs.
_CNAME_METHODS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...], str]]] = MappingProxyType(
    {
        "look_up": (("name",), (), "look_up(name)"),
        "set_cname": (("zone", "name", "target"), ("ttl",), "set_cname(zone, name, target, ttl=…)"),
        "remove_cname": (("zone", "name", "target"), (), "remove_cname(zone, name, target)"),
    }
)


@frozen(slots=False)
class ContainedZoneWriter:
    """Calls a plugin's writer, and reports its failures with the plugin's name; implements `ZoneWriter`."""

    plugin: str
    name: str
    one_at_a_time: bool
    writer: ZoneWriter

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
        """See `ZoneWriter.write`.

        Raises:
            ZoneWriteError: The server cannot be asked, or refuses.
            PluginError: The writer raised something else, or returned something.
        """
        call_plugin(self.plugin, "write", self.writer.write, zone, tuple(changes), returns=None, ttl=ttl)

    def servers(self, zone: str) -> Sequence[ZoneServer]:
        """See `ZoneWriter.servers`.

        Raises:
            PluginError: The writer raised, or returned something else.
        """
        servers: tuple[ZoneServer, ...] = call_plugin(
            self.plugin, "servers", self.writer.servers, zone, returns=tuple[ZoneServer, ...]
        )
        return servers


@frozen(slots=False)
class ContainedCnameWriter(ContainedZoneWriter):
    """The same for a writer that also sets CNAMEs; implements `WritesCnames`."""

    def look_up(self, name: str) -> HostedName | None:
        """See `WritesCnames.look_up`.

        Raises:
            ZoneWriteError: The server cannot be asked.
            PluginError: The writer raised something else, or returned something else.
        """
        hosted: HostedName | None = call_plugin(
            self.plugin, "look_up", self._cnames.look_up, name, returns=HostedName | None
        )
        return hosted

    def set_cname(self, zone: str, name: str, target: str, *, ttl: int) -> CnameChange:
        """See `WritesCnames.set_cname`.

        Raises:
            ZoneWriteError: The server cannot be asked, or refuses.
            PluginError: The writer raised something else, or returned something else.
        """
        change: CnameChange = call_plugin(
            self.plugin, "set_cname", self._cnames.set_cname, zone, name, target, returns=CnameChange, ttl=ttl
        )
        return change

    def remove_cname(self, zone: str, name: str, target: str) -> None:
        """See `WritesCnames.remove_cname`.

        Raises:
            ZoneWriteError: The server cannot be asked, or refuses.
            PluginError: The writer raised something else, or returned something.
        """
        call_plugin(self.plugin, "remove_cname", self._cnames.remove_cname, zone, name, target, returns=None)

    @property
    def _cnames(self) -> Any:
        return self.writer


def check_zone_writer(plugin: str, offered: object) -> ContainedZoneWriter:
    """Check a plugin's writer and return it, wrapped.

    Raises:
        PluginLoadError: The writer has a fault.
    """
    if isinstance(offered, type):
        text = "certcore_zone_writers returned the class {name}, not a writer."
        reason = Message("plugin.writer.class", text, {"name": offered.__name__})
        raise PluginLoadError(reason, return_instance(offered))
    writer: Any = offered
    name = getattr(writer, "name", None)
    if type(name) is not str or not SHORT_NAME.fullmatch(name):
        text = "the writer's name {name} must be lower-case letters, digits and underscores."
        raise PluginLoadError(
            Message("plugin.writer.name", text, {"name": repr(str(name)[:60])}),
            Message("plugin.writer.name.advice", "Write it as text in the class: name = 'my_dns'."),
        )
    sets_cnames = any(getattr(writer, method, None) is not None for method in _CNAME_METHODS)
    methods = {**_METHODS, **_CNAME_METHODS} if sets_cnames else _METHODS
    for method, called in methods.items():
        _check_method(name, method, getattr(writer, method, None), *called)
    one_at_a_time = getattr(writer, "one_at_a_time", None)
    if type(one_at_a_time) is not bool:
        text = "one_at_a_time of the writer {writer} must be True or False."
        advice = "True when the server fails if two changes come at the same time."
        raise PluginLoadError(
            Message("plugin.writer.one_at_a_time", text, {"writer": repr(name)}),
            Message("plugin.writer.one_at_a_time.advice", advice),
        )
    kind = ContainedCnameWriter if sets_cnames else ContainedZoneWriter
    return kind(plugin, name, one_at_a_time, writer)


def _check_method(
    writer: str, name: str, method: Any, by_position: Sequence[str], by_name: Sequence[str], called: str
) -> None:
    params = {"name": name, "writer": repr(writer)}
    if not callable(method):
        text = "certcore.plugin.ZoneWriter has it: {called}."
        raise PluginLoadError(
            Message("plugin.writer.no_method", "the writer {writer} has no method {name}.", params),
            Message("plugin.writer.no_method.advice", text, {"called": called}),
        )
    if inspect.iscoroutinefunction(method) or inspect.isgeneratorfunction(method):
        text = "{name} of the writer {writer} is not a plain function: calling it does nothing."
        raise PluginLoadError(Message("plugin.writer.coroutine", text, params), write_def(name))
    try:
        inspect.signature(method).bind(*by_position, **dict.fromkeys(by_name))
    except TypeError as error:
        text = "{name} of the writer {writer} does not fit: {reason}."
        raise PluginLoadError(
            Message("plugin.writer.signature", text, {**params, "reason": str(error)}),
            Message("plugin.writer.signature.advice", "certcore calls {called}.", {"called": called}),
        ) from None
    except ValueError:  # written in C, without a signature
        return
