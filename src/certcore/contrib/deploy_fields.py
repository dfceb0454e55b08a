"""What may be written into the fields of a `DeployFiles`: see there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from attrs import Attribute

from certcore.errors import InvalidInput
from certcore.model.export import ExportedFile, ExportOptions
from certcore.model.names import DnsName

__all__ = [
    "ANY",
    "PLACEHOLDER",
    "check_command",
    "check_folder",
    "check_imports",
    "check_keep",
    "check_secret_mode",
    "check_texts",
    "read_domains",
    "to_texts",
]

#: What stands for a certificate in the template of a folder.
PLACEHOLDER: Final = re.compile(r"\{(name|id)\}")
#: Any moment, for options that are only looked at.
ANY: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_MODE: Final = 0o777


def to_texts(values: Iterable[str]) -> tuple[str, ...]:
    """Texts, of which one may be given alone."""
    return (values,) if isinstance(values, str) else tuple(values)


def check_texts(_: object, attribute: Attribute[Any], values: tuple[str, ...]) -> None:
    """Refuse what is no list of texts."""
    if not all(isinstance(one, str) for one in values):
        raise InvalidInput(attribute.name, "a list of texts is needed.")


def read_domains(wanted: Iterable[str]) -> tuple[str, ...]:
    """Names that certificates are selected by: of one domain, or with a dot before it of all below."""
    return tuple(_domain(text) for text in to_texts(wanted))


def _domain(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidInput("domains", "a list of texts is needed.")
    if "*" in text:
        raise InvalidInput(
            "domains", f"{text[:60]!r} has a *.", advice="Write .example.com for all names below example.com."
        )
    wanted = text.strip()
    if wanted.startswith("."):  # below a name of one label, too: .example
        return DnsName.parse(f"x{wanted}", field="domains").ascii.removeprefix("x")
    return DnsName.parse(wanted, field="domains").ascii


def check_folder(_: object, __: Attribute[Any], folder: str) -> None:
    """Refuse what is not the whole path of a folder, with placeholders perhaps."""
    filled = PLACEHOLDER.sub("x", folder)
    if "{" in filled or "}" in filled:
        raise InvalidInput("folder", "it may hold {name} and {id}, and nothing else in braces.")
    path = Path(filled)
    if not path.is_absolute() or ".." in path.parts or path == Path("/"):
        raise InvalidInput("folder", f"{folder[:200]!r} is not the whole path of a folder.", advice="Begin with a /.")
    ExportOptions(at=ANY, folder=filled)


def check_command(_: object, __: Attribute[Any], command: tuple[str, ...]) -> None:
    """Refuse what is no program with its arguments."""
    check_texts(_, __, command)
    if any("\0" in one for one in command):
        raise InvalidInput("command", "no argument can hold a zero byte.")
    if command and not Path(command[0]).is_absolute():
        raise InvalidInput(
            "command", f"{command[0][:100]!r} is not a whole path.", advice="Say where it is: /usr/bin/systemctl, say."
        )


def check_secret_mode(_: object, __: Attribute[Any], mode: int | None) -> None:
    """Refuse what is no mode of a secret file."""
    if mode is None:
        return
    if isinstance(mode, bool) or not isinstance(mode, int) or mode > _MOST_MODE:
        raise InvalidInput("secret_mode", "a mode such as 0o640 is needed.")
    try:
        ExportedFile(name="key", content=b"", secret=True, mode=mode)
    except InvalidInput as error:
        raise InvalidInput("secret_mode", error.reason, advice=error.advice) from None


def check_keep(_: object, __: Attribute[Any], keep: int) -> None:
    """Refuse what is no number of versions."""
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 0:
        raise InvalidInput("keep", "a number of versions, from 0 on, is needed.")


def check_imports(_: object, __: Attribute[Any], imports: object) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(imports, bool):
        raise InvalidInput("imports", "must be true or false.")
