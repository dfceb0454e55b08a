"""What a run lost: steps that failed inside certcore or a plugin or could not be stored, and threads that died."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from certcore.cli.output import plain
from certcore.core import CertCore
from certcore.engine.outcome import Held
from certcore.errors import CertCoreError, LeaseLost, NotFound, StorageBusy, StorageUnavailable
from certcore.model.certificate import Schedule
from certcore.model.lifecycle import Status
from certcore.model.plugin_calls import is_interrupt, kind_of

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["LostStep", "broken_requests", "draw_lost", "lost_steps", "take_step"]


#: The types of problems that are no word of a CA.
_FAULTS: Final = frozenset({"urn:certcore:PluginError", "urn:certcore:UnknownModule", "urn:certcore:internal"})
_PAGE: Final = 1000


@frozen(kw_only=True)
class LostStep:
    """A step that was lost."""

    certificate_id: str
    #: Empty when the certificate cannot be read.
    domain: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """For --json."""
        return {"id": self.certificate_id, "domain": self.domain, "reason": self.reason}


def take_step(core: CertCore, schedule: Schedule) -> LostStep | None:
    """Take one step of a leased certificate; what is wrong with it is told, and keeps no other from its step.

    Returns:
        None when it was taken, or when a user's action came between, which is the newer word.

    Raises:
        StorageUnavailable: The store cannot be used at all.
    """
    taken: Held | Schedule = schedule
    try:
        taken = core.engine.load(schedule)
        core.engine.step(taken, keep_lease=False)
    except (LeaseLost, NotFound):
        return None
    except BaseException as error:  # boundary: whatever ends this step, the lease does not outlive it
        core.engine.give_up(taken, error)
        if is_interrupt(error) or (isinstance(error, StorageUnavailable) and not isinstance(error, StorageBusy)):
            raise
        reason = error.message if isinstance(error, CertCoreError) else f"it raised {kind_of(error)}; see the log."
        return _lost(core, schedule.certificate_id, reason)
    return None


def lost_steps(core: CertCore, certificate_ids: Sequence[str]) -> list[LostStep]:
    """What a worker lost, from `Worker.lost`."""
    return [_lost(core, one, "the log has the details.") for one in certificate_ids]


def broken_requests(core: CertCore, looked_at: Collection[str] | None = None) -> list[LostStep]:
    """First issuances that do not get on because certcore or a plugin fails in them, not the CA or the owner.

    Of a renewal `certcore.cli.failing` tells the same.

    Args:
        core: The open store.
        looked_at: The ids of the certificates in question; None for all, as far as one page goes.
    """
    pages = [core.certificates.list(status=status, limit=_PAGE).items for status in (Status.PENDING, Status.PROCESSING)]
    return [
        LostStep(certificate_id=one.id, domain=one.domain.ascii, reason=str(one.problem.title))
        for page in pages
        for one in page
        if one.problem is not None and one.problem.type in _FAULTS and (looked_at is None or one.id in looked_at)
    ]


def draw_lost(to: Console, lost: Sequence[LostStep], threads: int = 0) -> None:
    """Name what was lost, and say how many threads died."""
    for one in lost:
        name = plain(one.domain) or one.certificate_id
        to.print(f"A step of {name} was lost and is tried again later: {plain(one.reason)}", style="red")
    if threads:
        to.print(f"Threads that died and were replaced: {threads}. The log says why.", style="red")


def _lost(core: CertCore, certificate_id: str, reason: str) -> LostStep:
    domain = ""
    with contextlib.suppress(CertCoreError, ValueError, KeyError, TypeError):  # its row may be what is wrong
        domain = core.certificates.get(certificate_id).domain.ascii
    return LostStep(certificate_id=certificate_id, domain=domain, reason=reason)
