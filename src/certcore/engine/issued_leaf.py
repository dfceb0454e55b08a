"""Judge a leaf that the CA has issued: install it, keep it and judge it again, or reject it.

An issued leaf counts towards the CA's limits. So a leaf that may become valid later is kept, and no other leaf is
ordered if that cannot help.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

from certcore.engine.apply_step import LEAF_REJECTED, LeasedCertificate, after_failure, installed
from certcore.errors import UnreadablePemError, X509Error
from certcore.messages import Message, sentences
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.model.transitions import transition
from certcore.ports.ca_module import Failed
from certcore.x509.chain import MAX_BYTES, Chain, parse_chain
from certcore.x509.leaf_checks import LeafFault, LeafJudgement, judge_leaf

__all__ = ["LEAF_KEPT", "LEAF_REJECTED", "Fate", "Verdict", "install", "keep", "refuse", "verdict_on"]

#: Problem type of a leaf that was kept.
LEAF_KEPT: Final = "urn:certcore:leaf-kept"
#: Fault of a chain that cannot be parsed.
_UNREADABLE: Final = "unreadable"
#: After this many rejections in a row for the same reason, no more orders are placed.
_MOST: Final = 3
_FEWER: Final = {LeafFault.MISSING_NAMES: 2, LeafFault.NO_VALIDITY: 2}
#: How often a kept leaf is judged again: the clock may have been corrected.
_JUDGE_EVERY: Final = timedelta(minutes=30)
#: After keeping an unusable leaf for this long, another one is ordered; the kept one stays.
_KEPT_ALONE: Final = timedelta(days=1)


class Fate(StrEnum):
    """What to do with a chain."""

    INSTALL = "install"
    #: Keep it and judge it again later, because only its dates are wrong.
    KEEP = "keep"
    #: It will not be valid soon: order another one and keep this one meanwhile.
    KEEP_AND_ORDER = "keep_and_order"
    #: Order another one, or stop if that did not help before.
    REFUSE = "refuse"


@frozen(kw_only=True)
class Verdict:
    """The judgement of a chain, and what to do with it."""

    fate: Fate
    chain_pem: str
    #: None if it cannot be read.
    chain: Chain | None
    #: Why it cannot be installed: a `LeafFault` or ``unreadable``; empty if it can.
    fault: str = ""
    text: str | Message = ""
    advice: str | Message = ""
    judgement: LeafJudgement | None = None


def verdict_on(chain_pem: str, issuance: Issuance, now: datetime) -> Verdict:
    """Judge a chain that was issued for an issuance."""
    try:
        chain = parse_chain(chain_pem, now=now)
        judgement = judge_leaf(chain.leaf, names=issuance.names, csr_pem=issuance.csr_pem, now=now)
    except X509Error as error:
        fault = _UNREADABLE if isinstance(error, UnreadablePemError) else "broken_chain"
        return Verdict(
            fate=Fate.REFUSE, chain_pem=chain_pem, chain=None, fault=fault, text=error.text, advice=error.advice_text
        )
    fate = Fate.REFUSE
    if judgement.serves:
        fate = Fate.INSTALL
    elif judgement.is_only_about_dates:
        since = issuance.engine_state.kept_since
        waited = since is not None and now - since > _KEPT_ALONE
        serves_soon = judgement.serves_later and judgement.not_before - now <= _KEPT_ALONE
        helps = issuance.engine_state.refusals < _MOST - 1
        # A user who asks for a check of an expired leaf wants a new one.
        requested = issuance.engine_state.by_user and since is not None and not judgement.serves_later
        fate = Fate.KEEP_AND_ORDER if requested or (waited and helps and not serves_soon) else Fate.KEEP
    return Verdict(
        fate=fate,
        chain_pem=chain_pem,
        chain=chain,
        fault=str(judgement.faults[0]) if judgement.faults else "",
        text=judgement.text,
        advice=judgement.advice,
        judgement=judgement,
    )


def install(
    leased: LeasedCertificate, issuance: Issuance, verdict: Verdict, now: datetime, *, asks_renewal_info: bool
) -> LeasedCertificate:
    """Put a valid leaf into service; names that were not requested are noted in the event."""
    if verdict.chain is None or verdict.judgement is None:  # pragma: no cover - an unreadable chain is never installed
        raise ValueError("A chain that cannot be read is not installed.")
    state = issuance.engine_state
    state = evolve(state, kept_chain="", kept_since=None, kept_beside=False, refused_for="", refusals=0)
    extra = list(verdict.judgement.extra_names)
    return installed(
        leased,
        evolve(issuance, engine_state=state),
        verdict.chain,
        now,
        asks_renewal_info=asks_renewal_info,
        data={"extra_names": extra} if extra else {},
    )


def keep(leased: LeasedCertificate, issuance: Issuance, verdict: Verdict, now: datetime) -> LeasedCertificate:
    """Keep a chain with a wrong validity period. It is judged again when the period begins, and every half hour."""
    state = issuance.engine_state
    is_new = state.kept_chain != verdict.chain_pem
    begins = now if verdict.judgement is None else verdict.judgement.not_before
    again = min(begins, now + _JUDGE_EVERY) if begins > now else now + _JUDGE_EVERY
    state = evolve(
        state,
        kept_chain=verdict.chain_pem if len(verdict.chain_pem) <= MAX_BYTES else "",
        kept_since=now if state.kept_since is None else state.kept_since,
        kept_beside=False,
        refused_for=verdict.fault,
    )
    text = "The CA has issued a certificate that cannot be installed now: {reason}"
    follows = "It will be installed as soon as it is valid. No other certificate is ordered until then."
    problem = Problem(
        type=LEAF_KEPT,
        title=Message("core.leaf_kept", text, {"reason": verdict.text}),
        advice=sentences(verdict.advice, Message("core.leaf_kept.advice", follows)),
    )
    certificate = leased.certificate
    changed = evolve(certificate, status=transition(certificate.status, Action.WAIT), problem=problem, updated_at=now)
    kept = evolve(issuance, engine_state=state, problem=problem)
    kind = EventKind.ATTEMPT_FAILED if is_new else None
    after = leased.with_issuance(kept).moved(changed, kind, now, problem=problem, data={"fault": verdict.fault})
    return after.due(max(again, now + timedelta(seconds=1)))


def refuse(
    leased: LeasedCertificate, issuance: Issuance, verdict: Verdict, *, now: datetime, roll: float
) -> LeasedCertificate:
    """Order another leaf after a long pause, or stop if new orders did not help before."""
    state = issuance.engine_state
    refusals = state.refusals + 1 if state.refused_for == verdict.fault else 1
    most = _FEWER.get(LeafFault(verdict.fault), _MOST) if verdict.fault in set(LeafFault) else _MOST
    keeps = verdict.fate is Fate.KEEP_AND_ORDER
    stops = refusals >= most and not keeps
    state = evolve(
        state,
        refused_for=verdict.fault,
        refusals=refusals,
        kept_chain=verdict.chain_pem if keeps else "",
        kept_since=now if keeps else None,
        kept_beside=keeps,
    )
    text = "The CA returned a certificate that does not match the request; it was not installed. {reason}"
    stopped = Message("core.leaf_rejected.stopped", "No further order is placed, because new orders did not help.")
    goes_on = Message("core.leaf_rejected.goes_on", "It is tried again with a new order.")
    problem = Problem(
        type=LEAF_REJECTED,
        title=Message("core.leaf_rejected", text, {"reason": verdict.text}),
        advice=sentences(verdict.advice, stopped if stops else goes_on),
    )
    retry = Retry.NEVER if stops else Retry.SLOW
    failed = Failed(state=issuance.module_state or {}, problem=problem, retry=retry, of_authority=True)
    begun_anew = evolve(issuance, engine_state=state)
    return after_failure(leased, begun_anew, failed, now=now, roll=roll, forget_state=True)
