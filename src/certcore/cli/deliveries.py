"""Who has not been told of a certificate's events yet: the targets that failed, and when they are tried again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from certcore.cli.documents import moment
from certcore.cli.output import plain, shown_moment, table
from certcore.core import CertCore
from certcore.errors import AccessDenied, NotFound
from certcore.model.timeline import Timeline

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Undelivered",
    "deliveries_of",
    "draw_targets",
    "draw_undelivered",
    "targets_document",
    "undelivered",
    "undelivered_of",
]


def deliveries_of(core: CertCore, certificate_id: str, *, actor: str) -> Timeline | None:
    """How far the targets were told; None for somebody who may not know.

    Raises:
        NotFound: There is no record of such a certificate.
    """
    try:
        return core.certificates.deliveries(certificate_id, actor=actor)
    except AccessDenied:
        return None


def targets_document(deliveries: Timeline | None) -> dict[str, Any]:
    """The block ``targets`` for machines: those that are behind; without the block for somebody who may not know."""
    if deliveries is None:
        return {}
    return {
        "targets": [
            {
                "name": name,
                "attempts": one.attempts,
                "tried_again_at": moment(one.due_at),
                "reason": one.reason,
                "events_told": one.delivered,
                "events": deliveries.length,
            }
            for name, one in sorted(deliveries.behind.items())
        ]
    }


def draw_targets(to: Console, deliveries: Timeline | None) -> None:
    """Print the targets that are behind; nothing when all were told."""
    if deliveries is None or not deliveries.behind:
        return
    rows = [
        (
            name,
            one.attempts,
            shown_moment(one.due_at),
            # One that did not fail waits for its turn, or for a process that has it.
            one.reason or "not told yet",
        )
        for name, one in sorted(deliveries.behind.items())
    ]
    to.print()
    to.print(table(("TARGET BEHIND", "ATTEMPTS", "TRIED AGAIN", "WHY"), rows))


@frozen(kw_only=True)
class Undelivered:
    """An event that a target did not take."""

    target: str
    certificate_id: str
    reason: str
    #: Of the certificate; empty when it is deleted.
    domain: str = ""

    def to_json(self) -> dict[str, str]:
        """For machines."""
        return {"target": self.target, "id": self.certificate_id, "domain": self.domain, "reason": self.reason}

    def __str__(self) -> str:
        return plain(f"The target {self.target} was not told of {self.domain or self.certificate_id}: {self.reason}")


def undelivered(core: CertCore) -> Sequence[Undelivered]:
    """What the targets of this process did not take from it.

    Raises:
        StorageError: The store cannot be used now.
    """
    return [
        Undelivered(target=target, certificate_id=one, reason=reason, domain=_domain(core, one))
        for one, failing in core.outbox.failing.items()
        for target, reason in failing.items()
    ]


def undelivered_of(core: CertCore, certificate_id: str) -> Sequence[Undelivered]:
    """What the targets of this process have not taken of one certificate, told now or by an earlier process.

    Raises:
        StorageError: The store cannot be used now.
    """
    behind = core.certificates.deliveries(certificate_id).behind
    return [
        Undelivered(
            target=target, certificate_id=certificate_id, reason=place.reason, domain=_domain(core, certificate_id)
        )
        for target, place in behind.items()
        if place.attempts and target in core.outbox.plugins.observers
    ]


def draw_undelivered(to: Console, undelivered: Sequence[Undelivered]) -> None:
    """Print it, one line for each."""
    for one in undelivered:
        to.print(str(one), style="red", soft_wrap=True)


def _domain(core: CertCore, certificate_id: str) -> str:
    try:
        return core.certificates.get(certificate_id).domain.ascii
    except NotFound:
        return ""
