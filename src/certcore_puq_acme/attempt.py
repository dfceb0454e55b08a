"""One call of `certcore_puq_acme.steps.advance`: the work, with what every step needs of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from certcore.model.issuance import Purpose
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Waiting, WaitingFor, Work
from certcore_puq_acme.account_records import AccountRef, account_of
from certcore_puq_acme.accounts import Accounts, Opened
from certcore_puq_acme.acme_errors import AcmeError
from certcore_puq_acme.budget import Budget, Turn
from certcore_puq_acme.delegation import Delegation, delegation_key, delegations, validation_name
from certcore_puq_acme.messages import Order
from certcore_puq_acme.patience import LONGEST_PAUSE, Trouble, Wait, bounded_wait, growing_pause, moment_before
from certcore_puq_acme.propagation import Resolvers
from certcore_puq_acme.settings import ChallengeType, PuqAcmeProfile, PuqAcmeSettings
from certcore_puq_acme.techzone.records import TechZoneRecords

__all__ = ["Attempt", "Stage", "budget_of", "clean_up", "goes_first", "is_near_its_end", "of_order"]

#: How far before its end a leaf in service counts as one that cannot wait: a share of its life.
_URGENT: Final = 10
#: The parts of the state that end as soon as the CA gives a usable answer.
_OF_ONE_ANSWER: Final = frozenset({"trouble", "status"})
#: The findings that were true at one look only.
_OF_ONE_LOOK: Final = frozenset({"turn", "unseen", "doubt", "enough"})


class Stage:
    """The words that the state keeps for how far an issuance is."""

    PREFLIGHT: Final = "preflight"
    ORDERED: Final = "ordered"
    PUBLISHED: Final = "published"
    ANSWERED: Final = "answered"
    FINALIZING: Final = "finalizing"


@frozen(kw_only=True)
class Attempt:
    """The work, with what every step needs of it."""

    work: Work
    profile: PuqAcmeProfile
    settings: PuqAcmeSettings
    state: dict[str, Any]
    #: The CNAMEs; none where the names are validated otherwise.
    delegations: tuple[Delegation, ...]
    #: How the names are validated.
    challenge: ChallengeType
    resolvers: Resolvers
    records: TechZoneRecords
    #: The account that the order belongs to, or will belong to.
    ref: AccountRef
    accounts: Accounts
    budget: Budget
    now: datetime

    @classmethod
    def of(cls, work: Work, accounts: Accounts) -> Attempt:
        """The attempt that a call is about."""
        profile: PuqAcmeProfile = work.profile
        settings: PuqAcmeSettings = work.settings
        state = dict(work.state or {})
        challenge = ChallengeType(state.get("challenge") or settings.challenge_type(profile))
        ref = account_of(work, settings, work.certificate.owner)
        return cls(
            work=work,
            profile=profile,
            settings=settings,
            state=state,
            delegations=_delegations(work, state) if challenge is ChallengeType.DNS else (),
            challenge=challenge,
            resolvers=Resolvers.of(profile.dns_servers, profile.api_timeout, accounts.network.dns()),
            records=TechZoneRecords(work.documents),
            ref=ref,
            accounts=accounts,
            budget=budget_of(work, ref.key, profile.directory),
            now=work.environment.now(),
        )

    def opened(self) -> Opened:
        """The account, which exists, with its client."""
        return self.accounts.opened(self.work, self.ref)

    @property
    def names(self) -> list[str]:
        """The names that are asked for, A-labels."""
        return [name.ascii for name in self.work.issuance.names]

    def waiting(self, stage: str, delay: float, *, unseen: Mapping[str, str] | None = None, **changes: Any) -> Waiting:
        """Look again after ``delay`` seconds; the number of looks starts anew with every stage.

        Args:
            stage: The stage from now on.
            delay: Seconds.
            unseen: A published value that the DNS does not show, for the right column.
            changes: What is new in the state.
        """
        is_same = self.state.get("stage") == stage
        polls = self.polls + 1 if is_same else 0
        since = self.since if is_same else self.now
        before = {name: value for name, value in self.state.items() if name not in _OF_ONE_ANSWER}
        state = {**before, "stage": stage, "polls": polls, "since": since.isoformat(), **changes}
        seen = self.work.issuance.findings or {}
        # It has had its turn, and another look counts.
        findings = {name: one for name, one in seen.items() if name not in _OF_ONE_LOOK}
        findings |= {"unseen": dict(unseen)} if unseen else {}
        return Waiting(
            state=state,
            look_again=self.now + timedelta(seconds=delay),
            waiting_for=WaitingFor.AUTHORITY,
            findings=findings if findings != seen else None,
            needs_clean_up=True,
        )

    @property
    def polls(self) -> int:
        """How often it was looked at in this stage."""
        return int(self.state.get("polls", 0))

    @property
    def since(self) -> datetime:
        """Since when it is in this stage."""
        return moment_before(self.state.get("since"), self.now)

    def elapsed(self) -> timedelta:
        """How long the current stage lasts already."""
        return max(self.now - self.since, timedelta(0))

    @property
    def left(self) -> timedelta | None:
        """How long the leaf in service is valid; None without one."""
        leaf = self.work.active.leaf if self.work.active else None
        return None if leaf is None else max(leaf.not_after - self.now, timedelta(0))

    @property
    def trouble(self) -> Trouble:
        """What keeps it from getting on."""
        return Trouble.of(self.state, self.now)

    def paused(self) -> Turn | None:
        """The pause that the CA has asked for, no longer than a share of what the leaf in service has left."""
        return self.budget.paused(self.now, self.patience)

    @property
    def patience(self) -> timedelta:
        """How long a pause is kept."""
        return timedelta(seconds=bounded_wait(LONGEST_PAUSE.total_seconds(), Wait.LIMIT, self.left))

    def delay(self, looks: int, retry_after: float | None) -> float:
        """Seconds to the next look at an order in work: what the CA asks for, within bounds, or a growing pause."""
        return max(growing_pause(looks), bounded_wait(retry_after or 0.0, Wait.ORDER, self.left))

    def target(self, base: str) -> str:
        """Where the TXT values of a name go.

        Raises:
            AcmeError: The CA speaks of a name that is not of this order.
        """
        for one in self.delegations:
            if one.base == base:
                return one.target
        raise AcmeError(f"The CA asks for a proof of {base[:100]}, which was not ordered.", advice="Tell the CA.")

    def give_up(
        self,
        problem: Problem,
        retry: Retry,
        *,
        retry_at: datetime | None = None,
        of_authority: bool = False,
        **state: Any,
    ) -> Failed:
        """Abandon the order: take its TXT values back and begin anew at the next attempt."""
        clean_up(self.work)
        self.budget.leave(self.work.issuance.id)
        return Failed(
            state={"stage": Stage.PREFLIGHT, **state},
            problem=problem,
            retry=retry,
            retry_at=retry_at,
            of_authority=of_authority,
            needs_clean_up=False,
        )

    def begin_anew(self, **state: Any) -> Waiting:
        """Leave this order to itself and place another one at once, as if the attempt had just begun."""
        clean_up(self.work)
        self.budget.leave(self.work.issuance.id)
        return Waiting(
            state={"stage": Stage.PREFLIGHT, **state},
            look_again=self.now,
            waiting_for=WaitingFor.AUTHORITY,
            needs_clean_up=False,
        )


def budget_of(work: Work, account: str, directory: str) -> Budget:
    """The budget of an account at a CA, with the limits of this profile."""
    profile: PuqAcmeProfile = work.profile
    return Budget(
        documents=work.documents,
        account=account,
        limits=profile.limits_in_force,
        max_orders=profile.max_orders,
        directory=directory,
    )


def is_near_its_end(work: Work) -> bool:
    """Whether there is a leaf in service that cannot wait for its renewal."""
    leaf = work.active.leaf if work.active else None
    return leaf is not None and leaf.not_after - work.environment.now() < leaf.lifetime / _URGENT


def goes_first(work: Work) -> bool:
    """Whether a renewal goes before what other owners wait for: one near the end of a leaf that was issued here.

    An imported leaf proves nothing: with a few that end tomorrow, anybody could go before everybody else.
    """
    return work.active is not None and work.active.purpose is not Purpose.IMPORT and is_near_its_end(work)


def clean_up(work: Work) -> None:
    """Take this issuance's TXT values out of the tech zone, whichever step it had reached."""
    if work.state and work.state.get("targets"):
        TechZoneRecords(work.documents).remove_issuance(work.issuance.id, work.state["targets"].values())


def of_order(order: Order) -> dict[str, Any]:
    """What is kept of an order."""
    return {"order": order.url, "authorizations": list(order.authorizations), "certificate": order.certificate}


def _delegations(work: Work, state: Mapping[str, Any]) -> tuple[Delegation, ...]:
    """The CNAMEs of this issuance: as they were when the order was placed, also if the tech zone was changed since."""
    if targets := state.get("targets"):
        return tuple(
            Delegation(base=base, name=validation_name(base), target=target) for base, target in targets.items()
        )
    key = delegation_key(work.documents)
    return delegations(key, work.certificate.owner, work.issuance.names, work.profile.tech_zone.ascii)
