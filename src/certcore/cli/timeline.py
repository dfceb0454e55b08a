"""``certcore cert timeline``: what happened to a certificate, and whether the record is as it was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.details import draw_timeline
from certcore.cli.documents import event_document
from certcore.cli.options import FAILED, Certificate, Database, Json, Keyring
from certcore.cli.output import plain
from certcore.cli.store import Session, session
from certcore.errors import NotFound

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["timeline"]


def timeline(
    certificate: Certificate,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1000, help="The newest N entries.")] = 200,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no entry was changed, removed or put in between.")
    ] = False,
    head: Annotated[
        str,
        typer.Option("--head", metavar="HASH", help="With --verify: the hash that --verify gave an earlier time."),
    ] = "",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Show what happened to a certificate: who did what, when; of a deleted one, too, by its id.

    With --verify, exit code 1 when the record is not as it was written. Keep the hash that it gives somewhere else:
    given as --head the next time, it also finds a record that was written anew from the beginning.
    """
    with session(database, keyring, as_json=as_json) as now:
        if head and not verify:
            raise typer.BadParameter("it is used with --verify.", param_hint="--head")
        found = _id(now, certificate)
        if verify:
            _verify(now, found, head)
            return
        events = now.core.certificates.timeline(found, limit=limit, actor=now.actor)
        if not events:
            raise NotFound("certificate", certificate)
        document = {"id": found, "timeline": [event_document(one) for one in events]}
        now.output.result(document, lambda to: draw_timeline(to, events))


def _id(now: Session, certificate: str) -> str:
    try:
        return now.core.certificates.find(certificate, actor=now.actor).id
    except NotFound:
        return certificate  # the record of a deleted one is there still


def _verify(now: Session, certificate_id: str, head: str) -> None:
    check = now.core.certificates.verify_timeline(certificate_id, head=head, actor=now.actor)
    document = {
        "id": certificate_id,
        "intact": check.intact,
        "events": check.events,
        "head": check.head,
        "fault": check.fault,
    }

    def draw(to: Console) -> None:
        if check.intact:
            to.print(f"The record is as it was written: {check.events} entries.", style="green")
            to.print("Keep this hash, and give it as --head the next time:")
            to.print(check.head, soft_wrap=True)
        else:
            to.print(f"The record is not as it was written: {plain(check.fault)}", style="red", soft_wrap=True)

    now.output.result(document, draw)
    if not check.intact:
        raise typer.Exit(FAILED)
