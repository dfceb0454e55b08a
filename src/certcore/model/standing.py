"""A certificate's state as its issuances determine it, stored in its own row: lists and counts read no issuance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from attrs import field, frozen

from certcore.model.renewal import RenewalReason

__all__ = ["Attempt", "ConditionStatus", "ConditionType", "Standing", "StatusSince"]


class ConditionType(StrEnum):
    """The types of conditions; named as in Kubernetes' cert-manager where it has the same."""

    #: A valid leaf is in service.
    READY = "Ready"
    #: An issuance is under way, and there is no leaf in service.
    ISSUING = "Issuing"
    #: An issuance is under way beside the leaf in service.
    RENEWING = "Renewing"
    #: The domain's owner has to act, for example set a DNS record.
    OWNER_ACTION_NEEDED = "OwnerActionNeeded"
    #: A third of the time between the renewal's moment and the leaf's end has passed without a new leaf.
    RENEWAL_IN_DANGER = "RenewalInDanger"
    #: An observer, such as a deployment target, failed on an event and has not accepted it since.
    DEPLOYMENT_FAILED = "DeploymentFailed"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "true"
    FALSE = "false"
    #: It is not known yet, for example because no step has been taken since the issuance began.
    UNKNOWN = "unknown"


class Attempt(StrEnum):
    """The state of the issuance under way."""

    #: No issuance is under way.
    NONE = "none"
    #: It has begun, and no step has been taken yet.
    BEGUN = "begun"
    #: Its last step failed; it is tried again.
    FAILED = "failed"
    #: It continues automatically.
    WORKING = "working"
    #: It waits for the domain's owner.
    OWNER = "owner"
    #: It waits for an administrator of the panel.
    ADMINISTRATOR = "administrator"
    #: It waits for the CA.
    AUTHORITY = "authority"
    #: It waits for its turn: a limit of the CA is reached.
    TURN = "turn"


@frozen
class StatusSince:
    """The status of a condition, and since when it has that status; None where that is not known."""

    status: ConditionStatus
    since: datetime | None


def _read_only(conditions: Mapping[ConditionType, StatusSince]) -> Mapping[ConditionType, StatusSince]:
    return MappingProxyType(dict(conditions))


@frozen(kw_only=True)
class Standing:
    """What follows from a certificate's issuances; `certcore.model.conditions.with_standing` computes it."""

    attempt: Attempt = Attempt.NONE
    #: Since when it waits for the owner, the CA or its turn; None when it does not wait.
    waits_since: datetime | None = None
    #: When the leaf in service becomes valid.
    begins_at: datetime | None = None
    #: When the leaf in service is due for renewal, and why then; None when nothing renews it automatically.
    renews_at: datetime | None = None
    renews_because: RenewalReason | None = None
    #: From when on a renewal that is not done is late; None when nothing renews it automatically.
    late_at: datetime | None = None
    #: The conditions as they were written last.
    conditions: Mapping[ConditionType, StatusSince] = field(factory=dict, converter=_read_only)
