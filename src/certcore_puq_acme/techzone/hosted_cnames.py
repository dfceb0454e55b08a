"""CNAMEs that certcore sets at a DNS server with the owners' zones.

Each CNAME that a certificate needs has a document. It stores the certificates that need the CNAME, the target that
certcore has set or is about to set, whether the server has confirmed it, and the lease of the process that writes. The
document is stored before the server is changed, so that certcore can recognise its own records even after a crash.
Other records are never replaced or removed: a CNAME is only set at a name without records, and is only removed if it
has the target that certcore has set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.errors import CertCoreError, InvalidInputError, LeaseLostError, StaleWriteError, StorageError
from certcore.messages import Message
from certcore.ports.documents import Documents
from certcore.ports.environment import Environment
from certcore.ports.zone_writers import CnameOutcome, WritesCnames, ZoneWriter
from certcore_puq_acme.techzone.name_leases import is_leased, stored_moment
from certcore_puq_acme.techzone.records import is_record_name
from certcore_puq_acme.techzone.writer_turns import WriterTurn, WriterTurns

__all__ = ["CnameState", "HostedCname", "HostedCnames"]

_PREFIX: Final = "cname/"
_OF_CERTIFICATE: Final = "cname-of/"
_LEFT: Final = "cname-left/"
#: How many times a document is read again if other processes change it first.
_TRIES: Final = 3
#: How many leftover CNAMEs one call removes.
_MOST_HEALED: Final = 20


class CnameState(StrEnum):
    """The result for a CNAME that a certificate needs."""

    #: certcore has set the CNAME, and removes it when no certificate needs it any more.
    SET = "set"
    #: The CNAME exists, but was not set by certcore.
    PRESENT = "present"
    #: The name has another record, which is kept.
    OCCUPIED = "occupied"
    #: The server does not have the domain's zone.
    NOT_HOSTED = "not_hosted"
    #: The server could not be reached, or it refused the change.
    UNWRITTEN = "unwritten"
    #: Another process is writing the CNAME.
    BUSY = "busy"


@frozen(kw_only=True)
class HostedCname:
    """The state of a CNAME, and the reason if certcore could not set it."""

    state: CnameState
    #: The other record at the name, or why the CNAME could not be set, as a sentence; may be empty.
    said: str | Message = ""
    #: What to do; may be empty.
    advice: str | Message = ""


@frozen(kw_only=True)
class _Entry:
    """The document of one name."""

    #: The server on which the CNAME is set, as in `HostedCnames.server`.
    server: str = ""
    zone: str = ""
    #: The target of the CNAME that certcore has set, or may have set; empty for none.
    ours: str = ""
    #: Whether the server has confirmed the CNAME.
    confirmed: bool = False
    #: The required target by the ID of the certificate.
    holders: Mapping[str, str] = field(factory=dict)
    #: The end of the lease of the process that writes; None if no process writes.
    leased_until: datetime | None = None
    #: The document's version; 0 if there is no document.
    version: int = 0

    @classmethod
    def read(cls, value: Mapping[str, Any], version: int = 0) -> _Entry:
        holders = value.get("holders")
        return cls(
            server=_text(value.get("server")),
            zone=_text(value.get("zone")),
            ours=_text(value.get("ours")),
            confirmed=value.get("confirmed") is True,
            holders={str(key): str(target) for key, target in holders.items()} if isinstance(holders, Mapping) else {},
            leased_until=stored_moment(value.get("leased_until")),
            version=version,
        )

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "server": self.server,
            "zone": self.zone,
            "ours": self.ours,
            "confirmed": self.confirmed,
            "holders": dict(self.holders),
        }
        return plain if self.leased_until is None else {**plain, "leased_until": self.leased_until.isoformat()}


@frozen(kw_only=True, eq=False)
class HostedCnames:
    """The CNAMEs of certcore at DNS servers. New ones are set at one of the servers."""

    documents: Documents
    environment: Environment
    #: The name of the server in the documents; empty for none.
    server: str
    #: Whether to set CNAMEs at the server. Existing CNAMEs of certcore are removed in any case.
    is_on: bool
    ttl: int
    #: Makes the writer when it is needed.
    writer: Callable[[], ZoneWriter]
    #: The longest duration of a call of the writer.
    lease: timedelta = timedelta(seconds=60)

    def hold(self, certificate_id: str, name: str, target: str, *, again: bool = False) -> HostedCname:
        """Set a CNAME for a certificate, unless the name has other records.

        The caller must have checked that the owner of the certificate controls the name.

        Args:
            certificate_id: The certificate.
            name: The name of the CNAME, as A-labels in lower case.
            target: The target of the CNAME.
            again: Whether to set the CNAME even if the server has already confirmed it. The server may have lost it.
        """
        for _ in range(_TRIES):
            entry = self._entry(name)
            if entry.holders.get(certificate_id) == target == entry.ours and entry.confirmed and not again:
                return HostedCname(state=CnameState.SET)
            if is_leased(entry.leased_until, self.environment.now()):
                break
            try:
                decided = self._look(entry, certificate_id, name, target)
                if isinstance(decided, HostedCname):
                    return decided
                leased = self._store(name, decided, holder=certificate_id)
            except StaleWriteError:
                continue
            except (StorageError, LeaseLostError):
                raise
            except CertCoreError as error:
                return _unwritten(error)
            try:
                return self._set(name, leased, target, may_be_ours=entry.ours == target)
            except StaleWriteError:
                # The certificate was deleted meanwhile, or the lease has expired. This certificate or `heal` will check
                # the server again.
                self._note_leftovers([name])
                break
        return HostedCname(state=CnameState.BUSY)

    def read_together(self, certificate_id: str, names: Iterable[str]) -> None:
        """Read the documents for `held_names` and `set_here` in one transaction. A step caches them."""
        self.documents.get_many([_index(certificate_id), *map(_key, names)])

    def held_names(self, certificate_id: str) -> frozenset[str]:
        """The names whose CNAMEs were set or requested for a certificate."""
        document = self.documents.get(_index(certificate_id))
        return frozenset() if document is None else frozenset(_names(document.value))

    def has_zone_of(self, name: str) -> bool:
        """Whether the server has the zone of a name.

        Raises:
            CertCoreError: The server cannot be reached, or its writer sets no CNAMEs.
        """
        return self._writer().look_up(name) is not None

    def set_here(self, names: Iterable[str]) -> Mapping[str, str]:
        """The names whose CNAME certcore has set or may have set, with their targets."""
        keys = {_key(name): name for name in names}
        entries = {key: _Entry.read(document.value) for key, document in self.documents.get_many(list(keys)).items()}
        return {keys[key]: entry.ours for key, entry in entries.items() if entry.ours}

    def release(self, certificate_id: str, names: Iterable[str] | None = None) -> frozenset[str]:
        """Record that a certificate no longer needs CNAMEs, and remove those that no other certificate needs.

        Args:
            certificate_id: The certificate.
            names: The names of the CNAMEs; None for all that the certificate needs.

        Returns:
            The CNAMEs that could not be removed now; `heal` removes them later.
        """
        left = set()
        for name in sorted(self.held_names(certificate_id) if names is None else names):
            self.documents.put_many(
                {}, change={_key(name): _without(certificate_id), _index(certificate_id): _without_name(name)}
            )
            if not self._settle(name):
                left.add(name)
        if names is None:
            self.documents.delete(_index(certificate_id))
        self._note_leftovers(left)
        return frozenset(left)

    def tidy(self, names: Iterable[str]) -> None:
        """Remove the CNAMEs that no certificate needs. A step whose outcome was refused may have set one."""
        keys = {_key(name): name for name in names}
        known = [keys[key] for key in self.documents.get_many(list(keys))]
        self._note_leftovers([name for name in known if not self._settle(name)])

    def heal(self) -> None:
        """Remove the CNAMEs that `release` could not remove. Those that cannot be removed now are kept for later."""
        prefix = _left(self.server)
        for document in self.documents.list(prefix)[:_MOST_HEALED]:
            name = document.key.removeprefix(prefix)
            if not is_record_name(name) or self._settle(name):
                self.documents.delete(document.key)
            else:
                return  # the server is probably still down

    def _look(self, entry: _Entry, certificate_id: str, name: str, target: str) -> HostedCname | _Entry:
        """The document to store before the CNAME is set; or its state if nothing must be set.

        Raises:
            CertCoreError: The server cannot be reached, or there is no such writer.
        """
        others = {holder: held_target for holder, held_target in entry.holders.items() if holder != certificate_id}
        zone = entry.zone
        if not entry.ours:
            # Check before recording the CNAME as certcore's own, because an existing record was not set by certcore.
            hosted = self._writer().look_up(name)
            if hosted is None:
                return HostedCname(state=CnameState.NOT_HOSTED)
            if hosted.target == target:
                return HostedCname(state=CnameState.PRESENT)
            zone = hosted.zone
        elif entry.server != self.server:
            state = CnameState.SET if entry.ours == target else CnameState.OCCUPIED
            return HostedCname(state=state, said=f"CNAME {entry.ours}")
        elif entry.ours != target and entry.ours in others.values():
            # Certificates of different owners or tech zones need the name. The first one keeps it until its deletion.
            return HostedCname(state=CnameState.OCCUPIED, said=f"CNAME {entry.ours}")
        return evolve(
            entry,
            server=self.server,
            zone=zone,
            ours=entry.ours or target,
            confirmed=False,
            holders={**others, certificate_id: target},
            leased_until=self.environment.now() + self.lease,
        )

    def _set(self, name: str, entry: _Entry, target: str, *, may_be_ours: bool) -> HostedCname:
        """Set the CNAME under the lease in the entry.

        Args:
            name: The name.
            entry: The stored document.
            target: The target of the CNAME.
            may_be_ours: Whether an earlier call may have set it.

        Raises:
            StaleWriteError: The document was changed meanwhile.
        """
        turn: WriterTurn | None = None
        try:
            writer = self._writer()
            if (turn := self._turns.take(writer)) is None:
                self._put_down(name, entry)
                return HostedCname(state=CnameState.BUSY)
            if entry.ours != target:
                writer.remove_cname(entry.zone, name, entry.ours)
                entry = self._store(name, evolve(entry, ours=target))
            change = writer.set_cname(entry.zone, name, target, ttl=self.ttl)
        except (StorageError, LeaseLostError, StaleWriteError):
            raise
        except CertCoreError as error:
            self._put_down(name, entry)
            return _unwritten(error)
        except BaseException:  # boundary: release the lease, so that no process waits for its end
            self._put_down(name, entry)
            raise
        finally:
            self._end(turn)
        is_ours = change.outcome is CnameOutcome.SET or (change.outcome is CnameOutcome.PRESENT and may_be_ours)
        self._store(name, evolve(entry, ours=target if is_ours else "", confirmed=is_ours, leased_until=None))
        if is_ours:
            return HostedCname(state=CnameState.SET)
        if change.outcome is CnameOutcome.PRESENT:
            return HostedCname(state=CnameState.PRESENT)
        return HostedCname(state=CnameState.OCCUPIED, said=change.seen)

    def _settle(self, name: str) -> bool:
        """Remove the CNAME of a name unless a certificate needs it; returns whether nothing is left to remove."""
        entry = self._entry(name)
        now = self.environment.now()
        if not entry.version or (entry.ours and entry.ours in entry.holders.values()):
            return True
        if is_leased(entry.leased_until, now) or (entry.ours and entry.server != self.server):
            return False
        if not entry.ours and entry.holders:
            return True
        leased = entry
        try:
            leased = self._store(name, evolve(entry, confirmed=False, leased_until=now + self.lease))
            if leased.ours and not self._remove(name, leased):
                self._put_down(name, leased)
                return False
            # If the lease has expired, another process may use the document, so it is not deleted.
            if leased.holders or not is_leased(leased.leased_until, self.environment.now()):
                self._store(name, evolve(leased, ours="", leased_until=None))
            else:
                self.documents.delete(_key(name))
        except StaleWriteError:
            return False
        except (StorageError, LeaseLostError):
            raise
        except CertCoreError:
            self._put_down(name, leased)
            return False
        except BaseException:  # boundary: release the lease, so that no process waits for its end
            self._put_down(name, leased)
            raise
        return True

    def _remove(self, name: str, entry: _Entry) -> bool:
        """Remove certcore's CNAME; returns whether this process got the turn to write.

        Raises:
            CertCoreError: The server cannot be reached or refuses.
        """
        writer = self._writer()
        turn = self._turns.take(writer)
        try:
            if turn is not None:
                writer.remove_cname(entry.zone, name, entry.ours)
        finally:
            self._end(turn)
        return turn is not None

    @property
    def _turns(self) -> WriterTurns:
        return WriterTurns(documents=self.documents, environment=self.environment, server=self.server, lease=self.lease)

    def _end(self, turn: WriterTurn | None) -> None:
        if turn is not None:
            self._turns.end(turn)

    def _writer(self) -> WritesCnames:
        """The writer, which can set CNAMEs.

        Raises:
            InvalidInputError: There is no writer, or it cannot set CNAMEs.
            CertCoreError: The writer cannot be made.
        """
        writer = self.writer()
        if not isinstance(writer, WritesCnames):
            raise InvalidInputError(
                "set_cnames",
                Message("puq_acme.cnames.no_writer", "the writer {writer} cannot set CNAMEs.", {"writer": writer.name}),
                advice=Message("puq_acme.cnames.no_writer.advice", "Switch it off in the CA profile."),
            )
        return writer

    def _entry(self, name: str) -> _Entry:
        """The present document of a name."""
        self.documents.refresh()
        document = self.documents.get(_key(name))
        return _Entry() if document is None else _Entry.read(document.value, document.version)

    def _store(self, name: str, entry: _Entry, *, holder: str = "") -> _Entry:
        """Store a new value of a document that was read. ``holder`` is a certificate that needs the CNAME from now on.

        Raises:
            StaleWriteError: Another process has changed the document; nothing is stored.
        """
        key = _key(name)
        index = {_index(holder): _with_name(name)} if holder else {}
        self.documents.put_many({key: entry.to_json()}, versions={key: entry.version}, change=index)
        return evolve(entry, version=entry.version + 1)

    def _put_down(self, name: str, entry: _Entry) -> None:
        """Release the lease after a failure. The document keeps the CNAME that the server may have."""
        with suppress(StaleWriteError):  # another process has taken the lease
            self._store(name, evolve(entry, leased_until=None))

    def _note_leftovers(self, names: Collection[str]) -> None:
        keys = {_key(name): name for name in names}
        if keys:
            entries = {key: _Entry.read(stored.value) for key, stored in self.documents.get_many(list(keys)).items()}
            self.documents.put_many({f"{_left(entry.server)}{keys[key]}": {} for key, entry in entries.items()})


def _key(name: str) -> str:
    return f"{_PREFIX}{name}"


def _index(certificate_id: str) -> str:
    return f"{_OF_CERTIFICATE}{certificate_id}"


def _left(server: str) -> str:
    """The prefix of the keys of leftover names of a server."""
    return f"{_LEFT}{hashlib.sha256(server.encode()).hexdigest()}/"


_Change = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


def _without(certificate_id: str) -> _Change:
    """A change that removes a holder from the document of a name."""

    def change(stored: Mapping[str, Any]) -> Mapping[str, Any] | None:
        entry = _Entry.read(stored)
        if certificate_id not in entry.holders:
            return None
        holders = {holder: target for holder, target in entry.holders.items() if holder != certificate_id}
        return evolve(entry, holders=holders).to_json()

    return change


def _with_name(name: str) -> _Change:
    return lambda stored: {"names": sorted({*_names(stored), name})}


def _without_name(name: str) -> _Change:
    return lambda stored: {"names": sorted(_names(stored) - {name})} if stored else None


def _names(stored: Mapping[str, Any]) -> set[str]:
    names = stored.get("names")
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _unwritten(error: CertCoreError) -> HostedCname:
    return HostedCname(state=CnameState.UNWRITTEN, said=error.text, advice=error.advice_text)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
