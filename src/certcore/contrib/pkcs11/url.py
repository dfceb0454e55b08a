"""PKCS#11 URLs (RFC 7512): the address of a key, and its PIN."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from attrs import field, frozen

from certcore.errors import KeyringError
from certcore.model.secret import Secret

__all__ = ["Pkcs11Address", "is_pkcs11_url", "parse_pkcs11_url"]

_SCHEME: Final = "pkcs11:"
_EXAMPLE: Final = "pkcs11:token=TOKEN;object=KEY?module-path=/PATH/TO/LIBRARY.so&pin-source=file:/PATH/TO/PIN"
#: The attributes that identify the token.
_OF_TOKEN: Final = ("token", "serial", "manufacturer", "model")
_OF_KEY: Final = ("object", "type")
_OF_QUERY: Final = ("module-path", "pin-source", "pin-value")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: The most characters of a label. The database stores labels as key IDs.
_MAX_LABEL: Final = 100
_MAX_PIN_FILE: Final = 1024


@frozen(kw_only=True)
class Pkcs11Address:
    """A parsed URL. Addresses of the same token are equal, whatever key and PIN they name."""

    #: The library's absolute path.
    module: str
    #: The attributes of the token in the URL: ``token`` (its label), ``serial``, ``manufacturer`` and ``model``.
    token: tuple[tuple[str, str], ...]
    #: The label of the current key.
    key_id: str = field(eq=False)
    pin_file: Path | None = field(eq=False)
    pin_value: Secret | None = field(eq=False)

    def __str__(self) -> str:
        """The token's name in messages."""
        named = dict(self.token)
        if "token" in named:
            return f"The token {named['token']!r}"
        described = ", ".join(f"{name} {value!r}" for name, value in self.token)
        return f"The token with {described}" if described else "The token"

    def pin(self) -> Secret | None:
        """The PIN, read at every login because its file may change; None if the URL names no PIN.

        Raises:
            KeyringError: The file is missing, empty, or readable by others.
        """
        return _read_pin(self.pin_file) if self.pin_file else self.pin_value


def is_pkcs11_url(url: str) -> bool:
    """Whether a URL has the scheme ``pkcs11``."""
    return url[: len(_SCHEME)].lower() == _SCHEME


def parse_pkcs11_url(url: str) -> Pkcs11Address:
    """Parse a URL; nothing is opened or loaded.

    Raises:
        KeyringError: It is malformed or incomplete, or uses an unsupported feature.
    """
    if not is_pkcs11_url(url):
        raise _malformed("does not start with pkcs11:")
    path, _, query = url[len(_SCHEME) :].partition("?")
    named = _attributes(path, ";", (*_OF_TOKEN, *_OF_KEY))
    options = _attributes(query, "&", _OF_QUERY)
    key_id, module = named.get("object", ""), options.get("module-path", "")
    if not 0 < len(key_id) <= _MAX_LABEL:
        raise _malformed(f"needs object=KEY with a label of 1 to {_MAX_LABEL} characters")
    if named.get("type", "secret-key") != "secret-key":
        raise _malformed("has a type other than secret-key")
    if not module.startswith("/"):
        raise _malformed("needs module-path=/… with the absolute path of the token's library")
    if "pin-source" in options and "pin-value" in options:
        raise _malformed("has both pin-source and pin-value; remove one of them")
    return Pkcs11Address(
        module=module,
        token=tuple((name, named[name]) for name in _OF_TOKEN if name in named),
        key_id=key_id,
        pin_file=_pin_file(options["pin-source"]) if "pin-source" in options else None,
        pin_value=Secret(options["pin-value"]) if options.get("pin-value") else None,
    )


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> Mapping[str, str]:
    values: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or name not in known or name in values:
            # The error does not quote the attribute's name, which may be part of a PIN with an & that was not escaped.
            raise _malformed(f"may have these attributes, each once, separated by {separator!r}: {', '.join(known)}")
        try:
            values[name] = unquote(value, errors="strict")
            values[name].encode()
        except UnicodeError:
            raise _malformed(f"has a {name} that is not UTF-8") from None
        if _BROKEN_ESCAPE.search(value) or "\0" in values[name]:
            raise _malformed(f"has a {name} that is not escaped as in RFC 7512; a percent sign is %25")
    return values


def _malformed(why: str) -> KeyringError:
    return KeyringError(f"The URL of the PKCS#11 keyring {why}.", advice=f"Its form is {_EXAMPLE}")


def _pin_file(source: str) -> Path:
    path = source.removeprefix("file://").removeprefix("file:")
    if not path.startswith("/"):  # RFC 7512 also allows programs, which are not supported
        raise _malformed("has a pin-source that is not a file: pin-source=file:/PATH")
    return Path(path)


def _read_pin(path: Path) -> Secret:
    subject = f"The file {path} with the token's PIN"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise KeyringError(
            f"{subject} cannot be read: {error.strerror}.", advice="Write the PIN into it, or name another pin-source."
        ) from None
    try:
        # fstat of the open file, so that it cannot be replaced between check and use.
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise KeyringError(f"{subject} is not a regular file.", advice="Name a file: pin-source=file:/PATH")
        if stat.S_IMODE(status.st_mode) & 0o077:
            raise KeyringError(
                f"{subject} can be read or changed by other users (mode {stat.S_IMODE(status.st_mode):04o}).",
                advice=f"Run: chmod 600 {path}; if others may have read it, change the token's PIN.",
            )
        if status.st_uid not in (os.geteuid(), 0):
            raise KeyringError(f"{subject} belongs to another user.", advice="Change its owner to this user or root.")
        content = os.read(descriptor, _MAX_PIN_FILE).rstrip(b"\r\n")
    finally:
        os.close(descriptor)
    try:
        content.decode()
    except UnicodeDecodeError:
        content = b""
    if not content:
        raise KeyringError(f"{subject} contains no text.", advice="Write the PIN into it, on one line.")
    return Secret(content)
