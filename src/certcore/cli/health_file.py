"""The health file of ``certcore run``, for supervisors and the probes of orchestrators."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from attrs import define, field

from certcore.engine.worker import Worker
from certcore.errors import FileError
from certcore.serialization import moment

__all__ = ["HealthFile"]

#: The worker is unhealthy when the store has not answered for this many seconds.
_SILENT: Final = 60.0


@define(kw_only=True)
class HealthFile:
    """A small JSON file with a worker's health, rewritten every few seconds and removed when the command ends.

    The worker is healthy when ``healthy`` is true and ``at`` is less than a minute old.
    """

    path: Path | None
    worker: Worker
    now: Callable[[], datetime]
    _temporary: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._temporary = Path(f"{self.path}.{os.getpid()}")

    def write(self) -> bool:
        """Write the worker's health; without a path, only determine it.

        Returns:
            Whether the worker is healthy.

        Raises:
            CertCoreError: The file cannot be written.
        """
        health = self.worker.health()
        healthy = health.threads == health.wanted and health.silent < _SILENT
        if self.path is None:
            return healthy
        document = {
            "healthy": healthy,
            "at": moment(self.now()),
            "pid": os.getpid(),
            "threads": health.threads,
            "threads_wanted": health.wanted,
            "threads_replaced": health.replaced,
            "lost": health.lost,
            "in_hand": health.in_hand,
            "seconds_since_the_store_answered": round(health.silent, 1),
        }
        try:
            self._temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
            self._temporary.replace(self.path)  # atomic: readers never see half a file
        except OSError as error:
            raise FileError(
                f"The health file {self.path} cannot be written: {error.strerror}.", advice="Choose another path."
            ) from None
        return healthy

    def remove(self) -> None:
        """Remove the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
