"""Start renewals and fallbacks, and ask for renewal information."""

from __future__ import annotations

import logging

from attrs import evolve

from certcore.engine.apply_step import LeasedCertificate
from certcore.engine.certificate_keys import SealedKey, find_key
from certcore.engine.decide import is_late, is_lost_change
from certcore.engine.module_context import Contexts, handed_out
from certcore.engine.module_store import OpenStep
from certcore.engine.new_issuance import NewIssuance, new_issuance
from certcore.errors import CAError, CertCoreError, LeaseLostError, SealingError, StorageError
from certcore.model.certificate import Certificate
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Action
from certcore.model.plugin_calls import call_plugin
from certcore.model.renewal import Retry, retry_delay
from certcore.model.renewal_info import RenewalInfo, SuggestedWindow, after_answer, after_failure
from certcore.model.renewal_moment import begins_early
from certcore.model.transitions import transition
from certcore.ports.ca_module import SupportsRenewalInfo

__all__ = ["ask_renewal_info", "fall_back", "set_change_aside", "start_renewal"]

_log = logging.getLogger(__name__)


def start_renewal(leased: LeasedCertificate, active: Issuance, contexts: Contexts) -> LeasedCertificate:
    """Start an issuance while the leaf stays in service, with a new key unless the policy keeps the key."""
    now = contexts.environment.now()
    lost = is_lost_change(leased.certificate, leased.issuances, now)
    return _renewal(leased, active, contexts, like=active if lost else None)


def set_change_aside(leased: LeasedCertificate, active: Issuance, contexts: Contexts) -> LeasedCertificate:
    """End the attempt for other names and renew the names in service; the form keeps the requested names."""
    certificate = leased.certificate
    now = contexts.environment.now()
    attempt = next(each for each in leased.issuances if each.id == certificate.issuance_id)
    ended = evolve(attempt, outcome=Outcome.ABANDONED, finished_at=now)
    after = leased.with_issuance(ended)
    data = {"number": attempt.number, "names": [name.ascii for name in attempt.names]}
    after = after.moved(certificate, EventKind.ATTEMPT_CANCELLED, now, problem=certificate.problem, data=data)
    return _renewal(after, active, contexts, like=active)


def _renewal(
    leased: LeasedCertificate, active: Issuance, contexts: Contexts, *, like: Issuance | None
) -> LeasedCertificate:
    certificate = leased.certificate
    now = contexts.environment.now()
    # A key of another type than the requested one cannot be kept.
    keeps = not certificate.renewal.rotate_key and active.key_type is (like or certificate).key_type

    def asked_with(keep_key: SealedKey | None) -> NewIssuance:
        return new_issuance(
            certificate,
            number=_next_number(leased),
            purpose=Purpose.RENEW,
            environment=contexts.environment,
            vault=contexts.vault,
            keep_key=keep_key,
            like=like,
            needs_clean_up=contexts.holds_from_start(certificate.authority_id, leased.authorities),
        )

    is_early = begins_early(certificate, active, now)
    early = active.engine_state.early + 1 if is_early else 0
    try:
        request = asked_with(_sealed_key(certificate, active, contexts) if keeps else None)
    except SealingError as error:
        if not is_late(certificate, active, now):
            raise
        # The kept key cannot be used: a new key is better than an expired certificate.
        _log.warning("The key of certificate %s cannot be kept: %s", certificate.id, error)
        request = asked_with(None)
    state = evolve(request.issuance.engine_state, early=early)
    last_attempt = next((each for each in leased.issuances if each.id == certificate.issuance_id), None)
    if last_attempt is not None and last_attempt.outcome is Outcome.FAILED:
        # Keep the count of rejections: one order shows whether the reason persists.
        state = evolve(
            state, refused_for=last_attempt.engine_state.refused_for, refusals=last_attempt.engine_state.refusals
        )
    begun = evolve(request.issuance, engine_state=state)
    request = evolve(request, issuance=begun)
    changed = evolve(certificate, issuance_id=request.issuance.id, updated_at=now)
    after = _with_request(leased, request)
    before = next((each for each in leased.issuances if each.id == certificate.issuance_id), None)
    with contexts.storage.read() as transaction:
        dropped = {*transaction.issuances.ended_keys(certificate.id, before=now, kept=active.key_name)}
    if before is not None:
        dropped.add(before.key_name)  # of a failed or cancelled attempt
    # Keys of expired leaves are deleted, except the ones in use.
    dropped -= {active.key_name, request.issuance.key_name}
    after = evolve(after, dropped_keys=tuple(sorted(dropped, key=str)))
    data = {"number": begun.number, **({"early": early} if early else {})}
    return after.moved(changed, EventKind.RENEWAL_STARTED, now, data=data).due(now)


def _with_request(leased: LeasedCertificate, request: NewIssuance) -> LeasedCertificate:
    """Return a copy with the new issuance, and with its key if that is new."""
    after = leased.with_issuance(request.issuance)
    if request.sealed_key is None:
        return after
    return evolve(after, new_keys=((request.issuance.key_name, request.sealed_key),))


def ask_renewal_info(
    leased: LeasedCertificate, active: Issuance, contexts: Contexts, step: OpenStep
) -> LeasedCertificate:
    """Ask the CA for renewal information (RFC 9773); without an answer, the renewal policy applies."""
    now = contexts.environment.now()
    leaf = active.leaf
    if leaf is None:  # pragma: no cover - an active issuance has a leaf
        return leased
    before = active.renewal_info
    try:
        info = _asked(leased, active, leaf, contexts, step)
    except (LeaseLostError, StorageError):
        raise
    except CertCoreError as error:
        retry_after = error.retry_after if isinstance(error, CAError) else None
        info = after_failure(before, now=now, retry_after=retry_after)
        _log.info("The CA of certificate %s gives no renewal information: %s", leased.certificate.id, error)
    after = leased.with_issuance(evolve(active, renewal_info=info))
    if not _is_earlier(before, info) or info.start is None or info.end is None:
        return after
    data = {"start": info.start.isoformat(), "end": info.end.isoformat(), "explanation_url": info.explanation_url}
    return after.moved(leased.certificate, EventKind.RENEWAL_ASKED, now, data=data)


def fall_back(leased: LeasedCertificate, tired: Issuance, contexts: Contexts) -> LeasedCertificate:
    """Continue at the next CA profile that accepts the request. After the last one, the first one is next."""
    now = contexts.environment.now()
    certificate = leased.certificate
    ended = evolve(tired, outcome=Outcome.ABANDONED, finished_at=now)
    chosen = _next_authority(leased, tired, contexts)
    order = _order(certificate)
    # Otherwise CAs that refuse immediately would be called in a tight loop.
    attempts = leased.schedule.attempts
    rounds = max(1, attempts // max(1, len(order)))
    next_round = now + retry_delay(Retry.SLOW, rounds, contexts.environment.roll())
    if chosen is None:
        # There is no other CA.
        return leased.with_issuance(evolve(tired, authority_failures=0)).due(next_round, attempts=attempts + 1)
    kept = leased.active is not None and leased.active.key_name == tired.key_name
    request = new_issuance(
        certificate,
        number=_next_number(leased),
        purpose=tired.purpose,
        environment=contexts.environment,
        vault=contexts.vault,
        keep_key=_sealed_key(certificate, tired, contexts) if kept else None,
        authority_id=chosen,
        like=tired,
        needs_clean_up=contexts.holds_from_start(chosen, leased.authorities),
    )
    status = transition(certificate.status, Action.FALL_BACK)
    changed = evolve(certificate, status=status, issuance_id=request.issuance.id, updated_at=now)
    names = {authority.id: authority.name for authority in leased.authorities}
    data = {
        "from": names.get(tired.authority_id or "", tired.authority_id),
        "to": names.get(chosen, chosen),
        "number": request.issuance.number,
    }
    after = _with_request(leased.with_issuance(ended), request)
    after = evolve(after, dropped_keys=() if kept else (tired.key_name,))
    after = after.moved(changed, EventKind.FELL_BACK, now, problem=certificate.problem, data=data)
    had_turns = tired.authority_id in order and order.index(chosen) < order.index(tired.authority_id)
    return after.due(next_round, attempts=attempts + 1) if had_turns else after.due(now)


def _sealed_key(certificate: Certificate, issuance: Issuance, contexts: Contexts) -> SealedKey | None:
    """The sealed key of an issuance, to be reused; None when it is not stored."""
    with contexts.storage.read() as transaction:
        return find_key(transaction, certificate, issuance)


def _asked(leased: LeasedCertificate, active: Issuance, leaf: Leaf, contexts: Contexts, step: OpenStep) -> RenewalInfo:
    authority = leased.authority(active.authority_id or leased.certificate.authority_id)
    module, context = contexts.context(authority, step)
    if not isinstance(module, SupportsRenewalInfo):
        return RenewalInfo(check_at=leaf.not_after)  # an imported leaf: it is not requested again
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
    """Whether the CA asks for an earlier renewal than before."""
    if after.start is None or after.end is None or after.checked_at is None:
        return False
    if before is None or before.start is None:
        return after.end <= after.checked_at
    return after.start < before.start


def _order(certificate: Certificate) -> list[str]:
    """The IDs of the CA profiles to try, in order."""
    return list(dict.fromkeys(filter(None, [certificate.authority_id, *certificate.fallbacks])))


def _next_authority(leased: LeasedCertificate, tired: Issuance, contexts: Contexts) -> str | None:
    certificate = leased.certificate
    order = _order(certificate)
    start = order.index(tired.authority_id) if tired.authority_id in order else -1
    for candidate in [*order[start + 1 :], *order[: start + 1]]:
        if candidate != tired.authority_id and _can_take(leased, tired, candidate, contexts):
            return candidate
    return None


def _can_take(leased: LeasedCertificate, tired: Issuance, authority_id: str, contexts: Contexts) -> bool:
    """Whether a CA profile exists and accepts these names."""
    try:
        authority = leased.authority(authority_id)
        module, context = contexts.context(authority)
        settings = contexts.settings(module, authority, leased.certificate)
        check = module.check_request
        about = evolve(context, owner=leased.certificate.owner)
        call_plugin(authority.module, "check_request", check, about, tired.names, settings, returns=None)
    except (StorageError, LeaseLostError):
        raise
    except CertCoreError as error:
        _log.info("The fallback %s is skipped: %s", authority_id, error)
        return False
    return True


def _next_number(leased: LeasedCertificate) -> int:
    return 1 + max(issuance.number for issuance in leased.issuances)
