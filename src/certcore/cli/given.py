"""What is given on the command line: ``--set KEY=VALUE``, what is in the files that are named, and answers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from certcore.errors import InvalidInput
from certcore.model.form import FieldKind, FormField

__all__ = ["Settings", "collected", "confirmed", "content_of", "expanded", "pair", "value_of", "values_of"]

#: The largest file that is read, in bytes; what is inside is bounded again.
_MAX_FILE: Final = 1024 * 1024

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting; may be repeated. KEY=@FILE takes the value from a file: use it for PEM and for secrets, which "
        "would otherwise be seen in the list of processes. KEY=@@… is a text that begins with @. A setting that is a "
        "list takes KEY=VALUE several times.",
    ),
]


def confirmed(question: str) -> bool:
    """Ask the person at the terminal.

    Raises:
        BadParameter: There is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask on; give --yes to do it without asking.")
    return typer.confirm(question, err=True)


def pair(setting: str) -> tuple[str, str]:
    """The key and the value of ``--set KEY=VALUE``; the value may still be a file to read."""
    key, separator, value = setting.partition("=")
    if not separator or not key.strip():
        raise typer.BadParameter(f"{key.strip()[:60]!r} is not KEY=VALUE.", param_hint="--set")
    return key.strip(), value


def values_of(pairs: Sequence[tuple[str, str]], form: Sequence[FormField]) -> Mapping[str, object]:
    """The values by key; those of lists are collected, those of files are read."""
    return collected(pairs, frozenset(field.name for field in form if field.kind is FieldKind.LINES))


def collected(pairs: Sequence[tuple[str, str]], lists: frozenset[str]) -> Mapping[str, object]:
    """The values by key, given which of them are lists."""
    values: dict[str, object] = {}
    for key, given in pairs:
        value = value_of(key, given)
        if key in lists:
            before = values.get(key, [])
            values[key] = [*before, *value.replace(",", "\n").splitlines()] if isinstance(before, list) else []
        elif key in values:
            raise typer.BadParameter(f"{key} is given twice; only lists may be.", param_hint="--set")
        else:
            values[key] = value
    return values


def value_of(key: str, given: str) -> str:
    """A value as it was typed, or what is in the file that it names.

    Raises:
        InvalidInput: The file cannot be read, or is no text.
    """
    if given.startswith("@@"):
        return given[1:]
    if not given.startswith("@"):
        return given
    try:
        return content_of(given[1:], key).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(key, f"the file {given[1:]} is no text in UTF-8.") from None


def content_of(file: str | Path, option: str) -> bytes:
    """What is in a file that was named. Call it inside of the session, which makes a sentence of the error.

    Args:
        file: Its path; ``~`` is the user's home.
        option: What named it, for the error.

    Raises:
        InvalidInput: The file cannot be read, or is too large to be meant.
    """
    try:
        with expanded(file, option).open("rb") as opened:
            content = opened.read(_MAX_FILE + 1)
    except OSError as error:
        raise InvalidInput(option, f"the file {file} cannot be read: {error.strerror}.") from None
    if len(content) > _MAX_FILE:
        raise InvalidInput(option, f"the file {file} is larger than {_MAX_FILE} bytes.")
    return content


def expanded(path: str | Path, option: str) -> Path:
    """A path with ``~`` as the user's home. Call it inside of the session, too.

    Raises:
        InvalidInput: It is the home of somebody who is not there.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InvalidInput(option, f"{path} cannot be found: there is no such user.") from None
