"""Bring the TXT values of a foreign DNS server to the ledger's state: the ledger first, then the server, under a lease.

The ledger (`certcore_puq_acme.techzone.records`) is the truth: which values are to be there, by name and issuance. For
each name there is a second document while a server may have values of ours: which values those are, whether the server
has confirmed that they are all, and who is writing at this moment. It is stored before the server is changed. So the
values to add and to remove are known later, also after a crash.

At most one process writes a name at a time, under a lease in that document; what it writes is read from the ledger when
it has the lease. Others wait, and mostly find their values written when they have waited.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.errors import CertCoreError, LeaseLostError, StaleWriteError, StorageError
from certcore.messages import Message
from certcore.ports.documents import Documents
from certcore.ports.environment import Environment
from certcore.ports.zone_writers import MOST_CHANGES, TxtChange, ZoneServer, ZoneWriter
from certcore_puq_acme.techzone.name_leases import is_leased, stored_moment
from certcore_puq_acme.techzone.records import TechZoneRecords, key_prefix, name_of_key
from certcore_puq_acme.techzone.writer_turns import WriterTurn, WriterTurns

__all__ = ["Publication", "Unwritten"]

_PREFIX: Final = "zone-name/"
_LEFT: Final = "zone-left/"
#: How often a name's lease is asked for in one call, when others are faster.
_TRIES: Final = 3
#: How long the values of a previous server are remembered: the CA profile may return to it.
_FOREIGN_LIFE: Final = timedelta(days=30)


@frozen(kw_only=True)
class Unwritten:
    """Why the server may not have the right values."""

    #: What happened, as a sentence; empty when another process writes at this moment.
    said: str | Message = ""
    #: Advice.
    advice: str | Message = ""

    @property
    def is_busy(self) -> bool:
        """Whether there is no fault: another process is writing these names."""
        return not str(self.said)


@frozen(kw_only=True)
class _OnServer:
    """The values of one server at a name."""

    #: Values of ours that may be there.
    values: frozenset[str] = frozenset()
    #: Whether the server has confirmed that these, and no others of ours, are there.
    confirmed: bool = False
    at: datetime | None = None

    @classmethod
    def read(cls, stored: Any) -> _OnServer:
        known: Mapping[str, Any] = stored if isinstance(stored, Mapping) else {}
        values = known.get("values", ())
        return cls(
            values=frozenset(str(value) for value in values) if isinstance(values, list) else frozenset(),
            confirmed=known.get("confirmed") is True,
            at=stored_moment(known.get("at")),
        )

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"values": sorted(self.values), "confirmed": self.confirmed}
        return plain if self.at is None else {**plain, "at": self.at.isoformat()}


@frozen(kw_only=True)
class _Name:
    """The document of one name."""

    #: By server, as `Publication.target` names it.
    servers: Mapping[str, _OnServer] = field(factory=dict)
    #: The end of the lease of the process that writes.
    leased_until: datetime | None = None
    #: The document's version; 0 when there is none.
    version: int = 0

    @classmethod
    def read(cls, value: Mapping[str, Any], version: int) -> _Name:
        servers = value.get("servers")
        known = servers.items() if isinstance(servers, Mapping) else ()
        return cls(
            servers={str(target): _OnServer.read(stored) for target, stored in known},
            leased_until=stored_moment(value.get("leased_until")),
            version=version,
        )

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = {"servers": {target: server.to_json() for target, server in self.servers.items()}}
        return plain if self.leased_until is None else {**plain, "leased_until": self.leased_until.isoformat()}

    def at(self, target: str) -> _OnServer:
        return self.servers.get(target, _OnServer())

    def with_server(self, target: str, server: _OnServer) -> _Name:
        return evolve(self, servers={**self.servers, target: server})

    def without_old(self, target: str, now: datetime) -> _Name:
        kept = {
            name: server
            for name, server in self.servers.items()
            if name == target or (server.at is not None and abs(now - server.at) < _FOREIGN_LIFE)
        }
        return evolve(self, servers=kept)


class _Outcome(Enum):
    """The result of an attempt to write."""

    WRITTEN = auto()
    #: Another process had the leases first; nothing was done.
    OVERTAKEN = auto()
    #: A lease ran out in the call, and another process has written: the order of the writes is unknown.
    UNCLEAR = auto()


@frozen(kw_only=True, eq=False)
class Publication:
    """The TXT values of a tech zone on a foreign DNS server."""

    documents: Documents
    environment: Environment
    #: The zone at the server; the tech zone, or a zone that the tech zone lies in.
    zone: str
    ttl: int
    #: Names the server in the documents: calls of a writer that is called one at a time are told by it.
    server: str
    #: Names server and zone in the documents, so that values at another one are not taken for values at this one.
    target: str
    #: Makes the writer when it is needed.
    writer: Callable[[], ZoneWriter]
    #: The longest duration of a call of the writer. After a crash in a call, others wait for this long.
    lease: timedelta = timedelta(seconds=60)

    def servers(self) -> Sequence[ZoneServer]:
        """The name servers that the writer knows to have to show a value.

        Raises:
            CertCoreError: There is no such writer.
        """
        return self.writer().servers(self.zone)

    def holds(self, name: str) -> bool:
        """Whether a name lies in the zone that is written to: the zone may have been another one before."""
        return name.endswith(f".{self.zone}")

    def values_at(self, name: str) -> frozenset[str]:
        """The values of ours that the server may have at a name."""
        document = self.documents.get(_key(name))
        if document is None:
            return frozenset()
        return _Name.read(document.value, document.version).at(self.target).values

    def names_below(self, name: str) -> frozenset[str]:
        """The names below a name at which the server may have values of ours."""
        prefix = f"{_key(name)}."
        keys = [document.key for document in self.documents.list(prefix)]
        return frozenset(name_of_key(key.removeprefix(_PREFIX)) for key in keys if key.startswith(prefix))

    def withdraw_leftovers(self, names: Collection[str]) -> Unwritten | None:
        """As `update`, for those of the names at which the server may still have values."""
        keys = {_key(name): name for name in names}
        return self.update([keys[key] for key in self.documents.get_many(list(keys))])

    def note_leftovers(self, names: Collection[str]) -> None:
        """Note names for `heal`: the certificate that had values there may be deleted before the server is back."""
        keys = {_key(name): name for name in names if self.holds(name)}
        left = self.documents.get_many(list(keys))
        if left:
            self.documents.put_many({f"{self._left}{key_prefix(keys[key])}": {"name": keys[key]} for key in left})

    def heal(self) -> None:
        """Withdraw what `note_leftovers` has noted, a batch at most; what cannot be withdrawn now stays noted."""
        noted = self.documents.list(self._left)[:MOST_CHANGES]
        names = [str(document.value.get("name", "")) for document in noted]
        if noted and self.withdraw_leftovers(names) is None:
            self.documents.delete(*(document.key for document in noted))

    @property
    def _left(self) -> str:
        """What the keys of the noted names of this server begin with."""
        return f"{_LEFT}{hashlib.sha256(self.target.encode()).hexdigest()}/"

    def update(self, names: Collection[str], *, force: bool = False) -> Unwritten | None:
        """Bring the server to the ledger's state at these names. Names outside of the zone are skipped.

        Args:
            names: Names in the form of the ledger.
            force: Write although the server has confirmed everything: it may have lost it since.

        Returns:
            None when the server has the values; else why it may not have them. Then call it again.
        """
        inside = sorted({name for name in names if self.holds(name)})
        for start in range(0, len(inside), MOST_CHANGES):
            unwritten = self._update(inside[start : start + MOST_CHANGES], force=force)
            if unwritten is not None:
                return unwritten
        return None

    def _update(self, names: Sequence[str], *, force: bool) -> Unwritten | None:
        for _ in range(_TRIES):
            now = self.environment.now()
            known = self._known(names)
            leased = {name for name, state in known.items() if is_leased(state.leased_until, now)}
            # Names that are complete need no lease, so the ledger is not read for them.
            due = {
                name: state
                for name, state in known.items()
                if force or name in leased or not self._is_done(name, state)
            }
            free = {name: state for name, state in due.items() if name not in leased}
            if not free:
                return Unwritten() if due else None
            try:
                writer = self.writer()
            except CertCoreError as error:
                return Unwritten(said=error.text, advice=error.advice_text)
            if (turn := self._turns.take(writer)) is None:
                return Unwritten()
            outcome: _Outcome | Unwritten = _Outcome.UNCLEAR
            try:
                outcome = self._write(writer, free, turn)
            finally:
                if outcome is not _Outcome.WRITTEN:
                    self._turns.end(turn)
            if isinstance(outcome, Unwritten):
                return outcome
            if outcome is _Outcome.WRITTEN and len(free) == len(due):
                return None
            force = outcome is _Outcome.UNCLEAR or (force and outcome is _Outcome.OVERTAKEN)
        return Unwritten()

    def _write(self, writer: ZoneWriter, free: Mapping[str, _Name], turn: WriterTurn) -> _Outcome | Unwritten:
        """Write the names that are free; when they are written, the turn is over, too."""
        try:
            leased = self._take(free)
        except StaleWriteError:
            return _Outcome.OVERTAKEN
        values_by_name = {name: self._wanted(name) for name in leased}
        # Values that were stored after the leases were taken are not in the documents: their issuance waits for them.
        values_by_name = {name: values & leased[name].at(self.target).values for name, values in values_by_name.items()}
        if (unwritten := self._tell(writer, leased, values_by_name)) is not None:
            return unwritten
        try:
            self._confirm(leased, values_by_name, turn)
        except StaleWriteError:
            self._put_down(leased)
            return _Outcome.UNCLEAR
        return _Outcome.WRITTEN

    @property
    def _turns(self) -> WriterTurns:
        return WriterTurns(documents=self.documents, environment=self.environment, server=self.server, lease=self.lease)

    def _known(self, names: Sequence[str]) -> dict[str, _Name]:
        """The documents of the names, as they are now."""
        self.documents.refresh()
        stored = self.documents.get_many([_key(name) for name in names])
        documents = {name: stored.get(_key(name)) for name in names}
        return {
            name: _Name() if document is None else _Name.read(document.value, document.version)
            for name, document in documents.items()
        }

    def _wanted(self, name: str) -> frozenset[str]:
        return frozenset(TechZoneRecords(self.documents).values(name))

    def _is_done(self, name: str, state: _Name) -> bool:
        server, expected = state.at(self.target), self._wanted(name)
        return server.values == expected and (server.confirmed or not expected)

    def _take(self, free: Mapping[str, _Name]) -> dict[str, _Name]:
        """Take the leases of all these names, and store what the server is about to have.

        Raises:
            StaleWriteError: Another process was faster; no lease is taken.
        """
        now = self.environment.now()
        leased: dict[str, _Name] = {}
        for name, state in free.items():
            server = _OnServer(values=state.at(self.target).values | self._wanted(name), at=now)
            leased[name] = evolve(state.with_server(self.target, server), leased_until=now + self.lease)
        return self._store(leased)

    def _tell(
        self, writer: ZoneWriter, leased: Mapping[str, _Name], values_by_name: Mapping[str, frozenset[str]]
    ) -> Unwritten | None:
        """Change the server; after a failure the leases are released, and its possible values stay recorded."""
        changes = [
            TxtChange(
                name=name,
                values=tuple(sorted(values_by_name[name])),
                withdrawn=tuple(sorted(state.at(self.target).values - values_by_name[name])),
            )
            for name, state in leased.items()
        ]
        try:
            writer.write(self.zone, changes, ttl=self.ttl)
        except (StorageError, LeaseLostError):
            raise
        except CertCoreError as error:
            self._put_down(leased)
            return Unwritten(said=error.text, advice=error.advice_text)
        except BaseException:  # boundary: nobody waits for a lease that is of no use
            self._put_down(leased)
            raise
        return None

    def _confirm(
        self, leased: Mapping[str, _Name], values_by_name: Mapping[str, frozenset[str]], turn: WriterTurn
    ) -> None:
        """Store that the server has confirmed, and give the leases and the turn back.

        Raises:
            StaleWriteError: A lease was lost.
        """
        now = self.environment.now()
        kept: dict[str, _Name] = {}
        empty: list[str] = []
        for name, state in leased.items():
            server = _OnServer(values=values_by_name[name], confirmed=True, at=now)
            done = evolve(state.with_server(self.target, server), leased_until=None).without_old(self.target, now)
            # If the lease has ended, another process may have the document by now, so it is not deleted.
            if not any(known.values for known in done.servers.values()) and is_leased(state.leased_until, now):
                empty.append(_key(name))
            else:
                kept[name] = done
        self._store(kept, turn, delete=empty)

    def _put_down(self, leased: Mapping[str, _Name]) -> None:
        """Release the leases after a failure; the possible values of the server stay recorded."""
        for name, state in leased.items():
            with suppress(StaleWriteError):  # another process has it already
                self._store({name: evolve(state, leased_until=None)})

    def _store(
        self, states: Mapping[str, _Name], turn: WriterTurn | None = None, delete: Collection[str] = ()
    ) -> dict[str, _Name]:
        """Store documents, each in place of the version that was read; returns them with their new versions.

        Raises:
            StaleWriteError: Another process has stored one; nothing is stored.
        """
        values = {_key(name): state.to_json() for name, state in states.items()}
        versions = {_key(name): state.version for name, state in states.items()}
        if turn is not None and turn.key:
            values[turn.key] = turn.ended
            versions[turn.key] = turn.version
        if values or delete:
            self.documents.put_many(values, versions=versions, delete=delete)
        return {name: evolve(state, version=state.version + 1) for name, state in states.items()}


def _key(name: str) -> str:
    return f"{_PREFIX}{key_prefix(name)}"
