"""The observations of a check of an owner's CNAME. `classification` makes findings of them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from attrs import frozen

from certcore.messages import Message
from certcore_puq_acme.dns.asking import TOO_MANY, TOO_SLOW
from certcore_puq_acme.dns.port import NO_ANSWER, NOT_LISTENING, UNREACHABLE, Answer
from certcore_puq_acme.dns.zones import FoundZone

__all__ = [
    "MOST_HOPS",
    "NO_AUTHORITY",
    "CnameObservation",
    "Hop",
    "ResolverShown",
    "ServerState",
    "Shown",
    "at_server",
    "followed",
    "in_words",
    "listed",
    "negative_ttl",
    "shown",
    "shown_by",
    "some_values",
]

#: The longest chain of CNAMEs (RFC 1034 section 3.6.2 sets no limit).
MOST_HOPS: Final = 8
#: The text about a server that is not authoritative for a zone.
NO_AUTHORITY: Final = Message("puq_acme.dns.no_authority", "it is not authoritative")


class ServerState(StrEnum):
    """How a server answers queries for a zone."""

    #: It answers with authority.
    ANSWERS = "answers"
    #: It answers, but is not authoritative for the zone.
    LAME = "lame"
    #: It answers with SERVFAIL or a similar error, or its answers cannot be read.
    FAILS = "fails"
    #: It does not answer.
    SILENT = "silent"
    #: There is no route to it from this machine, but it may work for others.
    NO_ROUTE = "no_route"
    #: It was not queried, because the time or the number of queries of the check was exhausted.
    NOT_ASKED = "not_asked"


@frozen(kw_only=True)
class Shown:
    """The records of one server at one name."""

    #: The host name and address of the server.
    server: str
    state: ServerState
    #: Why it does not answer.
    detail: Message | str = ""
    #: Whether the name exists (NOERROR).
    exists: bool = False
    #: The target of the CNAME; empty if there is none.
    cname: str = ""

    @property
    def answers(self) -> bool:
        """Whether the server answers for the zone."""
        return self.state is ServerState.ANSWERS


@frozen(kw_only=True)
class Hop:
    """One name in a chain of CNAMEs, with the records of all servers of its zone."""

    name: str
    zone: FoundZone
    shown: tuple[Shown, ...]

    @property
    def answering(self) -> tuple[Shown, ...]:
        """The records of the servers that answer."""
        return tuple(server for server in self.shown if server.answers)


@frozen(kw_only=True)
class ResolverShown:
    """The answer of a resolver for the owner's name."""

    server: str
    state: ServerState
    detail: Message | str = ""
    #: The chain of CNAMEs, as far as it goes.
    chain: tuple[str, ...] = ()
    #: How many seconds it caches the answer.
    ttl: int = 0
    #: Whether it answers only without DNSSEC validation.
    is_bogus: bool = False
    #: Its wrong answer for a name that certainly does not exist; empty if it answers correctly.
    invented: str = ""


@frozen(kw_only=True)
class CnameObservation:
    """All observations of one CNAME."""

    base: str
    name: str
    #: The expected target, and its tech zone.
    expected: str
    tech_zone: str
    #: The domain that a registry delegates.
    registered: str
    #: The zone of the name, as far as the delegations could be followed.
    zone: FoundZone = FoundZone(apex="")
    #: The name, or an ancestor of it, that does not exist.
    missing: str = ""
    #: The answers of the zone's servers if none of them is authoritative.
    broken: tuple[Shown, ...] = ()
    is_broken: bool = False
    #: Whether authoritative servers could be queried.
    is_direct: bool = True
    hops: tuple[Hop, ...] = ()
    #: Other records at the name, for example ``TXT abc``. If the name also has a CNAME: the server with these records,
    #: and whether its answer to a TXT query has only them.
    at_name: tuple[str, ...] = ()
    text_server: str = ""
    hides_cname: bool = False
    #: The records at a sibling name that certainly has no own record, as ``CNAME x`` or ``A x``; from a wildcard.
    wildcard: tuple[str, ...] = ()
    #: Wrong names at which the CNAME was found.
    doubled_at: str = ""
    without_underscore_at: str = ""
    at_domain: bool = False
    #: Where the DNSSEC chain is broken.
    dnssec_break: Message | str = ""
    resolvers: tuple[ResolverShown, ...] = ()

    @property
    def chain(self) -> tuple[str, ...]:
        """The targets in order. If servers disagree, the most frequent target is used."""
        targets: list[str] = []
        for hop in self.hops:
            target = followed(hop, self.expected)
            if not target:
                break
            targets.append(target)
        return tuple(targets)


def followed(hop: Hop, expected: str) -> str:
    """The target to follow: the expected one if any server publishes it, otherwise the most frequent one."""
    targets = [server.cname for server in hop.answering if server.cname]
    if expected in targets:
        return expected
    return max(targets, key=targets.count, default="")


def shown(server: str, name: str, answer: Answer) -> Shown:
    """The records of an authoritative server at a name, from its answer to a CNAME query."""
    state, detail = shown_by(answer)
    if state is ServerState.ANSWERS and not answer.authoritative:
        state, detail = ServerState.LAME, NO_AUTHORITY
    if state is not ServerState.ANSWERS:
        return Shown(server=server, state=state, detail=detail)
    return Shown(
        server=server,
        state=state,
        exists=answer.rcode == "NOERROR",
        cname=next(iter(answer.at(name, "CNAME")), ""),
    )


def shown_by(answer: Answer) -> tuple[ServerState, Message | str]:
    """How a server answers, and why not."""
    if answer.failure in (TOO_MANY, TOO_SLOW):
        return ServerState.NOT_ASKED, answer.failure
    if answer.failure == UNREACHABLE:
        return ServerState.NO_ROUTE, answer.failure
    if answer.failure in (NO_ANSWER, NOT_LISTENING):
        return ServerState.SILENT, answer.failure
    if answer.failure:
        return ServerState.FAILS, answer.failure
    if answer.is_positive:
        return ServerState.ANSWERS, ""
    state = ServerState.FAILS if answer.rcode in ("SERVFAIL", "FORMERR", "NOTIMP") else ServerState.LAME
    return state, answer.in_words


def negative_ttl(answer: Answer) -> int:
    """How many seconds a resolver caches a negative answer (RFC 2308 section 5)."""
    return max((_ttl(record.value, record.ttl) for record in answer.authority if record.kind == "SOA"), default=0)


def _ttl(soa: str, ttl: int) -> int:
    fields = soa.split()
    return min(ttl, int(fields[-1])) if fields and fields[-1].isdecimal() else ttl


def in_words(shown: Iterable[Shown]) -> Message:
    """The records of several servers, as text."""
    nothing = Message("puq_acme.dns.no_cname", "no CNAME")
    return listed(at_server(server.server, server.cname or server.detail or nothing) for server in shown)


def at_server(server: object, state: Message | str) -> Message:
    """The state or record of one server, as text."""
    return Message("puq_acme.dns.at_server", "{server}: {said}", {"server": str(server), "said": state})


def listed(parts: Iterable[Message]) -> Message:
    """Several texts, separated."""
    *others, last = parts
    before = [Message("puq_acme.dns.listed.part", "{part};", {"part": part}) for part in others]
    return Message("puq_acme.dns.listed", "{parts}", {"parts": (*before, last)})


def some_values(shown: int, expected: int) -> Message:
    """How many of the expected TXT values a server publishes, as text."""
    return Message("puq_acme.dns.some_values", "{shown} of {wanted} values", {"shown": shown, "wanted": expected})
