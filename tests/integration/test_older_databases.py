"""Databases that earlier versions made open under this one, with everything in them, and go on."""

import hashlib
from datetime import timedelta

import pytest

import certcore
from certcore import CertCore, Status
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside
from support.older_databases import COMMITS, KINDS, ClockOf, load

pytestmark = pytest.mark.integration


class Observer:
    """Writes down what it is told."""

    def __init__(self, name):
        self.__name__ = name
        self.told = []

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self.told.append((event.certificate_id, event.number))

    def numbers(self, certificate_id):
        return [number for told, number in self.told if told == certificate_id]


@pytest.fixture(params=COMMITS)
def commit(request):
    return request.param


@pytest.fixture(params=KINDS)
def older(request, commit, tmp_path):
    """A database as an earlier version left it."""
    server = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    return load(request.param, commit, tmp_path, server)


@pytest.fixture
def reopened(older):
    """It, opened a few minutes after it was left, with the CA and the observers that it knows."""
    clock = ClockOf(older.made_at + timedelta(minutes=10))
    ca = ScriptedCA([Act.ISSUE], now=clock.now())
    observers = [Observer("steady"), Observer("moody")]
    with CertCore.open(older.url, keyring=older.keyring, plugins=[ca.plugin(), *observers], environment=clock) as core:
        yield core, clock, observers


def _read_back(core, certificate_id, expected):
    view, issuances = core.certificates.view(certificate_id), core.certificates.issuances(certificate_id)
    certificate = view.certificate
    assert certificate.owner == expected["owner"]
    assert [name.ascii for name in certificate.names] == expected["names"]
    assert certificate.status == expected["status"]
    assert (certificate.not_after and certificate.not_after.isoformat()) == expected["not_after"]
    assert (certificate.problem and certificate.problem.type) == expected["problem"]
    assert (view.leaf.fingerprint_sha256 if view.leaf else "") == expected["fingerprint"]
    assert [[each.purpose, each.outcome] for each in issuances] == expected["issuances"]
    order = (issuances[-1].module_state or {}).get("order", "") if issuances else ""
    assert order == expected["order"]
    deliveries = core.certificates.deliveries(certificate_id)
    assert sorted(deliveries.behind) == expected["behind"]
    assert deliveries.length - deliveries.delivered == expected["undelivered"]
    assert not core.certificates.verify_timeline(certificate_id).fault


def test_everything_in_it_reads_back(older, reopened):
    """Each certificate has its status, names, leaf, attempts and order, each secret opens, each timeline verifies."""
    core, _, _ = reopened
    listed = {certificate.id for certificate in core.certificates.list(limit=1000).items}
    assert listed == {expected["id"] for expected in older.expected["certificates"].values()}
    for expected in older.expected["certificates"].values():
        _read_back(core, expected["id"], expected)
    for expected in older.expected["certificates"].values():
        if expected["key_sha256"]:
            key = core.certificates.private_key(expected["id"], reason="test").reveal()
            assert hashlib.sha256(key).hexdigest() == expected["key_sha256"]
    profile = inside(core).contexts.profile(core.authorities.get("scripted"))
    assert hashlib.sha256(profile.api_key.reveal()).hexdigest() == older.expected["api_key_sha256"]
    assert [event.kind for event in core.certificates.timeline(older.expected["deleted"])] == ["created", "deleted"]
    assert not core.certificates.verify_timeline(older.expected["deleted"]).fault
    with inside(core).storage.read() as transaction:
        assert transaction.timelines.get(older.id_of("active")).seal  # sealed when it was opened
    actions = core.certificates.hints(older.id_of("acme waiting"))
    assert actions  # the ACME module reads its documents


def test_what_was_under_way_goes_on(older, reopened):
    """Waits, work, renewals and attempts that failed lead to an active certificate; a draft and a reissue as well."""
    core, clock, _ = reopened
    core.certificates.check_now(older.id_of("error"))
    core.certificates.generate_csr(older.id_of("draft"))
    core.certificates.renew(older.id_of("expired"))
    core.certificates.reissue(older.id_of("revoked"))
    names = ["pending", "processing", "renewing", "active", "error", "draft", "expired", "revoked"]
    before = {name: core.certificates.view(older.id_of(name)).leaf for name in names}
    for _ in range(8):
        for name in names:
            core.reconcile(older.id_of(name))
        clock.advance(timedelta(minutes=2))
    for name in names:
        view = core.certificates.view(older.id_of(name))
        assert view.certificate.status is Status.ACTIVE, name
        assert view.leaf != before[name], name
        assert not core.certificates.verify_timeline(older.id_of(name)).fault
    for name in ("imported", "imported without key", "active of Anna"):
        core.reconcile(older.id_of(name))
        assert core.certificates.get(older.id_of(name)).status is Status.ACTIVE


def test_the_observers_are_told_what_they_missed(older, reopened):
    """Each observer gets, in order, exactly the events that it has not had, and nothing that it had."""
    core, clock, (steady, moody) = reopened
    for _ in range(4):
        core.deliver_events()
        clock.advance(timedelta(hours=1))
    for expected in older.expected["certificates"].values():
        length = core.certificates.deliveries(expected["id"]).length
        for observer, is_behind in ((steady, False), (moody, "moody" in expected["behind"])):
            numbers = observer.numbers(expected["id"])
            assert numbers == list(range(length - len(numbers) + 1, length + 1))
            assert len(numbers) >= expected["undelivered"] + is_behind
        assert len(steady.numbers(expected["id"])) == expected["undelivered"]
    draft = older.id_of("draft")
    assert len(moody.numbers(draft)) == 2  # the edit that it refused, and the one that nobody was told of
    assert not inside(core).outbox.has_work()


@pytest.mark.pebble
def test_an_order_in_flight_goes_on(older, tmp_path, integration_panel, start_pebble):
    """An order whose CA has forgotten it, account and all, becomes a new one, and the certificate becomes active."""
    with integration_panel(tmp_path, older.url) as panel:
        pebble = start_pebble(nonce_reject=0, dns_server=panel.dns_address)
        profile = panel.core.authorities.get("acme")
        panel.move(profile, pebble, dns_servers=[panel.dns_address])
        for name in ("acme order", "acme waiting"):
            panel.core.certificates.check_now(older.id_of(name))
            panel.drive(older.id_of(name), lambda _, name=name: panel.records(older.id_of(name)))
            panel.set_cnames(older.id_of(name))
            panel.until_active(older.id_of(name))
            assert not panel.core.certificates.verify_timeline(older.id_of(name)).fault


def test_lists_and_the_feed_know_what_is_in_it(older, reopened):
    """Each event is in the feed once, with its owner; after one look at each certificate the rows are complete."""
    core, _, _ = reopened
    feed = [item.event for item in core.events(limit=1000).items]
    ids = {certificate.id for certificate in core.certificates.list(limit=1000).items}
    timelines = [event for certificate_id in ids for event in core.certificates.timeline(certificate_id)]
    assert {event.sequence for event in feed} >= {event.sequence for event in timelines}
    assert len({event.position for event in feed}) == len(feed)
    owners = {expected["id"]: expected["owner"] for expected in older.expected["certificates"].values()}
    assert all(event.owner == owners[event.certificate_id] for event in feed if event.certificate_id in owners)
    for certificate_id in core.due(1000):
        core.reconcile(certificate_id)
    for row in core.certificates.rows(limit=1000).items:
        view = core.certificates.view(row.certificate.id)
        if row.certificate.status in (Status.ACTIVE, Status.DRAFT):
            assert (row.renews_at, row.conditions) == (view.renews_at, view.conditions)
