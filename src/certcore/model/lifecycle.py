"""The life of a certificate: the statuses, and the ONE table of transitions between them.

Nothing else in the tree decides what may follow what. The docs and the state diagram are made from this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from certcore.errors import TransitionNotAllowed

__all__ = ["TRANSITIONS", "USER_ACTIONS", "Action", "Status", "allowed_actions", "transition"]


class Status(StrEnum):
    """What a managed certificate is, for its user."""

    #: Form data only: no key, no CSR.
    DRAFT = "draft"
    #: Key and CSR exist; waiting for the domain's owner, or for a retry.
    PENDING = "pending"
    #: The CA is working on the order.
    PROCESSING = "processing"
    #: A leaf is installed; renewals run beside it.
    ACTIVE = "active"
    #: not_after has passed.
    EXPIRED = "expired"
    #: An attempt failed, and retrying alone will not help.
    ERROR = "error"
    #: Revoked at the CA.
    REVOKED = "revoked"


class Action(StrEnum):
    """What can happen to a certificate: by its user, by the CA, or by the clock."""

    #: The user changes the form data: all of it in draft, later what the next issuance takes.
    EDIT = "edit"
    #: The user makes key and CSR; the issuance begins.
    GENERATE_CSR = "generate_csr"
    #: The user takes an unfinished certificate back to its form.
    BACK_TO_DRAFT = "back_to_draft"
    #: The user asks to look again now.
    CHECK_NOW = "check_now"
    #: The user starts a new issuance for a certificate that has, or had, a leaf.
    RENEW = "renew"
    #: The user has it issued anew, with other names or another key; what is in service stays until then.
    REISSUE = "reissue"
    #: The user gives an attempt beside the leaf in service up.
    CANCEL_ATTEMPT = "cancel_attempt"
    #: The user takes the leaf and its key out.
    EXPORT = "export"
    #: The user deletes it.
    DELETE = "delete"
    #: The attempt waits: for the owner of the domain, or for a retry.
    WAIT = "wait"
    #: The CA has taken the order.
    PROCESS = "process"
    #: A leaf was issued, checked and stored.
    INSTALL = "install"
    #: The attempt failed, and retrying alone will not help.
    FAIL = "fail"
    #: The attempt goes on at another CA.
    FALL_BACK = "fall_back"
    #: not_after has passed.
    EXPIRE = "expire"
    #: not_after has not passed after all: the clock was wrong.
    REINSTATE = "reinstate"
    #: Have the CA revoke the leaf in service; done when the CA has confirmed.
    REVOKE = "revoke"


_S = Status
_A = Action

#: (status, action) → the status that follows. What is not here is refused.
TRANSITIONS: Final[Mapping[tuple[Status, Action], Status]] = MappingProxyType(
    {
        (_S.DRAFT, _A.EDIT): _S.DRAFT,
        (_S.DRAFT, _A.GENERATE_CSR): _S.PENDING,
        (_S.DRAFT, _A.DELETE): _S.DRAFT,
        (_S.PENDING, _A.CHECK_NOW): _S.PENDING,
        (_S.PENDING, _A.BACK_TO_DRAFT): _S.DRAFT,
        (_S.PENDING, _A.DELETE): _S.PENDING,
        (_S.PENDING, _A.WAIT): _S.PENDING,
        (_S.PENDING, _A.PROCESS): _S.PROCESSING,
        (_S.PENDING, _A.INSTALL): _S.ACTIVE,
        (_S.PENDING, _A.FAIL): _S.ERROR,
        (_S.PENDING, _A.FALL_BACK): _S.PENDING,
        (_S.PROCESSING, _A.CHECK_NOW): _S.PROCESSING,
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
        # A renewal in flight, waiting or failing leaves the active leaf in service.
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
        (_S.ERROR, _A.CHECK_NOW): _S.PENDING,
        (_S.ERROR, _A.BACK_TO_DRAFT): _S.DRAFT,
        (_S.ERROR, _A.DELETE): _S.ERROR,
        (_S.REVOKED, _A.EDIT): _S.REVOKED,
        (_S.REVOKED, _A.RENEW): _S.PENDING,
        (_S.REVOKED, _A.REISSUE): _S.PENDING,
        (_S.REVOKED, _A.EXPORT): _S.REVOKED,
        (_S.REVOKED, _A.DELETE): _S.REVOKED,
    }
)

#: The actions that a user can take; the others belong to the engine.
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


def transition(status: Status, action: Action) -> Status:
    """The status that follows.

    Raises:
        TransitionNotAllowed: The table has no such transition; the error lists what a user may do instead.
    """
    try:
        return TRANSITIONS[status, action]
    except KeyError:
        raise TransitionNotAllowed(status, action, allowed_actions(status)) from None


def allowed_actions(status: Status) -> frozenset[Action]:
    """What a user may do with a certificate of this status."""
    return frozenset(action for (at, action) in TRANSITIONS if at is status and action in USER_ACTIONS)
