"""Certificates in service are checked as if they were renewed now: told once, in time, and in nobody's way."""

import itertools
import threading
from collections import Counter
from datetime import timedelta

import pytest
from attrs import evolve

import certcore
from certcore import CertCore
from certcore.engine.outage import Outage
from certcore.engine.preflight_pace import PreflightPace
from certcore.engine.preflights import Preflights
from certcore.errors import StaleWriteError
from certcore.messages import Message
from certcore.model.events import EventKind
from certcore.model.finding import Finding, RecordChange, Severity
from certcore.model.hints import ActionButton, DnsRecords, Notice
from certcore.model.preflight import CLAIM, LONGEST_WAIT, Preflight, next_preflight
from certcore.model.readiness import Obstacle, WhoseTurn
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.contracts.samples import sample_certificate
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside

TOLD = (EventKind.RENEWAL_NOT_READY, EventKind.RENEWAL_READY)


def obstacle(code="cname_missing", *, severity=Severity.ERROR, whose_turn=WhoseTurn.OWNER, is_certain=True):
    record = RecordChange(name="_acme-challenge.shop.example", type="CNAME", value="x.acme.example")
    finding = Finding(
        code=code,
        severity=severity,
        name="shop.example",
        cause=Message(f"test.{code}.cause", "The {what} is wrong.", {"what": code}),
        advice=Message(f"test.{code}.advice", "Set it."),
        remedy=(record,),
    )
    return Obstacle(finding=finding, whose_turn=whose_turn, is_certain=is_certain)


UNSURE = obstacle("server_silent", is_certain=False)


def preflight_of(bench, certificate_id):
    with inside(bench.core).storage.read() as transaction:
        return transaction.preflights.get(certificate_id)


def check(bench, certificate_id):
    """Put the clock to the next check, and do it."""
    bench.core.run_preflights()
    bench.environment.set(max(bench.environment.now(), preflight_of(bench, certificate_id).due_at))
    assert bench.core.run_preflights() == 1
    return preflight_of(bench, certificate_id)


def told(bench, certificate_id):
    events = bench.core.certificates.timeline(certificate_id)
    return [
        (event.kind, tuple(entry["code"] for entry in event.data.get("obstacles", ())))
        for event in events
        if event.kind in TOLD
    ]


def test_trouble_is_told_once_when_it_changes_and_when_it_is_gone(bench):
    """The record says what is in the way of a renewal and whose turn it is; not again while it stays the same."""
    certificate_id = bench.active()
    assert check(bench, certificate_id).readiness.is_ready
    assert told(bench, certificate_id) == []
    bench.ca.obstacles = (obstacle(),)
    for _ in range(3):
        after = check(bench, certificate_id)
        assert not after.readiness.is_ready
        assert after.readiness.whose_turn is WhoseTurn.OWNER
        assert told(bench, certificate_id) == [(EventKind.RENEWAL_NOT_READY, ("cname_missing",))]
    bench.ca.obstacles = (obstacle("caa_issue"), obstacle())
    for _ in range(2):
        check(bench, certificate_id)
    assert told(bench, certificate_id)[1:] == [(EventKind.RENEWAL_NOT_READY, ("caa_issue", "cname_missing"))]
    bench.ca.obstacles = ()
    for _ in range(2):
        check(bench, certificate_id)
    assert told(bench, certificate_id)[2:] == [(EventKind.RENEWAL_READY, ())]
    first = next(event for event in bench.core.certificates.timeline(certificate_id) if event.kind in TOLD)
    assert first.actor == "engine"
    assert first.data["whose_turn"] == "owner"
    assert first.problem.title == "The cname_missing is wrong."
    assert first.problem.advice == "Set it."


def test_what_may_pass_by_itself_is_told_when_two_checks_see_it(bench):
    """A server that is silent for a moment worries nobody; one that stays silent is told after an hour."""
    certificate_id = bench.active()
    bench.ca.obstacles = (UNSURE,)
    began = check(bench, certificate_id).checked_at
    bench.ca.obstacles = ()
    assert check(bench, certificate_id).checked_at - began == timedelta(hours=1)
    assert told(bench, certificate_id) == []
    bench.ca.obstacles = (UNSURE,)
    check(bench, certificate_id)
    check(bench, certificate_id)
    assert told(bench, certificate_id) == [(EventKind.RENEWAL_NOT_READY, ("server_silent",))]


def test_somebody_who_checks_again_and_again_makes_nothing_sure(bench):
    """Checks that follow each other at once are one look; what was told stays told, and is not told again."""
    certificate_id = bench.active()
    bench.ca.obstacles = (UNSURE,)
    for _ in range(3):
        bench.core.certificates.preflight(certificate_id)
        bench.advance(minutes=1)
    assert told(bench, certificate_id) == []
    bench.advance(hours=1)
    bench.ca.obstacles = (UNSURE, obstacle())
    for _ in range(3):
        bench.core.certificates.preflight(certificate_id)
        bench.advance(minutes=1)
    assert told(bench, certificate_id) == [(EventKind.RENEWAL_NOT_READY, ("server_silent", "cname_missing"))]


def test_nothing_is_said_to_be_gone_before_that_is_known(bench):
    """While a server does not answer, the trouble that it showed before is not over."""
    certificate_id = bench.active()
    bench.ca.obstacles = (obstacle(),)
    check(bench, certificate_id)
    bench.ca.obstacles = (UNSURE,)
    check(bench, certificate_id)
    bench.ca.obstacles = (obstacle(),)
    check(bench, certificate_id)
    assert told(bench, certificate_id) == [(EventKind.RENEWAL_NOT_READY, ("cname_missing",))]


def test_warnings_are_in_nobodys_way(bench):
    """What need not be repaired for a renewal is neither told nor counted."""
    certificate_id = bench.active()
    bench.ca.obstacles = (obstacle(severity=Severity.WARNING),)
    assert check(bench, certificate_id).readiness.is_ready
    assert told(bench, certificate_id) == []
    assert not [key for key in keys_of(bench, certificate_id) if key.startswith("core.preflight")]


def keys_of(bench, certificate_id, **options):
    hints = bench.core.certificates.hints(certificate_id, **options)
    return [hint.text.key for hint in hints if isinstance(hint, Notice)]


def test_the_page_says_what_is_in_the_way(bench):
    """The right column has the headline, cause, advice and the record to set, until the trouble is gone."""
    certificate_id = bench.active()
    bench.ca.obstacles = (obstacle(),)
    check(bench, certificate_id)
    assert [key for key in keys_of(bench, certificate_id) if "status" not in key] == [
        "core.preflight.owner",
        "test.cname_missing.cause",
        "test.cname_missing.advice",
    ]
    hints = bench.core.certificates.hints(certificate_id)
    (records,) = [hint for hint in hints if isinstance(hint, DnsRecords)]
    assert [(row.name, row.type, row.value) for row in records.rows] == [
        ("_acme-challenge.shop.example", "CNAME", "x.acme.example")
    ]
    (button,) = [hint for hint in hints if isinstance(hint, ActionButton)]
    assert bench.core.certificates.run_action(certificate_id, button.name).key == "core.done.preflight.not_ready"
    bench.ca.obstacles = ()
    assert bench.core.certificates.run_action(certificate_id, button.name).key == "core.done.preflight.ready"
    assert not [key for key in keys_of(bench, certificate_id) if key.startswith("core.preflight")]
    bench.ca.obstacles = (obstacle(),)
    bench.core.certificates.preflight(certificate_id)
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.renew(certificate_id)
    assert not [key for key in keys_of(bench, certificate_id) if key.startswith("core.preflight")]


def test_a_new_leaf_ends_what_the_page_says_of_the_one_before(bench):
    """What was in the way of a renewal that succeeded all the same is not shown beside the new leaf."""
    certificate_id = bench.active()
    bench.ca.obstacles = (obstacle(),)
    bench.core.certificates.preflight(certificate_id)
    bench.advance(minutes=5)
    bench.core.certificates.renew(certificate_id)
    bench.ca.script = (Act.ISSUE,)
    for _ in range(3):
        bench.core.reconcile(certificate_id)
    assert bench.core.certificates.view(certificate_id).active.number == 2
    assert not [key for key in keys_of(bench, certificate_id) if key.startswith("core.preflight")]


def test_a_fleet_is_spread_over_the_week():
    """Each certificate has a moment of the week of its own, always the same one; no hour gets many."""
    now = FrozenEnvironment().now()
    certificates = [sample_certificate(number) for number in range(2000)]
    due = {one.id: next_preflight(one, None, Preflight(certificate_id=one.id, due_at=now), now) for one in certificates}
    assert all(now < due_at <= now + timedelta(days=7) for due_at in due.values())
    by_hour = Counter((due_at - now) // timedelta(hours=1) for due_at in due.values())
    assert len(by_hour) == 168
    assert max(by_hour.values()) < 35  # 12 on average
    for one in certificates[:100]:
        done = Preflight(certificate_id=one.id, due_at=now, checked_at=due[one.id])
        assert next_preflight(one, None, done, due[one.id]) == due[one.id] + timedelta(days=7)


def test_a_certificate_is_checked_before_its_renewal_is_due(bench):
    """Three days before the renewal begins there is one more check; short-lived leaves are checked in time, too."""
    certificate_id = bench.active()
    renews_at = bench.core.certificates.view(certificate_id).renews_at
    moments = []
    while not moments or moments[-1] < renews_at - timedelta(days=3):
        moments.append(check(bench, certificate_id).checked_at)
        assert len(moments) < 12
    assert renews_at - timedelta(days=3) in moments
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert all(gap <= timedelta(days=7) for gap in gaps)
    bench.core.authorities.edit(bench.authority.id, settings={"lifetime_days": 6})
    short = bench.active("short.example")
    view = bench.core.certificates.view(short)
    checked_at = check(bench, short).checked_at
    assert view.renews_at - view.leaf.lifetime / 10 <= view.renews_at - timedelta(hours=14)
    assert checked_at <= view.renews_at - view.leaf.lifetime / 10


def test_a_profile_can_switch_the_checks_off(bench):
    """Nothing is checked, told or shown then; whoever asks for one certificate gets the answer all the same."""
    certificate_id = bench.active()
    bench.ca.obstacles = (obstacle(),)
    check(bench, certificate_id)
    bench.ca.has_preflights = False
    assert check(bench, certificate_id).readiness is None
    assert len(told(bench, certificate_id)) == 1
    assert not [key for key in keys_of(bench, certificate_id) if key.startswith("core.preflight")]
    assert not bench.core.certificates.preflight(certificate_id).readiness.is_ready


def test_a_stored_moment_far_ahead_is_not_believed(bench):
    """A check that was planned while a clock was a year ahead is done at once when the clock is right again."""
    certificate_id = bench.active()
    began = bench.environment.now()
    bench.advance(days=20)  # within the life of the leaf
    check(bench, certificate_id)
    bench.environment.set(began)
    assert preflight_of(bench, certificate_id).due_at > began + LONGEST_WAIT
    assert bench.core.run_preflights() == 1
    after = preflight_of(bench, certificate_id)
    assert after.checked_at == began
    assert began < after.due_at <= began + LONGEST_WAIT


def test_a_check_that_a_crash_cut_off_is_repeated(bench):
    """The process that moved the due time does the check; when it died, another one does it a quarter hour later."""
    certificate_id = bench.active()
    bench.core.run_preflights()
    planned = preflight_of(bench, certificate_id)
    bench.environment.set(planned.due_at)
    with inside(bench.core).storage.write() as transaction:  # a process claims it, and dies
        transaction.preflights.save(evolve(planned, due_at=bench.environment.now() + CLAIM))
    assert bench.core.run_preflights() == 0
    bench.advance(minutes=15)
    assert bench.core.run_preflights() == 1
    assert preflight_of(bench, certificate_id).checked_at == bench.environment.now()


def test_one_of_two_processes_does_a_check(bench):
    """Both see that it is due; the one that comes second leaves it, and nothing is told twice."""
    certificate_id = bench.active()
    bench.core.run_preflights()
    bench.ca.obstacles = (obstacle(),)
    preflights = Preflights(contexts=inside(bench.core).contexts, certificates=bench.core.certificates)
    seen_by_both = preflight_of(bench, certificate_id)
    bench.environment.set(seen_by_both.due_at)
    assert bench.core.run_preflights() == 1
    with pytest.raises(StaleWriteError), inside(bench.core).storage.write() as transaction:
        transaction.preflights.save(seen_by_both)
    assert preflights.run_due(10) == 0
    assert len(told(bench, certificate_id)) == 1


class EditsMeanwhile(ScriptedCA):
    """Somebody edits the certificate while it is checked."""

    edit = None

    def preflight(self, work):
        """Something is in the way of the names as they were."""
        if self.edit is not None:
            self.edit()
        return super().preflight(work)


def test_what_was_found_of_a_certificate_that_changed_meanwhile_is_void():
    """A finding about names that are not the certificate's any more is neither shown nor told; it is checked again."""
    environment = FrozenEnvironment()
    ca = EditsMeanwhile([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=authority.id)
        core.certificates.generate_csr(certificate.id)
        for _ in range(3):
            core.reconcile(certificate.id)
        ca.obstacles = (obstacle(),)
        ca.edit = lambda: core.certificates.edit(certificate.id, renewal={"days_before": 20})
        preflight = core.certificates.preflight(certificate.id)
        assert preflight.readiness is None
        assert preflight.due_at == core.now() + timedelta(hours=1)
        assert not [event for event in core.certificates.timeline(certificate.id) if event.kind in TOLD]


def test_a_renewal_under_way_is_not_checked(bench):
    """Its own steps say what keeps it. The check is put off, and takes no lease."""
    certificate_id = bench.active()
    bench.core.run_preflights()
    bench.ca.obstacles = (obstacle(),)
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.renew(certificate_id)
    before = bench.core.certificates.view(certificate_id).schedule
    bench.environment.set(preflight_of(bench, certificate_id).due_at)
    assert bench.core.run_preflights() == 1
    assert preflight_of(bench, certificate_id).due_at == bench.environment.now() + timedelta(days=1)
    assert told(bench, certificate_id) == []
    assert bench.core.certificates.preflight(certificate_id).readiness is None
    assert bench.core.certificates.view(certificate_id).schedule == before


@pytest.mark.parametrize("state", ["draft", "pending", "no renewal", "revoked"])
def test_certificates_that_do_not_renew_are_not_checked_by_themselves(bench, state):
    """Only what is in service and renews automatically is checked; of one that does not, somebody may still ask."""
    certificate_id = {"draft": lambda: bench.draft().id, "pending": bench.requested}.get(state, bench.active)()
    if state == "no renewal":
        bench.core.certificates.edit(certificate_id, renewal={"auto": False})
    if state == "revoked":
        bench.core.certificates.revoke(certificate_id)
    bench.ca.obstacles = (obstacle(),)
    bench.core.run_preflights()
    bench.advance(days=8)
    bench.core.run_preflights()
    assert told(bench, certificate_id) == []
    answer = bench.core.certificates.preflight(certificate_id).readiness
    assert (answer is not None) == (state in ("no renewal", "revoked"))
    assert told(bench, certificate_id) == []


def test_a_deleted_certificate_has_no_check(bench):
    """Nothing is left of its checks."""
    certificate_id = bench.active()
    bench.core.run_preflights()
    bench.core.certificates.delete(certificate_id)
    bench.advance(days=8)
    assert bench.core.run_preflights() == 0
    assert preflight_of(bench, certificate_id) is None


def test_very_many_obstacles_are_bounded(bench):
    """Of hundreds of names without a record some are kept; the record names five."""
    certificate_id = bench.active()
    bench.ca.obstacles = tuple(obstacle(f"code_{number}") for number in range(300))
    assert len(check(bench, certificate_id).readiness.obstacles) == 20
    assert len(told(bench, certificate_id)[0][1]) == 5


class TestOrders:
    """The engine's own bound on the orders of a certificate."""

    def test_a_certificate_that_may_order_in_time_is_ready(self, bench):
        """Five orders in a week are the bound: the wait for the next one is said, and is in nobody's way."""
        certificate_id = bench.active()
        for _ in range(4):
            bench.core.certificates.renew(certificate_id)
            bench.ca.script = (Act.ISSUE,)
            for _ in range(3):
                bench.core.reconcile(certificate_id)
        readiness = bench.core.certificates.preflight(certificate_id).readiness
        assert readiness.is_ready
        assert [(one.finding.code, one.whose_turn) for one in readiness.obstacles] == [
            ("order_limit", WhoseTurn.NOBODY)
        ]

    def test_a_certificate_that_may_not_order_in_time_is_not_ready(self, bench):
        """When the next order comes too late for the leaf in service, the administrator has to look."""
        bench.core.authorities.edit(bench.authority.id, settings={"lifetime_days": 1})
        certificate_id = bench.active()
        bench.ca.script = (Act.ISSUE,)
        for _ in range(4):
            bench.core.certificates.renew(certificate_id)
            for _ in range(3):
                bench.core.reconcile(certificate_id)
        readiness = bench.core.certificates.preflight(certificate_id).readiness
        assert [(one.finding.code, one.whose_turn) for one in readiness.obstacles] == [
            ("order_limit", WhoseTurn.ADMINISTRATOR)
        ]


def test_a_profile_that_no_longer_permits_the_names_is_said(bench):
    """The CA profile forbids wildcards since: the next renewal would be refused."""
    certificate_id = bench.active(wildcard=True)
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    readiness = bench.core.certificates.preflight(certificate_id).readiness
    assert [(one.finding.code, one.whose_turn) for one in readiness.obstacles] == [
        ("request_refused", WhoseTurn.ADMINISTRATOR)
    ]
    assert "does not allow wildcards" in str(readiness.obstacles[0].finding.cause)


class Target:
    """A plugin that deploys."""

    name = "web"

    def __init__(self):
        self.findings = ()

    @certcore.hookimpl
    def certcore_on_event(self, event):
        """Nothing."""

    @certcore.hookimpl
    def certcore_check_targets(self, certificate_id, certificates):
        """As the test says."""
        if isinstance(self.findings, Exception):
            raise self.findings
        assert certificates.view(certificate_id, actor="plugin:web").certificate.id == certificate_id
        return self.findings


class TestTargets:
    """What plugins say of their targets."""

    SECRET_PATH = "/srv/tenants/anna"

    @pytest.fixture
    def target(self):
        return Target()

    @pytest.fixture
    def core(self, target):
        environment = FrozenEnvironment()
        ca = ScriptedCA([Act.ISSUE], now=environment.now())
        policy = certcore.RolePolicy({"system": certcore.Role.ADMINISTRATOR, "plugin:web": certcore.Role.VIEWER})
        with CertCore.in_memory(
            plugins=[ca.plugin(), target, policy], installed_plugins=False, environment=environment
        ) as core:
            yield core

    @pytest.fixture
    def certificate_id(self, core):
        authority = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=authority.id, owner="anna")
        core.certificates.generate_csr(certificate.id)
        for _ in range(3):
            core.reconcile(certificate.id)
        core.deliver_events()
        return certificate.id

    def unwritable(self):
        text = Message("test.folder", "{path} cannot be written.", {"path": self.SECRET_PATH})
        return Finding(code="folder", severity=Severity.ERROR, name="", cause=text, advice=Message("test.advice", "x"))

    def test_the_administrator_is_told_and_the_owner_sees_no_path(self, core, target, certificate_id):
        """A directory that cannot be written is the administrator's turn; its path is in nobody else's sight."""
        target.findings = (self.unwritable(),)
        core.certificates.preflight(certificate_id)  # a file system may be away for a moment
        inside(core).environment.advance(timedelta(hours=1))
        preflight = core.certificates.preflight(certificate_id)
        (only,) = preflight.readiness.obstacles
        assert (only.target, only.whose_turn) == ("web", WhoseTurn.ADMINISTRATOR)
        assert self.SECRET_PATH in str(only.finding.cause)
        shown = core.certificates.preflight(certificate_id, actor="anna")
        assert shown.readiness.whose_turn is WhoseTurn.ADMINISTRATOR
        view = core.certificates.view(certificate_id, actor="anna")
        assert [event.kind for event in view.events if event.kind in TOLD] == [EventKind.RENEWAL_NOT_READY]
        for seen in (shown, view, core.certificates.hints(certificate_id, actor="anna")):
            assert self.SECRET_PATH not in repr(seen)
            assert "web" in repr(seen)

    def test_a_process_without_the_plugin_does_not_say_that_all_is_well(self, core, target, certificate_id):
        """What the process with the plugin has found stays until that one finds it gone."""
        target.findings = (self.unwritable(),)
        core.certificates.preflight(certificate_id)
        parts = inside(core)
        without = evolve(parts.contexts, plugins=evolve(parts.plugins, plugins=parts.plugins.plugins[:1]))
        elsewhere = Preflights(contexts=without, certificates=core.certificates)
        assert [one.target for one in elsewhere.check(certificate_id).readiness.obstacles] == ["web"]
        target.findings = ()
        assert core.certificates.preflight(certificate_id).readiness.is_ready

    def test_a_plugin_that_raises_is_named(self, core, target, certificate_id):
        """The check goes on, and says which target could not be checked."""
        target.findings = ValueError("with a secret")
        (only,) = core.certificates.preflight(certificate_id).readiness.obstacles
        assert (only.finding.code, only.target) == ("target_unchecked", "web")
        assert "secret" not in str(only.finding.cause)


class TestPace:
    """The thread of the worker."""

    @pytest.mark.slow(reason="waits for a second of the true clock")
    def test_it_plans_and_checks_until_the_worker_ends(self, bench):
        """A certificate in service is planned, and checked when it is due, without a call."""
        certificate_id = bench.active()
        preflights = Preflights(contexts=inside(bench.core).contexts, certificates=bench.core.certificates)
        assert preflights.plan(10) == 1
        assert preflights.plan(10) == 0
        bench.environment.set(preflight_of(bench, certificate_id).due_at)
        checked, ending = threading.Event(), threading.Event()
        bench.ca.obstacles = (obstacle(),)

        def has_room():
            if told(bench, certificate_id):
                checked.set()
            return True

        pace = PreflightPace(preflights=preflights, outage=Outage(), interval=0.001)
        thread = threading.Thread(target=pace.run, args=(ending, has_room), daemon=True)
        thread.start()
        assert checked.wait(30)
        ending.set()
        thread.join(30)
        assert not thread.is_alive()

    def test_it_waits_while_the_engine_is_at_work(self, bench):
        """While no thread is free, nothing is read or checked."""
        bench.active()
        ending = threading.Event()
        preflights = Preflights(contexts=inside(bench.core).contexts, certificates=bench.core.certificates)

        def is_busy():
            ending.set()
            return False

        PreflightPace(preflights=preflights, outage=Outage(), interval=0.001).run(ending, is_busy)
        assert preflights.plan(10) == 1

    def test_a_worker_can_do_without(self, bench):
        """The checks of a worker can be left to other processes."""
        assert bench.core.worker().preflights is not None
        assert bench.core.worker(preflights=False).preflights is None
