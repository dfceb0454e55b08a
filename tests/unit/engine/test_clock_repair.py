"""Clocks that jump by up to ten years, in both directions, at any step: nothing of it lasts."""

from datetime import timedelta

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from certcore.hookspecs import hookimpl
from certcore.model.lifecycle import Status
from certcore.model.notice_policy import NoticePolicy
from certcore.model.stored_moments import CLOCK_TOLERANCE
from certcore.testing.scripted_ca import Act
from support.inside import inside
from support.own_clock import DAY, HOUR, Machine

YEARS = 365 * DAY
JUMPS = st.timedeltas(min_value=-10 * YEARS, max_value=10 * YEARS) | st.sampled_from(
    [2 * HOUR, -2 * HOUR, DAY, -DAY, 45 * DAY, 6 * YEARS, -6 * YEARS]
)


def _jump(machine, by, *, steps=4):
    """The clock is wrong for some minutes; the CA's is right. A worker goes on meanwhile."""
    machine.ca.ahead = -by
    machine.environment.advance(by)
    for _ in range(steps):
        machine.work()
        machine.environment.advance(timedelta(minutes=1))
    machine.ca.ahead = timedelta(0)
    machine.environment.advance(-by)


@pytest.mark.parametrize("by", [62 * DAY, 6 * YEARS, -6 * YEARS, DAY, -80 * DAY])
def test_a_certificate_returns_by_itself(by):
    """After minutes under a wrong clock an active certificate is active, and one that waits is looked at soon."""
    machine = Machine()
    active = machine.requested("active.example")
    machine.run(DAY)
    ends = machine.get(active).not_after
    machine.ca.script = (Act.WAIT_OWNER,)
    waiting = machine.requested("waiting.example")
    machine.work()
    _jump(machine, by)
    machine.run(HOUR)
    assert machine.get(active).status is Status.ACTIVE
    assert machine.get(active).not_after >= ends
    assert machine.get(waiting).status is Status.PENDING
    assert machine.view(waiting).schedule.due_at <= machine.environment.now() + 2 * timedelta(minutes=1)
    assert machine.view(active).schedule.due_at <= machine.environment.now() + 90 * DAY
    kinds = [event.kind for event in machine.core.certificates.timeline(active)]
    assert kinds.count("reinstated") == kinds.count("expired")
    machine.ca.script = (Act.ISSUE,)
    machine.run(HOUR)
    assert machine.get(waiting).status is Status.ACTIVE


def test_an_attempt_that_failed_for_good_under_a_wrong_clock_goes_on():
    """A CA that refuses because the clock is wrong is asked again when it is right."""
    machine = Machine()
    machine.ca.script = (Act.FAIL_NEVER,)
    machine.environment.advance(3 * YEARS)
    certificate_id = machine.requested()
    machine.work()
    assert machine.get(certificate_id).status is Status.ERROR
    machine.ca.script = (Act.ISSUE,)
    machine.environment.advance(-3 * YEARS)
    machine.run(HOUR)
    assert machine.get(certificate_id).status is Status.ACTIVE


@pytest.mark.parametrize("by", [-141 * DAY, -2 * HOUR])
def test_a_failure_for_good_stays_one_when_the_clock_was_behind(by):
    """Minutes under a clock that is behind do not make the CA be asked again about what it refused."""
    machine = Machine()
    machine.ca.script = (Act.FAIL_NEVER,)
    certificate_id = machine.requested()
    machine.run(HOUR)
    calls = machine.ca.calls
    _jump(machine, by)
    machine.run(2 * DAY)
    assert machine.get(certificate_id).status is Status.ERROR
    assert machine.ca.calls == calls


def test_a_leaf_of_a_ca_that_shares_the_wrong_clock():
    """A CA in this process issues from the future: that is said, and half an hour later there is a valid leaf."""
    machine = Machine()
    certificate_id = machine.requested()
    machine.run(DAY)
    machine.environment.advance(6 * YEARS)
    machine.work()
    machine.run(HOUR)
    machine.environment.advance(-6 * YEARS)
    machine.work()
    assert machine.view(certificate_id).leaf.not_before > machine.environment.now() + DAY
    assert "core.leaf_from_future" in machine.hints(certificate_id)
    machine.run(HOUR)
    leaf = machine.view(certificate_id).leaf
    assert leaf.not_before <= machine.environment.now() < leaf.not_after
    assert machine.get(certificate_id).status is Status.ACTIVE


def test_leases_of_a_wrong_clock_hold_nobody_up():
    """A worker that died under a clock six years ahead leaves a lease that is not waited for."""
    machine = Machine()
    certificate_id = machine.requested()
    machine.environment.advance(6 * YEARS)
    inside(machine.core).engine.claim_due(10)
    machine.environment.advance(-6 * YEARS)
    machine.run(HOUR)
    assert machine.get(certificate_id).status is Status.ACTIVE
    two = machine.requested("two.example")
    machine.environment.advance(6 * YEARS)
    inside(machine.core).engine.claim_due(10)
    machine.environment.advance(-6 * YEARS)
    assert machine.core.reconcile(two).stepped


def test_notices_that_a_wrong_clock_has_sent_are_sent_again():
    """A notice that a wrong clock sent years too early is sent again at the right time."""
    machine = Machine(notices=NoticePolicy())
    certificate_id = machine.requested(renewal={"auto": False})
    machine.run(DAY)
    _jump(machine, 80 * DAY)
    machine.run(88 * DAY)
    told = [
        event.data["days"]
        for event in machine.core.certificates.timeline(certificate_id, limit=1000)
        if event.kind == "expires_soon" and event.at < machine.get(certificate_id).not_after - 20 * DAY
    ]
    assert 30 in told


class _Observer:
    def __init__(self):
        self.fails = True
        self.seen = []

    @hookimpl
    def certcore_on_event(self, event, certificates):
        if self.fails:
            raise RuntimeError("down")
        self.seen.append(event.kind)


def test_deliveries_that_a_wrong_clock_has_put_off():
    """A target that failed under a clock six years ahead is tried again within an hour and a half."""
    observer = _Observer()
    machine = Machine(more_plugins=[observer])
    certificate_id = machine.requested()
    machine.environment.advance(6 * YEARS)
    machine.core.deliver_events()
    machine.environment.advance(-6 * YEARS)
    observer.fails = False
    machine.environment.advance(timedelta(minutes=90))
    machine.work()
    machine.core.deliver_events()
    assert "created" in observer.seen
    assert machine.core.certificates.deliveries(certificate_id).behind == {}


class Jumps(RuleBasedStateMachine):
    """Two worlds with the same users and CAs; in one of them the clock jumps."""

    def __init__(self):
        super().__init__()
        self.still, self.jumping = Machine(), Machine()
        self.made = []
        for machine in self._both():
            machine.ca.wait = timedelta(minutes=30)

    def _both(self):
        return self.still, self.jumping

    @rule(auto=st.booleans(), lifetime=st.sampled_from([90, 90, 6, 1]))
    def a_user_requests_one(self, auto, lifetime):
        """Another certificate."""
        name = f"d{len(self.made)}.example"
        for machine in self._both():
            machine.ca.lifetime = lifetime * DAY
        self.made.append(tuple(machine.requested(name, renewal={"auto": auto}) for machine in self._both()))

    @rule(act=st.sampled_from([Act.ISSUE, Act.ISSUE, Act.WAIT_OWNER, Act.WORK, Act.CA_DOWN, Act.FAIL_NEVER]))
    def the_ca_changes(self, act):
        """It issues, is at work, is down, or refuses."""
        for machine in self._both():
            machine.ca.script = (act,)

    @rule(time=st.sampled_from([timedelta(minutes=1), HOUR, DAY, 20 * DAY]))
    def time_passes(self, time):
        """Workers go on in both worlds."""
        for machine in self._both():
            machine.run(time)

    @rule(by=JUMPS, steps=st.integers(1, 6))
    def the_clock_jumps(self, by, steps):
        """In one world it is wrong for some minutes; an hour later both are compared."""
        orders = len(self.jumping.ca.issued_at) - len(self.still.ca.issued_at)
        served = {two: self._serves(self.jumping, two) for _, two in self.made}
        _jump(self.jumping, by, steps=steps)
        self.still.run(timedelta(minutes=steps))
        for machine in self._both():
            machine.run(HOUR)
        for one, two in self.made:
            usual, found = self.still.get(one).status, self.jumping.get(two).status
            # A failure that has its pause in one world may be tried again, and succeed, in the other.
            assert found in (usual, Status.ACTIVE)
            assert self._serves(self.jumping, two) or not served[two] or not self._serves(self.still, one)
        more = len(self.jumping.ca.issued_at) - len(self.still.ca.issued_at) - orders
        assert more <= len(self.made)

    @staticmethod
    def _serves(machine, one):
        leaf = machine.view(one).leaf
        return leaf is not None and leaf.not_before <= machine.environment.now() < leaf.not_after

    @invariant()
    def no_due_time_is_out_of_bounds(self):
        """Nothing sleeps beyond the end of its leaf, and nothing without one for longer than a week."""
        now = self.jumping.environment.now()
        for _, two in self.made:
            view = self.jumping.view(two)
            schedule = view.schedule
            assert schedule.written_at is None or schedule.written_at <= now + CLOCK_TOLERANCE
            if schedule.due_at is not None:
                assert schedule.due_at <= max(view.certificate.not_after or now, now + 8 * DAY)

    def teardown(self):
        """Close both."""
        for machine in self._both():
            machine.core.close()


Jumps.TestCase.settings = settings(
    max_examples=25, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)
TestJumps = pytest.mark.slow(reason="simulates years, step by step")(Jumps.TestCase)
