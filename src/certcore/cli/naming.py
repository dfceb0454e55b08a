"""How the command names a certificate, and what it says after it has set the engine to work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certcore.cli.documents import view_document
from certcore.cli.output import plain
from certcore.cli.store import Session
from certcore.core import CertCore
from certcore.model.certificate import Certificate
from certcore.model.lifecycle import Status

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["authority_name", "authority_names", "named", "shown_domain", "tell"]


def tell(now: Session, changed: Certificate, done: str, *, draw_csr: bool = False) -> None:
    """What a command that sets the engine to work has to say."""
    view = now.core.certificates.view(changed.id, actor=now.actor)
    name = named(now.core, changed)

    def draw(to: Console) -> None:
        to.print(f"{done}; {plain(shown_domain(changed))} is {changed.status}.", style="green")
        if changed.status is not Status.DRAFT:
            to.print(f"See what it waits for:         certcore cert hints {name}")
            to.print("Go on, if no worker runs yet:  certcore run --until-idle")
        if draw_csr and view.issuance is not None:
            to.print(view.issuance.csr_pem.rstrip(), soft_wrap=True)

    now.output.result(view_document(view), draw)


def named(core: CertCore, certificate: Certificate) -> str:
    """How the next command names it: by its domain while no other certificate has the same."""
    with core.engine.storage.read() as transaction:
        same = transaction.certificates.find_by_domain(certificate.domain)
    return certificate.domain.ascii if len(same) == 1 else certificate.id


def shown_domain(certificate: Certificate) -> str:
    """Its domain as people and as machines write it."""
    domain = certificate.domain
    return domain.ascii if domain.unicode == domain.ascii else f"{domain.unicode} ({domain.ascii})"


def authority_names(now: Session) -> dict[str | None, str]:
    """The names of the CA profiles by id; of no profile, nothing."""
    return {None: "", **{one.id: one.name for one in now.core.authorities.list(actor=now.actor)}}


def authority_name(now: Session, certificate: Certificate) -> str:
    """The name of a certificate's CA profile; empty without one."""
    return authority_names(now).get(certificate.authority_id, "")
