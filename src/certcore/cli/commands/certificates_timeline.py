"""``certcore cert timeline``: show the timeline of a certificate, or verify its integrity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.options import FAILED, Certificate, Database, Json, Keyring
from certcore.cli.output import plain
from certcore.cli.render.certificate import draw_timeline
from certcore.cli.session import Session, open_session
from certcore.errors import NotFoundError
from certcore.serialization import timeline_document

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["timeline"]


def timeline(
    certificate: Certificate,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="The newest N entries.")] = 200,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no entry was changed, removed or inserted.")
    ] = False,
    head: Annotated[
        str,
        typer.Option("--head", metavar="HASH", help="With --verify: the hash printed by an earlier --verify."),
    ] = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Show what happened to a certificate, when, and who did it. For a deleted certificate, give its ID.

    With --verify, exit code 1 when the timeline was tampered with. Store the printed hash elsewhere and pass it as
    --head the next time: this also detects a timeline that was rewritten from the beginning.
    """
    with open_session(database, keyring, as_json=as_json) as session:
        if head and not verify:
            raise typer.BadParameter("it requires --verify.", param_hint="--head")
        certificate_id = _id(session, certificate)
        if verify:
            _verify(session, certificate_id, head)
            return
        events = session.core.certificates.timeline(certificate_id, limit=limit, actor=session.actor)
        if not events:
            raise NotFoundError("certificate", certificate)
        session.output.result(timeline_document(certificate_id, events), lambda to: draw_timeline(to, events))


def _id(session: Session, certificate: str) -> str:
    try:
        return session.core.certificates.find(certificate, actor=session.actor).id
    except NotFoundError:
        return certificate  # the ID of a deleted certificate, whose timeline is kept


def _verify(session: Session, certificate_id: str, head: str) -> None:
    check = session.core.certificates.verify_timeline(certificate_id, head=head, actor=session.actor)
    document = {
        "id": certificate_id,
        "intact": check.intact,
        "events": check.events,
        "head": check.head,
        "fault": check.fault,
    }

    def draw(to: Console) -> None:
        if check.intact:
            to.print(f"The timeline is intact: {check.events} entries.", style="green")
            to.print("Store this hash, and pass it as --head the next time:")
            to.print(check.head, soft_wrap=True)
        else:
            to.print(f"The timeline was tampered with: {plain(check.fault)}", style="red", soft_wrap=True)

    session.output.result(document, draw)
    if not check.intact:
        raise typer.Exit(FAILED)
