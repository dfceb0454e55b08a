"""One look, at most one step: what becomes of a certificate, whatever the CA does and whenever a user acts."""

import logging
from datetime import timedelta

import pytest
from attrs import evolve

from certcore import CertCore, RenewalPolicy, Status
from certcore.engine.leases import LEASE
from certcore.errors import CertCoreError, LeaseLost, StaleWrite, TransitionNotAllowed
from certcore.model.events import EventKind
from certcore.model.issuance import Outcome, Purpose
from certcore.testing.scripted_ca import Act
from certcore.x509.csr import csr_spki_sha256
from certcore.x509.keys import load_private_key, spki_sha256


def test_from_draft_to_active(bench):
    """The statuses follow what the CA waits for; the leaf's private key is the one in the store."""
    one = bench.draft().id
    assert bench.core.reconcile(one).look_again is None
    bench.core.certificates.generate_csr(one)
    seen = [bench.get(one).status]
    for _ in range(4):
        bench.step(one)
        seen.append(bench.get(one).status)
    assert seen == [Status.PENDING, Status.PENDING, Status.PROCESSING, Status.ACTIVE, Status.ACTIVE]
    view = bench.core.certificates.view(one)
    key = load_private_key(bench.core.certificates.reveal_private_key(one, reason="test").reveal())
    assert spki_sha256(key.public_key()) == view.leaf.spki_sha256
    assert bench.ca.held == set()
    assert view.schedule.due_at == view.renews_at
    assert bench.core.certificates.issuances(one)[0].outcome is Outcome.ISSUED


def test_nothing_happens_before_it_is_due(bench):
    """Looking too early, or again and again, takes no step."""
    one = bench.requested()
    first = bench.core.reconcile(one)
    assert first.stepped
    calls = bench.ca.calls
    for _ in range(3):
        again = bench.core.reconcile(one)
        assert not again.stepped
        assert again.look_again == first.look_again
    assert bench.ca.calls == calls


def test_what_is_gone_is_no_error(bench):
    """Reconciling a certificate that was deleted, or never was, says so and does nothing."""
    one = bench.requested()
    bench.core.certificates.delete(one)
    for missing in (one, "never"):
        assert bench.core.reconcile(missing).status is None


@pytest.mark.parametrize("act", [Act.WRONG_KEY, Act.WRONG_NAMES, Act.GARBAGE])
def test_a_wrong_leaf_is_never_installed(bench, act):
    """A certificate for another key, other names, or none at all: refused, told, and tried again slowly."""
    bench.ca.script = (act,)
    one = bench.requested()
    bench.core.reconcile(one)
    refused = bench.get(one)
    assert refused.status is Status.PENDING
    assert refused.active_issuance_id is None
    assert "not the one that was asked for" in refused.problem.title
    assert "The certificate" in refused.problem.title or "cannot be read" in refused.problem.title
    assert bench.core.certificates.view(one).schedule.due_at >= bench.environment.now() + timedelta(minutes=7)
    assert bench.ca.held == set()
    with pytest.raises(CertCoreError):
        bench.core.certificates.export(one, reason="test")
    bench.ca.script = (Act.ISSUE,)
    bench.step(one)
    assert bench.get(one).status is Status.ACTIVE
    assert bench.get(one).problem is None


@pytest.mark.parametrize("act", [Act.RAISE, Act.NONSENSE])
def test_a_module_with_a_bug_hurts_nobody_else(bench, act, caplog):
    """A module that raises or returns nonsense is reported by name, without its text, and asked again later."""
    bench.ca.script = (act,)
    one = bench.requested()
    with caplog.at_level(logging.DEBUG):
        bench.core.reconcile(one)
    failed = bench.get(one)
    assert failed.status is Status.PENDING
    assert "scripted" in str(failed.problem)
    assert "canary" not in caplog.text + repr(failed)
    assert bench.core.certificates.view(one).schedule.due_at > bench.environment.now()
    bench.ca.script = (Act.ISSUE,)
    bench.step(one)
    assert bench.get(one).status is Status.ACTIVE


def _waits(bench, one, count):
    waits = []
    for _ in range(count):
        bench.step(one)
        waits.append(bench.core.certificates.view(one).schedule.due_at - bench.environment.now())
    return waits


def test_a_server_in_trouble_is_tried_again_soon(bench):
    """Temporary failures are tried again within seconds at first, then more slowly, within the hour at last."""
    bench.ca.script = (Act.FAIL_SOON,)
    one = bench.requested()
    waits = _waits(bench, one, 15)
    assert timedelta(seconds=5) <= waits[0] <= timedelta(seconds=10)
    assert waits == sorted(waits)
    assert timedelta(minutes=30) <= waits[-1] <= timedelta(hours=1)
    assert bench.core.certificates.view(one).schedule.attempts == 15


def test_a_refusal_slows_down_to_hours(bench):
    """A CA that refuses is not hammered: minutes at first, a day at last."""
    bench.ca.script = (Act.FAIL_SLOW,)
    one = bench.requested()
    waits = _waits(bench, one, 12)
    assert waits[0] >= timedelta(minutes=7)
    assert timedelta(hours=12) <= waits[-1] <= timedelta(hours=24)


def test_what_retrying_cannot_heal_ends_in_error(bench):
    """A refusal for good is an error with its reason; nothing is held outside, and the user can go on from there."""
    bench.ca.script = (Act.WORK, Act.FAIL_NEVER)
    one = bench.requested()
    bench.step(one)
    bench.step(one)
    bench.core.reconcile(one)
    failed = bench.get(one)
    assert failed.status is Status.ERROR
    assert failed.problem.detail == "fail_never"
    assert bench.ca.held == set()
    assert bench.core.reconcile(one).look_again is None
    key = bench.core.certificates.issuances(one)[0].csr_pem
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.check_now(one)
    assert bench.get(one).status is Status.PENDING
    bench.step(one)
    assert bench.get(one).status is Status.ACTIVE
    assert bench.core.certificates.issuances(one)[0].csr_pem == key


def test_back_to_draft_destroys_the_attempt(bench):
    """Going back to the form takes back what is outside and destroys the key; the next attempt has another one."""
    bench.ca.script = (Act.WAIT_OWNER,)
    one = bench.requested()
    bench.core.reconcile(one)
    first = bench.core.certificates.issuances(one)[0]
    bench.core.certificates.back_to_draft(one)
    assert bench.get(one).status is Status.DRAFT
    bench.core.reconcile(one)
    assert bench.ca.held == set()
    with bench.core.engine.storage.read() as transaction:
        assert transaction.secrets.get(first.key_name) is None
    bench.core.certificates.edit(one, wildcard=True)
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.generate_csr(one)
    bench.core.reconcile(one)
    assert bench.get(one).status is Status.ACTIVE
    second = bench.core.certificates.issuances(one)[1]
    assert csr_spki_sha256(second.csr_pem) != csr_spki_sha256(first.csr_pem)
    assert set(second.leaf.names) == {"shop.example", "*.shop.example"}


# -- renewals ---------------------------------------------------------------------------------------------------------


def test_a_renewal_runs_beside_the_leaf_in_service(bench):
    """When a third of the lifetime is left a new issuance begins; the old leaf serves until the new one is there."""
    one = bench.active()
    before = bench.core.certificates.view(one)
    bench.environment.set(before.renews_at)
    bench.core.reconcile(one)
    during = bench.core.certificates.view(one)
    assert during.certificate.status is Status.ACTIVE
    assert during.active.id == before.active.id
    assert during.issuance.purpose is Purpose.RENEW
    for _ in range(4):
        bench.step(one)
    after = bench.core.certificates.view(one)
    assert after.active.id == during.issuance.id
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256
    assert after.certificate.not_after > before.certificate.not_after
    assert after.schedule.due_at == after.renews_at > bench.environment.now()
    assert bench.ca.held == set()


def test_a_kept_key_is_kept(bench):
    """With key rotation off the renewed leaf has the same key."""
    one = bench.active(renewal=RenewalPolicy(rotate_key=False))
    before = bench.core.certificates.view(one)
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(one)
    bench.core.reconcile(one)
    after = bench.core.certificates.view(one)
    assert after.active.id != before.active.id
    assert after.leaf.spki_sha256 == before.leaf.spki_sha256


def test_without_auto_renewal_it_expires(bench):
    """With auto-renewal off nothing is begun; at its end the certificate is expired, and can be renewed by hand."""
    one = bench.active(renewal=RenewalPolicy(auto=False))
    bench.step(one)
    expired = bench.get(one)
    assert expired.status is Status.EXPIRED
    assert len(bench.core.certificates.issuances(one)) == 1
    assert bench.core.reconcile(one).look_again is None
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(one)
    bench.core.reconcile(one)
    assert bench.get(one).status is Status.ACTIVE


@pytest.mark.parametrize("act", [Act.FAIL_SOON, Act.FAIL_SLOW, Act.FAIL_NEVER, Act.WRONG_KEY, Act.RAISE])
def test_a_failing_renewal_leaves_the_leaf_in_service_to_its_end(bench, act):
    """However renewals fail, the certificate is active until not_after, tried again and again, and expired then."""
    one = bench.active()
    view = bench.core.certificates.view(one)
    bench.ca.script = (act,)
    bench.environment.set(view.renews_at)
    looks = 0
    while bench.environment.now() < view.certificate.not_after:
        bench.core.reconcile(one)
        found = bench.get(one)
        if bench.environment.now() < view.certificate.not_after:
            assert found.status is Status.ACTIVE
            assert found.active_issuance_id == view.active.id
        due = bench.core.certificates.view(one).schedule.due_at
        bench.environment.set(max(due, bench.environment.now()))
        looks += 1
        assert looks < 2000
    assert looks > 5
    bench.core.reconcile(one)
    assert bench.get(one).status is Status.EXPIRED
    bench.ca.script = (Act.ISSUE,)
    for _ in range(8):
        if bench.get(one).status is Status.ACTIVE and not bench.ca.held:
            break
        bench.step(one)
    assert bench.get(one).status is Status.ACTIVE
    assert bench.ca.held == set()


def test_renewing_twice_begins_one_issuance(bench):
    """A second click on "renew" while one runs looks at it instead of beginning another."""
    one = bench.active()
    bench.ca.script = (Act.WORK,)
    bench.core.certificates.renew(one)
    bench.core.reconcile(one)
    bench.core.certificates.renew(one)
    bench.core.reconcile(one)
    assert len(bench.core.certificates.issuances(one)) == 2


# -- users and workers at the same moment -----------------------------------------------------------------------------


def _claimed(bench, one):
    (schedule,) = bench.core.engine.claim_due(10)
    assert schedule.certificate_id == one
    return bench.core.engine.load(schedule)


@pytest.mark.parametrize("action", ["delete", "back_to_draft"])
def test_a_users_action_wins_over_a_step_in_the_middle(bench, action):
    """A step that was overtaken is not stored, and what it did outside is taken back."""
    bench.ca.script = (Act.WAIT_OWNER, Act.ISSUE)
    one = bench.requested()
    held = _claimed(bench, one)
    getattr(bench.core.certificates, action)(one)
    with pytest.raises(CertCoreError):
        bench.core.engine.step(held, keep_lease=False)
    assert bench.ca.held == set()
    if action == "back_to_draft":
        assert bench.get(one).status is Status.DRAFT
        assert bench.core.certificates.issuances(one)[0].outcome is Outcome.ABANDONED


def test_an_edit_of_the_policy_survives_a_step_in_the_middle(bench):
    """What a user edits while a step runs is kept, and so is the step."""
    bench.ca.script = (Act.ISSUE,)
    one = bench.requested()
    held = _claimed(bench, one)
    bench.core.certificates.edit(one, renewal=RenewalPolicy(days_before=7))
    try:
        bench.core.engine.step(held, keep_lease=False)
    except LeaseLost:
        bench.core.reconcile(one)
    found = bench.get(one)
    assert found.status is Status.ACTIVE
    assert found.renewal.days_before == 7
    bench.core.reconcile(one)
    view = bench.core.certificates.view(one)
    assert view.schedule.due_at == view.renews_at


def test_a_worker_that_slept_past_its_lease_changes_nothing(bench):
    """A step whose lease ran out and was taken over is refused; the successor's state stands."""
    one = bench.requested()
    asleep = _claimed(bench, one)
    bench.advance(minutes=6)
    (taken,) = bench.core.engine.claim_due(10)
    awake = bench.core.engine.step(bench.core.engine.load(taken), keep_lease=False)
    before = bench.core.certificates.view(one)
    with pytest.raises(LeaseLost):
        bench.core.engine.step(asleep, keep_lease=False)
    assert bench.core.certificates.view(one) == before
    assert before.schedule.token == awake.schedule.token


def test_a_leased_certificate_is_left_alone(bench):
    """While a worker has it, reconciling from elsewhere takes no step and says when the lease ends."""
    one = bench.requested()
    _claimed(bench, one)
    done = bench.core.reconcile(one)
    assert not done.stepped
    assert done.look_again == bench.environment.now() + LEASE


def test_cleaning_up_is_tried_until_it_succeeds(bench):
    """What cannot be taken back now is taken back later; the certificate is active meanwhile."""
    bench.ca.script = (Act.ISSUE,)
    bench.ca.busy_until = bench.environment.now() + timedelta(minutes=10)
    one = bench.requested()
    bench.step(one)
    assert bench.get(one).status is Status.ACTIVE
    for _ in range(2):
        assert bench.ca.held
        bench.step(one)
    assert bench.ca.held == set()
    assert not bench.core.certificates.issuances(one)[0].needs_clean_up


def test_a_profile_that_was_deleted_does_not_keep_a_certificate(bench):
    """A certificate that moved to another CA can still be deleted when the first CA's profile is gone."""
    bench.ca.script = (Act.WAIT_OWNER,)
    one = bench.requested()
    bench.core.reconcile(one)
    bench.ca.busy_until = bench.environment.now() + timedelta(days=1)
    with pytest.raises(CertCoreError):
        bench.core.certificates.delete(one)
    bench.ca.busy_until = None
    bench.core.certificates.back_to_draft(one)
    other = bench.core.authorities.create("other", module="scripted")
    bench.core.certificates.edit(one, authority=other.id)
    bench.core.authorities.delete(bench.authority.id)
    bench.core.reconcile(one)
    bench.core.certificates.delete(one)


# -- the timeline -----------------------------------------------------------------------------------------------------


def test_the_timeline_tells_who_did_what(bench):
    """Every change is an event with its actor and both statuses; deleting leaves the record."""
    draft = bench.draft(actor="alice")
    bench.core.certificates.generate_csr(draft.id, actor="bob")
    for _ in range(4):
        bench.step(draft.id)
    bench.core.certificates.reveal_private_key(draft.id, reason="move to web-3", actor="carol")
    bench.core.certificates.delete(draft.id, actor="dave")
    told = [(event.kind, event.actor) for event in bench.core.certificates.timeline(draft.id)]
    assert told == [
        (EventKind.CREATED, "alice"),
        (EventKind.CSR_GENERATED, "bob"),
        (EventKind.WAITING, "engine"),
        (EventKind.PROCESSING, "engine"),
        (EventKind.INSTALLED, "engine"),
        (EventKind.KEY_REVEALED, "carol"),
        (EventKind.DELETED, "dave"),
    ]


def test_actions_out_of_place_are_refused_with_what_is_possible(bench):
    """An action that the status does not permit names the status and the possible ones, and changes nothing."""
    one = bench.active()
    before = bench.core.certificates.view(one)
    for action in (
        lambda: bench.core.certificates.generate_csr(one),
        lambda: bench.core.certificates.back_to_draft(one),
    ):
        with pytest.raises(TransitionNotAllowed) as caught:
            action()
        assert caught.value.status == "active"
        assert "renew" in caught.value.advice
    assert bench.core.certificates.view(one) == before


def test_two_clicks_make_one_request(bench):
    """Of two clicks on "Generate CSR" the second is refused: one key, one issuance."""
    draft = bench.draft()
    bench.core.certificates.generate_csr(draft.id)
    with pytest.raises((TransitionNotAllowed, StaleWrite)):
        bench.core.certificates.generate_csr(draft.id)
    assert len(bench.core.certificates.issuances(draft.id)) == 1


def test_a_second_process_goes_on_where_the_first_stopped(bench, tmp_path):
    """A store on disk that was left in the middle is finished by another core, with nothing shared in memory."""
    CertCore.create_keyring(tmp_path / "keyring.json")

    def opened():
        return CertCore.open(
            f"sqlite:///{tmp_path}/certcore.db",
            keyring=tmp_path / "keyring.json",
            plugins=[bench.ca.plugin()],
            installed_plugins=False,
            environment=bench.environment,
        )

    with opened() as core:
        authority = core.authorities.create("test", module="scripted")
        one = core.certificates.create("shop.example", authority=authority.id).id
        core.certificates.generate_csr(one)
    for _ in range(4):
        with opened() as core:
            due = core.certificates.view(one).schedule.due_at
            bench.environment.set(max(due, bench.environment.now()))
            core.reconcile(one)
    with opened() as core:
        assert core.certificates.get(one).status is Status.ACTIVE
        assert core.certificates.export(one, reason="test").private_key


def test_values_can_be_compared_and_changed_by_copy_only(bench):
    """What comes out is a frozen value: changing it means making another one."""
    draft = bench.draft()
    with pytest.raises(AttributeError):
        draft.wildcard = True
    with pytest.raises(TypeError):
        draft.module_data["x"] = 1
    assert evolve(draft) == draft
