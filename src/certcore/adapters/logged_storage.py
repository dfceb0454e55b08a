"""A storage that reports new timeline events after their commit, as log records and to telemetry listeners."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Final

from attrs import define, field, frozen

from certcore.errors import CertCoreError
from certcore.model.certificate import Certificate
from certcore.model.events import Event
from certcore.net.telemetry import EVENT, happened, has_listeners
from certcore.ports.storage import LockWait, Storage, Transaction

__all__ = ["LOGGER", "LoggedStorage"]

#: The name of the logger, which is documented.
LOGGER: Final = "certcore.events"
_log = logging.getLogger(LOGGER)
_LONGEST_CODE: Final = 200


@define(eq=False)
class _Seen:
    """The events of one transaction, and the domains of their certificates."""

    events: list[Event] = field(factory=list)
    domains: dict[str, str] = field(factory=dict)

    def note(self, certificate: Certificate) -> Certificate:
        self.domains[certificate.id] = certificate.domain.ascii
        return certificate


@frozen(eq=False)
class LoggedStorage:
    """Implements `certcore.ports.storage.Storage` on top of another storage.

    Events are reported only if the logger ``certcore.events`` is enabled for INFO, or if `certcore.net.telemetry` has a
    listener.
    """

    inner: Storage

    def read(self) -> AbstractContextManager[Transaction]:
        """As the inner store."""
        return self.inner.read()

    def write(self, lock_wait: LockWait = LockWait.SHORT) -> AbstractContextManager[Transaction]:
        """As the inner storage; events that the transaction appended to timelines are reported after the commit."""
        if not (_log.isEnabledFor(logging.INFO) or has_listeners()):
            return self.inner.write(lock_wait)
        return self._logged_write(lock_wait)

    @contextmanager
    def _logged_write(self, lock_wait: LockWait) -> Iterator[Transaction]:
        written = _Seen()
        with self.inner.write(lock_wait) as transaction:
            watched: Any = _WatchedTransaction(transaction, written)
            yield watched
        for event in written.events:
            self._log_event(event, written)

    def change_mark(self) -> object | None:
        """As the inner store."""
        return self.inner.change_mark()

    def use_record_key(self, key: bytes) -> None:
        """As the inner store."""
        self.inner.use_record_key(key)

    def close(self) -> None:
        """As the inner store."""
        self.inner.close()

    def _log_event(self, event: Event, written: _Seen) -> None:
        code = "" if event.problem is None else _plain(event.problem.type)
        purpose = str(event.data.get("purpose", ""))
        happened(EVENT, {"certcore.event": str(event.kind), "certcore.code": code, "certcore.purpose": purpose})
        if not _log.isEnabledFor(logging.INFO):
            return
        domain = written.domains.get(event.certificate_id)
        if domain is None:
            try:
                with self.inner.read() as transaction:
                    domain = transaction.certificates.get(event.certificate_id).domain.ascii
            except CertCoreError:  # deleted, or the storage fails: the event is reported without the domain
                domain = ""
        before, after = (str(status or "-") for status in (event.from_status, event.to_status))
        fields = {
            "event": str(event.kind),
            "certificate_id": event.certificate_id,
            "domain": domain,
            "owner": event.owner,
            "actor": event.actor,
            "status_from": str(event.from_status or ""),
            "status_to": str(event.to_status or ""),
            "code": code,
        }
        message = "Certificate %s (%s): %s, %s -> %s"
        _log.info(message, domain or "-", event.certificate_id, event.kind, before, after, extra=fields)


def _plain(code: str) -> str:
    """The type of a problem, which may come from a CA, on one line."""
    return "".join(character for character in code if character.isprintable())[:_LONGEST_CODE]


@frozen(eq=False)
class _Watched:
    _inner: Any
    _seen: _Seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _WatchedTransaction(_Watched):
    """A transaction that notes the events that are appended, and the certificates that they concern."""

    @property
    def certificates(self) -> _WatchedCertificates:
        return _WatchedCertificates(self._inner.certificates, self._seen)

    @property
    def events(self) -> _WatchedEvents:
        return _WatchedEvents(self._inner.events, self._seen)


class _WatchedCertificates(_Watched):
    def add(self, certificate: Certificate) -> None:
        self._inner.add(self._seen.note(certificate))

    def get(self, certificate_id: str) -> Certificate:
        return self._seen.note(self._inner.get(certificate_id))

    def save(self, certificate: Certificate) -> Certificate:
        return self._seen.note(self._inner.save(certificate))

    def save_progress(self, certificate: Certificate) -> None:
        self._inner.save_progress(self._seen.note(certificate))


class _WatchedEvents(_Watched):
    def append(self, events: Iterable[Event]) -> None:
        appended = tuple(events)
        self._inner.append(appended)
        self._seen.events.extend(appended)
