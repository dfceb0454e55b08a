"""`CertCore` itself: the calls of a scheduler, and what it keeps to itself."""

import inspect
from datetime import timedelta

import pytest

from certcore import CertCore
from certcore.errors import InvalidInputError
from support.inside import inside


def test_what_is_due_is_named_and_not_reserved(bench):
    """`due` names what `reconcile` has work for, twice if asked twice, and no longer when it is done or leased."""
    first, second = bench.requested("a.example"), bench.requested("b.example")
    assert list(bench.core.due()) == list(bench.core.due()) == [first, second]
    assert list(bench.core.due(1)) == [first]
    (schedule,) = inside(bench.core).engine.claim_due(1)
    assert list(bench.core.due()) == [second]
    inside(bench.core).engine.release(schedule)
    for _ in range(5):
        for certificate_id in bench.core.due():
            bench.core.reconcile(certificate_id)
        bench.environment.advance(timedelta(minutes=1))
    assert list(bench.core.due()) == []
    assert [bench.get(one).status for one in (first, second)] == ["active", "active"]


@pytest.mark.parametrize("limit", [0, 1001, True, "5", None])
def test_a_limit_of_due_is_a_number(bench, limit):
    """Anything but a whole number from 1 to 1000 is refused with the argument's name."""
    with pytest.raises(InvalidInputError) as refused:
        bench.core.due(limit)
    assert refused.value.field == "limit"


def test_now_is_the_clock_that_was_handed_in(bench):
    """A panel with a clock of its own shows the times that certcore goes by."""
    assert bench.core.now() == bench.environment.now()
    bench.environment.advance(timedelta(days=3))
    assert bench.core.now() == bench.environment.now()


def test_nothing_behind_the_facade_is_public():
    """Engine, outbox, storage, contexts and access checks are no attributes that a panel could come to rely on."""
    with CertCore.in_memory(installed_plugins=False) as core:
        for holder in (core, core.authorities, core.certificates, core.sealing_keys):
            for name, value in inspect.getmembers(holder, lambda value: not callable(value)):
                if not name.startswith("_"):
                    kind = type(value).__module__
                    assert not kind.startswith(("certcore.engine", "certcore.ports", "certcore.adapters")), name
