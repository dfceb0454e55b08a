"""Validators and converters for the fields that targets share, and advice about unreachable servers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import Attribute

from certcore.errors import InvalidInputError
from certcore.model.events import EventKind
from certcore.net.failures import FailureKind, NetworkError

__all__ = [
    "check_name",
    "check_seconds",
    "event_kinds",
    "optional_path",
    "server_advice",
    "to_texts",
]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
#: The maximum timeout in seconds. A slow target delays the targets after it.
_MAX_SECONDS: Final = 3600
_ADVICE: Final[Mapping[FailureKind, str]] = MappingProxyType(
    {
        FailureKind.TIMEOUT: "Check that the server runs and can be reached.",
        FailureKind.UNRESOLVABLE: "Check the host name and the DNS.",
        FailureKind.REFUSED: "Check that the server runs and listens on this port.",
        FailureKind.TLS: "Check that the server speaks TLS on this port. For a private CA, set ca_file.",
        FailureKind.UNREACHABLE: "Check the host name and the network.",
    }
)


def check_name(_: object, attribute: Attribute[Any], value: str) -> None:
    """Validate the name of a target, which is stored and quoted in messages."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidInputError(
            attribute.name,
            f"{str(value)[:60]!r} is not the name of a target.",
            advice="Use up to 60 letters, digits and . _ - and start with a letter or a digit.",
        )


def check_seconds(_: object, attribute: Attribute[Any], value: float) -> None:
    """Validate a number of seconds: positive, and at most an hour."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_SECONDS:
        raise InvalidInputError(attribute.name, f"must be a number of seconds above 0 and up to {_MAX_SECONDS}.")


def event_kinds(kinds: Iterable[str]) -> frozenset[EventKind]:
    """Convert names of event kinds.

    Raises:
        InvalidInputError: The list is empty, or a kind is unknown.
    """
    if isinstance(kinds, str):
        raise InvalidInputError("kinds", "must be a list of event kinds.")
    parsed: set[EventKind] = set()
    for kind in kinds:
        try:
            parsed.add(EventKind(kind))
        except ValueError:
            raise InvalidInputError(
                "kinds", f"there is no event of the kind {str(kind)[:40]!r}.", advice=f"Choose: {', '.join(EventKind)}."
            ) from None
    if not parsed:
        raise InvalidInputError("kinds", "must not be empty: this target would never be notified.")
    return frozenset(parsed)


def to_texts(values: Iterable[str]) -> tuple[str, ...]:
    """Convert texts to a tuple; a single text becomes a tuple of one."""
    return (values,) if isinstance(values, str) else tuple(values)


def optional_path(value: str | Path | None) -> Path | None:
    """Convert to a path; None stays None."""
    return None if value is None else Path(value)


def server_advice(error: NetworkError) -> str:
    """Advice about a server that could not be reached or did not answer."""
    return _ADVICE.get(error.kind, "Check the server's log and the port.")
