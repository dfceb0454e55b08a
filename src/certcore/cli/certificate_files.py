"""Writing a certificate and its key where a server reads them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from certcore.errors import CertCoreError
from certcore.services.exports import Exported

__all__ = ["write_files"]

_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644


def write_files(folder: Path, exported: Exported) -> list[Path]:
    """Write cert.pem, chain.pem, fullchain.pem and privkey.pem.

    All four are written under other names first and then renamed, so that a server that starts in between finds each
    file whole. The key's file is readable by its owner alone from its first byte on.

    Args:
        folder: Made with mode 0700 when it is missing.
        exported: What to write.

    Returns:
        The files, in the order above.

    Raises:
        CertCoreError: The folder cannot be made or written to.
    """
    contents = (
        ("cert.pem", exported.leaf_pem.encode(), _PUBLIC),
        ("chain.pem", exported.chain_pem.encode(), _PUBLIC),
        ("fullchain.pem", exported.fullchain_pem.encode(), _PUBLIC),
        ("privkey.pem", exported.private_key.reveal(), _PRIVATE),
    )
    fresh: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, content, mode in contents:
            temporary = folder / f".{name}.{os.getpid()}.new"
            fresh.append((temporary, folder / name))
            _write(temporary, content, mode)
        for temporary, path in fresh:
            temporary.replace(path)
    except OSError as error:
        raise CertCoreError(
            f"The files cannot be written to {folder}: {error.strerror}.",
            advice="Choose another folder with --out, or make this one writable.",
        ) from None
    finally:
        for temporary, _ in fresh:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
    return [path for _, path in fresh]


def _write(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)  # left by a process of the same number that was killed
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        os.fchmod(descriptor, mode)  # whatever the umask says
        file.flush()
        os.fsync(descriptor)
