"""A setup for zone writers whose server answers DNS queries."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.TXT
from attrs import frozen

from certcore.errors import InvalidInputError
from certcore.ports.zone_writers import WritesCnames, ZoneServer, ZoneWriter
from certcore.testing.conformance.zone_writers.setup import WrittenZone

__all__ = ["seen_by_dns"]

#: The timeout of a query, in seconds.
_TIMEOUT: Final = 10.0


def seen_by_dns(writer: ZoneWriter, zone: str, servers: Sequence[ZoneServer] = ()) -> WrittenZone:
    """Make a setup that reads the zone with DNS queries (over TCP) to its name server.

    Args:
        writer: The writer.
        zone: The zone. It may be in use, see `WrittenZone`.
        servers: The name servers, of which the first is queried; empty for those of the writer.

    Raises:
        InvalidInputError: There is no server to query, or it is not authoritative for the zone.
    """
    known = tuple(servers) or tuple(writer.servers(zone))
    if not known:
        raise InvalidInputError("server", "the writer names no server.", advice="Give the address of a name server.")
    apex = zone.rstrip(".").lower()
    view = _ServerView(known[0])
    reply = view.ask(apex, "SOA")
    if not reply.flags & dns.flags.AA or not reply.answer:
        raise InvalidInputError("zone", f"{known[0]} does not answer for the zone {apex} with authority.")
    sets_cnames = isinstance(writer, WritesCnames)
    return WrittenZone(
        writer=writer, zone=apex, values=view.values, has=view.has, cname=view.cname if sets_cnames else None
    )


@frozen
class _ServerView:
    """The records that one name server publishes."""

    server: ZoneServer

    def ask(self, name: str, rdtype: str) -> dns.message.Message:
        """The answer to one query.

        Raises:
            InvalidInputError: The server does not answer.
        """
        query = dns.message.make_query(name, rdtype, flags=0)
        try:
            return dns.query.tcp(query, self.server.address, port=self.server.port, timeout=_TIMEOUT)
        except (OSError, EOFError, ValueError, dns.exception.DNSException) as error:
            reason = f"{self.server} does not answer DNS queries over TCP ({type(error).__name__})."
            raise InvalidInputError("server", reason) from None

    def values(self, name: str) -> Collection[str]:
        """The TXT values at a name."""
        return [
            b"".join(record.strings).decode("ascii", "backslashreplace")
            for rrset in self.ask(name, "TXT").answer
            for record in rrset
            if isinstance(record, dns.rdtypes.ANY.TXT.TXT)
        ]

    def has(self, name: str, rdtype: str) -> bool:
        """Whether a name has a record of a type."""
        return any(rrset.rdtype == dns.rdatatype.from_text(rdtype) for rrset in self.ask(name, rdtype).answer)

    def cname(self, name: str) -> str:
        """The target of the CNAME at a name."""
        for rrset in self.ask(name, "CNAME").answer:
            for record in rrset:
                if isinstance(record, dns.rdtypes.ANY.CNAME.CNAME):
                    return record.target.to_text(omit_final_dot=True).lower()
        return ""
