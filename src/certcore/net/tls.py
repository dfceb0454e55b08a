"""TLS contexts for clients. The server's certificate and its name are always verified."""

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

#: The largest number of contexts that `TlsContexts` keeps.
_MOST_KEPT: Final = 32


class TlsContexts:
    """A cache of contexts, one for each set of extra roots. It is thread-safe.

    Reading the system's roots takes more CPU time than a whole exchange with a CA. The contexts are made again when the
    system's roots change.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], ssl.SSLContext] = {}
        renew_after_fork(self)

    def after_fork(self) -> None:
        """Empty the cache in a child process, see `certcore.forks`."""
        self._kept = {}

    def get(self, extra_roots: str | bytes = "") -> ssl.SSLContext:
        """A cached context of `tls_context`. The caller must not change it.

        Args:
            extra_roots: Additional trusted certificates in PEM.

        Raises:
            InvalidInputError: ``extra_roots`` contains no certificate.
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
    """Make a context that trusts the system's roots, or those of the package ``certifi`` if the system has none.

    Args:
        extra_roots: Additional trusted certificates in PEM.
        ca_file: A file with certificates in PEM to trust instead of the system's roots and ``extra_roots``.

    Raises:
        InvalidInputError: ``extra_roots`` or ``ca_file`` contains no certificate, or the file cannot be read.
    """
    with delays_fork():
        return _context(extra_roots, ca_file)


def system_roots_file() -> str:
    """The path of a file with the system's roots, or with those of the package ``certifi``."""
    return ssl.get_default_verify_paths().cafile or certifi.where()


def _system_roots_state() -> tuple[object, ...]:
    """A value that changes when the system's roots change."""
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
