"""What goes wrong with one certificate is its own trouble: it is told, tried again, and costs no other one its turn."""

from datetime import datetime, timedelta

import pytest
from attrs import evolve

from certcore import CertCore, NoticePolicy
from certcore.errors import CAError, CertCoreError, StaleWriteError
from certcore.model.lifecycle import Status
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.model.renewal_info import SuggestedWindow
from certcore.ports.ca_module import Failed, Issued, Waiting, WaitingFor
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def _core(ca, environment):
    quiet = NoticePolicy(days_before=())
    return CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment, notices=quiet)


def _active(core, domain="shop.example", **form):
    certificate_id = core.certificates.create(domain, **form).id
    core.certificates.generate_csr(certificate_id)
    for _ in range(4):
        core.reconcile(certificate_id)
    assert core.certificates.get(certificate_id).status is Status.ACTIVE
    return certificate_id


def _due(core, certificate_id):
    return core.certificates.view(certificate_id).schedule.due_at


def _until(core, environment, certificate_id, until, most=500):
    """Look whenever it is due, until a moment; returns how often that was."""
    for number in range(most):
        due = _due(core, certificate_id)
        if due is None or due >= until:
            environment.set(until)
            return number
        environment.set(max(due, environment.now()))
        core.reconcile(certificate_id)
    raise AssertionError("it looks too often")


# -- deleting --------------------------------------------------------------------------------------------------------


def test_a_delete_that_failed_leaves_it_looked_after(bench):
    """What could not be deleted now is renewed in time all the same."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_OWNER, Act.ISSUE)
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    bench.step(certificate_id)
    bench.step(certificate_id)
    bench.ca.busy_until = bench.environment.now() + HOUR
    with pytest.raises(CertCoreError, match="nothing was changed"):
        bench.core.certificates.delete(certificate_id)
    _until(bench.core, bench.environment, certificate_id, bench.get(certificate_id).not_after - DAY)
    assert bench.core.certificates.view(certificate_id).active.number == 2
    bench.core.certificates.delete(certificate_id)


class Dying(ScriptedCA):
    """The process ends while it cleans up."""

    dies = False

    def clean_up(self, work):
        if self.dies:
            raise KeyboardInterrupt  # in the main thread, as Ctrl-C is
        return super().clean_up(work)


def test_a_process_that_dies_while_it_deletes(bench):
    """Another one goes on with the certificate."""
    environment = FrozenEnvironment()
    ca = Dying([Act.ISSUE], now=environment.now())
    with _core(ca, environment) as core:
        certificate_id = _active(core, authority=core.authorities.create("a", module="scripted").id)
        ca.script = (Act.WAIT_OWNER,)
        environment.set(core.certificates.view(certificate_id).renews_at)
        core.reconcile(certificate_id)
        core.reconcile(certificate_id)
        ca.dies = True
        with pytest.raises(KeyboardInterrupt):
            core.certificates.delete(certificate_id)
        ca.dies = False
        assert _due(core, certificate_id) <= environment.now() + HOUR


def test_deleting_when_the_ca_profile_of_an_attempt_is_gone(bench):
    """Nobody can take anything back, so nothing is in the way."""
    core, ca = bench.core, bench.ca
    other = core.authorities.create("other", module="scripted", settings={"region": "us"})
    certificate_id = bench.active(fallbacks=[other.id])
    ca.scripts = {"eu": (Act.CA_REFUSES,), "us": (Act.WORK,)}
    bench.environment.set(core.certificates.view(certificate_id).renews_at)
    for _ in range(20):
        bench.step(certificate_id)
        attempt = core.certificates.view(certificate_id).issuance
        if attempt is not None and attempt.authority_id == other.id and attempt.needs_clean_up:
            break
    core.certificates.edit(certificate_id, fallbacks=[])
    core.authorities.delete(other.id)
    core.certificates.delete(certificate_id)
    assert core.certificates.list().items == ()


# -- steps that raise -----------------------------------------------------------------------------------------------


def _spoil_key(core, certificate_id):
    with inside(core).storage.write() as transaction:
        name = transaction.issuances.get(core.certificates.get(certificate_id).active_issuance_id).key_name
        sealed = transaction.secrets.get(name)
        spoilt = sealed.ciphertext[:-1] + bytes([sealed.ciphertext[-1] ^ 1])
        transaction.secrets.put(name, evolve(sealed, ciphertext=spoilt))


def test_a_kept_key_that_does_not_open(bench):
    """The problem is shown and retried with growing pauses; near the end of the leaf a new key is used."""
    certificate_id = bench.active(renewal={"rotate_key": False})
    before = bench.core.certificates.view(certificate_id)
    _spoil_key(bench.core, certificate_id)
    bench.ca.script = (Act.ISSUE,)
    bench.environment.set(before.renews_at)
    bench.core.reconcile(certificate_id)
    told = bench.get(certificate_id).problem
    assert told.type == "urn:certcore:unseal_failed" or "open" in told.title
    assert bench.core.certificates.view(certificate_id).schedule.due_at > bench.environment.now()
    looks = _until(bench.core, bench.environment, certificate_id, before.certificate.not_after - DAY, most=3000)
    assert looks < 24 * 30
    after = bench.core.certificates.view(certificate_id)
    assert after.active.number == 2
    assert after.certificate.problem is None
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256


def test_those_that_fail_cost_the_others_nothing():
    """Ten whose renewal raises come first each time; the eleventh has its turn within the same round."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with _core(ca, environment) as core:
        profile = core.authorities.create("a", module="scripted").id
        bad = [_active(core, f"b{n}.example", authority=profile, renewal={"rotate_key": False}) for n in range(10)]
        environment.advance(HOUR)
        good = _active(core, "good.example", authority=profile)
        for one in bad:
            _spoil_key(core, one)
        environment.set(max(core.certificates.view(one).renews_at for one in [*bad, good]))
        for _ in range(4):
            for schedule in inside(core).engine.claim_due(4):
                inside(core).engine.step(inside(core).engine.load(schedule), keep_lease=False)
        for _ in range(4):
            core.reconcile(good)
        assert core.certificates.view(good).active.number == 2


class Returning(ScriptedCA):
    """Returns, or raises, whatever the test says."""

    returned = None
    words = None

    def advance(self, work):
        return super().advance(work) if self.returned is None else self.returned

    def renewal_info(self, issuance, context):
        if isinstance(self.words, Exception):
            raise self.words
        return self.words


NAIVE = datetime(2030, 1, 1)  # noqa: DTZ001 - what a module with a bug returns
GOOD = Problem(title="No.")
NOW = FrozenEnvironment().now()


@pytest.mark.parametrize(
    "step",
    [
        Waiting(state={}, look_again=NAIVE, waiting_for=WaitingFor.OWNER),
        Waiting(state={}, look_again=None, waiting_for=WaitingFor.OWNER),
        Waiting(state={"when": NOW}, look_again=NOW, waiting_for=WaitingFor.OWNER),
        Waiting(state=None, look_again=NOW, waiting_for=WaitingFor.OWNER),
        Waiting(state={}, look_again=NOW, waiting_for="owner, surely"),
        Waiting(state={}, look_again=NOW, waiting_for=WaitingFor.OWNER, findings={"seen": "\ud800"}),
        Waiting(state={"share": float("nan")}, look_again=NOW, waiting_for=WaitingFor.OWNER),
        Failed(state={}, problem=GOOD, retry=Retry.SOON, retry_at=NAIVE),
        Failed(state={}, problem=GOOD, retry="at once"),
        Failed(state={}, problem=Problem(title="\ud800"), retry=Retry.SOON),
        Failed(state={}, problem="No.", retry=Retry.SOON),
        Issued(state={}, chain_pem=None),
        Issued(state={}, chain_pem=b"-----BEGIN"),
    ],
    ids=repr,
)
def test_a_step_that_cannot_be(step):
    """A module's bug is named as one, and the certificate is looked at later, not at once."""
    environment = FrozenEnvironment()
    ca = Returning([Act.ISSUE], now=environment.now())
    with _core(ca, environment) as core:
        certificate_id = _active(core, authority=core.authorities.create("a", module="scripted").id)
        ca.returned = step
        core.certificates.renew(certificate_id)
        core.reconcile(certificate_id)
        assert "it returned a" in core.certificates.get(certificate_id).problem.title
        assert _due(core, certificate_id) > environment.now()
        ca.returned = None
        environment.set(_due(core, certificate_id))
        core.reconcile(certificate_id)
        assert core.certificates.view(certificate_id).active.number == 2


@pytest.mark.parametrize("retry_after", [1e300, float("inf"), float("nan"), -5.0])
@pytest.mark.parametrize("fails", [True, False])
def test_no_retry_after_of_renewal_information_stops_anything(retry_after, fails):
    """However long a module says: the CA is asked again, within a minute and a day."""
    environment = FrozenEnvironment()
    ca = Returning([Act.ISSUE], now=environment.now())
    now = environment.now()
    window = SuggestedWindow(start=now + 50 * DAY, end=now + 52 * DAY, retry_after=retry_after)
    ca.words = CAError("No.", retry_after=retry_after) if fails else window
    with _core(ca, environment) as core:
        certificate_id = _active(core, authority=core.authorities.create("a", module="scripted").id)
        for _ in range(5):
            before = core.certificates.view(certificate_id).active.renewal_info.check_at
            environment.set(before)
            core.reconcile(certificate_id)
            asked_again = core.certificates.view(certificate_id).active.renewal_info.check_at - before
            assert timedelta(minutes=1) <= asked_again <= DAY
        assert core.certificates.view(certificate_id).renews_at - environment.now() < 90 * DAY


def test_a_window_from_before_the_leaf_does_not_renew_each_hour():
    """A CA that says of every leaf that it should have been renewed gets an order a day at most."""
    environment = FrozenEnvironment()
    ca = Returning([Act.ISSUE], now=environment.now())
    now = environment.now()
    ca.words = SuggestedWindow(start=now - 9 * DAY, end=now - 8 * DAY)
    with _core(ca, environment) as core:
        certificate_id = _active(core, authority=core.authorities.create("a", module="scripted").id)
        _until(core, environment, certificate_id, now + 10 * DAY)
        assert 5 <= core.certificates.view(certificate_id).active.number <= 12


# -- somebody else at the same moment ------------------------------------------------------------------------------


class Meddling(ScriptedCA):
    """Something happens while a request is prepared, or while it cleans up."""

    at_request = None
    at_advance = None
    at_clean_up = None

    def advance(self, work):
        step = super().advance(work)
        meddle, self.at_advance = self.at_advance, None
        if meddle is not None:
            meddle()
        return step

    def check_request(self, context, names, settings):
        meddle, self.at_request = self.at_request, None
        if meddle is not None:
            meddle()
        super().check_request(context, names, settings)

    def clean_up(self, work):
        meddle, self.at_clean_up = self.at_clean_up, None
        if meddle is not None:
            meddle()
        return super().clean_up(work)


def test_a_key_that_is_revoked_meanwhile_is_not_taken_up():
    """A renewal that keeps the key was prepared before the key was revoked: it is refused."""
    environment = FrozenEnvironment()
    ca = Meddling([Act.ISSUE], now=environment.now())
    with _core(ca, environment) as core:
        profile = core.authorities.create("a", module="scripted").id
        certificate_id = _active(core, authority=profile, renewal={"rotate_key": False})
        revoked = core.certificates.view(certificate_id).leaf.spki_sha256
        ca.at_request = lambda: core.certificates.revoke(certificate_id, reason="key_compromise")
        with pytest.raises(StaleWriteError, match="revoked"):
            core.certificates.renew(certificate_id)
        core.certificates.renew(certificate_id)
        for _ in range(4):
            core.reconcile(certificate_id)
        view = core.certificates.view(certificate_id)
        assert view.certificate.status is Status.ACTIVE
        assert view.leaf.spki_sha256 != revoked


def test_a_check_while_a_worker_cleans_up():
    """A failed certificate that is looked at again while the failure is tidied up is not forgotten."""
    environment = FrozenEnvironment()
    ca = Meddling([Act.FAIL_NEVER], now=environment.now())
    with _core(ca, environment) as core:
        authority_id = core.certificates.create(
            "shop.example", authority=core.authorities.create("a", module="scripted").id
        ).id
        core.certificates.generate_csr(authority_id)
        core.reconcile(authority_id)
        ca.script = (Act.ISSUE,)
        ca.at_clean_up = lambda: core.certificates.check_now(authority_id)
        for _ in range(4):
            core.reconcile(authority_id)
        assert core.certificates.get(authority_id).status is Status.ACTIVE


def test_a_check_in_the_middle_of_a_step_is_not_lost():
    """The step had looked already when the owner said "look now": another look follows at once."""
    environment = FrozenEnvironment()
    ca = Meddling([Act.WAIT_OWNER, Act.ISSUE], now=environment.now())
    with _core(ca, environment) as core:
        authority_id = core.certificates.create(
            "shop.example", authority=core.authorities.create("a", module="scripted").id
        ).id
        core.certificates.generate_csr(authority_id)

        def asked():
            environment.advance(timedelta(seconds=1))
            core.certificates.check_now(authority_id)

        ca.at_advance = asked
        assert core.reconcile(authority_id).look_again == environment.now()
        core.reconcile(authority_id)
        assert core.certificates.get(authority_id).status is Status.ACTIVE
        core.reconcile(authority_id)
        assert _due(core, authority_id) > environment.now()


# -- other CAs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["cleared", "deleted"])
@pytest.mark.parametrize("there", [Act.CA_DOWN, Act.WAIT_OWNER])
def test_an_attempt_does_not_stay_at_a_ca_that_is_no_fallback_any_more(bench, change, there):
    """Fallbacks are taken away while one of them is tried: the certificate's own CA has its turn again."""
    core, ca = bench.core, bench.ca
    other = core.authorities.create("other", module="scripted", settings={"region": "us"})
    certificate_id = bench.active(fallbacks=[other.id])
    ca.scripts = {"eu": (Act.CA_DOWN,), "us": (there,)}
    ends = core.certificates.get(certificate_id).not_after
    bench.environment.set(core.certificates.view(certificate_id).renews_at)
    for _ in range(100):
        bench.step(certificate_id)
        attempt = core.certificates.view(certificate_id).issuance
        if attempt is not None and attempt.authority_id == other.id:
            break
    core.certificates.edit(certificate_id, fallbacks=[])
    if change == "deleted":
        core.authorities.delete(other.id)
    ca.scripts = {"eu": (Act.ISSUE,), "us": (there,)}
    _until(core, bench.environment, certificate_id, ends - DAY)
    assert core.certificates.view(certificate_id).active.number > 1


class Pausing(ScriptedCA):
    """Lets everybody wait in one region, and issues in the other."""

    pause = 7 * DAY
    fails = False

    def advance(self, work):
        if work.profile.region == "us":
            return super().advance(work)
        at = work.environment.now() + self.pause
        if self.fails:
            return Failed(state={}, problem=GOOD, retry=Retry.SOON, retry_at=at, of_authority=True)
        return Waiting(state={}, look_again=at, waiting_for=WaitingFor.TURN)


@pytest.mark.parametrize("fails", [True, False])
@pytest.mark.parametrize("pause", [2 * HOUR, 7 * DAY])
def test_nobody_without_a_leaf_waits_for_days_while_there_is_another_ca(fails, pause):
    """A limit of the first CA, or a pause that it asked for, is no reason to wait when the second one issues."""
    environment = FrozenEnvironment()
    ca = Pausing([Act.ISSUE], now=environment.now())
    ca.fails, ca.pause = fails, pause
    with _core(ca, environment) as core:
        first, second = (
            core.authorities.create(region, module="scripted", settings={"region": region}).id
            for region in ("eu", "us")
        )
        certificate_id = _active(core, authority=first, fallbacks=[second])
        assert core.certificates.view(certificate_id).active.authority_id == second


def test_a_leaf_of_six_days_does_not_wait_for_a_pause_of_a_day():
    """Half of what it has left is the longest that it waits for a CA when there is another one."""
    environment = FrozenEnvironment()
    ca = Pausing([Act.ISSUE], now=environment.now())
    ca.fails, ca.pause = True, timedelta(0)
    with _core(ca, environment) as core:
        first, second = (
            core.authorities.create(region, module="scripted", settings={"region": region, "lifetime_days": 6}).id
            for region in ("eu", "us")
        )
        ca.pause = DAY
        certificate_id = _active(core, authority=first, fallbacks=[second])
        ends = core.certificates.get(certificate_id).not_after
        _until(core, environment, certificate_id, ends - timedelta(minutes=1))
        assert core.certificates.get(certificate_id).not_after > ends


def test_two_cas_that_let_wait_are_asked_ever_more_rarely():
    """One has a limit, the other one waits for the owner: no new attempt every few minutes for a week."""
    environment = FrozenEnvironment()
    ca = Pausing([Act.WAIT_OWNER], now=environment.now())
    with _core(ca, environment) as core:
        first, second = (
            core.authorities.create(region, module="scripted", settings={"region": region}).id
            for region in ("eu", "us")
        )
        certificate_id = core.certificates.create("shop.example", authority=first, fallbacks=[second]).id
        core.certificates.generate_csr(certificate_id)
        _until(core, environment, certificate_id, environment.now() + 7 * DAY, most=1000)
        assert len(core.certificates.issuances(certificate_id)) < 60


@pytest.mark.parametrize("retry_at", [timedelta(0), -DAY, timedelta(seconds=0.5), timedelta(seconds=2)])
@pytest.mark.parametrize("retry", [Retry.SOON, Retry.SLOW])
def test_a_retry_after_of_nothing_takes_no_pause_away(retry_at, retry):
    """A CA in trouble that says "at once", or a moment that has passed, is not asked at once, again and again."""
    environment = FrozenEnvironment()
    ca = Returning([Act.ISSUE], now=environment.now())
    with _core(ca, environment) as core:
        authority_id = core.certificates.create(
            "shop.example", authority=core.authorities.create("a", module="scripted").id
        ).id
        core.certificates.generate_csr(authority_id)
        begun, looks = environment.now(), 0
        while environment.now() < begun + HOUR:
            ca.returned = Failed(state={}, problem=GOOD, retry=retry, retry_at=environment.now() + retry_at)
            core.reconcile(authority_id)
            environment.set(_due(core, authority_id))
            looks += 1
            assert looks < 200
