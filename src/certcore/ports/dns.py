"""The interfaces of a CA module's own authoritative DNS server (RFC 1034 section 4.3.1)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from attrs import field, frozen

from certcore.model.transfer_keys import TransferKey
from certcore.ports.ca_module import Documents
from certcore.ports.environment import Environment

__all__ = [
    "DnsServer",
    "HasSerial",
    "ListsRecords",
    "RecalledRecords",
    "RecallsRecords",
    "SecondaryServer",
    "ServesZones",
    "Zone",
    "ZoneSource",
]


@frozen(kw_only=True)
class SecondaryServer:
    """Another name server that serves a copy of a zone. It gets NOTIFY messages and may transfer the zone."""

    #: Its IP address.
    address: str
    #: The port on which it listens.
    port: int = 53
    #: The name of the TSIG key with which it signs (RFC 8945); empty to identify it by its address alone.
    key: str = ""


@frozen(kw_only=True)
class Zone:
    """A zone for which the server is authoritative."""

    #: The zone's name, A-labels in lower case, without a trailing dot.
    apex: str
    #: The host names of the zone's name servers, in the form of ``apex``.
    nameservers: tuple[str, ...]
    #: The addresses of the name servers inside the zone, by host name: their A and AAAA records.
    addresses: Mapping[str, tuple[str, ...]] = field(factory=dict, hash=False)
    #: The TTL of records, in seconds.
    ttl: int = 30
    #: The TTL of the zone's NS records and of its name servers' addresses, in seconds; None for ``ttl``.
    apex_ttl: int | None = None
    #: How many seconds resolvers may cache that a name does not exist: the TTL of the SOA record (RFC 2308 section 5).
    negative_ttl: int = 5
    #: The mailbox of the zone's maintainer as a domain name (RNAME, RFC 1035 section 3.3.13); empty for
    #: ``hostmaster.<apex>``.
    mailbox: str = ""
    #: The servers that may transfer the zone.
    secondaries: tuple[SecondaryServer, ...] = ()


class ZoneSource(Protocol):
    """The zones and records of a DNS server. MUST be thread-safe, and SHOULD answer within milliseconds."""

    def zones(self) -> Sequence[Zone]:
        """The current zones."""
        ...

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The records at a name.

        Args:
            zone: One of `zones`.
            name: The name in lower case without a trailing dot, at or below the apex.

        Returns:
            The values by type, for example ``{"TXT": ["abc"]}``; empty if the name has no records. A TXT value is the
            plain text, without quotes or escapes; other values are in presentation format.
        """
        ...

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether records exist below a name without records (an empty non-terminal, RFC 8020)."""
        ...


@runtime_checkable
class HasSerial(Protocol):
    """A zone source that counts its changes."""

    def serial(self) -> int | None:
        """The serial number of its zones (RFC 1982); None to use the time in seconds since 1970."""
        ...


@runtime_checkable
class ListsRecords(Protocol):
    """A zone source whose zones can be transferred."""

    def all_records(self, zone: Zone) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
        """Every name at or below the apex that has records, with its records as in `ZoneSource.records`."""
        ...


class RecalledRecords(Protocol):
    """The records that a zone source has in memory. MUST answer within microseconds, without asking a store."""

    @property
    def serial(self) -> int | None:
        """As `HasSerial.serial`."""
        ...

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]] | None:
        """As `ZoneSource.records`; None if the store must be asked.

        A returned mapping MUST NOT change. As long as the same object is returned, the server reuses the answers that
        it made from it.
        """
        ...

    def has_names_below(self, zone: Zone, name: str) -> bool | None:
        """As `ZoneSource.has_names_below`; None if the store must be asked."""
        ...


@runtime_checkable
class RecallsRecords(Protocol):
    """A zone source that keeps records in memory."""

    def recall(self) -> RecalledRecords | None:
        """The records in memory; None if the store must be asked. MUST answer within microseconds."""
        ...


class DnsServer(Protocol):
    """A running authoritative DNS server."""

    @property
    def address(self) -> tuple[str, int]:
        """The address and port on which it listens, UDP and TCP."""
        ...

    def close(self) -> None:
        """Stop the server and join its threads. MAY be called twice."""
        ...


@runtime_checkable
class ServesZones(Protocol):
    """A CA module that has its own authoritative DNS server."""

    @abstractmethod
    def dns_server(
        self,
        *,
        listen: tuple[str, int],
        documents: Documents,
        environment: Environment,
        profiles: Callable[[], Sequence[Any]],
        also: Sequence[ZoneSource] = (),
        before_serving: Callable[[], object] | None = None,
        transfer_keys: Sequence[TransferKey] = (),
    ) -> DnsServer:
        """Start a server for the zones of all given profiles.

        Args:
            listen: Address and port; port 0 chooses a free port.
            documents: The module's store, which contains the records.
            environment: Clock, ID generator and random source.
            profiles: Returns the settings of the module's CA profiles. It is called regularly, so that the zone of a
                new CA profile is served without a restart.
            also: Additional zones to serve on the same address.
            before_serving: MUST be called once, after the address is bound and before ``documents`` or ``profiles`` is
                used. It drops privileges and opens the store. Its exceptions MUST be passed on.
            transfer_keys: The TSIG keys of the zones' secondaries (RFC 8945). A module without zone transfers MAY leave
                the parameter out.

        Raises:
            CertCoreError: The server cannot listen on the address; the message says why.
        """
        ...
