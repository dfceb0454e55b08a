"""Deliveries that failed or are outstanding, with the time of the next try."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from certcore.cli.output import plain, shown_moment, table
from certcore.core import CertCore
from certcore.errors import AccessDeniedError, NotFoundError
from certcore.model.deliveries import Deliveries, DeliveryCursor
from certcore.serialization import moment

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


#: A delivery that has not failed is reported when it is overdue by more than this.
_A_MOMENT: Final = timedelta(minutes=1)


def deliveries_of(core: CertCore, certificate_id: str, *, actor: str) -> Deliveries | None:
    """The state of a certificate's deliveries to the targets; None when the actor may not see it.

    Raises:
        NotFoundError: There is no timeline for this certificate.
    """
    try:
        return core.certificates.deliveries(certificate_id, actor=actor)
    except AccessDeniedError:
        return None


def _behind(deliveries: Deliveries, now: datetime) -> Sequence[tuple[str, DeliveryCursor]]:
    """The targets whose delivery has failed or is overdue, with the delivery.

    A delivery that has just become due is left out, because a process is about to make it.
    """
    return [
        (name, delivery)
        for name, delivery in sorted(deliveries.behind.items())
        if delivery.attempts or delivery.due_at is None or now - delivery.due_at > _A_MOMENT
    ]


def targets_document(deliveries: Deliveries | None, now: datetime) -> dict[str, Any]:
    """The JSON member ``targets`` with the targets that are behind; an empty object if `deliveries` is None."""
    if deliveries is None:
        return {}
    return {
        "targets": [
            {
                "name": name,
                "attempts": delivery.attempts,
                "tried_again_at": moment(delivery.due_at),
                "reason": delivery.reason,
                "events_told": delivery.delivered,
                "events": deliveries.length,
            }
            for name, delivery in _behind(deliveries, now)
        ]
    }


def draw_targets(to: Console, deliveries: Deliveries | None, now: datetime) -> None:
    """Print the targets that are behind, if any."""
    if deliveries is None or not (behind := _behind(deliveries, now)):
        return
    rows = [
        (
            name,
            delivery.attempts,
            shown_moment(delivery.due_at),
            # A delivery that has not failed waits for its turn, or for a process that has the target.
            delivery.reason or "not delivered yet",
        )
        for name, delivery in behind
    ]
    to.print()
    to.print(table(("TARGET BEHIND", "ATTEMPTS", "NEXT TRY", "REASON"), rows))


@frozen(kw_only=True)
class Undelivered:
    """A certificate whose events could not be delivered to a target."""

    target: str
    certificate_id: str
    reason: str
    #: The certificate's domain; empty when the certificate is deleted.
    domain: str = ""

    def to_json(self) -> dict[str, str]:
        """The delivery as a JSON object."""
        return {"target": self.target, "id": self.certificate_id, "domain": self.domain, "reason": self.reason}

    def __str__(self) -> str:
        return plain(f"The target {self.target} did not accept {self.domain or self.certificate_id}: {self.reason}")


def undelivered(core: CertCore) -> Sequence[Undelivered]:
    """The failed deliveries to the targets of this process. They may have failed in an earlier process.

    Raises:
        StorageError: The store cannot be used now.
    """
    return [
        Undelivered(target=target, certificate_id=certificate_id, reason=reason, domain=_domain(core, certificate_id))
        for certificate_id, failing in core.failed_deliveries.items()
        for target, reason in failing.items()
    ]


def undelivered_of(core: CertCore, certificate_id: str) -> Sequence[Undelivered]:
    """The failed deliveries of one certificate to the targets of this process, as `undelivered`.

    Raises:
        StorageError: The store cannot be used now.
    """
    behind = core.certificates.deliveries(certificate_id).behind
    return [
        Undelivered(
            target=target, certificate_id=certificate_id, reason=place.reason, domain=_domain(core, certificate_id)
        )
        for target, place in behind.items()
        if place.attempts and target in core.observers
    ]


def draw_undelivered(to: Console, undelivered: Sequence[Undelivered]) -> None:
    """Print the failed deliveries, one per line."""
    for delivery in undelivered:
        to.print(str(delivery), style="red", soft_wrap=True)


def _domain(core: CertCore, certificate_id: str) -> str:
    try:
        return core.certificates.get(certificate_id).domain.ascii
    except NotFoundError:
        return ""
