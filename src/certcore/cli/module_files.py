"""List the files that a CA module offers, or write them to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certcore.adapters.export_files import write_plain
from certcore.cli.output import plain, table
from certcore.model.export import ExportedFile
from certcore.ports.module_files import ModuleFile

if TYPE_CHECKING:
    from rich.console import Console

    from certcore.cli.session import Session

__all__ = ["Out", "report_files"]

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Write the files here, replacing those that have changed; else list them."
    ),
]


def report_files(session: Session, files: Sequence[ModuleFile], out: Path | None) -> None:
    """Write the files if a folder is given, and print the list of files or the paths.

    Args:
        session: The open store.
        files: The files.
        out: The folder; created (0700) if it is missing. With None, nothing is written.
    """
    folder = None if out is None or not files else write_plain(out, [_exported(file) for file in files]).folder
    documents = [
        {
            "name": file.name,
            "label": str(file.label),
            "media_type": file.media_type,
            "size": len(file.content),
            **({} if folder is None else {"path": str(folder / file.name)}),
        }
        for file in files
    ]

    def draw(to: Console) -> None:
        if not files:
            to.print("There are no files now.")
        elif folder is None:
            to.print(
                table(("FILE", "BYTES", "DESCRIPTION"), [(f.name, str(len(f.content)), str(f.label)) for f in files])
            )
        else:
            for file in files:
                to.print(plain(folder / file.name), soft_wrap=True)

    session.output.result({"files": documents}, draw)


def _exported(file: ModuleFile) -> ExportedFile:
    return ExportedFile(name=file.name, content=file.content)
