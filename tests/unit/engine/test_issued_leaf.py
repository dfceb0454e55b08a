"""A leaf that was issued is kept: installed when it serves, judged again when it is early, refused with words."""

from datetime import timedelta

import pytest

from certcore.model.lifecycle import Status
from certcore.model.order_limit import order_limit
from certcore.testing.scripted_ca import Act
from support.own_clock import DAY, HOUR, Machine


def test_names_that_nobody_asked_for_are_noted():
    """A CA that adds www. to every leaf: it is installed with one order, and event and page name what was added."""
    machine = Machine()
    machine.ca.extra = ("www.shop.example",)
    certificate_id = machine.requested()
    machine.run(30 * DAY)
    assert machine.get(certificate_id).status is Status.ACTIVE
    assert len(machine.ca.issued_at) == 1
    (event,) = [event for event in machine.core.certificates.timeline(certificate_id) if event.kind == "installed"]
    assert list(event.data["extra_names"]) == ["www.shop.example"]
    assert "www.shop.example" in str(machine.hints(certificate_id)["core.extra_names"].text)


@pytest.mark.parametrize("ahead", [2 * HOUR, 20 * HOUR])
def test_a_leaf_that_is_not_valid_yet_is_kept(ahead):
    """It is installed when it begins, without another order; until then the page says why, and to check the clock."""
    machine = Machine()
    machine.ca.ahead = ahead
    certificate_id = machine.requested()
    machine.work()
    waiting = machine.get(certificate_id)
    assert waiting.status is Status.PENDING
    assert "not valid before" in waiting.problem.title
    assert "clock" in waiting.problem.advice
    assert "core.attempt_problem" in machine.hints(certificate_id)
    machine.run(ahead - HOUR - timedelta(minutes=6))
    assert machine.get(certificate_id).status is Status.PENDING
    machine.run(timedelta(minutes=10))
    assert machine.get(certificate_id).status is Status.ACTIVE
    assert machine.get(certificate_id).problem is None
    assert len(machine.ca.issued_at) == 1
    assert machine.view(certificate_id).active.engine_state.kept_chain == ""


@pytest.mark.parametrize("wrong", [-30 * DAY, -10 * HOUR, 92 * DAY, 3650 * DAY])
def test_a_leaf_that_only_a_wrong_clock_refuses_is_kept(wrong):
    """Issued while this machine's clock is wrong, it is installed when the clock is right, with the order of before."""
    machine = Machine()
    machine.ca.ahead = -wrong
    right = machine.environment.now()
    machine.environment.advance(wrong)
    certificate_id = machine.requested()
    machine.work()
    assert machine.get(certificate_id).status is Status.PENDING
    machine.environment.set(right + timedelta(minutes=20))
    machine.ca.ahead = timedelta(0)
    machine.run(HOUR)
    assert machine.get(certificate_id).status is Status.ACTIVE
    assert len(machine.ca.issued_at) == 1


@pytest.mark.slow(reason="looks at the leaf every hour of a month")
def test_a_ca_whose_leaves_begin_in_a_month():
    """Three orders at most, a day apart; the leaf is installed when it begins."""
    machine = Machine()
    machine.ca.ahead = 30 * DAY
    certificate_id = machine.requested()
    machine.run(29 * DAY)
    assert machine.get(certificate_id).status is Status.PENDING
    assert len(machine.ca.issued_at) <= 3
    machine.run(5 * DAY)
    assert machine.get(certificate_id).status is Status.ACTIVE
    assert len(machine.ca.issued_at) <= 3


@pytest.mark.parametrize(("act", "orders"), [(Act.WRONG_KEY, 3), (Act.WRONG_NAMES, 2), (Act.GARBAGE, 3)])
def test_what_ordering_again_does_not_help_is_not_ordered_again(act, orders):
    """After the same refusal a few times it stops, with the reason and what to do; a user's Check now goes on."""
    machine = Machine()
    machine.ca.script = (act,)
    certificate_id = machine.requested()
    machine.run(30 * DAY)
    stopped = machine.get(certificate_id)
    assert stopped.status is Status.ERROR
    assert len(machine.ca.issued_at) == orders
    assert "No further order is placed" in stopped.problem.advice
    assert "certificate" in stopped.problem.title.lower()
    machine.ca.script = (Act.ISSUE,)
    machine.core.certificates.check_now(certificate_id)
    machine.work()
    assert machine.get(certificate_id).status is Status.ACTIVE


def test_an_issued_chain_survives_until_it_is_judged():
    """A leaf that cannot be installed yet is in the store with the attempt, and the module is not asked meanwhile."""
    machine = Machine()
    machine.ca.ahead = 5 * HOUR
    certificate_id = machine.requested()
    machine.work()
    (issuance,) = machine.core.certificates.issuances(certificate_id)
    assert "BEGIN CERTIFICATE" in issuance.engine_state.kept_chain
    assert "PRIVATE KEY" not in repr(issuance)
    calls = machine.ca.calls
    machine.run(3 * HOUR)
    assert machine.ca.calls == calls
    assert order_limit([issuance], machine.environment.now()).left == 4
    assert machine.ca.held == set()
