"""The displayed titles of enumeration members: statuses, actions, events, key types and others."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

from certcore.messages import Message
from certcore.model.edit_rules import EditMethod
from certcore.model.events import EventKind
from certcore.model.finding import Change, Severity
from certcore.model.form_fields import FieldGroup
from certcore.model.hints import Level, RecordState, StepState
from certcore.model.issuance import Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Action, Status
from certcore.model.notes import NoteSubject
from certcore.model.offers import OFFERS
from certcore.model.permissions import Permission, Role
from certcore.model.readiness import WhoseTurn
from certcore.model.revocation import RevocationReason
from certcore.model.standing import ConditionStatus, ConditionType

__all__ = ["label_of"]


def label_of(member: Enum) -> Message:
    """The displayed title of a member of an enumeration.

    ::

        label_of(Status.DRAFT)  # Message("status.draft", "Draft")

    Args:
        member: A member, for example of `Status`, `Action`, `EventKind`, `KeyType` or `Permission`. Convert a text from
            JSON first: ``Status(document["status"])``.

    Raises:
        TypeError: The members of this enumeration have no titles.
    """
    labels = _LABELS.get(type(member))
    if labels is None:
        raise TypeError(f"There are no labels for {type(member).__name__}.")
    return labels[member]


# By type, because members of two enumerations are equal if their texts are equal.
_LABELS: Final[Mapping[type, Mapping[Any, Message]]] = MappingProxyType(
    {
        Status: {
            Status.DRAFT: Message("status.draft", "Draft"),
            Status.PENDING: Message("status.pending", "Pending"),
            Status.PROCESSING: Message("status.processing", "Processing"),
            Status.ACTIVE: Message("status.active", "Active"),
            Status.EXPIRED: Message("status.expired", "Expired"),
            Status.ERROR: Message("status.error", "Error"),
            Status.REVOKED: Message("status.revoked", "Revoked"),
        },
        Action: {
            **{action: offer.label for action, offer in OFFERS.items()},
            Action.WAIT: Message("action.wait", "Wait"),
            Action.PROCESS: Message("action.process", "Process"),
            Action.INSTALL: Message("action.install", "Install"),
            Action.FAIL: Message("action.fail", "Fail"),
            Action.FALL_BACK: Message("action.fall_back", "Fall back to another CA"),
            Action.EXPIRE: Message("action.expire", "Expire"),
            Action.REINSTATE: Message("action.reinstate", "Reinstate"),
        },
        EventKind: {
            EventKind.CREATED: Message("event.created", "Created"),
            EventKind.IMPORTED: Message("event.imported", "Imported"),
            EventKind.EDITED: Message("event.edited", "Edited"),
            EventKind.CSR_GENERATED: Message("event.csr_generated", "Key and CSR made"),
            EventKind.BACK_TO_DRAFT: Message("event.back_to_draft", "Taken back to draft"),
            EventKind.WAITING: Message("event.waiting", "Waiting"),
            EventKind.PROCESSING: Message("event.processing", "Order accepted by the CA"),
            EventKind.ATTEMPT_FAILED: Message("event.attempt_failed", "Step failed; it is retried"),
            EventKind.FAILED: Message("event.failed", "Issuance failed"),
            EventKind.RENEWAL_STARTED: Message("event.renewal_started", "Renewal begun"),
            EventKind.RENEWAL_ASKED: Message("event.renewal_asked", "Earlier renewal asked for by the CA"),
            EventKind.FELL_BACK: Message("event.fell_back", "Fell back to another CA"),
            EventKind.INSTALLED: Message("event.installed", "Leaf put into service"),
            EventKind.ATTEMPT_CANCELLED: Message("event.attempt_cancelled", "Issuance cancelled"),
            EventKind.EXPIRES_SOON: Message("event.expires_soon", "Expires soon"),
            EventKind.RENEWAL_FAILING: Message("event.renewal_failing", "Renewal in danger"),
            EventKind.RENEWAL_NOT_READY: Message("event.renewal_not_ready", "Renewal would fail"),
            EventKind.RENEWAL_READY: Message("event.renewal_ready", "Renewal can succeed again"),
            EventKind.EXPIRED: Message("event.expired", "Expired"),
            EventKind.REINSTATED: Message("event.reinstated", "Valid again"),
            EventKind.REVOKED: Message("event.revoked", "Revoked"),
            EventKind.NOTED: Message("event.noted", "Note of the CA module"),
            EventKind.ACTED: Message("event.acted", "Action of the CA module"),
            EventKind.CHECK_REQUESTED: Message("event.check_requested", "Check requested"),
            EventKind.KEY_REVEALED: Message("event.key_revealed", "Private key exported"),
            EventKind.TRANSFERRED: Message("event.transferred", "Given to another owner"),
            EventKind.DELETED: Message("event.deleted", "Deleted"),
        },
        ConditionType: {
            ConditionType.READY: Message("condition.type.ready", "Ready"),
            ConditionType.ISSUING: Message("condition.type.issuing", "Being issued"),
            ConditionType.RENEWING: Message("condition.type.renewing", "Being renewed"),
            ConditionType.OWNER_ACTION_NEEDED: Message("condition.type.owner_action_needed", "Owner has to act"),
            ConditionType.RENEWAL_IN_DANGER: Message("condition.type.renewal_in_danger", "Renewal in danger"),
            ConditionType.DEPLOYMENT_FAILED: Message("condition.type.deployment_failed", "Deployment failed"),
        },
        ConditionStatus: {
            ConditionStatus.TRUE: Message("condition.status.true", "Yes"),
            ConditionStatus.FALSE: Message("condition.status.false", "No"),
            ConditionStatus.UNKNOWN: Message("condition.status.unknown", "Unknown"),
        },
        Purpose: {
            Purpose.ISSUE: Message("purpose.issue", "First issuance"),
            Purpose.RENEW: Message("purpose.renew", "Renewal"),
            Purpose.REISSUE: Message("purpose.reissue", "Reissue"),
            Purpose.IMPORT: Message("purpose.import", "Import"),
        },
        Outcome: {
            Outcome.ISSUED: Message("outcome.issued", "Issued"),
            Outcome.FAILED: Message("outcome.failed", "Failed"),
            Outcome.ABANDONED: Message("outcome.abandoned", "Abandoned"),
        },
        KeyType: {
            KeyType.EC_P256: Message("key_type.ec_p256", "EC P-256"),
            KeyType.EC_P384: Message("key_type.ec_p384", "EC P-384"),
            KeyType.RSA_2048: Message("key_type.rsa_2048", "RSA, 2048 bits"),
            KeyType.RSA_3072: Message("key_type.rsa_3072", "RSA, 3072 bits"),
            KeyType.RSA_4096: Message("key_type.rsa_4096", "RSA, 4096 bits"),
        },
        RevocationReason: {
            RevocationReason.UNSPECIFIED: Message("revocation.unspecified", "No reason given"),
            RevocationReason.KEY_COMPROMISE: Message("revocation.key_compromise", "Private key compromised"),
            RevocationReason.AFFILIATION_CHANGED: Message("revocation.affiliation_changed", "Affiliation changed"),
            RevocationReason.SUPERSEDED: Message("revocation.superseded", "Superseded"),
            RevocationReason.CESSATION_OF_OPERATION: Message(
                "revocation.cessation_of_operation", "Cessation of operation"
            ),
        },
        Severity: {
            Severity.ERROR: Message("severity.error", "Error"),
            Severity.WARNING: Message("severity.warning", "Warning"),
            Severity.INFO: Message("severity.info", "Information"),
        },
        Level: {
            Level.INFO: Message("level.info", "Information"),
            Level.SUCCESS: Message("level.success", "Success"),
            Level.WARNING: Message("level.warning", "Warning"),
            Level.ERROR: Message("level.error", "Error"),
        },
        RecordState: {
            RecordState.UNKNOWN: Message("record_state.unknown", "Not checked yet"),
            RecordState.MISSING: Message("record_state.missing", "Missing"),
            RecordState.WRONG: Message("record_state.wrong", "Wrong"),
            RecordState.CORRECT: Message("record_state.correct", "Correct"),
            RecordState.UNREACHABLE: Message("record_state.unreachable", "No reliable answer"),
        },
        StepState: {
            StepState.DONE: Message("step_state.done", "Done"),
            StepState.CURRENT: Message("step_state.current", "Under way"),
            StepState.WAITING: Message("step_state.waiting", "Waiting"),
            StepState.FAILED: Message("step_state.failed", "Failed"),
        },
        Change: {
            Change.SET: Message("record_change.set", "Set"),
            Change.REMOVE: Message("record_change.remove", "Remove"),
        },
        FieldGroup: {
            FieldGroup.STATUS: Message("field_group.status", "Status"),
            FieldGroup.NAMES: Message("field_group.names", "Names"),
            FieldGroup.SUBJECT: Message("field_group.subject", "Subject"),
            FieldGroup.KEY: Message("field_group.key", "Key"),
            FieldGroup.RENEWAL: Message("field_group.renewal", "Renewal"),
            FieldGroup.AUTHORITY: Message("field_group.authority", "Certificate authority"),
            FieldGroup.LEAF: Message("field_group.leaf", "Certificate"),
            FieldGroup.PEM: Message("field_group.pem", "PEM"),
        },
        EditMethod: {
            EditMethod.CREATE: Message("edit_method.create", "Create"),
            EditMethod.EDIT: Message("edit_method.edit", "Edit"),
            EditMethod.REISSUE: Message("edit_method.reissue", "Reissue"),
        },
        NoteSubject: {
            NoteSubject.ACCOUNT: Message("note.account", "Account"),
            NoteSubject.AUTHORITY: Message("note.authority", "Certificate authority"),
            NoteSubject.NAMES: Message("note.names", "Names"),
            NoteSubject.ORDER: Message("note.order", "Order"),
        },
        WhoseTurn: {
            WhoseTurn.OWNER: Message("whose_turn.owner", "Owner of the domain"),
            WhoseTurn.ADMINISTRATOR: Message("whose_turn.administrator", "Administrator"),
            WhoseTurn.NOBODY: Message("whose_turn.nobody", "Nobody"),
        },
        Role: {
            Role.VIEWER: Message("role.viewer", "Viewer"),
            Role.OPERATOR: Message("role.operator", "Operator"),
            Role.ADMINISTRATOR: Message("role.administrator", "Administrator"),
        },
        Permission: {
            Permission.CERTIFICATE_LIST: Message("permission.certificate.list", "List certificates of an owner"),
            Permission.CERTIFICATE_LIST_ALL: Message("permission.certificate.list_all", "List all certificates"),
            Permission.CERTIFICATE_VIEW: Message("permission.certificate.view", "See a certificate"),
            Permission.CERTIFICATE_CREATE: Message("permission.certificate.create", "Create a certificate"),
            Permission.CERTIFICATE_IMPORT: Message("permission.certificate.import", "Import a certificate"),
            Permission.CERTIFICATE_EDIT: Message("permission.certificate.edit", "Edit a certificate"),
            Permission.CERTIFICATE_GENERATE_CSR: Message("permission.certificate.generate_csr", "Begin an issuance"),
            Permission.CERTIFICATE_RENEW: Message("permission.certificate.renew", "Renew a certificate"),
            Permission.CERTIFICATE_CHECK: Message("permission.certificate.check", "Check a certificate now"),
            Permission.CERTIFICATE_ACT: Message("permission.certificate.act", "Run actions of the CA module"),
            Permission.CERTIFICATE_APPROVE: Message("permission.certificate.approve", "Approve or refuse a request"),
            Permission.CERTIFICATE_TRANSFER: Message(
                "permission.certificate.transfer", "Give a certificate to another owner"
            ),
            Permission.CERTIFICATE_DELETE: Message("permission.certificate.delete", "Delete a certificate"),
            Permission.CERTIFICATE_REVOKE: Message("permission.certificate.revoke", "Revoke a certificate"),
            Permission.CERTIFICATE_REVEAL_KEY: Message("permission.certificate.reveal_key", "Export a private key"),
            Permission.CERTIFICATE_DELIVERIES: Message(
                "permission.certificate.deliveries", "See deliveries to targets"
            ),
            Permission.AUTHORITY_VIEW: Message("permission.authority.view", "See CA profiles"),
            Permission.AUTHORITY_USE: Message("permission.authority.use", "Use a CA profile"),
            Permission.AUTHORITY_CREATE: Message("permission.authority.create", "Create a CA profile"),
            Permission.AUTHORITY_EDIT: Message("permission.authority.edit", "Edit a CA profile"),
            Permission.AUTHORITY_CHECK: Message("permission.authority.check", "Test a CA profile"),
            Permission.AUTHORITY_ACT: Message("permission.authority.act", "Run actions of a CA profile"),
            Permission.AUTHORITY_DELETE: Message("permission.authority.delete", "Delete a CA profile"),
            Permission.KEYRING_VIEW: Message("permission.keyring.view", "See the sealing keys"),
            Permission.KEYRING_CHANGE: Message("permission.keyring.change", "Change the sealing keys"),
        },
    }
)
