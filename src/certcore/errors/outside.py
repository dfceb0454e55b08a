"""Plugins and certification authorities."""

from __future__ import annotations

from collections.abc import Iterable

from certcore.errors.base import CertCoreError, InvalidInput

__all__ = ["CAError", "PluginError", "UnknownModule"]


class PluginError(CertCoreError):
    """A plugin raised, or returned something that its contract does not allow.

    Args:
        plugin: The plugin's name.
        place: The hook or method that failed.
        reason: What went wrong, without secrets.
    """

    def __init__(self, plugin: str, place: str, reason: str) -> None:
        super().__init__(
            f"The plugin {plugin!r} failed in {place}: {reason}", advice="Report this to the author of the plugin."
        )
        self.plugin = plugin
        self.place = place
        self.reason = reason


class UnknownModule(InvalidInput, PluginError):
    """No CA module of that name is loaded.

    Args:
        name: The name that was asked for.
        known: The names of those that are loaded.
        broken: The names of the plugins that could not be used: it may be in one of them.
    """

    def __init__(self, name: str, known: Iterable[str], *, broken: Iterable[str] = ()) -> None:
        choices = ", ".join(sorted(known)) or "none"
        failed = ", ".join(broken)
        unusable = f" Plugins that could not be used, see plugin_failures: {failed}." if failed else ""
        self.field = "module"
        self.reason = f"there is no CA module named {name[:60]!r}."
        # Not through the parents: they take different arguments, and each would call the other.
        CertCoreError.__init__(
            self,
            f"{self.field}: {self.reason}",
            advice=f"Loaded modules: {choices}. A module comes with the Python package that provides it.{unusable}",
        )
        self.plugin = name
        self.place = "certcore_ca_modules"


class CAError(CertCoreError):
    """The certification authority refused a request, or could not be talked to.

    Args:
        message: What happened, in the words of a panel's user.
        problem_type: The problem type as an URI (RFC 9457 section 3.1.1), ``about:blank`` when there is none.
        detail: The CA's own text, untouched; empty when there is none.
        retry_after: Seconds that the CA asks to wait (RFC 9110 section 10.2.3); None when it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        problem_type: str = "about:blank",
        detail: str = "",
        retry_after: float | None = None,
        advice: str = "",
    ) -> None:
        super().__init__(message, advice=advice)
        self.problem_type = problem_type
        self.detail = detail
        self.retry_after = retry_after

    def as_dict(self) -> dict[str, object]:
        """The error as plain data, with the CA's own words."""
        return {**super().as_dict(), "type": self.problem_type, "detail": self.detail}
