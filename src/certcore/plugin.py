"""The public names for authors of plugins: CA modules, observers, policies, keyrings, export formats and DNS zones.

A plugin is a module or an object with functions marked `hookimpl`; `certcore.hookspecs` describes the hooks. This
complete plugin is a policy, an observer, and a CA module that waits for a person::

    from datetime import timedelta

    from attrs import frozen
    from certcore.hints import Level, Message, Notice
    from certcore.plugin import CAModule, Event, EventKind, NoSettings, Permission, Waiting, WaitingFor, form, hookimpl

    @frozen(kw_only=True)
    class DeskProfile:
        desk: str = form.text("Who issues", default="the desk")

    class DeskCA(CAModule[DeskProfile, NoSettings]):
        name = "desk"
        title = "Issued by hand"

        def advance(self, work):
            look_again = work.environment.now() + timedelta(hours=1)
            return Waiting(state={}, look_again=look_again, waiting_for=WaitingFor.AUTHORITY)

        def hints(self, view, context):
            waits = Message("desk.waits", "It waits for {desk}.", {"desk": context.profile.desk})
            return [Notice(Level.INFO, waits), *super().hints(view, context)]

    class Plugin:
        def __init__(self):
            self.made = []

        @hookimpl
        def certcore_ca_modules(self):
            return [DeskCA()]

        @hookimpl
        def certcore_on_event(self, event: Event):
            if event.kind is EventKind.CREATED:
                self.made.append(event.certificate_id)

        @hookimpl
        def certcore_authorize(self, actor, action):
            return False if actor == "trainee" and action == Permission.CERTIFICATE_REVOKE else None

Pass it to ``CertCore.open(plugins=[Plugin()])``, or name an object in the entry-point group ``certcore`` of your
package. Use `SigningCA` for a CA that signs at once. `certcore.hints` has the values of the right column, and
`certcore.testing` a conformance suite for CA modules.
"""

from __future__ import annotations

from certcore.errors import (
    AccessDeniedError,
    CAError,
    CertCoreError,
    InvalidFieldsError,
    InvalidInputError,
    KeyringError,
    NotFoundError,
    PluginError,
    SealingKeyInUseError,
    StaleWriteError,
    UnknownSealingKeyError,
    UnsealError,
    ZoneWriteError,
)
from certcore.forks import delays_fork, renew_after_fork
from certcore.hookspecs import API_LEVEL, hookimpl
from certcore.model import form
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.export import Exported, ExportedFile, ExportFormat, ExportOptions, Use, file_stem
from certcore.model.field_errors import FieldErrors
from certcore.model.form import FormField, fields_of
from certcore.model.issuance import Issuance, Purpose
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.notes import Note, NoteSubject
from certcore.model.permissions import Permission, Role
from certcore.model.problem import Problem
from certcore.model.readiness import Obstacle, Readiness, WhoseTurn
from certcore.model.renewal import Retry
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.transfer_keys import TransferKey, parse_transfer_keys
from certcore.model.views import CertificateView, Page
from certcore.ports.ca_module import (
    CAModule,
    CheckItem,
    CheckReport,
    DocumentChanges,
    Documents,
    Failed,
    Issued,
    ModuleContext,
    NoSettings,
    StepResult,
    SupportsCheck,
    SupportsCleanUp,
    SupportsDeletion,
    SupportsDiagnosis,
    SupportsPreflight,
    SupportsRenewalInfo,
    SupportsRevocation,
    Waiting,
    WaitingFor,
    Work,
)
from certcore.ports.dns import (
    DnsServer,
    HasSerial,
    ListsRecords,
    RecalledRecords,
    RecallsRecords,
    SecondaryServer,
    ServesZones,
    Zone,
    ZoneSource,
)
from certcore.ports.environment import Environment
from certcore.ports.module_actions import (
    ActionDone,
    ActionRefused,
    ActionResult,
    ActionWork,
    CertificateAction,
    ProfileAction,
    SupportsActions,
    SupportsCertificateActions,
)
from certcore.ports.module_budgets import BudgetUse, SupportsBudgets
from certcore.ports.module_files import ModuleFile, SupportsFiles
from certcore.ports.plugins import CertificateSource, PluginFailure, PluginInfo, PluginState
from certcore.ports.sealing import ChangesKeys, Keyring
from certcore.ports.signing_ca import (
    SignedChain,
    SigningCA,
    SigningContext,
    SigningPendingError,
    SigningRefusedError,
)
from certcore.ports.storage import Document
from certcore.ports.zone_writers import (
    CnameChange,
    CnameOutcome,
    HostedName,
    TxtChange,
    WritesCnames,
    ZoneServer,
    ZoneWriter,
)
from certcore.translations import Catalogue

__all__ = [
    "API_LEVEL",
    "AccessDeniedError",
    "ActionDone",
    "ActionRefused",
    "ActionResult",
    "ActionWork",
    "BudgetUse",
    "CAError",
    "CAModule",
    "Catalogue",
    "CertCoreError",
    "Certificate",
    "CertificateAction",
    "CertificateSource",
    "CertificateView",
    "ChangesKeys",
    "CheckItem",
    "CheckReport",
    "CnameChange",
    "CnameOutcome",
    "DnsName",
    "DnsServer",
    "Document",
    "DocumentChanges",
    "Documents",
    "Environment",
    "Event",
    "EventKind",
    "ExportFormat",
    "ExportOptions",
    "Exported",
    "ExportedFile",
    "Failed",
    "FieldErrors",
    "FormField",
    "HasSerial",
    "HostedName",
    "InvalidFieldsError",
    "InvalidInputError",
    "Issuance",
    "Issued",
    "Keyring",
    "KeyringError",
    "ListsRecords",
    "ModuleContext",
    "ModuleFile",
    "NoSettings",
    "NotFoundError",
    "Note",
    "NoteSubject",
    "Obstacle",
    "Page",
    "Permission",
    "PluginError",
    "PluginFailure",
    "PluginInfo",
    "PluginState",
    "Problem",
    "ProfileAction",
    "Purpose",
    "Readiness",
    "RecalledRecords",
    "RecallsRecords",
    "Retry",
    "RevocationReason",
    "Role",
    "SealingKeyInUseError",
    "SecondaryServer",
    "Secret",
    "ServesZones",
    "SignedChain",
    "SigningCA",
    "SigningContext",
    "SigningPendingError",
    "SigningRefusedError",
    "StaleWriteError",
    "Status",
    "StepResult",
    "SuggestedWindow",
    "SupportsActions",
    "SupportsBudgets",
    "SupportsCertificateActions",
    "SupportsCheck",
    "SupportsCleanUp",
    "SupportsDeletion",
    "SupportsDiagnosis",
    "SupportsFiles",
    "SupportsPreflight",
    "SupportsRenewalInfo",
    "SupportsRevocation",
    "TransferKey",
    "TxtChange",
    "UnknownSealingKeyError",
    "UnsealError",
    "Use",
    "Waiting",
    "WaitingFor",
    "WhoseTurn",
    "Work",
    "WritesCnames",
    "Zone",
    "ZoneServer",
    "ZoneSource",
    "ZoneWriteError",
    "ZoneWriter",
    "delays_fork",
    "fields_of",
    "file_stem",
    "form",
    "hookimpl",
    "parse_transfer_keys",
    "renew_after_fork",
]
