"""DNS checks of a CA profile at authoritative servers, or at resolvers if those cannot be queried.

A record is correct if all authoritative servers that answer publish it. If none can be queried (port 53 to the outside
is closed, the servers are private, or the CA profile forbids it), it is correct if all resolvers return it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from attrs import field, frozen

from certcore.messages import Message
from certcore.model.finding import Finding, Severity, most_severe
from certcore_puq_acme.dns.asking import USUAL, Asking, QuestionBudget, asking, waits_within
from certcore_puq_acme.dns.caa import CaaAnswer, relevant_records
from certcore_puq_acme.dns.classification import NO_SERVER, CheckedRecord, checked_cname
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.delegation import Delegation
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.dns.observations import (
    MOST_HOPS,
    NO_AUTHORITY,
    ServerState,
    at_server,
    listed,
    shown_by,
    some_values,
)
from certcore_puq_acme.dns.observing import observe_cnames
from certcore_puq_acme.dns.port import Answer, DnsPort, Question
from certcore_puq_acme.dns.query import SocketDns
from certcore_puq_acme.dns.zones import ServerAddress, ZoneFinder, ZoneLookup, ZoneMemory
from certcore_puq_acme.profile.settings import NameServer, PuqAcmeProfile, ServersAsked
from certcore_puq_acme.profile.zone_writer import ZoneConnections

__all__ = ["DnsAccess", "DnsChecks", "ShownText"]

#: The longest timeout for a resolver, in seconds, whatever the timeout of the CA profile.
_LONGEST_WAIT: Final = 9.0
_MOST_VALUES: Final = 5


@frozen
class DnsAccess:
    """Access to the DNS, with a cache between checks. Each module object has one."""

    dns: DnsPort
    memory: ZoneMemory = field(factory=ZoneMemory)
    #: The connections to the servers that tech zones are written to.
    connections: ZoneConnections = field(factory=ZoneConnections)


@frozen(kw_only=True)
class ShownText:
    """The TXT values at a name."""

    #: The servers that answer, with their values.
    servers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    #: Why there is no usable answer; empty if there is one.
    failure: Message | str = ""


@frozen(kw_only=True)
class DnsChecks:
    """The checks of a CA profile."""

    #: The recursive servers.
    resolvers: tuple[NameServer, ...]
    #: The seconds to wait for one of them.
    timeout: float
    access: DnsAccess = field(factory=lambda: DnsAccess(SocketDns()))
    #: Which authoritative servers may be queried.
    policy: ServersAsked = ServersAsked.PUBLIC
    #: A monotonic clock in seconds.
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, profile: PuqAcmeProfile, access: DnsAccess, *, timeout: float | None = None) -> DnsChecks:
        """The checks of a CA profile. If it has no resolvers, those of the system are used."""
        return cls(
            resolvers=tuple(profile.dns_servers or access.dns.system_servers()),
            timeout=profile.api_timeout if timeout is None else timeout,
            access=access,
            policy=ServersAsked(profile.servers_asked),
        )

    def cnames(
        self, delegations: Sequence[Delegation], now: datetime, *, with_resolvers: bool = False
    ) -> list[CheckedRecord]:
        """Check all CNAMEs, many at the same time.

        Args:
            delegations: The expected CNAMEs.
            now: The present moment.
            with_resolvers: Whether resolvers may be asked for names without a record, which they cache.
        """
        with self._opened() as looking:
            observations = observe_cnames(
                delegations, looking.finder, looking.asking, now, with_resolvers=with_resolvers
            )
        return [checked_cname(observation, now) for observation in observations]

    def cname(self, delegation: Delegation, now: datetime) -> CheckedRecord:
        """Check one CNAME."""
        return self.cnames([delegation], now)[0]

    def unseen_values(self, expected: Mapping[Delegation, Sequence[str]]) -> tuple[Finding, ...]:
        """The servers that do not publish these TXT values; empty if all values are visible.

        Args:
            expected: The values of each CNAME. They are queried at its target, at every authoritative server of the
                tech zone, or otherwise at the owner's name through the resolvers.
        """
        with self._opened() as looking:
            findings_by_name = looking.asking.names(lambda item: list(looking.unseen(*item)), list(expected.items()))
        return most_severe(finding for findings in findings_by_name for finding in findings)

    def foreign_values(
        self, delegations: Iterable[Delegation], known: Callable[[str], Collection[str]]
    ) -> tuple[Finding, ...]:
        """The authoritative servers of the tech zone with TXT values at the targets that are not those of certcore.

        Args:
            delegations: The CNAMEs.
            known: Returns the present values of certcore at a name.
        """
        with self._opened() as looking:
            by_name = looking.asking.names(lambda delegation: list(looking.foreign(delegation, known)), delegations)
        return tuple(finding for findings in by_name for finding in findings)

    def txt_values(self, names: Iterable[str]) -> dict[str, ShownText]:
        """The TXT values at names on each server."""
        with self._opened() as looking:
            listed = list(names)
            return dict(zip(listed, looking.asking.names(looking.txt_values, listed), strict=True))

    def caa_records(self, names: Iterable[str]) -> dict[str, CaaAnswer]:
        """The relevant CAA records (RFC 8659 section 3) of each name."""
        with self._opened() as looking:
            known: dict[str, CaaAnswer] = {}
            budget = QuestionBudget()

            def look_up(name: str) -> CaaAnswer:
                budget.left = QuestionBudget().left
                return looking.caa(name, budget)

            return {name: relevant_records(name, look_up, known) for name in names}

    def tech_zone(self, zone: str, canary: str = "", canary_name: str = "") -> tuple[Finding, ...]:
        """The faults of the tech zone in the DNS.

        Args:
            zone: The name of the tech zone.
            canary: A TXT value that all its servers must publish; empty to check only the SOA record.
            canary_name: The name of that value.
        """
        with self._opened() as looking:
            return most_severe(looking.tech_zone(zone, canary, canary_name))

    def asks_directly(self) -> bool:
        """Whether authoritative servers can be queried, as far as is known."""
        with self._opened() as looking:
            return looking.finder.is_open(QuestionBudget())

    def has_address(self, host: str) -> bool:
        """Whether any resolver finds an address of a host, IPv4 or IPv6."""
        with self._opened() as looking:
            questions = [Question(name=host, kind=kind) for kind in ("A", "AAAA")]
            answers = [
                looking.asking.ask(resolver, question, waits=looking.finder.patience)
                for resolver in self.resolvers
                for question in questions
            ]
            return any(answer.values("A") or answer.values("AAAA") for answer in answers)

    @contextmanager
    def _opened(self) -> Iterator[_Looking]:
        patience = waits_within(min(self.timeout, _LONGEST_WAIT))
        with asking(self.access.dns, monotonic=self.monotonic) as questions:
            finder = ZoneFinder(questions, self.resolvers, self.policy, self.access.memory, patience)
            yield _Looking(asking=questions, finder=finder)


@frozen(kw_only=True)
class _Looking:
    """The queries of one check."""

    asking: Asking
    finder: ZoneFinder

    def unseen(self, delegation: Delegation, values: Sequence[str]) -> Iterator[Finding]:
        """The servers that do not publish all TXT values of a CNAME."""
        budget, expected = QuestionBudget(), set(values)
        target = delegation.target
        lookup = self.finder.find(target, budget)
        if _can_be_asked(lookup):
            shown = self._at_all(lookup, Question(name=target, kind="TXT", recursive=False), budget)
            answering = [(server, answer) for server, answer in shown if _answers(answer)]
            for server, answer in answering:
                yield from _difference(delegation, str(server), set(answer.values("TXT")), expected)
            if answering:
                return
        if not self.finder.resolvers:
            yield _not_seen(delegation, "", NO_SERVER)
        question = Question(name=delegation.name, kind="TXT")
        answers = self.asking.ask_each(self.finder.resolvers, question, budget, self.finder.patience)
        for resolver, answer in zip(self.finder.resolvers, answers, strict=True):
            if not answer.is_positive:
                yield _not_seen(delegation, str(resolver), answer.in_words)
            else:
                yield from _difference(delegation, str(resolver), set(answer.values("TXT")), expected)

    def foreign(self, delegation: Delegation, known: Callable[[str], Collection[str]]) -> Iterator[Finding]:
        """The servers with TXT values at the target of a CNAME that are not those of certcore."""
        budget, target, zone = QuestionBudget(), delegation.target, delegation.zone
        ours = set(known(target))
        lookup = self.finder.find(zone, budget)
        if not _can_be_asked(lookup):
            return
        shown = self._at_all(lookup, Question(name=target, kind="TXT", recursive=False), budget)
        for server, answer in shown:
            # Check again for values that were stored meanwhile.
            if (foreign := set(answer.values("TXT")) - ours) and (foreign := foreign - set(known(target))):
                foreign_values = ", ".join(sorted(foreign)[:_MOST_VALUES])
                yield finding(DnsCode.TXT_FOREIGN, name=target, zone=zone, server=str(server), seen=foreign_values)

    def txt_values(self, name: str) -> ShownText:
        """The TXT values at a name at each authoritative server, or at each resolver."""
        budget = QuestionBudget()
        direct = self._followed(name, "TXT", budget)
        if direct is not None:
            answering = tuple((str(server), answer.values("TXT")) for server, answer in direct if _answers(answer))
            if answering:
                return ShownText(servers=answering)
        if not self.finder.resolvers:
            return ShownText(failure=NO_SERVER)
        answers = self.asking.ask_each(
            self.finder.resolvers, Question(name=name, kind="TXT"), budget, self.finder.patience
        )
        for resolver, answer in zip(self.finder.resolvers, answers, strict=True):
            if not answer.is_positive:
                return ShownText(failure=at_server(resolver, answer.in_words))
        pairs = zip(self.finder.resolvers, answers, strict=True)
        return ShownText(servers=tuple((str(resolver), answer.values("TXT")) for resolver, answer in pairs))

    def caa(self, name: str, budget: QuestionBudget) -> CaaAnswer:
        """The CAA records at exactly one name, or at the end of its CNAMEs."""
        lookup = self.finder.find(name, budget)
        if lookup.missing:
            return CaaAnswer(name=name, asked=name)
        shown = self._followed(name, "CAA", budget) if _can_be_asked(lookup) else None
        failed: Message | str = ""
        for server, answer in shown or ():
            if _answers(answer):
                return _caa_answer(name, answer)
            failed = failed or at_server(server, answer.in_words)
        for resolver in self.finder.resolvers[:1] if not failed else ():
            answer = self.asking.ask(resolver, Question(name=name, kind="CAA"), budget, self.finder.patience)
            if answer.is_positive:
                return _caa_answer(name, answer)
            failed = at_server(resolver, answer.in_words)
            return CaaAnswer(name=name, asked=name, failure=failed, is_refusal=answer.rcode == "SERVFAIL")
        is_refusal = any(shown_by(answer)[0] in (ServerState.FAILS, ServerState.LAME) for _, answer in shown or ())
        return CaaAnswer(name=name, asked=name, failure=failed or NO_SERVER, is_refusal=is_refusal)

    def tech_zone(self, zone: str, canary: str, canary_name: str) -> Iterator[Finding]:
        """The faults of the tech zone."""
        budget = QuestionBudget()
        lookup = self.finder.find(zone, budget)
        if lookup.is_closed or not (lookup.zone.servers or lookup.zone.without_address):
            yield from self._tech_zone_at_resolvers(zone, canary, canary_name, budget)
            return
        if lookup.missing or (lookup.zone.apex != zone and not lookup.is_broken):
            yield finding(DnsCode.TECH_ZONE_NOT_DELEGATED, name=zone, zone=zone, parent=lookup.zone.called)
            return
        for host in lookup.zone.without_address:
            less = Severity.WARNING if lookup.zone.servers else None
            yield finding(DnsCode.TECH_ZONE_WITHOUT_ADDRESS, name=zone, zone=zone, server=host, severity=less)
        question = Question(name=canary_name or zone, kind="TXT" if canary else "SOA", recursive=False)
        shown = self._at_all(lookup, question, budget)
        answering = [(server, answer) for server, answer in shown if _answers(answer)]
        silent = [(server, answer) for server, answer in shown if not _answers(answer)]
        if not answering and silent:
            at_resolvers = tuple(self._tech_zone_at_resolvers(zone, canary, canary_name, budget))
            server_states = listed(at_server(server, _words(answer)) for server, answer in silent[:_MOST_VALUES])
            # If resolvers see the zone, its servers may only be unreachable from this machine, behind the same router.
            less = Severity.WARNING if not at_resolvers else None
            yield finding(DnsCode.TECH_ZONE_UNREACHABLE, name=zone, zone=zone, seen=server_states, severity=less)
            return
        for server, answer in silent:
            if shown_by(answer)[0] is ServerState.NO_ROUTE:
                continue
            server_state = at_server(server, _words(answer))
            yield finding(
                DnsCode.TECH_ZONE_UNREACHABLE, name=zone, zone=zone, seen=server_state, severity=Severity.WARNING
            )
        for server, answer in answering:
            if canary and canary not in answer.values("TXT"):
                yield _old_server(zone, canary_name, str(server), canary, answer)

    def _tech_zone_at_resolvers(
        self, zone: str, canary: str, canary_name: str, budget: QuestionBudget
    ) -> Iterator[Finding]:
        question = Question(name=canary_name or zone, kind="TXT" if canary else "SOA")
        if not self.finder.resolvers:
            yield finding(DnsCode.TECH_ZONE_UNREACHABLE, name=zone, zone=zone, seen=NO_SERVER)
        answers = self.asking.ask_each(self.finder.resolvers, question, budget, self.finder.patience)
        for resolver, answer in zip(self.finder.resolvers, answers, strict=True):
            if not answer.is_positive:
                resolver_state = at_server(resolver, answer.in_words)
                yield finding(DnsCode.TECH_ZONE_UNREACHABLE, name=zone, zone=zone, seen=resolver_state)
            elif not canary and not answer.values("SOA"):
                resolver_state = at_server(resolver, Message("puq_acme.dns.no_such_zone", "there is no such zone"))
                yield finding(DnsCode.TECH_ZONE_UNREACHABLE, name=zone, zone=zone, seen=resolver_state)
            elif canary and canary not in answer.values("TXT"):
                yield _old_server(
                    zone,
                    canary_name,
                    Message("puq_acme.dns.the_resolver", "The resolver {server}", {"server": str(resolver)}),
                    canary,
                    answer,
                )

    def _followed(self, name: str, kind: str, budget: QuestionBudget) -> list[tuple[ServerAddress, Answer]] | None:
        """The answers of all servers at the end of a name's CNAMEs; None if no authoritative server can be queried."""
        for _ in range(MOST_HOPS):
            lookup = self.finder.find(name, budget)
            if not _can_be_asked(lookup):
                return None
            shown = self._at_all(lookup, Question(name=name, kind=kind, recursive=False), budget)
            targets = [answer.at(name, "CNAME") for _, answer in shown if _answers(answer) and not answer.values(kind)]
            target = next((target[0] for target in targets if target), "")
            if not target:
                return shown
            name = target
        return None

    def _at_all(
        self, lookup: ZoneLookup, question: Question, budget: QuestionBudget
    ) -> list[tuple[ServerAddress, Answer]]:
        servers = lookup.zone.servers
        answers = self.asking.ask_each([address.server for address in servers], question, budget, USUAL)
        return list(zip(servers, answers, strict=True))


def _can_be_asked(lookup: ZoneLookup) -> bool:
    return not lookup.is_closed and not lookup.is_broken and bool(lookup.zone.servers)


def _answers(answer: Answer) -> bool:
    return answer.is_positive and answer.authoritative


def _words(answer: Answer) -> Message | str:
    state, detail = shown_by(answer)
    return NO_AUTHORITY if state is ServerState.ANSWERS else detail


def _caa_answer(name: str, answer: Answer) -> CaaAnswer:
    at = next((record.name for record in answer.answer if record.kind == "CAA"), name)
    return CaaAnswer(name=at, asked=name, records=answer.values("CAA"))


def _difference(delegation: Delegation, server: str, shown: set[str], expected: set[str]) -> Iterator[Finding]:
    missing = expected - shown
    if missing:
        yield _not_seen(delegation, server, some_values(len(expected) - len(missing), len(expected)))


def _not_seen(delegation: Delegation, server: str, shown: Message | str) -> Finding:
    return finding(DnsCode.TXT_MISSING, name=delegation.name, zone=delegation.zone, server=server, seen=shown)


def _old_server(zone: str, name: str, server: Message | str, canary: str, answer: Answer) -> Finding:
    shown = ", ".join(answer.values("TXT")[:_MOST_VALUES]) or Message("puq_acme.dns.nothing", "nothing")
    return finding(DnsCode.TECH_ZONE_OLD_SERVER, name=name, zone=zone, server=server, expected=canary, seen=shown)
