"""Who is told that a renewal keeps failing: once for a leaf, and not for a CA that is down for a while."""

from datetime import timedelta

import pytest

from certcore import NoticePolicy, RenewalPolicy
from certcore.testing.scripted_ca import Act
from support.noticing import DAY, Stage


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
