"""``certcore cert actions`` and ``certcore cert run``: what the CA module offers for a certificate."""

from __future__ import annotations

from typing import Annotated

import typer

from certcore.cli.arguments import pair
from certcore.cli.module_actions import report_actions, run_offered
from certcore.cli.module_files import Out, report_files
from certcore.cli.options import Certificate, Database, Json, Keyring
from certcore.cli.references import reference
from certcore.cli.session import open_session

__all__ = ["actions", "files", "run"]


def actions(certificate: Certificate, database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List the actions that the CA module offers for a certificate now, for example approving its request."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        offered = session.core.certificates.actions(managed.id, actor=session.actor)
        report_actions(session, offered, f"cert run {reference(session.core, managed)}")


def files(
    certificate: Certificate, out: Out = None, database: Database = "", keyring: Keyring = "", as_json: Json = False
) -> None:
    """List or write the public files that the CA module has for a certificate, such as its CSR or the CA's root."""
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        report_files(session, session.core.certificates.files(managed.id, actor=session.actor), out)


def run(
    certificate: Certificate,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="An action from `cert actions`.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A value that the action asks for.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Run an action of a certificate; this may contact the CA."""
    pairs = [pair(setting) for setting in settings or ()]
    with open_session(database, keyring, as_json=as_json) as session:
        managed = session.core.certificates.find(certificate, actor=session.actor)
        run_offered(session, session.core.certificates, managed.id, action, pairs, yes=yes)
