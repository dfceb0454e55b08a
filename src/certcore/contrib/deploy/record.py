"""The deployment record of a directory: which certificate its files belong to, and which commands are outstanding.

A directory, or a file in it, belongs to the certificate that claimed it first, until this certificate loses the claim.
Until then, no other certificate may overwrite the files. Otherwise a template that gives two tenants the same path
would give the server of one tenant the key of the other.

``.certcore-deploy.json`` is replaced atomically, under the lock of ``.certcore-deploy.lock``. Servers that read every
file of a directory ignore names that start with a dot.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve, field, frozen

from certcore.adapters.secure_directory import Folder, Owner, locked_folder
from certcore.errors import CertCoreError

__all__ = [
    "LOCK",
    "PATIENCE",
    "RECORD",
    "Claim",
    "DeploymentError",
    "DeploymentRecord",
    "deployment_record",
    "explained",
]

#: The file with the record.
RECORD: Final = ".certcore-deploy.json"
#: The file whose lock a deployment holds from reading the certificate until its command has ended.
LOCK: Final = ".certcore-deploy.lock"
#: The temporary name of a new record. With this prefix, `certcore.adapters.export_files` removes a file that was left.
_NEW: Final = ".certcore.new.deploy"
_VERSION: Final = 1
_MAX_SIZE: Final = 16 * 1024 * 1024
#: Seconds to wait for the lock of a directory. This is short, because failed deployments are repeated, and because
#: users who hold the locks of their own directories must not delay other users' certificates.
PATIENCE: Final = 1.0
#: How often to try to get the deployment lock.
_LOCK_TRIES: Final = 10
#: Seconds between two tries.
_LOCK_INTERVAL: Final = 0.1
_ADVICE: Final = "Choose another directory, or make this one writable for the user that certcore runs as."


class DeploymentError(CertCoreError):
    """A certificate could not be deployed. The deployment is tried again later."""

    code = "deployment_error"


@frozen(kw_only=True)
class Claim:
    """A certificate's claim to a directory or to files in it."""

    #: The owner of the certificate (the tenant).
    owner: str = ""
    #: Whether the claim is for the whole directory, not only for `files`.
    whole: bool = False
    #: The names of the files that were written.
    files: frozenset[str] = frozenset()
    #: The targets whose command has not succeeded yet, each with the digest of the deployment. The digest is empty
    #: until all files are written.
    unfinished: Mapping[str, str] = field(factory=dict)

    def collides_with(self, other: Claim) -> bool:
        """Whether the two claims exclude each other."""
        return self.whole or other.whole or bool(self.files & other.files)


@define(kw_only=True, eq=False)
class DeploymentRecord:
    """The record of a directory; see `deployment_record`."""

    folder: Path
    _who: Owner
    _claims: dict[str, Claim]
    _saved: dict[str, Claim]

    def of(self, certificate_id: str) -> Claim:
        """The claim of a certificate; an empty one if it has none."""
        return self._claims.get(certificate_id, Claim())

    def claim(self, certificate_id: str, claimed: Claim, *, gives_up: Callable[[str, Claim], bool]) -> None:
        """Claim the directory or files for a certificate.

        Args:
            certificate_id: The certificate.
            claimed: The claim. Its unfinished targets are taken from the certificate's earlier claim.
            gives_up: Called with the ID and the claim of another certificate; returns whether it loses its claim.

        Raises:
            DeploymentError: Another certificate has claimed the directory or one of the files, and keeps it.
        """
        for other_id, other in list(self._claims.items()):
            if other_id == certificate_id or not claimed.collides_with(other):
                continue
            if not gives_up(other_id, other):
                raise DeploymentError(
                    f"{self.folder} contains the files of another certificate, {other_id}; they were not changed.",
                    advice="Use {id} in the directory's template, limit the target to one of the two certificates, or "
                    "delete the other certificate if it is no longer needed.",
                )
            del self._claims[other_id]
            remaining = frozenset() if claimed.whole or other.whole else other.files - claimed.files
            if remaining:  # these files have not changed, so no command is outstanding for them
                self._claims[other_id] = evolve(other, files=remaining, unfinished={})
        self._claims[certificate_id] = evolve(claimed, unfinished=self.of(certificate_id).unfinished)

    def begin(self, certificate_id: str, target: str, deployed: str = "") -> None:
        """Record that a target's command is outstanding.

        Args:
            certificate_id: The certificate.
            target: The target.
            deployed: The digest of the deployment; empty until all files are written.
        """
        claim = self.of(certificate_id)
        self._claims[certificate_id] = evolve(claim, unfinished={**claim.unfinished, target: deployed})

    def end(self, certificate_id: str, target: str) -> None:
        """Record that no command of a target is outstanding: it has succeeded, or need not be run."""
        claim = self.of(certificate_id)
        unfinished = {name: deployed for name, deployed in claim.unfinished.items() if name != target}
        self._claims[certificate_id] = evolve(claim, unfinished=unfinished)

    def save(self) -> None:
        """Write the record to disk.

        Raises:
            CertCoreError: The directory's permissions have become unsafe.
            OSError: The record cannot be written.
        """
        if self._claims == self._saved:
            return
        content = json.dumps(
            {
                "version": _VERSION,
                "certificates": {certificate_id: _to_json(claim) for certificate_id, claim in self._claims.items()},
            },
            indent=1,
        )
        with locked_folder(self.folder, self._who, patience=PATIENCE) as place:
            with suppress(FileNotFoundError):  # left by a killed process
                place.remove(_NEW)
            with os.fdopen(place.open(_NEW, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as fresh:
                fresh.write(content.encode())
                fresh.flush()
                os.fsync(fresh.fileno())
            place.rename(_NEW, RECORD)
            place.sync()
        self._saved = dict(self._claims)


@contextmanager
def deployment_record(folder: Path, file_owner: Owner) -> Iterator[DeploymentRecord]:
    """Lock a directory for a deployment and read its record. A missing directory is created.

    Args:
        folder: An absolute path.
        file_owner: The owner of a new directory.

    Raises:
        CertCoreError: The directory's permissions are unsafe, another deployment to it is running, or the record cannot
            be read.
        OSError: The directory cannot be used.
    """
    lock = _locked(folder, file_owner)
    try:
        with locked_folder(folder, file_owner, patience=PATIENCE) as place:
            claims = _read(place)
        yield DeploymentRecord(folder=folder, who=file_owner, claims=claims, saved=dict(claims))
    finally:
        os.close(lock)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an OSError into a `DeploymentError` with advice.

    Raises:
        DeploymentError: The system reported an error.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the system reported an error"
        locks = "The file system does not support locks: choose a directory on a local disk."
        raise DeploymentError(
            f"Certificates cannot be deployed to {folder}: {reason}.",
            advice=locks if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP) else _ADVICE,
        ) from None


def _locked(folder: Path, file_owner: Owner) -> int:
    """Lock the lock file of a directory, and return its descriptor.

    Raises:
        DeploymentError: Another deployment holds the lock.
    """
    pause = threading.Event()
    for tries in range(_LOCK_TRIES):
        with locked_folder(folder, file_owner, patience=(_LOCK_TRIES - tries) * _LOCK_INTERVAL) as place:
            lock = _open(place, LOCK, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            except BaseException:  # boundary: the descriptor is closed after every exception
                os.close(lock)
                raise
            else:
                # Nobody can have replaced the file meanwhile: this process holds the directory's lock.
                return lock
        pause.wait(_LOCK_INTERVAL)
    raise DeploymentError(
        f"Another deployment to {folder} is running.",
        advice="It will be tried again. If this persists, check for a command that hangs.",
    )


def _open(place: Folder, name: str, flags: int) -> int:
    """Open the record or the lock file without blocking. Raises DeploymentError if it is not a regular file."""
    try:
        return place.open(name, flags)
    except CertCoreError:
        raise _unreadable(place) from None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _unreadable(place) from None
        raise


def _read(place: Folder) -> dict[str, Claim]:
    try:
        descriptor = _open(place, RECORD, os.O_RDONLY)
    except FileNotFoundError:
        return {}
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(_MAX_SIZE + 1)
    try:
        document = json.loads(content) if len(content) <= _MAX_SIZE else None
        if not isinstance(document, dict) or document["version"] != _VERSION:
            raise _unreadable(place)
        return {str(certificate_id): _from_json(claim) for certificate_id, claim in document["certificates"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _unreadable(place) from None


def _unreadable(place: Folder) -> DeploymentError:
    return DeploymentError(
        f"The deployment record in {place.path} cannot be read, so the owners of its files are unknown.",
        advice=f"If all files belong to one certificate, remove {RECORD} and {LOCK} there; or else choose another "
        "directory.",
    )


def _to_json(claim: Claim) -> dict[str, Any]:
    return {
        "owner": claim.owner,
        "whole": claim.whole,
        "files": sorted(claim.files),
        "unfinished": dict(claim.unfinished),
    }


def _from_json(document: Mapping[str, Any]) -> Claim:
    return Claim(
        owner=str(document["owner"]),
        whole=bool(document["whole"]),
        files=frozenset(_texts(document["files"])),
        unfinished={str(target): str(deployed) for target, deployed in document["unfinished"].items()},
    )


def _texts(listed: Iterable[object]) -> Iterator[str]:
    if not isinstance(listed, list):
        raise TypeError
    return (str(value) for value in listed)
