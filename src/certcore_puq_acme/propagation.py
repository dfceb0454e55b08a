"""What the DNS shows: is the owner's CNAME there, and are our TXT values visible through it?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import dns.rdatatype
from attrs import field, frozen

from certcore.model.hints import RecordState
from certcore_puq_acme.caa import CaaAnswer, relevant_records
from certcore_puq_acme.delegation import Delegation
from certcore_puq_acme.lookup import NO_ANSWER, SocketDns
from certcore_puq_acme.network import DnsPort
from certcore_puq_acme.settings import NameServer

__all__ = ["TOO_SLOW", "Finding", "Resolvers"]

#: Why a name was not looked at.
TOO_SLOW: Final = "the DNS is too slow"

#: How long a CNAME chain may be (RFC 1034 section 3.6.2 leaves it to the resolver).
_MAX_HOPS: Final = 8
#: Seconds for all names of a certificate in one step.
_LONGEST_CHECK: Final = 60.0


@frozen(kw_only=True)
class Finding:
    """What was seen of one record that the owner is to set."""

    base: str
    name: str
    target: str
    state: RecordState
    #: In words, or the target that is there instead.
    seen: str = ""
    #: CNAME, TXT or CAA.
    type: str = "CNAME"
    #: Until when a record can be used, in ISO form; empty for one without an end.
    until: str = ""


@frozen(kw_only=True)
class Resolvers:
    """The recursive DNS servers that are asked; all of them have to see a record."""

    servers: tuple[NameServer, ...]
    #: Seconds for one question to one server.
    timeout: float
    #: How they are asked.
    dns: DnsPort = field(factory=SocketDns)
    #: Seconds from any start, never backwards.
    monotonic: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, servers: Sequence[NameServer], timeout: float, dns: DnsPort) -> Resolvers:
        """The given servers, or the system's when there are none given."""
        return cls(servers=tuple(servers or dns.system_servers()), timeout=timeout, dns=dns)

    def time_limit(self) -> Callable[[], bool]:
        """Whether a minute has passed from now: no further name of a certificate is looked at in this step then.

        Tenants choose the servers of their names. One whose servers take their time must not hold a worker's thread.
        """
        end = self.monotonic() + _LONGEST_CHECK
        return lambda: self.monotonic() > end

    def check_all(self, delegations: Iterable[Delegation]) -> list[Finding]:
        """Look for every CNAME; a DNS server that is silent, or slow, is not asked a hundred times in a row."""
        findings: list[Finding] = []
        silent = ""
        is_over = self.time_limit()
        for one in delegations:
            if not silent and is_over():
                silent = TOO_SLOW
            if silent:
                findings.append(_finding(one, RecordState.UNREACHABLE, silent))
                continue
            findings.append(self.check(one))
            if findings[-1].seen.endswith(NO_ANSWER):
                silent = findings[-1].seen
        return findings

    def check(self, delegation: Delegation) -> Finding:
        """Look for the owner's CNAME: correct only when every server shows it."""
        worst: Finding | None = None
        for server in self.servers:
            finding = self._check_at(server, delegation)
            if finding.state is RecordState.CORRECT:
                worst = worst or finding
                continue
            return finding
        return worst or _finding(delegation, RecordState.UNREACHABLE, "no DNS server is configured")

    def txt_is_visible(self, name: str, values: Iterable[str]) -> str:
        """Why not all of these TXT values are visible at a name yet; empty when every server shows them all."""
        wanted = set(values)
        if not self.servers:
            return "no DNS server is configured"
        for server in self.servers:
            found = self.dns.ask(server, name, dns.rdatatype.TXT, self.timeout)
            if found.failure:
                return f"{server}: {found.failure}"
            missing = wanted - set(found.values)
            if missing:
                return f"{server} shows {len(wanted) - len(missing)} of {len(wanted)} values"
        return ""

    def txt_values(self, name: str) -> tuple[list[tuple[str, ...]], str]:
        """The TXT values at a name, as each server shows them, and why one of them gives no answer to rely on."""
        if not self.servers:
            return [], "no DNS server is configured"
        found = []
        for server in self.servers:
            answer = self.dns.ask(server, name, dns.rdatatype.TXT, self.timeout)
            if answer.failure:
                return [], f"{server}: {answer.failure}"
            found.append(answer.values)
        return found, ""

    def caa_records(self, names: Iterable[str]) -> dict[str, CaaAnswer]:
        """The CAA records that count for each name, from the first server; where it fails, they say nothing."""
        known: dict[str, CaaAnswer] = {}
        silent = not self.servers
        is_over = self.time_limit()

        def look_up(name: str) -> CaaAnswer:
            nonlocal silent
            if silent or is_over():
                return CaaAnswer(name=name, failure=NO_ANSWER)
            found = self.dns.ask(self.servers[0], name, dns.rdatatype.CAA, self.timeout)
            silent = found.failure == NO_ANSWER
            return CaaAnswer(name=name, records=found.values, failure=found.failure)

        return {name: relevant_records(name, look_up, known) for name in names}

    def zone_answers(self, zone: str) -> str:
        """Why a zone cannot be found from here; empty when every server finds its SOA record."""
        if not self.servers:
            return "no DNS server is configured"
        for server in self.servers:
            found = self.dns.ask(server, zone, dns.rdatatype.SOA, self.timeout)
            if found.failure or not found.values:
                return f"{server}: {found.failure or 'there is no such zone'}"
        return ""

    def _check_at(self, server: NameServer, delegation: Delegation) -> Finding:
        name = delegation.name
        seen: list[str] = []
        for _ in range(_MAX_HOPS):
            found = self.dns.ask(server, name, dns.rdatatype.CNAME, self.timeout)
            if found.failure and not seen:
                return _finding(delegation, RecordState.UNREACHABLE, f"{server}: {found.failure}")
            if not found.cname:
                break  # the end of the chain, or a part of it that is no business of ours
            name = found.cname
            if name in seen:
                return _finding(delegation, RecordState.WRONG, f"{seen[0]} (a CNAME loop)")
            seen.append(name)
            if name == delegation.target:
                return _finding(delegation, RecordState.CORRECT, name)
        if not seen:
            return _finding(delegation, RecordState.MISSING, "")
        return _finding(delegation, RecordState.WRONG, " → ".join(seen))


def _finding(delegation: Delegation, state: RecordState, seen: str) -> Finding:
    return Finding(base=delegation.base, name=delegation.name, target=delegation.target, state=state, seen=seen)
