"""Write exported files to disk: completely or not at all, never readable by others, in one of two layouts.

``plain`` puts the files into the folder itself. Each is written under another name first, and all get their own names
when all are on the disk. A single file, as HAProxy and key stores use it, changes atomically. Several files change one
after the other: a server that starts in between, or after a power cut, may find the new key beside the old certificate.
The next call repairs that.

``versioned`` makes a new folder for each change, and points the link ``live`` to it at last::

    /etc/ssl/shop.example/versions/20261123T120000Z/fullchain.pem …
    /etc/ssl/shop.example/live -> versions/20261123T120000Z

A link changes atomically, so that key and certificate always change together, and an administrator can point ``live``
to the previous version. Other ACME clients use the same layout. A server names the files below ``live``, and still has
to reload them afterwards.

In both, a file whose content, mode and owner are right is left alone, two writers take turns, and the next writer
removes the leftovers of a killed one (names that begin with ``.certcore.``). Which folders are refused:
`certcore.adapters.secure_directory`.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from certcore.adapters.secure_directory import PATIENCE, SOMETHING_ELSE, Folder, Owner, inner_folder, locked_folder
from certcore.errors import FileError, InvalidInputError
from certcore.messages import Message
from certcore.model.export import ExportedFile

__all__ = ["LIVE", "VERSIONS", "Written", "write_plain", "write_versioned"]

#: The link to the version in service, and the directory of all versions.
LIVE: Final = "live"
VERSIONS: Final = "versions"

#: The prefix of unfinished and obsolete files. No exported file's name starts with a dot.
_OURS: Final = ".certcore."
_NEW: Final = f"{_OURS}new."
_OLD: Final = f"{_OURS}old."
_VERSION: Final = re.compile(r"\d{8}T\d{6}Z(-\d\d)?")
#: Versions per second at most.
_PER_SECOND: Final = 100
_MAKE_WRITABLE: Final = Message("files.make_writable", "Choose another folder, or make this one writable.")
_ADVICE: Final = MappingProxyType(
    {
        errno.EACCES: Message("files.no_access", "Choose another folder, or run as a user who may write to this one."),
        errno.EPERM: Message(
            "files.only_root", "Only root can give files to another user, or to a group that it is not in."
        ),
        errno.EROFS: Message("files.read_only", "The file system is read-only: choose another folder."),
        errno.ENOSPC: Message(
            "files.disk_full", "The disk is full: free space and try again; the previous files are still in service."
        ),
        errno.EDQUOT: Message(
            "files.quota", "The quota is exceeded: free space and try again; the previous files are still in service."
        ),
        errno.ENOLCK: Message(
            "files.no_locks", "The file system does not support locks: choose a directory on a local disk."
        ),
    }
)


@frozen(kw_only=True)
class Written:
    """The result of writing files."""

    #: Where a server reads the files: the directory itself, or its ``live`` link.
    folder: Path
    #: The names of new or changed files, in the given order.
    changed: tuple[str, ...]
    #: The names of files that were up to date.
    unchanged: tuple[str, ...]


def write_plain(
    folder: Path,
    files: Iterable[ExportedFile],
    *,
    owner: str | int | None = None,
    group: str | int | None = None,
    secret_mode: int | None = None,
    patience: float = PATIENCE,
) -> Written:
    """Write files into a directory. Other files in it, also those of an earlier export, are kept.

    After an error in between, all files are as they were, if the file system knows hard links.

    Args:
        folder: The directory. A missing one is created; only the owner, and the group if one is given, can open it.
        files: The result of `ExportFormat.export`.
        owner: The user, by name or number, to whom the files and new folders belong; None for the user of this process.
        group: The group, by name or number; None for the group of this process.
        secret_mode: The mode of secret files instead of their own, for example 0640 together with a group.
        patience: How many seconds to wait while another process writes to the folder.

    Raises:
        FileError: The folder cannot be written to, or is not trusted; the message says why.
        InvalidInputError: `files` is empty or has a name twice, the user or group does not exist, or the mode lets
            everybody read secrets.
    """
    prepared = _prepared(files, secret_mode)
    file_owner = Owner.find(owner, group)
    with _explained(folder), locked_folder(folder, file_owner, patience=patience) as place, _cleaned(place):
        changed = [file for file in prepared if _differs(place, file, file_owner)]
        _replace(place, changed, file_owner)
    return _written(place.path, prepared, changed)


def write_versioned(  # noqa: PLR0913 - each is an option that whoever deploys may have
    folder: Path,
    files: Iterable[ExportedFile],
    *,
    at: datetime,
    owner: str | int | None = None,
    group: str | int | None = None,
    secret_mode: int | None = None,
    keep: int = 1,
    patience: float = PATIENCE,
) -> Written:
    """Write files into a new version and put it into service; no version is made if no file has changed.

    After an error, the version from before or the new one is in service, as a whole.

    Args:
        folder: As in `write_plain`.
        files: The result of `ExportFormat.export`: all files of the version.
        at: The present moment; the version is named after it, in UTC.
        owner: As in `write_plain`.
        group: As in `write_plain`.
        secret_mode: As in `write_plain`.
        keep: How many previous versions to keep, with their private keys; older ones are removed.
        patience: As in `write_plain`.

    Raises:
        FileError: As in `write_plain`; or ``live`` exists and is not the link that this function makes.
        InvalidInputError: As in `write_plain`.
    """
    prepared = _prepared(files, secret_mode)
    file_owner = Owner.find(owner, group)
    with (
        _explained(folder),
        locked_folder(folder, file_owner, patience=patience) as place,
        _cleaned(place),
        inner_folder(place, VERSIONS, file_owner, make=True) as versions,
        _cleaned(versions),
    ):
        before = _live_version(place)
        changed = _changed_since(versions, before, prepared, file_owner)
        if changed is not None:
            name = _new_version(versions, prepared, at, file_owner)
            _put_into_service(place, versions, name)
        _prune(place, versions, before, keep)
    return _written(place.path / LIVE, prepared, changed or [])


# ---------------------------------------------------------------------------------------------- shared by both layouts


def _prepared(files: Iterable[ExportedFile], secret_mode: int | None) -> list[ExportedFile]:
    prepared = [evolve(file, mode=secret_mode) if file.secret and secret_mode is not None else file for file in files]
    if not prepared:
        raise InvalidInputError("files", Message("export.no_files", "there is none to write."))
    if len({file.name for file in prepared}) < len(prepared):
        raise InvalidInputError("files", Message("export.same_name", "two of them have the same name."))
    return prepared


def _written(folder: Path, files: Sequence[ExportedFile], changed: Sequence[ExportedFile]) -> Written:
    names = {file.name for file in changed}
    return Written(
        folder=folder,
        changed=tuple(file.name for file in files if file.name in names),
        unchanged=tuple(file.name for file in files if file.name not in names),
    )


def _not_written(folder: Path, error: OSError) -> Message:
    if not error.strerror:
        text = "The files cannot be written to {folder}: the system refused."
        return Message("files.not_written", text, {"folder": folder})
    text = "The files cannot be written to {folder}: {reason}."
    return Message("files.not_written_because", text, {"folder": folder, "reason": error.strerror})


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileError(
            _not_written(folder, error),
            advice=_ADVICE.get(error.errno or 0, _MAKE_WRITABLE),
        ) from None


@contextmanager
def _cleaned(place: Folder) -> Iterator[None]:
    """Remove the leftovers of a killed writer before the block, and those of this writer after it."""
    for name in _leftovers(place):
        place.remove(name)
    try:
        yield
    finally:
        for name in _leftovers(place):
            with suppress(OSError):  # the next writer tries again
                place.remove(name)


def _leftovers(place: Folder) -> list[str]:
    return [name for name in place.names() if name.startswith(_OURS)]


@contextmanager
def _undone(undo: Callable[[], None]) -> Iterator[None]:
    """Undo the changes of a block that raised."""
    complete = False
    try:
        yield
        complete = True
    finally:
        if not complete:
            with suppress(OSError):  # the cause may affect the undo as well; the block's own error is reported
                undo()


def _differs(place: Folder, file: ExportedFile, file_owner: Owner) -> bool:
    """Whether the file is missing in the directory or differs."""
    try:
        status = place.stat(file.name)
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(status.st_mode):
        text = "{path} is a link or a directory and cannot be replaced by a file."
        raise FileError(
            Message("files.not_replaced", text, {"path": place.path / file.name}),
            advice=SOMETHING_ELSE,
        )
    if stat.S_IMODE(status.st_mode) != file.mode or not file_owner.has(status) or status.st_size != len(file.content):
        return True
    try:
        descriptor = place.open(file.name, os.O_RDONLY)
    except PermissionError:
        return True
    with os.fdopen(descriptor, "rb") as present:
        return present.read(len(file.content) + 1) != file.content


def _write(place: Folder, name: str, file: ExportedFile, file_owner: Owner) -> None:
    """Write and sync a new file that is never readable by more users than its mode permits."""
    with os.fdopen(place.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as fresh:
        fresh.write(file.content)
        fresh.flush()
        file_owner.give(fresh.fileno())
        os.fchmod(fresh.fileno(), file.mode)  # independent of the umask
        os.fsync(fresh.fileno())


# ------------------------------------------------------------------------------------------------------------ plain


def _replace(place: Folder, files: Sequence[ExportedFile], file_owner: Owner) -> None:
    """Replace files: write all new files first, then rename all of them."""
    for file in files:
        _write(place, f"{_NEW}{file.name}", file, file_owner)
    kept = {file.name: _keep(place, file.name) for file in files}
    begun: list[str] = []

    def put_back() -> None:
        for name in begun:
            if kept[name]:
                place.rename(f"{_OLD}{name}", name)
            elif kept[name] is False:
                with suppress(FileNotFoundError):
                    place.remove(name)

    with _undone(put_back):
        for file in files:
            begun.append(file.name)
            place.rename(f"{_NEW}{file.name}", file.name)
        place.sync()


def _keep(place: Folder, name: str) -> bool | None:
    """Keep a file under a second name; False if it does not exist, None if it cannot be kept."""
    try:
        place.link(name, f"{_OLD}{name}")
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return True


# --------------------------------------------------------------------------------------------------------- versions


def _live_version(place: Folder) -> str | None:
    """The version in service; None if there is no version yet."""
    try:
        target = os.readlink(LIVE, dir_fd=place.descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        target = ""  # not a link
    folder, _, name = target.rpartition("/")
    if folder != VERSIONS or not _VERSION.fullmatch(name):
        text = "{path} is not a link to one of the versions beside it, and was not changed."
        raise FileError(Message("files.other_link", text, {"path": place.path / LIVE}), advice=SOMETHING_ELSE)
    return name


def _changed_since(
    versions: Folder, before: str | None, files: Sequence[ExportedFile], file_owner: Owner
) -> list[ExportedFile] | None:
    """The files that differ from those of a version; None if the version has exactly these files."""
    if before is None or before not in versions.names():
        return list(files)
    with inner_folder(versions, before, file_owner) as live:
        changed = [file for file in files if _differs(live, file, file_owner)]
        more = set(live.names()) - {file.name for file in files}
    return changed if changed or more else None


def _new_version(versions: Folder, files: Sequence[ExportedFile], at: datetime, file_owner: Owner) -> str:
    """Create a version under a temporary name, and rename it when it is complete."""
    unready = f"{_NEW}version"
    with inner_folder(versions, unready, file_owner, make=True) as fresh:
        for file in files:
            _write(fresh, file.name, file, file_owner)
        fresh.sync()
    moment = f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    existing = versions.names()
    names = (moment, *(f"{moment}-{number:02d}" for number in range(2, _PER_SECOND)))
    name = next((name for name in names if name not in existing), None)
    if name is None:
        params = {"moment": moment, "folder": versions.path}
        raise FileError(
            Message("files.too_many_versions", "There are too many versions of {moment} in {folder}.", params),
            advice=Message("files.too_many_versions.advice", "Remove some."),
        )
    versions.rename(unready, name)
    return name


def _put_into_service(place: Folder, versions: Folder, name: str) -> None:
    def take_back() -> None:
        if _live_version(place) != name:  # an interrupt may arrive after the link was changed
            _discard(versions, name)

    with _undone(take_back):
        versions.sync()
        os.symlink(f"{VERSIONS}/{name}", f"{_NEW}{LIVE}", dir_fd=place.descriptor)
        place.rename(f"{_NEW}{LIVE}", LIVE)
        place.sync()


def _discard(versions: Folder, name: str) -> None:
    """Remove a version; it is renamed first, so that it is never incomplete under its name."""
    versions.rename(name, f"{_OLD}{name}")
    versions.remove(f"{_OLD}{name}")


def _prune(place: Folder, versions: Folder, before: str | None, keep: int) -> None:
    """Remove all versions except the live one and the newest ones to keep."""
    live = _live_version(place)
    others = [name for name in versions.names() if _VERSION.fullmatch(name) and name != live]
    others.sort(key=lambda name: (name == before, name), reverse=True)
    for name in others[max(keep, 0) :]:
        with suppress(OSError):  # the new version is in service; the next writer tries again
            _discard(versions, name)
