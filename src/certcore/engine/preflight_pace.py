"""The pace of the regular checks in one process: one at a time, slowly, and only while the engine has nothing to do."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from attrs import frozen

from certcore.engine.outage import Outage
from certcore.engine.preflights import Preflights
from certcore.errors import StorageBusyError, StorageError

__all__ = ["PreflightPace"]

_log = logging.getLogger(__name__)
#: Seconds between two checks. So a process does at most 60 a minute, which is 600,000 a week.
_BETWEEN: Final = 1.0
#: Seconds between two searches for certificates without a planned check, and how many are planned at once.
_PLAN_EVERY: Final = 600.0
_PLANNED: Final = 500


@frozen(kw_only=True)
class PreflightPace:
    """Runs the due checks one after the other."""

    preflights: Preflights
    outage: Outage
    #: Seconds to the first search for due checks, and between two searches while none is due.
    interval: float = 30.0

    def run(self, ending: threading.Event, has_room: Callable[[], bool]) -> None:
        """Work until `ending` is set.

        Args:
            ending: Set when the worker stops.
            has_room: Whether the engine is idle enough; otherwise nothing is checked.
        """
        plan_at = time.monotonic()
        pause = self.interval
        while not ending.wait(pause):
            pause = _BETWEEN
            if not has_room():
                continue
            try:
                if time.monotonic() >= plan_at:
                    # A full batch means that there may be more.
                    is_all = self.preflights.plan(_PLANNED) < _PLANNED
                    plan_at = time.monotonic() + (_PLAN_EVERY if is_all else 0.0)
                if not self.preflights.run_due(1):
                    pause = self.interval
            except StorageBusyError as error:
                _log.warning("Preflights are done later: %s", error)
            except StorageError as error:
                self.outage.failed(error)
            except BaseException:  # boundary: the thread must survive every exception of the store or a plugin
                _log.exception("The preflights go on after an unexpected error")
