"""The keyring in a file: read with suspicion, changed as a whole, and read again when another process changed it."""

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

from certcore.adapters.static_keyring import StaticKeyring, new_key_id, parse_keyring
from certcore.errors import KeyringRefused, NotFound, SealingKeyInUse
from certcore.ports.forks import renew_after_fork

__all__ = ["FileKeyring", "add_key", "create_keyring_file", "make_current", "remove_key"]

#: Bytes; about 900 keys.
_MAX_FILE: Final = 64 * 1024
#: How often, and at intervals of how many seconds, it is tried to be the only one who changes a file: ten seconds.
_TRIES: Final = 200
_BETWEEN: Final = 0.05

#: What changes when another file is put in its place: inode, size, and nanoseconds of its last change.
_Signature = tuple[int, int, int]


@define(eq=False)
class FileKeyring:
    """The keyring in a file; implements `certcore.ports.sealing.Keyring` and `ChangesKeys`. Thread-safe.

    Before something is wrapped, and when a key is unknown, it looks whether the file was changed, and reads it again if
    so: processes that share the file need no restart after a change. A file that is taken away after the start is no
    trouble; the keys stay in memory.
    """

    path: Path
    _ring: StaticKeyring = field(repr=False)
    _seen: _Signature = field(repr=False)
    _lock: Any = field(factory=threading.Lock, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        renew_after_fork(self)

    def after_fork(self) -> None:
        """See `certcore.ports.forks`."""
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> FileKeyring:
        """Read the file.

        Raises:
            KeyringRefused: It is missing, malformed, or readable by others.
        """
        ring, seen = _read(path)
        return cls(path=path.absolute(), ring=ring, seen=seen)

    @property
    def current_key_id(self) -> str:
        """The id of the key that wraps new data keys.

        Raises:
            KeyringRefused: The file was changed into something that cannot be used.
        """
        return self._latest().current_key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of all keys.

        Raises:
            KeyringRefused: The file was changed into something that cannot be used.
        """
        return self._latest().key_ids

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the key that is the current one now.

        Raises:
            KeyringRefused: The file was changed into something that cannot be used. To go on with the key in memory
                could mean to seal with one that was removed.
        """
        return self._latest().wrap(data_key, bound_to=bound_to)

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKey: There is no such key here.
            UnsealFailed: The wrapped bytes or what they are bound to changed.
            KeyringRefused: The key is unknown, and the file was changed into something that cannot be used.
        """
        known = self._ring
        ring = known if key_id in known.key_ids else self._latest()
        return ring.unwrap(key_id, wrapped_key, bound_to=bound_to)

    def add_key(self) -> str:
        """Add a new key, see `add_key`."""
        return add_key(self.path)

    def make_current(self, key_id: str) -> None:
        """Wrap what is new with this key, see `make_current`."""
        make_current(self.path, key_id)

    def remove_key(self, key_id: str) -> None:
        """Remove a key, see `remove_key`."""
        remove_key(self.path, key_id)

    def _latest(self) -> StaticKeyring:
        try:
            now = _signature(self.path.stat())
        except OSError:  # taken away, or out of reach since this process gave up its rights
            return self._ring
        if now != self._seen:
            with self._lock:
                if now != self._seen:  # another thread may have read it meanwhile
                    self._ring, self._seen = _read(self.path)
        return self._ring


def create_keyring_file(path: Path) -> None:
    """Create a keyring file with one new key, mode 0600; its folder is made (0700) when it is missing.

    Raises:
        KeyringRefused: There is a file already, or it cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyringRefused(f"The folder {path.parent} cannot be made: {error.strerror}.") from None
    try:
        _write_private_file(path, StaticKeyring.generate(new_key_id()).to_text())
    except FileExistsError:
        raise KeyringRefused(
            f"There is a keyring at {path} already; it was left as it is.", advice="Use it, or choose another path."
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None


def add_key(path: Path) -> str:
    """Add a new random key to a keyring file; the current key stays the current one.

    Returns:
        The new key's id.

    Raises:
        KeyringRefused: The file cannot be used or written, or it is full.
    """
    key_id = new_key_id()
    _change(path, lambda ring: ring.with_key(key_id))
    return key_id


def make_current(path: Path, key_id: str) -> None:
    """Let a keyring file's key wrap what is new; harmless when it does already.

    Raises:
        NotFound: The file holds no such key.
        KeyringRefused: The file cannot be used or written.
    """
    _change(path, lambda ring: evolve(_holding(ring, key_id), current_key_id=key_id))


def remove_key(path: Path, key_id: str) -> None:
    """Remove a key from a keyring file. What is sealed with it does not open any more: ask `SealingKeys` first.

    Raises:
        NotFound: The file holds no such key.
        SealingKeyInUse: It is the current key.
        KeyringRefused: The file cannot be used or written.
    """

    def without(ring: StaticKeyring) -> StaticKeyring:
        if key_id == _holding(ring, key_id).current_key_id:
            raise SealingKeyInUse(key_id, current=True)
        return ring.without_key(key_id)

    _change(path, without)


def _holding(ring: StaticKeyring, key_id: str) -> StaticKeyring:
    if key_id not in ring.key_ids:
        raise NotFound("sealing key", key_id)
    return ring


def _change(path: Path, change: Callable[[StaticKeyring], StaticKeyring]) -> None:
    """Put a changed keyring in the place of the file, as a whole; two at once come one after the other."""
    target = Path(os.path.realpath(path))  # a link stays a link
    with _only_one(target):
        before, _ = _read(target)
        text = change(before).to_text()
        if text == before.to_text():
            return
        if len(text) > _MAX_FILE:
            raise KeyringRefused(f"The keyring file {path} is full.", advice="Retire keys that nothing needs.")
        fresh = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
        try:
            _write_private_file(fresh, text)
            fresh.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _unwritable(path, error) from None
        finally:
            with suppress(OSError):  # in the normal case it is not there any more
                fresh.unlink()


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the file's lock. Whoever had it before may have put another file in its place, so that is looked at again.

    Raises:
        KeyringRefused: It cannot be opened, or somebody has held the lock for too long.
    """
    pause = threading.Event()
    for _ in range(_TRIES):
        with _opened(path, os.O_RDWR) as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            except OSError as error:
                raise KeyringRefused(f"The keyring file {path} cannot be locked: {error.strerror}.") from None
            else:
                if _is_still(path, descriptor):
                    yield
                    return
        pause.wait(_BETWEEN)
    raise KeyringRefused(
        f"Another process has been changing the keyring file {path} for {_TRIES * _BETWEEN:g} seconds.",
        advice="Look for a certcore command that hangs; then try again.",
    )


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _read(path: Path) -> tuple[StaticKeyring, _Signature]:
    with _opened(path, os.O_RDONLY) as descriptor:
        # Asked of the open file, so that nobody can swap it in between.
        found = os.fstat(descriptor)
        mode = stat.S_IMODE(found.st_mode)
        if not stat.S_ISREG(found.st_mode):
            raise KeyringRefused(f"The keyring {path} is not a regular file.")
        if mode & 0o077:
            raise KeyringRefused(
                f"The keyring file {path} can be read or changed by others (mode {mode:04o}).",
                advice=f"Run: chmod 600 {path}; if others may have read it, make a new keyring.",
            )
        if found.st_uid not in (os.geteuid(), 0):
            raise KeyringRefused(f"The keyring file {path} belongs to another user.")
        text = os.read(descriptor, _MAX_FILE).decode("utf-8", "replace")
    return parse_keyring(text, f"The keyring file {path}"), _signature(found)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyringRefused(
            f"There is no keyring file at {path}.",
            advice="Create one: certcore init, or CertCore.create_keyring(path).",
        ) from None
    except OSError as error:
        wanted = "read" if flags == os.O_RDONLY else "written"
        raise KeyringRefused(f"The keyring file {path} cannot be {wanted}: {error.strerror}.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write_private_file(path: Path, text: str) -> None:
    """Write a new file, to the disk itself; FileExistsError when there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask says
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _signature(found: os.stat_result) -> _Signature:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _unwritable(path: Path, error: OSError) -> KeyringRefused:
    return KeyringRefused(f"The keyring file {path} cannot be written: {error.strerror}.")
