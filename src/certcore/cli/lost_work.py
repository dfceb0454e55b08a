"""Lost work of a run: threads that died, and steps that failed inside certcore or a plugin or could not be stored."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from certcore.cli.output import plain
from certcore.core import CertCore
from certcore.errors import CertCoreError, StorageBusyError, StorageUnavailableError
from certcore.model.lifecycle import Status
from certcore.model.plugin_calls import is_interrupt, kind_of

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["LostStep", "broken_requests", "draw_lost", "lost_steps", "take_step"]


#: Types of problems caused by certcore or a plugin, not by the CA. The last two are the names in older databases.
_FAULTS: Final = frozenset(
    f"urn:certcore:{name}" for name in ("plugin-error", "unknown-module", "internal", "PluginError", "UnknownModule")
)
_PAGE: Final = 1000


@frozen(kw_only=True)
class LostStep:
    """A step that failed inside certcore or a plugin, or that could not be stored."""

    certificate_id: str
    #: The certificate's domain; empty if the certificate cannot be read.
    domain: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """The step as a JSON object."""
        return {"id": self.certificate_id, "domain": self.domain, "reason": self.reason}


def take_step(core: CertCore, certificate_id: str) -> LostStep | None:
    """Take one step of a certificate. An error is returned, so that the caller goes on with other certificates.

    Returns:
        The step if it was lost, or else None.

    Raises:
        StorageUnavailableError: The store cannot be used at all.
    """
    try:
        core.reconcile(certificate_id)
    except BaseException as error:  # boundary: `CertCore.reconcile` has released the lease
        if is_interrupt(error) or (
            isinstance(error, StorageUnavailableError) and not isinstance(error, StorageBusyError)
        ):
            raise
        reason = error.message if isinstance(error, CertCoreError) else f"it raised {kind_of(error)}; see the log."
        return _lost(core, certificate_id, reason)
    return None


def lost_steps(core: CertCore, certificate_ids: Sequence[str]) -> list[LostStep]:
    """The lost steps of a worker.

    Args:
        core: The open store.
        certificate_ids: The IDs in `Worker.lost`.
    """
    return [_lost(core, certificate_id, "the log has the details.") for certificate_id in certificate_ids]


def broken_requests(core: CertCore, looked_at: Collection[str] | None = None) -> list[LostStep]:
    """First issuances that are stuck because of certcore or a plugin, not because of the CA or the owner.

    `certcore.cli.failing_renewals` reports renewals.

    Args:
        core: The open store.
        looked_at: The IDs of the certificates to report; None for all certificates. Per status, only the first page is
            read.
    """
    pages = [core.certificates.list(status=status, limit=_PAGE).items for status in (Status.PENDING, Status.PROCESSING)]
    return [
        LostStep(certificate_id=certificate.id, domain=certificate.domain.ascii, reason=str(certificate.problem.title))
        for page in pages
        for certificate in page
        if certificate.problem is not None
        and certificate.problem.type in _FAULTS
        and (looked_at is None or certificate.id in looked_at)
    ]


def draw_lost(to: Console, lost: Sequence[LostStep], threads: int = 0) -> None:
    """Print the lost steps and the number of threads that died."""
    for step in lost:
        name = plain(step.domain) or step.certificate_id
        to.print(f"A step of {name} failed and will be tried again later: {plain(step.reason)}", style="red")
    if threads:
        to.print(f"Threads that died and were replaced: {threads}. See the log for the reason.", style="red")


def _lost(core: CertCore, certificate_id: str, reason: str) -> LostStep:
    domain = ""
    with contextlib.suppress(CertCoreError, ValueError, KeyError, TypeError):  # the row itself may be broken
        domain = core.certificates.get(certificate_id).domain.ascii
    return LostStep(certificate_id=certificate_id, domain=domain, reason=reason)
