"""What every store keeps about the record: events in chains, and how far they have been delivered."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from attrs import evolve

from certcore.errors import LeaseLost, NotFound
from certcore.model.events import Event, EventKind
from certcore.model.lifecycle import Status
from certcore.model.timeline import Behind, Timeline, event_hash, first_fault
from certcore.ports.storage import Storage
from certcore.testing.contracts.samples import LATER, NOW, PROBLEM

__all__ = ["TimelinesContract"]


class TimelinesContract:
    """The part of `certcore.testing.contracts.storage.StorageContract` that is about the record."""

    @pytest.fixture
    def storage(self) -> Storage:
        """An empty store."""
        raise NotImplementedError

    def test_events_are_numbered_in_order(self, storage: Storage) -> None:
        """Events get growing numbers; a timeline is the newest ones, oldest first; what follows a number is found."""
        events = [
            Event(
                certificate_id=f"certificate-{number % 2}",
                kind=EventKind.EDITED,
                at=NOW + timedelta(seconds=number),
                actor="ä",
                from_status=Status.DRAFT if number else None,
                to_status=Status.PENDING,
                data={"number": number, "list": [1.5, {"z": None, "a": "\N{SNOWMAN}"}]},
                problem=PROBLEM if number else None,
            )
            for number in range(6)
        ]
        with storage.write() as transaction:
            transaction.events.append(events[:4])
            transaction.events.append(events[4:])
            transaction.events.append([])
        with storage.read() as transaction:
            stored = transaction.events.after(0)
            assert [evolve(one, sequence=0, number=0, hash="") for one in stored] == events
            numbers = [one.sequence for one in stored]
            assert numbers == sorted(set(numbers))
            assert numbers[0] > 0
            assert [one.number for one in stored] == [1, 1, 2, 2, 3, 3]
            assert transaction.events.after(numbers[2], limit=2) == stored[3:5]
            assert transaction.events.of_certificate("certificate-1", limit=2) == [stored[3], stored[5]]
            assert transaction.events.following("certificate-1", 1) == [stored[3], stored[5]]
            assert transaction.events.following("certificate-0", 0, limit=2) == [stored[0], stored[2]]
            assert transaction.events.following("certificate-0", 3) == []
            assert transaction.events.after(numbers[-1]) == []

    def test_events_are_chained(self, storage: Storage) -> None:
        """Each event is bound to the one before it, over transactions and over one that was given up in between."""
        for number in range(3):
            with storage.write() as transaction:
                transaction.events.append([_event(number)])
            with pytest.raises(ZeroDivisionError), storage.write() as transaction:
                transaction.events.append([_event(100 + number), _event(200)])
                raise ZeroDivisionError
        with storage.read() as transaction:
            stored = transaction.events.following("c", 0)
            timeline = transaction.timelines.get("c")
        assert first_fault(stored, length=0, head="") == ""
        assert stored[0].hash == event_hash(stored[0], "")
        assert [one.data["number"] for one in stored] == [0, 1, 2]
        assert (timeline.length, timeline.head) == (3, stored[-1].hash)

    def test_nobody_takes_a_number_twice(self, storage: Storage) -> None:
        """Threads that tell of one certificate at once make one chain without a gap."""

        def tell(teller: int) -> None:
            for number in range(15):
                with storage.write() as transaction:
                    transaction.events.append([_event(number, actor=f"teller {teller}"), _event(number, "other")])

        threads = [threading.Thread(target=tell, args=(teller,)) for teller in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        with storage.read() as transaction:
            for certificate_id in ("c", "other"):
                stored = transaction.events.following(certificate_id, 0, limit=1000)
                assert [one.number for one in stored] == list(range(1, 61))
                assert first_fault(stored, length=0, head="") == ""

    def test_new_events_are_to_be_delivered(self, storage: Storage) -> None:
        """With its first event a certificate gets a timeline, which is due at once and claimed once."""
        with storage.read() as transaction:
            assert not transaction.timelines.is_due(now=LATER)
            with pytest.raises(NotFound):
                transaction.timelines.get("c")
        with storage.write() as transaction:
            transaction.events.append([_event(1), _event(2), _event(1, "late", at=NOW + timedelta(seconds=1))])
        with storage.write() as transaction:
            claimed = transaction.timelines.claim_due(now=LATER, owner="me", lease_until=LATER, limit=1)
        (mine,) = claimed
        assert (mine.certificate_id, mine.length, mine.delivered, mine.due_at) == ("c", 2, 0, NOW)
        assert (mine.lease_owner, mine.lease_until, mine.token) == ("me", LATER, 1)
        with storage.write() as transaction:
            assert transaction.timelines.get("c") == mine
            before_the_end = LATER - timedelta(microseconds=1)
            assert transaction.timelines.claim_due(now=NOW, owner="you", lease_until=LATER, limit=9) == []
            claim = partial(
                transaction.timelines.claim_due, now=before_the_end, owner="you", lease_until=LATER, limit=9
            )
            assert not transaction.timelines.is_due(now=LATER, without=["c", "late"])
            assert transaction.timelines.is_due(now=LATER, without=["c"])
            assert claim(without=["late", "c"]) == []
            others = claim(without=["nobody"])
            assert [one.certificate_id for one in others] == ["late"]
            assert transaction.timelines.is_due(now=LATER)

    def test_a_delivery_is_settled(self, storage: Storage) -> None:
        """What was delivered is not due any more; who failed is kept; an event that came meanwhile is due at once."""
        behind = {"webhook": Behind(delivered=1, attempts=3, due_at=LATER, reason="it raised Größe.")}
        mine = self._claimed(storage)
        with storage.write() as transaction:
            transaction.timelines.settle(
                "c", token=mine.token, delivered=2, behind=behind, now=NOW, due_at=LATER + timedelta(hours=1)
            )
            stored = transaction.timelines.get("c")
        assert stored == evolve(
            mine, delivered=2, behind=behind, due_at=LATER + timedelta(hours=1), lease_owner="", lease_until=None
        )
        with storage.write() as transaction:
            assert not transaction.timelines.is_due(now=LATER)
            transaction.events.append([_event(3)])
        mine = self._claimed(storage, tell=False)
        assert (mine.length, mine.delivered, mine.token) == (3, 2, 2)
        with storage.write() as transaction:
            transaction.events.append([_event(4)])
        with storage.write() as transaction:
            transaction.timelines.settle("c", token=mine.token, delivered=3, behind={}, now=LATER, due_at=None)
            assert transaction.timelines.get("c").due_at == LATER
            (mine,) = transaction.timelines.claim_due(now=LATER, owner="me", lease_until=LATER, limit=1)
            transaction.timelines.settle("c", token=mine.token, delivered=4, behind={}, now=LATER, due_at=None)
            assert not transaction.timelines.is_due(now=LATER + timedelta(days=9))

    def test_who_was_overtaken_settles_nothing(self, storage: Storage) -> None:
        """A delivery whose lease ran out and was taken over can neither renew it nor store how far it came."""
        slow = self._claimed(storage)
        with storage.write() as transaction:
            transaction.timelines.renew_lease("c", token=slow.token, lease_until=LATER)
            assert transaction.timelines.get("c").lease_until == LATER
            transaction.timelines.claim_due(now=LATER, owner="you", lease_until=LATER + timedelta(hours=1), limit=1)
        with pytest.raises(LeaseLost), storage.write() as transaction:
            transaction.timelines.renew_lease("c", token=slow.token, lease_until=LATER)
        with pytest.raises(LeaseLost), storage.write() as transaction:
            transaction.timelines.settle("c", token=slow.token, delivered=2, behind={}, now=NOW, due_at=None)
        with storage.read() as transaction:
            stored = transaction.timelines.get("c")
        assert (stored.delivered, stored.lease_owner, stored.token) == (0, "you", 2)

    def test_a_delivery_that_a_wrong_clock_has_put_off(self, storage: Storage) -> None:
        """What is to be delivered in some years is due now, and a lease until then keeps nobody away."""
        years = NOW + timedelta(days=6 * 365)
        with storage.write() as transaction:
            transaction.events.append([_event(1, "held", at=NOW)])
            transaction.timelines.claim_due(now=NOW, owner="me", lease_until=years, limit=9)
            transaction.events.append([_event(1, at=years), _event(1, "soon", at=NOW + timedelta(minutes=50))])
        with storage.write() as transaction:
            assert transaction.timelines.claim_due(now=NOW, owner="you", lease_until=LATER, limit=9) == []
            assert transaction.timelines.repair(now=NOW, limit=9) >= 1
            assert transaction.timelines.repair(now=NOW, limit=9) == 0
            claimed = transaction.timelines.claim_due(now=NOW, owner="you", lease_until=LATER, limit=9)
        assert {one.certificate_id for one in claimed} == {"c", "held"}

    def _claimed(self, storage: Storage, *, tell: bool = True) -> Timeline:
        with storage.write() as transaction:
            if tell:
                transaction.events.append([_event(1), _event(2)])
            (mine,) = transaction.timelines.claim_due(
                now=NOW, owner="me", lease_until=NOW + timedelta(seconds=60), limit=9
            )
            return mine


def _event(number: int, certificate_id: str = "c", **changes: Any) -> Event:
    event = Event(certificate_id=certificate_id, kind=EventKind.EDITED, at=NOW, data={"number": number})
    return evolve(event, **changes)
