"""The options that every command takes, and the exit codes."""

from __future__ import annotations

from typing import Annotated, Final

import typer

__all__ = ["FAILED", "INTERRUPTED", "Certificate", "Database", "Json", "Keyring", "Targets"]

#: Exit code: the command failed. Its message has the reason and advice.
FAILED: Final = 1
#: Exit code: Ctrl-C or SIGTERM ended the command before it was done.
INTERRUPTED: Final = 130

Database = Annotated[
    str,
    typer.Option(
        "--database",
        envvar="CERTCORE_DATABASE_URL",
        metavar="URL|PATH",
        help="The database: a URL such as sqlite:///certcore.db, or the path of a SQLite file. "
        "By default certcore.db in the user's data directory; certcore init prints its path.",
        show_default=False,
    ),
]
Keyring = Annotated[
    str,
    typer.Option(
        "--keyring",
        envvar="CERTCORE_KEYRING",
        metavar="PATH|URL",
        help="The keyring that seals the secrets: a path, file:PATH, env:VARIABLE, or a URL that a plugin knows. "
        "By default keyring.json in the user's data directory.",
        show_default=False,
    ),
]
Targets = Annotated[
    str,
    typer.Option(
        "--targets",
        envvar="CERTCORE_TARGETS",
        metavar="FILE",
        help="A TOML file that says where certificates are deployed and who is notified: tables [[deploy]], "
        "[[webhook]] and [[mail]], and [notices] for when to warn that a leaf is about to expire.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else on stdout.")]
Certificate = Annotated[
    str, typer.Argument(metavar="CERTIFICATE", help="Its id, or its domain where only one certificate has it.")
]
