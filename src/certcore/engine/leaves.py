"""What becomes of a leaf that the CA has issued: installed, kept and judged again, or refused with words.

A leaf that was issued was counted by the CA's limits, so it is not thrown away while another moment may find it in
order; and nothing is ordered again where that cannot help.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import evolve, frozen

from certcore.engine.outcome import LEAF_REJECTED, Held, after_failure, installed
from certcore.errors import UnreadablePem, X509Error
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action, transition
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed
from certcore.x509.chain import MAX_BYTES, Chain, parse_chain
from certcore.x509.judgement import LeafFault, LeafJudgement, judge_leaf

__all__ = ["LEAF_KEPT", "LEAF_REJECTED", "Fate", "Verdict", "install", "keep", "refuse", "verdict_on"]

#: The type of the problem of a leaf that was kept.
LEAF_KEPT: Final = "urn:certcore:leaf-kept"
#: A chain that cannot be read.
_UNREADABLE: Final = "unreadable"
#: After so many refusals in a row for one reason, nothing more is ordered.
_MOST: Final = 3
_FEWER: Final = {LeafFault.MISSING_NAMES: 2, LeafFault.NO_VALIDITY: 2}
#: How often a leaf that is kept is judged again: a clock may have been set right.
_JUDGE_EVERY: Final = timedelta(minutes=30)
#: A leaf that will not serve for longer than this, and was kept for so long, is ordered anew; it is kept nevertheless.
_KEPT_ALONE: Final = timedelta(days=1)


class Fate(StrEnum):
    """What to do with a chain."""

    INSTALL = "install"
    #: Judge it again later: only its dates are wrong.
    KEEP = "keep"
    #: It will not serve soon: order another one, and keep it meanwhile.
    KEEP_AND_ORDER = "keep_and_order"
    #: Order anew, or stop when that did not help.
    REFUSE = "refuse"


@frozen(kw_only=True)
class Verdict:
    """What was found about a chain."""

    fate: Fate
    chain_pem: str
    #: None when it cannot be read.
    chain: Chain | None
    #: Why it does not serve, a `LeafFault` or ``unreadable``; empty when it does.
    fault: str = ""
    text: str = ""
    advice: str = ""
    judgement: LeafJudgement | None = None


def verdict_on(chain_pem: str, issuance: Issuance, now: datetime) -> Verdict:
    """Judge a chain that was issued for an issuance."""
    try:
        chain = parse_chain(chain_pem, now=now)
        judgement = judge_leaf(chain.leaf, names=issuance.names, csr_pem=issuance.csr_pem, now=now)
    except X509Error as error:
        fault = _UNREADABLE if isinstance(error, UnreadablePem) else "broken_chain"
        return Verdict(
            fate=Fate.REFUSE, chain_pem=chain_pem, chain=None, fault=fault, text=error.message, advice=error.advice
        )
    fate = Fate.REFUSE
    if judgement.serves:
        fate = Fate.INSTALL
    elif judgement.is_only_about_dates:
        since = issuance.engine_state.kept_since
        waited = since is not None and now - since > _KEPT_ALONE
        serves_soon = judgement.serves_later and judgement.not_before - now <= _KEPT_ALONE
        helps = issuance.engine_state.refusals < _MOST - 1
        # A user who looks at one that has ended wants another.
        asked = issuance.engine_state.by_user and since is not None and not judgement.serves_later
        fate = Fate.KEEP_AND_ORDER if asked or (waited and helps and not serves_soon) else Fate.KEEP
    return Verdict(
        fate=fate,
        chain_pem=chain_pem,
        chain=chain,
        fault=str(judgement.faults[0]) if judgement.faults else "",
        text=judgement.text,
        advice=judgement.advice,
        judgement=judgement,
    )


def install(held: Held, issuance: Issuance, verdict: Verdict, now: datetime, *, asks_renewal_info: bool) -> Held:
    """Put a leaf that serves into service; names that nobody asked for are noted."""
    if verdict.chain is None or verdict.judgement is None:  # pragma: no cover - such a chain is not installed
        raise ValueError("A chain that cannot be read is not installed.")
    state = issuance.engine_state
    state = evolve(state, kept_chain="", kept_since=None, kept_beside=False, refused_for="", refusals=0)
    extra = list(verdict.judgement.extra_names)
    return installed(
        held,
        evolve(issuance, engine_state=state),
        verdict.chain,
        now,
        asks_renewal_info=asks_renewal_info,
        data={"extra_names": extra} if extra else {},
    )


def keep(held: Held, issuance: Issuance, verdict: Verdict, now: datetime) -> Held:
    """Keep a chain whose dates are wrong, and judge it again: as soon as it begins, and every half hour."""
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
    problem = Problem(
        type=LEAF_KEPT,
        title=f"The CA has issued a certificate that cannot be installed now: {verdict.text}",
        advice=f"{verdict.advice} It is kept, and installed as soon as it is valid; none is ordered meanwhile.",
    )
    certificate = held.certificate
    changed = evolve(certificate, status=transition(certificate.status, Action.WAIT), problem=problem, updated_at=now)
    kept = evolve(issuance, engine_state=state, problem=problem)
    kind = EventKind.ATTEMPT_FAILED if is_new else None
    after = held.with_issuance(kept).moved(changed, kind, now, problem=problem, data={"fault": verdict.fault})
    return after.due(max(again, now + timedelta(seconds=1)))


def refuse(held: Held, issuance: Issuance, verdict: Verdict, *, now: datetime, roll: float) -> Held:
    """Order another leaf, slowly, or stop with words when that did not help before."""
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
    follows = "Nothing more is ordered: that did not help." if stops else "It is tried again with a new order."
    problem = Problem(
        type=LEAF_REJECTED,
        title="The CA returned a certificate that is not the one that was asked for; it was not installed. "
        f"{verdict.text}",
        advice=f"{verdict.advice} {follows}".strip(),
    )
    retry = Retry.NEVER if stops else Retry.SLOW
    failed = Failed(state=issuance.module_state or {}, problem=problem, retry=retry, of_authority=True)
    begun_anew = evolve(issuance, engine_state=state)
    return after_failure(held, begun_anew, failed, now=now, roll=roll, forget_state=True)
