"""A folder of somebody else's, looked into with care: nothing is written, no link leads out, no file holds us up."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from certcore.errors import CertCoreError, InvalidInput

__all__ = ["MOST_ENTRIES", "Tree", "opened_tree", "shown"]

#: How many entries of one folder are looked at.
MOST_ENTRIES: Final = 40_000
#: A chain with its key takes less than a quarter of it.
_LARGEST: Final = 128 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe or a device in a file's place must not hold us up.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LONGEST: Final = 300


def shown(*parts: str) -> str:
    """A path in a sentence or in a table: on one line, and not too long, whatever it is made of."""
    text = "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    plain = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"


@contextmanager
def opened_tree(folder: Path) -> Iterator[Tree]:
    """Open a folder; links on the way to it are followed, as the person named it, and none below it.

    Raises:
        InvalidInput: It is not there, or cannot be opened.
    """
    try:
        descriptor = os.open(folder, _FOLDER)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "its name is none."
        raise InvalidInput(
            "folder",
            f"{shown(str(folder))} cannot be opened: {why}",
            advice="Name the client's data folder, and run this as the user whose it is.",
        ) from None
    try:
        yield Tree(descriptor=descriptor)
    finally:
        os.close(descriptor)


@frozen(kw_only=True)
class Tree:
    """An open folder. Paths are given in parts; each is opened inside the one before, and no link is followed."""

    descriptor: int

    def names(self, *parts: str) -> tuple[str, ...]:
        """What is in a folder, sorted; nothing when there is none, or where `refusal` says why it cannot be read."""
        try:
            return self._listed(parts)[:MOST_ENTRIES]
        except OSError:
            return ()

    def refusal(self, *parts: str) -> str:
        """Why a folder that is there cannot be read, or not as a whole; empty when it can."""
        try:
            if len(self._listed(parts)) <= MOST_ENTRIES:
                return ""
        except FileNotFoundError:
            return ""
        except OSError as error:
            return str(_refused(parts, error))
        return f"It has more than {MOST_ENTRIES} entries; only the first of them were looked at."

    def folders(self, *parts: str) -> tuple[str, ...]:
        """The folders in a folder, links left out."""
        return tuple(name for name in self.names(*parts) if self.is_folder(*parts, name))

    def is_folder(self, *parts: str) -> bool:
        """Whether a folder is there."""
        found = self._stat(parts)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def is_link(self, *parts: str) -> bool:
        """Whether there is a symbolic link."""
        found = self._stat(parts)
        return found is not None and stat.S_ISLNK(found.st_mode)

    def has(self, *parts: str) -> bool:
        """Whether anything is there."""
        return self._stat(parts) is not None

    def target(self, *parts: str) -> tuple[str, ...]:
        """Where a link leads, as parts below this folder; it is the text of the link, and nothing is opened.

        Raises:
            CertCoreError: It is no link, or it leads out of the folder.
        """
        try:
            with self._folder(parts[:-1]) as descriptor:
                to = os.readlink(parts[-1], dir_fd=descriptor)
        except OSError as error:
            raise _refused(parts, error) from None
        place = [] if to.startswith("/") else list(parts[:-1])
        for step in to.split("/"):
            if step == "..":
                if not place:
                    break
                place.pop()
            elif step not in ("", "."):
                place.append(step)
        else:
            if place and not to.startswith("/"):
                return tuple(place)
        raise CertCoreError(
            f"{shown(*parts)} is a link that leads out of the folder, to {shown(to)}.",
            advice="Copy the folder with what its links lead to (cp -rL), and name the copy.",
        )

    def read(self, *parts: str) -> bytes:
        """A file.

        Raises:
            CertCoreError: It is missing, no regular file, too large, or cannot be read.
        """
        found = self._stat(parts)
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise CertCoreError(f"{shown(*parts)} is {_kind(found)}, and not a file.")
        try:
            with self._folder(parts[:-1]) as folder, os.fdopen(os.open(parts[-1], _FILE, dir_fd=folder), "rb") as file:
                opened = os.fstat(file.fileno())
                if not stat.S_ISREG(opened.st_mode):
                    raise CertCoreError(f"{shown(*parts)} is {_kind(opened)}, and not a file.")
                data = file.read(_LARGEST + 1)
        except OSError as error:
            raise _refused(parts, error) from None
        if len(data) > _LARGEST:
            raise CertCoreError(f"{shown(*parts)} has more than {_LARGEST} bytes, and is no file of an ACME client.")
        return data

    def text(self, *parts: str) -> str:
        """A file in UTF-8.

        Raises:
            CertCoreError: It is none, or cannot be read.
        """
        try:
            text = self.read(*parts).decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CertCoreError(f"{shown(*parts)} is no text in UTF-8: it is damaged.") from None
        if "\0" in text:
            raise CertCoreError(f"{shown(*parts)} holds bytes that belong into no text: it is damaged.")
        return text

    def document(self, *parts: str) -> dict[str, Any]:
        """A JSON object (RFC 8259).

        Raises:
            CertCoreError: The file is none, or cannot be read; what it holds is not repeated.
        """
        try:
            value = json.loads(self.text(*parts))
        except (ValueError, RecursionError):
            raise CertCoreError(f"{shown(*parts)} is no JSON: it is damaged.") from None
        if not isinstance(value, dict):
            raise CertCoreError(f"{shown(*parts)} is JSON, but no object: it is damaged, or of another program.")
        return value

    def _listed(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        with self._folder(parts) as descriptor, os.scandir(descriptor) as entries:
            return tuple(sorted(entry.name for entry in islice(entries, MOST_ENTRIES + 1)))

    def _stat(self, parts: tuple[str, ...]) -> os.stat_result | None:
        try:
            with self._folder(parts[:-1]) as descriptor:
                return os.stat(parts[-1], dir_fd=descriptor, follow_symlinks=False)
        except (OSError, ValueError):
            return None

    @contextmanager
    def _folder(self, parts: tuple[str, ...]) -> Iterator[int]:
        """Open folder in folder, so that nobody can put a link in between."""
        descriptor = os.open(".", _FOLDER, dir_fd=self.descriptor)
        try:
            for part in parts:
                inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _kind(found: os.stat_result) -> str:
    for test, name in (
        (stat.S_ISLNK, "a link, which is not followed"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(found.st_mode):
            return name
    return "a device"


def _refused(parts: tuple[str, ...], error: OSError) -> CertCoreError:
    place = shown(*parts) or "The folder"
    if error.errno == errno.ENOENT:
        return CertCoreError(f"{place} is missing.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return CertCoreError(f"{place} cannot be read: {error.strerror}.", advice="Run this as the user whose it is.")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return CertCoreError(f"{place} is, or lies behind, a link or a file where a folder is expected.")
    return CertCoreError(f"{place} cannot be read: {error.strerror}.")
