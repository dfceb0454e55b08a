"""Who is told that a certificate ends, and that its renewal keeps failing: in time, once, and for a reason."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import certcore
from certcore import CertCore, NoticePolicy, RenewalPolicy, Status
from certcore.errors import InvalidInputError
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.notice_policy import next_notice, passed_days, told_of_days
from certcore.model.secret import SecretName
from certcore.model.subject import Subject
from certcore.ports.ca_module import Waiting
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.contracts.samples import sample_certificate, sample_leaf
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from support.databases import sqlite_with_tables
from support.examples import examples
from support.inside import inside

DAY = timedelta(days=1)
KEY = generate_key(KeyType.EC_P256)
NEVER = RenewalPolicy(auto=False)


class Listener:
    """An observer, as a plugin that sends mail is one."""

    def __init__(self):
        self.heard = []

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self.heard.append(event)


class Patient(ScriptedCA):
    """Looks every six hours whether the owner has done something: a month costs few looks."""

    def advance(self, work):
        step = super().advance(work)
        if isinstance(step, Waiting):
            return evolve(step, look_again=work.environment.now() + timedelta(hours=6))
        return step


class Stage:
    """A core with a notice policy, and a clock that jumps from look to look."""

    def __init__(self, notices=None, *, lifetime=90, environment=None, url=None, keyring=None, ca=None):
        self.environment = environment or FrozenEnvironment()
        self.ca = ca or Patient([Act.ISSUE], now=self.environment.now())
        self.listener = Listener()
        options = {"plugins": [self.ca.plugin(), self.listener], "installed_plugins": False, "notices": notices}
        options["environment"] = self.environment
        self.core = CertCore.open(url, keyring=keyring, **options) if url else CertCore.in_memory(**options)
        found = self.core.authorities.list()
        settings = {"lifetime_days": lifetime}
        self.authority = (
            found[0] if found else self.core.authorities.create("test", module="scripted", settings=settings)
        )

    def active(self, domain="shop.example", **fields):
        certificate_id = self.core.certificates.create(domain, authority=self.authority.id, **fields).id
        self.core.certificates.generate_csr(certificate_id)
        for _ in range(5):
            self.core.reconcile(certificate_id)
        assert self.core.certificates.get(certificate_id).status is Status.ACTIVE
        return certificate_id

    def due(self, one):
        with inside(self.core).storage.read() as transaction:
            return transaction.schedules.get(one).due_at

    def until(self, certificate_id, moment, most=400):
        """Look whenever it is due; a notice costs a look, and no more."""
        for _ in range(most):
            due = self.due(certificate_id)
            if due is None or due > moment:
                self.environment.set(max(moment, self.environment.now()))
                return
            self.environment.set(max(due, self.environment.now()))
            self.core.reconcile(certificate_id)
        raise AssertionError("it looks too often")

    def to_the_end(self, certificate_id):
        self.until(certificate_id, self.core.certificates.get(certificate_id).not_after)

    def told(self, certificate_id, kind="expires_soon"):
        """What was told, as days and how long before the end it was."""
        events = [event for event in self.core.certificates.timeline(certificate_id, limit=1000) if event.kind == kind]
        if kind != "expires_soon":
            return events
        return [(event.data["days"], datetime.fromisoformat(event.data["not_after"]) - event.at) for event in events]


# -- the policy ------------------------------------------------------------------------------------------------------


def test_the_days_come_in_any_order():
    """A list, a set or a generator of days, each once, the largest first; none at all is a policy, too."""
    assert NoticePolicy(days_before=[1, 30, 7, 7]).days_before == (30, 7, 1)
    assert NoticePolicy(days_before={3, 14}).days_before == (14, 3)
    assert NoticePolicy(days_before=(one for one in (2, 5))).days_before == (5, 2)
    assert NoticePolicy(days_before=[]).days_before == ()
    assert NoticePolicy().days_before == (30, 14, 7, 3, 1)
    assert NoticePolicy(failing_for=timedelta(0)).failing_for == timedelta(0)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("days_before", {"days_before": 7}),
        ("days_before", {"days_before": None}),
        ("days_before", {"days_before": "30"}),
        ("days_before", {"days_before": ["30"]}),
        ("days_before", {"days_before": [0]}),
        ("days_before", {"days_before": [366]}),
        ("days_before", {"days_before": [1.5]}),
        ("days_before", {"days_before": [True]}),
        ("days_before", {"days_before": [7, "a"]}),
        ("days_before", {"days_before": [[7]]}),
        ("days_before", {"days_before": range(1, 22)}),
        ("after_failures", {"after_failures": 0}),
        ("after_failures", {"after_failures": True}),
        ("after_failures", {"after_failures": "3"}),
        ("failing_for", {"failing_for": 86400}),
        ("failing_for", {"failing_for": timedelta(seconds=-1)}),
    ],
)
def test_a_policy_that_is_none(field, given):
    """It is refused with the field's name when it is made, not when a leaf ends."""
    with pytest.raises(InvalidInputError) as refused:
        NoticePolicy(**given)
    assert refused.value.field == field


# -- the end draws near ------------------------------------------------------------------------------------------


def test_each_number_of_days_is_told_once():
    """Without auto-renewal: at its moment, to the second, with the leaf's end, and then the end itself."""
    stage = Stage()
    certificate_id = stage.active(renewal=NEVER)
    stage.to_the_end(certificate_id)
    assert stage.told(certificate_id) == [(days, days * DAY) for days in (30, 14, 7, 3, 1)]
    assert stage.core.certificates.get(certificate_id).status is Status.EXPIRED
    assert [event.kind for event in stage.core.certificates.timeline(certificate_id)][-6:] == [
        *["expires_soon"] * 5,
        "expired",
    ]
    assert {event.actor for event in stage.core.certificates.timeline(certificate_id)[-6:]} == {"engine"}
    stage.environment.advance(100 * DAY)
    for _ in range(3):
        stage.core.certificates.check_now(certificate_id)
        stage.core.reconcile(certificate_id)
    assert len(stage.told(certificate_id)) == 5


def test_what_was_missed_is_told_at_once_and_only_the_most_urgent():
    """After weeks without an engine one notice says how urgent it is; the later ones come at their moments."""
    stage = Stage()
    certificate_id = stage.active(renewal=NEVER)
    stage.environment.set(stage.core.certificates.get(certificate_id).not_after - 6 * DAY)
    stage.to_the_end(certificate_id)
    assert stage.told(certificate_id) == [(7, 6 * DAY), (3, 3 * DAY), (1, DAY)]


def test_after_the_end_nothing_is_told_of_it():
    """An engine that comes back after the end says that it has expired, and no more."""
    stage = Stage()
    certificate_id = stage.active(renewal=NEVER)
    stage.environment.set(stage.core.certificates.get(certificate_id).not_after + DAY)
    for _ in range(5):
        stage.core.reconcile(certificate_id)
    assert stage.told(certificate_id) == []
    assert [event.kind for event in stage.core.certificates.timeline(certificate_id)][-1] == "expired"


def test_a_certificate_that_renews_in_time_is_no_news():
    """For years there is no notice about a certificate that renews itself in time."""
    stage = Stage()
    certificate_id = stage.active()
    stage.until(certificate_id, stage.environment.now() + 3 * 365 * DAY)
    assert len(stage.core.certificates.issuances(certificate_id)) > 15
    assert stage.told(certificate_id) == []
    assert stage.told(certificate_id, "renewal_failing") == []


@pytest.mark.parametrize("lifetime", [1, 2, 6])
@pytest.mark.parametrize("act", [Act.ISSUE, Act.WAIT_OWNER])
def test_short_lives(lifetime, act):
    """Of six days, 30 and 14 and 7 say nothing; only what is left after the renewal was due for a day does."""
    stage = Stage(lifetime=lifetime)
    certificate_id = stage.active()
    stage.ca.script = (act,)
    stage.until(certificate_id, stage.core.certificates.get(certificate_id).not_after)
    assert stage.told(certificate_id) == ([(1, DAY)] if (lifetime, act) == (6, Act.WAIT_OWNER) else [])


@pytest.mark.parametrize(
    ("lifetime", "expected"), [(1, []), (2, [1]), (6, [3, 1]), (13, [3, 1]), (60, [30, 14, 7, 3, 1])]
)
def test_short_lives_without_auto_renewal(lifetime, expected):
    """No notice comes before the middle of the lifetime."""
    stage = Stage(lifetime=lifetime)
    certificate_id = stage.active(renewal=NEVER)
    stage.to_the_end(certificate_id)
    assert [days for days, _ in stage.told(certificate_id)] == expected


def test_a_renewal_that_waits_for_its_owner_is_told_of():
    """The CNAME is gone: nothing fails, and nothing comes; from a day after the renewal's moment on it is news."""
    stage = Stage()
    certificate_id = stage.active()
    stage.ca.script = (Act.WAIT_OWNER,)
    view = stage.core.certificates.view(certificate_id)
    stage.until(certificate_id, view.certificate.not_after)
    assert view.renews_at + DAY > view.certificate.not_after - 30 * DAY
    assert stage.told(certificate_id) == [(days, days * DAY) for days in (14, 7, 3, 1)]
    assert stage.core.certificates.get(certificate_id).status is Status.EXPIRED


def test_a_renewal_by_a_policy_of_few_days():
    """A certificate that renews a week before its end gets no notice 30 and 14 days before it."""
    stage = Stage()
    certificate_id = stage.active(renewal=RenewalPolicy(days_before=7))
    stage.ca.script = (Act.WAIT_OWNER,)
    stage.until(certificate_id, stage.core.certificates.get(certificate_id).not_after)
    assert stage.told(certificate_id) == [(days, days * DAY) for days in (3, 1)]


def test_a_new_leaf_begins_anew():
    """A renewal by hand ends the notices of the old leaf; those of the new one come in their own time."""
    stage = Stage()
    certificate_id = stage.active(renewal=NEVER)
    stage.until(certificate_id, stage.core.certificates.get(certificate_id).not_after - 5 * DAY)
    assert len(stage.told(certificate_id)) == 3
    stage.core.certificates.renew(certificate_id)
    stage.to_the_end(certificate_id)  # of the old leaf
    assert len(stage.told(certificate_id)) == 3
    stage.to_the_end(certificate_id)
    assert [days for days, _ in stage.told(certificate_id)] == [30, 14, 7, 30, 14, 7, 3, 1]


def test_nothing_is_told_again_after_a_restart(tmp_path):
    """What was sent is stored: another process does not send it again, and continues after it."""
    CertCore.create_keyring(tmp_path / "keyring.json")
    disk = {"url": sqlite_with_tables(tmp_path), "keyring": tmp_path / "keyring.json"}
    stage = Stage(**disk)
    certificate_id = stage.active(renewal=NEVER)
    ends = stage.core.certificates.get(certificate_id).not_after
    for days in (13, 6.5, 6, 2, 0.5):
        stage.until(certificate_id, ends - days * DAY)
        stage.core.close()
        stage = Stage(environment=stage.environment, ca=stage.ca, **disk)
        stage.core.certificates.check_now(certificate_id)
        stage.core.reconcile(certificate_id)
        stage.core.reconcile(certificate_id)
    assert [days for days, _ in stage.told(certificate_id)] == [30, 14, 7, 3, 1]
    stage.core.close()


def test_another_policy_tells_nothing_twice(tmp_path):
    """After a change of the policy, only notices that are more urgent than those already sent are sent."""
    CertCore.create_keyring(tmp_path / "keyring.json")
    disk = {"url": sqlite_with_tables(tmp_path), "keyring": tmp_path / "keyring.json"}
    stage = Stage(NoticePolicy(days_before=[7]), **disk)
    certificate_id = stage.active(renewal=NEVER)
    stage.until(certificate_id, stage.core.certificates.get(certificate_id).not_after - 6 * DAY)
    stage.core.close()
    stage = Stage(NoticePolicy(days_before=[45, 30, 10, 7, 5]), environment=stage.environment, ca=stage.ca, **disk)
    stage.core.certificates.check_now(certificate_id)
    for _ in range(3):
        stage.core.reconcile(certificate_id)
    stage.to_the_end(certificate_id)
    assert [days for days, _ in stage.told(certificate_id)] == [7, 5]
    stage.core.close()


def test_switching_auto_renewal_off_tells_nothing_twice():
    """Larger numbers of days count then as well, but more urgent notices were sent already."""
    stage = Stage()
    certificate_id = stage.active()
    stage.ca.script = (Act.WAIT_OWNER,)
    ends = stage.core.certificates.get(certificate_id).not_after
    stage.until(certificate_id, ends - 6 * DAY)
    assert [days for days, _ in stage.told(certificate_id)] == [14, 7]
    stage.core.certificates.cancel_attempt(certificate_id)
    stage.core.certificates.edit(certificate_id, renewal={"auto": False})
    stage.to_the_end(certificate_id)
    assert [days for days, _ in stage.told(certificate_id)] == [14, 7, 3, 1]


def test_an_import_is_told_of():
    """One that nobody renews, from the moment at which it comes in."""
    stage = Stage()
    now = stage.environment.now()
    ca = LittleAuthority(now)
    for ends, expected in ((90, [30, 14, 7, 3, 1]), (10, [14, 7, 3, 1]), (0.5, [1])):
        name = DnsName(f"d{int(ends)}.example")
        leaf = ca.issue(build_csr(KEY, [name], Subject()).decode(), now=now + (ends - 90) * DAY, lifetime=90 * DAY)
        certificate_id = stage.core.certificates.import_certificate(leaf).id
        stage.to_the_end(certificate_id)
        assert [days for days, _ in stage.told(certificate_id)] == expected
        stage.environment.set(now)


def test_a_revoked_certificate_is_no_news():
    """Nobody is told that a revoked leaf ends."""
    stage = Stage()
    certificate_id = stage.active(renewal=NEVER)
    stage.core.certificates.revoke(certificate_id)
    stage.until(certificate_id, stage.core.certificates.get(certificate_id).not_after)
    assert stage.told(certificate_id) == []


def test_without_a_policy_of_days_nothing_is_told():
    """A panel that has its own notices switches these off."""
    stage = Stage(NoticePolicy(days_before=[]))
    certificate_id = stage.active(renewal=NEVER)
    stage.to_the_end(certificate_id)
    assert stage.told(certificate_id) == []


# -- renewals that keep failing -----------------------------------------------------------------------------------


def _failing(stage, certificate_id, act=Act.FAIL_SOON):
    stage.ca.script = (act,)
    stage.environment.set(max(stage.core.certificates.view(certificate_id).renews_at, stage.environment.now()))
    return stage.environment.now()


@pytest.mark.parametrize(
    "act",
    [
        Act.FAIL_SOON,
        Act.FAIL_SLOW,
        Act.FAIL_NEVER,
        Act.CA_DOWN,
        Act.WRONG_KEY,
        pytest.param(Act.RAISE, marks=pytest.mark.slow(reason="tries every hour of two weeks")),
    ],
)
def test_a_failing_renewal_is_told_of_once(act):
    """After three failures and a day, with the reason; not again as long as this leaf is in service."""
    stage = Stage()
    certificate_id = stage.active()
    began = _failing(stage, certificate_id, act)
    stage.until(certificate_id, began + DAY - timedelta(seconds=1))
    assert stage.told(certificate_id, "renewal_failing") == []
    stage.until(certificate_id, began + 12 * DAY)
    (event,) = stage.told(certificate_id, "renewal_failing")
    assert began + DAY <= event.at <= began + 3 * DAY
    assert event.data["attempts"] >= 3
    assert event.data["not_after"] == stage.core.certificates.view(certificate_id).active.leaf.not_after.isoformat()
    assert event.problem.type == stage.core.certificates.get(certificate_id).problem.type
    assert event.from_status == event.to_status == "active"


@pytest.mark.parametrize("down_for", [timedelta(hours=1), timedelta(hours=23)])
def test_a_ca_that_is_down_for_a_while_is_no_news(down_for):
    """Many failures within less than a day, and then a success, send no notice."""
    stage = Stage()
    certificate_id = stage.active()
    began = _failing(stage, certificate_id)
    stage.until(certificate_id, began + down_for)
    stage.ca.script = (Act.ISSUE,)
    stage.until(certificate_id, began + 20 * DAY)
    assert stage.core.certificates.view(certificate_id).active.number == 2
    assert stage.told(certificate_id, "renewal_failing") == []


def test_few_failures_are_no_news():
    """With less failures than the policy says, nobody is told before a third of the time to renew has passed."""
    stage = Stage(NoticePolicy(after_failures=50, days_before=[]))
    certificate_id = stage.active()
    began = _failing(stage, certificate_id, Act.FAIL_SLOW)
    third = (stage.core.certificates.get(certificate_id).not_after - began) / 3
    stage.until(certificate_id, began + third - timedelta(seconds=1))
    assert stage.told(certificate_id, "renewal_failing") == []
    stage.to_the_end(certificate_id)
    assert [event.at for event in stage.told(certificate_id, "renewal_failing")] == [began + third]


def test_the_next_leaf_may_be_told_of_again():
    """After a success a new run of failures is news again."""
    stage = Stage(NoticePolicy(days_before=[]))
    certificate_id = stage.active()
    for number in (1, 2):
        began = _failing(stage, certificate_id)
        stage.until(certificate_id, began + 2 * DAY)
        assert len(stage.told(certificate_id, "renewal_failing")) == number
        stage.ca.script = (Act.ISSUE,)
        stage.until(certificate_id, began + 3 * DAY)
        assert stage.core.certificates.view(certificate_id).active.number == 1 + number


def test_an_old_attempt_that_was_given_up_is_no_failure():
    """A reissue that a user gave up weeks ago does not make the first hour of a failing renewal news."""
    stage = Stage(NoticePolicy(days_before=[]))
    certificate_id = stage.active()
    stage.ca.script = (Act.WAIT_OWNER,)
    stage.environment.advance(10 * DAY)
    stage.core.certificates.reissue(certificate_id, wildcard=True)
    stage.core.reconcile(certificate_id)
    stage.core.certificates.cancel_attempt(certificate_id)
    stage.core.reconcile(certificate_id)
    began = _failing(stage, certificate_id)
    stage.until(certificate_id, began + timedelta(hours=23))
    assert stage.told(certificate_id, "renewal_failing") == []
    stage.until(certificate_id, began + 2 * DAY)
    assert len(stage.told(certificate_id, "renewal_failing")) == 1


def test_a_run_of_fallbacks_and_new_attempts_is_one_run():
    """That another CA was tried, or another attempt begun, does not set the time back: nothing has come for a day."""
    stage = Stage(NoticePolicy(days_before=[]))
    other = stage.core.authorities.create("other", module="scripted", settings={"region": "us"})
    stage.ca.scripts = {"eu": (Act.ISSUE,), "us": (Act.CA_DOWN,)}
    certificate_id = stage.active(fallbacks=[other.id])
    stage.ca.scripts["eu"] = (Act.CA_REFUSES,)
    began = _failing(stage, certificate_id)
    stage.until(certificate_id, began + 3 * DAY)
    assert len(stage.core.certificates.issuances(certificate_id)) > 4
    (event,) = stage.told(certificate_id, "renewal_failing")
    assert began + DAY <= event.at


def test_a_first_issuance_that_fails_is_no_renewal():
    """A failed first issuance shows an error on the page, and sends no notice about an end."""
    stage = Stage()
    stage.ca.script = (Act.FAIL_SOON,)
    certificate_id = stage.core.certificates.create("shop.example", authority=stage.authority.id).id
    stage.core.certificates.generate_csr(certificate_id)
    stage.until(certificate_id, stage.environment.now() + 3 * DAY)
    assert stage.told(certificate_id, "renewal_failing") == []
    assert stage.told(certificate_id) == []


def test_observers_hear_of_it():
    """The notices come to the plugins like every event, in their order, once."""
    stage = Stage()
    certificate_id = stage.active()
    began = _failing(stage, certificate_id, Act.FAIL_SLOW)
    for _ in range(40):
        stage.until(certificate_id, stage.environment.now() + DAY)
        stage.core.deliver_events()
        if stage.environment.now() > began + 27 * DAY:
            break
    heard = [event for event in stage.listener.heard if event.kind in ("expires_soon", "renewal_failing")]
    assert [(event.kind, event.data.get("days")) for event in heard] == [
        ("renewal_failing", None),
        ("expires_soon", 14),
        ("expires_soon", 7),
        ("expires_soon", 3),
    ]
    assert all(event.certificate_id == certificate_id and event.hash and event.number for event in heard)
    assert {event.problem.detail for event in heard} == {"fail_slow"}


def test_no_step_is_lost_to_a_notice():
    """A notice that is due together with a step costs one more look at the same moment, and the step comes."""
    stage = Stage(NoticePolicy(days_before=[20]))
    certificate_id = stage.active(renewal=RenewalPolicy(days_before=45))
    stage.ca.script = (Act.WAIT_OWNER,)
    stage.environment.set(stage.core.certificates.get(certificate_id).not_after - 20 * DAY)
    stage.core.reconcile(certificate_id)
    assert len(stage.told(certificate_id)) == 1
    assert stage.due(certificate_id) == stage.environment.now()
    stage.ca.script = (Act.ISSUE,)
    for _ in range(4):
        stage.core.reconcile(certificate_id)
    assert stage.core.certificates.view(certificate_id).active.number == 2


# -- whatever the lifetimes and policies -------------------------------------------------------------------------

START = datetime(2030, 1, 1, tzinfo=UTC)


def _active(lifetime):
    leaf = evolve(sample_leaf(), not_before=START, not_after=START + lifetime)
    return Issuance(
        id="issuance-1",
        certificate_id="certificate-1",
        number=1,
        purpose=Purpose.ISSUE,
        authority_id="authority-1",
        names=(DnsName("d001.example"),),
        key_type=KeyType.EC_P256,
        key_name=SecretName("certificate-key", "issuance-1"),
        csr_pem="",
        outcome=Outcome.ISSUED,
        leaf=leaf,
        created_at=START,
    )


LIFETIMES = st.floats(0.1, 800).map(lambda days: timedelta(days=days))
POLICIES = st.builds(NoticePolicy, days_before=st.lists(st.integers(1, 365), max_size=8))
RENEWALS = st.builds(RenewalPolicy, auto=st.booleans(), days_before=st.none() | st.integers(1, 365))


@examples(300, deadline=None)
@given(
    lifetime=LIFETIMES,
    policy=POLICIES,
    renewal=RENEWALS,
    looks=st.lists(st.floats(0, 1), max_size=8),
    changes=st.lists(st.tuples(st.integers(0, 30), RENEWALS, POLICIES), max_size=2),
)
def test_no_notice_is_told_twice(lifetime, policy, renewal, looks, changes):
    """Whenever somebody looks, and whatever is changed meanwhile: fewer days each time, and the looks are bounded."""
    certificate = sample_certificate(
        status=Status.ACTIVE, active_issuance_id="issuance-1", renewal=renewal, not_after=START + lifetime
    )
    active, now, told = _active(lifetime), START, []
    moments = sorted(START + lifetime * share for share in looks)
    by_turn = {turn: (renewal, policy) for turn, renewal, policy in changes}
    for turn in range(80):
        if turn in by_turn:
            renewal, policy = by_turn[turn]
            certificate = evolve(certificate, renewal=renewal)
        days = passed_days(policy, certificate, active, now)
        if days:
            told.append(days[-1])
            active = evolve(active, told=told_of_days(active, days))
            assert passed_days(policy, certificate, active, now) == ()
            assert now >= active.leaf.not_after - days[-1] * DAY
        following = next_notice(policy, certificate, [active], now)
        assert following is None or following > now
        candidates = [at for at in (following, *moments) if at is not None and now < at < certificate.not_after]
        if not candidates and turn > 30:
            break
        now = min(candidates, default=now)
    else:
        raise AssertionError("it looks too often")
    assert told == sorted(set(told), reverse=True)


@examples(60, deadline=None)
@given(lifetime=st.integers(1, 398), policy=POLICIES, offset=st.floats(0, 1))
def test_the_last_notice_always_comes_before_the_end(lifetime, policy, offset):
    """Without automatic renewal, the smallest number of days is always sent before not_after."""
    stage = Stage(policy, lifetime=lifetime)
    certificate_id = stage.active(renewal=NEVER)
    leaf = stage.core.certificates.view(certificate_id).leaf
    stage.environment.advance((leaf.not_after - stage.environment.now()) * offset * 0.999)
    stage.to_the_end(certificate_id)
    told = stage.told(certificate_id)
    counting = [days for days in policy.days_before if days * DAY <= leaf.lifetime / 2]
    assert [days for days, _ in told][-1:] == counting[-1:]
    assert all(timedelta(0) < before <= days * DAY for days, before in told)
    assert len({days for days, _ in told}) == len(told)
