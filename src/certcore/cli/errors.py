"""Errors of the command itself, beside those of the library."""

from __future__ import annotations

from certcore.errors import CertCoreError

__all__ = ["CommandError", "InternalError"]


class CommandError(CertCoreError):
    """The command failed."""

    code = "command_failed"


class InternalError(CertCoreError):
    """A bug in certcore or in a plugin ended the command."""

    code = "internal_error"
