"""``certcore cert bulk``: the same action on many certificates, with a result for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from certcore.cli.arguments import confirmed
from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import plain, table
from certcore.cli.session import Session, open_session
from certcore.errors import CertCoreError
from certcore.model.revocation import RevocationReason
from certcore.services.bulk import BulkResult

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["bulk"]

bulk = typer.Typer(no_args_is_help=True, help="The same action on many certificates: a result for each.")

Several = Annotated[
    list[str],
    typer.Argument(metavar="CERTIFICATE…", help="Ids, or domains where only one certificate has them; at most 200."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@bulk.command("renew")
def renew(certificates: Several, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """Start a renewal of each certificate; the current leaves stay in service until the new ones are issued."""
    with open_session(database, keyring, as_json=as_json) as session:
        _run(session, certificates, lambda ids: session.core.certificates.bulk_renew(ids, actor=session.actor))


@bulk.command("revoke")
def revoke(
    certificates: Several,
    reason: Annotated[
        str, typer.Option("--reason", metavar="REASON", help=f"One of {', '.join(RevocationReason)}.")
    ] = RevocationReason.UNSPECIFIED,
    yes: Yes = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Revoke the leaf of each certificate at its CA. This cannot be undone."""
    with open_session(database, keyring, as_json=as_json) as session:
        why = RevocationReason.parse(reason)
        if _agreed(session, yes=yes, question=f"Revoke {len(certificates)} certificates? This cannot be undone."):
            _run(
                session,
                certificates,
                lambda ids: session.core.certificates.bulk_revoke(ids, reason=why, actor=session.actor),
            )


@bulk.command("delete")
def delete(
    certificates: Several, yes: Yes = False, database: Database = "", keyring: Keyring = "", as_json: Json = False
) -> None:
    """Delete each certificate with its private keys. This cannot be undone."""
    with open_session(database, keyring, as_json=as_json) as session:
        if _agreed(session, yes=yes, question=f"Delete {len(certificates)} certificates with their private keys?"):
            _run(session, certificates, lambda ids: session.core.certificates.bulk_delete(ids, actor=session.actor))


def _agreed(session: Session, *, yes: bool, question: str) -> bool:
    if yes or confirmed(question):
        return True
    session.output.note("Nothing was done.")
    raise typer.Exit(FAILED)


def _run(
    session: Session, certificates: Sequence[str], call: Callable[[Sequence[str]], Sequence[BulkResult[Any]]]
) -> None:
    """Look the certificates up, run the action, and print a line for each; exit with 1 unless all went well."""
    rows: list[tuple[str, CertCoreError | None]] = []
    ids: dict[str, str] = {}
    for name in dict.fromkeys(certificates):
        try:
            ids[session.core.certificates.find(name, actor=session.actor).id] = name
        except CertCoreError as error:
            rows.append((name, error))
    rows += [(ids[result.certificate_id], result.error) for result in call(list(ids))]

    def draw(to: Console) -> None:
        to.print(
            table(
                ("CERTIFICATE", "RESULT"),
                [(name, "done" if error is None else plain(error.message)) for name, error in rows],
            )
        )

    results = [
        {"certificate": name, "ok": error is None, "error": None if error is None else error.as_dict()}
        for name, error in rows
    ]
    session.output.result({"results": results}, draw)
    if any(error is not None for _, error in rows):
        raise typer.Exit(FAILED)
