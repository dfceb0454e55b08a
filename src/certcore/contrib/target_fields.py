"""What targets have in common: names, kinds of events, seconds, trust in servers, and words for servers that fail."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from attrs import Attribute

from certcore.errors import InvalidInput
from certcore.model.events import EventKind

__all__ = [
    "check_name",
    "check_seconds",
    "connection_trouble",
    "event_kinds",
    "optional_path",
    "plain",
    "tls_context",
]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
#: Whoever is told of events keeps those waiting who are told after it.
_LONGEST_WAIT: Final = 3600


def check_name(_: object, attribute: Attribute[Any], value: str) -> None:
    """A validator: a name that can stand in the store and in a sentence."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidInput(
            attribute.name,
            f"{str(value)[:60]!r} is not the name of a target.",
            advice="Use up to 60 letters, digits and . _ - and begin with a letter or a digit.",
        )


def check_seconds(_: object, attribute: Attribute[Any], value: float) -> None:
    """A validator: some time, and not for ever."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST_WAIT:
        raise InvalidInput(attribute.name, f"a number of seconds above 0 and up to {_LONGEST_WAIT} is needed.")


def event_kinds(kinds: Iterable[str]) -> frozenset[EventKind]:
    """A converter: kinds of events by their names.

    Raises:
        InvalidInput: There is none, or one that is unknown.
    """
    if isinstance(kinds, str):
        raise InvalidInput("kinds", "a list of kinds is needed.")
    found: set[EventKind] = set()
    for kind in kinds:
        try:
            found.add(EventKind(kind))
        except ValueError:
            raise InvalidInput(
                "kinds", f"there is no event of the kind {str(kind)[:40]!r}.", advice=f"Choose: {', '.join(EventKind)}."
            ) from None
    if not found:
        raise InvalidInput("kinds", "there is none: this target would never be told anything.")
    return frozenset(found)


def optional_path(value: str | Path | None) -> Path | None:
    """A converter: a path, or none."""
    return None if value is None else Path(value)


def connection_trouble(error: Exception) -> tuple[str, str]:
    """Why a server could not be talked to: a clause that follows its name, and what to do."""
    match error:
        case TimeoutError():
            return "did not answer in time", "Does it run, and can it be reached?"
        case socket.gaierror() | UnicodeError():
            return "has no address", "Is the name right? Look at the DNS."
        case ConnectionRefusedError():
            return "refused the connection", "Does it run, and at this port?"
        case ssl.SSLCertVerificationError():
            reason = plain(error.verify_message, 100).rstrip(".")
            return (
                f"has a certificate that cannot be trusted: {reason}",
                "Name the certificate of your own CA with ca_file.",
            )
        case ssl.SSLError():
            return "did not complete a TLS handshake", "Does it speak TLS at this port?"
        case OSError() if not isinstance(error, ConnectionError):
            return "could not be reached", "Look at its name and at the network."
    return "broke the connection off, or did not speak the protocol", "Look at its log, and at the port."


def plain(text: object, longest: int) -> str:
    """Foreign text on one line, without what could talk to a terminal or a mail program; cut when it is too long."""
    words = " ".join(str(text).split())
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in words)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS that verifies the server's certificate and its name.

    Args:
        ca_file: PEM certificates to trust instead of the system's.

    Raises:
        InvalidInput: The file cannot be read, or holds no certificate.
    """
    if ca_file is not None:
        try:
            return ssl.create_default_context(cafile=str(ca_file))
        except (OSError, ssl.SSLError):
            raise InvalidInput(
                "ca_file", f"{ca_file} cannot be read, or is not a file with PEM certificates."
            ) from None
    context = ssl.create_default_context()
    if not _system_has_roots():
        try:
            import certifi  # noqa: PLC0415 - only where the system has no roots
        except ImportError:
            pass
        else:
            context.load_verify_locations(certifi.where())
    return context


def _system_has_roots() -> bool:
    paths = ssl.get_default_verify_paths()
    try:
        return paths.cafile is not None or bool(paths.capath and os.listdir(paths.capath))  # noqa: PTH208 - no pathlib
    except OSError:
        return False
