"""Writers of TXT values: how a tech zone is kept on a DNS server that somebody else runs.

What should be in the zone is certcore's own ledger, in the store. A writer only carries it to a server: it remembers
nothing, and certcore calls it again until the server has what the ledger says. At any moment at most one call of all
processes is about a name, unless a process was paused for longer than a minute.
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

#: The most names that one call of `ZoneWriter.write` is about.
MOST_CHANGES = 100


@frozen(kw_only=True)
class TxtChange:
    """The TXT values of one name."""

    #: The name, A-labels in lower case, without a trailing dot. It lies in the zone, below its apex.
    name: str
    #: All of our values that are to be there afterwards, sorted; each is printable ASCII. Some may be there already.
    values: tuple[str, ...] = ()
    #: Values of ours that are not to be there afterwards, sorted. Some may be gone already.
    withdrawn: tuple[str, ...] = ()


@frozen
class ZoneServer:
    """A name server by address and port."""

    address: str
    port: int = 53

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return host if self.port == 53 else f"{host}:{self.port}"  # noqa: PLR2004 - the port of DNS


@runtime_checkable
class ZoneWriter(Protocol):
    """Writes TXT values into one zone of a DNS server. MUST be thread-safe, and its process's own after a fork.

    `certcore.testing.conformance` has a suite that a writer passes: run it on a `certcore.testing.WrittenZone`.
    """

    @property
    def name(self) -> str:
        """What a CA profile names it by: lower-case letters, digits and underscores."""
        ...

    @property
    def one_at_a_time(self) -> bool:
        """Whether calls about different names must not run at the same time, in any process: the server fails then."""
        ...

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
        """Make the values of some names what they are to be, and return when the server has confirmed it.

        MUST be harmless when done twice, also after a call that failed in the middle or that was never answered.
        MUST change nothing but TXT values at the names that are given: no other type and no other name; a name that is
        not in the zone MUST be refused, and a value that cannot be written as it is, too. Where the
        server adds and removes single values, ``values`` are added and ``withdrawn`` are removed, and other values
        SHOULD stay. Where it only replaces all TXT values of a name, they are replaced by ``values``; what the server
        has MUST NOT be read to find out what to write. SHOULD send all changes together. MUST end within a minute,
        and MUST NOT sleep or try again: certcore does, after a pause.

        Args:
            zone: The zone that all the names lie in, in the form of the names.
            changes: At most `MOST_CHANGES`, each about another name.
            ttl: Seconds that an answer may be kept.

        Raises:
            ZoneWriteError: The server could not be asked, or refused: which server, why, and what to do, without
                secrets. Some of the changes may have been made.
        """
        ...

    def servers(self, zone: str) -> Sequence[ZoneServer]:
        """The name servers that have to show a value before the CA is told that it is there.

        Those that the writer knows of; empty when it knows none. MUST NOT touch the network.

        Args:
            zone: The zone, as in `write`.
        """
        ...


@frozen(kw_only=True)
class HostedName:
    """A name in a zone of the server."""

    #: In the form of the name.
    zone: str
    #: Where the CNAME at the name points, in the same form; empty when there is none.
    target: str = ""


class CnameOutcome(StrEnum):
    """What came of setting a CNAME."""

    #: This call has set it; nothing was at the name.
    SET = "set"
    #: It was there already.
    PRESENT = "present"
    #: Something else is at the name. Nothing was changed.
    OCCUPIED = "occupied"


@frozen(kw_only=True)
class CnameChange:
    """The result of `WritesCnames.set_cname`."""

    outcome: CnameOutcome
    #: What is at the name instead, for a person: ``CNAME elsewhere.example``; may be empty.
    seen: str = ""


@runtime_checkable
class WritesCnames(ZoneWriter, Protocol):
    """A `ZoneWriter` with a power: its server has the owners' zones, too, and it sets the CNAMEs of their domains.

    certcore's ledger says which CNAMEs it has set. A record of anybody else MUST NOT be replaced or removed.
    """

    def look_up(self, name: str) -> HostedName | None:
        """The zone of the server that a record at a name belongs to, and the CNAME that is there.

        Args:
            name: A name as in `TxtChange`.

        Returns:
            None when the server has no zone that the name lies in, or delegates the name to other servers. Of several
            zones the longest.

        Raises:
            ZoneWriteError: The server could not be asked.
        """
        ...

    def set_cname(self, zone: str, name: str, target: str, *, ttl: int) -> CnameChange:
        """Set a CNAME where no record of any type is, and return when the server has confirmed it.

        MUST be harmless when done twice. SHOULD leave it to the server to look and set in one step.

        Args:
            zone: From `look_up`.
            name: The name, in the form of the zone.
            target: The name that it is to point to, in the same form.
            ttl: Seconds that an answer may be kept.

        Raises:
            ZoneWriteError: The server could not be asked, or refused. The record may have been set.
        """
        ...

    def remove_cname(self, zone: str, name: str, target: str) -> None:
        """Remove this CNAME, and no other record; harmless when it is gone.

        Args:
            zone: As in `set_cname`.
            name: As in `set_cname`.
            target: As in `set_cname`.

        Raises:
            ZoneWriteError: The server could not be asked, or refused. The record may have been removed.
        """
        ...
