"""After a fork, parent and child each have connections, locks, threads and names of their own."""

import gc
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from types import MappingProxyType

import dns.message
import dns.query
import pytest

from certcore import CertCore, Status
from certcore.adapters.sql import open_storage
from certcore.errors import CertCoreError, StorageUnavailableError
from certcore.forks import Gate
from certcore.net.http import HttpClient
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.databases import sqlite_with_tables
from support.forking import PATIENCE, busy, fork
from support.inside import inside

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

CHILDREN = 4


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request, tmp_path):
    """A database of each kind, empty."""
    if request.param == "sqlite":
        return sqlite_with_tables(tmp_path)
    return request.getfixturevalue(request.param).new_database()


@pytest.fixture
def open_core(tmp_path):
    """Opens a store with a scripted CA."""
    keyring = tmp_path / "keyring.json"
    CertCore.create_keyring(keyring)

    def open_one(url, script=(Act.WAIT_OWNER,)):
        from certcore.adapters.environment import SystemEnvironment

        ca = ScriptedCA(script, now=SystemEnvironment().now())
        return CertCore.open(url, keyring=keyring, plugins=[ca.plugin()], installed_plugins=False)

    return open_one


@pytest.fixture
def core(url, open_core):
    """A core in use: it has read and written."""
    with open_core(url) as core:
        core.authorities.create("test", module="scripted", settings={"api_key": "secret"})
        core.certificates.list()
        yield core


@pytest.fixture
def small(tmp_path, open_core):
    """The same, on SQLite alone, for what the database has no part in."""
    with open_core(sqlite_with_tables(tmp_path)) as core:
        core.authorities.create("test", module="scripted")
        yield core


def _draft(core, domain):
    return core.certificates.create(domain, authority=core.authorities.get("test").id).id


def _calls(core, who, known, calls):
    """Reads and writes in turn; returns what was wrong, and which certificates were made."""
    wrong, made = Counter(), []
    for number in range(calls):
        try:
            if number % 4 == 0:
                made.append(_draft(core, f"n{number}.{who}.example"))
            elif number % 4 == 1:
                (hit,) = core.certificates.search(f"n{number - 1}.{who}.example")
                wrong["another row by search"] += hit.id != made[-1]
            elif number % 4 == 2:
                core.certificates.edit(made[-1], wildcard=True)
            else:
                wanted = known[number % len(known)]
                wrong["another row"] += core.certificates.get(wanted).id != wanted
        except Exception as error:
            wrong[f"{type(error).__name__}: {error}"] += 1
    return +wrong, made


def _forked_calls(core, calls):
    known = [_draft(core, f"known{number}.example") for number in range(6)]
    count = iter(range(1_000_000))

    def job(number):
        one = _draft(core, f"p{next(count)}.thread{number}.example")
        assert core.certificates.get(one).id == one

    with busy(job, threads=3) as (done, errors):
        children = [fork(_calls, core, f"child{number}", known, calls) for number in range(CHILDREN)]
        wrong, _ = _calls(core, "parent", known, calls)
        assert not wrong
        results = [child.result() for child in children]
    assert not errors
    assert done
    for wrong, made in results:
        assert not wrong
        for one in made[-3:]:
            assert core.certificates.get(one).wildcard or one == made[-1]
            assert not core.certificates.verify_timeline(one).fault


def test_children_read_and_write_what_they_mean_to(core):
    """Four children and their parent, whose threads write while it forks: no wrong row, no lost call, no hang."""
    _forked_calls(core, 100)


@pytest.mark.soak
def test_children_read_and_write_for_long(core):
    """The same with 500 reads and writes of each child."""
    _forked_calls(core, 500)


def test_children_of_children_and_children_of_both(small):
    """A child forks again, and the parent after its child has ended: each has connections that work."""
    core = small
    known = [_draft(core, "known.example")]

    def generation(line, depth):
        wrong, _ = _calls(core, f"line{line}-{depth}", known, 8)
        return wrong + fork(generation, line, depth - 1).result() if depth else wrong

    for line in range(2):
        assert not fork(generation, line, 2).result()
        assert core.certificates.get(known[0]).id == known[0]


def test_a_child_that_ends_leaves_the_parents_connections_alone(core, url):
    """A child that closes its core, or just ends, ends no transaction and no connection of its parent."""
    certificate_id = _draft(core, "known.example")

    def leave():
        core.close()
        gc.collect()

    if url.startswith("sqlite"):
        fork(leave).result()
    else:  # the parent is in the middle of a transaction; SQLite's child would be refused to do anything
        with inside(core).storage.read() as transaction:
            first = transaction.certificates.get(certificate_id)
            fork(leave).result()
            assert transaction.certificates.get(certificate_id) == first
    program = (
        "import os, sys; from certcore import CertCore; core = CertCore.open(sys.argv[1], keyring=sys.argv[2]);"
        "core.authorities.list(); pid = os.fork();"
        "pid and os.waitpid(pid, 0); pid and core.authorities.list(); print('parent' if pid else 'child'); core.close()"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, url, str(inside(core).vault.keyring.path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr, sorted(done.stdout.split())) == (0, "", ["child", "parent"])
    assert core.certificates.get(certificate_id).id == certificate_id


def test_a_transaction_is_not_shared(core):
    """In the child of a thread that is inside a transaction this one is refused; the parent commits it."""
    certificate_id = _draft(core, "known.example")

    reading, writing = os.pipe()
    try:
        with inside(core).storage.write() as transaction:
            transaction.documents.put("test", "by", {"who": "both"})
            pid = os.fork()
    except StorageUnavailableError as error:
        os.write(writing, str(error).encode())
        os._exit(0)
    except BaseException as error:
        os.write(writing, repr(error).encode())
        os._exit(1)
    if pid == 0:
        os.write(writing, b"the child committed its parent's transaction")
        os._exit(2)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert b"forked during a transaction" in pipe.read()
    os.waitpid(pid, 0)
    with inside(core).storage.read() as transaction:
        assert transaction.documents.get("test", "by").value == {"who": "both"}
    assert core.certificates.get(certificate_id).id == certificate_id


def _open_store(scheme, port):
    open_storage(f"{scheme}://user:password@127.0.0.1:{port}/panel").close()


def _request(_, port):
    HttpClient(timeout=PATIENCE).request("GET", f"https://127.0.0.1:{port}/")


@pytest.mark.parametrize(
    ("connect", "scheme", "speaks_first"),
    [(_open_store, "postgresql", True), (_open_store, "mysql", False), (_request, "https", True)],
)
def test_a_fork_waits_for_a_thread_that_connects(connect, scheme, speaks_first):
    """TLS takes locks of its own for a connection; a child that inherits one of them could never connect."""
    is_over = threading.Event()

    def attempt():
        with pytest.raises(CertCoreError):  # the server ends the connection without a word
            connect(scheme, port)

    def end():
        is_over.set()
        accepted.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connecting = threading.Thread(target=attempt)
        connecting.start()
        accepted, _ = server.accept()
        if speaks_first:
            assert accepted.recv(1)  # now it is in the handshake, and not only about to begin it
        ending = threading.Timer(0.3, end)
        ending.start()
        assert fork(is_over.is_set).result()
        ending.join(PATIENCE)
        connecting.join(PATIENCE)


def _locks_of(root):
    """All locks that can be reached from an object of ours, each with the object that holds it."""
    kinds = (type(threading.Lock()), type(threading.RLock()))
    found, seen, waiting = {}, set(), [(root, root)]
    while waiting:
        value, holder = waiting.pop()
        if id(value) in seen or isinstance(value, type):
            continue
        seen.add(id(value))
        if isinstance(value, kinds):
            found[id(value)] = (value, type(holder).__name__)
            continue
        module = type(value).__module__
        if module.startswith("certcore"):
            waiting += [(each, value) for each in gc.get_referents(value)]
        elif module == "threading" or isinstance(value, dict | list | tuple | set | MappingProxyType):
            waiting += [(each, holder) for each in gc.get_referents(value)]
    return found


def test_a_lock_that_a_thread_holds_is_free_in_the_child(open_core, tmp_path):
    """Whatever lock of certcore is held at the moment of a fork, no lock that the child has is held there."""
    stores = {"sql": open_core(sqlite_with_tables(tmp_path))}
    stores["acme"] = CertCore.open(f"sqlite:///{tmp_path}/acme.db", keyring=tmp_path / "keyring.json")
    stores["memory"] = CertCore.in_memory()
    held, release = threading.Event(), threading.Event()
    roots = [[core, core.worker()] for core in stores.values()]
    server = stores["acme"].dns_server(listen=("127.0.0.1", 0), module="puq_acme")
    from certcore_puq_acme.protocol.http import Http
    from certcore_puq_acme.protocol.signed_requests import Exchange

    http = Http()
    roots.append([http, Exchange(http)])
    # The scripted CA and the environment of tests are no part of what is promised; a gate is open during a fork.
    ours = {"ScriptedCA", "FrozenEnvironment", Gate.__name__, "TechZones"}
    locks = {key: lock for key, (lock, holder) in _locks_of(roots).items() if holder not in ours}
    names = sorted({holder for _, holder in _locks_of(roots).values()} - ours)
    assert {
        "Contexts",
        "Worker",
        "Crew",
        "LeaseKeeper",
        "Outage",
        "WriteQueue",
        "Heads",
        "MemoryStorage",
        "FileKeyring",
    } <= {*names}
    assert {"PuqAcme", "HttpClient", "Exchange"} <= {*names}

    def hold():
        taken = [lock for lock in locks.values() if lock.acquire(timeout=0.5)]
        held.set()
        release.wait(60)
        for lock in taken:
            lock.release()

    def still_held():
        return sorted(holder for lock, holder in _locks_of(roots).values() if holder not in ours and _is_held(lock))

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(60)
    try:
        child = fork(still_held)
    finally:
        release.set()
        thread.join(60)
    assert child.result() == []
    server.close()
    for core in stores.values():
        core.close()


def _is_held(lock):
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True


def test_a_worker_of_the_parent_does_not_run_in_the_child(small):
    """In the child it has no threads and says why, `stop` returns, and `start` makes it run; leases are its own."""
    core = small
    worker = core.worker(threads=2, poll_interval=0.05)
    worker.start()
    owner = inside(core).engine.owner

    def in_the_child():
        before = worker.health()
        stopped = worker.stop(5)
        again = worker.health().threads
        worker.start()
        certificate_id = core.certificates.generate_csr(_draft(core, "child.example")).id
        worker.wake()
        deadline = time.monotonic() + 30
        while core.certificates.view(certificate_id).issuance.module_state is None and time.monotonic() < deadline:
            time.sleep(0.01)
        after = worker.health()
        stepped = core.certificates.view(certificate_id).issuance.module_state is not None
        return before, stopped, again, after, worker.stop(30), inside(core).engine.owner, stepped

    try:
        before, stopped, again, after, stopped_again, owner_there, stepped = fork(in_the_child).result()
        assert (before.threads, before.wanted, before.started_in_parent) == (0, 2, True)
        assert stopped
        assert again == 0
        assert (after.threads, after.started_in_parent) == (2, False)
        assert stopped_again
        assert stepped
        assert owner_there != owner
        assert inside(core).engine.owner == owner
        assert (worker.health().threads, worker.health().started_in_parent) == (2, False)
    finally:
        assert worker.stop(30)


def test_the_leases_of_a_child_are_renewed(small):
    """The thread that renews leases is started anew in the child, also when the parent's was running."""
    core = small
    leases = inside(core).leases
    certificate_id = core.certificates.generate_csr(_draft(core, "known.example")).id
    (schedule,) = inside(core).engine.claim_due(10)

    def alive():
        with leases.keep(schedule):
            return [thread.name for thread in threading.enumerate() if thread.is_alive()]

    with leases.keep(schedule):
        assert "certcore-leases" in fork(alive).result()
    assert core.certificates.get(certificate_id).status is Status.PENDING


def test_random_values_differ(small):
    """Parent and children draw different ids, keys and jitter."""
    core = small
    environment = inside(core).environment

    def draw():
        return environment.new_id(), environment.roll(), inside(core).engine.owner

    drawn = [fork(draw).result() for _ in range(3)] + [draw()]
    for values in zip(*drawn, strict=True):
        assert len(set(values)) == 4


@pytest.mark.pebble
def test_each_process_talks_to_the_ca_for_itself(panel, start_pebble):
    """Children of a process that has an account, connections and nonces at a CA issue beside it, and it goes on."""
    pebble = start_pebble(nonce_reject=0)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    panel.issued(profile, "parent.shop.test")
    ids = [panel.request(profile, f"child{number}.shop.test") for number in range(4)]
    for one in ids:
        panel.set_cnames(one)
    children = [
        fork(lambda certificate_id=certificate_id: str(panel.until_active(certificate_id).status))
        for certificate_id in ids[1:]
    ]
    assert panel.until_active(ids[0]).status is Status.ACTIVE
    assert [child.result() for child in children] == ["active"] * 3
    assert "badNonce" not in pebble.log_tail()


def test_a_dns_server_stays_with_the_parent(panel):
    """The child of a process that serves DNS serves nothing, says so, and does not keep the port from being used."""
    core = CertCore.open(panel.url, keyring=panel.keyring)
    server = core.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[panel.zone])
    reading, writing = os.pipe()
    ready, says_ready = os.pipe()

    def idle():
        os.close(writing)
        closed = "closed" in repr(server)
        server.close()
        os.write(says_ready, b"x")
        os.read(reading, 1)  # lives on until the parent has closed its server
        return closed

    child = fork(idle)
    query = dns.message.make_query("shop.test", "SOA")
    for ask in (dns.query.udp, dns.query.tcp):
        assert ask(query, "127.0.0.1", port=server.address[1], timeout=5).answer
    address = server.address
    assert os.read(ready, 1) == b"x"  # the child has let go of its copies
    server.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(address)
    for descriptor in (writing, reading, ready, says_ready):
        os.close(descriptor)
    assert child.result() is True
    core.close()
