"""``certcore cert bulk``: the same action on many certificates, with a result for each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from attrs import frozen

from certcore.adapters.export_files import write_plain
from certcore.cli.arguments import PasswordFile, configurable, confirmed, password_from
from certcore.cli.options import FAILED, Database, Json, Keyring
from certcore.cli.output import plain, table
from certcore.cli.session import Session, open_session
from certcore.errors import CertCoreError
from certcore.model.certificate import Certificate
from certcore.model.export import file_stem
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


@bulk.command("export")
def export(  # noqa: PLR0917 - Typer gives them all by name
    certificates: Several,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The directory; each certificate gets a directory in it, named after its domain.",
        ),
    ],
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="One of `certcore cert formats`.", show_default=True)
    ] = "pem",
    without_key: Annotated[bool, typer.Option("--without-key", help="Leave the private keys out.")] = False,
    password_file: PasswordFile = "",
    legacy: Annotated[bool, typer.Option("--legacy", help="PKCS#12 with older algorithms, for old programs.")] = False,
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="TEXT", help="Why the private keys are exported; recorded in each timeline."),
    ] = "certcore cert bulk export",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Write each certificate and its key to files (the keys readable only by you), replacing those of the last export.

    If certificates in one call have the same domain, their directories are named after domain and ID.
    """
    with open_session(database, keyring, as_json=as_json) as session:
        password = password_from(password_file)
        rows, chosen = _looked_up(session, certificates)
        folder = Path(os.path.abspath(out))  # noqa: PTH100 - symbolic links are kept
        stems = Counter(file_stem(certificate.domain.ascii) for certificate in chosen.values())
        for name, certificate in chosen.items():
            stem = file_stem(certificate.domain.ascii)
            place = folder / (stem if stems[stem] == 1 else f"{stem}-{certificate.id}")
            try:
                exported = session.core.certificates.export(
                    certificate.id,
                    kind,
                    password=password,
                    legacy=legacy,
                    folder=configurable(place),
                    with_key=not without_key,
                    reason=reason,
                    actor=session.actor,
                )
                written = write_plain(place, exported.files)
            except CertCoreError as error:
                rows.append(_Row(name, error))
            else:
                rows.append(_Row(name, files=tuple(written.folder / file.name for file in exported.files)))
        _show(session, rows)


def _agreed(session: Session, *, yes: bool, question: str) -> bool:
    if yes or confirmed(question):
        return True
    session.output.note("Nothing was done.")
    raise typer.Exit(FAILED)


@frozen
class _Row:
    """The result for one certificate."""

    #: The certificate's name or ID, as the user typed it.
    name: str
    error: CertCoreError | None = None
    #: The files that were written.
    files: tuple[Path, ...] | None = None

    @property
    def result(self) -> str:
        """A summary for the table."""
        if self.error is not None:
            return plain(self.error.message)
        return plain(self.files[0].parent) if self.files else "done"

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        document: dict[str, object] = {"certificate": self.name, "ok": self.error is None}
        document["error"] = None if self.error is None else self.error.as_dict()
        if self.files is not None:
            document["files"] = {path.stem: str(path) for path in self.files}
        return document


def _looked_up(session: Session, names: Sequence[str]) -> tuple[list[_Row], dict[str, Certificate]]:
    """A row for each name without a certificate, and the certificates by the name that the user typed."""
    rows: list[_Row] = []
    certificates: dict[str, Certificate] = {}
    for name in dict.fromkeys(names):
        try:
            certificate = session.core.certificates.find(name, actor=session.actor)
        except CertCoreError as error:
            rows.append(_Row(name, error))
        else:
            if all(certificate.id != other.id for other in certificates.values()):
                certificates[name] = certificate
    return rows, certificates


def _run(session: Session, names: Sequence[str], call: Callable[[Sequence[str]], Sequence[BulkResult[Any]]]) -> None:
    """Look the certificates up, run the action, and print a line for each. Exits with 1 unless all succeeded."""
    rows, certificates = _looked_up(session, names)
    typed = {certificate.id: name for name, certificate in certificates.items()}
    rows += [_Row(typed[result.certificate_id], result.error) for result in call(list(typed))]
    _show(session, rows)


def _show(session: Session, rows: Sequence[_Row]) -> None:
    def draw(to: Console) -> None:
        to.print(table(("CERTIFICATE", "RESULT"), [(row.name, row.result) for row in rows]))

    session.output.result({"results": [row.as_dict() for row in rows]}, draw)
    if any(row.error is not None for row in rows):
        raise typer.Exit(FAILED)
