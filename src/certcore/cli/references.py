"""The names by which commands refer to certificates and CA profiles, and the report after a change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from certcore.cli.output import plain
from certcore.cli.session import Session
from certcore.core import CertCore
from certcore.errors import AmbiguousNameError, NotFoundError
from certcore.model.certificate import Certificate
from certcore.model.lifecycle import Status
from certcore.serialization import view_document

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["authority_name", "authority_names", "reference", "report_change", "shown_domain"]


def report_change(session: Session, changed: Certificate, done: str, *, draw_csr: bool = False) -> None:
    """Print what a command did to a certificate, and the commands to continue with."""
    view = session.core.certificates.view(changed.id, actor=session.actor)
    name = reference(session.core, changed)

    def draw(to: Console) -> None:
        to.print(f"{done}; {plain(shown_domain(changed))} is {changed.status}.", style="green")
        if changed.status is not Status.DRAFT:
            to.print(f"See what it waits for:               certcore cert hints {name}")
            to.print("If no worker is running, start one:  certcore run --until-idle")
        if draw_csr and view.issuance is not None:
            to.print(view.issuance.csr_pem.rstrip(), soft_wrap=True)

    session.output.result(view_document(view), draw)


def reference(core: CertCore, certificate: Certificate) -> str:
    """The argument that names a certificate in the next command: its domain if that is unique, or else its ID."""
    try:
        same = core.certificates.find(certificate.domain.ascii)
    except (AmbiguousNameError, NotFoundError):
        return certificate.id
    return certificate.domain.ascii if same.id == certificate.id else certificate.id


def shown_domain(certificate: Certificate) -> str:
    """The domain in Unicode, with the A-label form in parentheses if the two differ."""
    domain = certificate.domain
    return domain.ascii if domain.unicode == domain.ascii else f"{domain.unicode} ({domain.ascii})"


def authority_names(session: Session) -> dict[str | None, str]:
    """The names of the CA profiles by ID; the empty string for None."""
    return {
        None: "",
        **{authority.id: authority.name for authority in session.core.authorities.list(actor=session.actor)},
    }


def authority_name(session: Session, certificate: Certificate) -> str:
    """The name of a certificate's CA profile; empty without one."""
    return authority_names(session).get(certificate.authority_id, "")
