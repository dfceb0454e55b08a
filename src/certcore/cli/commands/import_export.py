"""``certcore cert import``, ``export`` and ``formats``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from certcore.adapters.export_files import write_plain, write_versioned
from certcore.cli.arguments import PasswordFile, configurable, content_of, password_from
from certcore.cli.field_options import Owner
from certcore.cli.options import Certificate, Database, Json, Keyring
from certcore.cli.output import plain, table, time_left
from certcore.cli.references import reference, shown_domain
from certcore.cli.session import open_session
from certcore.errors import InvalidInputError
from certcore.serialization import moment, view_document

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["export", "formats", "import_one"]

_MAX_FILES: Final = 3


def import_one(  # noqa: PLR0917 - Typer gives them all by name
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Certificate, chain and key, in up to 3 files: PEM, DER or PKCS#12."),
    ],
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="The private key, if it is in another file.")
    ] = None,
    password_file: PasswordFile = "",
    authority: Annotated[
        str,
        typer.Option(
            "--authority",
            metavar="NAME",
            help="The CA profile that renews it; without one, only its expiry is watched.",
        ),
    ] = "",
    owner: Owner = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, store nothing.")] = False,
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Import a certificate that was issued elsewhere, with its private key."""
    named_files = [(path, "FILE") for path in files] + ([] if key is None else [(key, "--key")])
    with open_session(database, keyring, as_json=as_json) as session:
        if len(named_files) > _MAX_FILES:
            raise InvalidInputError("FILE", f"there are more than {_MAX_FILES} files; join PEM files into one.")
        password = password_from(password_file)
        # The files may be in any order: the import looks for leaf, chain and key in each of them.
        contents = [content_of(path, option) for path, option in named_files]
        leaf, private_key, bundle = (*contents, None, None)[:_MAX_FILES]
        checked = session.core.certificates.check_import(
            leaf or b"", private_key, bundle, password=password, owner=owner, actor=session.actor
        )
        warnings = [warning.text for warning in checked.warnings]
        document: dict[str, object]
        if dry_run:
            document = {
                "names": [str(name) for name in checked.names],
                "not_after": moment(checked.leaf.not_after),
                "has_key": checked.private_key is not None,
                "warnings": warnings,
            }
            title = f"It can be imported: {', '.join(str(name) for name in checked.names)}."
        else:
            imported = session.core.certificates.import_certificate(
                leaf or b"",
                private_key,
                bundle,
                password=password,
                authority=authority or None,
                owner=owner,
                actor=session.actor,
            )
            view = session.core.certificates.view(imported.id, actor=session.actor)
            document = {**view_document(view), "warnings": warnings}
            validity = time_left(checked.leaf.not_after, view.now)
            title = f"Imported {plain(shown_domain(imported))} ({validity}): {reference(session.core, imported)}"

        def draw(to: Console) -> None:
            to.print(title, style="green", soft_wrap=True)
            for warning in warnings:
                to.print(plain(warning), style="yellow")

        session.output.result(document, draw)


def export(  # noqa: PLR0917 - Typer gives them all by name
    certificate: Certificate,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The directory; created (0700) if it is missing.")],
    kind: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="One of `certcore cert formats`.", show_default=True)
    ] = "pem",
    layout: Annotated[
        str,
        typer.Option(
            "--layout", metavar="LAYOUT", help="plain: files in DIR; versioned: in DIR/live, replaced atomically."
        ),
    ] = "plain",
    without_key: Annotated[bool, typer.Option("--without-key", help="Leave the private key out.")] = False,
    password_file: PasswordFile = "",
    legacy: Annotated[bool, typer.Option("--legacy", help="PKCS#12 with older algorithms, for old programs.")] = False,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why the private key is exported; recorded in the timeline.")
    ] = "certcore cert export",
    database: Database = "",
    keyring: Keyring = "",
    as_json: Json = False,
) -> None:
    """Write a certificate and its key to files (the key readable only by you), replacing those of the last export."""
    if layout not in ("plain", "versioned"):
        raise typer.BadParameter("it must be plain or versioned.", param_hint="--layout")
    with open_session(database, keyring, as_json=as_json) as session:
        password = password_from(password_file)
        managed = session.core.certificates.find(certificate, actor=session.actor)
        folder = Path(os.path.abspath(out))  # noqa: PTH100 - symbolic links are kept
        files = session.core.certificates.export(
            managed.id,
            kind,
            password=password,
            legacy=legacy,
            folder=configurable(folder / "live" if layout == "versioned" else folder),
            with_key=not without_key,
            reason=reason,
            actor=session.actor,
        ).files
        written = (
            write_plain(folder, files) if layout == "plain" else write_versioned(folder, files, at=session.core.now())
        )
        paths = [written.folder / file.name for file in files]
        document = {
            "id": managed.id,
            "domain": managed.domain.ascii,
            "not_after": moment(managed.not_after),
            "files": {path.stem: str(path) for path in paths},
            "changed": list(written.changed),
        }

        def draw(to: Console) -> None:
            for path in paths:
                to.print(plain(path), soft_wrap=True)

        session.output.result(document, draw)


def formats(database: Database = "", keyring: Keyring = "", as_json: Json = False) -> None:
    """List the export formats."""
    with open_session(database, keyring, as_json=as_json) as session:
        available = session.core.certificates.formats()
        document = {
            "formats": [
                {
                    "name": export_format.name,
                    "title": str(export_format.title),
                    "private_key": str(export_format.private_key),
                    "password": str(export_format.password),
                    "legacy": export_format.legacy,
                }
                for export_format in available
            ]
        }
        rows = [
            (export_format.name, str(export_format.title), str(export_format.private_key), str(export_format.password))
            for export_format in available
        ]
        session.output.result(
            document, lambda to: to.print(table(("FORMAT", "TITLE", "PRIVATE KEY", "PASSWORD"), rows))
        )
