"""A keyring in a file: permissions checked, replaced atomically, reloaded when another process changes it."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve, field

from certcore.adapters.keyrings.static import StaticKeyring, new_key_id, parse_keyring
from certcore.errors import KeyringError, NotFoundError, SealingKeyInUseError
from certcore.forks import renew_after_fork
from certcore.messages import Message

__all__ = ["FileKeyring", "add_key", "create_keyring_file", "make_current", "remove_key"]

#: Bytes; about 900 keys.
_MAX_FILE: Final = 64 * 1024
#: Tries to lock the file, and seconds between them: ten seconds in total.
_TRIES: Final = 200
_BETWEEN: Final = 0.05

#: Inode, size and modification time in nanoseconds, to notice a replaced file.
_Signature = tuple[int, int, int]


@define(eq=False)
class FileKeyring:
    """The keyring in a file; implements `certcore.ports.sealing.Keyring` and `ChangesKeys`. Thread-safe.

    The file is read again if it has changed, before a key is wrapped and when a key is unknown. So processes that share
    the file need no restart after a change. If the file is removed after the start, the keys stay in memory.
    """

    path: Path
    _ring: StaticKeyring = field(repr=False)
    _seen: _Signature = field(repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.forks`."""
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> FileKeyring:
        """Read the file.

        Raises:
            KeyringError: The file is missing, malformed, or readable by others.
        """
        ring, status = _read(path)
        return cls(path=path.absolute(), ring=ring, seen=status)

    @property
    def current_key_id(self) -> str:
        """The ID of the key that wraps new data keys.

        Raises:
            KeyringError: The file was changed into something that cannot be used.
        """
        return self._latest().current_key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """The IDs of all keys.

        Raises:
            KeyringError: The file was changed into something that cannot be used.
        """
        return self._latest().key_ids

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key.

        Raises:
            KeyringError: The file was changed and cannot be used. The key in memory is not used then, because it may
                have been removed.
        """
        return self._latest().wrap(data_key, bound_to=bound_to)

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKeyError: There is no such key here.
            UnsealError: The wrapped bytes or what they are bound to changed.
            KeyringError: The key is unknown, and the file was changed into something that cannot be used.
        """
        known = self._ring
        ring = known if key_id in known.key_ids else self._latest()
        return ring.unwrap(key_id, wrapped_key, bound_to=bound_to)

    def add_key(self) -> str:
        """Add a new key, see `add_key`."""
        return add_key(self.path)

    def make_current(self, key_id: str) -> None:
        """Make a key the current one, see `make_current`."""
        make_current(self.path, key_id)

    def remove_key(self, key_id: str) -> None:
        """Remove a key, see `remove_key`."""
        remove_key(self.path, key_id)

    def _latest(self) -> StaticKeyring:
        try:
            now = _signature(self.path.stat())
        except OSError:  # removed, or not accessible since this process dropped privileges
            return self._ring
        if now != self._seen:
            with self._lock:
                if now != self._seen:  # another thread may have read it meanwhile
                    self._ring, self._seen = _read(self.path)
        return self._ring


def create_keyring_file(path: Path) -> None:
    """Create a keyring file with one new key, mode 0600; a missing directory is created (0700).

    Raises:
        KeyringError: The file already exists or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        params = {"folder": path.parent, "reason": error.strerror}
        message = Message("keyring.no_folder", "The directory {folder} cannot be created: {reason}.", params)
        raise KeyringError(message) from None
    try:
        _write_private_file(path, StaticKeyring.generate(new_key_id()).to_text())
    except FileExistsError:
        raise KeyringError(
            Message("keyring.exists", "A keyring already exists at {path}; it was not changed.", {"path": path}),
            advice=Message("keyring.exists.advice", "Use it, or choose another path."),
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None


def add_key(path: Path) -> str:
    """Add a new random key to a keyring file; the current key stays current.

    Returns:
        The new key's ID.

    Raises:
        KeyringError: The file cannot be used or written, or it is full.
    """
    key_id = new_key_id()
    _change(path, lambda ring: ring.with_key(key_id))
    return key_id


def make_current(path: Path, key_id: str) -> None:
    """Make a key of a keyring file the current one. No error if it is current already.

    Raises:
        NotFoundError: The file contains no such key.
        KeyringError: The file cannot be used or written.
    """
    _change(path, lambda ring: evolve(_holding(ring, key_id), current_key_id=key_id))


def remove_key(path: Path, key_id: str) -> None:
    """Remove a key from a keyring file. Secrets sealed with it can no longer be opened: check with `SealingKeys` first.

    Raises:
        NotFoundError: The file holds no such key.
        SealingKeyInUseError: It is the current key.
        KeyringError: The file cannot be used or written.
    """

    def without(ring: StaticKeyring) -> StaticKeyring:
        if key_id == _holding(ring, key_id).current_key_id:
            raise SealingKeyInUseError(key_id, current=True)
        return ring.without_key(key_id)

    _change(path, without)


def _holding(ring: StaticKeyring, key_id: str) -> StaticKeyring:
    if key_id not in ring.key_ids:
        raise NotFoundError("sealing key", key_id)
    return ring


def _change(path: Path, change: Callable[[StaticKeyring], StaticKeyring]) -> None:
    """Change a keyring file atomically, under its lock."""
    target = Path(os.path.realpath(path))  # a symbolic link is kept
    with _only_one(target):
        before, _ = _read(target)
        text = change(before).to_text()
        if text == before.to_text():
            return
        if len(text) > _MAX_FILE:
            raise KeyringError(
                Message("keyring.full", "The keyring file {path} is full.", {"path": path}),
                advice=Message("keyring.full.advice", "Retire keys that are no longer used."),
            )
        fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            _write_private_file(fresh, text)
            fresh.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _unwritable(path, error) from None
        finally:
            with suppress(OSError):  # usually it was renamed already
                fresh.unlink()


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Lock the file. It may have been replaced while we waited for the lock, so this is checked.

    Raises:
        KeyringError: The file cannot be opened, or another process has held the lock for too long.
    """
    pause = threading.Event()
    for _ in range(_TRIES):
        with _opened(path, os.O_RDWR) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            except OSError as error:
                params = {"path": path, "reason": error.strerror}
                message = Message("keyring.not_locked", "The keyring file {path} cannot be locked: {reason}.", params)
                raise KeyringError(message) from None
            else:
                if _is_still(path, descriptor):
                    yield
                    return
        pause.wait(_BETWEEN)
    text = "Another process has been changing the keyring file {path} for {count} seconds."
    raise KeyringError(
        Message("keyring.busy", text, {"path": path, "count": f"{_TRIES * _BETWEEN:g}"}),
        advice=Message("keyring.busy.advice", "Check for a certcore command that hangs, then try again."),
    )


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _read(path: Path) -> tuple[StaticKeyring, _Signature]:
    with _opened(path, os.O_RDONLY) as descriptor:
        # fstat of the open file, so that it cannot be replaced between check and use.
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise KeyringError(
                Message("keyring.not_a_file", "The keyring {path} is not a regular file.", {"path": path})
            )
        if mode & 0o077:
            text = "The keyring file {path} can be read or changed by others (mode {mode})."
            advice = "Run: chmod 600 {path}; if others may have read it, make a new keyring."
            raise KeyringError(
                Message("keyring.open_to_others", text, {"path": path, "mode": f"{mode:04o}"}),
                advice=Message("keyring.open_to_others.advice", advice, {"path": path}),
            )
        if status.st_uid not in (os.geteuid(), 0):
            text = "The keyring file {path} belongs to another user."
            raise KeyringError(Message("keyring.other_owner", text, {"path": path}))
        content = os.read(descriptor, _MAX_FILE).decode("utf-8", "replace")
    return parse_keyring(content, Message("keyring.the_file", "The keyring file {path}", {"path": path})), _signature(
        status
    )


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyringError(
            Message("keyring.missing", "There is no keyring file at {path}.", {"path": path}),
            advice=Message("keyring.missing.advice", "Create one: certcore init, or CertCore.create_keyring(path)."),
        ) from None
    except OSError as error:
        raise (_unreadable if flags == os.O_RDONLY else _unwritable)(path, error) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_private_file(path: Path, text: str) -> None:
    """Write and sync a new file; FileExistsError if it exists."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)  # independent of the umask
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _signature(status: os.stat_result) -> _Signature:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _unwritable(path: Path, error: OSError) -> KeyringError:
    text = "The keyring file {path} cannot be written: {reason}."
    return KeyringError(Message("keyring.not_written", text, {"path": path, "reason": error.strerror}))


def _unreadable(path: Path, error: OSError) -> KeyringError:
    text = "The keyring file {path} cannot be read: {reason}."
    return KeyringError(Message("keyring.not_read", text, {"path": path, "reason": error.strerror}))
