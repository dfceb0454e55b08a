"""The interface of zone writers, which write TXT values of a tech zone to an existing DNS server.

certcore keeps a ledger of the TXT values that should be in the zone. A writer keeps no state: certcore calls it again
until the server has the values of the ledger. At most one process calls a writer about a name at the same time, unless
a process was paused for longer than a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, runtime_checkable

from attrs import frozen

__all__ = [
    "MOST_CHANGES",
    "CnameChange",
    "CnameOutcome",
    "HostedName",
    "TxtChange",
    "WritesCnames",
    "ZoneServer",
    "ZoneWriter",
]

#: The largest number of names in one call of `ZoneWriter.write`.
MOST_CHANGES = 100


@frozen(kw_only=True)
class TxtChange:
    """The TXT values that certcore wants at one name."""

    #: The name as A-labels in lower case, without a trailing dot. It is in the zone, below the apex.
    name: str
    #: All values of certcore that must exist afterwards, sorted, each printable ASCII. Some may exist already.
    values: tuple[str, ...] = ()
    #: Values of certcore that must not exist afterwards, sorted. Some may already be gone.
    withdrawn: tuple[str, ...] = ()


@frozen
class ZoneServer:
    """The address and port of a name server."""

    #: Its IP address.
    address: str
    port: int = 53

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return host if self.port == 53 else f"{host}:{self.port}"  # noqa: PLR2004 - the port of DNS


@runtime_checkable
class ZoneWriter(Protocol):
    """Writes TXT values to the zones of a DNS server.

    MUST be thread-safe, and MUST NOT share connections between processes after a fork, see `certcore.forks`.
    `certcore.testing.conformance` has a suite for writers: run it on a `certcore.testing.WrittenZone`.
    """

    @property
    def name(self) -> str:
        """The name in CA profiles: lower-case letters, digits and underscores."""
        ...

    @property
    def one_at_a_time(self) -> bool:
        """Whether calls must not run concurrently in any process, not even for different names."""
        ...

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
        """Set the TXT values of some names, and return when the server has confirmed the change.

        MUST be harmless when done twice, even after a call that failed in the middle or got no answer. MUST NOT change
        other names or other types. A name outside the zone, or a value that cannot be written unchanged, MUST be
        refused.

        If the server can add and remove single values, add ``values``, remove ``withdrawn``, and keep other values. If
        it can only replace all TXT values of a name, replace them by ``values``; MUST NOT read the values on the server
        to decide what to write.

        SHOULD send all changes in one request. MUST end within a minute, and MUST NOT sleep or retry: certcore retries
        after a pause.

        Args:
            zone: The zone that contains all names, in the same form as the names.
            changes: At most `MOST_CHANGES` changes, each for another name.
            ttl: The TTL of the records, in seconds.

        Raises:
            ZoneWriteError: The server could not be reached or refused. Some of the changes may have been made. The
                error names the server, the reason and the remedy, and contains no secrets.
        """
        ...

    def servers(self, zone: str) -> Sequence[ZoneServer]:
        """The name servers that must publish a value before the CA is asked to validate it.

        MUST NOT use the network.

        Args:
            zone: The zone, as in `write`.

        Returns:
            The servers that the writer knows; empty if it knows none.
        """
        ...


@frozen(kw_only=True)
class HostedName:
    """The zone of a name on the server, and the CNAME at the name."""

    #: The zone, in the same form as the name.
    zone: str
    #: The target of the CNAME at the name, in the same form; empty if there is no CNAME.
    target: str = ""


class CnameOutcome(StrEnum):
    """The outcome of setting a CNAME."""

    #: The CNAME was set; the name had no records.
    SET = "set"
    #: The same CNAME existed already.
    PRESENT = "present"
    #: The name has other records. Nothing was changed.
    OCCUPIED = "occupied"


@frozen(kw_only=True)
class CnameChange:
    """The result of `WritesCnames.set_cname`."""

    outcome: CnameOutcome
    #: The other record at the name, for messages, for example ``CNAME elsewhere.example``; may be empty.
    seen: str = ""


@runtime_checkable
class WritesCnames(ZoneWriter, Protocol):
    """A `ZoneWriter` whose server also has the owners' zones, and which can set the CNAMEs of their domains.

    certcore records which CNAMEs it has set. Records of other origin MUST NOT be replaced or removed.
    """

    def look_up(self, name: str) -> HostedName | None:
        """Find the server's zone for a name, and the CNAME at the name.

        Args:
            name: A name in the form of `TxtChange.name`.

        Returns:
            The longest matching zone with the CNAME; None if the server has no zone for the name, or delegates the name
            to other servers.

        Raises:
            ZoneWriteError: The server could not be reached.
        """
        ...

    def set_cname(self, zone: str, name: str, target: str, *, ttl: int) -> CnameChange:
        """Set a CNAME at a name without records, and return when the server has confirmed the change.

        MUST be harmless when done twice. SHOULD let the server check and set atomically.

        Args:
            zone: The zone that `look_up` returned.
            name: The name, in the same form.
            target: The target of the CNAME, in the same form.
            ttl: The TTL of the record, in seconds.

        Raises:
            ZoneWriteError: The server could not be reached or refused. The record may have been set.
        """
        ...

    def remove_cname(self, zone: str, name: str, target: str) -> None:
        """Remove a CNAME, and no other record. MUST be harmless if the CNAME does not exist.

        Args:
            zone: As in `set_cname`.
            name: As in `set_cname`.
            target: As in `set_cname`.

        Raises:
            ZoneWriteError: The server could not be reached or refused. The record may have been removed.
        """
        ...
