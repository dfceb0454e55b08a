"""Exported files on disk: written as a whole or not at all, private from the first byte on, in one of two layouts.

``plain`` puts the files into the folder itself. Each is written under another name first, and all get their own names
when all are on the disk. A single file, as HAProxy and key stores have it, changes at one moment. Several change one
after the other: a server that starts just then, or a power cut, may find the new key beside the old certificate. The
next call puts that right.

``versioned`` makes a new folder for each change, and points the link ``live`` to it at last::

    /etc/ssl/shop.example/versions/20261123T120000Z/fullchain.pem …
    /etc/ssl/shop.example/live -> versions/20261123T120000Z

A link changes at one moment, so that key and certificate change together, whatever happens; and an administrator can
point ``live`` to the version before. Who used other ACME clients knows it. A server names the files below ``live``, and
has to be told to reload afterwards, as always.

In both, a file whose content, mode and owner are right is left alone, two writers come one after the other, and what a
killed one left behind (names that begin with ``.certcore.``) is removed by the next. `certcore.adapters.folders` says
which folders are refused.
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

from certcore.adapters.folders import PATIENCE, Folder, Owner, inner_folder, locked_folder
from certcore.errors import CertCoreError, InvalidInput
from certcore.model.export import ExportedFile

__all__ = ["LIVE", "VERSIONS", "Written", "write_plain", "write_versioned"]

#: The link to the version in service, and the folder of all versions.
LIVE: Final = "live"
VERSIONS: Final = "versions"

#: What is not ready yet, or not needed any more. No exported file's name begins with a dot.
_OURS: Final = ".certcore."
_NEW: Final = f"{_OURS}new."
_OLD: Final = f"{_OURS}old."
_VERSION: Final = re.compile(r"\d{8}T\d{6}Z(-\d\d)?")
#: How many versions may begin in one second.
_PER_SECOND: Final = 100
_ADVICE: Final = MappingProxyType(
    {
        errno.EACCES: "Choose another folder, or run as a user who may write to this one.",
        errno.EPERM: "Only root can give files to another user, or to a group that it is not in.",
        errno.EROFS: "The file system is read-only: choose another folder.",
        errno.ENOSPC: "The disk is full: make room and try again; what was there before is still in service.",
        errno.EDQUOT: "The quota is used up: make room and try again; what was there before is still in service.",
        errno.ENOLCK: "The file system knows no locks: choose a folder on a local disk.",
    }
)


@frozen(kw_only=True)
class Written:
    """What a call did."""

    #: Where a server reads the files: the folder itself, or its ``live`` link.
    folder: Path
    #: The names of the files that are new or other than before, in the order in which they were given.
    changed: tuple[str, ...]
    #: The names of those that were right already.
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
    """Write files into a folder. Other files in it are left alone, those of an earlier export included.

    After an error in between, all files are as they were, if the file system knows hard links.

    Args:
        folder: Made when it is missing: for the owner alone, and for the group if one is given.
        files: What `ExportFormat.export` made.
        owner: The user, by name or number, whom files and new folders belong to; None for the one who writes.
        group: The same for the group.
        secret_mode: The mode of secret files instead of their own, for example 0640 together with a group.
        patience: Seconds to wait while somebody else writes to the folder.

    Raises:
        CertCoreError: The folder cannot be written to, or is not to be trusted; the sentence says why.
        InvalidInput: There is no file, user or group, or the mode opens secrets to everybody.
    """
    wanted = _prepared(files, secret_mode)
    who = Owner.find(owner, group)
    with _explained(folder), locked_folder(folder, who, patience=patience) as place, _cleaned(place):
        changed = [file for file in wanted if _differs(place, file, who)]
        _replace(place, changed, who)
    return _written(place.path, wanted, changed)


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
    """Write files into a new version of a folder and put it into service; nothing is done when none of them changed.

    After an error, the version from before or the new one is in service, as a whole.

    Args:
        folder: As in `write_plain`.
        files: What `ExportFormat.export` made: all files of the version.
        at: The present moment; the version is named after it.
        owner: As in `write_plain`.
        group: As in `write_plain`.
        secret_mode: As in `write_plain`.
        keep: How many versions from before stay, for going back. They hold private keys; the others are removed.
        patience: As in `write_plain`.

    Raises:
        CertCoreError: As in `write_plain`; or ``live`` is there and is not the link that this function makes.
        InvalidInput: As in `write_plain`.
    """
    wanted = _prepared(files, secret_mode)
    who = Owner.find(owner, group)
    with (
        _explained(folder),
        locked_folder(folder, who, patience=patience) as place,
        _cleaned(place),
        inner_folder(place, VERSIONS, who, make=True) as versions,
        _cleaned(versions),
    ):
        before = _live_version(place)
        changed = _changed_since(versions, before, wanted, who)
        if changed is not None:
            name = _new_version(versions, wanted, at, who)
            _put_into_service(place, versions, name)
        _prune(place, versions, before, keep)
    return _written(place.path / LIVE, wanted, changed or [])


# -------------------------------------------------------------------------------------------------- what both need


def _prepared(files: Iterable[ExportedFile], secret_mode: int | None) -> list[ExportedFile]:
    wanted = [evolve(file, mode=secret_mode) if file.secret and secret_mode is not None else file for file in files]
    if not wanted:
        raise InvalidInput("files", "there is none to write.")
    if len({file.name for file in wanted}) < len(wanted):
        raise InvalidInput("files", "two of them have the same name.")
    return wanted


def _written(folder: Path, wanted: Sequence[ExportedFile], changed: Sequence[ExportedFile]) -> Written:
    names = {file.name for file in changed}
    return Written(
        folder=folder,
        changed=tuple(file.name for file in wanted if file.name in names),
        unchanged=tuple(file.name for file in wanted if file.name not in names),
    )


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CertCoreError(
            f"The files cannot be written to {folder}: {error.strerror or 'the system refused'}.",
            advice=_ADVICE.get(error.errno or 0, "Choose another folder, or make this one writable."),
        ) from None


@contextmanager
def _cleaned(place: Folder) -> Iterator[None]:
    """Remove what a killed writer left behind, and afterwards what is left of ours."""
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
    """Undo a block that did not come to its end."""
    complete = False
    try:
        yield
        complete = True
    finally:
        if not complete:
            with suppress(OSError):  # what stopped the block may stop this as well; the block's error is the one to see
                undo()


def _differs(place: Folder, file: ExportedFile, who: Owner) -> bool:
    """Whether the folder's file of this name is missing or other than wanted."""
    try:
        found = place.stat(file.name)
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(found.st_mode):
        raise CertCoreError(
            f"{place.path / file.name} is a link or a folder, and not a file that could be replaced.",
            advice="Something else keeps its files here: choose another folder, or move it away.",
        )
    if stat.S_IMODE(found.st_mode) != file.mode or not who.has(found) or found.st_size != len(file.content):
        return True
    try:
        descriptor = place.open(file.name, os.O_RDONLY)
    except PermissionError:
        return True
    with os.fdopen(descriptor, "rb") as present:
        return present.read(len(file.content) + 1) != file.content


def _write(place: Folder, name: str, file: ExportedFile, who: Owner) -> None:
    """A new file, on the disk, and at no moment more readable than it may be."""
    with os.fdopen(place.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as fresh:
        fresh.write(file.content)
        fresh.flush()
        who.give(fresh.fileno())
        os.fchmod(fresh.fileno(), file.mode)  # whatever the umask says
        os.fsync(fresh.fileno())


# ------------------------------------------------------------------------------------------------------------ plain


def _replace(place: Folder, files: Sequence[ExportedFile], who: Owner) -> None:
    """Put files in the place of others: first all of them on the disk, then all of them under their names."""
    for file in files:
        _write(place, f"{_NEW}{file.name}", file, who)
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
    """Keep a file under a second name; False when there is none, None when it cannot be kept."""
    try:
        place.link(name, f"{_OLD}{name}")
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return True


# --------------------------------------------------------------------------------------------------------- versions


def _live_version(place: Folder) -> str | None:
    """The version in service; None when there is none yet."""
    try:
        target = os.readlink(LIVE, dir_fd=place.descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        target = ""  # it is no link
    folder, _, name = target.rpartition("/")
    if folder != VERSIONS or not _VERSION.fullmatch(name):
        raise CertCoreError(
            f"{place.path / LIVE} is not a link to one of the versions beside it; it was left as it is.",
            advice="Something else keeps its files here: choose another folder, or move it away.",
        )
    return name


def _changed_since(
    versions: Folder, before: str | None, wanted: Sequence[ExportedFile], who: Owner
) -> list[ExportedFile] | None:
    """The files that differ from those of a version; None when it is the same, with nothing more in it."""
    if before is None or before not in versions.names():
        return list(wanted)
    with inner_folder(versions, before, who) as live:
        changed = [file for file in wanted if _differs(live, file, who)]
        more = set(live.names()) - {file.name for file in wanted}
    return changed if changed or more else None


def _new_version(versions: Folder, files: Sequence[ExportedFile], at: datetime, who: Owner) -> str:
    """Make a version that is whole from the moment on at which it has its name."""
    unready = f"{_NEW}version"
    with inner_folder(versions, unready, who, make=True) as fresh:
        for file in files:
            _write(fresh, file.name, file, who)
        fresh.sync()
    moment = f"{at.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    taken = versions.names()
    names = (moment, *(f"{moment}-{number:02d}" for number in range(2, _PER_SECOND)))
    name = next((name for name in names if name not in taken), None)
    if name is None:
        raise CertCoreError(f"There are too many versions of {moment} in {versions.path}.", advice="Remove some.")
    versions.rename(unready, name)
    return name


def _put_into_service(place: Folder, versions: Folder, name: str) -> None:
    def take_back() -> None:
        if _live_version(place) != name:  # an interrupt may come when the link has changed already
            _discard(versions, name)

    with _undone(take_back):
        versions.sync()
        os.symlink(f"{VERSIONS}/{name}", f"{_NEW}{LIVE}", dir_fd=place.descriptor)
        place.rename(f"{_NEW}{LIVE}", LIVE)
        place.sync()


def _discard(versions: Folder, name: str) -> None:
    """Remove a version; its name goes first, so that no half of one is ever found under it."""
    versions.rename(name, f"{_OLD}{name}")
    versions.remove(f"{_OLD}{name}")


def _prune(place: Folder, versions: Folder, before: str | None, keep: int) -> None:
    """Remove all versions but the live one, the one before it, and as many more, the newest, as are to be kept."""
    live = _live_version(place)
    others = [name for name in versions.names() if _VERSION.fullmatch(name) and name != live]
    others.sort(key=lambda name: (name == before, name), reverse=True)
    for name in others[max(keep, 0) :]:
        with suppress(OSError):  # the new version is in service; the next writer tries again
            _discard(versions, name)
