"""A changed name that nobody proves: the leaf in service is renewed with its own names in time."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore import CertCore, NoticePolicy, Status
from certcore.engine.decide import Task, decide
from certcore.model.events import EventKind
from certcore.model.hints import Notice
from certcore.model.issuance import Purpose
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Waiting, WaitingFor
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.examples import examples
from support.inside import inside
from support.reissues import DAY, events_of, install, own_csr, secret_names


class ProvingCA(ScriptedCA):
    """Issues at once for names that are proven; for others it does what `otherwise` says."""

    def __init__(self, *, now):
        super().__init__((Act.ISSUE,), now=now)
        self.proven = set()
        self.otherwise = Act.WAIT_OWNER
        #: How long it says to wait in that case.
        self.pause = timedelta(minutes=1)

    def advance(self, work):
        if {name.ascii for name in work.issuance.names} <= self.proven:
            return super().advance(work)
        self.held.add(work.issuance.id)
        at = work.environment.now() + self.pause
        if self.otherwise is Act.WAIT_OWNER:
            return Waiting(state={}, look_again=at, waiting_for=WaitingFor.OWNER, needs_clean_up=True)
        problem = Problem(type="about:blank", title="Not proven.")
        kinds = {Act.FAIL_SOON: Retry.SOON, Act.FAIL_SLOW: Retry.SLOW, Act.CA_DOWN: Retry.SOON}
        return Failed(
            state={},
            problem=problem,
            retry=kinds.get(self.otherwise, Retry.NEVER),
            retry_at=at if self.otherwise is Act.FAIL_SLOW else None,
            of_authority=self.otherwise in (Act.CA_DOWN, Act.CA_REFUSES),
            needs_clean_up=True,
        )


def _looks(core, certificate_id, environment, until, most=3000):
    """Look whenever it is due, until a moment; the certificate has to be active all the time."""
    for _ in range(most):
        with inside(core).storage.read() as transaction:
            due = transaction.schedules.get(certificate_id).due_at
        if due is None or due >= until:
            return
        environment.set(max(due, environment.now()))
        core.reconcile(certificate_id)
        certificate = core.certificates.get(certificate_id)
        assert certificate.status is Status.ACTIVE, f"{environment.now()} {certificate.status}"
        assert certificate.not_after > environment.now()
    raise AssertionError("it looks too often")


@pytest.mark.slow(reason="simulates renewals of long leaves, hour by hour")
@examples(60, deadline=None)
@given(
    lifetime=st.sampled_from([1, 2, 3, 6, 10, 45, 90, 398]),
    days_before=st.none() | st.integers(1, 60),
    at=st.floats(0, 0.97),
    otherwise=st.sampled_from(
        [Act.WAIT_OWNER, Act.FAIL_SOON, Act.FAIL_SLOW, Act.FAIL_NEVER, Act.CA_DOWN, Act.CA_REFUSES]
    ),
    pause=st.sampled_from([0.01, 0.1, 0.4, 3]),
    falls_back=st.booleans(),
    change=st.sampled_from(
        [{"aliases": "unproven.example"}, {"domain": "unproven.example"}, {"csr": own_csr("unproven.example")}]
    ),
    rotate_key=st.booleans(),
)
def test_a_change_that_nobody_proves_lets_no_site_expire(
    lifetime, days_before, at, otherwise, pause, falls_back, change, rotate_key
):
    """Whenever the names were changed, and however the CA answers, the leaf in service is renewed in time."""
    if otherwise in (Act.FAIL_SOON, Act.CA_DOWN):
        lifetime = min(lifetime, 3)  # tried within the hour, again and again
    elif otherwise is Act.CA_REFUSES:
        lifetime = min(lifetime, 90)  # both CAs are asked on most days
    environment = FrozenEnvironment()
    ca = ProvingCA(now=environment.now())
    ca.proven = {"shop.example"}
    with CertCore.in_memory(
        plugins=[ca.plugin()], installed_plugins=False, environment=environment, notices=NoticePolicy(days_before=())
    ) as core:
        authorities = [
            core.authorities.create(name, module="scripted", settings={"lifetime_days": lifetime}) for name in "ab"
        ]
        authority_id = core.certificates.create(
            "shop.example",
            authority=authorities[0].id,
            fallbacks=[authorities[1].id] if falls_back else [],
            renewal={"days_before": days_before, "rotate_key": rotate_key},
        ).id
        core.certificates.generate_csr(authority_id)
        for _ in range(3):
            core.reconcile(authority_id)
        view = core.certificates.view(authority_id)
        environment.set(view.now + (view.certificate.not_after - view.now) * at)
        ca.otherwise, ca.pause = otherwise, timedelta(days=lifetime) * pause
        core.certificates.reissue(authority_id, **change)
        _looks(core, authority_id, environment, view.certificate.not_after + timedelta(days=lifetime))
        after = core.certificates.view(authority_id)
        assert after.active.number > 1
        assert after.active.names == view.active.names
        assert "unproven.example" in {name.ascii for name in after.certificate.names}  # the wish stays


def test_a_change_has_its_time(bench):
    """A wish that is proven late, but not too late, is fulfilled; it is not set aside as soon as a renewal is due."""
    certificate_id = bench.active()
    view = bench.core.certificates.view(certificate_id)
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.environment.set(view.renews_at - DAY)
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    late = view.renews_at + (view.certificate.not_after - view.renews_at) / 2
    while bench.environment.now() < late - 2 * timedelta(hours=1):
        bench.advance(hours=1)
        bench.core.reconcile(certificate_id)
    assert bench.core.certificates.view(certificate_id).issuance.number == 2
    install(bench, certificate_id)
    assert "www.shop.example" in bench.core.certificates.view(certificate_id).leaf.names


def test_a_change_that_was_set_aside_is_on_the_record(bench):
    """The record tells what was set aside, the page that the names of the form are not in service."""
    certificate_id = bench.active()
    view = bench.core.certificates.view(certificate_id)
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    bench.core.reconcile(certificate_id)
    key_name = str(bench.core.certificates.view(certificate_id).issuance.key_name)
    bench.environment.set(view.renews_at + (view.certificate.not_after - view.renews_at) / 2)
    bench.core.reconcile(certificate_id)
    assert events_of(bench, certificate_id, EventKind.RENEWAL_FAILING)
    bench.core.reconcile(certificate_id)
    (event,) = events_of(bench, certificate_id, EventKind.ATTEMPT_CANCELLED)
    assert event.actor == "engine"
    assert event.data == {"number": 2, "names": ["shop.example", "www.shop.example"]}
    assert key_name not in secret_names(bench)
    during = bench.core.certificates.view(certificate_id)
    assert during.issuance.purpose is Purpose.RENEW
    assert [name.ascii for name in during.issuance.names] == ["shop.example"]
    install(bench, certificate_id)
    notes = {hint.text.key for hint in bench.core.certificates.hints(certificate_id) if isinstance(hint, Notice)}
    assert "core.change_open" in notes
    assert bench.core.certificates.view(certificate_id).under_way is False


def test_without_auto_renewal_a_change_is_never_set_aside(bench):
    """Who switched renewals off is not renewed behind the own back."""
    certificate_id = bench.active(renewal={"auto": False})
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    bench.environment.set(bench.get(certificate_id).not_after - timedelta(minutes=1))
    bench.step(certificate_id)
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.EXPIRED
    assert len(bench.core.certificates.issuances(certificate_id)) == 2


def test_what_cannot_be_taken_back_lets_no_site_expire(bench):
    """A zone of an attempt that was given up, which nobody can write to any more, does not stop the renewal."""
    other = bench.core.authorities.create("other", module="scripted")
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id, authority=other.id)
    bench.core.reconcile(certificate_id)
    bench.core.certificates.cancel_attempt(certificate_id)
    bench.ca.busy_until = bench.environment.now() + 400 * DAY
    bench.ca.script = (Act.ISSUE,)
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    ends = bench.get(certificate_id).not_after
    for _ in range(10):
        if bench.environment.now() < ends:
            bench.step(certificate_id)
    assert bench.core.certificates.view(certificate_id).active.number > 1


def test_the_decision_is_pure_and_names_what_is_in_service(bench):
    """`decide` sets a lost change aside with the leaf in service as what is to be renewed."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    view = bench.core.certificates.view(certificate_id)
    issuances = bench.core.certificates.issuances(certificate_id)
    late = view.renews_at + (view.certificate.not_after - view.renews_at) / 2
    before = decide(view.certificate, issuances, late - timedelta(seconds=1))
    after = decide(view.certificate, issuances, late)
    assert (before.task, before.issuance) == (Task.ADVANCE, view.issuance)
    assert (after.task, after.issuance) == (Task.SET_CHANGE_ASIDE, view.active)
