"""Derive the findings and the state of a CNAME from its observations, without I/O. The first finding is the cause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen

from certcore.messages import Message, shown_moment
from certcore.model.finding import Change, Finding, RecordChange, Severity, most_severe
from certcore.model.hints import RecordState
from certcore.net.addresses import address_kind
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.dns.observations import (
    MOST_HOPS,
    CnameObservation,
    Hop,
    ResolverShown,
    ServerState,
    at_server,
    in_words,
)
from certcore_puq_acme.dns.zones import ServerAddress, is_in, parent_name
from certcore_puq_acme.profile.limits import is_public_suffix

__all__ = ["NO_SERVER", "CheckedRecord", "checked_cname", "cname_findings", "findings_of_servers", "wrong_target"]

#: The text for a machine without a configured resolver.
NO_SERVER: Final = Message("puq_acme.dns.no_server", "no DNS server is configured")
_SERVER_CODES: Final = MappingProxyType(
    {
        ServerState.LAME: DnsCode.SERVER_LAME,
        ServerState.FAILS: DnsCode.SERVER_FAILS,
        ServerState.SILENT: DnsCode.SERVER_SILENT,
    }
)
_WRONG: Final = frozenset(
    {
        DnsCode.CNAME_WRONG_TARGET,
        DnsCode.CNAME_OLD_TARGET,
        DnsCode.CNAME_OTHER_LABEL,
        DnsCode.CNAME_TARGET_NOT_FINAL,
        DnsCode.CNAME_LOOP,
        DnsCode.CNAME_CHAIN_TOO_LONG,
        DnsCode.SERVERS_DISAGREE,
        DnsCode.HOST_ANSWERS_TXT,
    }
)
_UNREACHABLE: Final = frozenset(
    {
        DnsCode.SERVER_LAME,
        DnsCode.SERVER_FAILS,
        DnsCode.SERVER_SILENT,
        DnsCode.SERVER_WITHOUT_ADDRESS,
        DnsCode.SERVER_ADDRESS_NOT_PUBLIC,
        DnsCode.DNSSEC_BOGUS,
        DnsCode.RESOLVER_SILENT,
        DnsCode.RESOLVER_FAILS,
    }
)


@frozen(kw_only=True)
class CheckedRecord:
    """The state of one record that the owner has to set."""

    base: str
    name: str
    target: str
    state: RecordState
    #: The reason in words, or the target that was seen instead.
    seen: Message | str = ""
    #: The first one is the cause.
    findings: tuple[Finding, ...] = ()


def checked_cname(observation: CnameObservation, now: datetime) -> CheckedRecord:
    """The state of the CNAME, with its findings."""
    findings = cname_findings(observation, now)
    no_words: Message | str = ""
    first = findings[0] if findings and findings[0].severity is Severity.ERROR else None
    if first is None:
        chain = observation.chain or next((resolver.chain for resolver in observation.resolvers if resolver.chain), ())
        state, shown = RecordState.CORRECT, chain[-1] if chain else no_words
    else:
        code = DnsCode(first.code)
        shown = first.seen
        state = RecordState.MISSING
        if code in _WRONG or (code is DnsCode.CNAME_BEHIND_WILDCARD and observation.chain):
            state = RecordState.WRONG
        elif code in _UNREACHABLE:
            state = RecordState.UNREACHABLE
        if state is RecordState.UNREACHABLE and first.server:
            shown = at_server(first.server, first.seen)
    return CheckedRecord(
        base=observation.base,
        name=observation.name,
        target=observation.expected,
        state=state,
        seen=shown,
        findings=findings,
    )


def cname_findings(observation: CnameObservation, now: datetime) -> tuple[Finding, ...]:
    """The findings, the most important first."""
    if is_public_suffix(observation.base):
        return (finding(DnsCode.PUBLIC_SUFFIX, name=observation.base),)
    by_servers = tuple(_by_servers(observation))
    by_resolvers = tuple(_by_resolvers(observation, now))
    direct = [hop for hop in observation.hops if hop.answering]
    if any(finding.code == DnsCode.SPLIT_VIEW for finding in by_resolvers):
        # A resolver has the record: that is more important than the servers that do not have it.
        by_servers = tuple(finding for finding in by_servers if finding.code != DnsCode.CNAME_MISSING)
    if observation.is_direct and (direct or observation.missing):
        return most_severe((*_bogus_first(by_resolvers), *by_servers, *_other(by_resolvers)))
    # No authoritative server could be used: the resolvers decide, and the findings about the servers explain why.
    if observation.resolvers and all(
        resolver.chain[-1:] == (observation.expected,) for resolver in observation.resolvers
    ):
        return most_severe(_as_warning(finding) for finding in (*by_servers, *by_resolvers))
    if any(finding.severity is Severity.ERROR for finding in by_servers):
        return most_severe((*_bogus_first(by_resolvers), *by_servers, *_other(by_resolvers)))
    decided = tuple(_decided_by_resolvers(observation, now))
    is_bogus = any(finding.code == DnsCode.DNSSEC_BOGUS for finding in by_resolvers)
    rest = _other(by_resolvers) if is_bogus or not decided else ()
    return most_severe((*_bogus_first(by_resolvers), *by_servers, *(() if is_bogus else decided), *rest))


def wrong_target(observation: CnameObservation, chain: tuple[str, ...]) -> Finding:
    """Why a chain of CNAMEs does not lead to the expected target."""
    name, expected, last = observation.name, observation.expected, chain[-1]
    code = DnsCode.CNAME_WRONG_TARGET
    extra: dict[str, Any] = {}
    shown: Message | str = " → ".join(chain)
    label, _, zone = expected.partition(".")
    if last == name or last in chain[:-1]:
        code, shown = DnsCode.CNAME_LOOP, Message("puq_acme.dns.loop", "{name} (a CNAME loop)", {"name": chain[0]})
    else:
        suffix = last.removeprefix(f"{expected}.")
        if suffix != last and is_in(name, suffix):
            code = DnsCode.CNAME_TARGET_NOT_FINAL
        elif observation.wildcard and f"CNAME {chain[0]}" in observation.wildcard:
            code, shown = DnsCode.CNAME_BEHIND_WILDCARD, f"CNAME {shown}"
        elif last.partition(".")[0] == label:
            code, extra = DnsCode.CNAME_OLD_TARGET, {"zone": zone}
        elif parent_name(last) == zone:
            code = DnsCode.CNAME_OTHER_LABEL
    return finding(code, name=name, expected=expected, seen=shown, remedy=_to_set(observation), **extra)


def _by_servers(observation: CnameObservation) -> Iterator[Finding]:
    """Findings from the answers of the authoritative servers."""
    if not observation.is_direct:
        return
    zone, name = observation.zone, observation.name
    if zone.apex == name:
        hosts = ", ".join(zone.hosts)
        remedy = (
            *(RecordChange(name=name, type="NS", value=host, change=Change.REMOVE) for host in zone.hosts),
            *_to_set(observation),
        )
        yield finding(DnsCode.NS_INSTEAD_OF_CNAME, name=name, expected=observation.expected, seen=hosts, remedy=remedy)
        return
    is_below = is_in(observation.registered, zone.apex) and zone.apex != observation.registered
    if is_below and observation.missing and is_in(observation.registered, observation.missing):
        yield finding(DnsCode.DOMAIN_NOT_REGISTERED, name=name, zone=observation.registered, parent=zone.called)
        return
    if is_below and not observation.is_broken and not observation.chain and is_public_suffix(zone.apex):
        yield finding(DnsCode.DOMAIN_NOT_DELEGATED, name=name, zone=observation.registered, parent=zone.apex)
        return
    yield from findings_of_servers(observation)
    for hop in observation.hops:
        if hop.answering:
            yield from _of_hop(observation, hop)
    yield from _of_text(observation)
    if observation.chain and observation.chain[-1] != observation.expected and not _is_split(observation):
        yield _too_long(observation) or wrong_target(observation, observation.chain)
    elif not observation.chain and (observation.missing or any(hop.answering for hop in observation.hops)):
        yield _why_missing(observation)


def findings_of_servers(observation: CnameObservation) -> Iterator[Finding]:
    """Name servers that do not answer for their zones, or have no address."""
    for hop in observation.hops or (Hop(name=observation.name, zone=observation.zone, shown=observation.broken),):
        zone, is_usable = hop.zone, bool(hop.answering)
        less = Severity.WARNING if is_usable else None
        families = {":" in server.server for server in hop.answering}
        hosts = {server.server.partition(" ")[0] for server in hop.answering}
        for server in hop.shown:
            code = _SERVER_CODES.get(server.state)
            host = server.server.partition(" ")[0]
            if code is None or (":" in server.server and host in hosts and True not in families):
                continue  # IPv6 may not work on this machine
            yield finding(
                code, name=hop.name, severity=less, server=server.server, seen=server.detail, zone=zone.called
            )
        for host in zone.without_address:
            yield finding(DnsCode.SERVER_WITHOUT_ADDRESS, name=hop.name, severity=less, server=host, zone=zone.apex)
        for address in zone.not_asked:
            yield _not_public(hop.name, zone.apex, address)
        if zone.is_ipv6_only:
            yield finding(DnsCode.SERVERS_IPV6_ONLY, name=hop.name, zone=zone.apex)


def _not_public(name: str, zone: str, address: ServerAddress) -> Finding:
    kind = str(address_kind(address.address))
    return finding(DnsCode.SERVER_ADDRESS_NOT_PUBLIC, name=name, zone=zone, server=str(address), seen=kind)


def _of_text(observation: CnameObservation) -> Iterator[Finding]:
    """TXT values at the name itself, although the name has a CNAME."""
    if not observation.chain or not observation.at_name:
        return
    common: dict[str, Any] = {"name": observation.name, "expected": observation.expected}
    values = [record.partition(" ")[2] for record in observation.at_name]
    if observation.hides_cname:
        yield finding(DnsCode.HOST_ANSWERS_TXT, server=observation.text_server, seen=", ".join(values), **common)
    else:
        remedy = [_split(observation.name, record) for record in observation.at_name]
        yield finding(DnsCode.CNAME_BESIDE_RECORDS, seen=", ".join(observation.at_name), remedy=remedy, **common)


def _is_split(observation: CnameObservation) -> bool:
    """Whether servers of one zone show different things."""
    return any(len({server.cname for server in hop.answering}) > 1 for hop in observation.hops)


def _of_hop(observation: CnameObservation, hop: Hop) -> Iterator[Finding]:
    """Servers of one zone that do not show the same."""
    targets = {server.cname for server in hop.answering}
    if len(targets) <= 1:
        return
    common: dict[str, Any] = {
        "name": hop.name,
        "expected": observation.expected,
        "zone": hop.zone.apex,
        "remedy": _to_set(observation),
    }
    lacking = [server for server in hop.answering if not server.cname]
    if len(targets) == 2 and lacking:  # noqa: PLR2004 - none, and one target
        servers = ", ".join(server.server for server in lacking)
        yield finding(DnsCode.CNAME_ON_SOME_SERVERS, server=servers, seen=in_words(hop.answering), **common)
    else:
        yield finding(DnsCode.SERVERS_DISAGREE, seen=in_words(hop.answering), **common)


def _too_long(observation: CnameObservation) -> Finding | None:
    chain = observation.chain
    if len(chain) < len(observation.hops) or len(chain) < MOST_HOPS or len(set(chain)) < len(chain):
        return None
    return finding(
        DnsCode.CNAME_CHAIN_TOO_LONG,
        name=observation.name,
        expected=observation.expected,
        seen=" → ".join(chain),
        remedy=_to_set(observation),
    )


def _why_missing(observation: CnameObservation) -> Finding:
    """Why there is no CNAME at the name, although its zone's servers answer."""
    name, zone = observation.name, observation.zone.apex
    remedy = _to_set(observation)
    wildcard = set(observation.wildcard)
    own = [record for record in observation.at_name if record not in wildcard]
    code, shown = DnsCode.CNAME_MISSING, ""
    extra: dict[str, Any] = {"by": Message("puq_acme.dns.by_servers", "all name servers of {zone}", {"zone": zone})}
    exists = any(server.exists for hop in observation.hops[:1] for server in hop.answering)
    if texts := [record for record in own if record.startswith("TXT ")]:
        code, shown = DnsCode.TXT_INSTEAD_OF_CNAME, texts[0]
    elif own:
        code, shown = DnsCode.ADDRESS_INSTEAD_OF_CNAME, own[0]
    elif observation.at_name:
        code, shown = DnsCode.CNAME_BEHIND_WILDCARD, observation.at_name[0]
    elif observation.doubled_at:
        code, shown = DnsCode.CNAME_DOUBLED_SUFFIX, observation.doubled_at
        remedy = (_to_remove(shown), *remedy)
    elif observation.without_underscore_at:
        code, shown = DnsCode.CNAME_WITHOUT_UNDERSCORE, observation.without_underscore_at
        remedy = (_to_remove(shown), *remedy)
    elif observation.at_domain:
        code, shown = DnsCode.CNAME_AT_DOMAIN, observation.base
        remedy = (_to_remove(shown), *remedy)
    elif exists and not observation.wildcard:
        code = DnsCode.CNAME_FLATTENED
    elif zone != observation.registered and is_in(zone, observation.registered):
        code, shown = DnsCode.CNAME_IN_PARENT_ZONE, ", ".join(observation.zone.hosts)
        extra = {"zone": zone, "parent": observation.zone.parent}
    if code in (DnsCode.TXT_INSTEAD_OF_CNAME, DnsCode.ADDRESS_INSTEAD_OF_CNAME):
        remedy = (*(_split(name, record) for record in own), *remedy)
    return finding(code, name=name, expected=observation.expected, seen=shown, remedy=remedy, **extra)


def _by_resolvers(observation: CnameObservation, now: datetime) -> Iterator[Finding]:
    """Resolvers that show something else than the authoritative servers, or do not answer."""
    name, expected = observation.name, observation.expected
    is_right = observation.chain[-1:] == (expected,) and not _is_split(observation)
    can_judge = observation.is_direct and not observation.is_broken and bool(observation.hops)
    for resolver in observation.resolvers:
        common: dict[str, Any] = {"name": name, "server": resolver.server}
        if resolver.is_bogus:
            why = observation.dnssec_break or resolver.detail
            yield finding(DnsCode.DNSSEC_BOGUS, name=name, zone=observation.zone.apex or name, seen=why)
        elif resolver.state is ServerState.SILENT:
            yield finding(DnsCode.RESOLVER_SILENT, seen=resolver.detail, **common)
        elif resolver.state not in (ServerState.ANSWERS, ServerState.NOT_ASKED):
            yield finding(DnsCode.RESOLVER_FAILS, seen=resolver.detail, **common)
        elif not can_judge or resolver.state is ServerState.NOT_ASKED:
            continue
        elif is_right and resolver.chain[-1:] != (expected,):
            yield _old_answer(observation, resolver, now)
        elif not observation.chain and resolver.invented:
            yield finding(DnsCode.RESOLVER_REWRITES, seen=resolver.invented, **common)
        elif not is_right and resolver.chain[-1:] == (expected,) and not observation.chain:
            yield finding(DnsCode.SPLIT_VIEW, expected=expected, remedy=_to_set(observation), **common)


def _old_answer(observation: CnameObservation, resolver: ResolverShown, now: datetime) -> Finding:
    until = shown_moment(now + timedelta(seconds=resolver.ttl))
    return finding(
        DnsCode.STILL_CACHED,
        name=observation.name,
        zone=observation.zone.apex,
        server=resolver.server,
        expected=observation.expected,
        seen=" → ".join(resolver.chain) or Message("puq_acme.dns.no_record", "no record"),
        until=until,
    )


def _decided_by_resolvers(observation: CnameObservation, now: datetime) -> Iterator[Finding]:
    """Findings if only resolvers can be asked: each has to show the CNAME."""
    for resolver in observation.resolvers:
        if resolver.chain[-1:] == (observation.expected,):
            continue
        if resolver.chain:
            yield wrong_target(observation, resolver.chain)
        elif resolver.state is ServerState.ANSWERS:
            until = shown_moment(now + timedelta(seconds=resolver.ttl))
            text = "the resolver {server}, which keeps this answer until {until}"
            by = Message("puq_acme.dns.by_resolver", text, {"server": resolver.server, "until": until})
            yield finding(
                DnsCode.CNAME_MISSING,
                name=observation.name,
                expected=observation.expected,
                server=resolver.server,
                remedy=_to_set(observation),
                by=by,
            )
        else:
            silent = resolver.state in (ServerState.SILENT, ServerState.NOT_ASKED)
            code = DnsCode.RESOLVER_SILENT if silent else DnsCode.RESOLVER_FAILS
            server = "" if resolver.state is ServerState.NOT_ASKED else resolver.server
            yield finding(code, name=observation.name, severity=Severity.ERROR, server=server, seen=resolver.detail)
    if not observation.resolvers:
        yield finding(
            DnsCode.RESOLVER_SILENT,
            name=observation.name,
            severity=Severity.ERROR,
            server="",
            seen=NO_SERVER,
        )


def _bogus_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The finding that DNSSEC does not validate, at most once. It must be repaired before anything else."""
    return tuple(finding for finding in findings if finding.code == DnsCode.DNSSEC_BOGUS)[:1]


def _other(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.code != DnsCode.DNSSEC_BOGUS)


def _as_warning(finding: Finding) -> Finding:
    return evolve(finding, severity=Severity.WARNING) if finding.severity is Severity.ERROR else finding


def _to_set(observation: CnameObservation) -> tuple[RecordChange, ...]:
    return (RecordChange(name=observation.name, type="CNAME", value=f"{observation.expected}."),)


def _to_remove(name: str) -> RecordChange:
    return RecordChange(name=name, type="CNAME", value="", change=Change.REMOVE)


def _split(name: str, record: str) -> RecordChange:
    kind, _, value = record.partition(" ")
    return RecordChange(name=name, type=kind, value=value, change=Change.REMOVE)
