"""Handing committed events to the observers: at least once, in order per certificate, from any process."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, field, frozen

from certcore.engine.leases import LEASE, LeaseKeeper
from certcore.engine.observers import known_observers
from certcore.errors import LeaseLost, PluginError, StorageBusy
from certcore.model.clocks import LONGEST_RETRY, is_ahead
from certcore.model.events import Event
from certcore.model.renewal import Retry, retry_delay
from certcore.model.timeline import Behind, Timeline
from certcore.ports.environment import Environment
from certcore.ports.plugins import CertificateSource, Plugins
from certcore.ports.storage import Storage

__all__ = ["Outbox"]

_log = logging.getLogger(__name__)
#: How many certificates' events are leased at once.
_BATCH: Final = 20
#: How many events of a certificate are delivered under one lease.
_EVENTS: Final = 200
#: When to look again after an observer that this process has not got, for another one has it: soon after the event,
#: and ever more rarely.
_FIRST_NOT_HERE: Final = timedelta(seconds=5)
#: How long a process that has not got an observer stands back for one that has.
_HEAD_START: Final = timedelta(seconds=10)
_MOST_LEFT: Final = 500
#: Of how many certificates it is known here what failed.
_MOST_FAILING: Final = 10_000
#: How often a process without work says that its observers are there.
_KNOWN_FOR: Final = timedelta(minutes=30)
_NOT_HERE: Final = timedelta(hours=1)
#: When an observer took longer than this, the lease is looked at before the next event.
_STILL_MINE: Final = LEASE / 6


@frozen(kw_only=True, eq=False)
class Outbox:
    """Delivers events from the store to ``certcore_on_event``; how far it got is in the store as well.

    Any number of processes may deliver: each certificate's timeline is leased. An observer can get an event twice
    (after a crash, or when it failed), never before it was committed, and never the next one of a certificate before
    it took this one. One that raises is tried again after 5 seconds to an hour; the others do not wait for it.

    The processes may have different observers: each keeps the place of those that it has not got, for a process that
    has them, until nobody has had one for a week.
    """

    storage: Storage
    plugins: Plugins
    environment: Environment
    leases: LeaseKeeper
    #: What observers are given to look at certificates, and to take their files out.
    certificates: CertificateSource
    #: When the observers of this process were last written down, by one key.
    _told: dict[str, datetime] = field(factory=dict, init=False, repr=False)
    #: The certificates that are due for observers of other processes: since when they are left to those, and the moment
    #: at which they became due.
    _left: dict[str, tuple[datetime, datetime | None]] = field(factory=dict, init=False, repr=False)
    #: See `failing`.
    _failing: dict[str, Mapping[str, str]] = field(factory=dict, init=False, repr=False)

    @property
    def failing(self) -> Mapping[str, Mapping[str, str]]:
        """Why which observers did not take what this process told them, by certificate; of very many, not all."""
        return dict(self._failing)

    def deliver(self) -> int:
        """Deliver what is due now; returns how many timelines were looked at.

        Returns at once when no plugin observes. Takes as long as the observers do; the engine does not wait for it.

        Raises:
            StorageError: The store cannot be used now.
        """
        looked_at = 0
        # Each is looked at once: one that is due again at once has to wait for the next call.
        since = self.environment.now()
        if not self.plugins.observers:
            return 0
        known: Collection[str] = ()
        if self._unheard(since):
            known = known_observers(self.storage, self.plugins.observers, since)
        while self.has_work(since) and (claimed := self._claim(since)):
            known = known or known_observers(self.storage, self.plugins.observers, since)
            for timeline in claimed:
                self._deliver(timeline, known)
            looked_at += len(claimed)
        return looked_at

    def has_work(self, now: datetime | None = None) -> bool:
        """Whether observers are to be told of something now."""
        if not self.plugins.observers:
            return False
        now = now or self.environment.now()
        with self.storage.read() as transaction:
            return transaction.timelines.is_due(now=now, without=self._left_to_others(now))

    def take_up(self, certificate_id: str) -> None:
        """Stand back no longer for other processes: there is news of this certificate for the observers of this one."""
        self._left.pop(certificate_id, None)

    def _claim(self, due_before: datetime) -> Sequence[Timeline]:
        now = self.environment.now()
        with self.storage.write() as transaction:
            return transaction.timelines.claim_due(
                now=due_before,
                owner=self.leases.owner,
                lease_until=now + LEASE,
                limit=_BATCH,
                without=self._left_to_others(now),
            )

    def _unheard(self, now: datetime) -> bool:
        """Whether other processes are to be told, without any work, that the observers of this one are here."""
        last = self._told.get(self.leases.owner)
        if last is not None and timedelta(0) <= now - last < _KNOWN_FOR:
            return False
        self._told[self.leases.owner] = now
        return True

    def _left_to_others(self, now: datetime) -> Collection[str]:
        return [one for one, (since, _) in list(self._left.items()) if timedelta(0) <= now - since < _HEAD_START]

    def _deliver(self, timeline: Timeline, known: Collection[str]) -> None:
        try:
            with self.leases.keep(timeline):
                after = self._offer(timeline, known)
            now = self.environment.now()
            with self.storage.write() as transaction:
                transaction.timelines.settle(
                    timeline.certificate_id,
                    token=timeline.token,
                    delivered=after.delivered,
                    behind=after.behind,
                    now=now,
                    due_at=min((one.due_at for one in after.behind.values()), default=None),
                )
        except StorageBusy as error:  # the other timelines do not wait for whoever has locked this one
            _log.warning("The events of certificate %s are told later: %s", timeline.certificate_id, error)
        except LeaseLost:
            self._failing.pop(timeline.certificate_id, None)
            _log.info("Another process delivers the events of certificate %s.", timeline.certificate_id)
        else:
            self._note(after)

    def _note(self, after: Timeline) -> None:
        here = self.plugins.observers
        failing = {name: one.reason for name, one in after.behind.items() if one.attempts and name in here}
        self._failing.pop(after.certificate_id, None)
        if failing and len(self._failing) < _MOST_FAILING:
            self._failing[after.certificate_id] = failing

    def _offer(self, timeline: Timeline, known: Collection[str]) -> Timeline:
        """Give every observer what it has not had; returns how far each came."""
        now = self.environment.now()
        here = self.plugins.observers
        behind = self._elsewhere(timeline, known, now)
        waiting = {name: one for name, one in timeline.behind.items() if name in here and _waits(one, now)}
        behind.update(waiting)
        asked = [name for name in here if name not in waiting]
        from_number = {name: _position(timeline, name) for name in asked}
        with self.storage.read() as transaction:
            first = min([timeline.delivered, *from_number.values()])
            events = transaction.events.following(timeline.certificate_id, first, limit=_EVENTS)
        delivered = max(timeline.delivered, events[-1].number) if events else timeline.delivered
        for name in asked:
            position, why = self._tell(name, events, after=from_number[name], token=timeline.token)
            if why:
                behind[name] = self._failed(timeline.behind.get(name), position, why)
            elif position < delivered:  # it has caught up by one batch, and there are more
                behind[name] = Behind(delivered=position, attempts=0, due_at=now, reason="")
        return evolve(timeline, delivered=delivered, behind=behind)

    def _elsewhere(self, timeline: Timeline, known: Collection[str], now: datetime) -> dict[str, Behind]:
        """The observers that this process has not got: their place is kept, for one that has."""
        absent = [name for name in known if name not in self.plugins.observers]
        if not absent:
            return {}
        new = Behind(delivered=timeline.delivered, attempts=0, due_at=now, reason="")
        kept = {name: timeline.behind.get(name, new) for name in absent}
        kept = {name: one for name, one in kept.items() if one.delivered < timeline.length}
        # One that was put off while a clock was ahead waits no longer than others.
        kept = {name: evolve(one, due_at=min(one.due_at, now + _NOT_HERE)) for name, one in kept.items()}
        due = min((one.due_at for one in kept.values()), default=None)
        if due is None or due > now:
            return kept
        _, left = self._left.pop(timeline.certificate_id, (now, None))
        if left != due:
            # It stays due, and this process stands back, so that one that has the observer gets it.
            self._left[timeline.certificate_id] = (now, due)
            if len(self._left) > _MOST_LEFT:
                self._left.pop(next(iter(self._left)), None)
            return kept
        # Nobody took it. It must not stand in the way of others for ever.
        with self.storage.read() as transaction:
            newest = transaction.events.following(timeline.certificate_id, timeline.length - 1, limit=1)
        age = now - newest[0].at if newest else _NOT_HERE
        again = now + min(max(age / 2, _FIRST_NOT_HERE), _NOT_HERE)
        return {name: evolve(one, due_at=max(one.due_at, again)) for name, one in kept.items()}

    def _tell(self, observer: str, events: Sequence[Event], *, after: int, token: int) -> tuple[int, str]:
        """Returns the number of the last event that the observer took, and why it did not take the next."""
        taken = after
        checked = self.environment.now()
        for event in events:
            if event.number <= after:
                continue
            now = self.environment.now()
            if now - checked > _STILL_MINE:
                checked = now
                self._renew(event.certificate_id, token)
            try:
                self.plugins.notify(observer, event, self.certificates)
            except PluginError as error:
                _log.error("%s Event %s of certificate %s is kept.", error.message, event.number, event.certificate_id)
                return taken, error.reason
            taken = event.number
        return taken, ""

    def _renew(self, certificate_id: str, token: int) -> None:
        """After a pause: does another process tell the observers already? Then this one must not tell them older news.

        Raises:
            LeaseLost: It does.
        """
        lease_until = self.environment.now() + LEASE
        with self.storage.write() as transaction:
            transaction.timelines.renew_lease(certificate_id, token=token, lease_until=lease_until)

    def _failed(self, before: Behind | None, position: int, reason: str) -> Behind:
        attempts = 1 if before is None or position > before.delivered else before.attempts + 1
        delay = retry_delay(Retry.SOON, attempts, self.environment.roll())
        return Behind(delivered=position, attempts=attempts, due_at=self.environment.now() + delay, reason=reason[:500])


def _waits(behind: Behind, now: datetime) -> bool:
    """Whether an observer that failed has to wait; not until a moment that was written while a clock was ahead."""
    return behind.due_at > now and not is_ahead(behind.due_at, now, LONGEST_RETRY)


def _position(timeline: Timeline, observer: str) -> int:
    behind = timeline.behind.get(observer)
    return timeline.delivered if behind is None else behind.delivered
