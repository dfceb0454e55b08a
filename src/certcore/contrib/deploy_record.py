"""What is noted in a folder that certificates are deployed to: whose its files are, and which commands have to be run.

A folder, or a file in it, belongs to the certificate that came first, until it gives its place up. Before that, another
one's files are not written over it: the name in a template may be the same for two tenants, and the wrong one's server
would get the key.

``.certcore-deploy.json`` is replaced as a whole, and only by whoever has the lock on ``.certcore-deploy.lock``. Servers
that read every file of a folder leave files alone whose names begin with a dot.
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

from certcore.adapters.folders import Folder, Owner, locked_folder
from certcore.errors import CertCoreError

__all__ = [
    "LOCK",
    "PATIENCE",
    "RECORD",
    "Claim",
    "DeploymentFailed",
    "DeploymentRecord",
    "deployment_record",
    "explained",
]

#: What is noted.
RECORD: Final = ".certcore-deploy.json"
#: Whoever deploys holds this file's lock, from the look at the certificate to the end of the command.
LOCK: Final = ".certcore-deploy.lock"
#: Begins as the names do that a writer of files takes for leftovers.
_NEW: Final = ".certcore.new.deploy"
_VERSION: Final = 1
_LARGEST: Final = 16 * 1024 * 1024
#: Seconds to wait for a folder that somebody else has locked. Whoever deploys comes again; and folders are users', who
#: may lock theirs for ever, while other users' certificates wait.
PATIENCE: Final = 1.0
#: How often, and at intervals of how many seconds, it is tried to be the only one.
_TRIES: Final = 10
_BETWEEN: Final = 0.1
_ADVICE: Final = "Choose another folder, or make this one writable for the user that certcore runs as."


class DeploymentFailed(CertCoreError):
    """A certificate could not be brought to where a server reads it; it is tried again later."""


@frozen(kw_only=True)
class Claim:
    """What a certificate has in a folder."""

    #: The owner of the certificate, as the panel calls it.
    owner: str = ""
    #: Whether the folder as a whole is its own, and not only `files`.
    whole: bool = False
    #: The names of the files that were written.
    files: frozenset[str] = frozenset()
    #: The targets whose command was not run to its end, each with what it deployed; empty where even that was cut off.
    unfinished: Mapping[str, str] = field(factory=dict)

    def collides_with(self, other: Claim) -> bool:
        """Whether the two cannot be in one folder."""
        return self.whole or other.whole or bool(self.files & other.files)


@define(kw_only=True, eq=False)
class DeploymentRecord:
    """What is noted in a folder; see `deployment_record`."""

    folder: Path
    _who: Owner
    _claims: dict[str, Claim]
    _saved: dict[str, Claim]

    def of(self, certificate_id: str) -> Claim:
        """What a certificate has here."""
        return self._claims.get(certificate_id, Claim())

    def claim(self, certificate_id: str, wanted: Claim, *, gives_up: Callable[[str, Claim], bool]) -> None:
        """Note what a certificate is about to have here.

        Args:
            certificate_id: Whose.
            wanted: What; targets that are unfinished stay so.
            gives_up: Whether the certificate of this id gives up what it has here.

        Raises:
            DeploymentFailed: It is another certificate's.
        """
        for other_id, other in list(self._claims.items()):
            if other_id == certificate_id or not wanted.collides_with(other):
                continue
            if not gives_up(other_id, other):
                raise DeploymentFailed(
                    f"{self.folder} holds the files of another certificate, {other_id}; they were left as they are.",
                    advice="Use {id} in the folder's template, limit the target to one of the two, or delete the other "
                    "one when it is not needed any more.",
                )
            del self._claims[other_id]
            kept = frozenset() if wanted.whole or other.whole else other.files - wanted.files
            if kept:  # its command is not run for what is left alone, but when it is deployed again
                self._claims[other_id] = evolve(other, files=kept, unfinished={})
        self._claims[certificate_id] = evolve(wanted, unfinished=self.of(certificate_id).unfinished)

    def begin(self, certificate_id: str, target: str, deployed: str = "") -> None:
        """Note that a target's command has to be run, and for what if all files are written."""
        mine = self.of(certificate_id)
        self._claims[certificate_id] = evolve(mine, unfinished={**mine.unfinished, target: deployed})

    def end(self, certificate_id: str, target: str) -> None:
        """Note that it was run."""
        mine = self.of(certificate_id)
        unfinished = {name: deployed for name, deployed in mine.unfinished.items() if name != target}
        self._claims[certificate_id] = evolve(mine, unfinished=unfinished)

    def save(self) -> None:
        """Have what is noted on the disk.

        Raises:
            CertCoreError: The folder is not to be trusted any more.
            OSError: It cannot be written to.
        """
        if self._claims == self._saved:
            return
        content = json.dumps(
            {"version": _VERSION, "certificates": {one: _to_json(claim) for one, claim in self._claims.items()}},
            indent=1,
        )
        with locked_folder(self.folder, self._who, patience=PATIENCE) as place:
            with suppress(FileNotFoundError):  # left by one that was killed
                place.remove(_NEW)
            with os.fdopen(place.open(_NEW, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as fresh:
                fresh.write(content.encode())
                fresh.flush()
                os.fsync(fresh.fileno())
            place.rename(_NEW, RECORD)
            place.sync()
        self._saved = dict(self._claims)


@contextmanager
def deployment_record(folder: Path, who: Owner) -> Iterator[DeploymentRecord]:
    """What is noted in a folder, for the one who may deploy to it now; the folder is made when it is missing.

    Args:
        folder: An absolute path.
        who: Whom a new folder belongs to.

    Raises:
        CertCoreError: The folder is not to be trusted, somebody else deploys to it, or what is noted cannot be read.
        OSError: It cannot be used.
    """
    lock = _locked(folder, who)
    try:
        with locked_folder(folder, who, patience=PATIENCE) as place:
            claims = _read(place)
        yield DeploymentRecord(folder=folder, who=who, claims=claims, saved=dict(claims))
    finally:
        os.close(lock)


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """What the system refuses in a folder, in words.

    Raises:
        DeploymentFailed: It refused something.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the system refused"
        locks = "The file system knows no locks: choose a folder on a local disk."
        raise DeploymentFailed(
            f"Certificates cannot be deployed to {folder}: {reason}.",
            advice=locks if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP) else _ADVICE,
        ) from None


def _locked(folder: Path, who: Owner) -> int:
    """The open lock file of a folder."""
    pause = threading.Event()
    for tried in range(_TRIES):
        with locked_folder(folder, who, patience=(_TRIES - tried) * _BETWEEN) as place:
            lock = _open(place, LOCK, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
            except BaseException:  # boundary: no file stays open, whatever stopped us
                os.close(lock)
                raise
            else:
                # Nobody can have put another file in its place: they would need the folder's lock, which we have.
                return lock
        pause.wait(_BETWEEN)
    raise DeploymentFailed(
        f"Another deployment to {folder} is under way.",
        advice="It is tried again. If that does not help, look for a command that hangs.",
    )


def _open(place: Folder, name: str, flags: int) -> int:
    """Open a file that we made; anything else of that name is refused, and nothing is waited for."""
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
        content = file.read(_LARGEST + 1)
    try:
        document = json.loads(content) if len(content) <= _LARGEST else None
        if not isinstance(document, dict) or document["version"] != _VERSION:
            raise _unreadable(place)
        return {str(one): _from_json(claim) for one, claim in document["certificates"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _unreadable(place) from None


def _unreadable(place: Folder) -> DeploymentFailed:
    return DeploymentFailed(
        f"What certcore noted in {place.path} cannot be read: which files there are whose is not known.",
        advice=f"If they are all of one certificate, remove {RECORD} and {LOCK} there; else choose another folder.",
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
    return (str(one) for one in listed)
