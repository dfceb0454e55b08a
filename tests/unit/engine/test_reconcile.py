"""One look, at most one step: what becomes of a certificate, whatever the CA does and whenever a user acts."""

import logging
from datetime import timedelta

import pytest
from attrs import evolve

from certcore import CertCore, RenewalPolicy, Status
from certcore.engine.leases import LEASE
from certcore.errors import CertCoreError, LeaseLostError, StaleWriteError, TransitionNotAllowedError
from certcore.model.events import EventKind
from certcore.model.issuance import Outcome, Purpose
from certcore.testing.scripted_ca import Act
from certcore.x509.csr import csr_spki_sha256
from certcore.x509.keys import load_private_key, spki_sha256
from support.databases import sqlite_with_tables
from support.inside import inside


def test_from_draft_to_active(bench):
    """The statuses follow what the CA waits for; the leaf's private key is the one in the store."""
    certificate_id = bench.draft().id
    assert bench.core.reconcile(certificate_id).look_again is None
    bench.core.certificates.generate_csr(certificate_id)
    seen = [bench.get(certificate_id).status]
    for _ in range(4):
        bench.step(certificate_id)
        seen.append(bench.get(certificate_id).status)
    assert seen == [Status.PENDING, Status.PENDING, Status.PROCESSING, Status.ACTIVE, Status.ACTIVE]
    view = bench.core.certificates.view(certificate_id)
    key = load_private_key(bench.core.certificates.private_key(certificate_id, reason="test").reveal())
    assert spki_sha256(key.public_key()) == view.leaf.spki_sha256
    assert bench.ca.held == set()
    assert view.schedule.due_at == view.renews_at
    assert bench.core.certificates.issuances(certificate_id)[0].outcome is Outcome.ISSUED


def test_nothing_happens_before_it_is_due(bench):
    """Looking too early, or again and again, takes no step."""
    certificate_id = bench.requested()
    first = bench.core.reconcile(certificate_id)
    assert first.stepped
    calls = bench.ca.calls
    for _ in range(3):
        again = bench.core.reconcile(certificate_id)
        assert not again.stepped
        assert again.look_again == first.look_again
    assert bench.ca.calls == calls


def test_what_is_gone_is_no_error(bench):
    """Reconciling a certificate that was deleted, or never was, says so and does nothing."""
    certificate_id = bench.requested()
    bench.core.certificates.delete(certificate_id)
    for missing in (certificate_id, "never"):
        assert bench.core.reconcile(missing).status is None


@pytest.mark.parametrize("act", [Act.WRONG_KEY, Act.WRONG_NAMES, Act.GARBAGE])
def test_a_wrong_leaf_is_never_installed(bench, act):
    """A certificate for another key, other names, or none at all: refused, told, and tried again slowly."""
    bench.ca.script = (act,)
    certificate_id = bench.requested()
    bench.core.reconcile(certificate_id)
    refused = bench.get(certificate_id)
    assert refused.status is Status.PENDING
    assert refused.active_issuance_id is None
    assert "does not match the request" in refused.problem.title
    assert "The certificate" in refused.problem.title or "cannot be read" in refused.problem.title
    assert bench.core.certificates.view(certificate_id).schedule.due_at >= bench.environment.now() + timedelta(
        minutes=7
    )
    assert bench.ca.held == set()
    with pytest.raises(CertCoreError):
        bench.core.certificates.export(certificate_id, reason="test")
    bench.ca.script = (Act.ISSUE,)
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    assert bench.get(certificate_id).problem is None


@pytest.mark.parametrize("act", [Act.RAISE, Act.NONSENSE])
def test_a_module_with_a_bug_hurts_nobody_else(bench, act, caplog):
    """A module that raises or returns nonsense is reported by name, without its text, and asked again later."""
    bench.ca.script = (act,)
    certificate_id = bench.requested()
    with caplog.at_level(logging.DEBUG):
        bench.core.reconcile(certificate_id)
    failed = bench.get(certificate_id)
    assert failed.status is Status.PENDING
    assert "scripted" in str(failed.problem)
    assert "canary" not in caplog.text + repr(failed)
    assert bench.core.certificates.view(certificate_id).schedule.due_at > bench.environment.now()
    bench.ca.script = (Act.ISSUE,)
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE


def _waits(bench, certificate_id, count):
    waits = []
    for _ in range(count):
        bench.step(certificate_id)
        waits.append(bench.core.certificates.view(certificate_id).schedule.due_at - bench.environment.now())
    return waits


def test_a_server_in_trouble_is_tried_again_soon(bench):
    """Temporary failures are tried again within seconds at first, then more slowly, within the hour at last."""
    bench.ca.script = (Act.FAIL_SOON,)
    certificate_id = bench.requested()
    waits = _waits(bench, certificate_id, 15)
    assert timedelta(seconds=5) <= waits[0] <= timedelta(seconds=10)
    assert waits == sorted(waits)
    assert timedelta(minutes=30) <= waits[-1] <= timedelta(hours=1)
    assert bench.core.certificates.view(certificate_id).schedule.attempts == 15


def test_a_refusal_slows_down_to_hours(bench):
    """A CA that refuses is not hammered: minutes at first, a day at last."""
    bench.ca.script = (Act.FAIL_SLOW,)
    certificate_id = bench.requested()
    waits = _waits(bench, certificate_id, 12)
    assert waits[0] >= timedelta(minutes=7)
    assert timedelta(hours=12) <= waits[-1] <= timedelta(hours=24)


def test_what_retrying_cannot_heal_ends_in_error(bench):
    """A refusal for good is an error with its reason; nothing is held outside, and the user can go on from there."""
    bench.ca.script = (Act.WORK, Act.FAIL_NEVER)
    certificate_id = bench.requested()
    bench.step(certificate_id)
    bench.step(certificate_id)
    bench.core.reconcile(certificate_id)
    failed = bench.get(certificate_id)
    assert failed.status is Status.ERROR
    assert failed.problem.detail == "fail_never"
    assert bench.ca.held == set()
    assert bench.core.reconcile(certificate_id).look_again is None
    key = bench.core.certificates.issuances(certificate_id)[0].csr_pem
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.check_now(certificate_id)
    assert bench.get(certificate_id).status is Status.PENDING
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    assert bench.core.certificates.issuances(certificate_id)[0].csr_pem == key


def test_back_to_draft_destroys_the_attempt(bench):
    """Going back to the form takes back what is outside and destroys the key; the next attempt has another one."""
    bench.ca.script = (Act.WAIT_OWNER,)
    certificate_id = bench.requested()
    bench.core.reconcile(certificate_id)
    first = bench.core.certificates.issuances(certificate_id)[0]
    bench.core.certificates.back_to_draft(certificate_id)
    assert bench.get(certificate_id).status is Status.DRAFT
    bench.core.reconcile(certificate_id)
    assert bench.ca.held == set()
    with inside(bench.core).storage.read() as transaction:
        assert transaction.secrets.get(first.key_name) is None
    bench.core.certificates.edit(certificate_id, wildcard=True)
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.generate_csr(certificate_id)
    bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    second = bench.core.certificates.issuances(certificate_id)[1]
    assert csr_spki_sha256(second.csr_pem) != csr_spki_sha256(first.csr_pem)
    assert set(second.leaf.names) == {"shop.example", "*.shop.example"}


# -- renewals ---------------------------------------------------------------------------------------------------------


def test_a_renewal_runs_beside_the_leaf_in_service(bench):
    """When a third of the lifetime is left a new issuance begins; the old leaf serves until the new one is there."""
    certificate_id = bench.active()
    before = bench.core.certificates.view(certificate_id)
    bench.environment.set(before.renews_at)
    bench.core.reconcile(certificate_id)
    during = bench.core.certificates.view(certificate_id)
    assert during.certificate.status is Status.ACTIVE
    assert during.active.id == before.active.id
    assert during.issuance.purpose is Purpose.RENEW
    for _ in range(4):
        bench.step(certificate_id)
    after = bench.core.certificates.view(certificate_id)
    assert after.active.id == during.issuance.id
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256
    assert after.certificate.not_after > before.certificate.not_after
    assert after.schedule.due_at == after.renews_at > bench.environment.now()
    assert bench.ca.held == set()


def test_a_kept_key_is_kept(bench):
    """With key rotation off the renewed leaf has the same key."""
    certificate_id = bench.active(renewal=RenewalPolicy(rotate_key=False))
    before = bench.core.certificates.view(certificate_id)
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    bench.core.reconcile(certificate_id)
    after = bench.core.certificates.view(certificate_id)
    assert after.active.id != before.active.id
    assert after.leaf.spki_sha256 == before.leaf.spki_sha256


def test_without_auto_renewal_it_expires(bench):
    """With auto-renewal off nothing is begun; at its end the certificate is expired, and can be renewed by hand."""
    certificate_id = bench.active(renewal=RenewalPolicy(auto=False))
    bench.step(certificate_id)
    expired = bench.get(certificate_id)
    assert expired.status is Status.EXPIRED
    assert len(bench.core.certificates.issuances(certificate_id)) == 1
    assert bench.core.reconcile(certificate_id).look_again is None
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE


_EVERY_HOUR = pytest.mark.slow(reason="tries every hour of a month")


@pytest.mark.parametrize(
    "act",
    [
        pytest.param(Act.FAIL_SOON, marks=_EVERY_HOUR),
        Act.FAIL_SLOW,
        Act.FAIL_NEVER,
        Act.WRONG_KEY,
        pytest.param(Act.RAISE, marks=_EVERY_HOUR),
    ],
)
def test_a_failing_renewal_leaves_the_leaf_in_service_to_its_end(bench, act):
    """However renewals fail, the certificate is active until not_after, tried again and again, and expired then."""
    certificate_id = bench.active()
    view = bench.core.certificates.view(certificate_id)
    bench.ca.script = (act,)
    bench.environment.set(view.renews_at)
    looks = 0
    while bench.environment.now() < view.certificate.not_after:
        bench.core.reconcile(certificate_id)
        certificate = bench.get(certificate_id)
        if bench.environment.now() < view.certificate.not_after:
            assert certificate.status is Status.ACTIVE
            assert certificate.active_issuance_id == view.active.id
        due = bench.core.certificates.view(certificate_id).schedule.due_at
        bench.environment.set(max(due, bench.environment.now()))
        looks += 1
        assert looks < 2000
    assert looks > 5
    bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status is Status.EXPIRED
    bench.ca.script = (Act.ISSUE,)
    for _ in range(8):
        if bench.get(certificate_id).status is Status.ACTIVE and not bench.ca.held:
            break
        bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    assert bench.ca.held == set()


def test_renewing_twice_begins_one_issuance(bench):
    """A second click on "renew" while one runs looks at it instead of beginning another."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WORK,)
    bench.core.certificates.renew(certificate_id)
    bench.core.reconcile(certificate_id)
    bench.core.certificates.renew(certificate_id)
    bench.core.reconcile(certificate_id)
    assert len(bench.core.certificates.issuances(certificate_id)) == 2


# -- users and workers at the same moment -----------------------------------------------------------------------------


def _claimed(bench, one):
    (schedule,) = inside(bench.core).engine.claim_due(10)
    assert schedule.certificate_id == one
    return inside(bench.core).engine.load(schedule)


@pytest.mark.parametrize("action", ["delete", "back_to_draft"])
def test_a_users_action_wins_over_a_step_in_the_middle(bench, action):
    """A step that was overtaken is not stored, and what it did outside is taken back."""
    bench.ca.script = (Act.WAIT_OWNER, Act.ISSUE)
    certificate_id = bench.requested()
    leased = _claimed(bench, certificate_id)
    getattr(bench.core.certificates, action)(certificate_id)
    with pytest.raises(CertCoreError):
        inside(bench.core).engine.step(leased, keep_lease=False)
    assert bench.ca.held == set()
    if action == "back_to_draft":
        assert bench.get(certificate_id).status is Status.DRAFT
        assert bench.core.certificates.issuances(certificate_id)[0].outcome is Outcome.ABANDONED


def test_an_edit_of_the_policy_survives_a_step_in_the_middle(bench):
    """What a user edits while a step runs is kept, and so is the step."""
    bench.ca.script = (Act.ISSUE,)
    certificate_id = bench.requested()
    leased = _claimed(bench, certificate_id)
    bench.core.certificates.edit(certificate_id, renewal=RenewalPolicy(days_before=7))
    try:
        inside(bench.core).engine.step(leased, keep_lease=False)
    except LeaseLostError:
        bench.core.reconcile(certificate_id)
    certificate = bench.get(certificate_id)
    assert certificate.status is Status.ACTIVE
    assert certificate.renewal.days_before == 7
    bench.core.reconcile(certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert view.schedule.due_at == view.renews_at


def test_a_worker_that_slept_past_its_lease_changes_nothing(bench):
    """A step whose lease ran out and was taken over is refused; the successor's state stands."""
    certificate_id = bench.requested()
    asleep = _claimed(bench, certificate_id)
    bench.advance(minutes=6)
    (taken,) = inside(bench.core).engine.claim_due(10)
    awake = inside(bench.core).engine.step(inside(bench.core).engine.load(taken), keep_lease=False)
    before = bench.core.certificates.view(certificate_id)
    with pytest.raises(LeaseLostError):
        inside(bench.core).engine.step(asleep, keep_lease=False)
    assert bench.core.certificates.view(certificate_id) == before
    assert before.schedule.token == awake.schedule.token


def test_a_leased_certificate_is_left_alone(bench):
    """While a worker has it, reconciling from elsewhere takes no step and says when the lease ends."""
    certificate_id = bench.requested()
    _claimed(bench, certificate_id)
    done = bench.core.reconcile(certificate_id)
    assert not done.stepped
    assert done.look_again == bench.environment.now() + LEASE


def test_cleaning_up_is_tried_until_it_succeeds(bench):
    """What cannot be taken back now is taken back later; the certificate is active meanwhile."""
    bench.ca.script = (Act.ISSUE,)
    bench.ca.busy_until = bench.environment.now() + timedelta(minutes=10)
    certificate_id = bench.requested()
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    for _ in range(2):
        assert bench.ca.held
        bench.step(certificate_id)
    assert bench.ca.held == set()
    assert not bench.core.certificates.issuances(certificate_id)[0].needs_clean_up


def test_a_profile_that_was_deleted_does_not_keep_a_certificate(bench):
    """A certificate that moved to another CA can still be deleted when the first CA's profile is gone."""
    bench.ca.script = (Act.WAIT_OWNER,)
    certificate_id = bench.requested()
    bench.core.reconcile(certificate_id)
    bench.ca.busy_until = bench.environment.now() + timedelta(days=1)
    with pytest.raises(CertCoreError):
        bench.core.certificates.delete(certificate_id)
    bench.ca.busy_until = None
    bench.core.certificates.back_to_draft(certificate_id)
    other = bench.core.authorities.create("other", module="scripted")
    bench.core.certificates.edit(certificate_id, authority=other.id)
    bench.core.authorities.delete(bench.authority.id)
    bench.core.reconcile(certificate_id)
    bench.core.certificates.delete(certificate_id)


# -- the timeline -----------------------------------------------------------------------------------------------------


def test_the_timeline_tells_who_did_what(bench):
    """Every change is an event with its actor and both statuses; deleting leaves the record."""
    draft = bench.draft(actor="alice")
    bench.core.certificates.generate_csr(draft.id, actor="bob")
    for _ in range(4):
        bench.step(draft.id)
    bench.core.certificates.private_key(draft.id, reason="move to web-3", actor="carol")
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
    certificate_id = bench.active()
    before = bench.core.certificates.view(certificate_id)
    for action in (
        lambda: bench.core.certificates.generate_csr(certificate_id),
        lambda: bench.core.certificates.back_to_draft(certificate_id),
    ):
        with pytest.raises(TransitionNotAllowedError) as caught:
            action()
        assert caught.value.status == "active"
        assert "Renew now" in caught.value.advice
    assert bench.core.certificates.view(certificate_id) == before


def test_two_clicks_make_one_request(bench):
    """Of two clicks on "Generate CSR" the second is refused: one key, one issuance."""
    draft = bench.draft()
    bench.core.certificates.generate_csr(draft.id)
    with pytest.raises((TransitionNotAllowedError, StaleWriteError)):
        bench.core.certificates.generate_csr(draft.id)
    assert len(bench.core.certificates.issuances(draft.id)) == 1


def test_a_second_process_goes_on_where_the_first_stopped(bench, tmp_path):
    """A store on disk that was left in the middle is finished by another core, with nothing shared in memory."""
    CertCore.create_keyring(tmp_path / "keyring.json")

    def opened():
        return CertCore.open(
            sqlite_with_tables(tmp_path),
            keyring=tmp_path / "keyring.json",
            plugins=[bench.ca.plugin()],
            installed_plugins=False,
            environment=bench.environment,
        )

    with opened() as core:
        authority = core.authorities.create("test", module="scripted")
        certificate_id = core.certificates.create("shop.example", authority=authority.id).id
        core.certificates.generate_csr(certificate_id)
    for _ in range(4):
        with opened() as core:
            due = core.certificates.view(certificate_id).schedule.due_at
            bench.environment.set(max(due, bench.environment.now()))
            core.reconcile(certificate_id)
    with opened() as core:
        assert core.certificates.get(certificate_id).status is Status.ACTIVE
        assert core.certificates.export(certificate_id, reason="test").private_key


def test_values_can_be_compared_and_changed_by_copy_only(bench):
    """What comes out is a frozen value: changing it means making another one."""
    draft = bench.draft()
    with pytest.raises(AttributeError):
        draft.wildcard = True
    with pytest.raises(TypeError):
        draft.module_data["x"] = 1
    assert evolve(draft) == draft
