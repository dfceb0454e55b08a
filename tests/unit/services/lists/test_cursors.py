"""Cursors of lists: each is of one order, and those that are none are refused."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.model.listing import SortKey
from support.examples import examples


def _forged(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_a_cursor_is_of_one_order(world):
    """In another order, or the other direction, a cursor means nothing, and is refused with what to do."""
    cursors = {
        (order, descending): world.certificates.list(limit=2, order=order, descending=descending).next_cursor
        for order in SortKey
        for descending in (False, True)
    }
    for made, cursor in cursors.items():
        for order, descending in cursors:
            if (order, descending) == made:
                assert world.certificates.list(limit=2, order=order, descending=descending, after=cursor).items
                continue
            with pytest.raises(InvalidInputError) as refused:
                world.certificates.list(order=order, descending=descending, after=cursor)
            assert refused.value.field == "after"


@pytest.mark.parametrize(
    ("order", "cursor"),
    [
        *(
            (order, cursor)
            for order in SortKey
            for cursor in (
                "",
                "=",
                "é",
                "A",
                "AAAA",
                7,
                b"abc",
                "[" * 10,
                base64.urlsafe_b64encode(b"[" * 100_000).decode(),
                base64.urlsafe_b64encode(b"\xff\xfe").decode(),
                base64.urlsafe_b64encode(b"9" * 10_000).decode(),
                _forged(),
                _forged(str(order)),
                _forged(str(order), False, "x"),
                _forged(str(order), False, "x", "y", "z"),
                _forged(str(order), False, "a.example", 7),
                _forged(str(order), False, "a.example", None),
                _forged(str(order), False, ["a.example"], "id"),
                _forged(str(order), False, {"a": 1}, "id"),
                _forged(str(order), 0, "a.example", "id"),
                _forged(str(order), False, "a.example\0", "id"),
                _forged(str(order), False, "\ud800", "id"),
                _forged(str(order), False, "1", "id\ud800"),
                _forged(str(order), False, "1", "\0"),
                _forged(str(order), False, "1", "x" * 10_000),
                _forged("size", False, "a.example", "id"),
            )
        ),
        (SortKey.DOMAIN, _forged("domain", False, None, "id")),
        (SortKey.DOMAIN, _forged("domain", False, 5, "id")),
        (SortKey.CREATED_AT, _forged("created_at", False, None, "id")),
        (SortKey.CREATED_AT, _forged("created_at", False, "a.example", "id")),
        (SortKey.NOT_AFTER, _forged("not_after", False, 10**30, "id")),
        (SortKey.NOT_AFTER, _forged("not_after", False, -(10**30), "id")),
        (SortKey.NOT_AFTER, _forged("not_after", False, 1e400, "id")),
        (SortKey.NOT_AFTER, base64.urlsafe_b64encode(b'["not_after", false, NaN, "id"]').decode()),
    ],
)
def test_forged_cursors(world, order, cursor):
    """A cursor that certcore did not make is refused, in every kind of store."""
    with pytest.raises(InvalidInputError) as refused:
        world.certificates.list(order=order, after=cursor)
    assert refused.value.field == "after"


@examples(200, deadline=None)
@given(
    order=st.sampled_from(SortKey),
    cursor=st.text(max_size=40)
    | st.tuples(
        st.sampled_from([*map(str, SortKey), 1, None]),
        st.booleans() | st.none(),
        st.text(max_size=10) | st.integers() | st.floats() | st.none() | st.lists(st.none(), max_size=1),
        st.text(max_size=10) | st.integers() | st.none(),
    ).map(lambda parts: _forged(*parts)),
)
def test_no_cursor_breaks_anything(world, order, cursor):
    """Whatever is given, a page comes, or the words that it is no cursor."""
    refused = None
    try:
        world.certificates.list(order=order, after=cursor)
    except InvalidInputError as error:
        refused = error
    assert refused is None or refused.field == "after"
