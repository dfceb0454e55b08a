"""Command-line values: ``--set KEY=VALUE`` pairs, contents of named files, and confirmations."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from certcore.errors import InvalidInputError
from certcore.model.form import FieldKind, FormField
from certcore.model.secret import Secret

__all__ = [
    "PasswordFile",
    "Settings",
    "collected",
    "configurable",
    "confirmed",
    "content_of",
    "expanded",
    "pair",
    "password_from",
    "value_of",
    "values_of",
]

#: The maximum size of a file, in bytes. The functions that parse its content have limits of their own.
_MAX_FILE: Final = 1024 * 1024
#: The maximum number of bytes of a password that are read from stdin.
_MAX_LINE: Final = 1024 * 1024

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting; may be repeated. KEY=@FILE reads the value from a file: use it for PEM and for secrets, which "
        "would otherwise show up in the process list. KEY=@@… is a text that starts with @. For a setting that is a "
        "list, repeat KEY=VALUE.",
    ),
]

PasswordFile = Annotated[
    str,
    typer.Option("--password-file", metavar="FILE", help="The password is the first line of this file; - for stdin."),
]


def confirmed(question: str) -> bool:
    """Ask for confirmation on the terminal.

    Raises:
        BadParameter: Standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise typer.BadParameter("standard input is not a terminal; pass --yes to skip the confirmation.")
    return typer.confirm(question, err=True)


def pair(setting: str) -> tuple[str, str]:
    """Split ``KEY=VALUE``. A value ``@FILE`` is not read yet; see `value_of`."""
    key, separator, value = setting.partition("=")
    if not separator or not key.strip():
        raise typer.BadParameter(f"{key.strip()[:60]!r} is not KEY=VALUE.", param_hint="--set")
    return key.strip(), value


def values_of(pairs: Sequence[tuple[str, str]], form: Sequence[FormField]) -> Mapping[str, object]:
    """The values by key. The values of a list field are collected in a list, and ``@FILE`` values are read."""
    return collected(pairs, frozenset(field.name for field in form if field.kind is FieldKind.LINES))


def collected(pairs: Sequence[tuple[str, str]], lists: frozenset[str]) -> Mapping[str, object]:
    """The values by key. The values of each key in `lists` are collected in a list."""
    values: dict[str, object] = {}
    for key, typed in pairs:
        value = value_of(key, typed)
        if key in lists:
            before = values.get(key, [])
            values[key] = [*before, *value.replace(",", "\n").splitlines()] if isinstance(before, list) else []
        elif key in values:
            raise typer.BadParameter(f"{key} is given twice; only lists may be repeated.", param_hint="--set")
        else:
            values[key] = value
    return values


def value_of(key: str, typed: str) -> str:
    """The value, or the content of the file if the value is ``@FILE``.

    Raises:
        InvalidInputError: The file cannot be read, or is not UTF-8 text.
    """
    if typed.startswith("@@"):
        return typed[1:]
    if not typed.startswith("@"):
        return typed
    try:
        return content_of(typed[1:], key).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInputError(key, f"the file {typed[1:]} is not UTF-8 text.") from None


def content_of(file: str | Path, option: str) -> bytes:
    """The content of a file. Call it within `open_session`, which prints the error.

    Args:
        file: Its path; ``~`` is the user's home.
        option: The option that names the file, for error messages.

    Raises:
        InvalidInputError: The file cannot be read, or is larger than 1 MiB.
    """
    try:
        with expanded(file, option).open("rb") as opened:
            content = opened.read(_MAX_FILE + 1)
    except OSError as error:
        raise InvalidInputError(option, f"the file {file} cannot be read: {error.strerror}.") from None
    if len(content) > _MAX_FILE:
        raise InvalidInputError(option, f"the file {file} is larger than {_MAX_FILE} bytes.")
    return content


def expanded(path: str | Path, option: str) -> Path:
    """The path with ``~`` expanded. Call it within `open_session`, which prints the error.

    Raises:
        InvalidInputError: The path names the home of an unknown user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidInputError(option, f"{path} cannot be expanded: there is no such user.") from None


def password_from(path: str) -> Secret | None:
    """The password in the first line of a file, or of stdin for ``-``; None if no file is named.

    Call it within `open_session`, which prints the error.

    Raises:
        InvalidInputError: The file cannot be read.
    """
    if not path:
        return None
    line = sys.stdin.buffer.readline(_MAX_LINE) if path == "-" else content_of(path, "--password-file")
    return Secret(line.partition(b"\n")[0].rstrip(b"\r"))


def configurable(folder: Path) -> str:
    """The directory as text if a server's configuration can contain it unquoted; otherwise the empty string."""
    text = str(folder)
    return text if all(character.isalnum() or character in "/._@+~-" for character in text) else ""
