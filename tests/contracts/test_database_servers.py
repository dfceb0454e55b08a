"""What stores on a server promise besides the contract: keeping to the limits, and losing the server."""

import contextlib
import socket
import threading
import time
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from attrs import define, field

from certcore import CertCore
from certcore.adapters.sql import Pool, open_storage
from certcore.errors import StorageBusyError, StorageUnavailableError
from certcore.model.events import Event, EventKind
from certcore.testing.ports import free_port
from support.databases import DATABASE_SERVERS, connected


@pytest.fixture(params=DATABASE_SERVERS)
def url(request):
    """A database with nothing in it."""
    return request.getfixturevalue(request.param).new_database()


#: The message of PostgreSQL that names the process of a session: its type and its length.
_PROCESS = b"K\0\0\0\x0c"


def _forward(source, target, change=lambda data: data):
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(change(data))
        target.shutdown(socket.SHUT_WR)


def _with_another_process(data):
    """As a pooler greets: with a process that is not the server's."""
    before, message, rest = data.partition(_PROCESS)
    return before + message + (b"\x7f\xff\xff\xff" + rest[4:] if message else b"")


@contextlib.contextmanager
def pooler(url):
    """The URL of a server in front of a PostgreSQL server."""
    parsed = sa.make_url(url)
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    client = stack.enter_context(listening.accept()[0])
                    server = stack.enter_context(socket.create_connection((parsed.host, parsed.port)))
                    threading.Thread(target=_forward, args=(client, server), daemon=True).start()
                    back = (server, client, _with_another_process)
                    threading.Thread(target=_forward, args=back, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield parsed.set(port=listening.getsockname()[1]).render_as_string(hide_password=False)
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _prepared(url):
    """How many statements the server has prepared after one question was asked several times."""
    with contextlib.closing(open_storage(url)) as storage:
        for _ in range(10):
            with storage.read() as transaction:
                transaction.documents.get("module", "key")
        with storage.read() as transaction:
            return transaction.connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements").scalar_one()


def test_statements_are_prepared_unless_a_pooler_is_in_between(postgresql):
    """A pooler may run the next transaction in another session, where they are not prepared."""
    url = postgresql.new_database()
    assert _prepared(url) > 0
    with pooler(url) as pooled:
        assert _prepared(pooled) == 0


def test_a_connection_that_was_cut_is_replaced(url):
    """A server that was restarted, or a firewall, costs one transaction: it fails in words, and the next one goes."""
    with contextlib.closing(open_storage(url)) as storage:
        for begin in (storage.read, storage.write):
            with begin() as transaction:
                transaction.documents.get("n", "k")
        with pytest.raises(StorageUnavailableError, match="The database failed"):
            _lose(storage, url)
        with storage.write() as transaction:
            transaction.documents.put("n", "k", {"x": 1})
        with contextlib.suppress(StorageUnavailableError), storage.read() as transaction:
            transaction.documents.get("n", "k")
        with storage.read() as transaction:
            assert [document.key for document in transaction.documents.list("n")] == ["k"]


def test_a_process_that_stands_still_does_not_keep_others_out(url):
    """Its transaction is ended by the server, and says so when it goes on; what it wrote is gone."""
    with contextlib.closing(open_storage(url)) as storage, contextlib.closing(open_storage(url)) as other:
        with storage.write() as transaction:
            transaction.documents.put("n", "k", {"x": 1})
        with pytest.raises(StorageUnavailableError, match="The database failed"):
            _stand_still(storage, other)
        with storage.read() as transaction:
            assert transaction.documents.get("n", "k").value == {"x": 3}


def _stand_still(storage, other):
    with storage.write() as transaction:
        _hurry(transaction.connection)
        transaction.documents.put("n", "k", {"x": 2})
        with other.write() as meanwhile:  # waits for the lock until the server has given it free
            meanwhile.documents.put("n", "k", {"x": 3})


def _hurry(connection):
    """The server has been told to wait for a minute; for this test it is a second."""
    if connection.dialect.name == "postgresql":
        name = "idle_in_transaction_session_timeout"
        assert connection.exec_driver_sql(f"SHOW {name}").scalar() == "1min"
        connection.exec_driver_sql(f"SET LOCAL {name} = '1s'")
        return
    name = "idle_write_transaction_timeout"
    assert connection.exec_driver_sql(f"SELECT @@{name}").scalar() == 60
    connection.exec_driver_sql(f"SET SESSION {name} = 1")


def _lose(storage, url):
    with storage.write() as transaction:
        transaction.documents.put("n", "lost", {})
        _cut_all_others(url)
        transaction.documents.put("n", "lost too", {})


def _cut_all_others(url):
    with connected(url) as connection:
        if connection.dialect.name == "postgresql":
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
            connection.exec_driver_sql(f"{others} AND pid <> pg_backend_pid()")
            return
        found = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
        for number in connection.exec_driver_sql(found).scalars().all():
            connection.exec_driver_sql(f"KILL {number}")


def test_a_whole_core_works_on_it(url, tmp_path):
    """From a draft to a request with its key, opened again by another object."""
    CertCore.create_keyring(tmp_path / "keyring.json")
    with CertCore.open(url, keyring=tmp_path / "keyring.json") as core:
        settings = {"ca": "custom", "directory_url": "https://127.0.0.1:9/dir", "tech_zone": "acme.panel.test"}
        authority = core.authorities.create("ca", module="puq_acme", settings=settings)
        draft = core.certificates.create("bücher.example", authority=authority.id, aliases=["*.bücher.example"])
        core.certificates.generate_csr(draft.id)
    with CertCore.open(url, keyring=tmp_path / "keyring.json") as core:
        view = core.certificates.view(draft.id)
        assert view.certificate.domain.unicode == "bücher.example"
        assert view.certificate.status == "pending"
        assert [event.kind for event in view.events] == ["created", "csr_generated"]


def test_urls_that_lead_nowhere():
    """No server there, a kind that nobody knows, a text that is no URL: each said in words, without passwords."""
    port = free_port()
    for scheme in ("postgresql", "postgresql+psycopg", "mysql", "mariadb"):
        with pytest.raises(StorageUnavailableError, match="The database failed") as refused:
            open_storage(f"{scheme}://panel:s3cr3t@127.0.0.1:{port}/certcore")
        assert "s3cr3t" not in str(refused.value)
    with pytest.raises(StorageUnavailableError, match="'oracle'"):
        open_storage("oracle://panel:s3cr3t@127.0.0.1/certcore")
    with pytest.raises(StorageUnavailableError, match="is invalid") as refused:
        open_storage("panel:s3cr3t@127.0.0.1")
    assert "s3cr3t" not in str(refused.value)


def test_the_feed_skips_no_event_that_is_committed_late(url):
    """An event whose transaction began first and ended last comes after those that were read meanwhile."""
    storage, other = open_storage(url), open_storage(url)

    def event(certificate_id):
        return Event(certificate_id=certificate_id, kind=EventKind.EDITED, at=datetime(2030, 1, 1, tzinfo=UTC))

    def read(after):
        with storage.read() as transaction:
            unnumbered = transaction.events.has_unnumbered()
        if unnumbered:
            with storage.write() as transaction:
                transaction.events.number(limit=1000)
        with storage.read() as transaction:
            return transaction.events.feed(after=after)

    with contextlib.closing(storage), contextlib.closing(other):
        with other.write() as slow:
            slow.events.append([event("slow")])
            with storage.write() as transaction:
                transaction.events.append([event("fast")])
            (fast,) = read(None)
            assert fast.certificate_id == "fast"
            assert read(fast.position) == []
        (late,) = read(fast.position)
        assert late.certificate_id == "slow"
        assert late.sequence < fast.sequence  # by which it would have been skipped
        assert [each.certificate_id for each in read(None)] == ["fast", "slow"]


def test_processes_that_number_the_feed_at_once_agree(url):
    """Each event gets one position, and no reader sees a gap that is filled later."""
    stores = [open_storage(url) for _ in range(4)]
    begin = threading.Barrier(len(stores))
    seen = [[] for _ in stores]

    def work(own):
        begin.wait(60)
        for number in range(15):
            at = datetime(2030, 1, 1, tzinfo=UTC)
            with stores[own].write() as transaction:
                transaction.events.append([Event(certificate_id=f"{own}-{number}", kind=EventKind.EDITED, at=at)])
            with contextlib.suppress(StorageBusyError), stores[own].write() as transaction:
                transaction.events.number(limit=3)
            with stores[own].read() as transaction:
                seen[own] += transaction.events.feed(after=seen[own][-1].position if seen[own] else None)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(len(stores))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    with stores[0].write() as transaction:
        transaction.events.number(limit=1000)
    with stores[0].read() as transaction:
        feed = transaction.events.feed(limit=1000)
    assert [event.position for event in feed] == list(range(1, 61))
    for own in seen:
        assert own == feed[: len(own)]
    for store in stores:
        store.close()


def test_a_burst_leaves_no_more_connections_than_are_to_be_kept(postgresql):
    """A process opens at most what the pool allows while many threads work, and the server soon has only those kept."""
    url = postgresql.new_database()
    with (
        opened_connections() as counted,
        contextlib.closing(open_storage(url, pool=Pool(size=3, max_overflow=5))) as storage,
    ):
        done = []
        at_once = threading.Barrier(8)

        def work():
            with storage.read():
                at_once.wait(60)
            for _ in range(5):
                with storage.read() as transaction:
                    transaction.authorities.list()
                with storage.write() as transaction:
                    transaction.documents.get("n", "k")
                done.append(None)

        threads = [threading.Thread(target=work) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert len(done) == 80
        assert counted.most == 8
        assert counted.now <= 3
        deadline = time.monotonic() + 60  # the server takes a moment to end a session
        while _sessions(url) > 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)


@define
class Connections:
    """How many connections this process has open, and the most that it had at once."""

    now: int = 0
    most: int = 0
    lock: threading.Lock = field(factory=threading.Lock)

    def opened(self, *_):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def closed(self, *_):
        with self.lock:
            self.now -= 1


@contextlib.contextmanager
def opened_connections():
    """Count the connections of all pools: a server on a busy machine has sessions that the client has ended."""
    counted = Connections()
    listeners = {"connect": counted.opened, "close": counted.closed}
    for name, listener in listeners.items():
        sa.event.listen(sa.pool.Pool, name, listener)
    try:
        yield counted
    finally:
        for name, listener in listeners.items():
            sa.event.remove(sa.pool.Pool, name, listener)


def _sessions(url):
    """How many connections a PostgreSQL database has, that which counts not included."""
    with connected(url) as connection:
        count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return connection.exec_driver_sql(count).scalar_one()
