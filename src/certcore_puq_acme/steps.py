"""The way to a leaf: preflight → order → publish → answer → finalize → download → clean up, one durable step per call.

What a step needs to know is in the issuance's state, and what it changes outside is harmless when done twice: an
order's URL is kept before anything else is asked about it, TXT values are added and removed by value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import asdict, evolve, frozen

from certcore.model.hints import RecordState
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Issued, Step, Waiting, WaitingFor, Work
from certcore.x509.csr import csr_der
from certcore_puq_acme.accounts import Accounts
from certcore_puq_acme.acme_errors import AcmeError, AcmeProblem
from certcore_puq_acme.client import AcmeClient
from certcore_puq_acme.delegation import Delegation, delegation_key, delegations, validation_name
from certcore_puq_acme.diagnosis import diagnose, diagnose_order
from certcore_puq_acme.messages import Authorization, Order
from certcore_puq_acme.propagation import Finding, Resolvers
from certcore_puq_acme.settings import PuqAcmeProfile
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord

__all__ = ["Stage", "advance", "clean_up"]

#: How many authorizations are fetched, or challenges answered, in one call: a call must return quickly.
_BATCH: Final = 20
#: An order of so few names has its values published and its challenges answered in one call.
_AT_ONCE: Final = 4
_NOT_FOUND: Final = 404
#: How long a published value may take to become visible before the attempt counts as failed.
_VISIBLE_WITHIN: Final = timedelta(minutes=10)
#: An order that the CA neither completes nor refuses is given up after this time.
_ORDER_LIFE: Final = timedelta(days=1)


class Stage:
    """The words that the state keeps for how far an issuance is."""

    PREFLIGHT: Final = "preflight"
    ORDERED: Final = "ordered"
    PUBLISHED: Final = "published"
    ANSWERED: Final = "answered"
    FINALIZING: Final = "finalizing"


@frozen(kw_only=True)
class _Attempt:
    """One call: the work with what every step needs of it."""

    work: Work
    profile: PuqAcmeProfile
    state: dict[str, Any]
    delegations: tuple[Delegation, ...]
    resolvers: Resolvers
    records: TechZoneRecords
    now: datetime

    def waiting(self, stage: str, delay: float, **changes: Any) -> Waiting:
        """Look again after ``delay`` seconds; the number of looks starts anew with every stage."""
        polls = self.state.get("polls", 0) + 1 if self.state.get("stage") == stage else 0
        since = self.state.get("since") if self.state.get("stage") == stage else self.now.isoformat()
        state = {**self.state, "stage": stage, "polls": polls, "since": since, **changes}
        return Waiting(
            state=state,
            look_again=self.now + timedelta(seconds=delay),
            waiting_for=WaitingFor.AUTHORITY,
            needs_clean_up=True,
        )

    def elapsed(self) -> timedelta:
        """How long the current stage lasts already."""
        since = self.state.get("since")
        return self.now - datetime.fromisoformat(since) if since else timedelta(0)

    def target(self, base: str) -> str:
        """Where the TXT values of a name go."""
        return next(one.target for one in self.delegations if one.base == base)


def advance(work: Work, accounts: Accounts) -> Step:
    """Take the next step; every refusal and failure of the CA comes back as a `Failed` in words."""
    profile: PuqAcmeProfile = work.profile
    state = dict(work.state or {})
    attempt = _Attempt(
        work=work,
        profile=profile,
        state=state,
        delegations=_delegations(work, state),
        resolvers=Resolvers.of(profile.dns_servers, profile.api_timeout),
        records=TechZoneRecords(work.documents),
        now=work.environment.now(),
    )
    stage = attempt.state.get("stage", Stage.PREFLIGHT)
    try:
        if stage == Stage.PREFLIGHT:
            return _preflight(attempt, accounts)
        client = accounts.client(work)
        match stage:
            case Stage.ORDERED:
                return _publish(attempt, client)
            case Stage.PUBLISHED:
                return _answer(attempt, client)
            case Stage.ANSWERED:
                return _poll(attempt, client)
            case _:
                return _download(attempt, client)
    except AcmeError as error:
        return _failed(attempt, accounts, error)


def clean_up(work: Work) -> None:
    """Take this issuance's TXT values out of the tech zone, whichever step it had reached."""
    if work.state and "targets" in work.state:
        TechZoneRecords(work.documents).remove_issuance(work.issuance.id, work.state["targets"].values())


def _delegations(work: Work, state: Mapping[str, Any]) -> tuple[Delegation, ...]:
    """The CNAMEs of this issuance: as they were when the order was placed, also if the tech zone was changed since."""
    if targets := state.get("targets"):
        return tuple(
            Delegation(base=base, name=validation_name(base), target=target) for base, target in targets.items()
        )
    key = delegation_key(work.documents)
    return delegations(key, work.certificate.owner, work.issuance.names, work.profile.tech_zone.ascii)


def _preflight(attempt: _Attempt, accounts: Accounts) -> Step:
    """Check every CNAME; only when all are there, place the order."""
    findings = attempt.resolvers.check_all(attempt.delegations)
    seen = {"checked_at": attempt.now.isoformat(), "records": [_finding(one) for one in findings]}
    if any(one.state is not RecordState.CORRECT for one in findings):
        looks = attempt.state.get("looks", 0) + 1
        return Waiting(
            state={"stage": Stage.PREFLIGHT, "looks": looks},
            look_again=attempt.now + timedelta(seconds=_gently(looks)),
            waiting_for=WaitingFor.OWNER,
            findings=seen,
        )
    order = accounts.client(attempt.work).new_order([name.ascii for name in attempt.work.issuance.names])
    targets = {one.base: one.target for one in attempt.delegations}
    return Waiting(
        state={"stage": Stage.ORDERED, "since": attempt.now.isoformat(), "targets": targets, **_of_order(order)},
        look_again=attempt.now,
        waiting_for=WaitingFor.AUTHORITY,
        findings=seen,
        needs_clean_up=True,
    )


def _publish(attempt: _Attempt, client: AcmeClient) -> Step:
    """Learn the challenges, a batch per call, then publish all their values in one transaction."""
    state = attempt.state
    challenges = list(state.get("challenges", []))
    fetched = int(state.get("fetched", 0))
    urls = state["authorizations"]
    for url in urls[fetched : fetched + _BATCH]:
        authorization = client.authorization(url)
        refused = _unusable(authorization)
        if refused is not None:
            return _give_up(attempt, refused, Retry.SLOW)
        if authorization.status == "pending":
            challenge = authorization.challenge("dns-01")
            if challenge is None:
                title = f"The CA offers no dns-01 challenge for {authorization.identifier}."
                return _give_up(attempt, Problem(title=title, advice="Use another CA for this name."), Retry.NEVER)
            value = client.dns01_value(challenge.token)
            base = authorization.identifier.removeprefix("*.").lower()
            challenges.append({"base": base, "url": challenge.url, "value": value})
    fetched += _BATCH
    if fetched < len(urls):
        return attempt.waiting(Stage.ORDERED, 0, challenges=challenges, fetched=fetched)
    attempt.records.add_many(
        TxtRecord(
            fqdn=attempt.target(one["base"]),
            value=one["value"],
            issuance_id=attempt.work.issuance.id,
            added_at=attempt.now,
        )
        for one in challenges
    )
    if not challenges:
        return attempt.waiting(Stage.ANSWERED, 0, fetched=fetched)
    published = attempt.waiting(Stage.PUBLISHED, 0, challenges=challenges, fetched=fetched)
    if len(urls) > _AT_ONCE:
        return published
    return _answer(evolve(attempt, state=dict(published.state)), client)


def _answer(attempt: _Attempt, client: AcmeClient) -> Step:
    """When every value is visible through the owner's CNAME, tell the CA, a batch per call."""
    challenges = attempt.state["challenges"]
    answered = int(attempt.state.get("answered", 0))
    if answered == 0:
        values: dict[str, list[str]] = {}
        for one in challenges:
            values.setdefault(one["base"], []).append(one["value"])
        for delegation in attempt.delegations:
            if delegation.base not in values:
                continue
            missing = attempt.resolvers.txt_is_visible(delegation.name, values[delegation.base])
            if missing:
                return _not_visible(attempt, delegation, missing)
    for one in challenges[answered : answered + _BATCH]:
        _answer_once(client, one["url"])
    answered += _BATCH
    if answered < len(challenges):
        return attempt.waiting(Stage.PUBLISHED, 0, answered=answered)
    return attempt.waiting(Stage.ANSWERED, _backing_off(0), answered=answered)


def _answer_once(client: AcmeClient, url: str) -> None:
    """Answer a challenge, unless a call that was lost has done so: some servers refuse to hear it twice."""
    try:
        client.answer(url)
    except AcmeProblem as problem:
        if problem.acme_type != "malformed" or client.challenge(url).status == "pending":
            raise


def _not_visible(attempt: _Attempt, delegation: Delegation, missing: str) -> Step:
    if attempt.elapsed() > _VISIBLE_WITHIN:
        problem = Problem(
            type="urn:certcore:txt-not-visible",
            title=f"The TXT values for {delegation.base} do not become visible in the DNS ({missing}).",
            advice=(
                f"Check that the zone {attempt.profile.tech_zone} is delegated to the server that runs "
                "`certcore dns serve`, that this server runs, and that it can be reached on UDP and TCP port 53."
            ),
        )
        return _give_up(attempt, problem, Retry.SLOW)
    return attempt.waiting(Stage.PUBLISHED, min(0.2 * 2 ** min(attempt.state.get("polls", 0), 10), 15.0))


def _poll(attempt: _Attempt, client: AcmeClient) -> Step:
    """Wait for the CA's validation; finalize as soon as the order is ready (RFC 8555 section 7.4)."""
    order = client.order(attempt.state["order"])
    if order.status == "ready":
        return _finalize(attempt, client, order)
    if order.status in ("processing", "valid"):
        return attempt.waiting(Stage.FINALIZING, 0, **_of_order(order))
    if order.status == "invalid":
        return _invalid(attempt, client, order)
    return _wait_for(attempt, Stage.ANSWERED, order)


def _finalize(attempt: _Attempt, client: AcmeClient, order: Order) -> Step:
    after = client.finalize(order, csr_der(attempt.work.issuance.csr_pem))
    if after.status == "invalid":
        return _invalid(attempt, client, after)
    delay = 0.0 if after.status == "valid" and after.certificate else max(_backing_off(0), after.retry_after or 0)
    return attempt.waiting(Stage.FINALIZING, delay, **_of_order(after))


def _download(attempt: _Attempt, client: AcmeClient) -> Step:
    """Wait for the CA to issue, then fetch leaf and chain (RFC 8555 section 7.4.2)."""
    certificate = attempt.state.get("certificate", "")
    if not certificate:
        order = client.order(attempt.state["order"])
        if order.status == "ready":  # the finalize request never arrived
            return _finalize(attempt, client, order)
        if order.status == "invalid":
            return _invalid(attempt, client, order)
        if order.status != "valid" or not order.certificate:
            return _wait_for(attempt, Stage.FINALIZING, order)
        certificate = order.certificate
    clean_up(attempt.work)  # the CA has validated: nobody asks for the values any more
    chain = client.certificate(certificate).chain_pem.decode("ascii", "replace")
    return Issued(state={**attempt.state, "certificate": certificate}, chain_pem=chain, needs_clean_up=False)


def _wait_for(attempt: _Attempt, stage: str, order: Order) -> Step:
    if attempt.elapsed() > _ORDER_LIFE:
        problem = Problem(title="The CA has not completed the order within a day.", advice="A new order is placed.")
        return _give_up(attempt, problem, Retry.SLOW)
    polls = attempt.state.get("polls", 0) + 1
    return attempt.waiting(stage, max(_backing_off(polls), order.retry_after or 0))


def _invalid(attempt: _Attempt, client: AcmeClient, order: Order) -> Step:
    """The order is lost; its authorizations say why, name by name (RFC 8555 section 7.1.6)."""
    problems: dict[str, Problem] = {}
    for url in list(order.authorizations)[: _BATCH * 5]:
        authorization = client.authorization(url)
        if authorization.status != "valid" and authorization.problem is not None:
            problems[authorization.identifier] = authorization.problem
    diagnosis = diagnose_order(problems, order.problem)
    return _give_up(attempt, diagnosis.problem, diagnosis.retry)


def _unusable(authorization: Authorization) -> Problem | None:
    if authorization.status in ("pending", "valid"):
        return None
    reason = authorization.problem
    title = f"The CA's authorization of {authorization.identifier} is {authorization.status}."
    return (reason or Problem()).worded(title, "It is tried again with a new order.")


def _failed(attempt: _Attempt, accounts: Accounts, error: AcmeError) -> Failed:
    diagnosis = diagnose(error)
    retry_at = None if error.retry_after is None else attempt.now + timedelta(seconds=error.retry_after)
    if isinstance(error, AcmeProblem):
        if error.acme_type == "accountDoesNotExist":
            accounts.forget(attempt.work, account_too=True)
        lost = error.status == _NOT_FOUND or diagnosis.retry is Retry.NEVER
        if lost and attempt.state.get("order"):
            return _give_up(attempt, diagnosis.problem, diagnosis.retry, retry_at)
    return Failed(state=attempt.state, problem=diagnosis.problem, retry=diagnosis.retry, retry_at=retry_at)


def _give_up(attempt: _Attempt, problem: Problem, retry: Retry, retry_at: datetime | None = None) -> Failed:
    """Abandon the order: take its TXT values back and begin anew at the next attempt."""
    clean_up(attempt.work)
    state = {"stage": Stage.PREFLIGHT}
    return Failed(state=state, problem=problem, retry=retry, retry_at=retry_at, needs_clean_up=False)


def _of_order(order: Order) -> dict[str, Any]:
    return {"order": order.url, "authorizations": list(order.authorizations), "certificate": order.certificate}


def _finding(finding: Finding) -> Mapping[str, Any]:
    return {name: str(value) for name, value in asdict(finding).items()}


def _backing_off(polls: int) -> float:
    """Seconds to the next poll: from 7 ms up to 10 s, half as much again each time."""
    return min(0.007 * 1.5 ** min(polls, 30), 10.0)


def _gently(looks: int) -> float:
    """Seconds to the next look for the owner's CNAME: from 10 s up to 10 minutes."""
    return min(10 * 1.2 ** min(looks - 1, 40), 600.0)
