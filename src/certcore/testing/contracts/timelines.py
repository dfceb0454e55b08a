"""Rules of stores for timelines: the chains of events, and their ends."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from certcore.errors import NotFoundError
from certcore.model.events import Event, EventKind
from certcore.model.lifecycle import Status
from certcore.model.timeline import event_hash, first_fault
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
        """Events get increasing numbers. A timeline lists the newest events, oldest first, or those after a number."""
        events = [
            Event(
                certificate_id=f"certificate-{number % 2}",
                kind=EventKind.EDITED,
                at=NOW + timedelta(seconds=number),
                owner=("", "Größe")[number % 2],
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
            assert [evolve(event, sequence=0, position=0, number=0, hash="") for event in stored] == events
            numbers = [event.sequence for event in stored]
            assert numbers == sorted(set(numbers))
            assert numbers[0] > 0
            assert [event.number for event in stored] == [1, 1, 2, 2, 3, 3]
            assert transaction.events.after(numbers[2], limit=2) == stored[3:5]
            assert transaction.events.of_certificate("certificate-1", limit=2) == [stored[3], stored[5]]
            assert transaction.events.following("certificate-1", 1) == [stored[3], stored[5]]
            assert transaction.events.following("certificate-0", 0, limit=2) == [stored[0], stored[2]]
            assert transaction.events.following("certificate-0", 3) == []
            assert transaction.events.after(numbers[-1]) == []

    def test_the_feed_has_every_event_once(self, storage: Storage) -> None:
        """The feed has every event once, in pages in both directions, for all owners or one. New events come last."""
        with storage.write() as transaction:
            transaction.events.append([evolve(_event(number), owner="ab"[number % 2]) for number in range(5)])
        _number(storage, 5)
        with storage.read() as transaction:
            feed = transaction.events.feed
            first = feed(limit=3)
            assert [event.data["number"] for event in first] == [0, 1, 2]
            assert [event.data["number"] for event in feed(after=first[-1].position)] == [3, 4]
            assert [event.data["number"] for event in feed(owner="b")] == [1, 3]
            newest = feed(descending=True, limit=2)
            assert [event.data["number"] for event in newest] == [4, 3]
            assert [event.data["number"] for event in feed(descending=True, after=newest[-1].position)] == [2, 1, 0]
            assert feed(after=newest[0].position) == feed(owner="c") == []
        with storage.write() as transaction:
            transaction.events.append([_event(5)])
        _number(storage, 1)
        with storage.read() as transaction:
            assert [event.data["number"] for event in transaction.events.feed(after=newest[0].position)] == [5]
            assert len({event.position for event in transaction.events.feed()}) == 6

    def test_events_are_chained(self, storage: Storage) -> None:
        """Each event is chained to the event before it, across transactions, even if one was rolled back."""
        for number in range(3):
            with storage.write() as transaction:
                transaction.events.append([_event(number)])
            with pytest.raises(ZeroDivisionError), storage.write() as transaction:
                transaction.events.append([_event(100 + number), _event(200)])
                raise ZeroDivisionError
        with storage.read() as transaction:
            stored = transaction.events.following("c", 0)
            timeline = transaction.timelines.get("c")
        assert first_fault(stored, length=0, head="") is None
        assert stored[0].hash == event_hash(stored[0], "")
        assert [event.data["number"] for event in stored] == [0, 1, 2]
        assert (timeline.length, timeline.head) == (3, stored[-1].hash)

    def test_nobody_takes_a_number_twice(self, storage: Storage) -> None:
        """If threads append events of one certificate concurrently, the events form one chain without gaps."""

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
                assert [event.number for event in stored] == list(range(1, 61))
                assert first_fault(stored, length=0, head="") is None

    def test_new_events_are_pending(self, storage: Storage) -> None:
        """The first event of a certificate begins its timeline, which is pending since then, whatever follows."""
        with storage.read() as transaction, pytest.raises(NotFoundError):
            transaction.timelines.get("c")
        for second in range(3):
            with storage.write() as transaction:
                transaction.events.append([_event(second, at=NOW + timedelta(seconds=second)), _event(9, at=LATER)])
                timeline = transaction.timelines.get("c")
            assert (timeline.length, timeline.offered, timeline.pending_since) == (2 + 2 * second, 0, NOW)


def _event(number: int, certificate_id: str = "c", **changes: Any) -> Event:
    event = Event(certificate_id=certificate_id, kind=EventKind.EDITED, at=NOW, data={"number": number})
    return evolve(event, **changes)


def _number(storage: Storage, events: int) -> None:
    """Give new events their positions; several events in two parts."""
    with storage.read() as transaction:
        if not transaction.events.has_unnumbered():
            return
    with storage.write() as transaction:
        assert transaction.events.number(limit=1) == 1
    with storage.write() as transaction:
        assert transaction.events.number(limit=1000) == events - 1
    with storage.read() as transaction:
        assert not transaction.events.has_unnumbered()
