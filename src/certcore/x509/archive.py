"""ZIP archives of exported files, and the README in them that explains what each file is for."""

from __future__ import annotations

import io
import stat
import textwrap
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from certcore.messages import shown_moment
from certcore.model.export import ExportedFile
from certcore.model.leaf import Leaf

__all__ = ["readme", "zip_archive"]

#: The first and the last moment that a ZIP entry can have. A moment outside becomes the nearer of the two.
_FIRST: Final = datetime(1980, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
#: The value of "made by" for Unix: unpackers apply Unix permissions only to entries that have it.
_UNIX: Final = 3
#: The MS-DOS attribute of a folder, for programs that do not read Unix attributes.
_DOS_FOLDER: Final = 0x10
_WIDTH: Final = 78

_EXPLAINED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cert.pem": "The certificate alone. For programs that take the chain as a file of its own.",
        "chain.pem": "The intermediate certificates alone, which lead from the certificate towards the root. Empty "
        "when there are none.",
        "fullchain.pem": "The certificate followed by the intermediates. This is what nearly every server wants as "
        "its certificate: nginx, Apache from 2.4.8 on, lighttpd, Postfix, Dovecot.",
        "root.pem": "The root. Clients have it already; servers do not send it.",
        "privkey.pem": "The private key. SECRET: whoever has it can pretend to be the server.",
        "cert.der": "The certificate alone, binary. For Java, Windows and appliances.",
        "fullchain.p7b": "The certificate with its chain in one file without the key (PKCS#7). For Windows and Tomcat.",
        "privkey.der": "The private key, binary. SECRET.",
        "cert.p12": "The private key with the certificate and its chain in one file (PKCS#12, also called PFX). For "
        "Windows, IIS, Java and Tomcat. SECRET; it opens with the password of the export.",
    }
)
_NO_KEY: Final = "The private key is not in this archive."
_UNLOCKING: Final = (
    "The private key is encrypted with the password of the export. To take the password off for a server:\n"
    "openssl pkey -in privkey.pem -out plain.pem"
)


def readme(leaf: Leaf, names: Sequence[str], *, title: str, at: datetime, encrypted: bool) -> str:
    """The text of the README of an export.

    Args:
        leaf: The exported leaf.
        names: The names of the exported files, each a key of `_EXPLAINED`.
        title: The first line.
        at: When the files were exported, with its time zone.
        encrypted: Whether the private key is encrypted. Ignored when `names` contains no private key.
    """
    facts = (
        ("Names:", ", ".join(leaf.names)),
        ("Issuer:", leaf.issuer),
        ("Serial number:", leaf.serial_hex),
        ("Valid from:", shown_moment(leaf.not_before)),
        ("Valid until:", shown_moment(leaf.not_after)),
        ("SHA-256:", leaf.fingerprint_sha256),
        ("Exported:", shown_moment(at)),
    )
    parts = [
        f"{title}\n{'=' * len(title)}",
        "\n".join(_wrapped(value, 15, label) for label, value in facts),
        *(f"{name}\n{_wrapped(_EXPLAINED[name], 4)}" for name in names),
    ]
    if "privkey.pem" not in names:
        parts.append(_NO_KEY)
    elif encrypted:
        parts += (_wrapped(line, 0) for line in _UNLOCKING.splitlines())
    return "\n\n".join(parts) + "\n"


def zip_archive(folder: str, files: Iterable[ExportedFile], at: datetime) -> bytes:
    """Pack files into a ZIP archive with one folder and Unix permissions.

    The same files and time give the same bytes. Nothing is compressed: small files gain little, and the compressed
    bytes would depend on the version of zlib.

    Args:
        folder: The name of the folder; its mode is 0700.
        files: The files to pack.
        at: The modification time of every entry, with its time zone.
    """
    stamp = min(max(at.astimezone(UTC), _FIRST), _LAST).timetuple()[:6]
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:

        def add(name: str, content: bytes, attributes: int) -> None:
            entry = zipfile.ZipInfo(name, stamp)
            entry.create_system = _UNIX
            entry.external_attr = attributes
            archive.writestr(entry, content)

        add(f"{folder}/", b"", (stat.S_IFDIR | 0o700) << 16 | _DOS_FOLDER)
        for file in files:
            add(f"{folder}/{file.name}", file.content, (stat.S_IFREG | file.mode) << 16)
    return memory.getvalue()


def _wrapped(text: str, indent: int, label: str = "") -> str:
    """Text wrapped into lines. Long words are not broken, so that names can be copied."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=label.ljust(indent),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
