"""Errors of plugins, certification authorities and DNS servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from certcore.errors.base import CertCoreError, InvalidInputError
from certcore.messages import Message, sentences

__all__ = ["CAError", "PluginError", "UnknownModuleError", "ZoneWriteError"]


class PluginError(CertCoreError):
    """A plugin raised an exception, or returned a value that its contract does not allow.

    Args:
        plugin: The plugin's name.
        place: The hook or method that failed.
        reason: What went wrong, without secrets.
    """

    code = "plugin_error"
    param_names = ("plugin", "place", "reason")

    def __init__(self, plugin: str, place: str, reason: str | Message) -> None:
        params = {"plugin": repr(plugin), "place": place, "reason": reason}
        super().__init__(
            Message("error.plugin_error", "The plugin {plugin} failed in {place}: {reason}", params),
            advice=Message("error.plugin_error.advice", "Report this to the author of the plugin."),
        )
        self.plugin = plugin
        self.place = place
        self.reason = str(reason)


class UnknownModuleError(InvalidInputError):
    """No CA module of that name is loaded.

    Args:
        name: The name that was looked for.
        known: The names of the loaded CA modules.
        broken: The names of the plugins that could not be used; one of them may contain the module.
        disabled: The names of the disabled plugins; one of them may contain the module.
    """

    code = "unknown_module"
    param_names = ("name", "known")

    def __init__(
        self, name: str, known: Iterable[str], *, broken: Iterable[str] = (), disabled: Iterable[str] = ()
    ) -> None:
        self.name = name[:60]
        self.known = tuple(sorted(known))
        reason = Message("error.unknown_module", "there is no CA module named {name}.", {"name": repr(self.name)})
        advice = _loaded(self.known, tuple(broken))
        if names := ", ".join(sorted(disabled)):
            text = "Plugins that are disabled: {disabled}."
            advice = sentences(advice, Message("error.unknown_module.disabled", text, {"disabled": names}))
        super().__init__("module", reason, advice=advice)


def _loaded(known: tuple[str, ...], broken: tuple[str, ...]) -> Message:
    params = {"known": ", ".join(known), "broken": ", ".join(broken)}
    match bool(known), bool(broken):
        case True, False:
            text = "Loaded modules: {known}. A module comes with the Python package that provides it."
            return Message("error.unknown_module.advice", text, params)
        case False, False:
            text = "Loaded modules: none. A module comes with the Python package that provides it."
            return Message("error.unknown_module.none", text)
        case True, True:
            text = (
                "Loaded modules: {known}. A module comes with the Python package that provides it. "
                "Plugins that could not be used, see plugin_failures: {broken}."
            )
            return Message("error.unknown_module.broken", text, params)
        case _:
            text = (
                "Loaded modules: none. A module comes with the Python package that provides it. "
                "Plugins that could not be used, see plugin_failures: {broken}."
            )
            return Message("error.unknown_module.all_broken", text, params)


class CAError(CertCoreError):
    """The certification authority refused a request, or could not be reached.

    Args:
        message: What happened, in one sentence for a panel's user.
        problem_type: The problem type as a URI (RFC 9457 section 3.1.1); ``about:blank`` if there is none.
        detail: The CA's own text, unchanged; empty if there is none.
        retry_after: How many seconds the CA asks to wait (RFC 9110 section 10.2.3); None if it does not say.
        advice: What the reader can do next; may be empty.
    """

    code = "ca_error"
    http_status = 502
    param_names: ClassVar[tuple[str, ...]] = ("problem_type", "detail", "retry_after")

    def __init__(
        self,
        message: str | Message,
        *,
        problem_type: str = "about:blank",
        detail: str = "",
        retry_after: float | None = None,
        advice: str | Message = "",
    ) -> None:
        super().__init__(message, advice=advice)
        self.problem_type = problem_type
        self.detail = detail
        self.retry_after = retry_after

    def as_dict(self) -> dict[str, object]:
        """The JSON form, with the CA's ``type`` and ``detail``."""
        return {**super().as_dict(), "type": self.problem_type, "detail": self.detail}


class ZoneWriteError(CertCoreError):
    """A DNS server did not accept TXT values.

    Args:
        server: The address or host name of the server.
        zone: The zone.
        reason: What happened, as a clause whose subject is the server, for example "refuses the key". Without secrets.
        advice: What the reader can do next; may be empty.
    """

    code = "zone_write_error"
    http_status = 502
    param_names: ClassVar[tuple[str, ...]] = ("server", "zone", "reason")

    def __init__(self, server: str, zone: str, reason: str | Message, *, advice: str | Message = "") -> None:
        params = {"server": server, "zone": zone, "reason": reason}
        super().__init__(
            Message("error.zone_write_error", "The DNS server {server} {reason} (zone {zone}).", params), advice=advice
        )
        self.server = server
        self.zone = zone
        self.reason = str(reason)
