"""When certificates in service are checked: spread over the week, in time, by one process, and while there is room."""

import itertools
import threading
from collections import Counter
from datetime import timedelta

import pytest
from attrs import evolve

from certcore.engine.outage import Outage
from certcore.engine.preflight_pace import PreflightPace
from certcore.engine.preflights import Preflights
from certcore.errors import StaleWriteError
from certcore.model.preflight import CLAIM, LONGEST_WAIT, Preflight, next_preflight
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.contracts.samples import sample_certificate
from support.inside import inside
from support.obstacles import check, obstacle, preflight_of, told


def test_a_fleet_is_spread_over_the_week():
    """Each certificate has a moment of the week of its own, always the same one; no hour gets many."""
    now = FrozenEnvironment().now()
    certificates = [sample_certificate(number) for number in range(2000)]
    due = {one.id: next_preflight(one, None, Preflight(certificate_id=one.id, due_at=now), now) for one in certificates}
    assert all(now < due_at <= now + timedelta(days=7) for due_at in due.values())
    by_hour = Counter((due_at - now) // timedelta(hours=1) for due_at in due.values())
    assert len(by_hour) == 168
    assert max(by_hour.values()) < 35  # 12 on average
    for one in certificates[:100]:
        done = Preflight(certificate_id=one.id, due_at=now, checked_at=due[one.id])
        assert next_preflight(one, None, done, due[one.id]) == due[one.id] + timedelta(days=7)


def test_a_certificate_is_checked_before_its_renewal_is_due(bench):
    """Three days before the renewal begins there is one more check; short-lived leaves are checked in time, too."""
    certificate_id = bench.active()
    renews_at = bench.core.certificates.view(certificate_id).renews_at
    moments = []
    while not moments or moments[-1] < renews_at - timedelta(days=3):
        moments.append(check(bench, certificate_id).checked_at)
        assert len(moments) < 12
    assert renews_at - timedelta(days=3) in moments
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert all(gap <= timedelta(days=7) for gap in gaps)
    bench.core.authorities.edit(bench.authority.id, settings={"lifetime_days": 6})
    short = bench.active("short.example")
    view = bench.core.certificates.view(short)
    checked_at = check(bench, short).checked_at
    assert view.renews_at - view.leaf.lifetime / 10 <= view.renews_at - timedelta(hours=14)
    assert checked_at <= view.renews_at - view.leaf.lifetime / 10


def test_a_stored_moment_far_ahead_is_not_believed(bench):
    """A check that was planned while a clock was a year ahead is done at once when the clock is right again."""
    certificate_id = bench.active()
    began = bench.environment.now()
    bench.advance(days=20)  # within the life of the leaf
    check(bench, certificate_id)
    bench.environment.set(began)
    assert preflight_of(bench, certificate_id).due_at > began + LONGEST_WAIT
    assert bench.core.run_preflights() == 1
    after = preflight_of(bench, certificate_id)
    assert after.checked_at == began
    assert began < after.due_at <= began + LONGEST_WAIT


def test_a_check_that_a_crash_cut_off_is_repeated(bench):
    """The process that moved the due time does the check; when it died, another one does it a quarter hour later."""
    certificate_id = bench.active()
    bench.core.run_preflights()
    planned = preflight_of(bench, certificate_id)
    bench.environment.set(planned.due_at)
    with inside(bench.core).storage.write() as transaction:  # a process claims it, and dies
        transaction.preflights.save(evolve(planned, due_at=bench.environment.now() + CLAIM))
    assert bench.core.run_preflights() == 0
    bench.advance(minutes=15)
    assert bench.core.run_preflights() == 1
    assert preflight_of(bench, certificate_id).checked_at == bench.environment.now()


def test_one_of_two_processes_does_a_check(bench):
    """Both see that it is due; the one that comes second leaves it, and nothing is told twice."""
    certificate_id = bench.active()
    bench.core.run_preflights()
    bench.ca.obstacles = (obstacle(),)
    preflights = Preflights(contexts=inside(bench.core).contexts, certificates=bench.core.certificates)
    seen_by_both = preflight_of(bench, certificate_id)
    bench.environment.set(seen_by_both.due_at)
    assert bench.core.run_preflights() == 1
    with pytest.raises(StaleWriteError), inside(bench.core).storage.write() as transaction:
        transaction.preflights.save(seen_by_both)
    assert preflights.run_due(10) == 0
    assert len(told(bench, certificate_id)) == 1


class TestPace:
    """The thread of the worker."""

    @pytest.mark.slow(reason="waits for a second of the true clock")
    def test_it_plans_and_checks_until_the_worker_ends(self, bench):
        """A certificate in service is planned, and checked when it is due, without a call."""
        certificate_id = bench.active()
        preflights = Preflights(contexts=inside(bench.core).contexts, certificates=bench.core.certificates)
        assert preflights.plan(10) == 1
        assert preflights.plan(10) == 0
        bench.environment.set(preflight_of(bench, certificate_id).due_at)
        checked, ending = threading.Event(), threading.Event()
        bench.ca.obstacles = (obstacle(),)

        def has_room():
            if told(bench, certificate_id):
                checked.set()
            return True

        pace = PreflightPace(preflights=preflights, outage=Outage(), interval=0.001)
        thread = threading.Thread(target=pace.run, args=(ending, has_room), daemon=True)
        thread.start()
        assert checked.wait(30)
        ending.set()
        thread.join(30)
        assert not thread.is_alive()

    def test_it_waits_while_the_engine_is_at_work(self, bench):
        """While no thread is free, nothing is read or checked."""
        bench.active()
        ending = threading.Event()
        preflights = Preflights(contexts=inside(bench.core).contexts, certificates=bench.core.certificates)

        def is_busy():
            ending.set()
            return False

        PreflightPace(preflights=preflights, outage=Outage(), interval=0.001).run(ending, is_busy)
        assert preflights.plan(10) == 1

    def test_a_worker_can_do_without(self, bench):
        """The checks of a worker can be left to other processes."""
        assert bench.core.worker().preflights is not None
        assert bench.core.worker(preflights=False).preflights is None
