"""Folders that secrets are written to: looked at with suspicion, held open, and written to by one at a time."""

from __future__ import annotations

import errno
import fcntl
import grp
import os
import pwd
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import frozen

from certcore.errors import CertCoreError, InvalidInput

__all__ = ["PATIENCE", "Folder", "Owner", "inner_folder", "locked_folder"]

#: Seconds to wait while somebody else writes to a folder, where nothing else is said.
PATIENCE: Final = 10.0

_OTHERS_WRITE: Final = 0o022
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: At intervals of how many seconds it is tried to be the only writer.
_BETWEEN: Final = 0.05


@frozen(kw_only=True)
class Owner:
    """Whom files and folders belong to; None leaves it to the system."""

    user: int | None = None
    group: int | None = None

    @classmethod
    def find(cls, user: str | int | None, group: str | int | None) -> Owner:
        """By names or numbers.

        Raises:
            InvalidInput: There is no such user or group.
        """
        try:
            user = pwd.getpwnam(user).pw_uid if isinstance(user, str) else user
        except KeyError:
            raise InvalidInput("owner", f"there is no user {user!r} on this machine.") from None
        try:
            group = grp.getgrnam(group).gr_gid if isinstance(group, str) else group
        except KeyError:
            raise InvalidInput("group", f"there is no group {group!r} on this machine.") from None
        return cls(user=user, group=group)

    def give(self, descriptor: int) -> None:
        """Make an open file or folder theirs."""
        if self.user is not None or self.group is not None:
            os.fchown(descriptor, -1 if self.user is None else self.user, -1 if self.group is None else self.group)

    def has(self, found: os.stat_result) -> bool:
        """Whether something is theirs already."""
        return self.user in (None, found.st_uid) and self.group in (None, found.st_gid)

    def trusts(self, found: os.stat_result) -> bool:
        """Whether a folder is in good hands: whoever owns it can swap what is in it."""
        return found.st_uid in (0, os.geteuid(), self.user)


@frozen(kw_only=True)
class Folder:
    """An open folder. All is done through its descriptor, so that nobody can put another in its place meanwhile."""

    descriptor: int
    path: Path

    def names(self) -> list[str]:
        """What is in it."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - pathlib knows no descriptors

    def stat(self, name: str) -> os.stat_result:
        """What is known of one of its entries; a link is not followed."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def open(self, name: str, flags: int) -> int:
        """Open a file in it, or make one that its owner alone can read.

        A link is not followed, and nobody is waited for: a pipe may have been put there since it was looked at.

        Raises:
            CertCoreError: It is a pipe, a folder or a device.
            OSError: It cannot be opened, or is a link.
        """
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(name, flags, 0o600, dir_fd=self.descriptor)
        regular = False
        try:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        finally:
            if not regular:
                os.close(descriptor)
        if regular:
            return descriptor
        raise CertCoreError(
            f"{self.path / name} is no file, but a pipe, a folder or a device.",
            advice="Something else keeps its files here: choose another folder, or move it away.",
        )

    def rename(self, old: str, new: str) -> None:
        """Give a file, a link or a folder in it another name, in the place of what has it now."""
        os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def link(self, old: str, new: str) -> None:
        """Give a file in it a second name."""
        os.link(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove a file, a link, or a folder that holds no folders."""
        if not stat.S_ISDIR(self.stat(name).st_mode):
            os.unlink(name, dir_fd=self.descriptor)
            return
        descriptor = os.open(name, _FLAGS, dir_fd=self.descriptor)
        try:
            for inner in os.listdir(descriptor):  # noqa: PTH208 - pathlib knows no descriptors
                os.unlink(inner, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        os.rmdir(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Have its entries on the disk."""
        os.fsync(self.descriptor)


@contextmanager
def locked_folder(path: Path, owner: Owner, *, patience: float = PATIENCE) -> Iterator[Folder]:
    """Open a folder, made when it is missing, as its only writer.

    Args:
        path: Where it is.
        owner: Whom a new one belongs to.
        patience: Seconds to wait while somebody else writes to it.

    Raises:
        CertCoreError: It is not to be trusted, or somebody else has been writing to it for too long.
        OSError: It cannot be made or opened.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - a link on the way is to be seen, not resolved
    _walk(whole, owner)
    pause = threading.Event()
    for _ in range(max(1, round(patience / _BETWEEN))):
        with _opened(os.open(whole, _FLAGS), whole, owner) as folder:
            try:
                fcntl.flock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                # Whoever had the lock before may have been somebody who put another folder in its place.
                if os.path.samestat(os.fstat(folder.descriptor), whole.lstat()):
                    yield folder
                    return
        pause.wait(_BETWEEN)
    raise CertCoreError(
        f"Somebody else has been writing to {whole} for {patience:g} seconds.",
        advice="Look for a process that hangs or that has locked the folder; then try again.",
    )


@contextmanager
def inner_folder(around: Folder, name: str, owner: Owner, *, make: bool = False) -> Iterator[Folder]:
    """Open a folder in an open folder.

    Args:
        around: The one that it is in.
        name: Its name.
        owner: Whom a new one belongs to; it is open to the same group as the one around it, and no more open.
        make: Whether to make it when it is missing.

    Raises:
        CertCoreError: There is something else of that name, or it is not to be trusted.
        OSError: It cannot be made or opened.
    """
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=around.descriptor)
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=around.descriptor)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise CertCoreError(
            f"{around.path / name} is a link or a file, and not the folder that it has to be.",
            advice="It was not made by certcore: move it away, or choose another folder.",
        ) from None
    with _opened(descriptor, around.path / name, owner) as folder:
        if make and not folder.names():
            outer = os.fstat(around.descriptor)
            with suppress(PermissionError):  # then the group cannot look into it, until somebody lets it
                os.fchown(descriptor, -1, outer.st_gid)
            owner.give(descriptor)
            os.fchmod(descriptor, outer.st_mode & 0o755)
        yield folder


@contextmanager
def _opened(descriptor: int, path: Path, owner: Owner) -> Iterator[Folder]:
    try:
        found = os.fstat(descriptor)
        if found.st_mode & _OTHERS_WRITE:
            raise CertCoreError(
                f"Others can write to {path} (mode {stat.S_IMODE(found.st_mode):04o}): they could swap the key.",
                advice=f"Run: chmod go-w {path}; or choose another folder.",
            )
        if not owner.trusts(found):
            raise _foreign(path, path, found)
        yield Folder(descriptor=descriptor, path=path)
    finally:
        os.close(descriptor)


def _walk(path: Path, owner: Owner) -> None:
    """Go from the root to a folder and make what is missing; refuse a way on which a stranger could turn us elsewhere.

    Links of root or of the user are followed, up to the folder itself, which must not be one. Folders on the way may be
    writable to a group, as some of Debian's own are.
    """
    for one in reversed(path.parents):
        _make(one, 0o755)
        link, found = one.lstat(), one.stat()
        if not owner.trusts(link) or not owner.trusts(found):
            raise _foreign(one, path, link)
        if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
            raise CertCoreError(
                f"Everybody can write to {one}, on the way to {path}: anybody could put another folder in its place.",
                advice=f"Run: chmod o-w {one}; or choose another folder.",
            )
    if _make(path, 0o700):
        descriptor = os.open(path, _FLAGS)
        try:
            owner.give(descriptor)
            os.fchmod(descriptor, 0o700 if owner.group is None else 0o750)
        finally:
            os.close(descriptor)
    elif stat.S_ISLNK(path.lstat().st_mode):
        raise CertCoreError(
            f"{path} is a link; files are not written through links.", advice="Name the folder that it points to."
        )


def _make(path: Path, mode: int) -> bool:
    """Make a folder, so that a power cut does not take it away; returns whether it was missing."""
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    else:
        return False
    try:
        path.mkdir(mode)
    except FileExistsError:
        return False
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return True


def _foreign(place: Path, path: Path, found: os.stat_result) -> CertCoreError:
    way = "" if place == path else f", on the way to {path},"
    return CertCoreError(
        f"{place}{way} belongs to another user (number {found.st_uid}), who could swap the key.",
        advice="Name that user as the owner of the files, or choose another folder.",
    )
