"""Validators and converters for the fields of `DeployFiles`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import Attribute

from certcore.contrib.validators import to_texts
from certcore.errors import InvalidInputError
from certcore.model.export import ExportedFile, ExportOptions
from certcore.model.names import DnsName

__all__ = [
    "ANY_TIME",
    "PLACEHOLDER",
    "check_command",
    "check_folder",
    "check_imports",
    "check_keep",
    "check_secret_mode",
    "check_texts",
    "read_domains",
]

#: The placeholders in the template of a directory.
PLACEHOLDER: Final = re.compile(r"\{(name|id)\}")
#: An arbitrary time, for validating options without an export.
ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MAX_MODE: Final = 0o777


def check_texts(_: object, attribute: Attribute[Any], values: tuple[str, ...]) -> None:
    """Require a list of texts."""
    if not all(isinstance(value, str) for value in values):
        raise InvalidInputError(attribute.name, "must be a list of texts.")


def read_domains(names: Iterable[str]) -> tuple[str, ...]:
    """Parse domains that select certificates: ``example.com``, or ``.example.com`` for all names below it."""
    return tuple(_domain(text) for text in to_texts(names))


def _domain(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidInputError("domains", "must be a list of texts.")
    if "*" in text:
        raise InvalidInputError(
            "domains", f"{text[:60]!r} contains a *.", advice="Write .example.com for all names below example.com."
        )
    name = text.strip()
    if name.startswith("."):  # with an "x" in front, even a top-level domain such as .example is a valid name
        return DnsName.parse(f"x{name}", field="domains").ascii.removeprefix("x")
    return DnsName.parse(name, field="domains").ascii


def check_folder(_: object, __: Attribute[Any], folder: str) -> None:
    """Require the absolute path of a directory; it may contain placeholders."""
    filled = PLACEHOLDER.sub("x", folder)
    if "{" in filled or "}" in filled:
        raise InvalidInputError("folder", "may contain {name} and {id}, and no other braces.")
    path = Path(filled)
    if not path.is_absolute() or ".." in path.parts or path == Path("/"):
        raise InvalidInputError(
            "folder", f"{folder[:200]!r} is not the absolute path of a directory.", advice="Start with a /."
        )
    ExportOptions(at=ANY_TIME, folder=filled)


def check_command(_: object, __: Attribute[Any], command: tuple[str, ...]) -> None:
    """Require a program's absolute path and its arguments, or nothing."""
    check_texts(_, __, command)
    if any("\0" in argument for argument in command):
        raise InvalidInputError("command", "arguments must not contain a zero byte.")
    if command and not Path(command[0]).is_absolute():
        raise InvalidInputError(
            "command", f"{command[0][:100]!r} is not an absolute path.", advice="Write it like /usr/bin/systemctl."
        )


def check_secret_mode(_: object, __: Attribute[Any], mode: int | None) -> None:
    """Require a file mode that is safe for secrets, or None."""
    if mode is None:
        return
    if isinstance(mode, bool) or not isinstance(mode, int) or mode > _MAX_MODE:
        raise InvalidInputError("secret_mode", "must be a file mode such as 0o640.")
    try:
        ExportedFile(name="key", content=b"", secret=True, mode=mode)
    except InvalidInputError as error:
        raise InvalidInputError("secret_mode", error.reason, advice=error.advice) from None


def check_keep(_: object, __: Attribute[Any], keep: int) -> None:
    """Require a number of versions."""
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
        raise InvalidInputError("keep", "must be a number of versions, 0 or more.")


def check_imports(_: object, __: Attribute[Any], imports: object) -> None:
    """Require True or False."""
    if not isinstance(imports, bool):
        raise InvalidInputError("imports", "must be true or false.")
