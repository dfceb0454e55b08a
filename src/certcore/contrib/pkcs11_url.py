"""Where a PKCS#11 key is: URLs as in RFC 7512, and the PIN that they lead to."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from attrs import field, frozen

from certcore.errors import KeyringRefused
from certcore.model.secret import Secret

__all__ = ["Pkcs11Address", "is_pkcs11_url", "parse_pkcs11_url"]

_SCHEME: Final = "pkcs11:"
_EXAMPLE: Final = "pkcs11:token=TOKEN;object=KEY?module-path=/PATH/TO/LIBRARY.so&pin-source=file:/PATH/TO/PIN"
#: The attributes that say which token.
_OF_TOKEN: Final = ("token", "serial", "manufacturer", "model")
_OF_KEY: Final = ("object", "type")
_OF_QUERY: Final = ("module-path", "pin-source", "pin-value")
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
#: What the database keeps of a key's id, which is its label.
_MAX_LABEL: Final = 100
_MAX_PIN_FILE: Final = 1024


@frozen(kw_only=True)
class Pkcs11Address:
    """What a URL says. Two that lead to the same token are equal, whatever key and PIN they name."""

    #: The library's absolute path.
    module: str
    #: Which token: ``token`` (its label), ``serial``, ``manufacturer`` and ``model``, as far as they are given.
    token: tuple[tuple[str, str], ...]
    #: The label of the current key.
    key_id: str = field(eq=False)
    pin_file: Path | None = field(eq=False)
    pin_value: Secret | None = field(eq=False)

    def __str__(self) -> str:
        """The token, as messages name it."""
        named = dict(self.token)
        if "token" in named:
            return f"The token {named['token']!r}"
        described = ", ".join(f"{name} {value!r}" for name, value in self.token)
        return f"The token with {described}" if described else "The token"

    def pin(self) -> Secret | None:
        """The PIN, read anew at every login: it may have been changed since; None when the URL names none.

        Raises:
            KeyringRefused: Its file is missing, empty, or readable by others.
        """
        return _read_pin(self.pin_file) if self.pin_file else self.pin_value


def is_pkcs11_url(url: str) -> bool:
    """Whether a URL is of this kind."""
    return url[: len(_SCHEME)].lower() == _SCHEME


def parse_pkcs11_url(url: str) -> Pkcs11Address:
    """Read a URL; nothing is opened or loaded.

    Raises:
        KeyringRefused: It is malformed, incomplete, or asks for something that is not done here.
    """
    if not is_pkcs11_url(url):
        raise _malformed("does not begin with pkcs11:")
    path, _, query = url[len(_SCHEME) :].partition("?")
    named = _attributes(path, ";", (*_OF_TOKEN, *_OF_KEY))
    options = _attributes(query, "&", _OF_QUERY)
    key_id, module = named.get("object", ""), options.get("module-path", "")
    if not 0 < len(key_id) <= _MAX_LABEL:
        raise _malformed(f"names no key, or one with more than {_MAX_LABEL} characters: object=KEY")
    if named.get("type", "secret-key") != "secret-key":
        raise _malformed("asks for something else than a secret key")
    if not module.startswith("/"):
        raise _malformed("does not say where the token's library is, as an absolute path: module-path=/…")
    if "pin-source" in options and "pin-value" in options:
        raise _malformed("has both pin-source and pin-value; one is enough")
    return Pkcs11Address(
        module=module,
        token=tuple((name, named[name]) for name in _OF_TOKEN if name in named),
        key_id=key_id,
        pin_file=_pin_file(options["pin-source"]) if "pin-source" in options else None,
        pin_value=Secret(options["pin-value"]) if options.get("pin-value") else None,
    )


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if not equals or name not in known or name in found:
            # It is not repeated: it may be a piece of a PIN whose & was not written as %26.
            raise _malformed(f"may have these, each once, with {separator!r} between them: {', '.join(known)}")
        try:
            found[name] = unquote(value, errors="strict")
            found[name].encode()
        except UnicodeError:
            raise _malformed(f"has a {name} that is not UTF-8") from None
        if _BROKEN_ESCAPE.search(value) or "\0" in found[name]:
            raise _malformed(f"has a {name} that is not written as RFC 7512 wants it; a percent sign is %25")
    return found


def _malformed(why: str) -> KeyringRefused:
    return KeyringRefused(f"The URL of the PKCS#11 keyring {why}.", advice=f"Its form is {_EXAMPLE}")


def _pin_file(source: str) -> Path:
    path = source.removeprefix("file://").removeprefix("file:")
    if not path.startswith("/"):  # RFC 7512 has programs too; nothing is run for a PIN here
        raise _malformed("has a pin-source that is no file: pin-source=file:/PATH")
    return Path(path)


def _read_pin(path: Path) -> Secret:
    what = f"The file {path} with the token's PIN"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise KeyringRefused(
            f"{what} cannot be read: {error.strerror}.", advice="Write the PIN into it, or name another pin-source."
        ) from None
    try:
        # Asked of the open file, so that nobody can swap it in between.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise KeyringRefused(f"{what} is not a regular file.", advice="Name a file: pin-source=file:/PATH")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise KeyringRefused(
                f"{what} can be read or changed by others (mode {stat.S_IMODE(found.st_mode):04o}).",
                advice=f"Run: chmod 600 {path}; if others may have read it, change the token's PIN.",
            )
        if found.st_uid not in (os.geteuid(), 0):
            raise KeyringRefused(f"{what} belongs to another user.", advice="Make it your own, or root's.")
        content = os.read(descriptor, _MAX_PIN_FILE).rstrip(b"\r\n")
    finally:
        os.close(descriptor)
    try:
        content.decode()
    except UnicodeDecodeError:
        content = b""
    if not content:
        raise KeyringRefused(f"{what} holds no text.", advice="Write the PIN into it, on one line.")
    return Secret(content)
