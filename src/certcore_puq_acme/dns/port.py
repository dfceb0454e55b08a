"""The port through which the checks ask the DNS; tests use a simulated DNS instead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from attrs import frozen

from certcore.messages import Message

if TYPE_CHECKING:
    from certcore_puq_acme.profile.settings import NameServer

__all__ = ["NOT_LISTENING", "NO_ANSWER", "UNREACHABLE", "Answer", "DnsPort", "Question", "Record", "unusable"]

#: The failure of a server that did not answer in time.
NO_ANSWER: Final = Message("puq_acme.dns.no_answer", "no answer in time")
#: The failure of an address at which no process listens.
NOT_LISTENING: Final = Message("puq_acme.dns.not_listening", "no DNS server listens there")
#: The failure if this machine has no route to the server, for example because it has no IPv6.
UNREACHABLE: Final = Message("puq_acme.dns.unreachable", "the network cannot be reached from here")


def unusable(why: object) -> Message:
    """The failure of a server whose answer cannot be used."""
    return Message("puq_acme.dns.unusable", "no usable answer ({why})", {"why": str(why)})


@frozen(kw_only=True)
class Question:
    """One question (RFC 1035 section 4.1.2) and its flags."""

    #: A-labels without the final dot; empty for the root.
    name: str
    #: The mnemonic of the record type, for example ``CNAME``.
    kind: str
    #: RD flag: asks a resolver to ask other servers; not set for authoritative servers.
    recursive: bool = True
    #: CD flag: asks a resolver not to validate DNSSEC.
    checking_disabled: bool = False
    #: DO flag: asks for DNSSEC signatures and keys.
    dnssec: bool = False


@frozen(kw_only=True)
class Record:
    """One record of an answer."""

    #: In lower case without the final dot.
    name: str
    kind: str
    #: In presentation form; names as ``name``, TXT as its character-strings joined.
    value: str
    ttl: int = 0


@frozen(kw_only=True)
class Answer:
    """The answer of one server to one question, or the failure to get one."""

    #: ``NOERROR``, ``NXDOMAIN``, ``SERVFAIL`` and so on; empty when there is no answer.
    rcode: str = ""
    #: AA flag: the server answers for a zone that it serves.
    authoritative: bool = False
    answer: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    #: The Extended DNS Errors (RFC 8914) in words; empty without one.
    extended_error: str = ""
    #: Why there is no answer; None when there is one.
    failure: Message | None = None

    @property
    def is_positive(self) -> bool:
        """Whether the rcode says that the server could answer: NOERROR or NXDOMAIN."""
        return self.rcode in ("NOERROR", "NXDOMAIN")

    @property
    def in_words(self) -> Message:
        """Why the answer cannot be used, in words."""
        if self.failure is not None:
            return self.failure
        if self.extended_error:
            params = {"rcode": self.rcode, "why": self.extended_error}
            return Message("puq_acme.dns.answered_because", "it answered {rcode} ({why})", params)
        return Message("puq_acme.dns.answered", "it answered {rcode}", {"rcode": self.rcode})

    def values(self, kind: str) -> tuple[str, ...]:
        """The values of a type in the answer section, at any name."""
        return tuple(record.value for record in self.answer if record.kind == kind)

    def at(self, name: str, kind: str) -> tuple[str, ...]:
        """The values of a type at exactly this name."""
        return tuple(record.value for record in self.answer if record.kind == kind and record.name == name)


class DnsPort(Protocol):
    """Questions to DNS servers. MUST be thread-safe."""

    def query(self, server: NameServer, question: Question, waits: Sequence[float]) -> Answer:
        """Ask one server. A failure is part of the answer.

        Args:
            server: The server to ask.
            question: The question.
            waits: The seconds to wait for an answer after each sending; the question is sent once for each wait. A late
                answer to an earlier sending counts, too.
        """
        ...

    def system_servers(self) -> Sequence[NameServer]:
        """The resolvers in this host's configuration; empty if there are none."""
        ...
