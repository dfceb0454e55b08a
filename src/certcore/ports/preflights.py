"""The part of the store that is about the regular checks of certificates in service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from certcore.model.preflight import Preflight

__all__ = ["PreflightRepository"]


class PreflightRepository(Protocol):
    """The preflights, at most one for each certificate; see `certcore.model.preflight`."""

    def get(self, certificate_id: str) -> Preflight | None:
        """The preflight of a certificate; None when none was stored."""
        ...

    def save(self, preflight: Preflight) -> Preflight:
        """Store a preflight if the stored version is still ``preflight.version``; 0 demands that there is none yet.

        Returns:
            The preflight with its new version.

        Raises:
            NotFoundError: The certificate does not exist.
            StaleWriteError: Another process has stored one since it was read; nothing is written.
        """
        ...

    def due(self, *, now: datetime, limit: int) -> Sequence[Preflight]:
        """Up to ``limit`` preflights for which `Preflight.is_due` holds, the longest overdue first.

        The cost MUST NOT grow with the number of those that are not due.
        """
        ...

    def unplanned(self, *, limit: int) -> Sequence[str]:
        """The ids of up to ``limit`` certificates in service (`Status.ACTIVE`) that have no preflight yet."""
        ...
