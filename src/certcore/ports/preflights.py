"""The repository of preflights, the regular checks of certificates in service."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from certcore.model.preflight import Preflight

__all__ = ["PreflightRepository"]


class PreflightRepository(Protocol):
    """At most one preflight for each certificate, see `certcore.model.preflight`."""

    def get(self, certificate_id: str) -> Preflight | None:
        """The preflight of a certificate; None if there is none."""
        ...

    def save(self, preflight: Preflight) -> Preflight:
        """Store a preflight if the stored version is still ``preflight.version``; 0 means that there must be none yet.

        Returns:
            The preflight with its new version.

        Raises:
            NotFoundError: The certificate does not exist.
            StaleWriteError: The preflight was changed since it was read; nothing is written.
        """
        ...

    def due(self, *, now: datetime, limit: int) -> Sequence[Preflight]:
        """Up to ``limit`` preflights for which `Preflight.is_due` holds, the longest overdue first.

        The cost MUST NOT grow with the number of preflights that are not due.
        """
        ...

    def unplanned(self, *, limit: int) -> Sequence[str]:
        """The IDs of up to ``limit`` certificates in service (`Status.ACTIVE`) that have no preflight yet."""
        ...
