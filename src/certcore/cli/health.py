"""The health file of ``certcore run``: what a supervisor, or an orchestrator's probe, looks at."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from attrs import define, field

from certcore.cli.documents import moment
from certcore.engine.worker import Worker
from certcore.errors import CertCoreError

__all__ = ["HealthFile"]

#: The store has not answered for so many seconds: something is wrong.
_SILENT: Final = 60.0


@define(kw_only=True)
class HealthFile:
    """A small JSON file that is written anew again and again while the worker works, and goes when it ends.

    It is healthy when its ``healthy`` is true and its ``at`` is not older than a minute.
    """

    path: Path | None
    worker: Worker
    now: Callable[[], datetime]
    _temporary: Path = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._temporary = Path(f"{self.path}.{os.getpid()}")

    def write(self) -> bool:
        """Write how the worker is.

        Returns:
            Whether it is well.

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
            self._temporary.replace(self.path)  # nobody reads half a file
        except OSError as error:
            raise CertCoreError(
                f"The health file {self.path} cannot be written: {error.strerror}.", advice="Choose another path."
            ) from None
        return healthy

    def remove(self) -> None:
        """Take it away: the process ends."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
