"""Obtaining a certificate: its progress, who may, and observers and workers beside it."""

import threading
from datetime import timedelta

import pytest

import certcore
from certcore import CertCore, Status
from certcore.errors import AccessDeniedError, InvalidInputError, NotObtainedError
from certcore.ports.ca_module import Waiting, WaitingFor
from certcore.services.obtain import Obtaining
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside
from support.obtaining import Waiter, quick_core


def test_progress_is_told_in_order_and_once(bench, obtain):
    """Each time something changed, with what the page would show then; not at every look."""
    bench.ca.script = (Act.WAIT_OWNER, Act.FAIL_SOON, Act.WAIT_TURN, Act.WORK, Act.ISSUE)
    seen = []
    obtain(progress=lambda view: seen.append((view.certificate.status, view.certificate.problem and "problem")))
    assert seen == [
        ("pending", None),
        ("pending", "problem"),
        ("pending", None),
        ("processing", None),
        ("active", None),
    ]


def test_an_error_in_progress_ends_it(bench, obtain):
    """What the caller raises is the caller's: it comes out, and what was begun stays."""

    def progress(view):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(progress=progress)
    assert bench.core.certificates.list(status="pending").items
    assert obtain().certificate.status is Status.ACTIVE


class Policy:
    """Knows one user, who may do everything with the own certificates."""

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        return actor == "system" or owner == actor


def test_permission_is_asked():
    """Who may not create certificates for a tenant obtains none, and gets none that is there."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), Policy()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted").id
        with pytest.raises(AccessDeniedError):
            core.obtain("shop.example", authority="test", owner="anna", actor="bert")
        assert core.certificates.list().items == ()
        with pytest.raises(InvalidInputError, match="there is no CA profile 'test'"):  # she may use it, and not see it
            core.obtain("shop.example", authority="test", owner="anna", actor="anna")
        view = core.obtain("shop.example", authority=authority, owner="anna", actor="anna")
        assert {event.actor for event in view.events} == {"anna", "engine"}
        with pytest.raises(AccessDeniedError):
            core.obtain("shop.example", authority="test", owner="anna", actor="bert")


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_while_a_worker_is_at_work(storage, tmp_path):
    """Whoever takes the steps: each call gets its certificate, each is issued once, and nobody gets in the way."""
    with quick_core(storage, tmp_path) as core:
        core.authorities.create("test", module="scripted")
        worker = core.worker(threads=2, poll_interval=0.05)
        worker.start()
        found, failed = {}, []

        def obtain(number):
            try:
                found[number] = core.obtain(f"d{number}.example", authority="test", timeout=240)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=obtain, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        worker.stop()
        assert failed == []
        assert {number: view.certificate.domain.ascii for number, view in found.items()} == {
            number: f"d{number}.example" for number in range(4)
        }
        for view in found.values():
            assert view.certificate.status is Status.ACTIVE
            assert len(core.certificates.issuances(view.certificate.id)) == 1


def test_the_owner_has_set_the_record(bench, obtain, waiter):
    """One that waits for its owner is looked at when the script is run again, not when its turn has come."""
    bench.ca.script = (Act.WAIT_OWNER, Act.ISSUE)
    with pytest.raises(NotObtainedError):
        obtain(timeout=1)
    waiter.waits.clear()
    assert obtain().certificate.status is Status.ACTIVE
    assert len(waiter.waits) <= 1


def test_who_may_not_look_does_not_move_it():
    """The engine takes no step for somebody who has no permission."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), Policy()], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        authority = core.authorities.list()[0].id
        certificate_id = core.certificates.create("shop.example", authority=authority, owner="anna").id
        core.certificates.generate_csr(certificate_id)
        with pytest.raises(AccessDeniedError):
            core.obtain("shop.example", authority="test", owner="anna", actor="bert")
        assert ca.calls == 0
        assert core.certificates.get(certificate_id).status is Status.PENDING


class Observer:
    """Remembers what it is told."""

    def __init__(self):
        self.told = []

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self.told.append(event.kind)


def test_observers_are_told_at_the_end():
    """A script without a worker has its targets told before it goes on."""
    environment, observer = FrozenEnvironment(), Observer()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), observer], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        core.obtain("shop.example", authority="test")
        assert "installed" in observer.told


class Looking(ScriptedCA):
    """Sees the same at each look, and says when."""

    def advance(self, work):
        now = work.environment.now()
        findings = {"checked_at": now.isoformat(), "records": []}
        again = now + timedelta(seconds=1)
        return Waiting(state={}, look_again=again, waiting_for=WaitingFor.OWNER, findings=findings)


def test_that_it_was_looked_at_again_is_no_progress():
    """Progress is told when something has changed, not at every look."""
    environment = FrozenEnvironment()
    ca = Looking(now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        seen = []
        parts = inside(core)
        obtaining = Obtaining(
            certificates=core.certificates, engine=parts.engine, access=parts.access, wait=Waiter(environment)
        )
        values = {"domain": "shop.example", "authority": "test"}
        with pytest.raises(NotObtainedError):
            obtaining.obtain(values, timeout=20, progress=seen.append, actor="system")
        assert len(seen) == 1
