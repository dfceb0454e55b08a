"""Rows of a panel's list and the numbers of its dashboard: they agree with the pages, in few statements."""

from collections import Counter
from datetime import timedelta

import pytest
import sqlalchemy as sa
from attrs import define

from certcore import Attempt, CertCoreError, ConditionStatus, ConditionType, NoticePolicy, Status, hookimpl
from certcore.errors import InvalidInputError
from certcore.hints import Level
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.cores import core_on
from support.situations import SITUATIONS, certificate_in

DAY = timedelta(days=1)


@define(eq=False)
class Fleet:
    """What `certificate_in` needs, on any store."""

    core: object
    ca: ScriptedCA
    environment: FrozenEnvironment
    authority: object

    def draft(self, domain="shop.example", **fields):
        return self.core.certificates.create(domain, authority=self.authority.id, **fields)

    def step(self, certificate_id):
        due = self.core.certificates.view(certificate_id).schedule.due_at
        if due is not None and due > self.environment.now():
            self.environment.set(due)
        return self.core.reconcile(certificate_id)


class Refusing:
    """An observer that refuses what happens to certificates of one owner."""

    @hookimpl
    def certcore_on_event(self, event, certificates):
        if certificates.get(event.certificate_id).owner == "refused":
            raise CertCoreError("The disk is full.")


@pytest.fixture(params=["memory", "sqlite"], scope="module")
def fleet(request, tmp_path_factory):
    """One certificate in each situation, and one whose deployment failed."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    options = {
        "plugins": [ca.plugin(), Refusing()],
        "environment": environment,
        "notices": NoticePolicy(days_before=()),
    }
    with core_on(request.param, tmp_path_factory.mktemp("rows"), **options) as core:
        authority = core.authorities.create("Shop CA", module="scripted", settings={"api_key": "k"})
        fleet = Fleet(core=core, ca=ca, environment=environment, authority=authority)
        # Those with moved clocks first, so that the others are not expired by them.
        for name in sorted(SITUATIONS, key=lambda name: not name.startswith("expired")):
            certificate_in(fleet, name)
        ca.script = (Act.ISSUE,)
        refused = core.certificates.generate_csr(fleet.draft("refused.example", owner="refused").id).id
        for _ in range(3):
            core.reconcile(refused)
        core.deliver_events()
        yield fleet


def _holding(conditions):
    return {condition.type for condition in conditions if condition.status is ConditionStatus.TRUE}


def test_rows_say_what_the_pages_say(fleet):
    """Days left, renewal time, level, profile name and conditions of a row are those of the certificate's page."""
    rows = fleet.core.certificates.rows(limit=1000).items
    assert len(rows) == len(SITUATIONS) + 1
    for row in rows:
        view = fleet.core.certificates.view(row.certificate.id)
        assert row.certificate == view.certificate
        assert row.authority_name == view.authority.name == "Shop CA"
        for name in ("days_remaining", "renews_at", "level", "conditions"):
            assert getattr(row, name) == getattr(view, name)


@pytest.mark.parametrize("condition", ConditionType)
def test_a_filter_by_condition_finds_exactly_those_for_which_it_holds(fleet, condition):
    """The filter, the numbers of the dashboard and the conditions of the rows agree; now, and half a year later."""
    moments = (fleet.environment.now(), fleet.environment.now() + 75 * DAY, fleet.environment.now() + 180 * DAY)
    before = fleet.environment.now()
    try:
        for moment in moments:
            fleet.environment.set(moment)
            rows = fleet.core.certificates.rows(limit=1000).items
            expected = {row.certificate.id for row in rows if condition in _holding(row.conditions)}
            listed = fleet.core.certificates.rows(condition=condition, limit=1000).items
            assert {row.certificate.id for row in listed} == expected
            counts = fleet.core.certificates.counts(max_age=0)
            assert counts.by_condition[condition] == len(expected)
    finally:
        fleet.environment.set(before)


def test_overdue_renewals_and_waiting_owners_can_be_listed(fleet):
    """There is something to find with both filters, and with that for where an issuance stands."""
    waiting = fleet.core.certificates.list(condition="OwnerActionNeeded").items
    assert waiting
    assert {item.id for item in waiting} == {item.id for item in fleet.core.certificates.list(attempt="owner").items}
    assert fleet.core.certificates.list(condition="RenewalInDanger", owner="refused").items == ()
    assert fleet.core.certificates.list(attempt=Attempt.ADMINISTRATOR).items == ()


def test_the_numbers_of_a_dashboard(fleet):
    """By status as the list has it, and the ends of leaves by day, week, and within 7, 30 and 90 days."""
    fleet.environment.advance(timedelta(days=10, hours=5))
    counts = fleet.core.certificates.counts(max_age=0)
    items = fleet.core.certificates.list(limit=1000).items
    assert counts.by_status == {status: Counter(item.status for item in items)[status] for status in Status}
    assert counts.total == len(items)
    days = Counter(
        (item.not_after - counts.at) // DAY for item in items if item.status == "active" and item.not_after > counts.at
    )
    assert counts.ending_by_day == tuple(days[day] for day in range(90))
    assert counts.ending_within == {most: sum(days[day] for day in range(most)) for most in (7, 30, 90)}
    assert sum(counts.ending_by_week) == counts.ending_within[90] > 0
    assert len(counts.ending_by_week) == 13
    assert counts.overdue == counts.by_condition[ConditionType.RENEWAL_IN_DANGER]
    of_owner = fleet.core.certificates.counts(owner="refused", authority="Shop CA", max_age=0)
    assert (of_owner.total, of_owner.by_condition[ConditionType.DEPLOYMENT_FAILED]) == (1, 1)


def test_numbers_are_kept_for_a_minute(bench):
    """A dashboard does not count anew for a minute; it says when it counted, and can ask for numbers of now."""
    bench.draft()
    first = bench.core.certificates.counts()
    bench.draft("other.example")
    bench.advance(seconds=60)
    assert bench.core.certificates.counts() is first
    assert bench.core.certificates.counts(owner="").total == 2
    assert bench.core.certificates.counts(max_age=0).total == 2
    assert bench.core.acting_as("anna").certificates.counts().total == 2
    assert bench.core.acting_as("anna").certificates.counts() is bench.core.acting_as("bert").certificates.counts()
    bench.draft("third.example")
    assert bench.core.certificates.counts(max_age=0).total == 3  # at the same moment
    bench.advance(seconds=61)
    assert bench.core.certificates.counts().at == bench.environment.now()
    for wrong in (-1, 3601, "60", True, None):
        with pytest.raises(InvalidInputError, match="max_age"):
            bench.core.certificates.counts(max_age=wrong)


def test_a_page_of_rows_takes_three_statements(tmp_path):
    """However many rows a page has, and whatever is wrong with them."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.WAIT_OWNER], now=environment.now())
    with core_on("sqlite", tmp_path, plugins=[ca.plugin()], environment=environment) as core:
        authority = core.authorities.create("test", module="scripted", settings={"api_key": "k"})
        for number in range(30):
            core.certificates.create(f"d{number:02}.example", authority=authority.id)
        statements = []

        def note(connection, cursor, statement, *others):
            statements.append(statement)

        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            for limit in (1, 30):
                statements.clear()
                assert len(core.certificates.rows(limit=limit).items) == limit
                assert len(statements) == 3
        finally:
            sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("draft", Level.INFO),
        ("pending", Level.WARNING),
        ("processing", Level.INFO),
        ("error", Level.ERROR),
        ("active", Level.SUCCESS),
        ("active, renewing", Level.SUCCESS),
        ("expired", Level.ERROR),
        ("revoked", Level.ERROR),
    ],
)
def test_a_badge_has_the_level_of_its_urgency(bench, name, level):
    """Red wants a person now, yellow soon; green and grey want nobody."""
    certificate_id = certificate_in(bench, name)
    assert bench.core.certificates.rows().items[0].level is level
    assert bench.core.certificates.view(certificate_id).level is level


def test_a_leaf_that_nobody_renews_becomes_a_warning(bench):
    """Without automatic renewal a leaf is shown as a warning two weeks before its end."""
    certificate_id = bench.active(renewal={"auto": False})
    ends = bench.get(certificate_id).not_after
    for before, level in ((15, Level.SUCCESS), (13, Level.WARNING), (0, Level.ERROR)):
        bench.environment.set(ends - before * DAY)
        assert bench.core.certificates.view(certificate_id).level is level


def test_unknown_filters_are_refused(bench):
    """A misspelt filter does not list everything."""
    with pytest.raises(TypeError, match="staus"):
        bench.core.certificates.list(staus="active")
    for field, value in (("condition", "Redy"), ("attempt", "nobody"), ("status", "actve")):
        with pytest.raises(InvalidInputError) as refused:
            bench.core.certificates.rows(**{field: value})
        assert refused.value.field == field
