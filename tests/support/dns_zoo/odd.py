"""A DNS server with faults that no real one shows on demand: hosts that flatten, or answer with values of their own.

Everything that a set-up does not ask for is answered as dnspython's zone has it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from enum import StrEnum

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
from attrs import define, field, frozen

__all__ = ["ODD_ADDRESS", "OddServer", "OddZone", "Quirk"]

ODD_ADDRESS = "192.0.2.71"


class Quirk(StrEnum):
    """What is odd about a zone."""

    #: Questions for CAA are answered SERVFAIL, or not at all.
    CAA_SERVFAIL = "caa_servfail"
    CAA_SILENT = "caa_silent"
    #: The CNAME is hidden: questions for TXT get the values that are at its target.
    FLATTENS = "flattens"
    #: The CNAME is shown to who asks for it; questions for TXT get values of the host's own.
    OWN_TXT = "own_txt"
    #: TXT records stand beside the CNAME, and both are shown.
    BESIDE = "beside"
    #: The first of two sendings of the same question is not answered.
    LOSES = "loses"
    #: It is so old that it knows no EDNS: a query with it is not understood (RFC 6891 section 7).
    NO_EDNS = "no_edns"


@frozen
class OddZone:
    """A zone and what is odd about it."""

    zone: dns.zone.Zone
    quirk: Quirk
    #: Values of the quirk.
    values: tuple[str, ...] = ()


@define(eq=False)
class OddServer:
    """Serves odd zones on UDP at `ODD_ADDRESS`, port 53, until `close`."""

    zones: Mapping[dns.name.Name, OddZone]
    _socket: socket.socket = field(init=False)
    #: Questions of which the last sending was not answered, with who asked.
    _lost: set[tuple[object, ...]] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((ODD_ADDRESS, 53))
        threading.Thread(target=self._serve, name="odd-dns", daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                packet, client = self._socket.recvfrom(4096)
            except OSError:  # closed
                return
            try:
                answer = self._answer(dns.message.from_wire(packet), client[0])
            except dns.exception.DNSException:
                continue
            if answer is not None:
                self._socket.sendto(answer.to_wire(), client)

    def _answer(self, query: dns.message.Message, client: str) -> dns.message.Message | None:
        question = query.question[0]
        answer = dns.message.make_response(query)
        odd = next((self.zones[name] for name in _upwards(question.name) if name in self.zones), None)
        if odd is None:
            answer.set_rcode(dns.rcode.REFUSED)
            return answer
        if odd.quirk is Quirk.NO_EDNS and query.edns >= 0:
            answer.use_edns(edns=False)
            answer.set_rcode(dns.rcode.FORMERR)
            return answer
        answer.flags |= dns.flags.AA
        if question.rdtype == dns.rdatatype.CAA and odd.quirk is Quirk.CAA_SILENT:
            return None
        if odd.quirk is Quirk.LOSES:
            sending = (client, question.name, question.rdtype)
            self._lost ^= {sending}
            if sending in self._lost:
                return None
        if question.rdtype == dns.rdatatype.CAA and odd.quirk is Quirk.CAA_SERVFAIL:
            answer.set_rcode(dns.rcode.SERVFAIL)
            return answer
        node = odd.zone.get_node(question.name)
        kind = question.rdtype
        if node is not None and (cname := node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.CNAME)) is not None:
            shows_text = kind == dns.rdatatype.TXT and bool(odd.values)
            if odd.quirk is not Quirk.FLATTENS and not (shows_text and odd.quirk is Quirk.OWN_TXT):
                answer.answer.append(dns.rrset.from_rdata_list(question.name, 5, list(cname)))
            if shows_text:
                values = [f'"{value}"' for value in odd.values]
                answer.answer.append(dns.rrset.from_text(question.name, 5, "IN", "TXT", *values))
        elif node is not None and (rdataset := node.get_rdataset(dns.rdataclass.IN, kind)) is not None:
            answer.answer.append(dns.rrset.from_rdata_list(question.name, 5, list(rdataset)))
        if not answer.answer:
            soa = odd.zone.get_rdataset(odd.zone.origin, dns.rdatatype.SOA)
            answer.authority.append(dns.rrset.from_rdata_list(odd.zone.origin, 5, list(soa)))
            if node is None:
                answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


def _upwards(name: dns.name.Name) -> Iterable[dns.name.Name]:
    while True:
        yield name
        if name == dns.name.root:
            return
        name = name.parent()
