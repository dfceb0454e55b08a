"""Observers learn of every event, at least once and in order, and nobody waits for one that fails."""

import contextlib
import logging
import threading
from datetime import timedelta

import pytest

import certcore
from certcore import CertCore, Status
from certcore.adapters.keyrings.vault import StaticKeyring
from certcore.errors import InvalidInputError, NotFoundError
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.databases import sqlite_with_tables
from support.inside import inside


class Observer:
    """Writes down what it is told; raises while it is broken."""

    def __init__(self, name="Observer"):
        self.__name__ = name
        self.broken = False
        self.told, self.asked = [], []
        self.then = None

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self.asked.append(event.number)
        if self.broken:
            raise RuntimeError("s3cr3t")
        self.told.append((event.certificate_id, event.number, str(event.kind)))
        if self.then is not None:
            self.then(event)

    def numbers(self, certificate_id):
        return [number for told, number, _ in self.told if told == certificate_id]


@pytest.fixture
def environment():
    return FrozenEnvironment()


@pytest.fixture
def open_core(tmp_path, environment):
    """Opens the same store again and again, each time as another process would."""
    keyring = StaticKeyring.generate()
    with contextlib.ExitStack() as stack:

        def open_one(*observers):
            ca = ScriptedCA([Act.ISSUE], now=environment.now())
            core = CertCore.open(
                sqlite_with_tables(tmp_path),
                keyring=keyring,
                plugins=[ca.plugin(), *observers],
                installed_plugins=False,
                environment=environment,
            )
            return stack.enter_context(core)

        yield open_one


def _draft(core, domain="shop.example"):
    known = core.authorities.list() or [core.authorities.create("test", module="scripted")]
    return core.certificates.create(domain, authority=known[0].id).id


def _edit(core, certificate_id, times=1):
    for _ in range(times):
        core.certificates.edit(certificate_id, wildcard=not core.certificates.get(certificate_id).wildcard)


def test_every_event_is_delivered_once_and_in_order(open_core):
    """Whatever process tells of it, an observer that works gets each event once, also after a restart."""
    observer = Observer()
    first = open_core(observer)
    one, other = _draft(first), _draft(first, "other.example")
    _edit(first, one, 3)
    assert inside(first).outbox.has_work()
    first.deliver_events()
    assert not inside(first).outbox.has_work()
    second = open_core(observer)
    _edit(second, one)
    second.certificates.delete(other)
    assert first.deliver_events() == 2
    assert second.deliver_events() == 0
    assert observer.numbers(one) == [1, 2, 3, 4, 5]
    assert [told for told in observer.told if told[0] == other] == [(other, 1, "created"), (other, 2, "deleted")]


@pytest.mark.slow(reason="writes and delivers a thousand events")
def test_a_long_record_is_delivered_in_pieces(open_core, environment):
    """More events than fit into one lease come one after the other, none twice; so they do to one that was behind."""
    quick, slow = Observer("Quick"), Observer("Slow")
    core = open_core(quick, slow)
    certificate_id = _draft(core)
    slow.broken = True
    core.deliver_events()
    _edit(core, certificate_id, 450)
    while inside(core).outbox.has_work():
        core.deliver_events()
    assert quick.numbers(certificate_id) == list(range(1, 452))
    slow.broken = False
    environment.advance(timedelta(hours=2))
    _edit(core, certificate_id)
    while inside(core).outbox.has_work():
        core.deliver_events()
    assert slow.numbers(certificate_id) == quick.numbers(certificate_id) == list(range(1, 453))
    assert core.certificates.deliveries(certificate_id).behind == {}


def test_an_observer_that_fails_is_asked_again_later(open_core, environment, caplog):
    """It gets the same event again before any later one, after growing pauses; its state is shown; no text leaks."""
    observer = Observer()
    core = open_core(observer)
    observer.broken = True
    certificate_id = _draft(core)
    _edit(core, certificate_id)
    pauses = []
    with caplog.at_level(logging.DEBUG):
        for _ in range(12):
            core.deliver_events()
            (name, behind), *others = core.certificates.deliveries(certificate_id).behind.items()
            assert (name, others) == ("Observer", [])
            assert (behind.delivered, behind.attempts) == (0, len(pauses) + 1)
            assert "RuntimeError" in behind.reason
            assert core.failed_deliveries == {certificate_id: {"Observer": behind.reason}}
            assert "s3cr3t" not in behind.reason
            pauses.append(behind.due_at - environment.now())
            environment.advance(pauses[-1] - timedelta(microseconds=1))
            assert core.deliver_events() == 0
            environment.advance(timedelta(microseconds=1))
    assert pauses == sorted(pauses)
    assert timedelta(seconds=5) <= pauses[0] <= timedelta(seconds=10)
    assert timedelta(minutes=30) <= pauses[-1] <= timedelta(hours=1)
    assert set(observer.asked) == {1}
    observer.broken = False
    core.deliver_events()
    assert observer.numbers(certificate_id) == [1, 2]
    assert core.certificates.deliveries(certificate_id).behind == core.failed_deliveries == {}
    assert "s3cr3t" not in caplog.text
    assert "'Observer'" in caplog.text


def test_a_failed_delivery_is_tried_again_when_somebody_asks(open_core, environment):
    """The pause after a failure is cut short for one observer, or for all; nothing else is delivered anew."""
    good, bad = Observer("Good"), Observer("Bad")
    core = open_core(good, bad)
    bad.broken = True
    certificate_id = _draft(core)
    core.deliver_events()
    assert core.deliver_events() == 0
    bad.broken = False
    assert core.certificates.deliver_again(certificate_id, observer="Good") == 0
    assert core.certificates.deliver_again(certificate_id, observer="Bad") == 1
    assert core.certificates.deliveries(certificate_id).behind["Bad"].due_at == environment.now()
    core.deliver_events()
    assert bad.numbers(certificate_id) == good.numbers(certificate_id) == [1]
    assert core.certificates.deliveries(certificate_id).behind == {}
    assert core.certificates.deliver_again(certificate_id) == 0


def test_an_observer_that_no_database_can_store_is_refused(open_core):
    """A NUL or half of a surrogate pair in its name is the caller's mistake, not a failure of the database."""
    core = open_core()
    certificate_id = _draft(core)
    for name in ("a\x00b", "\ud800"):
        with pytest.raises(InvalidInputError):
            core.certificates.deliver_again(certificate_id, observer=name)


def test_one_that_fails_holds_up_nobody_else(open_core, environment):
    """Neither other observers nor other certificates wait for an observer that raises."""
    good, bad = Observer("Good"), Observer("Bad")
    core = open_core(good, bad)
    bad.then = lambda event: 1 / 0 if event.certificate_id == one else None
    one, other = _draft(core), _draft(core, "other.example")
    for _ in range(3):
        _edit(core, one)
        _edit(core, other)
        core.deliver_events()
        environment.advance(timedelta(seconds=1))
    assert good.numbers(one) == good.numbers(other) == bad.numbers(other) == [1, 2, 3, 4]
    assert set(bad.numbers(one)) == {1}


def test_the_state_of_an_observer_that_is_not_here_is_kept(open_core, environment):
    """A process without the plugin that failed delivers to its own, and leaves the other's place alone."""
    bad, good = Observer("Bad"), Observer("Good")
    bad.broken = True
    with_both = open_core(bad, good)
    certificate_id = _draft(with_both)
    with_both.deliver_events()
    without = open_core(good)
    environment.advance(timedelta(hours=3))
    _edit(without, certificate_id)
    without.deliver_events()
    assert not inside(without).outbox.has_work()
    assert good.numbers(certificate_id) == [1, 2]
    bad.broken = False
    environment.advance(timedelta(hours=3))
    with_both.deliver_events()
    assert bad.numbers(certificate_id) == good.numbers(certificate_id) == [1, 2]


def test_processes_with_different_observers_miss_nothing(open_core, environment):
    """One process deploys, another one tells people: whoever looks first, each observer gets every event, in order."""
    deploy, tell = Observer("Deploy"), Observer("Tell")
    deploying, telling = open_core(deploy), open_core(tell)
    first = _draft(deploying)
    deploying.deliver_events()
    telling.deliver_events()  # nothing is left for it, but it is known from now on
    certificate_id = _draft(deploying, "other.example")
    _edit(deploying, certificate_id, 2)
    for number in range(6):
        for process in (deploying, telling) if number % 2 else (telling, deploying):
            process.deliver_events()
        _edit(deploying, certificate_id)
        environment.advance(timedelta(seconds=6))
    for _ in range(4):
        environment.advance(timedelta(hours=1))
        deploying.deliver_events()
        telling.deliver_events()
    assert deploy.numbers(certificate_id) == tell.numbers(certificate_id) == list(range(1, 10))
    assert deploy.numbers(first) == [1]
    assert deploying.certificates.deliveries(certificate_id).behind == {}


def test_a_process_claims_nothing_of_an_observer_that_it_has_not_got(open_core):
    """The delivery is left to the process that has the observer: no lease, no attempt, and no work for the other."""
    here, elsewhere = Observer("Here"), Observer("Elsewhere")
    other = open_core(elsewhere)
    other.deliver_events()  # it is known from now on
    core = open_core(here)
    certificate_id = _draft(core)
    _edit(core, certificate_id)
    assert core.deliver_events() == 1
    assert here.numbers(certificate_id) == [1, 2]
    assert not inside(core).outbox.has_work()
    assert core.deliver_events() == 0
    behind = core.certificates.deliveries(certificate_id).behind
    assert behind.keys() == {"Elsewhere"}
    waiting = behind["Elsewhere"]
    assert (waiting.delivered, waiting.length, waiting.attempts) == (0, 2, 0)
    assert (waiting.lease_owner, waiting.lease_until, waiting.token) == ("", None, 0)
    assert elsewhere.asked == []
    assert inside(other).outbox.has_work()
    assert other.deliver_events() == 1  # at once: nothing has put it off
    assert elsewhere.numbers(certificate_id) == [1, 2]
    assert core.certificates.deliveries(certificate_id).behind == {}


def test_many_pending_certificates_are_offered_in_one_call(open_core, environment):
    """Also when this process has nothing to tell of most of them, because its observer waits for a retry."""
    observer = Observer()
    observer.broken = True
    core = open_core(observer)
    ids = [_draft(core, f"d{number}.example") for number in range(45)]
    core.deliver_events()
    assert core.failed_deliveries.keys() == set(ids)
    for one in ids:
        _edit(core, one)
    last = _draft(core, "last.example")
    assert core.deliver_events() == 1
    assert core.failed_deliveries.keys() == {*ids, last}
    observer.broken = False
    environment.advance(timedelta(hours=1))
    assert core.deliver_events() == 46
    assert {one: observer.numbers(one) for one in ids} == {one: [1, 2] for one in ids}


def test_the_next_process_knows_what_failed(open_core):
    """Before it is tried again, too; a process without the observer does not tell of it."""
    bad, good = Observer("Bad"), Observer("Good")
    bad.broken = True
    first = open_core(bad, good)
    certificate_id = _draft(first)
    first.deliver_events()
    assert (
        open_core(bad).failed_deliveries
        == first.failed_deliveries
        == {certificate_id: {"Bad": "it raised RuntimeError."}}
    )
    assert open_core(good).failed_deliveries == {}
    assert open_core().failed_deliveries == {}


def test_an_event_that_an_observer_causes_is_told_later(open_core):
    """One that changes the certificate whenever it is told of it does not keep the call from ending."""
    observer = Observer()
    core = open_core(observer)
    certificate_id = _draft(core)

    def cause_another(_):
        inside(core).environment.advance(timedelta(microseconds=1))
        _edit(core, certificate_id)

    observer.then = cause_another
    for number in range(1, 4):
        core.deliver_events()
        assert observer.numbers(certificate_id) == list(range(1, number + 1))


def test_a_lease_that_ran_out_before_its_turn_is_looked_at(open_core, environment):
    """An observer that takes minutes for one certificate: another process has told it of the next one meanwhile."""
    slow, quick = Observer(), Observer()
    one_process, other_process = open_core(slow), open_core(quick)
    ids = [_draft(one_process), _draft(one_process, "other.example")]

    def take_long(event):
        if len(slow.told) == 1:
            environment.advance(timedelta(minutes=2))
            other_process.deliver_events()

    slow.then = take_long
    one_process.deliver_events()
    assert len(slow.told) == 1
    assert {one: quick.numbers(one) for one in ids} == {one: [1] for one in ids}
    assert not inside(one_process).outbox.has_work()


def test_news_does_not_wait_for_an_observer_that_is_elsewhere(open_core):
    """A worker whose targets are here tells them before it is idle, though another process's target is behind."""
    here, elsewhere = Observer("Here"), Observer("Elsewhere")
    open_core(elsewhere).deliver_events()  # it is known from now on
    core = open_core(here)
    certificate_id = _draft(core)
    core.deliver_events()
    core.deliver_events()  # for the other one it is due still, and left to it for a while
    assert here.numbers(certificate_id) == [1]
    core.certificates.generate_csr(certificate_id)
    worker = core.worker(threads=1, poll_interval=0.01)
    worker.start()
    assert worker.wait_until_idle(timeout=120)
    assert core.certificates.get(certificate_id).status is Status.ACTIVE
    assert "installed" in {kind for _, _, kind in here.told}
    assert worker.stop(timeout=60)


@pytest.mark.slow(reason="looks every five minutes of a week")
def test_an_observer_that_was_taken_away_is_forgotten(open_core, environment):
    """For a week its place is kept, with ever fewer looks; then nothing is kept for it, and nothing looked at."""
    here, gone = Observer("Here"), Observer("Gone")
    with_both = open_core(here, gone)
    certificate_id = _draft(with_both)
    with_both.deliver_events()
    without = open_core(here)
    _edit(without, certificate_id)
    looks = 0
    for _ in range(8 * 24 * 12):
        looks += without.deliver_events()
        environment.advance(timedelta(minutes=5))
    assert here.numbers(certificate_id) == [1, 2]
    assert without.certificates.deliveries(certificate_id).behind == {}
    assert looks < 2 * 8 * 24 + 20
    _edit(without, certificate_id)
    assert without.deliver_events() == 1
    environment.advance(timedelta(days=1))
    assert without.deliver_events() == 0
    back = open_core(here, gone)
    _edit(back, certificate_id)
    back.deliver_events()
    assert gone.numbers(certificate_id) == [1, 4]


@pytest.mark.parametrize("ahead", [timedelta(days=8), timedelta(days=4000), timedelta(days=-8), timedelta(days=-4000)])
def test_a_process_with_a_wrong_clock_forgets_no_observer(open_core, environment, ahead):
    """It may run for days beside one whose clock is right, and that one's observer gets every event."""
    right, wrong = Observer("Right"), Observer("Wrong")
    with_right, with_wrong = open_core(right), open_core(wrong)
    with_right.deliver_events()
    certificate_id = _draft(with_right)
    for _ in range(10 * 4):
        environment.advance(ahead)
        with_wrong.deliver_events()
        environment.advance(timedelta(hours=6) - ahead)
        with_right.deliver_events()
    environment.advance(ahead)
    with_wrong.deliver_events()
    _edit(with_wrong, certificate_id)
    with_wrong.deliver_events()
    environment.advance(-ahead)
    for _ in range(3):
        inside(with_right).engine.sweep.run(environment.now())
        with_right.deliver_events()
        with_wrong.deliver_events()
        environment.advance(timedelta(hours=1))
    assert right.numbers(certificate_id) == [1, 2]
    assert wrong.numbers(certificate_id)[-1] == 2


def test_a_process_that_stood_still_tells_no_older_news(open_core, environment):
    """When its lease was taken over during a long call, a process does not go on where the other one is already."""
    slow, quick = Observer(), Observer()
    one_process, other_process = open_core(slow), open_core(quick)
    certificate_id = _draft(one_process)
    _edit(one_process, certificate_id, 2)

    def stand_still(event):
        if event.number == 1:
            environment.advance(timedelta(minutes=2))
            other_process.deliver_events()

    slow.then = stand_still
    one_process.deliver_events()
    assert quick.numbers(certificate_id) == [1, 2, 3]
    assert slow.numbers(certificate_id) == [1]
    assert not inside(one_process).outbox.has_work()


def test_several_processes_at_once_deliver_each_event_once(open_core):
    """Threads that deliver at the same moment share the work, and every certificate's events stay in order."""
    observer = Observer()
    cores = [open_core(observer) for _ in range(3)]
    ids = [_draft(cores[0], f"d{number}.example") for number in range(25)]
    for one in ids:
        _edit(cores[0], one, 2)
    threads = [threading.Thread(target=core.deliver_events) for core in cores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not inside(cores[0]).outbox.has_work()
    assert {one: observer.numbers(one) for one in ids} == {one: [1, 2, 3] for one in ids}


def test_without_observers_nothing_is_due(open_core):
    """A store whose processes have no observer does no work for them; one that comes later gets what happened."""
    alone = open_core()
    certificate_id = _draft(alone)
    assert not inside(alone).outbox.has_work()
    assert alone.deliver_events() == 0
    late = Observer()
    open_core(late).deliver_events()
    assert late.numbers(certificate_id) == [1]
    with pytest.raises(NotFoundError):
        alone.certificates.deliveries("nobody")


def test_the_engine_does_not_wait_for_an_observer():
    """While an observer hangs, certificates go on to active; stop says that it still runs, then it ends."""
    gate = threading.Event()
    observer = Observer()
    observer.then = lambda _: gate.wait(60)
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    plugins = [ca.plugin(), observer]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        certificate_id = _draft(core)
        worker = core.worker(threads=1, poll_interval=0.01)
        worker.start()
        try:
            core.certificates.generate_csr(certificate_id)
            worker.wake()
            pause = threading.Event()
            for _ in range(2000):
                if core.certificates.get(certificate_id).status is Status.ACTIVE:
                    break
                pause.wait(0.01)
            assert core.certificates.get(certificate_id).status is Status.ACTIVE
            assert not worker.is_idle(timedelta())
            assert not worker.stop(timeout=0.2)
        finally:
            gate.set()
        assert worker.stop(timeout=60)
        assert observer.numbers(certificate_id) == [1, 2, 3]


def test_what_was_done_is_told_before_the_worker_ends():
    """`stop` returns when the observers know of the steps that were taken until then."""
    observer = Observer()
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    plugins = [ca.plugin(), observer]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        worker = core.worker(threads=1, poll_interval=30)
        worker.start()
        certificate_id = _draft(core)
        assert worker.stop(timeout=60)
        assert observer.numbers(certificate_id) == [1]
