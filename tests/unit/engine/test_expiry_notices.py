"""Who is told that a certificate ends: in time, and once."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore import CertCore, NoticePolicy, RenewalPolicy, Status
from certcore.errors import InvalidInputError
from certcore.model.issuance import Issuance, Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.notice_policy import next_notice, passed_days, told_of_days
from certcore.model.secret import SecretName
from certcore.model.subject import Subject
from certcore.testing.contracts.samples import sample_certificate, sample_leaf
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.scripted_ca import Act
from certcore.x509.csr import build_csr
from support.databases import sqlite_with_tables
from support.examples import examples
from support.noticing import DAY, KEY, NEVER, Stage

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
