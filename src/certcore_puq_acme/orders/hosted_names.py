"""Set the CNAMEs of domains that the panel hosts, if the panel says that the domain is the certificate owner's.

The panel sets the record and answers the challenge, so the CA's validation proves nothing about the owner. The panel is
asked before each change of a CNAME, and before each order that relies on a CNAME of certcore.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Final

from attrs import evolve

from certcore.errors import PluginError
from certcore.messages import Message
from certcore.model.hints import RecordState
from certcore_puq_acme.dns.delegation import Delegation, validation_name
from certcore_puq_acme.orders.attempt import WRITE_AGAIN, Attempt
from certcore_puq_acme.orders.state import HostedState, SeenHosted, SeenRecord
from certcore_puq_acme.orders.stored_fields import shown_message
from certcore_puq_acme.techzone.hosted_cnames import CnameState, HostedCname, HostedCnames

__all__ = ["denied_names", "seen_hosted", "set_hosted_cnames", "without_denied"]

#: How many seconds one step spends on the names of a certificate; the remaining names wait for the next step.
_LONGEST_STEP: Final = 20.0
#: The states of a CNAME that are reported.
_STATES: Final = MappingProxyType(
    {
        CnameState.SET: HostedState.SET,
        CnameState.OCCUPIED: HostedState.OCCUPIED,
        CnameState.UNWRITTEN: HostedState.UNWRITTEN,
        CnameState.BUSY: HostedState.BUSY,
    }
)


def set_hosted_cnames(attempt: Attempt) -> tuple[SeenHosted, ...]:
    """Set the CNAMEs that the panel may set, and remove those that it may no longer set.

    Returns:
        The states of the CNAMEs; domains that the panel does not host for this owner are left out.
    """
    hosted, certificate, active = attempt.hosted, attempt.work.certificate, attempt.work.active
    needed = {delegation.name for delegation in attempt.delegations}
    hosted.read_together(certificate.id, needed)
    held_names, set_here = hosted.held_names(certificate.id), hosted.set_here(needed)
    if not (held_names or set_here or hosted.is_on):
        return ()
    if active is not None:
        needed |= {validation_name(name.base.ascii) for name in active.names}
    hosted.release(certificate.id, held_names - needed)
    return tuple(_each(attempt, hosted))


def without_denied(records: Iterable[SeenRecord], hosted: Iterable[SeenHosted]) -> tuple[SeenRecord, ...]:
    """The records, with CNAMEs that certcore has set and the panel no longer confirms as wrong: they prove nothing."""
    denied = {cname.name: cname for cname in hosted if cname.is_denied}
    return tuple(
        evolve(record, state=RecordState.WRONG, seen=record.target, findings=())
        if record.name in denied and record.is_correct
        else record
        for record in records
    )


def denied_names(attempt: Attempt) -> Iterator[tuple[str, bool]]:
    """The names whose CNAMEs prove nothing, because the panel does not say that the owner controls them.

    Each name comes with whether the panel has answered; if not, a plugin failed, perhaps only for a moment.
    """
    set_here = attempt.hosted.set_here(delegation.name for delegation in attempt.delegations)
    for delegation in attempt.delegations:
        is_ours = set_here.get(delegation.name) == delegation.target
        if not is_ours and not delegation.is_adopted:
            continue
        try:
            answer = attempt.work.controls_name(attempt.work.certificate.owner, delegation.base)
        except PluginError:
            yield delegation.base, False
        else:
            if answer is False or (is_ours and answer is not True):
                yield delegation.base, True


def _each(attempt: Attempt, hosted: HostedCnames) -> Iterator[SeenHosted]:
    certificate_id = attempt.work.certificate.id
    held_names, set_here = hosted.held_names(certificate_id), hosted.set_here(each.name for each in attempt.delegations)
    before, last_states = attempt.findings.by_name, {cname.name: cname for cname in attempt.findings.hosted}
    is_again, ends = attempt.state.looks % WRITE_AGAIN == 1, attempt.checks.monotonic() + _LONGEST_STEP
    failure: HostedCname | None = None
    for delegation in attempt.delegations:
        name, target = delegation.name, delegation.target
        if not hosted.is_on and name not in set_here:
            continue
        answer = _word_of_panel(attempt, delegation)
        if isinstance(answer, PluginError):
            # If a plugin fails, nothing is removed, and CNAMEs of certcore do not count.
            is_denied = set_here.get(name) == target
            yield seen_hosted(name, HostedState.UNANSWERED, answer.text, answer.advice_text, is_denied=is_denied)
        elif not answer:
            if name in held_names:
                hosted.release(certificate_id, [name])
            # If the CNAME still exists (another certificate needs it, or the server is down), it proves nothing.
            is_denied = set_here.get(name) == target and hosted.set_here([name]).get(name) == target
            was_denied = name in last_states and last_states[name].state is HostedState.DENIED
            if name in held_names or is_denied or was_denied:
                yield seen_hosted(name, HostedState.DENIED, is_denied=is_denied)
        elif not hosted.is_on:
            yield seen_hosted(name, HostedState.SET)
        else:
            # If the server is down, the remaining names do not wait for it.
            outcome = failure
            if outcome is None and attempt.checks.monotonic() > ends:
                outcome = HostedCname(state=CnameState.BUSY)
            elif outcome is None:
                is_lost = is_again and name in before and not before[name].is_correct
                outcome = hosted.hold(certificate_id, name, target, again=is_lost)
                failure = outcome if outcome.state is CnameState.UNWRITTEN else None
            if (state := _STATES.get(outcome.state)) is not None:
                yield seen_hosted(name, state, outcome.said, outcome.advice)


def _word_of_panel(attempt: Attempt, delegation: Delegation) -> bool | PluginError:
    """Whether the panel says that the owner controls the name; the error if a plugin failed."""
    try:
        return attempt.work.controls_name(attempt.work.certificate.owner, delegation.base) is True
    except PluginError as error:
        return error


def seen_hosted(
    name: str, state: HostedState, reason: str | Message = "", advice: str | Message = "", *, is_denied: bool = False
) -> SeenHosted:
    """The state of a CNAME as it is stored: foreign text is made printable and shortened."""
    nothing = Message("", "")
    return SeenHosted(
        name=name,
        state=state,
        said=shown_message(reason) or nothing,
        advice=shown_message(advice) or nothing,
        is_denied=is_denied,
    )
