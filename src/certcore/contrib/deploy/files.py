"""Deploy certificates as files in a directory, and run a command when they have changed.

::

    web = DeployFiles(
        name="web",
        folder="/etc/ssl/sites/{name}",
        layout="versioned",
        format="nginx",
        command=("/usr/bin/systemctl", "reload", "nginx"),
    )
    core = CertCore.open("sqlite:///certcore.db", keyring="keyring.json", plugins=[web])

A leaf is deployed after it goes into service. If a newer leaf is in service by then, the newer one is deployed. Failed
deployments are tried again after pauses of 5 seconds to an hour: see `certcore.engine.outbox`. The command runs when a
file is new or has changed, and is repeated until it has succeeded for these files, also after a crash. It may run more
than once.

Deleting or revoking a certificate removes no files: its files and its private key stay until another certificate
replaces them. The versioned layout removes old versions, see `DeployFiles.keep`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen
from cryptography import x509

from certcore.adapters.export_files import LIVE, Written, write_plain, write_versioned
from certcore.adapters.secure_directory import Owner
from certcore.contrib.deploy.command import run_command
from certcore.contrib.deploy.dry_check import check_deployment
from certcore.contrib.deploy.fields import (
    ANY_TIME,
    PLACEHOLDER,
    check_command,
    check_folder,
    check_imports,
    check_keep,
    check_secret_mode,
    check_texts,
    read_domains,
)
from certcore.contrib.deploy.record import (
    PATIENCE,
    Claim,
    DeploymentError,
    DeploymentRecord,
    deployment_record,
    explained,
)
from certcore.contrib.validators import check_name, check_seconds, to_texts
from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError
from certcore.hookspecs import hookimpl
from certcore.model.events import Event, EventKind
from certcore.model.export import ExportedFile, ExportFormat, ExportOptions, file_stem
from certcore.model.finding import Finding
from certcore.model.issuance import Purpose
from certcore.model.lifecycle import Status
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.ports.plugins import CertificateSource
from certcore.x509.chain_path import is_self_signed
from certcore.x509.formats import find_format

__all__ = ["DeployFiles", "DeploymentError", "Layout"]

_log = logging.getLogger(__name__)
#: The kinds of events that put a leaf into service.
_KINDS: Final = frozenset({EventKind.INSTALLED, EventKind.IMPORTED})
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Layout(StrEnum):
    """Where the files are written below the directory; see `certcore.adapters.export_files`."""

    #: Directly in the directory.
    PLAIN = "plain"
    #: Each version in a new subdirectory. The symbolic link ``live`` leads to the newest version, so that key and leaf
    #: are replaced atomically.
    VERSIONED = "versioned"


_PEM: Final = find_format("pem")


def _format(value: str | ExportFormat) -> ExportFormat:
    return value if isinstance(value, ExportFormat) else find_format(value)


def _layout(value: str) -> Layout:
    try:
        return Layout(value)
    except ValueError:
        raise InvalidInputError(
            "layout", f"{str(value)[:40]!r} is not a layout.", advice=f"Choose: {', '.join(Layout)}."
        ) from None


@frozen(kw_only=True, eq=False)
class DeployFiles:
    """A target that writes files: pass it to ``CertCore.open(…, plugins=[DeployFiles(…)])``.

    The private key is exported by the actor ``plugin:<name>``, with an audit entry; a policy must allow this actor to
    view the certificates and to export their keys.

    Each directory (or each file, if several certificates share a directory) belongs to the certificate that claimed it
    first. Another certificate is refused, so that no tenant's server gets another tenant's key. A certificate loses its
    claim when it is deleted, when its primary name and thereby its directory changes, and when its leaf expires or is
    revoked. An imported leaf does not prove that its owner controls the names. A certificate with an imported leaf
    therefore also loses its claim to another owner's certificate whose leaf was issued here.

    For the same reason, imported leaves are only deployed if ``imports`` is set. Even then, they never replace another
    owner's certificate, whatever its state, and self-signed leaves are not deployed.

    Raises:
        InvalidInputError: A field is invalid; the error names it.
    """

    #: Unique among the plugins; the store tracks deliveries by this name.
    name: str = field(validator=check_name)
    #: An absolute path. ``{name}`` is replaced by the certificate's primary name as a file name, ``{id}`` by its ID.
    #: Without a placeholder, certificates share the directory, and the files of each are named after it (as for
    #: HAProxy). Formats with fixed file names, and the versioned layout, then only work for one certificate.
    folder: str = field(validator=check_folder)
    #: The name of a built-in format, or an `ExportFormat`.
    format: ExportFormat = field(default=_PEM, converter=_format)
    layout: Layout = field(default=Layout.PLAIN, converter=_layout)
    #: Whether the private key is written, for formats in which it is optional.
    with_key: bool = True
    #: The password that encrypts the private key, if the format supports it.
    password: Secret | None = None
    #: The owner of files and new directories: a user name or uid; None for the user that certcore runs as.
    owner: str | int | None = None
    #: The group of files and new directories: a group name or gid; None for the default.
    group: str | int | None = None
    #: The mode of secret files instead of 0600, for example 0o640 together with a group.
    secret_mode: int | None = field(default=None, validator=check_secret_mode)
    #: How many previous versions the versioned layout keeps.
    keep: int = field(default=1, validator=check_keep)
    #: Only certificates with these primary names: ``shop.example`` (also selects ``*.shop.example``), or
    #: ``.shop.example`` for all names below it. For an imported leaf, all other names must match or be below a match,
    #: too. Empty: all.
    domains: tuple[str, ...] = field(default=(), converter=read_domains)
    #: Only certificates of these owners (the panel's tenants). Empty: all.
    owners: tuple[str, ...] = field(default=(), converter=to_texts, validator=check_texts)
    #: Only certificates of these CA profiles, by name or ID. Empty: all.
    authorities: tuple[str, ...] = field(default=(), converter=to_texts, validator=check_texts)
    #: Whether imported leaves are deployed, too. Nobody has validated that their owner controls the names: enable it
    #: only if everybody who may import is trusted with every name that the target selects.
    imports: bool = field(default=False, validator=check_imports)
    #: The command to run when files have changed: the program's absolute path and its arguments, without a shell. PATH,
    #: LANG, CERTCORE_DOMAIN, CERTCORE_CERTIFICATE_ID and CERTCORE_FOLDER are set. Empty: no command.
    command: tuple[str, ...] = field(default=(), converter=to_texts, validator=check_command)
    #: Time limit of the command in seconds.
    command_timeout: float = field(default=60.0, validator=check_seconds)

    def __attrs_post_init__(self) -> None:
        options = ExportOptions(at=ANY_TIME, password=self.password)
        call_plugin(self.format.name, "ExportFormat.check", self.format.check, options, returns=None)
        self.format.takes_key(with_key=self.with_key)

    @hookimpl
    def certcore_on_event(self, event: Event, certificates: CertificateSource) -> None:
        """Deploy the leaf in service if it has changed.

        Raises:
            DeploymentError: Another certificate has claimed the directory, another deployment to it is running, or the
                command failed.
            CertCoreError: The certificate cannot be exported, or the directory's permissions are unsafe.
        """
        if event.kind not in _KINDS:
            return
        view = self._wanted(event.certificate_id, certificates)
        if view is None:
            return
        folder = self._folder(view)
        file_owner = Owner.find(self.owner, self.group)
        with explained(folder), deployment_record(folder, file_owner) as record:
            # Read the certificate again under the lock: another process may have deployed a newer leaf meanwhile.
            view = self._wanted(event.certificate_id, certificates)
            if view is None:
                return
            if self._folder(view) != folder:
                raise _changed_meanwhile(folder)
            self._deploy(view, certificates, record)

    @hookimpl
    def certcore_check_targets(self, certificate_id: str, certificates: CertificateSource) -> Iterable[Finding]:
        """What would prevent the next leaf from being deployed: the folder, its owner or the command."""
        view = self._wanted(certificate_id, certificates)
        if view is None:
            return ()
        return check_deployment(self._folder(view), owner=self.owner, group=self.group, command=self.command)

    def _wanted(self, certificate_id: str, certificates: CertificateSource) -> CertificateView | None:
        """The certificate; None if this target does not select it, or it no longer has a valid leaf in service."""
        try:
            view = certificates.view(certificate_id, actor=self._actor)
        except NotFoundError:
            return None
        if not _is_valid(view):
            return None
        authority = () if view.authority is None else (view.authority.id, view.authority.name)
        selected = (
            (not self.domains or _matches(_primary_name(view), self.domains))
            and (not self.owners or view.certificate.owner in self.owners)
            and (not self.authorities or bool({*authority} & {*self.authorities}))
        )
        return view if selected and self._permits(view) else None

    def _permits(self, view: CertificateView) -> bool:
        """Whether this target deploys the leaf in service. Only an imported leaf may be refused."""
        if not _is_imported(view):
            return True
        reason = ""
        if not self.imports:
            reason = "imports are off"
        elif _is_self_signed(view):
            reason = "it is self-signed"
        elif self.domains and (strange := [name for name in _names(view) if not _is_within(name, self.domains)]):
            # HAProxy, for example, reads a whole directory, and serves every name of each leaf in it.
            reason = f"the target does not select its name {strange[0]}"
        if reason:
            _log.info("The imported certificate %s is not deployed by %s: %s", view.certificate.id, self.name, reason)
        return not reason

    def _deploy(self, view: CertificateView, certificates: CertificateSource, record: DeploymentRecord) -> None:
        certificate_id = view.certificate.id
        place = record.folder / LIVE if self.layout is Layout.VERSIONED else record.folder
        claim = Claim(owner=view.certificate.owner, whole=self._takes_all, files=record.of(certificate_id).files)
        record.claim(certificate_id, claim, gives_up=self._gives_up(view, certificates, record.folder))
        unfinished = record.of(certificate_id).unfinished.get(self.name)
        # If all files are written and only the command is outstanding, the key is not exported again.
        complete = unfinished == self._digest(_leaf_pem(view), record.folder) and all(
            (place / name).is_file() for name in claim.files
        )
        if not (self.command and unfinished and complete) and not self._bring(view, claim, place, certificates, record):
            return
        environment = {
            "CERTCORE_DOMAIN": _primary_name(view),
            "CERTCORE_CERTIFICATE_ID": certificate_id,
            "CERTCORE_FOLDER": str(place),
        }
        run_command(self.command, environment=environment, timeout=self.command_timeout)
        record.end(certificate_id, self.name)
        record.save()

    def _bring(
        self,
        view: CertificateView,
        claim: Claim,
        place: Path,
        certificates: CertificateSource,
        record: DeploymentRecord,
    ) -> bool:
        """Write the files, and return whether the command must be run."""
        certificate_id = view.certificate.id
        try:
            exported = certificates.export(
                certificate_id, with_key=self._takes_key, reason=f"deployed by {self.name}", actor=self._actor
            )
        except NotFoundError:
            return False
        primary = _primary_name(view)
        if primary not in exported.names:
            raise _changed_meanwhile(record.folder)
        # The files are named after the first name. An imported leaf and its renewal may order the names differently.
        exported = evolve(exported, names=(primary, *(name for name in exported.names if name != primary)))
        files = self.format.export(exported, ExportOptions(at=view.now, password=self.password, folder=str(place)))
        names = frozenset(file.name for file in files)
        # In the plain layout, the files of a format that was used before stay in the directory.
        file_names = names if self.layout is Layout.VERSIONED else claim.files | names
        record.claim(
            certificate_id, evolve(claim, files=file_names), gives_up=self._gives_up(view, certificates, record.folder)
        )
        was_interrupted = self.name in record.of(certificate_id).unfinished
        if self.command:
            record.begin(certificate_id, self.name)
        record.save()
        written = self._write(record.folder, files, view.now)
        needs_command = bool(self.command) and (was_interrupted or bool(written.changed))
        if needs_command:
            record.begin(certificate_id, self.name, self._digest(exported.leaf_pem, record.folder))
        else:
            record.end(certificate_id, self.name)
        record.save()
        return needs_command

    def _gives_up(
        self, view: CertificateView, certificates: CertificateSource, folder: Path
    ) -> Callable[[str, Claim], bool]:
        """A function that says whether another certificate loses its claim to this one."""

        def gives_up(holder_id: str, claim: Claim) -> bool:
            # An imported leaf does not prove that its owner controls the names.
            is_other_owner = claim.owner != view.certificate.owner
            if is_other_owner and _is_imported(view):
                return False
            try:
                holder = certificates.view(holder_id, actor=self._actor)
            except NotFoundError:
                return True
            except AccessDeniedError:
                return False
            if not _is_valid(holder) or self._folder(holder) != folder:
                return True
            return is_other_owner and _is_imported(holder)

        return gives_up

    def _write(self, folder: Path, files: Sequence[ExportedFile], at: datetime) -> Written:
        options: dict[str, Any] = {
            "owner": self.owner,
            "group": self.group,
            "secret_mode": self.secret_mode,
            "patience": PATIENCE,
        }
        if self.layout is Layout.VERSIONED:
            return write_versioned(folder, files, at=at, keep=self.keep, **options)
        return write_plain(folder, files, **options)

    def _folder(self, view: CertificateView) -> Path:
        certificate_id = view.certificate.id
        if not _ID.fullmatch(certificate_id):
            raise InvalidInputError("folder", f"the id {certificate_id[:60]!r} cannot be used in a path.")
        parts = {"name": file_stem(_primary_name(view)), "id": certificate_id}
        return Path(PLACEHOLDER.sub(lambda match: parts[match[1]], self.folder))

    def _digest(self, leaf_pem: str, folder: Path) -> str:
        """A hash of the leaf and of the settings that shape its files.

        Empty if there is a password: a hash of the password must not be written to disk.
        """
        if self.password is not None:
            return ""
        settings = [
            self.format.name,
            self.layout,
            self._takes_key,
            self.owner,
            self.group,
            self.secret_mode,
            str(folder),
        ]
        text = json.dumps(["\n".join(leaf_pem.split()), *settings])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def _actor(self) -> str:
        return f"plugin:{self.name}"

    @property
    def _takes_key(self) -> bool:
        return self.format.takes_key(with_key=self.with_key)

    @property
    def _takes_all(self) -> bool:
        """Whether the directory is for one certificate only."""
        return self.layout is Layout.VERSIONED or PLACEHOLDER.search(self.folder) is not None


def _primary_name(view: CertificateView) -> str:
    """The certificate's primary name, or the leaf's first name if the leaf lacks it because a reissue is pending."""
    domain = view.certificate.domain
    names = view.active.names if view.active else ()
    return domain.ascii if domain in names or not names else names[0].ascii


def _leaf_pem(view: CertificateView) -> str:
    return (view.active.leaf_pem or "") if view.active else ""


def _is_valid(view: CertificateView) -> bool:
    """Whether there is a leaf in service that has neither expired nor been revoked."""
    has_leaf = _leaf_pem(view) and view.leaf is not None and view.now < view.leaf.not_after
    return bool(has_leaf) and view.certificate.status is not Status.REVOKED


def _is_imported(view: CertificateView) -> bool:
    return view.active is not None and view.active.purpose is Purpose.IMPORT


def _is_self_signed(view: CertificateView) -> bool:
    return is_self_signed(x509.load_pem_x509_certificate(_leaf_pem(view).encode()))


def _matches(domain: str, patterns: Iterable[str]) -> bool:
    return any(
        domain.endswith(pattern) if pattern.startswith(".") else domain.removeprefix("*.") == pattern
        for pattern in patterns
    )


def _names(view: CertificateView) -> list[str]:
    return [name.ascii for name in view.active.names] if view.active else []


def _is_within(domain: str, patterns: Iterable[str]) -> bool:
    """Whether a name equals one of the patterns or is below one of them, with wildcards and leading dots ignored."""
    bare = domain.removeprefix("*.")
    return any(
        bare == pattern.removeprefix(".") or bare.endswith(f".{pattern.removeprefix('.')}") for pattern in patterns
    )


def _changed_meanwhile(folder: Path) -> DeploymentError:
    return DeploymentError(
        f"The certificate got another primary name while it was deployed to {folder}; nothing was written.",
        advice="No action is needed; it will be tried again.",
    )
