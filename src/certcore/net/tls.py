"""TLS contexts of clients: the certificate and its name are always verified."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Final

import certifi

from certcore.errors import InvalidInputError
from certcore.forks import delays_fork, renew_after_fork
from certcore.messages import Message

__all__ = ["TlsContexts", "system_roots_file", "tls_context"]

#: Most contexts that `TlsContexts` keeps.
_MOST_KEPT: Final = 32


class TlsContexts:
    """The contexts of `tls_context`, one for each set of extra roots, while the system's roots stay as they are.

    To read the system's roots takes more computing than a whole exchange with a CA. Any number of threads may share it.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], ssl.SSLContext] = {}
        renew_after_fork(self)

    def after_fork(self) -> None:
        """A child makes its own; see `certcore.forks`."""
        self._kept = {}

    def get(self, extra_roots: str | bytes = "") -> ssl.SSLContext:
        """A context that trusts what `tls_context` would trust now. The caller changes nothing about it.

        Raises:
            InvalidInputError: ``extra_roots`` holds no certificate.
        """
        kept, key = self._kept, (extra_roots, *_system_roots_state())
        context = kept.get(key)
        if context is None:
            context = tls_context(extra_roots=extra_roots)
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            kept[key] = context
        return context


def tls_context(*, extra_roots: str | bytes = "", ca_file: Path | None = None) -> ssl.SSLContext:
    """A context that trusts the system's roots, or those of the ``certifi`` package where the system has none.

    Args:
        extra_roots: PEM certificates to trust as well.
        ca_file: A file of PEM certificates to trust instead of the system's.

    Raises:
        InvalidInputError: ``extra_roots`` or ``ca_file`` holds no certificate, or the file cannot be read.
    """
    with delays_fork():
        return _context(extra_roots, ca_file)


def system_roots_file() -> str:
    """The path of a file with the system's roots, or with those of the ``certifi`` package."""
    return ssl.get_default_verify_paths().cafile or certifi.where()


def _system_roots_state() -> tuple[object, ...]:
    """What is different after the system's roots have changed."""
    paths = ssl.get_default_verify_paths()
    state: list[object] = []
    for path in filter(None, (paths.cafile, paths.capath)):
        try:
            status = os.stat(path)  # noqa: PTH116 - no pathlib
        except OSError:
            continue
        state += [path, status.st_ino, status.st_size, status.st_mtime_ns]
    return tuple(state)


def _context(extra_roots: str | bytes, ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is not None:
        try:
            return ssl.create_default_context(cafile=str(ca_file))
        except (OSError, ssl.SSLError):
            raise InvalidInputError(
                "ca_file",
                Message(
                    "input.ca_file_unreadable",
                    "{ca_file} cannot be read, or is not a file with PEM certificates.",
                    {"ca_file": ca_file},
                ),
            ) from None
    context = ssl.create_default_context()
    if not _system_has_roots():
        context.load_verify_locations(certifi.where())
    if extra_roots:
        data = extra_roots.encode("utf-8", "replace") if isinstance(extra_roots, str) else extra_roots
        try:
            context.load_verify_locations(cadata=data.decode("ascii", "ignore"))  # comments may be in any language
        except (ssl.SSLError, ValueError) as error:
            raise InvalidInputError(
                "extra_roots", Message("input.not_certificates", "is not a list of certificates in PEM form.")
            ) from error
    return context


def _system_has_roots() -> bool:
    paths = ssl.get_default_verify_paths()
    try:
        return paths.cafile is not None or bool(paths.capath and os.listdir(paths.capath))  # noqa: PTH208 - no pathlib
    except OSError:
        return False
