"""Deliveries on database servers, where transactions meet; and those of databases from before there were cursors."""

import contextlib
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from attrs import evolve

from certcore.adapters.sql import open_storage
from certcore.model.deliveries import DeliveryCursor, KnownObserver
from certcore.model.events import Event, EventKind
from certcore.testing.contracts.samples import LATER, NOW
from support.databases import DATABASE_SERVERS

OBSERVERS = ("mail", "web")
MOMENT = datetime(2029, 12, 31, tzinfo=UTC)


@pytest.fixture(params=DATABASE_SERVERS)
def url(request):
    """A database with empty tables."""
    return request.getfixturevalue("emptied")(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def processes(url):
    """The storages of two processes on one database."""
    with contextlib.closing(open_storage(url)) as one, contextlib.closing(open_storage(url)) as other:
        yield one, other


def _append(transaction, *certificate_ids):
    transaction.events.append(
        [Event(certificate_id=certificate_id, kind=EventKind.EDITED, at=NOW) for certificate_id in certificate_ids]
    )


def _offer(transaction):
    return transaction.deliveries.offer(observers=OBSERVERS, now=LATER, limit=9)


def _claim(transaction, owner, *observers):
    until = LATER + timedelta(minutes=1)
    return transaction.deliveries.claim_due(
        observers=observers or OBSERVERS, now=LATER, owner=owner, lease_until=until, limit=9
    )


@pytest.fixture
def until_one_waits(url):
    """Returns when a transaction on the database waits for the lock of another one."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    waiting = {
        "postgresql": "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        "mysql": "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'",
    }[engine.dialect.name]

    def wait():
        pause = threading.Event()
        with engine.connect() as connection:
            for _ in range(1000):
                if connection.exec_driver_sql(waiting).first():
                    return
                pause.wait(0.002)
        pytest.fail("Nobody waits for a lock.")

    yield wait
    engine.dispose()


def test_two_processes_offer_and_claim_at_once(processes):
    """Neither waits for the other; each gets what the other has not locked, and nothing twice."""
    one, other = processes
    with one.write() as transaction:
        _append(transaction, "a", "b")
    with one.write() as mine:
        assert _offer(mine) == 2
        first = _claim(mine, "one", "web")
        assert [cursor.certificate_id for cursor in first] == ["a", "b"]
        with other.write() as theirs:
            assert _offer(theirs) == 0
            assert _claim(theirs, "other") == []
    with other.write() as theirs:
        second = _claim(theirs, "other")
    assert {(cursor.certificate_id, cursor.observer) for cursor in second} == {("a", "mail"), ("b", "mail")}


def test_a_timeline_waits_while_a_cursor_of_it_is_locked(processes):
    """It stays pending, and other timelines do not; when the other transaction is over, its events are offered."""
    one, other = processes
    with one.write() as transaction:
        _append(transaction, "a")
        _offer(transaction)
        cursor, _ = _claim(transaction, "one")
        _append(transaction, "a", "b")
    with one.write() as mine:
        mine.deliveries.settle(evolve(cursor, delivered=1, due_at=LATER))
        with other.write() as theirs:
            assert _offer(theirs) == 1
            assert theirs.timelines.get("a").pending_since == NOW
            assert theirs.timelines.get("b").pending_since is None
    with other.write() as theirs:
        assert _offer(theirs) == 1
        assert theirs.timelines.get("a").pending_since is None
        places = [(each.delivered, each.length, each.due_at) for each in theirs.deliveries.of_certificate("a")]
    assert places == [(1, 2, NOW), (0, 2, NOW)]


def test_an_event_that_is_offered_while_a_delivery_is_settled_is_not_missed(processes, until_one_waits):
    """The transaction that settles waits for the cursor's row, and then sees the length that it got meanwhile."""
    one, other = processes
    with one.write() as transaction:
        _append(transaction, "a")
        _offer(transaction)
        cursor, _ = _claim(transaction, "one")
        _append(transaction, "a")

    def settle():
        with other.write() as theirs:
            theirs.deliveries.settle(evolve(cursor, delivered=1, due_at=LATER))

    with ThreadPoolExecutor() as threads:
        with one.write() as mine:
            assert _offer(mine) == 1
            settled = threads.submit(settle)
            until_one_waits()
        settled.result(60)
    with one.read() as transaction:
        mail, _ = transaction.deliveries.of_certificate("a")
    assert (mail.delivered, mail.length, mail.due_at, mail.lease_owner) == (1, 2, LATER, "")


def test_an_observer_is_not_forgotten_while_it_says_that_it_is_here(processes, until_one_waits):
    """Whoever is about to forget it waits, and then reads that it was seen."""
    one, other = processes
    with one.write() as transaction:
        transaction.deliveries.save_observer(KnownObserver(name="web", seen_at=NOW, missed_since=NOW))

    def look():
        with other.write() as theirs:
            return theirs.deliveries.known_observers(lock=True)

    with ThreadPoolExecutor() as threads:
        with one.write() as mine:
            mine.deliveries.save_observer(KnownObserver(name="web", seen_at=LATER))
            looked = threads.submit(look)
            until_one_waits()
        assert looked.result(60) == [KnownObserver(name="web", seen_at=LATER)]


@pytest.fixture(params=[*DATABASE_SERVERS, "sqlite"])
def older(request, tmp_path):
    """The URL of a database of the revision before, with deliveries in every state, and an engine on it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/certcore.db"
    else:
        url = request.getfixturevalue(request.param).new_database()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        command.upgrade(_config(connection), "0012")
        _fill(connection)
        connection.commit()
    yield url, engine
    engine.dispose()


def _config(connection):
    config = Config()
    config.set_main_option("script_location", "certcore:adapters/sql/migrations")
    config.attributes["connection"] = connection
    return config


def _micros(moment):
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def _behind(delivered, attempts=2):
    return {"delivered": delivered, "attempts": attempts, "due_at": LATER.isoformat(), "reason": "Größe"}


def _fill(connection):
    """Timelines: told of all, with news, with an observer behind, with both, and of an observer nobody wrote down."""
    old = sa.MetaData()
    old.reflect(connection, only=["certcore_timelines", "certcore_documents"])
    rows = {
        "all": (3, 3, None, {}),
        "news": (3, 1, MOMENT, {}),
        "behind": (3, 3, LATER, {"web": _behind(1), "elsewhere": _behind(0, 0)}),
        "both": (5, 4, MOMENT, {"web": _behind(2)}),
        "unknown": (2, 2, LATER, {"gone": _behind(1)}),
    }
    for certificate_id, (length, delivered, due_at, behind) in rows.items():
        row = {
            "certificate_id": certificate_id,
            "length": length,
            "head": f"head of {certificate_id}",
            "seal": f"seal of {certificate_id}",
            "delivered": delivered,
            "due_at": due_at and _micros(due_at),
            "behind": json.dumps(behind),
            "lease_owner": "old",
            "lease_until": _micros(LATER),
            "token": 7,
        }
        connection.execute(old.tables["certcore_timelines"].insert(), row)
    known = {"web": NOW.isoformat(), "mail": NOW.isoformat(), "elsewhere": NOW.isoformat()}
    row = {"namespace": "certcore-engine", "key": "observers", "value": json.dumps(known), "version": 4}
    connection.execute(old.tables["certcore_documents"].insert(), row)


def _check(url):
    waiting = DeliveryCursor(
        certificate_id="behind", observer="web", delivered=1, length=3, attempts=2, due_at=LATER, reason="Größe"
    )
    with contextlib.closing(open_storage(url)) as storage, storage.write() as transaction:
        timelines = {one: transaction.timelines.get(one) for one in ("all", "news", "behind", "both", "unknown")}
        assert all(one.seal == f"seal of {name}" and one.head == f"head of {name}" for name, one in timelines.items())
        assert {name: (one.length, one.offered) for name, one in timelines.items()} == {
            "all": (3, 3),
            "news": (3, 1),
            "behind": (3, 3),
            "both": (5, 4),
            "unknown": (2, 2),
        }
        assert {name for name, one in timelines.items() if one.pending_since} == {"news", "both"}
        assert timelines["news"].pending_since == MOMENT
        assert transaction.deliveries.of_certificate("all") == transaction.deliveries.of_certificate("news") == []
        assert transaction.deliveries.of_certificate("behind") == [
            evolve(waiting, observer="elsewhere", delivered=0, attempts=0),
            waiting,
        ]
        assert transaction.deliveries.of_certificate("both") == [
            evolve(waiting, certificate_id="both", delivered=2, length=4)
        ]
        known = {
            known_observer.name: (known_observer.seen_at, known_observer.missed_since)
            for known_observer in transaction.deliveries.known_observers()
        }
        assert known == {**dict.fromkeys(["elsewhere", "mail", "web"], (NOW, None)), "gone": (LATER, None)}
        assert transaction.documents.get("certcore-engine", "observers") is None
        assert _offer(transaction) == 2
        places = {
            (each.certificate_id, each.observer): (each.delivered, each.length, each.due_at)
            for one in ("news", "both")
            for each in transaction.deliveries.of_certificate(one)
        }
        assert places == {
            ("news", "mail"): (1, 3, MOMENT),
            ("news", "web"): (1, 3, MOMENT),
            ("both", "mail"): (4, 5, MOMENT),
            ("both", "web"): (2, 5, LATER),
        }


def test_undelivered_events_of_an_older_database_are_delivered(older):
    """Who was behind goes on where it was, and waits no less; what nobody was told of is pending."""
    url, _ = older
    _check(url)


class _CutOffError(Exception):
    """The server was stopped."""


@pytest.mark.parametrize("older", DATABASE_SERVERS[1:], indirect=True)
def test_a_migration_that_is_cut_off_is_finished(older):
    """On MariaDB, which keeps each change of a table: cut off after every single one, it ends with the same rows."""
    url, engine = older

    @sa.event.listens_for(engine, "after_cursor_execute")
    def cut_off(connection, cursor, statement, *_):
        if statement.lstrip().startswith(("CREATE", "ALTER", "DROP")):
            raise _CutOffError

    times = 0
    for _ in range(60):
        with engine.connect() as connection:
            try:
                command.upgrade(_config(connection), "head")
                connection.commit()
                break
            except _CutOffError:
                times += 1
                connection.rollback()
    assert times > 10, "the migration has fewer statements than it had, or it never came to an end"
    assert times < 60
    _check(url)
