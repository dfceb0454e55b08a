"""Write the TXT values of the ledger to another DNS server.

The ledger (`certcore_puq_acme.techzone.records`) has the values that should exist, by name and issuance. While a server
may have values of certcore at a name, a second document for the name stores these values, whether the server has
confirmed them, and the lease of the process that writes. The document is stored before the server is changed. So the
values to add and to remove are known even after a crash.

Only one process at a time writes a name: the process that has the lease. It reads the values from the ledger after it
has taken the lease. Other processes try again later, and usually find that their values have been written.
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
#: How many times one call tries to write if other processes are faster.
_TRIES: Final = 3
#: How long the values at a previous server are stored, because the CA profile may return to it.
_FOREIGN_LIFE: Final = timedelta(days=30)


@frozen(kw_only=True)
class Unwritten:
    """Why the server may not have the right values."""

    #: The error as a sentence; empty if another process is writing.
    said: str | Message = ""
    #: What to do; may be empty.
    advice: str | Message = ""

    @property
    def is_busy(self) -> bool:
        """Whether the only reason is that another process is writing."""
        return not str(self.said)


@frozen(kw_only=True)
class _OnServer:
    """The values of certcore at a name on one server."""

    #: The values that the server may have.
    values: frozenset[str] = frozenset()
    #: Whether the server has confirmed exactly these values.
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

    #: The values by server, as named in `Publication.target`.
    servers: Mapping[str, _OnServer] = field(factory=dict)
    #: The end of the lease of the process that writes; None if no process writes.
    leased_until: datetime | None = None
    #: The document's version; 0 if there is no document.
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
    #: Another process got the leases first; nothing was written.
    OVERTAKEN = auto()
    #: A lease expired during the call and another process has written, so the order of the writes is unknown.
    UNCLEAR = auto()


@frozen(kw_only=True, eq=False)
class Publication:
    """The TXT values of a tech zone on another DNS server."""

    documents: Documents
    environment: Environment
    #: The zone on the server: the tech zone, or a parent zone of it.
    zone: str
    #: The TTL of the records, in seconds.
    ttl: int
    #: The name of the server in the documents. Calls of a writer that must not run concurrently take turns by it.
    server: str
    #: The name of server and zone in the documents, which distinguishes the values at different servers and zones.
    target: str
    #: Makes the writer on first use.
    writer: Callable[[], ZoneWriter]
    #: The longest duration of a call of the writer. After a crash in a call, other processes wait for this long.
    lease: timedelta = timedelta(seconds=60)

    def servers(self) -> Sequence[ZoneServer]:
        """The name servers that must publish a value, according to the writer.

        Raises:
            CertCoreError: There is no such writer.
        """
        return self.writer().servers(self.zone)

    def holds(self, name: str) -> bool:
        """Whether a name is in the zone. The CA profile may have had another zone before."""
        return name.endswith(f".{self.zone}")

    def values_at(self, name: str) -> frozenset[str]:
        """The values of certcore that the server may have at a name."""
        document = self.documents.get(_key(name))
        if document is None:
            return frozenset()
        return _Name.read(document.value, document.version).at(self.target).values

    def names_below(self, name: str) -> frozenset[str]:
        """The names below a name at which the server may have values of certcore."""
        prefix = f"{_key(name)}."
        keys = [document.key for document in self.documents.list(prefix)]
        return frozenset(name_of_key(key.removeprefix(_PREFIX)) for key in keys if key.startswith(prefix))

    def withdraw_leftovers(self, names: Collection[str]) -> Unwritten | None:
        """As `update`, but only for names at which the server may still have values."""
        keys = {_key(name): name for name in names}
        return self.update([keys[key] for key in self.documents.get_many(list(keys))])

    def note_leftovers(self, names: Collection[str]) -> None:
        """Record names for `heal`, because their certificate may be deleted before the server works again."""
        keys = {_key(name): name for name in names if self.holds(name)}
        left = self.documents.get_many(list(keys))
        if left:
            self.documents.put_many({f"{self._left}{key_prefix(keys[key])}": {"name": keys[key]} for key in left})

    def heal(self) -> None:
        """Remove the values at names from `note_leftovers`, one batch at most. Names that fail are kept for later."""
        noted = self.documents.list(self._left)[:MOST_CHANGES]
        names = [str(document.value.get("name", "")) for document in noted]
        if noted and self.withdraw_leftovers(names) is None:
            self.documents.delete(*(document.key for document in noted))

    @property
    def _left(self) -> str:
        """The prefix of the keys of leftover names of this server."""
        return f"{_LEFT}{hashlib.sha256(self.target.encode()).hexdigest()}/"

    def update(self, names: Collection[str], *, force: bool = False) -> Unwritten | None:
        """Write the ledger's values at these names to the server. Names outside the zone are skipped.

        Args:
            names: The names, in the form of the ledger.
            force: Whether to write even if the server has confirmed all values, because it may have lost them since.

        Returns:
            None if the server has confirmed the values. Otherwise the reason; the caller must call again later.
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
            # Complete names need no lease, so the ledger is not read for them.
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
        """Write names that no other process has leased. If they were written, the turn has ended."""
        try:
            leased = self._take(free)
        except StaleWriteError:
            return _Outcome.OVERTAKEN
        values_by_name = {name: self._wanted(name) for name in leased}
        # Values that were added to the ledger after the leases were taken are not in the documents. They are written
        # later, because their issuance waits for them.
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
        """The present documents of the names."""
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
        """Take the leases of these names, and store the values that the server may have from now on.

        Raises:
            StaleWriteError: Another process was faster; no lease was taken.
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
        """Change the server. After a failure, the leases are released; the values that it may have stay stored."""
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
        except BaseException:  # boundary: release the leases, so that no process waits for their end
            self._put_down(leased)
            raise
        return None

    def _confirm(
        self, leased: Mapping[str, _Name], values_by_name: Mapping[str, frozenset[str]], turn: WriterTurn
    ) -> None:
        """Store that the server has confirmed the values, and release the leases and the turn.

        Raises:
            StaleWriteError: A lease was lost.
        """
        now = self.environment.now()
        kept: dict[str, _Name] = {}
        empty: list[str] = []
        for name, state in leased.items():
            server = _OnServer(values=values_by_name[name], confirmed=True, at=now)
            done = evolve(state.with_server(self.target, server), leased_until=None).without_old(self.target, now)
            # If the lease has expired, another process may use the document, so it is not deleted.
            if not any(known.values for known in done.servers.values()) and is_leased(state.leased_until, now):
                empty.append(_key(name))
            else:
                kept[name] = done
        self._store(kept, turn, delete=empty)

    def _put_down(self, leased: Mapping[str, _Name]) -> None:
        """Release the leases after a failure. The values that the server may have stay stored."""
        for name, state in leased.items():
            with suppress(StaleWriteError):  # another process has taken the lease
                self._store({name: evolve(state, leased_until=None)})

    def _store(
        self, states: Mapping[str, _Name], turn: WriterTurn | None = None, delete: Collection[str] = ()
    ) -> dict[str, _Name]:
        """Store new values of documents that were read; returns them with their new versions.

        Raises:
            StaleWriteError: Another process has changed a document; nothing is stored.
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
