"""Zones that a module's own authoritative DNS server serves (RFC 1034 section 4.3.1)."""

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
    """A name server of somebody else's that serves a copy of a zone: it is notified, and may transfer the zone."""

    address: str
    #: Where it listens.
    port: int = 53
    #: The name of the key that it signs with (RFC 8945); empty when its address is enough.
    key: str = ""


@frozen(kw_only=True)
class Zone:
    """A zone that is served with authority."""

    #: The zone's name, A-labels in lower case, without a trailing dot.
    apex: str
    #: The host names of the zone's name servers, in the form of ``apex``.
    nameservers: tuple[str, ...]
    #: The addresses of those name servers that lie inside the zone itself, by host name: their A and AAAA records.
    addresses: Mapping[str, tuple[str, ...]] = field(factory=dict, hash=False)
    #: Seconds that an answer may be kept.
    ttl: int = 30
    #: Seconds that the zone's NS records and the addresses of its name servers may be kept; None for ``ttl``.
    apex_ttl: int | None = None
    #: Seconds that "there is no such name" may be kept: the TTL of the SOA record (RFC 2308 section 5).
    negative_ttl: int = 5
    #: The mailbox of the zone's maintainer as a domain name (RNAME, RFC 1035 section 3.3.13); empty for
    #: ``hostmaster.<apex>``.
    mailbox: str = ""
    #: Who may transfer the zone.
    secondaries: tuple[SecondaryServer, ...] = ()


class ZoneSource(Protocol):
    """Where a DNS server finds zones and records. MUST be thread-safe and SHOULD answer within milliseconds."""

    def zones(self) -> Sequence[Zone]:
        """The zones as they are now."""
        ...

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The records at a name: type to values, for example ``{"TXT": ["abc"]}``.

        A TXT value is the text itself, without quotes or escapes; others are in presentation form.

        ``name`` is in lower case without a trailing dot, at or below the apex. Empty: the name has no records.
        """
        ...

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether records exist below a name that has none itself (an empty non-terminal, RFC 8020: no NXDOMAIN)."""
        ...


@runtime_checkable
class HasSerial(Protocol):
    """A zone source that counts its changes."""

    def serial(self) -> int | None:
        """The serial of its zones (RFC 1982); None for the time in seconds since 1970."""
        ...


@runtime_checkable
class ListsRecords(Protocol):
    """A zone source whose zones can be transferred."""

    def all_records(self, zone: Zone) -> Iterator[tuple[str, Mapping[str, Sequence[str]]]]:
        """Every name at or below the apex that has records, with them, as `ZoneSource.records` gives them."""
        ...


class RecalledRecords(Protocol):
    """What a zone source knows at a moment without asking its store. It MUST answer within microseconds."""

    @property
    def serial(self) -> int | None:
        """As `HasSerial.serial`."""
        ...

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]] | None:
        """As `ZoneSource.records`; None where the store has to be asked.

        A mapping that was returned MUST NOT change: as long as the same object is returned, answers made from it stand.
        """
        ...

    def has_names_below(self, zone: Zone, name: str) -> bool | None:
        """As `ZoneSource.has_names_below`; None where the store has to be asked."""
        ...


@runtime_checkable
class RecallsRecords(Protocol):
    """A zone source that remembers what it has read."""

    def recall(self) -> RecalledRecords | None:
        """What it knows now; None when its store has to be asked first. It MUST answer within microseconds."""
        ...


class DnsServer(Protocol):
    """A running authoritative DNS server."""

    @property
    def address(self) -> tuple[str, int]:
        """The address and port that it listens on, UDP and TCP."""
        ...

    def close(self) -> None:
        """Stop serving and join its threads. MAY be called twice."""
        ...


@runtime_checkable
class ServesZones(Protocol):
    """A CA module that brings its own authoritative DNS server."""

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
            listen: Address and port; port 0 takes a free one.
            documents: The module's own store, where the records are.
            environment: Clock, ID generator and random source.
            profiles: Asked from time to time, so that the zone of a new profile is served without a restart.
            also: Further zones to serve from the same address.
            before_serving: MUST be called once, when the address is taken and before ``documents`` or ``profiles`` are
                used: privileges are given up there, and the store is opened. What it raises MUST be raised.
            transfer_keys: The keys that secondaries of the zones sign with. A module that has no use for them MAY leave
                the parameter out: then nobody can give it any.

        Raises:
            CertCoreError: The address cannot be listened on; the message says why.
        """
        ...
