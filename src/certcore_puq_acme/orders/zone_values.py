"""Bring the TXT values of an order into the tech zone: store them, write them to its server, and read them back."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from attrs import evolve

from certcore.model.finding import Finding
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.dns.asking import BRIEF
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.dns.observations import some_values
from certcore_puq_acme.dns.port import Question
from certcore_puq_acme.orders.attempt import WRITE_AGAIN, Attempt
from certcore_puq_acme.orders.patience import order_life
from certcore_puq_acme.orders.results import AttemptFailed, LookAgain
from certcore_puq_acme.orders.state import Stage, UnwrittenValues
from certcore_puq_acme.profile.zone_writer import servers_that_show
from certcore_puq_acme.techzone.publication import Publication, Unwritten
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord

__all__ = ["IN_FLIGHT", "known_values", "missing_at_servers", "store_values", "write_values"]

#: An order that makes no progress for this long gives up its place in flight until it continues.
IN_FLIGHT: Final = timedelta(minutes=1)
#: How many seconds one step spends on the names of a certificate.
_LONGEST_LOOK: Final = 20.0


def store_values(attempt: Attempt) -> None:
    """Store the values of the order's challenges; certcore's own DNS server answers with them from then on."""
    attempt.records.add_many(
        TxtRecord(
            fqdn=attempt.target(challenge.base),
            value=challenge.value,
            issuance_id=attempt.work.issuance.id,
            added_at=attempt.now,
        )
        for challenge in attempt.state.challenges
    )


def write_values(attempt: Attempt) -> Attempt | LookAgain | AttemptFailed:
    """Write the values; returns the attempt if the zone's server has confirmed them, else the result of the stage."""
    publication, state = attempt.publication, attempt.state
    if publication is None:
        return attempt
    is_again = state.polls > 0 and state.polls % WRITE_AGAIN == 0
    if state.written and not is_again:
        return attempt
    names = {attempt.target(challenge.base) for challenge in state.challenges}
    if not all(publication.holds(name) for name in names):
        return attempt.begin_anew()  # the profile was set to another zone
    store_values(attempt)  # an interrupted step may have released them
    unwritten = publication.update(names, force=is_again)
    if unwritten is not None:
        return _wait(attempt, unwritten)
    if state.written:
        return attempt
    # From now on the values have time to become visible.
    return evolve(attempt, state=evolve(state, written=True, since=attempt.now))


def missing_at_servers(attempt: Attempt) -> tuple[Finding, ...]:
    """The first server that does not show all values, of those that the profile names; empty if there is none.

    All of these servers must show the values. Private addresses are permitted: the administrator has named the servers.
    """
    if attempt.publication is None:
        return ()
    servers = servers_that_show(attempt.profile, attempt.publication)
    values: dict[str, set[str]] = {}
    for challenge in attempt.state.challenges:
        values.setdefault(challenge.base, set()).add(challenge.value)
    ends = attempt.checks.monotonic() + _LONGEST_LOOK
    for delegation in attempt.delegations:
        expected = values.get(delegation.base, set())
        for server in servers if expected else ():
            if attempt.checks.monotonic() > ends:
                return ()  # the usual checks report this
            question = Question(name=delegation.target, kind="TXT", recursive=False)
            answer = attempt.checks.access.dns.query(server, question, BRIEF)
            shown = len(expected & set(answer.values("TXT")))
            if shown < len(expected):
                why = some_values(shown, len(expected)) if answer.is_positive else answer.in_words
                missing = finding(
                    DnsCode.TXT_MISSING, name=delegation.target, zone=delegation.zone, server=server, seen=why
                )
                return (missing,)
    return ()


def known_values(records: TechZoneRecords, publication: Publication | None, name: str) -> frozenset[str]:
    """The values of certcore that a server may show at a name of the tech zone."""
    at_server = publication.values_at(name) if publication is not None else ()
    return frozenset((*records.values(name), *at_server))


def _wait(attempt: Attempt, unwritten: Unwritten) -> LookAgain | AttemptFailed:
    """Wait for another process that writes, or for the server."""
    # The time limit for the values to become visible begins when they are written.
    state = evolve(attempt.in_stage(Stage.PUBLISHED), since=attempt.now, written=False)
    if unwritten.is_busy:
        delay = min(0.1 * 1.3 ** min(attempt.state.polls, 20), 5.0)
        return attempt.look_again(evolve(state, trouble=attempt.state.trouble), delay)
    trouble = attempt.trouble.again(unwritten.said)
    if trouble.has_lasted(order_life(attempt.left), attempt.now):
        problem = Problem(type="urn:certcore:txt-not-written", title=unwritten.said, advice=unwritten.advice)
        return attempt.give_up(trouble.told(problem), Retry.SLOW)
    out_of_flight = attempt.now - trouble.since > IN_FLIGHT
    if out_of_flight:
        attempt.budget.leave(attempt.work.issuance.id)
    unwritten_values = UnwrittenValues.of(unwritten.said, unwritten.advice, since=trouble.since)
    delay = min(2.0 ** min(trouble.looks, 9), 300.0)
    return attempt.look_again(
        evolve(state, trouble=trouble, out_of_flight=out_of_flight), delay, unwritten=unwritten_values
    )
