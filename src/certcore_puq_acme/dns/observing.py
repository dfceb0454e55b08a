"""Observe an owner's CNAME at all authoritative servers of the zones on the path, and at resolvers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve, frozen

from certcore_puq_acme.dns.asking import USUAL, Asking, QuestionBudget
from certcore_puq_acme.dns.delegation import Delegation
from certcore_puq_acme.dns.dnssec_chain import where_it_breaks
from certcore_puq_acme.dns.observations import (
    MOST_HOPS,
    CnameObservation,
    Hop,
    ResolverShown,
    ServerState,
    followed,
    negative_ttl,
    shown,
    shown_by,
)
from certcore_puq_acme.dns.port import Answer, Question
from certcore_puq_acme.dns.zones import FoundZone, ServerAddress, ZoneFinder, ZoneLookup, is_in, parent_name
from certcore_puq_acme.profile.limits import registry_domain
from certcore_puq_acme.profile.settings import NameServer

__all__ = ["PROBE_LABEL", "observe_cname", "observe_cnames"]

#: A label that is never set. A server with a record there invents it, or has a wildcard.
PROBE_LABEL: Final = "_certcore-probe"
_AT_NAME: Final = ("TXT", "A", "AAAA")
_MOST_VALUES: Final = 5


def observe_cnames(
    delegations: Iterable[Delegation], finder: ZoneFinder, asking: Asking, now: datetime, *, with_resolvers: bool
) -> list[CnameObservation]:
    """Observe several CNAMEs at the same time, see `observe_cname`."""
    return asking.names(
        lambda delegation: observe_cname(delegation, finder, asking, now, with_resolvers=with_resolvers), delegations
    )


def observe_cname(
    delegation: Delegation, finder: ZoneFinder, asking: Asking, now: datetime, *, with_resolvers: bool
) -> CnameObservation:
    """Observe one CNAME.

    Args:
        delegation: The expected CNAME.
        finder: Finds the zones.
        asking: Sends the queries.
        now: The present moment, to check DNSSEC signatures.
        with_resolvers: Whether resolvers may be asked for a name without a record, which they cache. They are asked in
            any case if the record exists, or if no authoritative server could be queried.
    """
    looking = _Looking(finder=finder, asking=asking, budget=QuestionBudget())
    lookup = finder.find(delegation.name, looking.budget)
    observation = CnameObservation(
        base=delegation.base,
        name=delegation.name,
        expected=delegation.target,
        tech_zone=delegation.zone,
        registered=registry_domain(delegation.base),
        zone=lookup.zone,
        missing=lookup.missing,
        broken=tuple(shown(str(server), delegation.name, answer) for server, answer in lookup.broken),
        is_broken=lookup.is_broken,
        is_direct=not lookup.is_closed,
    )
    if observation.is_direct and not observation.is_broken and lookup.zone.apex != delegation.name:
        observation = evolve(observation, hops=looking.hops(delegation, lookup))
    if observation.hops and not observation.chain:
        observation = looking.beside(observation)
    elif observation.chain:
        observation = looking.text_beside(observation)
        if observation.chain[-1] != delegation.target:
            observation = evolve(observation, wildcard=looking.wildcard(observation))
    is_seen = bool(observation.chain) or observation.is_broken or not observation.is_direct
    if is_seen or with_resolvers:
        observation = evolve(observation, resolvers=tuple(looking.resolvers(delegation)))
    if any(resolver.is_bogus for resolver in observation.resolvers):
        observation = evolve(observation, dnssec_break=where_it_breaks(lookup.path, asking, looking.budget, now))
    return observation


@frozen(kw_only=True)
class _Looking:
    """The queries about one name."""

    finder: ZoneFinder
    asking: Asking
    budget: QuestionBudget

    def hops(self, delegation: Delegation, lookup: ZoneLookup) -> tuple[Hop, ...]:
        """The chain of CNAMEs up to the tech zone, or to its end."""
        hops = [self._hop(delegation.name, lookup.zone)]
        names = {delegation.name}
        while len(hops) < MOST_HOPS:
            target = followed(hops[-1], delegation.target)
            if not target or target in names or is_in(target, delegation.zone):
                break
            names.add(target)
            target_lookup = self.finder.find(target, self.budget)
            if target_lookup.is_closed or target_lookup.is_broken:
                break
            hops.append(self._hop(target, target_lookup.zone))
        return tuple(hops)

    def _hop(self, name: str, zone: FoundZone) -> Hop:
        answers = self.asking.ask_each(
            [server.server for server in zone.servers], _direct(name, "CNAME"), self.budget, USUAL
        )
        answers_shown = [shown(str(server), name, answer) for server, answer in zip(zone.servers, answers, strict=True)]
        return Hop(name=name, zone=zone, shown=tuple(answers_shown))

    def beside(self, observation: CnameObservation) -> CnameObservation:
        """Search for the missing CNAME at wrong names."""
        name, base = observation.name, observation.base
        server = self._answering(observation)
        if server is None:
            return observation
        at_name: tuple[str, ...] = ()
        if any(server.exists for server in observation.hops[0].answering):
            at_name = self._values(server, name, _AT_NAME)
        domains = dict.fromkeys((observation.zone.apex, observation.registered))
        doubled = [f"{name}.{domain}" for domain in domains if domain]
        plain = f"{name.partition('.')[0].removeprefix('_')}.{base}"
        return evolve(
            observation,
            at_name=at_name,
            wildcard=self.wildcard(observation),
            doubled_at=next((candidate for candidate in doubled if self._has_cname(server, candidate)), ""),
            without_underscore_at=plain if self._has_cname(server, plain) else "",
            at_domain=self._points_into(server, base, observation.tech_zone),
        )

    def text_beside(self, observation: CnameObservation) -> CnameObservation:
        """Search for TXT values that the DNS host itself serves at a name with a CNAME."""
        hop = observation.hops[0]
        pairs = [
            (server, server_shown)
            for server, server_shown in zip(hop.zone.servers, hop.shown, strict=True)
            if server_shown.cname
        ]
        for server, _ in pairs[:1]:
            answer = self.asking.ask(server.server, _direct(observation.name, "TXT"), self.budget)
            values = answer.at(observation.name, "TXT")[:_MOST_VALUES] if answer.authoritative else ()
            if values:
                return evolve(
                    observation,
                    at_name=tuple(f"TXT {value}" for value in values),
                    text_server=str(server),
                    hides_cname=not answer.at(observation.name, "CNAME"),
                )
        return observation

    def wildcard(self, observation: CnameObservation) -> tuple[str, ...]:
        """The records at a sibling name that has no own record."""
        server = self._answering(observation)
        name = f"{PROBE_LABEL}.{parent_name(observation.name)}"
        return () if server is None else self._values(server, name, ("CNAME", "A", "TXT"))

    def _answering(self, observation: CnameObservation) -> ServerAddress | None:
        """A server of the zone that answers, preferably one without the CNAME."""
        hop = observation.hops[0]
        pairs = [
            (server, server_shown)
            for server, server_shown in zip(hop.zone.servers, hop.shown, strict=True)
            if server_shown.answers
        ]
        return next(
            (server for server, server_shown in pairs if not server_shown.cname), pairs[0][0] if pairs else None
        )

    def _values(self, server: ServerAddress, name: str, kinds: Sequence[str]) -> tuple[str, ...]:
        records: list[str] = []
        for kind in kinds:
            answer = self.asking.ask(server.server, _direct(name, kind), self.budget)
            values = answer.at(name, kind) if answer.authoritative else ()
            records += [f"{kind} {value}" for value in values[:_MOST_VALUES]]
        return tuple(records)

    def _has_cname(self, server: ServerAddress, name: str) -> bool:
        answer = self.asking.ask(server.server, _direct(name, "CNAME"), self.budget)
        return answer.authoritative and bool(answer.at(name, "CNAME"))

    def _points_into(self, server: ServerAddress, name: str, zone: str) -> bool:
        answer = self.asking.ask(server.server, _direct(name, "CNAME"), self.budget)
        return any(is_in(target, zone) for target in answer.at(name, "CNAME"))

    def resolvers(self, delegation: Delegation) -> Iterable[ResolverShown]:
        """The answers of the resolvers for the owner's name."""
        question = Question(name=delegation.name, kind="CNAME")
        answers = self.asking.ask_each(self.finder.resolvers, question, self.budget, self.finder.patience)
        for server, answer in zip(self.finder.resolvers, answers, strict=True):
            yield self._resolver(server, delegation, answer)

    def _resolver(self, server: NameServer, delegation: Delegation, answer: Answer) -> ResolverShown:
        state, detail = shown_by(answer)
        if state is ServerState.FAILS and answer.rcode == "SERVFAIL":
            unchecked = Question(name=delegation.name, kind="CNAME", checking_disabled=True)
            is_bogus = self.asking.ask(server, unchecked, self.budget, self.finder.patience).is_positive
            return ResolverShown(server=str(server), state=state, detail=detail, is_bogus=is_bogus)
        if state is not ServerState.ANSWERS:
            return ResolverShown(server=str(server), state=state, detail=detail)
        chain = self._chain(server, delegation, answer)
        invented = () if chain else answer.answer
        return ResolverShown(
            server=str(server),
            state=state,
            chain=chain,
            ttl=min((record.ttl for record in answer.answer), default=0) or negative_ttl(answer),
            invented=next((f"{record.kind} {record.value}" for record in invented), ""),
        )

    def _chain(self, server: NameServer, delegation: Delegation, answer: Answer) -> tuple[str, ...]:
        """The targets in a resolver's chain of CNAMEs, in order."""
        chain: list[str] = []
        name = delegation.name
        while len(chain) < MOST_HOPS:
            target = next(iter(answer.at(name, "CNAME")), "")
            if not target:
                break
            is_loop = target in chain
            chain.append(target)
            if is_loop or is_in(target, delegation.zone):
                break
            name = target
            answer = self.asking.ask(server, Question(name=name, kind="CNAME"), self.budget, self.finder.patience)
        return tuple(chain)


def _direct(name: str, kind: str) -> Question:
    return Question(name=name, kind=kind, recursive=False)
