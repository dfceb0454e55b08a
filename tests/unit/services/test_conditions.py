"""Conditions: what holds for a certificate, since when and why; the row of a list knows what the page knows."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from certcore import Action, KeyType, NoticePolicy, RenewalPolicy, RenewalReason, hookimpl
from certcore.errors import CertCoreError
from certcore.model.conditions import Condition, conditions_of
from certcore.model.hints import Notice
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.standing import ConditionStatus, ConditionType
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.cores import core_on
from support.leaves import bought
from support.situations import SITUATIONS, certificate_in

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
READY, OWNER, DANGER = ConditionType.READY, ConditionType.OWNER_ACTION_NEEDED, ConditionType.RENEWAL_IN_DANGER
ISSUING, RENEWING, DEPLOYMENT = ConditionType.ISSUING, ConditionType.RENEWING, ConditionType.DEPLOYMENT_FAILED

#: The conditions that hold, or are not known, with their reasons.
EXPECTED = {
    "draft": {},
    "pending": {ISSUING: "waits_for_owner", OWNER: "waits_for_owner"},
    "processing": {ISSUING: "waits_for_authority"},
    "error": {},
    "active": {READY: "in_service"},
    "active, renewing": {READY: "in_service", RENEWING: "waits_for_owner", OWNER: "waits_for_owner"},
    "active, failed": {READY: "in_service"},
    "expired": {},
    "expired, renewing": {RENEWING: "waits_for_owner", OWNER: "waits_for_owner"},
    "revoked": {},
    "revoked, renewing": {ISSUING: "waits_for_owner", OWNER: "waits_for_owner"},
}


def conditions(bench, certificate_id):
    return {condition.type: condition for condition in bench.core.certificates.view(certificate_id).conditions}


def of_row(bench, certificate_id):
    return conditions_of(bench.get(certificate_id), bench.environment.now())


@pytest.mark.parametrize("name", SITUATIONS)
def test_every_situation_has_its_conditions(bench, name):
    """In each situation exactly the conditions hold that a person would name, and the row says what the page says."""
    certificate_id = certificate_in(bench, name)
    view = bench.core.certificates.view(certificate_id)
    assert [condition.type for condition in view.conditions] == list(ConditionType)
    holding = {condition.type: condition.reason for condition in view.conditions if condition.status is TRUE}
    assert holding == EXPECTED[name]
    assert view.conditions == of_row(bench, certificate_id)
    assert all(str(condition.message) and "{" not in str(condition.message) for condition in view.conditions)


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_moment_of_readiness_is_that_of_the_timeline(bench, name):
    """`since` is when the timeline says that it became ready, or ceased to be: not when somebody looked."""
    certificate_id = certificate_in(bench, name)
    bench.advance(hours=5)
    view = bench.core.certificates.view(certificate_id)
    became = [event.at for event in view.events if (event.from_status == "active") != (event.to_status == "active")]
    since = became[-1] if became else view.certificate.created_at
    if view.certificate.status == "expired":
        since = view.certificate.not_after
    assert conditions(bench, certificate_id)[READY].since == since


#: What a user may do in each situation, besides what is tested elsewhere.
ACTIONS = {
    Action.BACK_TO_DRAFT: lambda core, key: core.certificates.back_to_draft(key),
    Action.CHECK_NOW: lambda core, key: core.certificates.check_now(key),
    Action.GENERATE_CSR: lambda core, key: core.certificates.generate_csr(key),
    Action.RENEW: lambda core, key: core.certificates.renew(key),
    Action.REISSUE: lambda core, key: core.certificates.reissue(key, key_type=KeyType.EC_P384),
    Action.CANCEL_ATTEMPT: lambda core, key: core.certificates.cancel_attempt(key),
    Action.EDIT: lambda core, key: core.certificates.edit(key, renewal=RenewalPolicy(auto=False)),
    Action.REVOKE: lambda core, key: core.certificates.revoke(key),
}


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_row_is_as_new_as_its_page_after_every_action(bench, name, action):
    """Right after an action of a user, and after each step that follows, the row's conditions are those of the page."""
    certificate_id = certificate_in(bench, name)
    if action not in bench.core.certificates.view(certificate_id).actions:
        return
    bench.advance(minutes=7)
    ACTIONS[action](bench.core, certificate_id)
    for _ in range(4):
        view = bench.core.certificates.view(certificate_id)
        assert view.conditions == of_row(bench, certificate_id)
        assert all(condition.since is not None for condition in view.conditions if condition.type != DEPLOYMENT)
        bench.core.reconcile(certificate_id)


def test_waits_and_failures_change_the_reason_and_not_the_moment(bench):
    """An issuance has one beginning, however often it waits, fails and is tried again; the owner's wait has its own."""
    bench.ca.script = (Act.WORK, Act.FAIL_SOON, Act.WAIT_OWNER, Act.ISSUE)
    begun = bench.environment.now()
    certificate_id = bench.requested()
    assert conditions(bench, certificate_id)[OWNER].status is UNKNOWN
    seen = []
    for _ in range(3):
        bench.step(certificate_id)
        state = conditions(bench, certificate_id)
        assert state[ISSUING].since == begun
        seen.append((state[ISSUING].reason, state[OWNER].status))
    assert seen == [("waits_for_authority", FALSE), ("retried", UNKNOWN), ("waits_for_owner", TRUE)]
    assert conditions(bench, certificate_id)[OWNER].since == bench.environment.now() > begun
    bench.step(certificate_id)
    after = conditions(bench, certificate_id)
    assert (after[ISSUING].status, after[ISSUING].since) == (FALSE, bench.environment.now())
    assert (after[READY].status, after[READY].since) == (TRUE, bench.environment.now())


def test_a_leaf_that_is_renewed_in_time_stays_ready_since_its_first(bench):
    """A renewal does not begin the readiness anew."""
    certificate_id = bench.active()
    first = conditions(bench, certificate_id)[READY]
    for _ in range(4):
        bench.step(certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert [event.kind for event in view.events].count("installed") >= 2
    assert conditions(bench, certificate_id)[READY].since == first.since


def test_a_late_renewal_is_in_danger_since_the_moment_it_became_late(bench):
    """The danger begins by the clock, whether a worker runs or not, and grows to the end of the leaf."""
    certificate_id = bench.active()
    view = bench.core.certificates.view(certificate_id)
    left = view.certificate.not_after - view.renews_at
    late_at = view.renews_at + left / 3
    for moment, status, reason in (
        (late_at - timedelta(seconds=1), FALSE, "in_time"),
        (late_at, TRUE, "late"),
        (view.renews_at + left * 2 / 3, TRUE, "very_late"),
        (view.certificate.not_after, TRUE, "expired"),
    ):
        bench.environment.set(moment)
        danger = conditions(bench, certificate_id)[DANGER]
        assert (danger.status, danger.reason) == (status, reason)
        assert danger.since == late_at or status is FALSE
        assert of_row(bench, certificate_id) == bench.core.certificates.view(certificate_id).conditions
    assert conditions(bench, certificate_id)[READY].since == view.certificate.not_after


class Target:
    """An observer that refuses while it is told to."""

    refuses = True

    @hookimpl
    def certcore_on_event(self, event):
        if self.refuses:
            raise CertCoreError("The disk is full.")


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_a_failed_deployment_says_since_when(store, tmp_path):
    """A target that refuses is named with the moment of its first failure, until it takes what it refused."""
    environment, target = FrozenEnvironment(), Target()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    options = {"plugins": [ca.plugin(), target], "environment": environment, "notices": NoticePolicy(days_before=())}
    with core_on(store, tmp_path, **options) as core:
        authority = core.authorities.create("test", module="scripted", settings={"api_key": "k"})
        certificate_id = core.certificates.create("shop.example", authority=authority.id).id

        def deployment():
            return core.certificates.view(certificate_id).conditions[-1]

        assert (deployment().type, deployment().status) == (DEPLOYMENT, FALSE)
        since = environment.now()
        for _ in range(3):
            core.deliver_events()
            assert (deployment().status, deployment().reason, deployment().since) == (TRUE, "target_failed", since)
            environment.advance(timedelta(hours=2))
        target.refuses = False
        core.deliver_events()
        assert deployment().status is FALSE


START = FrozenEnvironment().now()


def imported(bench, lifetime, **renewal):
    """A leaf of that lifetime, as it was issued today."""
    chain, key = bought("shop.example", now=START, lifetime=lifetime)
    options = {"authority": bench.authority.id, "renewal": RenewalPolicy(**renewal)}
    return bench.core.certificates.import_certificate(chain, key, **options).id


@pytest.mark.parametrize(
    ("days", "policy", "reason", "margin"),
    [
        (90, {}, "lifetime", None),
        (90, {"days_before": 20}, "days_before", None),
        (90, {"days_before": 60}, "half_of_lifetime", None),
        (5 * 365, {"days_before": 30}, "before_end", 91),
        (5 * 365, {"days_before": 200}, "days_before", None),
    ],
)
def test_a_renewal_says_why_it_begins_when_it_does(bench, days, policy, reason, margin):
    """The page tells whether the policy's days, the lifetime or a limit decided; 91 days never apply without a word."""
    certificate_id = imported(bench, timedelta(days=days), **policy)
    view = bench.core.certificates.view(certificate_id)
    assert view.renews_because == reason
    assert f"{view.renews_at:%Y-%m-%d %H:%M}" in str(view.renewal_text)
    keys = [hint.text.key for hint in bench.core.certificates.hints(certificate_id) if isinstance(hint, Notice)]
    assert ("core.days_before_too_few" in keys) is (reason == "before_end")
    if margin is not None:
        assert f"{margin} days before the end" in str(view.renewal_text)
        assert (view.certificate.not_after - view.renews_at).days == margin


def test_a_renewal_that_the_ca_asks_for_says_so(wishing_bench):
    """The CA's wish is named as the reason, and nothing is named where nothing renews automatically."""
    certificate_id = wishing_bench.active()
    wished = wishing_bench.environment.now() + timedelta(days=20)
    wishing_bench.ca.windows["shop.example",] = SuggestedWindow(start=wished, end=wished)
    wishing_bench.step(certificate_id)
    assert wishing_bench.core.certificates.view(certificate_id).renews_because == "authority"
    wishing_bench.core.certificates.edit(certificate_id, renewal=RenewalPolicy(auto=False))
    view = wishing_bench.core.certificates.view(certificate_id)
    assert (view.renews_at, view.renews_because, view.renewal_text) == (None, None, None)


def test_conditions_are_values(bench):
    """A condition compares by value and has a finished text."""
    certificate_id = bench.draft().id
    first = bench.core.certificates.view(certificate_id).conditions[0]
    assert isinstance(first, Condition)
    assert first == bench.core.certificates.view(certificate_id).conditions[0]
    assert (first.type, first.status, first.reason) == ("Ready", "false", "draft")


def test_the_page_about_conditions_names_every_reason():
    """docs/reference/conditions.md has each reason of the code, each type, and each reason of a renewal."""
    root = Path(__file__).parents[3]
    page = (root / "docs/reference/conditions.md").read_text(encoding="utf-8")
    source = (root / "src/certcore/model/conditions.py").read_text(encoding="utf-8")
    reasons = {*re.findall(r'reason="(\w+)"', source), *re.findall(r'Attempt\.\w+: \(\s*"(\w+)"', source)}
    assert len(reasons) > 25
    for word in (*reasons, *ConditionType, *RenewalReason):
        assert f"`{word}`" in page, word
