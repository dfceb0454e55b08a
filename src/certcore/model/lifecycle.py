"""The life cycle of a certificate: its statuses, and the table of the actions that each status allows.

The services, the view, the reference page and the state diagram use this table. `certcore.model.edit_rules` decides
which fields an edit may change.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["NEEDS", "TRANSITIONS", "USER_ACTIONS", "Action", "Need", "Status", "allowed_actions"]


class Status(StrEnum):
    """The status of a managed certificate, as its user sees it."""

    #: Form data only: no key, no CSR.
    DRAFT = "draft"
    #: Key and CSR exist; the issuance waits for the domain's owner, an administrator, or a retry.
    PENDING = "pending"
    #: The CA is working on the order.
    PROCESSING = "processing"
    #: A leaf is in service. A renewal may be under way.
    ACTIVE = "active"
    #: The leaf has expired.
    EXPIRED = "expired"
    #: The issuance failed, and a retry alone will not help.
    ERROR = "error"
    #: The CA has revoked the leaf.
    REVOKED = "revoked"


class Action(StrEnum):
    """The actions on a certificate, by its user or by the engine."""

    #: The user changes fields. Each field has a rule for the statuses in which it can be changed.
    EDIT = "edit"
    #: The user has the key and CSR generated; the issuance begins.
    GENERATE_CSR = "generate_csr"
    #: The user abandons the first issuance and returns to the draft.
    BACK_TO_DRAFT = "back_to_draft"
    #: The user asks for an immediate step, whatever the certificate waits for.
    CHECK_NOW = "check_now"
    #: The user starts a new issuance for a certificate that has, or had, a leaf.
    RENEW = "renew"
    #: The user requests a new leaf with other names or another key. The present leaf stays in service until then.
    REISSUE = "reissue"
    #: The user abandons the issuance that is under way beside the leaf in service.
    CANCEL_ATTEMPT = "cancel_attempt"
    #: The user exports the leaf, with or without its private key.
    EXPORT = "export"
    #: The user deletes the certificate.
    DELETE = "delete"
    #: The issuance waits: for the owner of the domain, an administrator, or a retry.
    WAIT = "wait"
    #: The CA has accepted the order.
    PROCESS = "process"
    #: A leaf was issued, checked and stored.
    INSTALL = "install"
    #: The issuance failed, and a retry alone will not help.
    FAIL = "fail"
    #: The issuance continues at a fallback CA profile.
    FALL_BACK = "fall_back"
    #: The leaf has expired.
    EXPIRE = "expire"
    #: The leaf is still valid; the certificate had been marked as expired under a wrong clock.
    REINSTATE = "reinstate"
    #: The user asks the CA to revoke the leaf in service. The status changes when the CA has confirmed.
    REVOKE = "revoke"


class Need(StrEnum):
    """What an action needs in addition to a status that allows it."""

    #: A leaf, in service or revoked.
    LEAF = "leaf"
    #: An issuance that is under way beside the leaf in service.
    ISSUANCE = "issuance"
    #: A CA profile.
    AUTHORITY = "authority"
    #: A leaf that was ordered here, or whose private key is in the store. An imported leaf alone proves nothing: leaves
    #: are public.
    PROOF = "proof"


_S = Status
_A = Action

#: (status, action) → the new status. All other combinations are refused.
TRANSITIONS: Final[Mapping[tuple[Status, Action], Status]] = MappingProxyType(
    {
        (_S.DRAFT, _A.EDIT): _S.DRAFT,
        (_S.DRAFT, _A.GENERATE_CSR): _S.PENDING,
        (_S.DRAFT, _A.EXPORT): _S.DRAFT,
        (_S.DRAFT, _A.DELETE): _S.DRAFT,
        (_S.PENDING, _A.EDIT): _S.PENDING,
        (_S.PENDING, _A.CHECK_NOW): _S.PENDING,
        (_S.PENDING, _A.EXPORT): _S.PENDING,
        (_S.PENDING, _A.BACK_TO_DRAFT): _S.DRAFT,
        (_S.PENDING, _A.DELETE): _S.PENDING,
        (_S.PENDING, _A.WAIT): _S.PENDING,
        (_S.PENDING, _A.PROCESS): _S.PROCESSING,
        (_S.PENDING, _A.INSTALL): _S.ACTIVE,
        (_S.PENDING, _A.FAIL): _S.ERROR,
        (_S.PENDING, _A.FALL_BACK): _S.PENDING,
        (_S.PROCESSING, _A.EDIT): _S.PROCESSING,
        (_S.PROCESSING, _A.CHECK_NOW): _S.PROCESSING,
        (_S.PROCESSING, _A.EXPORT): _S.PROCESSING,
        (_S.PROCESSING, _A.DELETE): _S.PROCESSING,
        (_S.PROCESSING, _A.PROCESS): _S.PROCESSING,
        (_S.PROCESSING, _A.WAIT): _S.PENDING,
        (_S.PROCESSING, _A.INSTALL): _S.ACTIVE,
        (_S.PROCESSING, _A.FAIL): _S.ERROR,
        (_S.PROCESSING, _A.FALL_BACK): _S.PENDING,
        (_S.ACTIVE, _A.CHECK_NOW): _S.ACTIVE,
        (_S.ACTIVE, _A.EDIT): _S.ACTIVE,
        (_S.ACTIVE, _A.RENEW): _S.ACTIVE,
        (_S.ACTIVE, _A.REISSUE): _S.ACTIVE,
        (_S.ACTIVE, _A.CANCEL_ATTEMPT): _S.ACTIVE,
        (_S.ACTIVE, _A.EXPORT): _S.ACTIVE,
        (_S.ACTIVE, _A.DELETE): _S.ACTIVE,
        # The leaf stays in service while a renewal is under way, waits or fails.
        (_S.ACTIVE, _A.WAIT): _S.ACTIVE,
        (_S.ACTIVE, _A.PROCESS): _S.ACTIVE,
        (_S.ACTIVE, _A.INSTALL): _S.ACTIVE,
        (_S.ACTIVE, _A.FAIL): _S.ACTIVE,
        (_S.ACTIVE, _A.FALL_BACK): _S.ACTIVE,
        (_S.ACTIVE, _A.EXPIRE): _S.EXPIRED,
        (_S.ACTIVE, _A.REVOKE): _S.REVOKED,
        (_S.EXPIRED, _A.CHECK_NOW): _S.EXPIRED,
        (_S.EXPIRED, _A.EDIT): _S.EXPIRED,
        (_S.EXPIRED, _A.RENEW): _S.EXPIRED,
        (_S.EXPIRED, _A.REISSUE): _S.EXPIRED,
        (_S.EXPIRED, _A.CANCEL_ATTEMPT): _S.EXPIRED,
        (_S.EXPIRED, _A.EXPORT): _S.EXPIRED,
        (_S.EXPIRED, _A.DELETE): _S.EXPIRED,
        (_S.EXPIRED, _A.WAIT): _S.EXPIRED,
        (_S.EXPIRED, _A.PROCESS): _S.EXPIRED,
        (_S.EXPIRED, _A.FAIL): _S.EXPIRED,
        (_S.EXPIRED, _A.FALL_BACK): _S.EXPIRED,
        (_S.EXPIRED, _A.INSTALL): _S.ACTIVE,
        (_S.EXPIRED, _A.REINSTATE): _S.ACTIVE,
        (_S.ERROR, _A.EDIT): _S.ERROR,
        (_S.ERROR, _A.CHECK_NOW): _S.PENDING,
        (_S.ERROR, _A.EXPORT): _S.ERROR,
        (_S.ERROR, _A.BACK_TO_DRAFT): _S.DRAFT,
        (_S.ERROR, _A.DELETE): _S.ERROR,
        (_S.REVOKED, _A.EDIT): _S.REVOKED,
        (_S.REVOKED, _A.RENEW): _S.PENDING,
        (_S.REVOKED, _A.REISSUE): _S.PENDING,
        (_S.REVOKED, _A.EXPORT): _S.REVOKED,
        (_S.REVOKED, _A.DELETE): _S.REVOKED,
    }
)

#: The actions that users take; the engine takes the others.
USER_ACTIONS: Final = frozenset(
    {
        Action.EDIT,
        Action.GENERATE_CSR,
        Action.BACK_TO_DRAFT,
        Action.CHECK_NOW,
        Action.RENEW,
        Action.REISSUE,
        Action.CANCEL_ATTEMPT,
        Action.EXPORT,
        Action.REVOKE,
        Action.DELETE,
    }
)

#: What an action needs in addition to the status. Without it, the services refuse the action and a view does not offer
#: it.
NEEDS: Final[Mapping[Action, Need]] = MappingProxyType(
    {
        Action.GENERATE_CSR: Need.AUTHORITY,
        Action.RENEW: Need.AUTHORITY,
        Action.CANCEL_ATTEMPT: Need.ISSUANCE,
        Action.EXPORT: Need.LEAF,
        Action.REVOKE: Need.PROOF,
    }
)


def allowed_actions(status: Status) -> frozenset[Action]:
    """The actions that users may take in a status. Some of them have additional `NEEDS`."""
    return frozenset(action for (at, action) in TRANSITIONS if at is status and action in USER_ACTIONS)
