"""Deliver committed events to the observers: at least once, in order per certificate, from any process."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, field, frozen

from certcore.engine.leases import LEASE, LeaseKeeper
from certcore.engine.observers import is_gone, keep_up_to_date
from certcore.errors import LeaseLostError, PluginError, StorageBusyError
from certcore.model.deliveries import DeliveryCursor
from certcore.model.events import Event
from certcore.model.renewal import Retry, retry_delay
from certcore.net.telemetry import DELIVERY, measured
from certcore.ports.environment import Environment
from certcore.ports.plugins import CertificateSource, Plugins
from certcore.ports.storage import Storage

__all__ = ["Outbox"]

_log = logging.getLogger(__name__)
#: How many timelines are offered at once, and cursors of each observer leased.
_BATCH: Final = 20
#: How many events of a certificate are delivered under one lease.
_EVENTS: Final = 200
#: The most failing deliveries that are reported.
_MOST_FAILING: Final = 10_000
#: How often a process records that its observers are present.
_KNOWN_FOR: Final = timedelta(minutes=30)
#: A lease that was checked longer ago than this is checked before the next event.
_STILL_MINE: Final = LEASE / 6


@frozen(kw_only=True, eq=False)
class Outbox:
    """Delivers events from the store to ``certcore_on_event``; the store also has the progress of each delivery.

    Each observer has a cursor per certificate. Any number of processes may deliver: each claims the cursors of the
    observers that it has, under a lease. An observer can get an event twice (after a crash, or after it failed). It
    never gets an event before the commit, and never the next event of a certificate before it has accepted this one. A
    failed delivery is retried after 5 seconds to an hour; other certificates and other observers do not wait for it.

    Processes may have different observers. The process that finds new events makes deliveries for all known observers.
    Events are kept for an observer until no process has had it for a week.
    """

    storage: Storage
    plugins: Plugins
    environment: Environment
    leases: LeaseKeeper
    #: Passed to observers, to read certificates and to export their files.
    certificates: CertificateSource
    #: When the observers of this process were last recorded, by the owner of its leases.
    _told: dict[str, datetime] = field(factory=dict, init=False, repr=False)

    def failing(self) -> Mapping[str, Mapping[str, str]]:
        """Why observers of this process did not accept an event, by certificate; limited to the worst deliveries.

        Raises:
            StorageError: The store cannot be used now.
        """
        if not self.plugins.observers:
            return {}
        with self.storage.read() as transaction:
            cursors = transaction.deliveries.failing(observers=self.plugins.observers, limit=_MOST_FAILING)
        return {
            certificate_id: {cursor.observer: cursor.reason for cursor in group}
            for certificate_id, group in itertools.groupby(cursors, key=lambda cursor: cursor.certificate_id)
        }

    def deliver(self) -> int:
        """Deliver due events; returns for how many certificates.

        Returns at once when no plugin observes. The call lasts as long as the observers take; the engine does not wait
        for it.

        Raises:
            StorageError: The store cannot be used now.
        """
        if not self.plugins.observers:
            return 0
        # Each delivery is tried once: a retry waits for the next call.
        since = self.environment.now()
        self._say_who_is_here(since)
        looked_at: set[str] = set()
        while self.has_work(since):
            offered, claimed = self._claim(since)
            if not offered and not claimed:
                break
            for group in _by_certificate(claimed):
                self._deliver(group)
                looked_at.add(group[0].certificate_id)
        return len(looked_at)

    def has_work(self, now: datetime | None = None) -> bool:
        """Whether deliveries to the observers of this process are due now."""
        if not self.plugins.observers:
            return False
        now = now or self.environment.now()
        with self.storage.read() as transaction:
            return transaction.deliveries.is_due(observers=self.plugins.observers, now=now)

    def _say_who_is_here(self, now: datetime) -> None:
        """Record for other processes that this one's observers are present, even if there is no work."""
        last = self._told.get(self.leases.owner)
        if last is None or not timedelta(0) <= now - last < _KNOWN_FOR:
            keep_up_to_date(self.storage, self.plugins.observers, now)
            self._told[self.leases.owner] = now

    def _claim(self, due_before: datetime) -> tuple[int, Sequence[DeliveryCursor]]:
        """Make deliveries of new events for all observers, and lease the due ones; returns how many were made."""
        now = self.environment.now()
        here = self.plugins.observers
        with self.storage.write() as transaction:
            known = {
                observer.name for observer in transaction.deliveries.known_observers() if not is_gone(observer, now)
            }
            offered = transaction.deliveries.offer(observers=known.union(here), now=now, limit=_BATCH)
            claimed = transaction.deliveries.claim_due(
                observers=here,
                now=due_before,
                owner=self.leases.owner,
                lease_until=now + LEASE,
                limit=_BATCH * len(here),
            )
        return offered, claimed

    def _deliver(self, cursors: Sequence[DeliveryCursor]) -> None:
        """Deliver one certificate's events to the observers of the leased cursors."""
        certificate_id = cursors[0].certificate_id
        try:
            with self.storage.read() as transaction:
                events = {
                    number: transaction.events.following(certificate_id, number, limit=_EVENTS)
                    for number in {cursor.delivered for cursor in cursors}
                }
            with self.leases.keep(*cursors):
                settled = [self._tell(cursor, events[cursor.delivered]) for cursor in cursors]
            with self.storage.write() as transaction:
                for cursor in filter(None, settled):
                    try:
                        transaction.deliveries.settle(cursor)
                    except LeaseLostError:
                        _log_lost(cursor)
        except StorageBusyError as error:  # other certificates do not wait for the lock on this one
            _log.warning("The events of certificate %s are told later: %s", certificate_id, error)

    def _tell(self, cursor: DeliveryCursor, events: Sequence[Event]) -> DeliveryCursor | None:
        """Deliver the outstanding events to an observer.

        Returns:
            The cursor to store; None when another process is already delivering to this observer.
        """
        delivered, reason = cursor.delivered, ""
        # The lease began with the claim; earlier deliveries of the batch may have taken long.
        checked = self.environment.now() if cursor.lease_until is None else cursor.lease_until - LEASE
        for event in events:
            if event.number > cursor.length:
                break  # the event is not offered yet
            now = self.environment.now()
            try:
                if now - checked > _STILL_MINE:
                    checked = now
                    self._renew(cursor)
                about = {"certcore.observer": cursor.observer, "certcore.certificate_id": event.certificate_id}
                with measured(DELIVERY, {**about, "certcore.event": str(event.kind)}):
                    self.plugins.notify(cursor.observer, event, self.certificates)
            except LeaseLostError:
                _log_lost(cursor)
                return None
            except PluginError as error:
                _log.error("%s Event %s of certificate %s is kept.", error.message, event.number, event.certificate_id)
                reason = error.reason
                break
            delivered = event.number
        if reason:
            return self._failed(cursor, delivered, reason)
        now = self.environment.now()
        return evolve(cursor, delivered=delivered, attempts=0, failing_since=None, reason="", due_at=now)

    def _renew(self, cursor: DeliveryCursor) -> None:
        """Renew the lease after a pause, in which another process may have taken over and sent newer events.

        Raises:
            LeaseLostError: Another process has taken the delivery over.
        """
        lease_until = self.environment.now() + LEASE
        with self.storage.write() as transaction:
            transaction.deliveries.renew_lease(cursor, lease_until=lease_until)

    def _failed(self, cursor: DeliveryCursor, delivered: int, reason: str) -> DeliveryCursor:
        attempts = 1 if delivered > cursor.delivered else cursor.attempts + 1
        delay = retry_delay(Retry.SOON, attempts, self.environment.roll())
        now = self.environment.now()
        since = cursor.failing_since if attempts > 1 and cursor.failing_since is not None else now
        return evolve(
            cursor,
            delivered=delivered,
            attempts=attempts,
            failing_since=since,
            due_at=now + delay,
            reason=reason[:500],
        )


def _by_certificate(cursors: Sequence[DeliveryCursor]) -> Iterator[Sequence[DeliveryCursor]]:
    """The cursors in groups of one certificate, longest overdue first."""
    groups: dict[str, list[DeliveryCursor]] = {}
    for cursor in cursors:
        groups.setdefault(cursor.certificate_id, []).append(cursor)
    yield from groups.values()


def _log_lost(cursor: DeliveryCursor) -> None:
    _log.info("Another process tells %s of the events of certificate %s.", cursor.observer, cursor.certificate_id)
