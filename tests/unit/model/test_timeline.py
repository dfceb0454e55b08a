"""A chain of hashes shows every change of a record."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.model.events import Event, EventKind
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.timeline import Timeline, chain, event_hash, first_fault

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
EVENTS = st.builds(
    Event,
    certificate_id=st.just("c"),
    kind=st.sampled_from(EventKind),
    at=MOMENTS,
    actor=st.text(max_size=9),
    from_status=st.none() | st.sampled_from(Status),
    to_status=st.none() | st.sampled_from(Status),
    data=st.dictionaries(st.text(max_size=5), JSON, max_size=3),
    problem=st.none() | st.builds(Problem, type=st.just("about:blank"), detail=st.text(max_size=9)),
)
RECORDS = st.lists(EVENTS, min_size=1, max_size=6)


def _chained(events):
    return chain(events, Timeline(certificate_id="c"))


@given(RECORDS)
def test_a_record_as_it_was_written_has_no_fault(events):
    """Any events, whatever they say, make a chain without a fault, in one piece or in two."""
    chained, timeline = _chained(events)
    assert first_fault(chained, length=0, head="") is None
    assert (timeline.length, timeline.head) == (len(events), chained[-1].hash)
    assert timeline.pending_since == events[0].at
    again, half = _chained(events[:2])
    rest, whole = chain(events[2:], half)
    assert [*again, *rest] == chained
    assert whole == timeline
    assert first_fault(rest, length=half.length, head=half.head) is None


@given(RECORDS, st.data())
def test_every_change_is_found(events, data):
    """A change of any member of any event is named by the event's number."""
    chained, _ = _chained(events)
    index = data.draw(st.integers(0, len(chained) - 1))
    stored = chained[index]
    changed = data.draw(
        st.sampled_from(
            [
                evolve(stored, actor=f"{stored.actor}x"),
                evolve(stored, at=stored.at + timedelta(microseconds=1)),
                evolve(stored, kind=next(kind for kind in EventKind if kind is not stored.kind)),
                evolve(stored, from_status=Status.DRAFT if stored.from_status is not Status.DRAFT else None),
                evolve(stored, to_status=Status.ACTIVE if stored.to_status is not Status.ACTIVE else None),
                evolve(stored, data={**stored.data, "added": 1}),
                evolve(stored, problem=Problem(type="urn:x") if stored.problem is None else None),
                evolve(stored, certificate_id="d"),
                evolve(stored, hash="0" * 64),
            ]
        )
    )
    forged = [*chained[:index], changed, *chained[index + 1 :]]
    assert str(first_fault(forged, length=0, head="")).startswith(f"event {index + 1} ")


@given(st.lists(EVENTS, min_size=2, max_size=6), st.data())
def test_nothing_is_left_out_or_put_in(events, data):
    """An event that is missing before the last, that comes twice or out of place is found."""
    chained, _ = _chained(events)
    index = data.draw(st.integers(0, len(chained) - 2))
    assert first_fault([*chained[:index], *chained[index + 1 :]], length=0, head="")
    assert first_fault([*chained[: index + 1], *chained[index:]], length=0, head="")
    assert first_fault([*chained[:index], chained[index + 1], chained[index]], length=0, head="")


@pytest.mark.parametrize("value", [{1, 2}, object(), b"x"])
def test_an_event_holds_plain_json_only(value):
    """What is not JSON cannot be hashed, and so not be stored: it would come back as something else."""
    event = Event(certificate_id="c", kind=EventKind.EDITED, at=datetime(2030, 1, 1, tzinfo=UTC), data={"x": value})
    with pytest.raises(TypeError, match="JSON"):
        event_hash(event, "")
