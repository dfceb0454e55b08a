"""Certificates in service are checked as if they were renewed now: told once, and in nobody's way."""

from datetime import timedelta

import pytest

from certcore import CertCore
from certcore.model.events import EventKind
from certcore.model.finding import Severity
from certcore.model.hints import ActionButton, DnsRecords, Notice
from certcore.model.readiness import WhoseTurn
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.obstacles import TOLD, UNSURE, check, obstacle, preflight_of, told


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
