"""Certificates to where servers read them: files in a folder, and a command when they have changed.

::

    web = DeployFiles(
        name="web",
        folder="/etc/ssl/sites/{name}",
        layout="versioned",
        format="nginx",
        command=("/usr/bin/systemctl", "reload", "nginx"),
    )
    core = CertCore.open("sqlite:///certcore.db", keyring="keyring.json", plugins=[web])

It acts when a leaf goes into service, and deploys the one that is in service then, which may be a newer one. What fails
is tried again, after pauses from 5 seconds to an hour: see `certcore.engine.outbox`. The command is run when a file is
new or other than before, and again until it has succeeded for these files, whatever crashes in between. So it can run
more than once.

Nothing is ever removed: when a certificate is deleted or revoked, its files and its private key stay where they are,
until another certificate takes the place.
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

from certcore.adapters.files import LIVE, Written, write_plain, write_versioned
from certcore.adapters.folders import Owner
from certcore.contrib.deploy_command import run_command
from certcore.contrib.deploy_fields import (
    ANY,
    PLACEHOLDER,
    check_command,
    check_folder,
    check_imports,
    check_keep,
    check_secret_mode,
    check_texts,
    read_domains,
    to_texts,
)
from certcore.contrib.deploy_record import (
    PATIENCE,
    Claim,
    DeploymentFailed,
    DeploymentRecord,
    deployment_record,
    explained,
)
from certcore.contrib.target_fields import check_name, check_seconds
from certcore.errors import AccessDenied, InvalidInput, NotFound
from certcore.hookspecs import hookimpl
from certcore.model.events import Event, EventKind
from certcore.model.export import ExportedFile, ExportFormat, ExportOptions, file_stem
from certcore.model.issuance import Purpose
from certcore.model.lifecycle import Status
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.ports.plugins import CertificateSource
from certcore.x509.formats import find_format
from certcore.x509.path import is_self_signed

__all__ = ["DeployFiles", "DeploymentFailed", "Layout"]

_log = logging.getLogger(__name__)
#: After these another leaf is in service.
_KINDS: Final = frozenset({EventKind.INSTALLED, EventKind.IMPORTED})
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Layout(StrEnum):
    """How the files lie in their folder; see `certcore.adapters.files`."""

    #: In the folder itself.
    PLAIN = "plain"
    #: In a new folder for each change, with the link ``live`` to it, so that key and certificate change at one moment.
    VERSIONED = "versioned"


_PEM: Final = find_format("pem")


def _format(wanted: str | ExportFormat) -> ExportFormat:
    return wanted if isinstance(wanted, ExportFormat) else find_format(wanted)


def _layout(wanted: str) -> Layout:
    try:
        return Layout(wanted)
    except ValueError:
        raise InvalidInput("layout", f"{str(wanted)[:40]!r} is none.", advice=f"Choose: {', '.join(Layout)}.") from None


@frozen(kw_only=True, eq=False)
class DeployFiles:
    """A target for files: hand it to ``CertCore.open(…, plugins=[DeployFiles(…)])``.

    The private key is taken out on the record, by the actor ``plugin:<name>``: a policy has to let that one view the
    certificates and take their keys out.

    Each folder, or each file where several certificates share a folder, belongs to the certificate that came first.
    Another one is refused, so that no tenant gets another's key. The first one gives its place up when it was deleted,
    when it has another primary name and so another folder, and when its leaf has expired or was revoked; and to a leaf
    that was issued here, if its own was imported, which proves nothing, and its owner is another.

    For the same reason imported leaves are not deployed unless ``imports`` permits it; even then, none ever takes the
    place of another owner's certificate, whatever became of that, and none that is self-signed is deployed.

    Raises:
        InvalidInput: A field cannot be used; the error names it.
    """

    #: Unique among the plugins; the store remembers by it what was deployed.
    name: str = field(validator=check_name)
    #: An absolute path. ``{name}`` stands for the certificate's primary name as a file's name, ``{id}`` for its id.
    #: Without them certificates share the folder, each with files that are named after it (as haproxy's are); formats
    #: with the same file names for all, and the versioned layout, are then for one certificate.
    folder: str = field(validator=check_folder)
    #: The name of one of certcore's own formats, or a format.
    format: ExportFormat = field(default=_PEM, converter=_format)
    layout: Layout = field(default=Layout.PLAIN, converter=_layout)
    #: Whether the private key is written, where the format can do without.
    with_key: bool = True
    #: Encrypts the private key, where the format can.
    password: Secret | None = None
    #: Whom files and new folders belong to: a user by name or number; None for the one that certcore runs as.
    owner: str | int | None = None
    #: The same for the group.
    group: str | int | None = None
    #: The mode of secret files instead of 0600: 0o640 together with a group, say.
    secret_mode: int | None = field(default=None, validator=check_secret_mode)
    #: Versions from before that stay, in the versioned layout.
    keep: int = field(default=1, validator=check_keep)
    #: Only certificates with these primary names: ``shop.example`` or, for all names below, ``.shop.example``. A
    #: wildcard's ``*.`` is not looked at for the first. Of a leaf that was imported, all other names have to be these,
    #: or below them, too. Empty: all.
    domains: tuple[str, ...] = field(default=(), converter=read_domains)
    #: Only certificates of these owners, as the panel calls its tenants. Empty: all.
    owners: tuple[str, ...] = field(default=(), converter=to_texts, validator=check_texts)
    #: Only certificates of these CA profiles, by name or id. Empty: all.
    authorities: tuple[str, ...] = field(default=(), converter=to_texts, validator=check_texts)
    #: Whether leaves that were imported are deployed, too. Nobody has validated that their owner controls the names:
    #: say yes only where whoever may import is trusted with every name that the target selects.
    imports: bool = field(default=False, validator=check_imports)
    #: What to run when files have changed: the program's absolute path, and each argument on its own. No shell; PATH,
    #: LANG, CERTCORE_DOMAIN, CERTCORE_CERTIFICATE_ID and CERTCORE_FOLDER are set. Empty: nothing.
    command: tuple[str, ...] = field(default=(), converter=to_texts, validator=check_command)
    #: Seconds that the command may take.
    command_timeout: float = field(default=60.0, validator=check_seconds)

    def __attrs_post_init__(self) -> None:
        options = ExportOptions(at=ANY, password=self.password)
        call_plugin(self.format.name, "ExportFormat.check", self.format.check, options, returns=None)
        self.format.takes_key(with_key=self.with_key)

    @hookimpl
    def certcore_on_event(self, event: Event, certificates: CertificateSource) -> None:
        """Deploy the leaf in service, when it is another one.

        Raises:
            DeploymentFailed: The folder is another certificate's or somebody else deploys to it, or the command failed.
            CertCoreError: The certificate cannot be exported, or the folder is not to be trusted.
        """
        if event.kind not in _KINDS:
            return
        view = self._wanted(event.certificate_id, certificates)
        if view is None:
            return
        folder = self._folder(view)
        who = Owner.find(self.owner, self.group)
        with explained(folder), deployment_record(folder, who) as record:
            # Again, now that nobody else writes here: what another process has deployed meanwhile is no newer.
            view = self._wanted(event.certificate_id, certificates)
            if view is None:
                return
            if self._folder(view) != folder:
                raise _changed_meanwhile(folder)
            self._deploy(view, certificates, record)

    def _wanted(self, certificate_id: str, certificates: CertificateSource) -> CertificateView | None:
        """The certificate; None when it is not for this target, or when there is nothing to deploy any more."""
        try:
            view = certificates.view(certificate_id, actor=self._actor)
        except NotFound:
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
        """Whether the origin of the leaf in service is good enough for this target."""
        if not _is_imported(view):
            return True
        reason = ""
        if not self.imports:
            reason = "imports are off"
        elif _is_self_signed(view):
            reason = "it is self-signed"
        elif self.domains and (strange := [name for name in _names(view) if not _is_within(name, self.domains)]):
            # A server that reads a whole folder, as HAProxy does, answers for every name of each leaf in it.
            reason = f"the target does not select its name {strange[0]}"
        if reason:
            _log.info("The imported certificate %s is not deployed by %s: %s", view.certificate.id, self.name, reason)
        return not reason

    def _deploy(self, view: CertificateView, certificates: CertificateSource, record: DeploymentRecord) -> None:
        one = view.certificate.id
        place = record.folder / LIVE if self.layout is Layout.VERSIONED else record.folder
        claim = Claim(owner=view.certificate.owner, whole=self._takes_all, files=record.of(one).files)
        record.claim(one, claim, gives_up=self._gives_up(view, certificates, record.folder))
        unfinished = record.of(one).unfinished.get(self.name)
        # When nothing but the command is missing, the key is not taken out for it again.
        complete = unfinished == self._digest(_leaf_pem(view), record.folder) and all(
            (place / name).is_file() for name in claim.files
        )
        if not (self.command and unfinished and complete) and not self._bring(view, claim, place, certificates, record):
            return
        environment = {
            "CERTCORE_DOMAIN": _primary_name(view),
            "CERTCORE_CERTIFICATE_ID": one,
            "CERTCORE_FOLDER": str(place),
        }
        run_command(self.command, environment=environment, timeout=self.command_timeout)
        record.end(one, self.name)
        record.save()

    def _bring(
        self,
        view: CertificateView,
        claim: Claim,
        place: Path,
        certificates: CertificateSource,
        record: DeploymentRecord,
    ) -> bool:
        """Write the files; returns whether the command has to be run."""
        one = view.certificate.id
        try:
            material = certificates.material(
                one, with_key=self._takes_key, reason=f"deployed by {self.name}", actor=self._actor
            )
        except NotFound:
            return False
        primary = _primary_name(view)
        if primary not in material.names:
            raise _changed_meanwhile(record.folder)
        # Files are named after the first: an imported leaf may have its names in any order, and its renewal in another.
        material = evolve(material, names=(primary, *(name for name in material.names if name != primary)))
        files = self.format.export(material, ExportOptions(at=view.now, password=self.password, folder=str(place)))
        names = frozenset(file.name for file in files)
        # A plain folder goes on holding what an earlier format wrote.
        held = names if self.layout is Layout.VERSIONED else claim.files | names
        record.claim(one, evolve(claim, files=held), gives_up=self._gives_up(view, certificates, record.folder))
        was_cut_off = self.name in record.of(one).unfinished
        if self.command:
            record.begin(one, self.name)
        record.save()
        written = self._write(record.folder, files, view.now)
        needs_command = bool(self.command) and (was_cut_off or bool(written.changed))
        if needs_command:
            record.begin(one, self.name, self._digest(material.leaf_pem, record.folder))
        else:
            record.end(one, self.name)
        record.save()
        return needs_command

    def _gives_up(
        self, view: CertificateView, certificates: CertificateSource, folder: Path
    ) -> Callable[[str, Claim], bool]:
        """Which certificates give their place in a folder up to this one."""

        def gives_up(holder_id: str, claim: Claim) -> bool:
            # Whoever imports a leaf has shown nobody that the name is theirs.
            is_other_owner = claim.owner != view.certificate.owner
            if is_other_owner and _is_imported(view):
                return False
            try:
                holder = certificates.view(holder_id, actor=self._actor)
            except NotFound:
                return True
            except AccessDenied:
                return False
            if not _is_valid(holder) or self._folder(holder) != folder:
                return True
            return is_other_owner and _is_imported(holder)

        return gives_up

    def _write(self, folder: Path, files: Sequence[ExportedFile], at: datetime) -> Written:
        whom: dict[str, Any] = {
            "owner": self.owner,
            "group": self.group,
            "secret_mode": self.secret_mode,
            "patience": PATIENCE,
        }
        if self.layout is Layout.VERSIONED:
            return write_versioned(folder, files, at=at, keep=self.keep, **whom)
        return write_plain(folder, files, **whom)

    def _folder(self, view: CertificateView) -> Path:
        one = view.certificate.id
        if not _ID.fullmatch(one):
            raise InvalidInput("folder", f"the id {one[:60]!r} cannot be part of a path.")
        parts = {"name": file_stem(_primary_name(view)), "id": one}
        return Path(PLACEHOLDER.sub(lambda found: parts[found[1]], self.folder))

    def _digest(self, leaf_pem: str, folder: Path) -> str:
        """What was deployed how. With a password nothing is: it would have to be in it, and should not be on a disk."""
        if self.password is not None:
            return ""
        how = [self.format.name, self.layout, self._takes_key, self.owner, self.group, self.secret_mode, str(folder)]
        text = json.dumps(["\n".join(leaf_pem.split()), *how])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def _actor(self) -> str:
        return f"plugin:{self.name}"

    @property
    def _takes_key(self) -> bool:
        return self.format.takes_key(with_key=self.with_key)

    @property
    def _takes_all(self) -> bool:
        """Whether a folder is for one certificate alone."""
        return self.layout is Layout.VERSIONED or PLACEHOLDER.search(self.folder) is not None


def _primary_name(view: CertificateView) -> str:
    """The certificate's, if the leaf in service has it: the user may be about to have it issued with another one."""
    domain = view.certificate.domain
    names = view.active.names if view.active else ()
    return domain.ascii if domain in names or not names else names[0].ascii


def _leaf_pem(view: CertificateView) -> str:
    return (view.active.leaf_pem or "") if view.active else ""


def _is_valid(view: CertificateView) -> bool:
    """Whether there is a leaf in service that servers should present."""
    has_leaf = _leaf_pem(view) and view.leaf is not None and view.now < view.leaf.not_after
    return bool(has_leaf) and view.certificate.status is not Status.REVOKED


def _is_imported(view: CertificateView) -> bool:
    return view.active is not None and view.active.purpose is Purpose.IMPORT


def _is_self_signed(view: CertificateView) -> bool:
    return is_self_signed(x509.load_pem_x509_certificate(_leaf_pem(view).encode()))


def _matches(domain: str, wanted: Iterable[str]) -> bool:
    return any(domain.endswith(one) if one.startswith(".") else domain.removeprefix("*.") == one for one in wanted)


def _names(view: CertificateView) -> list[str]:
    return [name.ascii for name in view.active.names] if view.active else []


def _is_within(domain: str, wanted: Iterable[str]) -> bool:
    """Whether a name is one of those that are wanted, or lies below one."""
    bare = domain.removeprefix("*.")
    return any(bare == one.removeprefix(".") or bare.endswith(f".{one.removeprefix('.')}") for one in wanted)


def _changed_meanwhile(folder: Path) -> DeploymentFailed:
    return DeploymentFailed(
        f"The certificate got another primary name while it was deployed to {folder}; nothing was written.",
        advice="Nothing is to be done: it is tried again.",
    )
