"""``certcore cert import``, ``export`` and ``formats``: certificates that come in and go out."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from certcore.adapters.files import Written, write_plain, write_versioned
from certcore.cli.documents import moment, view_document
from certcore.cli.form import Owner
from certcore.cli.given import content_of
from certcore.cli.naming import named, shown_domain
from certcore.cli.options import Certificate, Database, Json, Keyring
from certcore.cli.output import plain, table, time_left
from certcore.cli.store import session
from certcore.errors import InvalidInput
from certcore.model.secret import Secret

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["export", "formats", "import_one"]

#: A password that is longer is read to here.
_LONGEST_LINE: Final = 1024 * 1024
_MOST_FILES: Final = 3

PasswordFile = Annotated[
    str,
    typer.Option("--password-file", metavar="FILE", help="The password is the first line of this file; - for stdin."),
]


def import_one(  # noqa: PLR0917 - Typer gives them all by name
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Certificate, chain and key, in up to 3 files: PEM, DER, PKCS#12."),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key, if it is none of those.")
    ] = None,
    password_file: PasswordFile = "",
    authority: Annotated[
        str,
        typer.Option("--authority", metavar="NAME", help="The CA profile that renews it; without, it is only watched."),
    ] = "",
    owner: Owner = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check; nothing is stored.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Take in a certificate that was issued elsewhere, with its private key."""
    named_files = [(path, "FILE") for path in files] + ([] if key is None else [(key, "--key")])
    with session(database, keyring, as_json=as_json) as now:
        if len(named_files) > _MOST_FILES:
            raise InvalidInput("FILE", f"more than {_MOST_FILES} files: join those in PEM into one.")
        password = _password(password_file)
        # Any of them may hold anything: what belongs to the leaf is found wherever it is.
        contents = [content_of(path, option) for path, option in named_files]
        leaf, private_key, bundle = (*contents, None, None)[:_MOST_FILES]
        checked = now.core.certificates.check_import(
            leaf or b"", private_key, bundle, password=password, owner=owner, actor=now.actor
        )
        warnings = [one.text for one in checked.warnings]
        document: dict[str, object]
        if dry_run:
            document = {
                "names": [str(one) for one in checked.names],
                "not_after": moment(checked.leaf.not_after),
                "has_key": checked.private_key is not None,
                "warnings": warnings,
            }
            title = f"It can be imported: {', '.join(str(one) for one in checked.names)}."
        else:
            found = now.core.authorities.find(authority, actor=now.actor).id if authority else None
            made = now.core.certificates.import_certificate(
                leaf or b"",
                private_key,
                bundle,
                password=password,
                authority=found,
                owner=owner,
                actor=now.actor,
            )
            view = now.core.certificates.view(made.id, actor=now.actor)
            document = {**view_document(view), "warnings": warnings}
            left = time_left(checked.leaf.not_after, view.now)
            title = f"Imported {plain(shown_domain(made))} ({made.status}, {left}): {named(now.core, made)}"

        def draw(to: Console) -> None:
            to.print(title, style="green", soft_wrap=True)
            for warning in warnings:
                to.print(plain(warning), style="yellow")

        now.output.result(document, draw)


def export(  # noqa: PLR0917 - Typer gives them all by name
    certificate: Certificate,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder; made (0700) when it is missing.")],
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="One of `certcore cert formats`.", show_default=True)
    ] = "pem",
    layout: Annotated[
        str,
        typer.Option(
            "--layout", metavar="LAYOUT", help="plain: files in DIR; versioned: in DIR/live, changed at once."
        ),
    ] = "plain",
    without_key: Annotated[bool, typer.Option("--without-key", help="Leave the private key out.")] = False,
    password_file: PasswordFile = "",
    legacy: Annotated[bool, typer.Option("--legacy", help="The older form of PKCS#12, for old programs.")] = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why the private key is taken out; goes on the record.")
    ] = "certcore cert export",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Write a certificate with its key as files (the key readable by you alone), replacing those of the last time."""
    if layout not in ("plain", "versioned"):
        raise typer.BadParameter("it is plain or versioned.", param_hint="--layout")
    with session(database, keyring, as_json=as_json) as now:
        password = _password(password_file)
        found = now.core.certificates.find(certificate, actor=now.actor)
        folder = Path(os.path.abspath(out))  # noqa: PTH100 - links stay as they are
        files = now.core.certificates.export_as(
            found.id,
            kind,
            password=password,
            legacy=legacy,
            folder=_in_configuration(folder / "live" if layout == "versioned" else folder),
            with_key=not without_key,
            reason=reason,
            actor=now.actor,
        )
        written: Written
        if layout == "plain":
            written = write_plain(folder, files)
        else:
            written = write_versioned(folder, files, at=now.core.engine.environment.now())
        paths = [written.folder / one.name for one in files]
        document = {
            "id": found.id,
            "domain": found.domain.ascii,
            "not_after": moment(found.not_after),
            "files": {path.stem: str(path) for path in paths},
            "changed": list(written.changed),
        }

        def draw(to: Console) -> None:
            for path in paths:
                to.print(plain(path), soft_wrap=True)

        now.output.result(document, draw)


def formats(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List the formats that certificates can be exported in."""
    with session(database, keyring, as_json=as_json) as now:
        found = now.core.certificates.formats()
        document = {
            "formats": [
                {
                    "name": one.name,
                    "title": one.title,
                    "private_key": str(one.private_key),
                    "password": str(one.password),
                    "legacy": one.legacy,
                }
                for one in found
            ]
        }
        rows = [(one.name, one.title, str(one.private_key), str(one.password)) for one in found]
        now.output.result(document, lambda to: to.print(table(("FORMAT", "TITLE", "PRIVATE KEY", "PASSWORD"), rows)))


def _in_configuration(folder: Path) -> str:
    """The folder, where it can stand in a server's configuration; else the lines name an example."""
    text = str(folder)
    return text if all(one.isalnum() or one in "/._@+~-" for one in text) else ""


def _password(path: str) -> Secret | None:
    if not path:
        return None
    line = sys.stdin.buffer.readline(_LONGEST_LINE) if path == "-" else content_of(path, "--password-file")
    return Secret(line.partition(b"\n")[0].rstrip(b"\r"))
