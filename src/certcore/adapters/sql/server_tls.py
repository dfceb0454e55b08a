"""TLS to MariaDB and MySQL with the URL options of PostgreSQL's library: ``sslmode`` and others.

PyMySQL's own options (``ssl_ca`` and others) are passed on unchanged. The two kinds cannot be mixed.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

import sqlalchemy as sa

from certcore.errors import StorageUnavailableError
from certcore.forks import delays_fork
from certcore.messages import Message

__all__ = ["mysql_tls"]

_MODES: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
_NAMES: Final = ("sslmode", "sslrootcert", "sslcert", "sslkey")


def mysql_tls(url: sa.URL) -> tuple[sa.URL, dict[str, Any]]:
    """Read the TLS options of a URL.

    Returns:
        The URL without these options, and the arguments for PyMySQL.

    Raises:
        StorageUnavailableError: An option is wrong, or a file that it names cannot be used.
    """
    options = {name: str(url.query[name]) for name in _NAMES if name in url.query}
    if not options:
        return url, {}
    if any(name.startswith("ssl_") for name in url.query):
        raise StorageUnavailableError(
            Message("storage.tls.mixed", "The database URL mixes sslmode with options of PyMySQL."),
            advice=Message("storage.tls.mixed.advice", "Use only {names}.", {"names": ", ".join(_NAMES)}),
        )
    mode = options.get("sslmode", "verify-full" if "sslrootcert" in options else "prefer")
    if mode not in _MODES:
        raise StorageUnavailableError(
            Message("storage.tls.mode", "sslmode={mode} in the database URL is unknown.", {"mode": mode[:20]}),
            advice=Message("storage.tls.mode.advice", "Use one of {modes}.", {"modes": ", ".join(_MODES)}),
        )
    rest = url.difference_update_query(options)
    if mode == "disable":
        return rest, {"ssl_disabled": True}
    if mode == "prefer":
        return rest, {}
    return rest, {"ssl": _context(mode, options)}


def _context(mode: str, options: dict[str, str]) -> ssl.SSLContext:
    roots = options.get("sslrootcert", "system")
    try:
        with delays_fork():
            context = ssl.create_default_context(cafile=None if roots == "system" else roots)
            if "sslcert" in options:
                context.load_cert_chain(options["sslcert"], options.get("sslkey"))
    except (OSError, ssl.SSLError) as error:
        text = "A TLS file that the database URL names cannot be used: {reason}."
        raise StorageUnavailableError(
            Message("storage.tls.file", text, {"reason": error.strerror or type(error).__name__}),
            advice=Message("storage.tls.file.advice", "Check sslrootcert, sslcert and sslkey."),
        ) from None
    context.check_hostname = mode == "verify-full"
    if mode == "require":
        context.verify_mode = ssl.CERT_NONE
    return context
