"""The standing of a certificate: facts from its issuances, stored in its own row for lists and counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from attrs import field, frozen

from certcore.model.renewal import RenewalReason

__all__ = ["Attempt", "ConditionStatus", "ConditionType", "Standing", "StatusSince"]


class ConditionType(StrEnum):
    """The types of conditions. Names are those of Kubernetes' cert-manager where it has the same condition."""

    #: A valid leaf is in service.
    READY = "Ready"
    #: An issuance is under way, and there is no leaf in service.
    ISSUING = "Issuing"
    #: An issuance is under way beside the leaf in service.
    RENEWING = "Renewing"
    #: The domain's owner has to act, for example set a DNS record.
    OWNER_ACTION_NEEDED = "OwnerActionNeeded"
    #: A third of the time between the due time of the renewal and the leaf's end has passed without a new leaf.
    RENEWAL_IN_DANGER = "RenewalInDanger"
    #: An observer, such as a deployment target, failed on an event and has not accepted it since.
    DEPLOYMENT_FAILED = "DeploymentFailed"


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "true"
    FALSE = "false"
    #: Not known yet, for example because no step has been taken since the issuance began.
    UNKNOWN = "unknown"


class Attempt(StrEnum):
    """The state of the issuance under way."""

    #: No issuance is under way.
    NONE = "none"
    #: It has begun, and no step has been taken yet.
    BEGUN = "begun"
    #: Its last step failed and is retried.
    FAILED = "failed"
    #: It continues automatically.
    WORKING = "working"
    #: It waits for the domain's owner.
    OWNER = "owner"
    #: It waits for an administrator of the panel.
    ADMINISTRATOR = "administrator"
    #: It waits for the CA.
    AUTHORITY = "authority"
    #: It waits for its turn because a rate limit of the CA is reached.
    TURN = "turn"


@frozen
class StatusSince:
    """The status of a condition, and since when it has this status."""

    status: ConditionStatus
    #: UTC; None if unknown.
    since: datetime | None


def _read_only(conditions: Mapping[ConditionType, StatusSince]) -> Mapping[ConditionType, StatusSince]:
    return MappingProxyType(dict(conditions))


@frozen(kw_only=True)
class Standing:
    """The facts about a certificate that `certcore.model.conditions.with_standing` derives from its issuances.

    All moments are UTC.
    """

    attempt: Attempt = Attempt.NONE
    #: Since when the issuance under way waits for the owner, the CA or its turn; None if it does not wait.
    waits_since: datetime | None = None
    #: When the leaf in service becomes valid; None without a leaf.
    begins_at: datetime | None = None
    #: When the leaf in service is due for renewal, and why; None if it does not renew automatically.
    renews_at: datetime | None = None
    renews_because: RenewalReason | None = None
    #: When an incomplete renewal becomes late; None if the leaf does not renew automatically.
    late_at: datetime | None = None
    #: The conditions that were stored last.
    conditions: Mapping[ConditionType, StatusSince] = field(factory=dict, converter=_read_only)
