"""The ledger and the server agree in the end, whoever is killed, when, and however many write: on real servers."""

import contextlib
from contextlib import closing
from datetime import timedelta

import pytest
from attrs import evolve

from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.sql import open_storage
from certcore.testing.server import ProgramMissingError
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord
from support.databases import sqlite_with_tables
from support.killed_copies import orders_to
from support.servers.dns_servers import Bind, Knot, PowerDns
from support.zone_writing import documents_of, publication, until_done

pytestmark = pytest.mark.integration

ZONE = "acme.panel.test"
NAMES = [f"first.{ZONE}", f"second.{ZONE}"]
KINDS = pytest.mark.parametrize("kind", [Bind, Knot, PowerDns])
#: Longer than any lease of a name.
A_LEASE = 120


@pytest.fixture
def start_zone():
    """Starts DNS servers with the tech zone."""
    with contextlib.ExitStack() as running:

        def start(kind):
            try:
                return running.enter_context(kind.start(ZONE))
            except ProgramMissingError as error:
                pytest.skip(error.message)

        yield start


@pytest.fixture
def start_process():
    """Starts processes that work on orders of the test; each gives a function to hand one in and one for its answer."""
    with contextlib.ExitStack() as running:

        def start():
            orders = running.enter_context(orders_to("support.zone_writing"))
            return orders.hand_in, orders.answer

        yield start


@pytest.fixture
def store(tmp_path):
    """A store, with its URL."""
    url = sqlite_with_tables(tmp_path)
    with closing(open_storage(url)) as storage:
        yield url, documents_of(storage)


def hold(documents, issuance, names, *values):
    """Write values to the ledger."""
    now = SystemEnvironment().now()
    TechZoneRecords(documents).add_many(
        TxtRecord(fqdn=name, value=value, issuance_id=issuance, added_at=now) for name in names for value in values
    )


def left(documents):
    """What the store still has of names at the server."""
    return [document.key for document in documents.list("zone-name/")]


@KINDS
def test_killed_at_every_point(kind, start_zone, start_process, store):
    """Whoever comes after a process that died finds in the store what is to be added and what is to be removed."""
    server = start_zone(kind)
    url, documents = store
    hand_in, answer = start_process()
    settings = server.settings()
    for point in range(1, 40):
        issuance = f"issuance-{point}"
        hand_in(url=url, settings=settings, names=NAMES, issuances=[issuance], port=server.port, point=point)
        done = answer()
        if not done["killed"]:
            assert done["exit"] == 0
            break
        ledger = TechZoneRecords(documents)
        after = publication(documents, settings, ahead=A_LEASE * point)
        until_done(lambda after=after: after.update(NAMES))
        for name in NAMES:
            assert server.txt_values(name) == set(ledger.values(name)), point
        ledger.remove_issuance_now(issuance, NAMES)
        until_done(lambda after=after: after.update(NAMES))
        assert [server.txt_values(name) for name in NAMES] == [set(), set()], point
    assert point > 8
    assert left(documents) == []


@KINDS
def test_twenty_orders_in_two_processes(kind, start_zone, start_process, store):
    """Twenty orders for the same names, in two processes: none loses a value, and none is left."""
    server = start_zone(kind)
    url, documents = store
    processes = [start_process(), start_process()]
    for number, (hand_in, _) in enumerate(processes):
        issuances = [f"order-{number}-{one}" for one in range(10)]
        hand_in(url=url, settings=dict(server.settings()), names=NAMES, issuances=issuances, port=server.port)
    assert [answer() for _, answer in processes] == [{"killed": False, "exit": 0}] * 2
    assert [server.txt_values(name) for name in NAMES] == [set(), set()]
    assert left(documents) == []


@KINDS
def test_a_server_that_is_restarted(kind, start_zone, store):
    """What it has confirmed is there after a power cut; what could not be told meanwhile comes afterwards."""
    server = start_zone(kind)
    _, documents = store
    zone = publication(documents, server.settings())
    hold(documents, "one", NAMES, "before")
    assert zone.update(NAMES) is None
    server.kill()
    hold(documents, "two", NAMES, "meanwhile")
    TechZoneRecords(documents).remove_issuance_now("one", NAMES)
    unwritten = zone.update(NAMES)
    assert "refused the connection" in str(unwritten.said)
    assert unwritten.advice
    server.restart()
    assert server.txt_values(NAMES[0]) == {"before"}
    assert zone.update(NAMES) is None
    assert [server.txt_values(name) for name in NAMES] == [{"meanwhile"}] * 2


def test_a_value_that_two_issuances_hold(start_zone, store):
    """A CA may give two orders the same authorization: the value stays until the last one lets go."""
    server = start_zone(Bind)
    _, documents = store
    zone = publication(documents, server.settings())
    for issuance in ("one", "two"):
        hold(documents, issuance, NAMES, "shared")
    assert zone.update(NAMES) is None
    TechZoneRecords(documents).remove_issuance_now("one", NAMES)
    assert zone.update(NAMES) is None
    assert server.txt_values(NAMES[0]) == {"shared"}
    TechZoneRecords(documents).remove_issuance_now("two", NAMES)
    assert zone.update(NAMES) is None
    assert server.txt_values(NAMES[0]) == set()


def test_a_process_that_wakes_up_after_its_lease(start_zone, store):
    """A paused process whose lease ran out writes what is old; it notices, and writes again what is true now."""
    server = start_zone(PowerDns)
    _, documents = store
    settings = server.settings()
    early, late = publication(documents, settings), publication(documents, settings, ahead=A_LEASE)
    hold(documents, "one", NAMES, "first")
    writer = early.writer()
    woken = []

    class Paused:
        """Is paused before its first call; meanwhile another process writes."""

        one_at_a_time = False

        def write(self, zone, changes, *, ttl):
            if not woken:
                woken.append(1)
                hold(documents, "two", NAMES, "second")
                until_done(lambda: late.update(NAMES))
            writer.write(zone, changes, ttl=ttl)

    until_done(lambda: evolve(early, writer=Paused).update(NAMES))
    assert [server.txt_values(name) for name in NAMES] == [{"first", "second"}] * 2


def test_a_lease_from_a_wrong_clock_is_not_waited_for(start_zone, store):
    """A process whose clock was a year ahead died while it wrote: nobody waits a year."""
    server = start_zone(Bind)
    _, documents = store
    hold(documents, "one", NAMES, "first")
    zone = publication(documents, server.settings())
    server.kill()
    assert zone.update(NAMES) is not None  # from here on there are documents of the names
    until = SystemEnvironment().now() + timedelta(days=365)
    for document in documents.list("zone-name/"):
        documents.put(document.key, {**document.value, "leased_until": until.isoformat()})
    server.restart()
    assert zone.update(NAMES) is None
    assert server.txt_values(NAMES[0]) == {"first"}


def test_a_lease_is_waited_for(start_zone, store):
    """While another process writes a name, nobody else does, whatever their clocks; that is no trouble to tell of."""
    server = start_zone(Bind)
    _, documents = store
    settings = server.settings()
    hold(documents, "one", NAMES, "first")
    zone = publication(documents, settings)
    seen = []

    class Looks:
        """What another process is told while this one writes."""

        one_at_a_time = False

        def write(self, zone_name, changes, *, ttl):
            seen.extend(publication(documents, settings, ahead=ahead).update(NAMES) for ahead in (-30, 0, 30))

    assert evolve(zone, writer=Looks).update(NAMES) is None
    assert [unwritten.is_busy for unwritten in seen] == [True, True, True]
