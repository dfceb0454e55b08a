"""Rules of stores for deliveries: the known observers, and a cursor per observer and certificate."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import pytest
from attrs import evolve

from certcore.errors import LeaseLostError
from certcore.model.deliveries import DeliveryCursor, KnownObserver
from certcore.model.events import Event, EventKind
from certcore.ports.storage import Storage
from certcore.testing.contracts.samples import LATER, NOW

__all__ = ["DeliveriesContract"]

_SECOND = timedelta(seconds=1)


class DeliveriesContract:
    """The part of `certcore.testing.contracts.storage.StorageContract` that is about deliveries."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    def test_pending_events_are_offered_to_all_observers(self, storage: Storage) -> None:
        """Events are offered once, the longest pending first. A new cursor begins after the events offered before."""
        _append(storage, "late", at=NOW + _SECOND)
        _append(storage, "c", "c")
        with storage.read() as transaction:
            assert transaction.deliveries.is_due(observers=["mail"], now=NOW - timedelta(days=9))
            assert transaction.deliveries.of_certificate("c") == []
        assert _offer(storage, "web", "mail", limit=1) == 1
        expected = DeliveryCursor(certificate_id="c", observer="mail", delivered=0, length=2, due_at=NOW)
        assert _cursors(storage) == [expected, evolve(expected, observer="web")]
        with storage.read() as transaction:
            timeline = transaction.timelines.get("c")
            assert (timeline.offered, timeline.pending_since) == (2, None)
            assert transaction.deliveries.of_certificate("late") == []
        assert _offer(storage, "web", "mail", now=NOW) == 1
        assert [cursor.due_at for cursor in _cursors(storage, "late")] == [NOW, NOW]  # not later than now
        assert _offer(storage, "web", "mail") == 0

    def test_an_observer_that_comes_later_begins_there(self, storage: Storage) -> None:
        """A new observer is offered later events, and those that nobody was offered; other cursors continue."""
        _append(storage, "c")
        _offer(storage, "web")
        _append(storage, "c", at=NOW + _SECOND)
        _offer(storage, "mail", "web")
        places = {cursor.observer: (cursor.delivered, cursor.length, cursor.due_at) for cursor in _cursors(storage)}
        assert places == {"mail": (1, 2, NOW + _SECOND), "web": (0, 2, NOW)}

    def test_only_what_is_due_to_these_observers_is_claimed(self, storage: Storage) -> None:
        """Only cursors of the given observers are claimed, the longest overdue first, up to the limit."""
        _append(storage, "late", at=NOW + _SECOND)
        _append(storage, "c")
        _offer(storage, "web", "mail", "elsewhere")
        with storage.read() as transaction:
            assert not transaction.deliveries.is_due(observers=["web"], now=NOW - _SECOND)
            assert transaction.deliveries.is_due(observers=["web"], now=NOW)
            assert not transaction.deliveries.is_due(observers=["nobody"], now=LATER)
        assert _claim(storage, "nobody") == []
        assert _claim(storage, "web", now=NOW - _SECOND) == []
        (first,) = _claim(storage, "web", "mail", limit=1)
        assert (first.certificate_id, first.observer) == ("c", "mail")
        assert (first.lease_owner, first.lease_until, first.token) == ("me", NOW + timedelta(minutes=1), 1)
        assert _cursors(storage)[1] == first
        rest = _claim(storage, "web", "mail", owner="you")
        assert [(each.certificate_id, each.observer) for each in rest] == [
            ("c", "web"),
            ("late", "mail"),
            ("late", "web"),
        ]
        assert _claim(storage, "web", "mail") == []
        with storage.read() as transaction:  # leased, but not delivered
            assert transaction.deliveries.is_due(observers=["web"], now=NOW)
        later = _claim(storage, "web", "mail", now=NOW + timedelta(minutes=1))
        assert [each.token for each in later] == [2, 2, 2, 2]

    def test_a_delivery_is_settled(self, storage: Storage) -> None:
        """A complete delivery is no longer due, and a failed one waits. The lease ends. Other cursors are unchanged."""
        _append(storage, "c", "c")
        _offer(storage, "mail", "web")
        mail, web = _claim(storage, "mail", "web")
        _settle(storage, evolve(mail, delivered=2, due_at=LATER))
        failed = evolve(web, delivered=1, attempts=3, failing_since=NOW, due_at=LATER, reason="it raised Größe.")
        _settle(storage, failed)
        settled = evolve(mail, delivered=2, due_at=None, lease_owner="", lease_until=None)
        failed = evolve(failed, lease_owner="", lease_until=None)
        assert _cursors(storage) == [settled, failed]
        with storage.read() as transaction:
            assert not transaction.deliveries.is_due(observers=["mail", "web"], now=LATER - _SECOND)
            assert not transaction.deliveries.is_due(observers=["mail"], now=LATER)
            failing = transaction.deliveries.failing(observers=["mail", "web"], limit=9)
            assert failing == [failed]
            assert transaction.deliveries.failing(observers=["mail"], limit=9) == []
            assert transaction.deliveries.failed_of(["c", "other"]) == [failed]
            assert transaction.deliveries.failed_of(["other"]) == transaction.deliveries.failed_of([]) == []
        (again,) = _claim(storage, "mail", "web", now=LATER)
        _settle(storage, evolve(again, delivered=2, attempts=0, failing_since=None, due_at=LATER, reason=""))
        with storage.read() as transaction:
            assert transaction.deliveries.failed_of(["c"]) == []
            assert transaction.deliveries.failing(observers=["mail", "web"], limit=9) == []

    def test_what_failed_can_be_tried_again_at_once(self, storage: Storage) -> None:
        """Failed deliveries to one observer or to all become due; others, and other certificates, are unchanged."""
        _append(storage, "c", "other")
        _offer(storage, "mail", "web", "log")
        for cursor in _claim(storage, "mail", "web"):
            failed = evolve(cursor, attempts=2, failing_since=NOW, due_at=LATER, reason="it is down")
            _settle(storage, failed)
        with storage.write() as transaction:
            assert transaction.deliveries.retry_now("c", observer="web", now=NOW + _SECOND) == 1
            assert transaction.deliveries.retry_now("c", observer="log", now=NOW + _SECOND) == 0
            assert transaction.deliveries.retry_now("unknown", observer=None, now=NOW + _SECOND) == 0
        due = {cursor.observer: (cursor.due_at, cursor.attempts) for cursor in _cursors(storage)}
        assert due == {"log": (NOW, 0), "mail": (LATER, 2), "web": (NOW + _SECOND, 2)}
        assert {cursor.due_at for cursor in _cursors(storage, "other")} == {NOW, LATER}
        with storage.write() as transaction:
            assert transaction.deliveries.retry_now("c", observer=None, now=NOW) == 2
        assert {cursor.due_at for cursor in _cursors(storage)} == {NOW}

    def test_events_that_come_during_a_delivery_are_not_missed(self, storage: Storage) -> None:
        """After a complete delivery, events offered meanwhile are due. They do not make a retry due earlier."""
        _append(storage, "c")
        _offer(storage, "mail", "web")
        mail, web = _claim(storage, "mail", "web")
        _append(storage, "c", at=NOW + _SECOND)
        _offer(storage, "mail", "web")
        _settle(storage, evolve(mail, delivered=1, due_at=NOW + _SECOND))
        _settle(storage, evolve(web, attempts=1, due_at=LATER, reason="down"))
        _append(storage, "c", at=NOW + 2 * _SECOND)
        _offer(storage, "mail", "web")
        places = {cursor.observer: (cursor.delivered, cursor.length, cursor.due_at) for cursor in _cursors(storage)}
        assert places == {"mail": (1, 3, NOW + _SECOND), "web": (0, 3, LATER)}

    def test_who_was_overtaken_settles_nothing(self, storage: Storage) -> None:
        """A delivery whose lease ran out and was taken over can neither renew it nor store its progress."""
        _append(storage, "c", "c")
        _offer(storage, "mail", "web")
        slow, other = _claim(storage, "mail", "web")
        with storage.write() as transaction:
            transaction.deliveries.renew_lease(slow, lease_until=LATER)
        assert _cursors(storage)[0].lease_until == LATER
        (quick,) = _claim(storage, "mail", now=LATER, owner="you")
        for call in ("renew", "settle"):
            with pytest.raises(LeaseLostError), storage.write() as transaction:
                if call == "renew":
                    transaction.deliveries.renew_lease(slow, lease_until=LATER)
                else:
                    transaction.deliveries.settle(evolve(slow, delivered=2))
        with storage.write() as transaction:  # the same transaction stores what is its own
            with pytest.raises(LeaseLostError):
                transaction.deliveries.settle(evolve(slow, delivered=2))
            transaction.deliveries.settle(evolve(other, delivered=2))
        assert _cursors(storage)[0] == quick
        assert _cursors(storage)[1].delivered == 2
        with pytest.raises(LeaseLostError), storage.write() as transaction:  # it is settled
            transaction.deliveries.settle(evolve(other, delivered=1))

    def test_a_cursor_that_was_begun_anew_is_not_that_of_an_old_lease(self, storage: Storage) -> None:
        """The new cursor of an observer that was forgotten during a delivery is not affected by the old lease."""
        with storage.write() as transaction:
            transaction.deliveries.save_observer(KnownObserver(name="mail", seen_at=NOW))
        _append(storage, "c")
        _offer(storage, "mail")
        (old,) = _claim(storage, "mail", owner="asleep")
        with storage.write() as transaction:
            assert transaction.deliveries.forget_observer("mail", limit=9)
        _append(storage, "c")
        _offer(storage, "mail")
        (new,) = _claim(storage, "mail", owner="awake")
        assert (new.token, new.delivered, new.length) == (old.token, 1, 2)
        with pytest.raises(LeaseLostError), storage.write() as transaction:
            transaction.deliveries.settle(evolve(old, delivered=1))
        assert _cursors(storage) == [new]

    def test_a_delivery_that_a_wrong_clock_has_put_off(self, storage: Storage) -> None:
        """A delivery that is due in some years is made due now, and a lease until then does not block it."""
        years = NOW + timedelta(days=6 * 365)
        _append(storage, "held")
        _offer(storage, "mail")
        with storage.write() as transaction:
            transaction.deliveries.claim_due(observers=["mail"], now=NOW, owner="me", lease_until=years, limit=9)
        _append(storage, "c", at=years)
        _append(storage, "soon", at=NOW + timedelta(minutes=50))
        _offer(storage, "mail", now=years)
        assert _claim(storage, "mail", owner="you") == []
        with storage.write() as transaction:
            assert transaction.deliveries.repair(now=NOW, limit=9) >= 1
            assert transaction.deliveries.repair(now=NOW, limit=9) == 0
        assert {cursor.certificate_id for cursor in _claim(storage, "mail", owner="you")} == {"c", "held"}

    def test_observers_are_known_until_they_are_forgotten(self, storage: Storage) -> None:
        """An observer has two dates. Its cursors are deleted in parts, and it is known until all are deleted."""
        observer = KnownObserver(name="Größe", seen_at=NOW)
        with storage.write() as transaction:
            transaction.deliveries.save_observer(evolve(observer, name="web"))
            transaction.deliveries.save_observer(observer)
            transaction.deliveries.save_observer(evolve(observer, seen_at=LATER, missed_since=LATER))
        with storage.write() as transaction:
            known = transaction.deliveries.known_observers(lock=True)
            assert known == transaction.deliveries.known_observers()
        assert known == [evolve(observer, seen_at=LATER, missed_since=LATER), evolve(observer, name="web")]
        _append(storage, "a", "b", "c")
        _offer(storage, "Größe", "web")
        calls = []
        for _ in range(3):
            with storage.write() as transaction:
                calls.append(transaction.deliveries.forget_observer("Größe", limit=2))
        assert calls == [False, True, True]
        with storage.read() as transaction:
            assert [observer.name for observer in transaction.deliveries.known_observers()] == ["web"]
            left = [
                cursor for certificate_id in "abc" for cursor in transaction.deliveries.of_certificate(certificate_id)
            ]
        assert {cursor.observer for cursor in left} == {"web"}
        assert len(left) == 3

    def test_several_at_once_claim_each_delivery_once(self, storage: Storage) -> None:
        """If several threads append, offer, claim and settle, each observer gets each event once and in order."""
        delivered: dict[tuple[str, str], list[int]] = {}
        ids = [f"c{number}" for number in range(6)]

        def work(owner: str) -> None:
            for turn in range(100_000):
                if turn < 10:
                    _append(storage, ids[turn % len(ids)])
                elif not _is_due(storage):
                    return
                with storage.write() as transaction:
                    transaction.deliveries.offer(observers=["mail", "web"], now=LATER, limit=3)
                    claimed = transaction.deliveries.claim_due(
                        observers=["mail", "web"], now=LATER, owner=owner, lease_until=LATER + _SECOND, limit=3
                    )
                for cursor in claimed:
                    numbers = delivered.setdefault((cursor.certificate_id, cursor.observer), [])
                    numbers += range(cursor.delivered + 1, cursor.length + 1)
                    _settle(storage, evolve(cursor, delivered=cursor.length, due_at=LATER))

        threads = [threading.Thread(target=work, args=(f"process {number}",)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        assert not any(thread.is_alive() for thread in threads)
        with storage.read() as transaction:
            lengths = {certificate_id: transaction.timelines.get(certificate_id).length for certificate_id in ids}
        assert sum(lengths.values()) == 30  # ten of each
        expected = {
            (certificate_id, name): list(range(1, lengths[certificate_id] + 1))
            for certificate_id in ids
            for name in ("mail", "web")
        }
        assert delivered == expected


def _event(certificate_id: str, at: datetime = NOW) -> Event:
    return Event(certificate_id=certificate_id, kind=EventKind.EDITED, at=at)


def _append(storage: Storage, *certificate_ids: str, at: datetime = NOW) -> None:
    with storage.write() as transaction:
        transaction.events.append([_event(certificate_id, at) for certificate_id in certificate_ids])


def _offer(storage: Storage, *observers: str, now: datetime = LATER, limit: int = 9) -> int:
    with storage.write() as transaction:
        return transaction.deliveries.offer(observers=observers, now=now, limit=limit)


def _claim(
    storage: Storage, *observers: str, now: datetime = NOW + _SECOND, owner: str = "me", limit: int = 9
) -> Sequence[DeliveryCursor]:
    with storage.write() as transaction:
        return transaction.deliveries.claim_due(
            observers=observers, now=now, owner=owner, lease_until=NOW + timedelta(minutes=1), limit=limit
        )


def _settle(storage: Storage, cursor: DeliveryCursor) -> None:
    with storage.write() as transaction:
        transaction.deliveries.settle(cursor)


def _cursors(storage: Storage, certificate_id: str = "c") -> Sequence[DeliveryCursor]:
    with storage.read() as transaction:
        return transaction.deliveries.of_certificate(certificate_id)


def _is_due(storage: Storage, observers: Collection[str] = ("mail", "web")) -> bool:
    with storage.read() as transaction:
        return transaction.deliveries.is_due(observers=observers, now=LATER)
