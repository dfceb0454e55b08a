"""ZIP archives of exported files, and the README that tells people which file is for what."""

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

#: What the format can tell; moments outside are told as the nearest one inside.
_FIRST: Final = datetime(1980, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2107, 12, 31, 23, 59, 58, tzinfo=UTC)
#: The operating system that an entry comes from, without which its permissions mean nothing.
_UNIX: Final = 3
#: MS-DOS's mark of a folder, for programs that know no other.
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
    """The text that lies beside the files.

    Args:
        leaf: The certificate.
        names: The files.
        title: The first line.
        at: When they were exported.
        encrypted: Whether the private key, if it is there, has a password.
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
    """A ZIP archive of one folder, with the permissions of a Unix system: the same bytes for the same files and time.

    Nothing is compressed: files of this size gain little, and one zlib compresses differently from the next.

    Args:
        folder: What it unpacks to; the folder is for its owner alone.
        files: What is in it.
        at: The time that is noted for each.
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
    """Text in lines; a long name stays whole, so that it can be copied."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=label.ljust(indent),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
