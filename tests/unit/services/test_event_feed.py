"""The feed of all events: every event once, by a cursor, and of one owner only what was this owner's."""

import pytest

from certcore import AccessDeniedError, EventKind, InvalidInputError, Role, RolePolicy
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.cores import core_on
from support.situations import SITUATIONS, certificate_in


class Owned:
    """A bench whose certificates have an owner."""

    def __init__(self, bench):
        self.core, self.ca, self.step, self._draft = bench.core, bench.ca, bench.step, bench.draft

    def draft(self, domain, **fields):
        return self._draft(domain, owner="customer-7", **fields)


def kinds(page):
    return [item.event.kind for item in page.items]


def test_a_reader_with_a_cursor_gets_every_event_once(bench):
    """Pages follow each other, an empty page keeps the place, and what happens later comes with the next call."""
    first = bench.draft().id
    second = bench.requested("other.example")
    page = bench.core.events(limit=2)
    assert [(item.event.kind, item.domain) for item in page.items] == [
        (EventKind.CREATED, "shop.example"),
        (EventKind.CREATED, "other.example"),
    ]
    rest = bench.core.events(after=page.next_cursor)
    assert kinds(rest) == [EventKind.CSR_GENERATED]
    empty = bench.core.events(after=rest.next_cursor)
    assert (empty.items, empty.next_cursor) == ((), rest.next_cursor)
    bench.core.certificates.delete(first)
    (deleted,) = bench.core.events(after=empty.next_cursor).items
    assert (deleted.event.kind, deleted.event.certificate_id, deleted.domain) == (EventKind.DELETED, first, "")
    assert second in {item.event.certificate_id for item in bench.core.events().items}


def test_the_latest_events_of_a_dashboard(bench):
    """Newest first, page by page; a cursor leads back in the other direction, too."""
    for number in range(5):
        bench.draft(f"d{number}.example")
    latest = bench.core.events(descending=True, limit=2)
    assert [item.domain for item in latest.items] == ["d4.example", "d3.example"]
    older = bench.core.events(descending=True, limit=2, after=latest.next_cursor)
    assert [item.domain for item in older.items] == ["d2.example", "d1.example"]
    assert [item.domain for item in bench.core.events(after=older.next_cursor).items] == [
        "d2.example",
        "d3.example",
        "d4.example",
    ]


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_event_has_the_owner_of_its_certificate(bench, name):
    """Whatever happens to a certificate, its owner finds it in the feed of that owner, and the timeline agrees."""
    certificate_id = certificate_in(Owned(bench), name)
    if bench.get(certificate_id).active_issuance_id is not None:
        bench.core.certificates.private_key(certificate_id, reason="test")
    timeline = bench.core.certificates.timeline(certificate_id)
    of_owner = [item.event for item in bench.core.events(owner="customer-7").items]
    assert of_owner == list(timeline)
    assert bench.core.events(owner="").items == ()


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_an_owner_sees_its_own_events_alone(store, tmp_path):
    """The feed of everybody needs a permission of its own; the events of a deleted certificate stay the owner's."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    options = {"plugins": [ca.plugin(), RolePolicy({"system": Role.ADMINISTRATOR})], "environment": environment}
    with core_on(store, tmp_path, **options) as core:
        authority = core.authorities.create("test", module="scripted", settings={"api_key": "k"})
        for owner in ("anna", "bert"):
            certificate_id = core.certificates.create("shop.example", authority=authority.id, owner=owner).id
            core.certificates.delete(certificate_id)
        page = core.events(owner="anna", actor="anna")
        assert kinds(page) == [EventKind.CREATED, EventKind.DELETED]
        assert {item.event.owner for item in page.items} == {"anna"}
        for owner in ("bert", None, ""):
            with pytest.raises(AccessDeniedError):
                core.events(owner=owner, actor="anna")
        assert len(core.events().items) == 4


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "", 5, "9" * 30, "\N{ARABIC-INDIC DIGIT ONE}"])
def test_a_cursor_that_is_no_cursor_is_refused(bench, after):
    """A cursor is what a page has returned."""
    with pytest.raises(InvalidInputError) as refused:
        bench.core.events(after=after)
    assert refused.value.field == "after"


def test_a_timeline_is_read_in_pages_backwards(bench):
    """The events before a number, the nearest of them; their numbers have no gaps, and together they are all."""
    core = bench.core
    draft = bench.draft()
    for number in range(9):
        core.certificates.edit(draft.id, subject={"organization": f"Shop {number}"})
    everything = core.certificates.timeline(draft.id)
    timeline = core.certificates.timeline
    assert [event.number for event in everything] == list(range(1, 11))
    assert timeline(draft.id, before=11, limit=4) == everything[6:]
    assert timeline(draft.id, before=7, limit=4) == everything[2:6]
    assert timeline(draft.id, before=3, limit=4) == everything[:2]
    assert list(timeline(draft.id, before=1)) == []
    assert timeline(draft.id, after=2, before=9, limit=3) == everything[2:5]
    assert timeline(draft.id, after=2, before=5) == everything[2:4]
    assert timeline(draft.id, before=10_000) == everything
    with pytest.raises(InvalidInputError):
        timeline(draft.id, before=-1)
