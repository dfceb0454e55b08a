"""Write with dynamic updates (RFC 2136) signed with TSIG (RFC 8945), as BIND, Knot and other servers accept them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
import dns.update
from attrs import evolve, field, frozen
from dns.rdtypes.ANY.TXT import TXT

from certcore.errors import ZoneWriteError
from certcore.messages import Message
from certcore.model.secret import Secret
from certcore.net.deadline import deadline
from certcore.net.failures import UNREACHABLE, failure
from certcore.ports.zone_writers import CnameChange, CnameOutcome, HostedName, TxtChange, ZoneServer
from certcore_puq_acme.techzone.tsig import TSIG_ALGORITHMS, tsig_secret

__all__ = ["Rfc2136Writer"]

#: The longest character-string of a TXT record (RFC 1035 section 3.3.14), in bytes.
_LONGEST_STRING: Final = 255
#: The most records in one message. Even with the longest names and values, the message is far below 64 KiB.
_PER_MESSAGE: Final = 100

#: The reason and the advice, by response code. {key} is the key's name, and {kind} a record type.
_REFUSALS: Final[Mapping[int, tuple[Message, Message]]] = MappingProxyType(
    {
        dns.rcode.REFUSED: (
            Message("puq_acme.rfc2136.refused", "refuses the update (REFUSED)"),
            Message(
                "puq_acme.rfc2136.refused.advice",
                "Permit the key {key} to change {kind} records in this zone: `update-policy` at BIND, `acl` at Knot.",
            ),
        ),
        dns.rcode.NOTAUTH: (
            Message("puq_acme.rfc2136.notauth", "is not a primary of this zone (NOTAUTH)"),
            Message(
                "puq_acme.rfc2136.notauth.advice",
                "Use the primary server of the zone, and that server's name for the zone.",
            ),
        ),
        dns.rcode.NOTZONE: (
            Message("puq_acme.rfc2136.notzone", "says that the names are not in the zone (NOTZONE)"),
            Message("puq_acme.rfc2136.notzone.advice", "Name the zone at the server that the tech zone lies in."),
        ),
        dns.rcode.NOTIMP: (
            Message("puq_acme.rfc2136.notimp", "does not accept dynamic updates (NOTIMP)"),
            Message(
                "puq_acme.rfc2136.notimp.advice", "Switch dynamic updates on for this zone, or choose another writer."
            ),
        ),
        dns.rcode.SERVFAIL: (
            Message("puq_acme.rfc2136.servfail", "failed (SERVFAIL)"),
            Message(
                "puq_acme.rfc2136.servfail.advice",
                "Look at the server's log; often it cannot write the zone's file or journal.",
            ),
        ),
    }
)
_BAD_KEY: Final = (
    Message("puq_acme.rfc2136.badkey", "does not know the key, or does not permit it this (BADKEY)"),
    Message(
        "puq_acme.rfc2136.badkey.advice",
        (
            "Name the key {key} at the server exactly so, with the same algorithm, and permit it "
            "{kind} records of this zone."
        ),
    ),
)
_BAD_SIGNATURE: Final = (
    Message("puq_acme.rfc2136.badsig", "refuses the signature (BADSIG)"),
    Message("puq_acme.rfc2136.badsig.advice", "Set the TSIG secret of the key {key} again: it is not the server's."),
)
_BAD_TIME: Final = (
    Message("puq_acme.rfc2136.badtime", "has another time than this machine (BADTIME)"),
    Message("puq_acme.rfc2136.badtime.advice", "Set both clocks: TSIG permits a difference of five minutes."),
)
_REACH: Final = Message(
    "puq_acme.rfc2136.reach.advice",
    "Check that the server runs, and that it can be reached on TCP at this address and port.",
)
_LOG: Final = Message("puq_acme.rfc2136.log.advice", "Look at the server's log.")
_NO_ANSWER: Final = (
    Message("puq_acme.rfc2136.no_answer", "sent no usable answer"),
    Message("puq_acme.rfc2136.no_answer.advice", "Check that this is the right server and port."),
)
_FOREIGN: Final = (
    Message("puq_acme.rfc2136.not_signed", "sent an answer that is not signed with the key"),
    Message(
        "puq_acme.rfc2136.not_signed.advice",
        "Check that this is the right server, and that the TSIG secret of the key {key} is the server's.",
    ),
)

#: The reason and the advice, by the error in the answer's TSIG record (RFC 8945 section 5.2).
_TSIG_ERRORS: Final[Mapping[int, tuple[Message, Message]]] = MappingProxyType(
    {dns.rcode.BADSIG: _BAD_SIGNATURE, dns.rcode.BADKEY: _BAD_KEY, dns.rcode.BADTIME: _BAD_TIME}
)


@frozen(kw_only=True)
class Rfc2136Writer:
    """Sends signed updates over TCP; implements `certcore.ports.zone_writers.ZoneWriter` and `WritesCnames`.

    Values are added and removed one by one (RFC 2136 sections 2.5.1 and 2.5.4), so the values of others are kept.
    """

    #: The zone's primary server.
    server: ZoneServer
    #: The key's name in the server's configuration.
    key_name: str
    key: Secret = field(repr=False)
    #: One of `TSIG_ALGORITHMS`.
    algorithm: str = TSIG_ALGORITHMS[0]
    #: The timeout for one message and its answer, in seconds.
    timeout: float = 10.0
    name: str = "rfc2136"
    one_at_a_time: bool = False

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
        """See `certcore.ports.zone_writers.ZoneWriter.write`.

        Raises:
            ZoneWriteError: The server cannot be reached, or refuses.
        """
        records = _records(changes)
        while batch := list(islice(records, _PER_MESSAGE)):
            self._update(zone, batch, ttl)

    def servers(self, zone: str) -> Sequence[ZoneServer]:
        """The server that is written to."""
        del zone
        return (self.server,)

    def look_up(self, name: str) -> HostedName | None:
        """See `certcore.ports.zone_writers.WritesCnames.look_up`.

        Raises:
            ZoneWriteError: The server cannot be reached.
        """
        absolute = dns.name.from_text(name)
        answer = self._ask(name, dns.rdatatype.CNAME)
        if not _is_authoritative(answer):
            return None  # refused, or delegated to other servers
        target = _cname_in(answer, absolute)
        # A negative answer has the SOA of its zone (RFC 2308 section 2). If the name has a CNAME, ask for names above.
        ancestor = absolute
        while (apex := _apex_in(answer)) is None:
            ancestor = ancestor.parent()
            if ancestor == dns.name.root:
                return None
            answer = self._ask(ancestor.to_text(omit_final_dot=True), dns.rdatatype.SOA)
            if not _is_authoritative(answer):
                return None
        return HostedName(zone=apex, target=target)

    def set_cname(self, zone: str, name: str, target: str, *, ttl: int) -> CnameChange:
        """See `certcore.ports.zone_writers.WritesCnames.set_cname`. The server checks and sets in one step.

        Raises:
            ZoneWriteError: The server cannot be reached, or refuses.
        """
        message = self._message(zone)
        message.absent(dns.name.from_text(name))  # "Name Is Not In Use" (RFC 2136 section 2.4.5)
        message.add(dns.name.from_text(name), ttl, _cname(target))
        code = self._send(zone, message, "CNAME", also=dns.rcode.YXDOMAIN)
        if code == dns.rcode.NOERROR:
            return CnameChange(outcome=CnameOutcome.SET)
        there = _cname_in(self._ask(name, dns.rdatatype.CNAME), dns.name.from_text(name))
        if there == target:
            return CnameChange(outcome=CnameOutcome.PRESENT)
        return CnameChange(outcome=CnameOutcome.OCCUPIED, seen=f"CNAME {there}" if there else "")

    def remove_cname(self, zone: str, name: str, target: str) -> None:
        """See `certcore.ports.zone_writers.WritesCnames.remove_cname`; the record is removed by its value.

        Raises:
            ZoneWriteError: The server cannot be reached, or refuses.
        """
        message = self._message(zone)
        message.delete(dns.name.from_text(name), _cname(target))
        self._send(zone, message, "CNAME")

    def _update(self, zone: str, records: Sequence[tuple[str, TXT, bool]], ttl: int) -> None:
        message = self._message(zone)
        for name, value, is_wanted in records:
            absolute = dns.name.from_text(name)
            if is_wanted:
                message.add(absolute, ttl, value)
            else:
                message.delete(absolute, value)
        self._send(zone, message, "TXT")

    def _message(self, zone: str) -> dns.update.UpdateMessage:
        key = dns.tsig.Key(self.key_name, self._secret(zone), self.algorithm)
        return dns.update.UpdateMessage(dns.name.from_text(zone), keyring=key)

    def _send(
        self, zone: str, message: dns.update.UpdateMessage, kind: str, *, also: dns.rcode.Rcode = dns.rcode.NOERROR
    ) -> dns.rcode.Rcode:
        """Send an update; returns the server's response code, which is NOERROR or the other expected code."""
        wire = message.to_wire()
        try:
            data = self._exchange(wire)
            # Servers sign only few refusals, so the signature of a refusal is not required.
            reply = dns.message.from_wire(data, keyring=False)
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise self._refused(zone, _no_answer(error, self.timeout)) from None
        if reply.id != message.id:
            raise self._refused(zone, _NO_ANSWER)
        if reply.tsig_error:
            raise self._refused(zone, _TSIG_ERRORS.get(reply.tsig_error, _FOREIGN), kind)
        code = reply.rcode()
        if code not in (dns.rcode.NOERROR, also):
            params = {"code": dns.rcode.to_text(code)}
            other = Message("puq_acme.rfc2136.refused_with", "refuses the update ({code})", params)
            raise self._refused(zone, _REFUSALS.get(code, (other, _LOG)), kind)
        try:
            signed = dns.message.from_wire(data, keyring=message.keyring, request_mac=message.mac)
        except dns.tsig.BadTime:
            raise self._refused(zone, _BAD_TIME) from None
        except dns.exception.DNSException:
            raise self._refused(zone, _FOREIGN) from None
        if not signed.had_tsig:
            raise self._refused(zone, _FOREIGN)
        return code

    def _ask(self, name: str, rdtype: dns.rdatatype.RdataType) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, flags=0)
        try:
            answer = dns.message.from_wire(self._exchange(query.to_wire()))
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise self._refused(name, _no_answer(error, self.timeout)) from None
        if answer.id != query.id:
            raise self._refused(name, _NO_ANSWER)
        return answer

    def _exchange(self, message: bytes) -> bytes:
        """Send a message over TCP and read the reply (RFC 1035 section 4.2.2)."""
        address = (self.server.address, self.server.port)
        with deadline(self.timeout) as limit, socket.create_connection(address, self.timeout) as connection:
            limit.watch(connection)
            try:
                connection.sendall(len(message).to_bytes(2, "big") + message)
                length = int.from_bytes(_read(connection, 2), "big")
                return _read(connection, length)
            except (OSError, EOFError):
                if limit.passed:
                    raise TimeoutError from None
                raise

    def _secret(self, zone: str) -> bytes:
        secret = tsig_secret(self.key)
        if secret is None:
            raise self._refused(
                zone,
                (
                    Message("puq_acme.rfc2136.no_secret", "needs a TSIG secret in base64"),
                    Message("puq_acme.rfc2136.no_secret.advice", "Set the TSIG secret of the key {key} again."),
                ),
            )
        return secret

    def _refused(self, zone: str, words: tuple[Message, Message], kind: str = "TXT") -> ZoneWriteError:
        reason, advice = words
        advice = evolve(advice, params={"key": self.key_name, "kind": kind})
        return ZoneWriteError(str(self.server), zone, reason, advice=advice)


def _read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _no_answer(error: Exception, seconds: float) -> tuple[Message, Message]:
    match error:
        case TimeoutError() | ConnectionRefusedError():
            return failure(error, seconds=seconds).clause_text, _REACH
        case OSError():
            return UNREACHABLE, _REACH
    return _NO_ANSWER


def _records(changes: Sequence[TxtChange]) -> Iterator[tuple[str, TXT, bool]]:
    """The records to change: name, data, and whether to add (True) or remove it. Additions come first."""
    for change in changes:
        for value in change.values:
            yield change.name, _txt(value), True
    for change in changes:
        for value in change.withdrawn:
            yield change.name, _txt(value), False


def _is_authoritative(answer: dns.message.Message) -> bool:
    is_answer = answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    return is_answer and bool(answer.flags & dns.flags.AA)


def _cname_in(answer: dns.message.Message, name: dns.name.Name) -> str:
    """The target of the CNAME at a name; empty if the answer has no CNAME."""
    for rrset in answer.answer:
        if rrset.name == name and rrset.rdtype == dns.rdatatype.CNAME:
            return str(rrset[0].target.to_text(omit_final_dot=True)).lower()
    return ""


def _apex_in(answer: dns.message.Message) -> str | None:
    """The zone whose SOA is in an answer; None if the answer has a CNAME, because its SOA may be of another zone."""
    for rrset in (*answer.answer, *answer.authority):
        if rrset.rdtype == dns.rdatatype.CNAME:
            return None
        if rrset.rdtype == dns.rdatatype.SOA:
            return rrset.name.to_text(omit_final_dot=True).lower()
    return None


def _cname(target: str) -> dns.rdata.Rdata:
    return dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.CNAME, f"{target}.")


def _txt(value: str) -> TXT:
    data = value.encode("utf-8")
    strings = [data[start : start + _LONGEST_STRING] for start in range(0, len(data), _LONGEST_STRING)] or [b""]
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, strings)
