"""Directories for secret files: permissions checked, opened once, locked to one writer."""

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

from certcore.errors import CertCoreError, FileError, InvalidInputError
from certcore.messages import Message

__all__ = ["PATIENCE", "SOMETHING_ELSE", "Folder", "Owner", "examine_folder", "inner_folder", "locked_folder"]

#: Default time to wait for another writer of the directory, in seconds.
PATIENCE: Final = 10.0

_OTHERS_WRITE: Final = 0o022
#: Advice about an existing file that certcore did not make.
SOMETHING_ELSE: Final = Message(
    "files.something_else", "Another program keeps its files here: choose another folder, or move them away."
)
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Seconds between two tries to lock the directory.
_BETWEEN: Final = 0.05


@frozen(kw_only=True)
class Owner:
    """The user and group of files and directories; None for the system's default."""

    user: int | None = None
    group: int | None = None

    @classmethod
    def find(cls, user: str | int | None, group: str | int | None) -> Owner:
        """Look up a user and a group by name or number.

        Raises:
            InvalidInputError: There is no such user or group.
        """
        try:
            user = pwd.getpwnam(user).pw_uid if isinstance(user, str) else user
        except KeyError:
            reason = Message("files.no_user", "there is no user {name} on this machine.", {"name": repr(user)})
            raise InvalidInputError("owner", reason) from None
        try:
            group = grp.getgrnam(group).gr_gid if isinstance(group, str) else group
        except KeyError:
            reason = Message("files.no_group", "there is no group {name} on this machine.", {"name": repr(group)})
            raise InvalidInputError("group", reason) from None
        return cls(user=user, group=group)

    def give(self, descriptor: int) -> None:
        """Change the owner of an open file or directory."""
        if self.user is not None or self.group is not None:
            os.fchown(descriptor, -1 if self.user is None else self.user, -1 if self.group is None else self.group)

    def has(self, status: os.stat_result) -> bool:
        """Whether the file already has this owner."""
        return self.user in (None, status.st_uid) and self.group in (None, status.st_gid)

    def trusts(self, status: os.stat_result) -> bool:
        """Whether the directory's owner is trusted: the owner can replace its content."""
        return status.st_uid in (0, os.geteuid(), self.user)


@frozen(kw_only=True)
class Folder:
    """An open directory. All operations use its descriptor, so that it cannot be replaced meanwhile."""

    descriptor: int
    path: Path

    def names(self) -> list[str]:
        """The names of the directory's entries."""
        return os.listdir(self.descriptor)  # noqa: PTH208 - pathlib does not support descriptors

    def stat(self, name: str) -> os.stat_result:
        """The status of an entry; links are not followed."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def open(self, name: str, flags: int) -> int:
        """Open a file in the directory, or create one that only its owner can read.

        A link is not followed, and the call does not block: a pipe may have replaced the file since it was checked.

        Raises:
            FileError: The entry is a pipe, a directory or a device.
            OSError: The entry cannot be opened, or is a link.
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
        text = "{path} is not a file but a pipe, a directory or a device."
        raise FileError(Message("files.not_a_file", text, {"path": self.path / name}), advice=SOMETHING_ELSE)

    def rename(self, old: str, new: str) -> None:
        """Rename an entry, replacing an existing one."""
        os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def link(self, old: str, new: str) -> None:
        """Create a hard link to a file in the directory."""
        os.link(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove a file, a link, or a directory without subdirectories."""
        if not stat.S_ISDIR(self.stat(name).st_mode):
            os.unlink(name, dir_fd=self.descriptor)
            return
        descriptor = os.open(name, _FLAGS, dir_fd=self.descriptor)
        try:
            for inner in os.listdir(descriptor):  # noqa: PTH208 - pathlib does not support descriptors
                os.unlink(inner, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        os.rmdir(name, dir_fd=self.descriptor)

    def sync(self) -> None:
        """Sync the directory's entries to disk."""
        os.fsync(self.descriptor)


@contextmanager
def locked_folder(path: Path, owner: Owner, *, patience: float = PATIENCE) -> Iterator[Folder]:
    """Open a directory, created if missing, and lock it for this writer.

    Args:
        path: The directory.
        owner: The user and group to whom new directories belong.
        patience: How many seconds to wait for another writer.

    Raises:
        FileError: The directory is not trusted, or another writer kept it locked for too long.
        OSError: The directory cannot be created or opened.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links in the path must be checked, not resolved
    pause = threading.Event()
    for _ in range(max(1, round(patience / _BETWEEN))):
        _walk(whole, owner)
        descriptor = _descriptor_of(whole)
        if descriptor is not None:
            with _opened(descriptor, whole, owner) as folder:
                if _lock(folder):
                    yield folder
                    return
        pause.wait(_BETWEEN)
    text = "Another process has been writing to {folder} for {count} seconds."
    advice = "Check for a process that hangs or has locked the directory, then try again."
    raise FileError(
        Message("files.busy", text, {"folder": whole, "count": f"{patience:g}"}),
        advice=Message("files.busy.advice", advice),
    )


def examine_folder(path: Path, owner: Owner) -> None:
    """Check whether `locked_folder` would work now and files could be written; nothing is created or changed.

    Args:
        path: The directory, which need not exist yet.
        owner: The user and group to whom new directories would belong.

    Raises:
        FileError: The directory is not trusted.
        OSError: The directory could not be created or written.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100 - links in the path must be checked, not resolved
    for parent in reversed(whole.parents):
        if not parent.exists():
            _require_writable(parent.parent)
            return
        _check_parent(parent, whole, owner)
    if not os.path.lexists(whole):
        _require_writable(whole.parent)
        return
    _refuse_link(whole)
    with _opened(os.open(whole, _FLAGS), whole, owner):
        _require_writable(whole)


@contextmanager
def inner_folder(around: Folder, name: str, owner: Owner, *, make: bool = False) -> Iterator[Folder]:
    """Open a directory in an open directory.

    Args:
        around: The open directory.
        name: The name of the inner directory.
        owner: The user and group to whom a new directory belongs; its mode is at most that of the outer directory.
        make: Whether to create the directory if it is missing.

    Raises:
        FileError: The name belongs to something else, or the directory is not trusted.
        OSError: The directory cannot be created or opened.
    """
    if make:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=around.descriptor)
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=around.descriptor)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        text = "certcore did not create it: move it away, or choose another folder."
        params = {"path": around.path / name}
        raise FileError(
            Message("files.no_directory", "{path} is a link or a file instead of a directory.", params),
            advice=Message("files.no_directory.advice", text),
        ) from None
    with _opened(descriptor, around.path / name, owner) as folder:
        if make and not folder.names():
            outer = os.fstat(around.descriptor)
            with suppress(PermissionError):  # then the group has no access until an administrator grants it
                os.fchown(descriptor, -1, outer.st_gid)
            owner.give(descriptor)
            os.fchmod(descriptor, outer.st_mode & 0o755)
        yield folder


def _descriptor_of(path: Path) -> int | None:
    """Open a directory; None if it was moved away since it was looked at."""
    try:
        return os.open(path, _FLAGS)
    except FileNotFoundError:
        return None


def _lock(folder: Folder) -> bool:
    """Lock an open directory; False if another writer has it, or if it was moved away while we waited for it."""
    try:
        fcntl.flock(folder.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(folder.descriptor), folder.path.lstat())
    except (BlockingIOError, FileNotFoundError):
        return False


@contextmanager
def _opened(descriptor: int, path: Path, owner: Owner) -> Iterator[Folder]:
    try:
        status = os.fstat(descriptor)
        if status.st_mode & _OTHERS_WRITE:
            text = "Others can write to {path} (mode {mode}): they could replace the key."
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            advice = "Run: chmod go-w {path}; or choose another folder."
            raise FileError(
                Message("files.open_to_others", text, {"path": path, "mode": mode}),
                advice=Message("files.open_to_others.advice", advice, {"path": path}),
            )
        if not owner.trusts(status):
            raise _foreign(path, path, status)
        yield Folder(descriptor=descriptor, path=path)
    finally:
        os.close(descriptor)


def _walk(path: Path, owner: Owner) -> None:
    """Create missing parents of a directory; refuse a path that an untrusted user could redirect.

    Links of root or of the user are followed, up to the folder itself, which must not be one. Folders on the way may be
    writable to a group, as some of Debian's own are.
    """
    for parent in reversed(path.parents):
        _make(parent, 0o755)
        _check_parent(parent, path, owner)
    if _make(path, 0o700):
        descriptor = os.open(path, _FLAGS)
        try:
            owner.give(descriptor)
            os.fchmod(descriptor, 0o700 if owner.group is None else 0o750)
        finally:
            os.close(descriptor)
    else:
        _refuse_link(path)


def _check_parent(parent: Path, path: Path, owner: Owner) -> None:
    """Refuse a folder on the way to another one if somebody untrusted could replace what is in it."""
    link, status = parent.lstat(), parent.stat()
    if not owner.trusts(link) or not owner.trusts(status):
        raise _foreign(parent, path, link)
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        text = "Everybody can write to {parent}, a parent of {path}, and could replace the directory."
        advice = "Run: chmod o-w {parent}; or choose another folder."
        raise FileError(
            Message("files.open_parent", text, {"parent": parent, "path": path}),
            advice=Message("files.open_parent.advice", advice, {"parent": parent}),
        )


def _refuse_link(path: Path) -> None:
    if stat.S_ISLNK(path.lstat().st_mode):
        raise FileError(
            Message("files.link", "{path} is a link; files are not written through links.", {"path": path}),
            advice=Message("files.link.advice", "Name the folder that it points to."),
        )


def _require_writable(path: Path) -> None:
    """Refuse a folder in which this process cannot make files."""
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    if not os.access(path, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        is_read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        number = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(number, os.strerror(number), str(path))
    space = os.statvfs(path)
    if space.f_blocks and not space.f_bavail:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _make(path: Path, mode: int) -> bool:
    """Create a directory and sync it to disk; returns whether it was missing."""
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


def _foreign(place: Path, path: Path, status: os.stat_result) -> CertCoreError:
    params = {"place": place, "path": path, "user": status.st_uid}
    if place == path:
        text = "{place} belongs to another user (number {user}), who could replace the key."
        message = Message("files.foreign", text, params)
    else:
        text = "{place}, on the way to {path}, belongs to another user (number {user}), who could replace the key."
        message = Message("files.foreign_parent", text, params)
    advice = "Set that user as the owner of the files, or choose another folder."
    return FileError(message, advice=Message("files.foreign.advice", advice))
