"""Before the CA is asked for anything: are the owner's records there, may this CA issue, and is it our turn?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import asdict, evolve

from certcore.model.hints import RecordState
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Step, Waiting, WaitingFor
from certcore_puq_acme.account_records import AccountRecord
from certcore_puq_acme.accounts import Opened
from certcore_puq_acme.acme_errors import CLIENT_ERRORS, AcmeProblem
from certcore_puq_acme.attempt import Attempt, Stage, goes_first, is_near_its_end, of_order
from certcore_puq_acme.budget import OrderRequest, Turn, Why
from certcore_puq_acme.caa import CaaPolicy, suggestion
from certcore_puq_acme.directory_records import KnownDirectory, known_directory
from certcore_puq_acme.foreign_text import printable
from certcore_puq_acme.lookup import NO_ANSWER
from certcore_puq_acme.meanings import TOO_MANY
from certcore_puq_acme.messages import Order
from certcore_puq_acme.persist import account_uris, expected_record, judge, persist_name, until_for
from certcore_puq_acme.propagation import TOO_SLOW, Finding
from certcore_puq_acme.renewal_info import certificate_id, is_of_directory
from certcore_puq_acme.settings import ChallengeType

__all__ = ["preflight", "what_is_wrong"]

#: What a CA may say of an order that names the leaf which it replaces, where that is not what it does not like.
_NOT_OF_REPLACES: Final = frozenset({"badNonce", "rateLimited"})
#: When it is asked again whether an order may be placed, at the latest.
_HELD_BACK: Final = timedelta(hours=1)
#: How much of a problem is kept while the next order waits.
_LONGEST_CAUSE: Final = 500
_VALIDITY: Final = (
    "If this CA does not let its customers choose how long a certificate is valid, set validity_days in the CA profile "
    "to 0. It is tried again slowly."
)


def preflight(attempt: Attempt) -> Step:
    """Check what the owner has to set; only when all is there, and our turn has come, place the order."""
    if attempt.challenge is ChallengeType.DNS:
        # Before any account is opened: nothing is asked of a CA for a domain whose owner has not acted.
        findings = attempt.resolvers.check_all(attempt.delegations)
        if _incomplete(findings):
            return _wait_for_owner(attempt, findings)
    else:
        findings = []
    if (pause := attempt.paused()) is not None:
        # Before the account is looked at: opening it may be what the CA does not want now.
        return _wait_for_turn(attempt, pause, findings)
    opened = attempt.opened()
    directory = known_directory(attempt.work) or KnownDirectory()
    if (unknown := _unknown_profile(attempt, directory)) is not None:
        return unknown
    if attempt.challenge is ChallengeType.DNS_PERSIST:
        issuers = _issuers(directory)
        if not issuers:
            return _no_issuer_name(attempt)
        findings = [*_persist_findings(attempt, opened.record, directory, issuers)]
    findings = [*findings, *_forbidden(attempt, opened, directory)]
    if _incomplete(findings):
        return _wait_for_owner(attempt, findings)
    return _order(attempt, opened, findings)


def what_is_wrong(attempt: Attempt) -> list[Finding]:
    """After a failed validation: the owner's records that are not as they should be, seen from here."""
    opened = attempt.opened()
    directory = known_directory(attempt.work) or KnownDirectory()
    findings = [*attempt.resolvers.check_all(attempt.delegations)]
    if attempt.challenge is ChallengeType.DNS_PERSIST and (issuers := _issuers(directory)):
        findings += _persist_findings(attempt, opened.record, directory, issuers)
    findings += _forbidden(attempt, opened, directory)
    return [one for one in findings if one.state in (RecordState.MISSING, RecordState.WRONG)]


def _order(attempt: Attempt, opened: Opened, findings: list[Finding]) -> Step:
    """Place the order, if it is our turn (RFC 8555 section 7.4)."""
    if attempt.work.orders_left <= 0:
        until = attempt.work.next_order_at or attempt.now + _HELD_BACK
        held = Turn(why=Why.ORDERS, until=until, detail=_why_it_ordered_again(attempt))
        waiting = _wait_for_turn(attempt, held, findings)
        # It is the certificate that may not order, wherever: no other CA is to be tried because of a long wait.
        return evolve(waiting, look_again=min(waiting.look_again, attempt.now + _HELD_BACK))
    replaces = _replaces(attempt, opened)
    request = OrderRequest(
        issuance_id=attempt.work.issuance.id,
        owner=attempt.work.certificate.owner,
        names=tuple(attempt.names),
        renewal=_is_renewal(attempt),
        ari=bool(replaces),
        urgent=attempt.work.active is None or attempt.work.active.leaf is None or is_near_its_end(attempt.work),
        near_end=goes_first(attempt.work),
        ends=attempt.work.active.leaf.not_after if attempt.work.active and attempt.work.active.leaf else None,
        patience=attempt.patience,
        looks=int(attempt.state.get("looks", 0)),
    )
    turn = attempt.budget.take(request, attempt.now)
    if turn.why is not None:
        return _wait_for_turn(attempt, turn, findings)
    try:
        order = _placed(attempt, opened, replaces)
    except AcmeProblem as problem:
        if not replaces or not _may_be_about_replaces(problem):
            raise
        # The leaf was replaced by another order already, is another account's, or the CA has forgotten it: then this is
        # an order like others, and counts as one.
        turn = attempt.budget.take(evolve(request, ari=False, counted_as_ari=True), attempt.now)
        if turn.why is not None:
            attempt.budget.leave(attempt.work.issuance.id)
            return _wait_for_turn(attempt, turn, findings, names_leaf=False)
        order = _placed(attempt, opened, "")
    targets = {one.base: one.target for one in attempt.delegations}
    return Waiting(
        state={
            # What it has validated for an earlier order may do for this one (RFC 8555 section 7.1.3).
            "stage": Stage.ANSWERED if order.status in ("ready", "processing", "valid") else Stage.ORDERED,
            "since": attempt.now.isoformat(),
            "targets": targets,
            "challenge": str(attempt.challenge),
            "account": attempt.ref.key,
            "account_url": opened.record.url,
            "directory": attempt.profile.directory,
            "foreign": int(attempt.state.get("foreign", 0)),
            **of_order(order),
        },
        look_again=attempt.now,
        waiting_for=WaitingFor.AUTHORITY,
        findings=_seen(attempt, findings),
        needs_clean_up=True,
        ordered=True,
    )


def _why_it_ordered_again(attempt: Attempt) -> str:
    """What became of the last order: the page says it for as long as the next one is not placed."""
    turn = (attempt.work.issuance.findings or {}).get("turn") or {}
    if turn.get("why") == Why.ORDERS:
        return str(turn.get("detail", ""))
    problem = attempt.work.certificate.problem
    return "" if problem is None else str(problem)[:_LONGEST_CAUSE]


def _placed(attempt: Attempt, opened: Opened, replaces: str) -> Order:
    profile = attempt.profile
    until = attempt.now + timedelta(days=profile.validity_days) if profile.validity_days else None
    try:
        return opened.client.new_order(
            attempt.names, replaces=replaces, profile=_wanted_profile(attempt), not_after=until
        )
    except AcmeProblem as error:
        if until is None or error.acme_type != "malformed":
            raise
        raise error.with_advice(_VALIDITY) from None


def _may_be_about_replaces(problem: AcmeProblem) -> bool:
    """CAs say in many ways that they do not like the leaf which an order replaces (RFC 9773 section 5 knows one)."""
    passing = problem.status == TOO_MANY or problem.acme_type in _NOT_OF_REPLACES
    return problem.status in CLIENT_ERRORS and not passing


def _replaces(attempt: Attempt, opened: Opened) -> str:
    """The name of the leaf that this order replaces, where this account at this CA has ordered it."""
    active = attempt.work.active
    if active is None or attempt.state.get("names_leaf") is False:
        return ""
    if not is_of_directory(active, attempt.profile.directory) or not opened.client.directory().renewal_info:
        return ""
    state = active.module_state or {}
    if "account_url" in state:
        is_ours = state["account_url"] == opened.record.url
    else:  # issued before that was kept
        is_ours = state.get("account") == attempt.ref.key
    return certificate_id(active.leaf_pem or "") if is_ours else ""


def _is_renewal(attempt: Attempt) -> bool:
    active = attempt.work.active
    if active is None or active.leaf is None or not is_of_directory(active, attempt.profile.directory):
        return False
    return set(active.leaf.names) == set(attempt.names)


def _wait_for_turn(attempt: Attempt, turn: Turn, findings: list[Finding], *, names_leaf: bool | None = None) -> Waiting:
    state: dict[str, Any] = {"stage": Stage.PREFLIGHT, "foreign": int(attempt.state.get("foreign", 0))}
    names_leaf = attempt.state.get("names_leaf") if names_leaf is None else names_leaf
    if names_leaf is not None:
        state["names_leaf"] = names_leaf
    if turn.why is Why.IN_FLIGHT:
        state["looks"] = int(attempt.state.get("looks", 0)) + 1
    seen = _seen(attempt, findings) if findings else attempt.work.issuance.findings or {}
    return Waiting(
        state=state,
        look_again=turn.until or attempt.now,
        waiting_for=WaitingFor.TURN,
        findings={**seen, "turn": turn.to_json()},
        needs_clean_up=True,  # from the next call on it counts as in flight
    )


def _wait_for_owner(attempt: Attempt, findings: list[Finding]) -> Waiting:
    looks = int(attempt.state.get("looks", 0)) + 1
    return Waiting(
        state={"stage": Stage.PREFLIGHT, "looks": looks},
        look_again=attempt.now + timedelta(seconds=_gently(looks)),
        waiting_for=WaitingFor.OWNER,
        findings=_seen(attempt, findings),
    )


def _wanted_profile(attempt: Attempt) -> str:
    return attempt.settings.certificate_profile or attempt.profile.certificate_profile


def _unknown_profile(attempt: Attempt, directory: KnownDirectory) -> Failed | None:
    """A profile that the CA does not offer (any more): said before an order is wasted on it."""
    wanted = _wanted_profile(attempt)
    if not wanted or wanted in directory.profiles:
        return None
    offered = ", ".join(directory.profiles) or "none"
    problem = Problem(
        type="urn:ietf:params:acme:error:invalidProfile",
        title=f"The CA does not offer the certificate profile {wanted!r}.",
        advice=f"Choose one that it offers ({offered}), or leave the profile empty.",
    )
    return Failed(state={"stage": Stage.PREFLIGHT}, problem=problem, retry=Retry.NEVER, of_authority=True)


def _issuers(directory: KnownDirectory) -> tuple[str, ...]:
    """The names that a record may begin with; earlier drafts knew the CAA identities only."""
    return directory.issuer_names or directory.caa_identities


def _no_issuer_name(attempt: Attempt) -> Failed:
    problem = Problem(
        type="urn:certcore:no-issuer-name",
        title="The CA's directory does not say with which name a dns-persist-01 record begins.",
        advice="Use dns-01 for this certificate, or ask the CA whether it supports dns-persist-01.",
    )
    return Failed(state={"stage": Stage.PREFLIGHT}, problem=problem, retry=Retry.NEVER, of_authority=True)


def _persist_findings(
    attempt: Attempt, account: AccountRecord, directory: KnownDirectory, issuers: tuple[str, ...]
) -> list[Finding]:
    """What is there of the owner's lasting records."""
    names = attempt.work.issuance.names
    found = []
    is_over, silent = attempt.resolvers.time_limit(), ""
    for base in dict.fromkeys(name.base.ascii for name in names):
        wildcard = any(name.is_wildcard and name.base.ascii == base for name in names)
        wanted = expected_record(
            base,
            issuer=issuers[0],
            account=account,
            directory=directory,
            wildcard=wildcard,
            until=until_for(attempt.profile.persist_days, attempt.work.certificate.created_at, attempt.now),
        )
        finding = Finding(base=base, name=persist_name(base), target=str(wanted), state=RecordState.MISSING, type="TXT")
        silent = silent or (TOO_SLOW if is_over() else "")
        values, failure = ([], silent) if silent else attempt.resolvers.txt_values(finding.name)
        if failure:
            silent = silent or (failure if failure.endswith(NO_ANSWER) else "")
            found.append(evolve(finding, state=RecordState.UNREACHABLE, seen=failure))
            continue
        uris = account_uris(base, account, directory)
        verdicts = [judge(one, issuers=issuers, uris=uris, wildcard=wildcard, now=attempt.now) for one in values]
        # All servers have to show a good record: the worst of them counts.
        state, seen, until = next((one for one in verdicts if one[0] is not RecordState.CORRECT), verdicts[0])
        found.append(evolve(finding, state=state, seen=seen, until=until.isoformat() if until else ""))
    return found


def _forbidden(attempt: Attempt, opened: Opened, directory: KnownDirectory) -> list[Finding]:
    """The names for which a CAA record forbids this CA, each with the record that would permit it."""
    if not attempt.profile.check_caa or not directory.caa_identities:
        return []
    policy = CaaPolicy(
        identities=frozenset(one.lower().removesuffix(".") for one in directory.caa_identities),
        account_uri=opened.record.url,
        method=str(attempt.challenge),
    )
    found: dict[str, Finding] = {}
    looked_up = attempt.resolvers.caa_records(dict.fromkeys(name.base.ascii for name in attempt.work.issuance.names))
    for name in attempt.work.issuance.names:
        answer = looked_up[name.base.ascii]
        refusal = policy.refusal(answer.records, wildcard=name.is_wildcard) if answer.records else ""
        if refusal:
            found.setdefault(
                answer.name,
                Finding(
                    base=name.base.ascii,
                    name=answer.name,
                    target=suggestion(directory.caa_identities),
                    state=RecordState.WRONG,
                    seen=f"{'; '.join(answer.records)[:300]} ({refusal})",
                    type="CAA",
                ),
            )
    return list(found.values())


def _incomplete(findings: list[Finding]) -> bool:
    return any(one.state is not RecordState.CORRECT for one in findings)


def _seen(attempt: Attempt, findings: list[Finding]) -> dict[str, Any]:
    return {"checked_at": attempt.now.isoformat(), "records": [_plain(one) for one in findings]}


def _plain(finding: Finding) -> Mapping[str, Any]:
    return {name: printable(str(value)) for name, value in asdict(finding).items()}


def _gently(looks: int) -> float:
    """Seconds to the next look for what the owner has to set: from 10 s up to 10 minutes."""
    return min(10 * 1.2 ** min(looks - 1, 40), 600.0)
