"""Nothing runs free: renewals, orders and looks are bounded, whatever the CA, its module or a clock says."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from own_clock import DAY, HOUR, Looping, Machine, most_within

from certcore.model.issuance import Outcome
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.model.renewal_info import SuggestedWindow
from certcore.ports.ca_module import Failed, Waiting, WaitingFor
from certcore.testing.scripted_ca import Act

WEEK = 7 * DAY
YEAR_9999 = datetime(9999, 12, 31, tzinfo=UTC)


def _always(before, after):
    return lambda now: SuggestedWindow(start=now + before, end=now + after)


# -- renewals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifetime", "dated_back", "ahead"),
    [
        (90 * DAY, timedelta(0), -62 * DAY),  # this machine's clock is 62 days ahead
        (90 * DAY, timedelta(0), -89 * DAY),
        (30 * timedelta(minutes=1), 3 * DAY, timedelta(0)),  # leaves that are dated back
        (6 * HOUR, 30 * DAY, timedelta(0)),
        (DAY, 364 * DAY, timedelta(0)),
    ],
)
def test_a_leaf_is_not_due_when_it_is_installed(lifetime, dated_back, ahead):
    """A leaf that looks old when it comes is renewed when a share of what it has left has passed, later each time."""
    machine = Machine()
    machine.ca.lifetime, machine.ca.dated_back, machine.ca.ahead = lifetime, dated_back, ahead
    one = machine.requested()
    machine.work()
    left = machine.get(one).not_after - machine.environment.now()
    machine.run(min(20 * left, 30 * DAY))
    times = machine.ca.issued_at
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses or ahead
    assert all(pause >= left * 0.45 for pause in pauses)
    if ahead == timedelta(0):
        assert pauses[1] > pauses[0]
    assert machine.get(one).status is Status.ACTIVE
    assert len(times) <= 20 * 2 + 1


@pytest.mark.parametrize(
    "window",
    [
        _always(-HOUR, -HOUR / 2),
        _always(timedelta(0), timedelta(seconds=1)),
        _always(-3650 * DAY, -3000 * DAY),
        _always(timedelta(minutes=1), timedelta(minutes=2)),
    ],
)
def test_a_ca_that_always_says_now_gets_fewer_and_fewer_orders(window):
    """Renewal information that says "now" of every leaf, or moves with the present: the pauses grow."""
    machine = Machine()
    machine.ca.wish = window
    one = machine.requested()
    machine.run(60 * DAY)
    times = machine.ca.issued_at
    assert 2 <= len(times) <= 8
    assert most_within(times, WEEK) <= 5
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] <= 2 * DAY
    assert pauses == sorted(pauses)
    assert "core.early_renewals" in machine.hints(one)
    started = [event.data.get("early") for event in machine.core.certificates.timeline(one, limit=1000)]
    assert [early for early in started if early] == list(range(1, len(times)))


def test_an_incident_at_the_ca_renews_soon_and_once():
    """A CA that revokes one leaf says "now" for it: it is renewed within the hour, and the new leaf is left alone."""
    machine = Machine()
    one = machine.requested()
    incident = machine.environment.now() + 20 * DAY
    past = SuggestedWindow(start=incident - 2 * DAY, end=incident - DAY)
    later = SuggestedWindow(start=incident + 60 * DAY, end=incident + 61 * DAY)
    machine.ca.wish = lambda now: later if len(machine.ca.issued_at) > 1 or now < incident else past
    machine.run(20 * DAY)
    assert len(machine.ca.issued_at) == 1
    machine.run(7 * HOUR)  # renewal information is asked for every six hours
    assert len(machine.ca.issued_at) == 2
    machine.run(30 * DAY)
    assert len(machine.ca.issued_at) == 2
    assert machine.get(one).status is Status.ACTIVE


def test_a_users_renew_now_is_not_kept_waiting():
    """Renew now begins at once, however new the leaf is; beyond twice the bound it says why it waits."""
    machine = Machine()
    one = machine.requested()
    machine.work()
    for _ in range(20):
        machine.core.certificates.renew(one)
        machine.work()
    assert len(machine.ca.issued_at) == 10
    waiting = machine.get(one)
    assert waiting.problem.type == "urn:certcore:order-limit"
    assert "UTC" in waiting.problem.title
    assert "No more can be placed before" in waiting.problem.advice  # another click does not help any more
    assert "core.attempt_problem" in machine.hints(one)
    kinds = [event.kind for event in machine.core.certificates.timeline(one, limit=1000)]
    assert kinds.count("waiting") == 1
    machine.run(WEEK + DAY)
    assert len(machine.ca.issued_at) == 11
    assert machine.get(one).problem is None


# -- orders ----------------------------------------------------------------------------------------------------------


def _orders_for_ever(work, *, asks, tells):
    """A module that loses each order, and places another at once."""
    state = dict(work.state or {})
    if asks and not work.orders_left:
        return Waiting(state=state, look_again=work.next_order_at, waiting_for=WaitingFor.TURN)
    work_ca = state.get("orders", 0) + 1
    return Waiting(
        state={"orders": work_ca},
        look_again=work.environment.now() + timedelta(minutes=1),
        waiting_for=WaitingFor.AUTHORITY,
        ordered=True if tells else None,
    )


@pytest.mark.parametrize("asks", [True, False])
def test_orders_within_one_issuance_are_bounded(asks):
    """A module that orders again and again gets 5 orders a week; one that does not ask waits before its next step."""
    machine = Machine(Looping)
    placed = []

    def answer(work):
        step = _orders_for_ever(work, asks=asks, tells=True)
        if step.ordered:
            placed.append(work.environment.now())
        return step

    machine.ca.answer = answer
    one = machine.requested()
    machine.run(30 * DAY, most=20_000)
    assert most_within(placed, WEEK) <= (5 if asks else 6)
    assert len(placed) <= 5 * 30 / 7 + 6
    if not asks:
        assert machine.get(one).problem.type == "urn:certcore:order-limit"


@pytest.mark.parametrize("act", [Act.FAIL_NEVER, Act.WRONG_KEY, Act.WRONG_NAMES, Act.GARBAGE, Act.ENDED])
def test_a_ca_that_never_gets_it_right_gets_few_orders(act):
    """Whatever the CA returns for a renewal: 5 orders a week at most, and the leaf in service serves to its end."""
    machine = Machine()
    one = machine.requested()
    machine.work()
    machine.environment.set(machine.view(one).renews_at)
    machine.ca.script = (act,)
    machine.ca.issued_at.clear()
    before = machine.ca.calls
    machine.run(29 * DAY)
    assert most_within(machine.ca.issued_at, WEEK) <= 5
    assert machine.ca.calls - before <= 100
    assert machine.get(one).status is Status.ACTIVE
    assert machine.get(one).problem.advice
    assert "core.renewal_late" in machine.hints(one)
    machine.ca.script = (Act.ISSUE,)
    machine.core.certificates.check_now(one)
    machine.run(HOUR)
    assert machine.view(one).leaf.not_after > machine.environment.now() + 80 * DAY


# -- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(WaitingFor))
@pytest.mark.parametrize("again", [timedelta(0), -3650 * DAY, timedelta(milliseconds=1)])
def test_a_module_that_wants_to_be_asked_at_once_for_ever(kind, again):
    """It is asked some times in a row, and from then on once a minute."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: Waiting(
        state={"n": len(machine.ca.looks)}, look_again=work.environment.now() + again, waiting_for=kind
    )
    machine.requested()
    machine.run(6 * HOUR)
    assert len(machine.ca.looks) <= 50 + 6 * 60
    in_the_end = [at for at in machine.ca.looks if at > machine.environment.now() - 3 * HOUR]
    assert most_within(in_the_end, HOUR) <= 61


@pytest.mark.parametrize(
    ("kind", "longest"),
    [(WaitingFor.AUTHORITY, 6 * HOUR), (WaitingFor.OWNER, DAY), (WaitingFor.TURN, 7 * DAY)],
)
@pytest.mark.parametrize("again", [YEAR_9999, None])
def test_no_module_puts_a_certificate_to_sleep(kind, longest, again):
    """A look-again of the year 9999, or in some months, is bounded by the kind of wait, and by the leaf in service."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: Waiting(
        state={}, look_again=again or work.environment.now() + 100 * DAY, waiting_for=kind
    )
    one = machine.requested()
    machine.work()
    assert machine.view(one).schedule.due_at == machine.environment.now() + longest
    machine.ca.answer = lambda work: None
    machine.core.certificates.check_now(one)
    machine.work()
    machine.environment.set(machine.get(one).not_after - 10 * HOUR)
    machine.ca.answer = lambda work: Waiting(
        state={}, look_again=again or work.environment.now() + 100 * DAY, waiting_for=kind
    )
    machine.work()
    assert machine.view(one).schedule.due_at <= machine.environment.now() + HOUR


@pytest.mark.parametrize("retry", [Retry.SOON, Retry.SLOW])
def test_no_failure_puts_a_certificate_to_sleep(retry):
    """A Retry-After of the year 9999 is tried again within a day."""
    machine = Machine(Looping)
    problem = Problem(title="Not now.", advice="Wait.")
    machine.ca.answer = lambda work: Failed(state={}, problem=problem, retry=retry, retry_at=YEAR_9999)
    one = machine.requested()
    machine.work()
    assert machine.view(one).schedule.due_at <= machine.environment.now() + DAY


def test_a_wait_that_lasts_ends_in_words():
    """A CA that is at work for more than a day is said to be stuck, and another CA is tried where one is named."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: Waiting(
        state={}, look_again=work.environment.now() + HOUR, waiting_for=WaitingFor.AUTHORITY
    )
    one = machine.requested()
    machine.run(DAY - HOUR)
    assert machine.get(one).problem is None
    machine.run(2 * HOUR)
    assert machine.get(one).problem.type == "urn:certcore:stalled"
    assert "core.attempt_problem" in machine.hints(one)
    machine.run(2 * DAY)
    kinds = [event.kind for event in machine.core.certificates.timeline(one, limit=1000)]
    assert kinds.count("attempt_failed") == 1
    other = machine.core.authorities.create("other", module="scripted").id
    second = machine.requested("second.example", fallbacks=[other])
    machine.run(DAY + 8 * HOUR)
    assert machine.core.certificates.issuances(second)[0].outcome is Outcome.ABANDONED


# -- late renewals ---------------------------------------------------------------------------------------------------


def _waits(kind):
    return lambda work: Waiting(state={}, look_again=work.environment.now() + 6 * HOUR, waiting_for=kind)


@pytest.mark.parametrize("what", [*WaitingFor, Act.CA_DOWN, Act.FAIL_NEVER])
def test_a_renewal_that_does_not_get_done_is_never_silent(what):
    """A warning at a third of the time, an error at two, with a button; and the record is told, whatever keeps it."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: None
    one = machine.requested()
    machine.work()
    began, ends = machine.view(one).renews_at, machine.get(one).not_after
    machine.environment.set(began)
    if isinstance(what, WaitingFor):
        machine.ca.answer = _waits(what)
    else:
        machine.ca.script = (what,)
    third = (ends - began) / 3
    machine.run(third - HOUR)
    assert "core.renewal_late" not in machine.hints(one)
    machine.run(2 * HOUR)
    assert machine.hints(one)["core.renewal_late"].level == "warning"
    (event,) = [
        event for event in machine.core.certificates.timeline(one, limit=1000) if event.kind == "renewal_failing"
    ]
    assert event.at <= began + third + timedelta(minutes=1)
    assert event.problem.title
    machine.run(third)
    assert machine.hints(one)["core.renewal_late"].level == "error"
    buttons = {hint.name for hint in machine.core.certificates.hints(one) if hasattr(hint, "confirm")}
    assert buttons & {"check_now", "renew"}


@pytest.mark.parametrize("act", [Act.WRONG_KEY, Act.WRONG_NAMES])
def test_a_renewal_whose_leaf_was_refused_is_ordered_rarely(act):
    """After it stopped, a renewal is tried with one order now and then, more often towards the end of the leaf."""
    machine = Machine()
    one = machine.requested()
    machine.work()
    machine.environment.set(machine.view(one).renews_at)
    machine.ca.script = (act,)
    machine.ca.issued_at.clear()
    machine.run(15 * DAY)
    assert len(machine.ca.issued_at) <= 3 + 3
    machine.ca.script = (Act.ISSUE,)
    machine.run(8 * DAY)
    assert machine.view(one).leaf.not_after > machine.environment.now() + 80 * DAY


def test_renewal_information_does_not_put_a_failed_renewal_off_for_ever():
    """A renewal that failed for good is begun anew also where the CA is asked for its wish every six hours."""
    machine = Machine()
    one = machine.requested()
    begins = machine.environment.now() + 50 * DAY
    machine.ca.wish = lambda now: SuggestedWindow(start=begins, end=begins + HOUR)
    machine.work()
    machine.run(HOUR)
    machine.environment.set(machine.view(one).renews_at)
    machine.ca.script = (Act.FAIL_NEVER,)
    machine.run(3 * DAY)
    machine.ca.script = (Act.ISSUE,)
    machine.run(2 * DAY)
    assert machine.view(one).leaf.not_after > machine.environment.now() + 80 * DAY
