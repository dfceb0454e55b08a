"""`Attempt`: an issuance in one call of `certcore_puq_acme.orders.advance.advance`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, frozen

from certcore.messages import Message
from certcore.model.finding import Finding
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import WaitingFor
from certcore_puq_acme.accounts.known_directory import directory_key
from certcore_puq_acme.accounts.pool import Accounts, Opened
from certcore_puq_acme.accounts.records import AccountRef, account_of
from certcore_puq_acme.dns.checks import DnsAccess, DnsChecks
from certcore_puq_acme.dns.delegation import Delegation, delegations, validation_name
from certcore_puq_acme.moments import moment_before
from certcore_puq_acme.orders.patience import Trouble, Wait, bounded_wait, growing_pause
from certcore_puq_acme.orders.results import AttemptFailed, LookAgain
from certcore_puq_acme.orders.state import Findings, OrderState, SeenFinding, Stage, UnwrittenValues, WaitingTurn
from certcore_puq_acme.profile.settings import AcmeWork, ChallengeType, PuqAcmeProfile, PuqAcmeSettings
from certcore_puq_acme.profile.zone_writer import hosted_cnames_of, publication_of
from certcore_puq_acme.protocol.errors import AcmeError
from certcore_puq_acme.rate_limits.limiter import Budget, Turn
from certcore_puq_acme.rate_limits.pauses import LONGEST_PAUSE
from certcore_puq_acme.techzone.hosted_cnames import HostedCnames
from certcore_puq_acme.techzone.publication import Publication, Unwritten
from certcore_puq_acme.techzone.records import TechZoneRecords

__all__ = ["WRITE_AGAIN", "Attempt"]

#: What is not visible in the DNS is written again once in this many looks: the server may have lost it.
WRITE_AGAIN: Final = 8


@frozen(kw_only=True)
class Attempt:
    """An issuance in one step, with the objects that every stage needs."""

    work: AcmeWork
    profile: PuqAcmeProfile
    settings: PuqAcmeSettings
    state: OrderState
    findings: Findings
    #: How the names are validated.
    challenge: ChallengeType
    #: The CNAMEs; empty for challenge types without them.
    delegations: tuple[Delegation, ...]
    checks: DnsChecks
    #: The ledger of TXT values in the tech zone.
    records: TechZoneRecords
    #: Writes the TXT values to another DNS server; None for certcore's own server, which reads the ledger.
    publication: Publication | None
    #: The CNAMEs of domains that the panel hosts.
    hosted: HostedCnames
    #: The account for the next order.
    ref: AccountRef
    accounts: Accounts
    #: The budget of the account of the present or next order.
    budget: Budget
    now: datetime

    @classmethod
    def of(cls, work: AcmeWork, accounts: Accounts, dns: DnsAccess) -> Attempt:
        """Make the attempt for a call."""
        profile = work.profile
        settings = work.settings
        state = OrderState.of(work.issuance).resumed()
        challenge = state.challenge or settings.challenge_type(profile)
        ref = account_of(work, settings, work.certificate.owner)
        budget = Budget(
            documents=work.documents,
            account=state.account or ref.key,
            limits=profile.limits_in_force,
            max_orders=profile.max_orders,
            directory=state.directory or profile.directory,
        )
        _read_together(work, ref, budget, accounts)
        return cls(
            work=work,
            profile=profile,
            settings=settings,
            state=state,
            findings=Findings.of(work.issuance),
            challenge=challenge,
            delegations=_delegations(work, state) if challenge is ChallengeType.DNS else (),
            checks=DnsChecks.of(profile, dns),
            records=TechZoneRecords(work.documents),
            publication=publication_of(work, dns.connections),
            hosted=hosted_cnames_of(work, dns.connections),
            ref=ref,
            accounts=accounts,
            budget=budget,
            now=work.environment.now(),
        )

    def opened(self) -> Opened:
        """The existing account, with its client."""
        return self.accounts.opened(self.work, self.ref)

    @property
    def names(self) -> list[str]:
        """The requested names, as A-labels."""
        return [name.ascii for name in self.work.issuance.names]

    @property
    def since(self) -> datetime:
        """When the current stage began."""
        return moment_before(self.state.since, self.now)

    def elapsed(self) -> timedelta:
        """How long the current stage has lasted."""
        return max(self.now - self.since, timedelta(0))

    @property
    def left(self) -> timedelta | None:
        """The remaining time of the leaf in service; None without a leaf."""
        leaf = self.work.active.leaf if self.work.active else None
        return None if leaf is None else max(leaf.not_after - self.now, timedelta(0))

    @property
    def trouble(self) -> Trouble:
        """The trouble that delays the issuance."""
        return Trouble.continued(self.state.trouble, self.now)

    def paused(self) -> Turn | None:
        """The pause that the CA has asked for, limited to a share of the leaf's remaining time."""
        return self.budget.paused(self.now, self.patience)

    @property
    def patience(self) -> timedelta:
        """The longest pause."""
        return timedelta(seconds=bounded_wait(LONGEST_PAUSE.total_seconds(), Wait.LIMIT, self.left))

    def delay(self, looks: int, retry_after: float | None) -> float:
        """The seconds to the next poll of an order: the CA's Retry-After within limits, or a growing pause."""
        return max(growing_pause(looks), bounded_wait(retry_after or 0.0, Wait.ORDER, self.left))

    def target(self, base: str) -> str:
        """The name at which the TXT values of a name are published.

        Raises:
            AcmeError: The name is not in this order.
        """
        for delegation in self.delegations:
            if delegation.base == base:
                return delegation.target
        raise AcmeError(
            Message(
                "puq_acme.order.foreign_name",
                "The CA asks for a validation of {name}, which was not ordered.",
                {"name": base[:100]},
            ),
            advice=Message("puq_acme.order.foreign_name.advice", "Tell the CA."),
        )

    def in_stage(self, stage: Stage) -> OrderState:
        """The state after a usable answer of the CA. The number of polls is reset in every new stage."""
        is_same = self.state.stage is stage
        return evolve(
            self.state,
            stage=stage,
            polls=self.state.polls + 1 if is_same else 0,
            since=self.since if is_same else self.now,
            trouble=None,
            status="",
        )

    def look_again(
        self,
        state: OrderState,
        delay: float,
        *,
        unseen: Sequence[Finding] = (),
        unwritten: UnwrittenValues | None = None,
    ) -> LookAgain:
        """Wait for the CA or for the DNS.

        Args:
            state: The new state.
            delay: The seconds to wait.
            unseen: The servers that do not publish the values yet, the most important first.
            unwritten: Why the tech zone's server does not have the values.
        """
        return LookAgain(
            state=state,
            findings=evolve(
                self.findings.lasting(),
                unseen=SeenFinding.first_of(unseen),
                unwritten=unwritten,
            ),
            until=self.now + timedelta(seconds=delay),
            waiting_for=WaitingFor.AUTHORITY,
            holds=True,
            repeatable=True,
        )

    def wait_for_turn(self, state: OrderState, turn: Turn, *, holds: bool | None = None) -> LookAgain:
        """Wait for a limit of the CA, a pause, or other orders. No action is needed."""
        return LookAgain(
            state=state,
            findings=evolve(self.findings, turn=WaitingTurn.of(turn)),
            until=turn.until or self.now,
            waiting_for=WaitingFor.TURN,
            holds=holds,
        )

    def release(self) -> None:
        """Release the issuance's TXT values in the tech zone, and its place among orders in flight.

        This is stored together with the outcome of the step. If another server has the zone, it is stored at once, and
        `withdraw` then removes the values from that server. Does nothing if nothing is held.
        """
        if self.publication is not None:
            self.records.remove_issuance_now(self.work.issuance.id, self.published_names, self.now)
        elif self.state.targets:
            self.records.remove_issuance(self.work.issuance.id, self.state.targets.values(), self.now)
        self.budget.leave(self.work.issuance.id)

    @property
    def published_names(self) -> frozenset[str]:
        """The names at which TXT values of this and of earlier issuances may be published."""
        return frozenset((*self.state.targets.values(), *(delegation.target for delegation in self.delegations)))

    @property
    def still_holds(self) -> bool:
        """Whether values may still be at the tech zone's server after `release`."""
        return self.publication is not None

    def withdraw(self) -> Unwritten | None:
        """Remove released values from the tech zone's server, also those of deleted certificates.

        Returns:
            Why the values cannot be removed now; None if they are removed. The engine calls the clean-up again.
        """
        if self.publication is None:
            return None
        unwritten = self.publication.withdraw_leftovers(self.published_names)
        if unwritten is None:
            self.publication.heal()
            self.hosted.heal()
        return unwritten

    def give_up(
        self, problem: Problem, retry: Retry, *, retry_at: datetime | None = None, of_authority: bool = False
    ) -> AttemptFailed:
        """Abandon the order. The next issuance places another one."""
        self.release()
        self.withdraw()
        return AttemptFailed(
            state=OrderState(),
            findings=self.findings,
            problem=problem,
            retry=retry,
            retry_at=retry_at,
            of_authority=of_authority,
            holds=self.still_holds,
        )

    def begin_anew(self, *, foreign_orders: int = 0) -> LookAgain:
        """Abandon the order and place another one at once."""
        self.release()
        self.withdraw()
        return LookAgain(
            state=OrderState(foreign_orders=foreign_orders),
            findings=self.findings,
            until=self.now,
            waiting_for=WaitingFor.AUTHORITY,
            holds=self.still_holds,
        )


def _read_together(work: AcmeWork, ref: AccountRef, budget: Budget, accounts: Accounts) -> None:
    """Read the documents that every step needs in one transaction.

    The pauses are stored by the account's URL, for which the last URL in this process is used.
    """
    opened = accounts.last_opened(ref)
    pauses = budget.pause_keys("" if opened is None else opened.record.url)
    work.documents.get_many([ref.key, directory_key(work), *pauses])


def _delegations(work: AcmeWork, state: OrderState) -> tuple[Delegation, ...]:
    """The CNAMEs. Those of an order are not changed after it was placed, even if the tech zone is changed."""
    if state.stage.has_order and state.targets:
        targets = state.targets.items()
        return tuple(Delegation(base=base, name=validation_name(base), target=target) for base, target in targets)
    return delegations(work.profile, work.documents, work.certificate.owner, work.issuance.names)
