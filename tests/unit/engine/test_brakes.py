"""Nothing runs free: renewals, orders and looks are bounded, whatever the CA, its module or a clock says."""

import contextlib
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from certcore.model.issuance import Outcome
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.model.renewal_info import SuggestedWindow
from certcore.ports.ca_module import Failed, Waiting, WaitingFor
from certcore.testing.scripted_ca import Act
from support.own_clock import DAY, HOUR, Looping, Machine, most_within

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
    certificate_id = machine.requested()
    machine.work()
    left = machine.get(certificate_id).not_after - machine.environment.now()
    machine.run(min(20 * left, 30 * DAY))
    times = machine.ca.issued_at
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses or ahead
    assert all(pause >= left * 0.45 for pause in pauses)
    if ahead == timedelta(0):
        assert pauses[1] > pauses[0]
    assert machine.get(certificate_id).status is Status.ACTIVE
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
    certificate_id = machine.requested()
    machine.run(60 * DAY)
    times = machine.ca.issued_at
    assert 2 <= len(times) <= 8
    assert most_within(times, WEEK) <= 5
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] <= 2 * DAY
    assert pauses == sorted(pauses)
    assert "core.early_renewals" in machine.hints(certificate_id)
    started = [event.data.get("early") for event in machine.core.certificates.timeline(certificate_id, limit=1000)]
    assert [early for early in started if early] == list(range(1, len(times)))


def test_an_incident_at_the_ca_renews_soon_and_once():
    """A CA that revokes one leaf says "now" for it: it is renewed within the hour, and the new leaf is left alone."""
    machine = Machine()
    certificate_id = machine.requested()
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
    assert machine.get(certificate_id).status is Status.ACTIVE


def test_a_users_renew_now_is_not_kept_waiting():
    """Renew now begins at once, however new the leaf is; beyond twice the bound it says why it waits."""
    machine = Machine()
    certificate_id = machine.requested()
    machine.work()
    for _ in range(20):
        machine.core.certificates.renew(certificate_id)
        machine.work()
    assert len(machine.ca.issued_at) == 10
    waiting = machine.get(certificate_id)
    assert waiting.problem.type == "urn:certcore:order-limit"
    assert "UTC" in waiting.problem.title
    assert "Until then no order can be placed" in waiting.problem.advice  # another click does not help any more
    assert "core.attempt_problem" in machine.hints(certificate_id)
    kinds = [event.kind for event in machine.core.certificates.timeline(certificate_id, limit=1000)]
    assert kinds.count("waiting") == 1
    machine.run(WEEK + DAY)
    assert len(machine.ca.issued_at) == 11
    assert machine.get(certificate_id).problem is None


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
    certificate_id = machine.requested()
    machine.run(30 * DAY, most=20_000)
    assert most_within(placed, WEEK) <= (5 if asks else 6)
    assert len(placed) <= 5 * 30 / 7 + 6
    if not asks:
        assert machine.get(certificate_id).problem.type == "urn:certcore:order-limit"


@pytest.mark.parametrize(
    "act",
    [
        Act.FAIL_NEVER,
        Act.WRONG_KEY,
        Act.WRONG_NAMES,
        Act.GARBAGE,
        pytest.param(Act.ENDED, marks=pytest.mark.slow(reason="looks at the leaf every hour of a month")),
    ],
)
def test_a_ca_that_never_gets_it_right_gets_few_orders(act):
    """Whatever the CA returns for a renewal: 5 orders a week at most, and the leaf in service serves to its end."""
    machine = Machine()
    certificate_id = machine.requested()
    machine.work()
    machine.environment.set(machine.view(certificate_id).renews_at)
    machine.ca.script = (act,)
    machine.ca.issued_at.clear()
    before = machine.ca.calls
    machine.run(29 * DAY)
    assert most_within(machine.ca.issued_at, WEEK) <= 5
    assert machine.ca.calls - before <= 100
    assert machine.get(certificate_id).status is Status.ACTIVE
    assert machine.get(certificate_id).problem.advice
    assert "core.renewal_late" in machine.hints(certificate_id)
    machine.ca.script = (Act.ISSUE,)
    machine.core.certificates.check_now(certificate_id)
    machine.run(HOUR)
    assert machine.view(certificate_id).leaf.not_after > machine.environment.now() + 80 * DAY


def _announced(machine, end):
    """A machine whose module announces each order, and ends its step in some way; and when it did."""
    placed = []

    def answer(work):
        if not work.orders_left:
            return Waiting(state={}, look_again=work.next_order_at, waiting_for=WaitingFor.TURN)
        work.documents.put_many({}, announces_order=True)
        placed.append(work.environment.now())
        return end(work)

    machine.ca.answer = answer
    return placed


def _failed(**told):
    problem = Problem(title="No answer.", advice="Wait.")
    return lambda work: Failed(state={}, problem=problem, retry=Retry.SOON, **told)


def _killed(work):
    raise KeyboardInterrupt


def _broken(work):
    raise RuntimeError("a bug")


@pytest.mark.parametrize(
    ("end", "most"),
    [(_failed(ordered=True), 5), (_failed(), 5), (_broken, 5), (_failed(ordered=False, orders_refused=1), 20)],
    ids=["unknown", "does not tell", "raises", "refused"],
)
@pytest.mark.parametrize("left", [None, 6 * DAY], ids=["no leaf", "the leaf ends in six days"])
def test_orders_that_may_have_been_placed_count_and_refused_ones_have_a_bound_of_their_own(end, most, left):
    """Whatever became of an order, no certificate asks for more than its bound in any week, its leaf's last too."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: None
    certificate_id = machine.requested()
    machine.work()
    if left is None:
        other = machine.requested("other.example")
    else:
        machine.environment.set(machine.get(certificate_id).not_after - left)
        other = certificate_id
    placed = _announced(machine, end)
    machine.run(21 * DAY, most=20_000)
    assert most - 2 <= most_within(placed, WEEK) <= most
    counted = [at for issuance in machine.core.certificates.issuances(other) for at in issuance.engine_state.orders]
    assert len(counted) >= (len(placed) if most == 5 else 0)


def test_an_order_is_counted_before_the_ca_hears_of_it():
    """A process that dies between the request and its answer, again and again, has placed five orders and no more."""
    machine = Machine(Looping)
    placed = _announced(machine, _killed)
    certificate_id = machine.requested()
    for _ in range(30):
        machine.environment.advance(HOUR)
        with contextlib.suppress(KeyboardInterrupt):
            machine.core.reconcile(certificate_id)
    assert len(placed) == 5
    (issuance,) = machine.core.certificates.issuances(certificate_id)
    assert list(issuance.engine_state.orders) == placed


def test_a_user_may_place_one_order_more_while_the_next_one_is_not_due():
    """After an order that led to nothing only a user's action brings the next one forward, by one."""
    machine = Machine(Looping)
    placed = _announced(machine, _failed(ordered=True))
    certificate_id = machine.requested()
    machine.run(DAY)
    before = len(placed)
    for clicks in range(1, 4):
        machine.core.certificates.check_now(certificate_id)
        machine.work()
        assert len(placed) == before + clicks
        machine.run(HOUR)
        assert len(placed) == before + clicks


# -- looks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(WaitingFor))
@pytest.mark.parametrize("again", [timedelta(0), -3650 * DAY, timedelta(milliseconds=1)])
def test_a_module_that_wants_to_be_asked_at_once_for_ever(kind, again):
    """It is asked some times in a row, and from then on once a minute; five times a minute while its owner acts.

    The owner is to see within 20 seconds what a repair has done, in the first hour of the wait.
    """
    machine = Machine(Looping)
    machine.ca.answer = lambda work: Waiting(
        state={"n": len(machine.ca.looks)}, look_again=work.environment.now() + again, waiting_for=kind
    )
    machine.requested()
    machine.run(6 * HOUR)
    in_the_first_hour = 50 * 5 + 5 * 60 if kind is WaitingFor.OWNER else 50 + 60
    assert len(machine.ca.looks) <= in_the_first_hour + 5 * 60
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
    certificate_id = machine.requested()
    machine.work()
    assert machine.view(certificate_id).schedule.due_at == machine.environment.now() + longest
    machine.ca.answer = lambda work: None
    machine.core.certificates.check_now(certificate_id)
    machine.work()
    machine.environment.set(machine.get(certificate_id).not_after - 10 * HOUR)
    machine.ca.answer = lambda work: Waiting(
        state={}, look_again=again or work.environment.now() + 100 * DAY, waiting_for=kind
    )
    machine.work()
    assert machine.view(certificate_id).schedule.due_at <= machine.environment.now() + HOUR


@pytest.mark.parametrize("retry", [Retry.SOON, Retry.SLOW])
def test_no_failure_puts_a_certificate_to_sleep(retry):
    """A Retry-After of the year 9999 is tried again within a day."""
    machine = Machine(Looping)
    problem = Problem(title="Not now.", advice="Wait.")
    machine.ca.answer = lambda work: Failed(state={}, problem=problem, retry=retry, retry_at=YEAR_9999)
    certificate_id = machine.requested()
    machine.work()
    assert machine.view(certificate_id).schedule.due_at <= machine.environment.now() + DAY


def test_a_wait_that_lasts_ends_in_words():
    """A CA that is at work for more than a day is said to be stuck, and another CA is tried where one is named."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: Waiting(
        state={}, look_again=work.environment.now() + HOUR, waiting_for=WaitingFor.AUTHORITY
    )
    certificate_id = machine.requested()
    machine.run(DAY - HOUR)
    assert machine.get(certificate_id).problem is None
    machine.run(2 * HOUR)
    assert machine.get(certificate_id).problem.type == "urn:certcore:stalled"
    assert "core.attempt_problem" in machine.hints(certificate_id)
    machine.run(2 * DAY)
    kinds = [event.kind for event in machine.core.certificates.timeline(certificate_id, limit=1000)]
    assert kinds.count("attempt_failed") == 1
    other = machine.core.authorities.create("other", module="scripted").id
    second = machine.requested("second.example", fallbacks=[other])
    machine.run(DAY + 8 * HOUR)
    assert machine.core.certificates.issuances(second)[0].outcome is Outcome.ABANDONED


# -- late renewals ---------------------------------------------------------------------------------------------------


def _waits(kind):
    return lambda work: Waiting(state={}, look_again=work.environment.now() + 6 * HOUR, waiting_for=kind)


@pytest.mark.parametrize(
    "what",
    [
        *WaitingFor,
        pytest.param(Act.CA_DOWN, marks=pytest.mark.slow(reason="asks the CA every hour of a month")),
        Act.FAIL_NEVER,
    ],
)
def test_a_renewal_that_does_not_get_done_is_never_silent(what):
    """A late renewal is a warning, then an error, with a button and an event, whatever the reason."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: None
    certificate_id = machine.requested()
    machine.work()
    began, ends = machine.view(certificate_id).renews_at, machine.get(certificate_id).not_after
    machine.environment.set(began)
    if isinstance(what, WaitingFor):
        machine.ca.answer = _waits(what)
    else:
        machine.ca.script = (what,)
    third = (ends - began) / 3
    machine.run(third - HOUR)
    assert "core.renewal_late" not in machine.hints(certificate_id)
    machine.run(2 * HOUR)
    assert machine.hints(certificate_id)["core.renewal_late"].level == "warning"
    (event,) = [
        event
        for event in machine.core.certificates.timeline(certificate_id, limit=1000)
        if event.kind == "renewal_failing"
    ]
    assert event.at <= began + third + timedelta(minutes=1)
    assert event.problem.title
    machine.run(third)
    assert machine.hints(certificate_id)["core.renewal_late"].level == "error"
    buttons = {hint.name for hint in machine.core.certificates.hints(certificate_id) if hasattr(hint, "confirm")}
    assert buttons & {"check_now", "renew"}


@pytest.mark.parametrize("act", [Act.WRONG_KEY, Act.WRONG_NAMES])
def test_a_renewal_whose_leaf_was_refused_is_ordered_rarely(act):
    """After it stopped, a renewal is tried with one order now and then, more often towards the end of the leaf."""
    machine = Machine()
    certificate_id = machine.requested()
    machine.work()
    machine.environment.set(machine.view(certificate_id).renews_at)
    machine.ca.script = (act,)
    machine.ca.issued_at.clear()
    machine.run(15 * DAY)
    assert len(machine.ca.issued_at) <= 3 + 3
    machine.ca.script = (Act.ISSUE,)
    machine.run(8 * DAY)
    assert machine.view(certificate_id).leaf.not_after > machine.environment.now() + 80 * DAY


def test_renewal_information_does_not_put_a_failed_renewal_off_for_ever():
    """A renewal that failed for good is retried, even if the CA is asked for renewal information every six hours."""
    machine = Machine()
    certificate_id = machine.requested()
    begins = machine.environment.now() + 50 * DAY
    machine.ca.wish = lambda now: SuggestedWindow(start=begins, end=begins + HOUR)
    machine.work()
    machine.run(HOUR)
    machine.environment.set(machine.view(certificate_id).renews_at)
    machine.ca.script = (Act.FAIL_NEVER,)
    machine.run(3 * DAY)
    machine.ca.script = (Act.ISSUE,)
    machine.run(2 * DAY)
    assert machine.view(certificate_id).leaf.not_after > machine.environment.now() + 80 * DAY
