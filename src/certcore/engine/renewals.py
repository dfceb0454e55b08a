"""What begins beside a leaf in service, or instead of an attempt: renewals, the CA's wishes, and another CA."""

from __future__ import annotations

import logging

from attrs import evolve

from certcore.engine.certificate_keys import SealedKey, find_key
from certcore.engine.contexts import Contexts, handed_out
from certcore.engine.decide import is_late, is_lost_change
from certcore.engine.outcome import Held
from certcore.engine.requests import NewIssuance, new_issuance
from certcore.errors import CAError, CertCoreError, LeaseLost, SealingError, StorageError
from certcore.model.certificate import Certificate
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action, transition
from certcore.model.plugin_calls import call_plugin
from certcore.model.renewal import Retry, retry_delay
from certcore.model.renewal_info import RenewalInfo, SuggestedWindow, after_answer, after_failure
from certcore.model.renewal_moment import begins_early
from certcore.ports.ca_module import SupportsRenewalInfo

__all__ = ["ask_renewal_info", "fall_back", "set_change_aside", "start_renewal"]

_log = logging.getLogger(__name__)


def start_renewal(held: Held, active: Issuance, contexts: Contexts) -> Held:
    """A new issuance beside the active one, with a new key unless the policy keeps it."""
    now = contexts.environment.now()
    lost = is_lost_change(held.certificate, held.issuances, now)
    return _renewal(held, active, contexts, like=active if lost else None)


def set_change_aside(held: Held, active: Issuance, contexts: Contexts) -> Held:
    """End the attempt for other names and renew what is in service; the user's wish stays in the form."""
    certificate = held.certificate
    now = contexts.environment.now()
    attempt = next(one for one in held.issuances if one.id == certificate.issuance_id)
    ended = evolve(attempt, outcome=Outcome.ABANDONED, finished_at=now)
    after = held.with_issuance(ended)
    data = {"number": attempt.number, "names": [one.ascii for one in attempt.names]}
    after = after.moved(certificate, EventKind.ATTEMPT_CANCELLED, now, problem=certificate.problem, data=data)
    return _renewal(after, active, contexts, like=active)


def _renewal(held: Held, active: Issuance, contexts: Contexts, *, like: Issuance | None) -> Held:
    certificate = held.certificate
    now = contexts.environment.now()
    # A key of another kind than the one that is wished cannot be kept.
    keeps = not certificate.renewal.rotate_key and active.key_type is (like or certificate).key_type

    def asked_with(keep_key: SealedKey | None) -> NewIssuance:
        return new_issuance(
            certificate,
            number=_next_number(held),
            purpose=Purpose.RENEW,
            environment=contexts.environment,
            vault=contexts.vault,
            keep_key=keep_key,
            like=like,
        )

    is_early = begins_early(certificate, active, now)
    early = active.engine_state.early + 1 if is_early else 0
    try:
        request = asked_with(_sealed_key(certificate, active, contexts) if keeps else None)
    except SealingError as error:
        if not is_late(certificate, active, now):
            raise
        # Better another key than no certificate.
        _log.warning("The key of certificate %s cannot be kept: %s", certificate.id, error)
        request = asked_with(None)
    state = evolve(request.issuance.engine_state, early=early)
    tried = next((one for one in held.issuances if one.id == certificate.issuance_id), None)
    if tried is not None and tried.outcome is Outcome.FAILED:
        # What was refused before is refused at once: one order, and not a few again.
        state = evolve(state, refused_for=tried.engine_state.refused_for, refusals=tried.engine_state.refusals)
    begun = evolve(request.issuance, engine_state=state)
    request = evolve(request, issuance=begun)
    changed = evolve(certificate, issuance_id=request.issuance.id, updated_at=now)
    after = _with_request(held, request)
    before = next((one for one in held.issuances if one.id == certificate.issuance_id), None)
    dropped = {one.key_name for one in held.issuances if one.leaf is not None and one.leaf.not_after <= now}
    if before is not None:
        dropped.add(before.key_name)  # an attempt that failed, or was set aside
    # Nobody needs the key of a leaf that has ended either, unless it lives on.
    dropped -= {active.key_name, request.issuance.key_name}
    after = evolve(after, dropped_keys=tuple(sorted(dropped, key=str)))
    data = {"number": begun.number, **({"early": early} if early else {})}
    return after.moved(changed, EventKind.RENEWAL_STARTED, now, data=data).due(now)


def _with_request(held: Held, request: NewIssuance) -> Held:
    """The same with a new attempt, and its key when that is new."""
    after = held.with_issuance(request.issuance)
    if request.sealed_key is None:
        return after
    return evolve(after, new_keys=((request.issuance.key_name, request.sealed_key),))


def ask_renewal_info(held: Held, active: Issuance, contexts: Contexts) -> Held:
    """Ask the CA when it wants the leaf to be renewed; where it cannot be asked, the policy counts (RFC 9773)."""
    now = contexts.environment.now()
    leaf = active.leaf
    if leaf is None:  # pragma: no cover - an active issuance has a leaf
        return held
    before = active.renewal_info
    try:
        info = _asked(held, active, leaf, contexts)
    except (LeaseLost, StorageError):
        raise
    except CertCoreError as error:
        retry_after = error.retry_after if isinstance(error, CAError) else None
        info = after_failure(before, now=now, retry_after=retry_after)
        _log.info("The CA of certificate %s gives no renewal information: %s", held.certificate.id, error)
    after = held.with_issuance(evolve(active, renewal_info=info))
    if not _is_earlier(before, info) or info.start is None or info.end is None:
        return after
    data = {"start": info.start.isoformat(), "end": info.end.isoformat(), "explanation_url": info.explanation_url}
    return after.moved(held.certificate, EventKind.RENEWAL_ASKED, now, data=data)


def fall_back(held: Held, tired: Issuance, contexts: Contexts) -> Held:
    """Go on at the next CA profile that can take the request; after the last one the first one has its turn again."""
    now = contexts.environment.now()
    certificate = held.certificate
    ended = evolve(tired, outcome=Outcome.ABANDONED, finished_at=now)
    chosen = _next_authority(held, tired, contexts)
    order = _order(certificate)
    # CAs that refuse at once would else be asked round and round.
    attempts = held.schedule.attempts
    rounds = max(1, attempts // max(1, len(order)))
    next_round = now + retry_delay(Retry.SLOW, rounds, contexts.environment.roll())
    if chosen is None:
        # Nobody else: go on here.
        return held.with_issuance(evolve(tired, authority_failures=0)).due(next_round, attempts=attempts + 1)
    kept = held.active is not None and held.active.key_name == tired.key_name
    request = new_issuance(
        certificate,
        number=_next_number(held),
        purpose=tired.purpose,
        environment=contexts.environment,
        vault=contexts.vault,
        keep_key=_sealed_key(certificate, tired, contexts) if kept else None,
        authority_id=chosen,
        like=tired,
    )
    status = transition(certificate.status, Action.FALL_BACK)
    changed = evolve(certificate, status=status, issuance_id=request.issuance.id, updated_at=now)
    names = {one.id: one.name for one in held.authorities}
    data = {
        "from": names.get(tired.authority_id or "", tired.authority_id),
        "to": names.get(chosen, chosen),
        "number": request.issuance.number,
    }
    after = _with_request(held.with_issuance(ended), request)
    after = evolve(after, dropped_keys=() if kept else (tired.key_name,))
    after = after.moved(changed, EventKind.FELL_BACK, now, problem=certificate.problem, data=data)
    had_turns = tired.authority_id in order and order.index(chosen) < order.index(tired.authority_id)
    return after.due(next_round, attempts=attempts + 1) if had_turns else after.due(now)


def _sealed_key(certificate: Certificate, issuance: Issuance, contexts: Contexts) -> SealedKey | None:
    """The key of an issuance, to be used again; None when it is not here."""
    with contexts.storage.read() as transaction:
        return find_key(transaction, certificate, issuance)


def _asked(held: Held, active: Issuance, leaf: Leaf, contexts: Contexts) -> RenewalInfo:
    authority = held.authority(active.authority_id or held.certificate.authority_id)
    module, context = contexts.context(authority, held.schedule)
    if not isinstance(module, SupportsRenewalInfo):
        return RenewalInfo(check_at=leaf.not_after)  # an imported one, which is not asked about again
    window: SuggestedWindow | None = call_plugin(
        authority.module,
        "renewal_info",
        module.renewal_info,
        handed_out(active),
        context,
        returns=SuggestedWindow | None,
    )
    now = contexts.environment.now()
    return after_answer(active.renewal_info, window, leaf=leaf, now=now, roll=contexts.environment.roll())


def _is_earlier(before: RenewalInfo | None, after: RenewalInfo) -> bool:
    """Whether the CA has asked for an earlier renewal than it did before."""
    if after.start is None or after.end is None or after.checked_at is None:
        return False
    if before is None or before.start is None:
        return after.end <= after.checked_at
    return after.start < before.start


def _order(certificate: Certificate) -> list[str]:
    """The CA profiles that are tried, one after the other."""
    return list(dict.fromkeys(filter(None, [certificate.authority_id, *certificate.fallbacks])))


def _next_authority(held: Held, tired: Issuance, contexts: Contexts) -> str | None:
    certificate = held.certificate
    order = _order(certificate)
    start = order.index(tired.authority_id) if tired.authority_id in order else -1
    for candidate in [*order[start + 1 :], *order[: start + 1]]:
        if candidate != tired.authority_id and _can_take(held, tired, candidate, contexts):
            return candidate
    return None


def _can_take(held: Held, tired: Issuance, authority_id: str, contexts: Contexts) -> bool:
    """Whether a CA profile is there and permits these names."""
    try:
        authority = held.authority(authority_id)
        module, context = contexts.context(authority)
        settings = contexts.settings(module, authority, held.certificate)
        check = module.check_request
        about = evolve(context, owner=held.certificate.owner)
        call_plugin(authority.module, "check_request", check, about, tired.names, settings, returns=None)
    except (StorageError, LeaseLost):
        raise
    except CertCoreError as error:
        _log.info("The fallback %s is passed over: %s", authority_id, error)
        return False
    return True


def _next_number(held: Held) -> int:
    return 1 + max(one.number for one in held.issuances)
