"""``certcore cert transfer``: give a certificate to another owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.arguments import confirmed
from certcore.cli.options import FAILED, Certificate, Database, Json, Keyring
from certcore.cli.output import facts, plain
from certcore.cli.references import authority_name, shown_domain
from certcore.cli.session import open_session
from certcore.model.json_form import json_form
from certcore.serialization import certificate_document

if TYPE_CHECKING:
    from rich.console import Console

    from certcore.services.transfers import TransferPreview

__all__ = ["transfer"]


def transfer(
    certificate: Certificate,
    to: Annotated[str, typer.Option("--to", metavar="OWNER", help="The new owner; an empty text for none.")],
    preview: Annotated[
        bool, typer.Option("--preview", help="Only show what would change, and the DNS records of the new owner.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Give a certificate, its leaf and its private key to another owner, who then needs other DNS records."""
    with open_session(database, keyring, as_json=as_json) as session:
        certificates = session.core.certificates
        managed = certificates.find(certificate, actor=session.actor)
        shown = certificates.preview_transfer(managed.id, to=to, actor=session.actor)
        document = {
            "from": managed.owner,
            "to": to,
            "records": json_form(shown.records),
            "changes": json_form(shown.changes),
            "ends_issuance": shown.ends_issuance,
        }
        if preview:
            session.output.result({"transfer": document}, lambda console: _draw(console, shown))
            return
        question = f"Give {plain(shown_domain(managed))} with its private key to {plain(to) or 'nobody'}?"
        if not yes and not confirmed(question):
            session.output.note("Nothing was changed.")
            raise typer.Exit(FAILED)
        changed = certificates.transfer(managed.id, to=to, actor=session.actor)

        def draw(console: Console) -> None:
            console.print(f"{plain(shown_domain(changed))} belongs to {plain(to) or 'nobody'} now.", style="green")
            _draw(console, shown)

        summary = certificate_document(changed, authority_name(session, changed))
        session.output.result({**summary, "transfer": document}, draw)


def _draw(console: Console, preview: TransferPreview) -> None:
    if preview.ends_issuance:
        console.print("The issuance under way is given up.")
    if preview.changes:
        console.print(f"Changed besides the owner: {', '.join(sorted(preview.changes))}.")
    if preview.records:
        console.print("Records that the new owner sets before the next issuance:")
        console.print(facts([(record.name, f"{record.type} {record.value}") for record in preview.records]))
