"""The rows that a step reads, and the rows that it writes at its end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.engine.apply_step import LeasedCertificate
from certcore.engine.decide import end_of_change
from certcore.errors import NotFoundError
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.notice_policy import NoticePolicy, next_danger, next_notice
from certcore.ports.storage import Transaction

__all__ = ["authorities_of", "in_time", "may_be_repeated", "store_changes"]

#: Longest time for which the outcome of repeatable steps is not stored.
_KEPT_IN_HAND: Final = timedelta(seconds=10)
_A_MINUTE: Final = timedelta(minutes=1)


def authorities_of(
    transaction: Transaction, certificate: Certificate, issuances: Sequence[Issuance]
) -> Iterator[CertificateAuthority]:
    """The CA profiles that a step may need, without deleted ones."""
    needed = [
        each for each in issuances if each.outcome is None or each.needs_clean_up or each.renewal_info is not None
    ]
    ids = [certificate.authority_id, *certificate.fallbacks, *(issuance.authority_id for issuance in needed)]
    for authority_id in filter(None, dict.fromkeys(ids)):
        with contextlib.suppress(NotFoundError):
            yield transaction.authorities.get(authority_id)


def in_time(leased: LeasedCertificate, policy: NoticePolicy, now: datetime) -> LeasedCertificate:
    """Return a copy that is due no later than the next notice, and no later than the renewal with unchanged names."""
    notice_at = next_notice(policy, leased.certificate, leased.issuances, now)
    change_ends = end_of_change(leased.certificate, leased.issuances)
    if change_ends is not None and change_ends <= now:
        # The next look postpones the change, or renews after it failed; a failing renewal has its own pauses.
        attempt = next((each for each in leased.issuances if each.id == leased.certificate.issuance_id), None)
        is_change = attempt is not None and leased.active is not None and set(attempt.names) != set(leased.active.names)
        change_ends = now + _A_MINUTE if is_change else None
    late_at = next_danger(leased.certificate, leased.issuances, now)
    looks = [at for at in (leased.schedule.due_at, notice_at, late_at, change_ends) if at is not None]
    due_at = min(looks, default=None)
    return (
        leased if due_at == leased.schedule.due_at else evolve(leased, schedule=evolve(leased.schedule, due_at=due_at))
    )


def may_be_repeated(stored: LeasedCertificate, after: LeasedCertificate, now: datetime) -> bool:
    """Whether the outcome of repeatable steps need not be stored yet: a crash would only repeat them.

    Args:
        stored: The stored state.
        after: The state after steps that the module allows to be repeated.
        now: The present moment.
    """
    written_at = stored.schedule.written_at
    if after.certificate is not stored.certificate or after.events or after.new_keys or after.dropped_keys:
        return False
    if written_at is None or not timedelta(0) <= now - written_at < _KEPT_IN_HAND:
        return False
    return [_promises(issuance) for issuance in _by_number(stored)] == [
        _promises(issuance) for issuance in _by_number(after)
    ]


def _by_number(leased: LeasedCertificate) -> list[Issuance]:
    return sorted(leased.issuances, key=lambda issuance: issuance.number)


def _promises(issuance: Issuance) -> tuple[object, ...]:
    """The values that must be stored before the next step if they changed: outcome, need of a clean-up, and orders."""
    return issuance.id, issuance.outcome, issuance.needs_clean_up, issuance.engine_state.orders


def store_changes(transaction: Transaction, before: LeasedCertificate, after: LeasedCertificate) -> None:
    """Store what a step changed, its events and its keys, but not the schedule."""
    if after.certificate is not before.certificate:
        transaction.certificates.save_progress(after.certificate)
    known = {issuance.id: issuance for issuance in before.issuances}
    for issuance in after.issuances:
        if issuance.id not in known:
            transaction.issuances.add(issuance)
        elif issuance is not known[issuance.id]:
            _save_issuance(transaction, known[issuance.id], issuance)
    for name, sealed in after.new_keys:
        transaction.secrets.put(name, sealed)
    for name in after.dropped_keys:
        transaction.secrets.delete(name)
    if after.events:
        transaction.events.append(after.events)


def _save_issuance(transaction: Transaction, before: Issuance, after: Issuance) -> None:
    has_new_info = before.renewal_info != after.renewal_info
    if (evolve(before, renewal_info=after.renewal_info) if has_new_info else before) != after:
        transaction.issuances.save(after)
    if has_new_info:
        transaction.issuances.save_renewal_info(after)
