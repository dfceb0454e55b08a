"""The observations of a check of an owner's CNAME: plain values, from which `classification` makes findings."""

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

#: How long a chain of CNAMEs may be (RFC 1034 section 3.6.2 leaves it to the resolver).
MOST_HOPS: Final = 8
#: The text about a server that answers for a zone without serving it.
NO_AUTHORITY: Final = Message("puq_acme.dns.no_authority", "it is not authoritative")


class ServerState(StrEnum):
    """Whether a server answers for a zone."""

    ANSWERS = "answers"
    #: It answers, but does not serve the zone.
    LAME = "lame"
    #: SERVFAIL and similar errors, and answers that cannot be read.
    FAILS = "fails"
    SILENT = "silent"
    #: There is no route to it from here; it may still work for others.
    NO_ROUTE = "no_route"
    #: The time or the questions of the check were used up.
    NOT_ASKED = "not_asked"


@frozen(kw_only=True)
class Shown:
    """What one server shows at one name."""

    #: Host name and address, in words.
    server: str
    state: ServerState
    #: Why it does not answer, in words.
    detail: Message | str = ""
    #: Whether the name exists (NOERROR).
    exists: bool = False
    #: The target of the CNAME; empty without one.
    cname: str = ""

    @property
    def answers(self) -> bool:
        """Whether the server answers for the zone."""
        return self.state is ServerState.ANSWERS


@frozen(kw_only=True)
class Hop:
    """One name of the chain of CNAMEs, with what every server of its zone shows."""

    name: str
    zone: FoundZone
    shown: tuple[Shown, ...]

    @property
    def answering(self) -> tuple[Shown, ...]:
        """What the servers show that answer."""
        return tuple(server for server in self.shown if server.answers)


@frozen(kw_only=True)
class ResolverShown:
    """What a resolver shows at the owner's name."""

    server: str
    state: ServerState
    detail: Message | str = ""
    #: The chain of CNAMEs, as far as it goes.
    chain: tuple[str, ...] = ()
    #: Seconds that it keeps what it shows.
    ttl: int = 0
    #: True: without DNSSEC it does answer, so that only its validation fails.
    is_bogus: bool = False
    #: Its answer for a name that certainly does not exist.
    invented: str = ""


@frozen(kw_only=True)
class CnameObservation:
    """Everything that was seen of one CNAME."""

    base: str
    name: str
    #: The target that it has to have, and the tech zone that this lies in.
    expected: str
    tech_zone: str
    #: The domain that a registry delegates.
    registered: str
    #: The zone that holds the name, as far as the delegations could be followed.
    zone: FoundZone = FoundZone(apex="")
    #: The ancestor that does not exist, or the name itself.
    missing: str = ""
    #: What the zone's servers answered when none of them answers for it.
    broken: tuple[Shown, ...] = ()
    is_broken: bool = False
    #: Whether authoritative servers could be asked at all.
    is_direct: bool = True
    hops: tuple[Hop, ...] = ()
    #: Other records at the name: ``TXT abc``. Where it is a CNAME, the server that shows them, and whether its answer
    #: to a question for TXT holds them alone.
    at_name: tuple[str, ...] = ()
    text_server: str = ""
    hides_cname: bool = False
    #: What a name beside it shows that certainly has no record of its own; ``CNAME x`` or ``A x``.
    wildcard: tuple[str, ...] = ()
    #: Where else the CNAME stands.
    doubled_at: str = ""
    without_underscore_at: str = ""
    at_domain: bool = False
    #: Where the chain of DNSSEC breaks, in words.
    dnssec_break: Message | str = ""
    resolvers: tuple[ResolverShown, ...] = ()

    @property
    def chain(self) -> tuple[str, ...]:
        """The targets, one after the other; where servers disagree, as most see them."""
        targets: list[str] = []
        for hop in self.hops:
            target = followed(hop, self.expected)
            if not target:
                break
            targets.append(target)
        return tuple(targets)


def followed(hop: Hop, expected: str) -> str:
    """The target that is followed: the expected one where any server shows it, else the most frequent."""
    targets = [server.cname for server in hop.answering if server.cname]
    if expected in targets:
        return expected
    return max(targets, key=targets.count, default="")


def shown(server: str, name: str, answer: Answer) -> Shown:
    """What an authoritative server shows at a name, from its answer to a question for CNAME."""
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
    """Whether a server answers, and in words why not."""
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
    """Seconds that a resolver keeps a negative answer (RFC 2308 section 5)."""
    return max((_ttl(record.value, record.ttl) for record in answer.authority if record.kind == "SOA"), default=0)


def _ttl(soa: str, ttl: int) -> int:
    fields = soa.split()
    return min(ttl, int(fields[-1])) if fields and fields[-1].isdecimal() else ttl


def in_words(shown: Iterable[Shown]) -> Message:
    """What several servers show, in words."""
    nothing = Message("puq_acme.dns.no_cname", "no CNAME")
    return listed(at_server(server.server, server.cname or server.detail or nothing) for server in shown)


def at_server(server: object, state: Message | str) -> Message:
    """What one server shows."""
    return Message("puq_acme.dns.at_server", "{server}: {said}", {"server": str(server), "said": state})


def listed(parts: Iterable[Message]) -> Message:
    """Several of them, one after the other."""
    *others, last = parts
    before = [Message("puq_acme.dns.listed.part", "{part};", {"part": part}) for part in others]
    return Message("puq_acme.dns.listed", "{parts}", {"parts": (*before, last)})


def some_values(shown: int, expected: int) -> Message:
    """How many of the wanted TXT values a server shows."""
    return Message("puq_acme.dns.some_values", "{shown} of {wanted} values", {"shown": shown, "wanted": expected})
