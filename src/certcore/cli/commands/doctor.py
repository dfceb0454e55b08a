"""``certcore doctor``: find what would keep a domain from being validated, without a certificate for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.render.findings import draw_findings
from certcore.cli.session import open_session
from certcore.errors import InvalidInputError
from certcore.model.finding import Severity
from certcore.serialization import findings_document

if TYPE_CHECKING:
    from certcore.cli.session import Session

__all__ = ["doctor"]


def doctor(
    domains: Annotated[list[str], typer.Argument(metavar="DOMAIN...", help="The names of a certificate.")],
    authority: Annotated[
        str, typer.Option("--authority", metavar="NAME", help="The CA profile; by default the only one.")
    ] = "",
    owner: Annotated[str, typer.Option("--owner", metavar="OWNER", help="Whose records are looked for.")] = "",
    resolvers: Annotated[
        bool,
        typer.Option(
            "--resolvers",
            help="Ask resolvers for missing records, too. They keep that answer, for hours perhaps.",
        ),
    ] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Find what would keep a domain from being validated, and print the exact records that repair it.

    The CA gets no request, and no certificate is needed. Exit code 1 when something has to be repaired first.
    """
    with open_session(database, keyring, as_json=as_json) as session:
        name = authority or _only_profile(session)
        findings = session.core.diagnose(domains, authority=name, owner=owner, thorough=resolvers, actor=session.actor)
        is_ready = all(finding.severity is not Severity.ERROR for finding in findings)
        document = {**findings_document(findings), "names": domains, "authority": name, "ok": is_ready}
        session.output.result(document, lambda to: draw_findings(to, findings))
        if not is_ready:
            raise typer.Exit(FAILED)


def _only_profile(session: Session) -> str:
    names = [profile.name for profile in session.core.authorities.list(actor=session.actor)]
    if len(names) != 1:
        known = ", ".join(names) or "none"
        raise InvalidInputError("authority", "name the CA profile.", advice=f"There are: {known}.")
    return names[0]
