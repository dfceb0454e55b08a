"""The rows of one step: what it has to read, and what it writes in the end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve

from certcore.engine.decide import end_of_change
from certcore.engine.outcome import Held
from certcore.errors import NotFound
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.notices import NoticePolicy, next_danger, next_notice
from certcore.ports.storage import Transaction

__all__ = ["authorities_of", "in_time", "store_changes"]

_A_MINUTE: Final = timedelta(minutes=1)


def authorities_of(
    transaction: Transaction, certificate: Certificate, issuances: Sequence[Issuance]
) -> Iterator[CertificateAuthority]:
    """The CA profiles that a step may need; one that was deleted is left out."""
    needed = [one for one in issuances if one.outcome is None or one.needs_clean_up or one.renewal_info is not None]
    ids = [certificate.authority_id, *certificate.fallbacks, *(one.authority_id for one in needed)]
    for authority_id in filter(None, dict.fromkeys(ids)):
        with contextlib.suppress(NotFound):
            yield transaction.authorities.get(authority_id)


def in_time(held: Held, policy: NoticePolicy, now: datetime) -> Held:
    """The same, looked at no later than the next notice, and than what is in service has to be renewed as it is."""
    notice_at = next_notice(policy, held.certificate, held.issuances, now)
    change_ends = end_of_change(held.certificate, held.issuances)
    if change_ends is not None and change_ends <= now:
        # The next look sets the change aside, or renews after it failed; a renewal that fails has its own pauses.
        attempt = next((one for one in held.issuances if one.id == held.certificate.issuance_id), None)
        is_change = attempt is not None and held.active is not None and set(attempt.names) != set(held.active.names)
        change_ends = now + _A_MINUTE if is_change else None
    late_at = next_danger(held.certificate, held.issuances, now)
    looks = [one for one in (held.schedule.due_at, notice_at, late_at, change_ends) if one is not None]
    due_at = min(looks, default=None)
    return held if due_at == held.schedule.due_at else evolve(held, schedule=evolve(held.schedule, due_at=due_at))


def store_changes(transaction: Transaction, before: Held, after: Held) -> None:
    """Store what a step has changed, its events and its keys; not the schedule."""
    if after.certificate is not before.certificate:
        transaction.certificates.save_progress(after.certificate)
    known = {issuance.id: issuance for issuance in before.issuances}
    for issuance in after.issuances:
        if issuance.id not in known:
            transaction.issuances.add(issuance)
        elif issuance is not known[issuance.id]:
            transaction.issuances.save(issuance)
    for name, sealed in after.new_keys:
        transaction.secrets.put(name, sealed)
    for name in after.dropped_keys:
        transaction.secrets.delete(name)
    if after.events:
        transaction.events.append(after.events)
