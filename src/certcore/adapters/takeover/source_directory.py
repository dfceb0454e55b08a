"""Read an untrusted directory: links out of it are not followed, and opening a pipe or a device does not block."""

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

from certcore.errors import CertCoreError, InvalidInputError, TakeoverError
from certcore.messages import Message

__all__ = ["MOST_ENTRIES", "Tree", "opened_tree", "shown"]

#: How many entries of a directory are read.
MOST_ENTRIES: Final = 40_000
#: The largest file that is read, in bytes. A chain with its key takes less than a quarter of this.
_LARGEST: Final = 128 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Opening a pipe or a device must not block.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LONGEST: Final = 300


def shown(*parts: str) -> str:
    """A path for messages and tables: on one line, printable, and shortened if it is long."""
    text = "/".join(parts).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"


@contextmanager
def opened_tree(folder: Path) -> Iterator[Tree]:
    """Open a directory. Links in its own path are followed, because the user chose it, but no links below it.

    Raises:
        InvalidInputError: It does not exist, or cannot be opened.
    """
    try:
        descriptor = os.open(folder, _FOLDER)
    except (OSError, ValueError) as error:
        advice = "Name the client's data directory, and run this as the user who owns it."
        raise InvalidInputError(
            "folder", _not_opened(folder, error), advice=Message("takeover.folder.unopened.advice", advice)
        ) from None
    try:
        yield Tree(descriptor=descriptor)
    finally:
        os.close(descriptor)


@frozen(kw_only=True)
class Tree:
    """An open directory. Each part of a path is opened relative to the one before, without following links."""

    descriptor: int

    def names(self, *parts: str) -> tuple[str, ...]:
        """The sorted entries of a directory; empty if it does not exist, or if `refusal` says why it cannot be read."""
        try:
            return self._listed(parts)[:MOST_ENTRIES]
        except OSError:
            return ()

    def refusal(self, *parts: str) -> str:
        """Why an existing directory cannot be read, or not completely; empty if it can."""
        try:
            if len(self._listed(parts)) <= MOST_ENTRIES:
                return ""
        except FileNotFoundError:
            return ""
        except OSError as error:
            return str(_refused(parts, error))
        return f"It has more than {MOST_ENTRIES} entries; only the first of them were read."

    def folders(self, *parts: str) -> tuple[str, ...]:
        """The subdirectories of a directory, without links."""
        return tuple(name for name in self.names(*parts) if self.is_folder(*parts, name))

    def is_folder(self, *parts: str) -> bool:
        """Whether it is a directory."""
        status = self._stat(parts)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def is_link(self, *parts: str) -> bool:
        """Whether it is a symbolic link."""
        status = self._stat(parts)
        return status is not None and stat.S_ISLNK(status.st_mode)

    def has(self, *parts: str) -> bool:
        """Whether it exists."""
        return self._stat(parts) is not None

    def target(self, *parts: str) -> tuple[str, ...]:
        """The target of a link as parts below this directory; only the link itself is read.

        Raises:
            CertCoreError: It is not a link, or leads out of the directory.
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
        text = "{path} is a link to {target}, which is outside of the directory."
        advice = "Copy the directory with the targets of its links (cp -rL), and name the copy."
        raise TakeoverError(
            Message("takeover.leads_out", text, {"path": shown(*parts), "target": shown(to)}),
            advice=Message("takeover.leads_out.advice", advice),
        )

    def read(self, *parts: str) -> bytes:
        """Read a file.

        Raises:
            CertCoreError: It is missing, too large, or not a regular file, or it cannot be read.
        """
        status = self._stat(parts)
        if status is not None and not stat.S_ISREG(status.st_mode):
            raise _no_file(parts, status)
        try:
            with self._folder(parts[:-1]) as folder, os.fdopen(os.open(parts[-1], _FILE, dir_fd=folder), "rb") as file:
                opened = os.fstat(file.fileno())
                if not stat.S_ISREG(opened.st_mode):
                    raise _no_file(parts, opened)
                data = file.read(_LARGEST + 1)
        except OSError as error:
            raise _refused(parts, error) from None
        if len(data) > _LARGEST:
            text = "{path} has more than {most} bytes, which is too large for a file of an ACME client."
            raise TakeoverError(Message("takeover.too_large", text, {"path": shown(*parts), "most": _LARGEST}))
        return data

    def text(self, *parts: str) -> str:
        """Read a UTF-8 text file.

        Raises:
            CertCoreError: The file cannot be read (see `read`), or is not text.
        """
        try:
            content = self.read(*parts).decode("utf-8-sig")
        except UnicodeDecodeError:
            text = "{path} is not UTF-8 text: it is damaged."
            raise TakeoverError(Message("takeover.not_text", text, {"path": shown(*parts)})) from None
        if "\0" in content:
            text = "{path} contains control characters: it is damaged."
            raise TakeoverError(Message("takeover.control_characters", text, {"path": shown(*parts)}))
        return content

    def document(self, *parts: str) -> dict[str, Any]:
        """Read a file with a JSON object (RFC 8259).

        Raises:
            CertCoreError: The file is invalid or cannot be read. The error does not contain its content.
        """
        try:
            value = json.loads(self.text(*parts))
        except (ValueError, RecursionError):
            text = "{path} is not JSON: it is damaged."
            raise TakeoverError(Message("takeover.not_json", text, {"path": shown(*parts)})) from None
        if not isinstance(value, dict):
            text = "{path} is not a JSON object: it is damaged, or from another program."
            raise TakeoverError(Message("takeover.no_object", text, {"path": shown(*parts)}))
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
        """Open the directories one by one, so that no link can be inserted between them."""
        descriptor = os.open(".", _FOLDER, dir_fd=self.descriptor)
        try:
            for part in parts:
                inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _no_file(parts: tuple[str, ...], status: os.stat_result) -> CertCoreError:
    params = {"path": shown(*parts)}
    if stat.S_ISLNK(status.st_mode):
        text = "{path} is a symbolic link, which is not followed."
        return TakeoverError(Message("takeover.link", text, params))
    if stat.S_ISDIR(status.st_mode):
        return TakeoverError(Message("takeover.directory", "{path} is a directory, not a file.", params))
    text = "{path} is a device, a pipe or a socket, not a file."
    return TakeoverError(Message("takeover.special", text, params))


def _not_opened(folder: Path, error: OSError | ValueError) -> Message:
    path = shown(str(folder))
    if isinstance(error, OSError):
        params = {"path": path, "reason": error.strerror}
        return Message("takeover.folder.unopened", "{path} cannot be opened: {reason}.", params)
    return Message("takeover.folder.bad_name", "{path} cannot be opened: its name is invalid.", {"path": path})


def _refused(parts: tuple[str, ...], error: OSError) -> CertCoreError:
    params = {"path": shown(*parts) or ".", "reason": error.strerror}
    if error.errno == errno.ENOENT:
        return TakeoverError(Message("takeover.missing", "{path} is missing.", params))
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        text = "{path} or one of its parents is a link or a file instead of a directory."
        return TakeoverError(Message("takeover.no_directory", text, params))
    denied = Message("takeover.owner.advice", "Run this as the user who owns it.")
    return TakeoverError(
        Message("takeover.unread", "{path} cannot be read: {reason}.", params),
        advice=denied if error.errno in (errno.EACCES, errno.EPERM) else "",
    )
