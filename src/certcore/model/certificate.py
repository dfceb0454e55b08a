"""The certificate that a user manages: its names, subject, CA profile, policy and status, without key and leaf."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from attrs import define, evolve, field, frozen

from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.names import MAX_IMPORTED_NAMES, DnsName, certificate_names
from certcore.model.problem import Problem
from certcore.model.read_only import read_only
from certcore.model.renewal import RenewalPolicy
from certcore.model.standing import Standing
from certcore.model.stored_moments import LONGEST_LEASE, LONGEST_SLEEP, is_ahead
from certcore.model.subject import Subject

__all__ = ["ACTION", "DELETION", "WITHOUT_LEAF", "Certificate", "Schedule"]

#: A certificate without a leaf is as urgent as a certificate whose leaf expires this long after it became due: less
#: urgent than urgent renewals, more urgent than others. So an owner who never sets the CNAME delays no urgent renewal.
WITHOUT_LEAF: Final = timedelta(days=1)
#: The lease owner while a user's call deletes the certificate; an overtaken step then cleans up after itself.
DELETION: Final = "deletion"
#: The lease owner while an action of the CA module runs on the certificate.
ACTION: Final = "action"
_NEVER: Final = datetime.max.replace(tzinfo=UTC) - WITHOUT_LEAF


@define(frozen=True, kw_only=True, slots=False)
class Certificate:
    """One managed certificate."""

    id: str
    #: The tenant; empty in a panel without tenants. The CNAME of one owner is never used for another owner.
    owner: str = ""
    #: The primary name.
    domain: DnsName
    #: Further names, in the user's order, without duplicates.
    aliases: tuple[DnsName, ...] = ()
    #: Also cover ``*.domain``.
    wildcard: bool = False
    subject: Subject = field(factory=Subject)
    key_type: KeyType = KeyType.EC_P256
    renewal: RenewalPolicy = field(factory=RenewalPolicy)
    #: The ID of the CA profile; None if the certificate was imported or its CA profile was removed. Then it is not
    #: renewed.
    authority_id: str | None
    #: The IDs of further CA profiles, tried in this order if the first one keeps failing for its own reasons.
    fallbacks: tuple[str, ...] = ()
    #: The CA module's settings for this certificate: its ``certificate_type`` as plain JSON.
    module_data: Mapping[str, Any] = field(factory=dict, converter=read_only, repr=False)
    #: The user's own CSR (PEM), whose private key stays with the user. Empty: certcore makes the keys.
    csr_pem: str = field(default="", repr=False)
    status: Status = Status.DRAFT
    #: The issuance under way, or the last one if it failed; None in draft.
    issuance_id: str | None = None
    #: The issuance whose leaf is in service.
    active_issuance_id: str | None = None
    #: The end of the leaf in service.
    not_after: datetime | None = None
    #: Why the last issuance failed; None after a success.
    problem: Problem | None = None
    #: Computed from its issuances, and therefore left out of comparisons.
    standing: Standing = field(factory=Standing, eq=False, repr=False)
    #: Incremented by every save of a user; a save with an older version is refused.
    version: int = 1
    created_at: datetime
    updated_at: datetime

    @cached_property
    def names(self) -> tuple[DnsName, ...]:
        """All names in the order of the request: the domain, ``*.domain``, the aliases."""
        return certificate_names(self.domain, self.aliases, wildcard=self.wildcard, most=MAX_IMPORTED_NAMES)

    @property
    def renews_itself(self) -> bool:
        """Whether renewals begin automatically: the policy says so, and there is a CA profile."""
        return self.renewal.auto and self.authority_id is not None


@frozen(kw_only=True)
class Schedule:
    """When a certificate's next step is due, and who holds the lease. A small row that the engine writes often."""

    certificate_id: str
    #: When the next step is due, UTC; None if only a user's action makes it due.
    due_at: datetime | None = None
    #: The end of the leaf in service, UTC: the deadline of its renewal; None without a leaf.
    needed_by: datetime | None = None
    #: How many issuances have failed in a row.
    attempts: int = 0
    lease_owner: str = ""
    lease_until: datetime | None = None
    #: The fencing token, incremented by every lease; a write with an older token is refused.
    token: int = 0
    #: When due_at was written, by the writer's clock; None if unknown. A moment in the future shows a wrong clock.
    written_at: datetime | None = None

    def is_leased(self, now: datetime) -> bool:
        """Whether a process holds the lease. A lease that ends later than any can was written under a wrong clock."""
        return (
            self.lease_until is not None
            and self.lease_until > now
            and not is_ahead(self.lease_until, now, LONGEST_LEASE)
        )

    def is_from_ahead(self, now: datetime) -> bool:
        """Whether it was written while a clock was ahead, so that its due_at is meaningless."""
        if self.written_at is None:
            return is_ahead(self.due_at, now, LONGEST_SLEEP)
        return is_ahead(self.written_at, now)

    def taken_over(self, due_at: datetime | None, attempts: int | None = None) -> Schedule:
        """The schedule without a lease and with a higher token, due at another moment."""
        return evolve(
            self,
            due_at=due_at,
            attempts=self.attempts if attempts is None else attempts,
            lease_owner="",
            lease_until=None,
            token=self.token + 1,
            written_at=due_at,
        )

    @property
    def urgency(self) -> tuple[datetime, datetime, str]:
        """The sort key of due schedules: smaller is more urgent. Only for schedules with a due_at."""
        due_at = self.due_at or _NEVER
        return (self.needed_by or due_at + WITHOUT_LEAF, due_at, self.certificate_id)
