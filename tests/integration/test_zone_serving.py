"""The DNS server in a process that has no keyring, only reads the database, and is not root."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest
import sqlalchemy as sa

from certcore import CertCore, serve_zones
from certcore.adapters.sql import open_storage
from certcore.errors import (
    CertCoreError,
    InvalidInputError,
    StorageError,
    StorageReadOnlyError,
    StorageUnavailableError,
)
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.records import TechZoneRecords
from support.inside import inside

HOST = "127.0.0.1"
NAME = "label.acme.panel.test"
#: What the documented grants of docs/how-to/run-the-tech-zone.md permit.
TABLES = ("certcore_alembic_version", "certcore_authorities", "certcore_documents")
PATIENCE = 30.0


def ask(address, name=NAME, rdtype="TXT"):
    return dns.query.udp(dns.message.make_query(name, rdtype), address[0], port=address[1], timeout=PATIENCE)


def texts(message):
    return {b"".join(record.strings).decode() for rrset in message.answer for record in rrset}


@contextlib.contextmanager
def panel(url, keyring):
    """A store with a CA profile that has a secret, and a value in its tech zone."""
    if not keyring.exists():
        CertCore.create_keyring(keyring)
    with CertCore.open(url, keyring=keyring) as core:
        settings = {"ca": "custom", "directory_url": "https://127.0.0.1:1/dir", "terms_agreed": True}
        settings |= {"tech_zone": "acme.panel.test", "eab_kid": "kid", "eab_hmac_key": "A" * 43}
        core.authorities.create("ca", module="puq_acme", settings=settings)
        module = core.authorities.modules()["puq_acme"]
        records = TechZoneRecords(inside(core).contexts.documents(module))
        records.add(NAME, "one", "i1", datetime.now(UTC))
        yield records


def test_zones_are_served_without_the_keyring(tmp_path):
    """What another process stores is served, although this one can open no secret."""
    keyring = tmp_path / "keyring.json"
    url = f"sqlite:///{tmp_path}/certcore.db"
    with panel(url, keyring) as records:
        keyring.unlink()
        with contextlib.closing(serve_zones(url, listen=(HOST, 0))) as server:
            assert texts(ask(server.address)) == {"one"}
            records.add(NAME, "two", "i2", datetime.now(UTC))
            assert texts(ask(server.address)) == {"one", "two"}


def test_the_first_zone_is_served_at_once(tmp_path):
    """However short before it was made the server has found that there was none: no resolver is refused then."""
    keyring, url = tmp_path / "keyring.json", f"sqlite:///{tmp_path}/certcore.db"
    CertCore.create_keyring(keyring)
    CertCore.open(url, keyring=keyring).close()
    with contextlib.closing(serve_zones(url, listen=(HOST, 0))) as server:
        assert ask(server.address).rcode() == dns.rcode.REFUSED
        with panel(url, keyring):
            assert texts(ask(server.address)) == {"one"}


def test_a_store_that_is_opened_for_reading_is_not_written_to(tmp_path):
    """Whoever takes the DNS server over cannot change what the workers believe."""
    url = f"sqlite:///{tmp_path}/with space.db"
    with panel(url, tmp_path / "keyring.json"), contextlib.closing(open_storage(url, read_only=True)) as storage:
        with storage.read() as transaction:
            (authority,) = transaction.authorities.list()
        with storage.read() as transaction, pytest.raises(sa.exc.OperationalError, match="readonly database"):
            transaction.authorities.delete(authority.id)
        with pytest.raises(StorageError, match="for reading"), storage.write():
            pass


def test_a_database_file_that_was_replaced_is_served(tmp_path):
    """After a restore the values of the restored file are served, not those of the one that was removed."""
    url = f"sqlite:///{tmp_path}/certcore.db"
    keyring = tmp_path / "keyring.json"
    with panel(url, keyring) as records:
        pass
    shutil.copy(tmp_path / "certcore.db", tmp_path / "backup.db")
    with CertCore.open(url, keyring=keyring) as core:
        records = TechZoneRecords(inside(core).contexts.documents(core.authorities.modules()["puq_acme"]))
        records.add(NAME, "late", "i2", datetime.now(UTC))
    with contextlib.closing(serve_zones(url, listen=(HOST, 0))) as server:
        assert texts(ask(server.address)) == {"one", "late"}
        (tmp_path / "backup.db").replace(tmp_path / "certcore.db")
        assert texts(ask(server.address)) == {"one"}
        (tmp_path / "certcore.db").unlink()
        assert ask(server.address).rcode() == dns.rcode.SERVFAIL


def test_nothing_is_written_to_a_database_file_that_was_removed(tmp_path):
    """What a worker would write to it is lost: it says so, and makes no empty database in its place."""
    path = tmp_path / "certcore.db"
    CertCore.create_keyring(tmp_path / "keyring.json")
    with CertCore.open(f"sqlite:///{path}", keyring=tmp_path / "keyring.json") as core:
        authority = core.authorities.create("ca", module="puq_acme", settings={"tech_zone": "acme.panel.test"}).id
        core.certificates.create("first.example", authority=authority)
        shutil.copy(path, tmp_path / "backup.db")
        (tmp_path / "backup.db").replace(path)
        with pytest.raises(StorageUnavailableError, match="was replaced"):
            core.certificates.create("second.example", authority=authority)
        path.unlink()
        with pytest.raises(StorageUnavailableError, match="no longer exists"):
            core.certificates.create("third.example", authority=authority)
        assert not path.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"", "no tables of certcore")],
)
def test_a_database_without_tables_is_refused_and_left_alone(tmp_path, content, message):
    """It is not created or migrated by a process that must not write."""
    path = tmp_path / "certcore.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageUnavailableError, match=message):
        serve_zones(f"sqlite:///{path}", listen=(HOST, 0))
    assert path.exists() == (content is not None)
    assert not path.exists() or path.read_bytes() == content


def reader_of(url, statements):
    """A login that may do what the statements permit, as the URL of the same database."""
    engine = sa.create_engine(sa.make_url(url), isolation_level="AUTOCOMMIT")
    with contextlib.closing(engine.connect()) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
    return sa.make_url(url).set(username="certcore_dns").render_as_string(hide_password=False)


def assert_serves_with_least_rights(url, reader, keyring):
    with panel(url, keyring) as records:
        with contextlib.closing(serve_zones(reader, listen=(HOST, 0))) as server:
            assert texts(ask(server.address)) == {"one"}
            records.add(NAME, "two", "i2", datetime.now(UTC))
            # A server is asked for changes every 20 ms, and not for each query.
            deadline = time.monotonic() + PATIENCE
            while texts(ask(server.address)) != {"one", "two"}:
                assert time.monotonic() < deadline
        with contextlib.closing(open_storage(reader, read_only=True)) as storage:
            with pytest.raises(StorageError), storage.read() as transaction:
                transaction.secrets.key_ids()
            with pytest.raises(StorageError), storage.read() as transaction:
                transaction.documents.put("puq_acme", "txt/x", {})


@pytest.mark.integration
def test_a_login_that_may_read_three_tables_is_enough_on_postgresql(postgresql, tmp_path):
    """As the how-to shows it: SELECT on three tables, and nothing on the secrets."""
    url = postgresql.new_database()
    open_storage(url).close()
    statements = ["DROP ROLE IF EXISTS certcore_dns", "CREATE ROLE certcore_dns LOGIN"]
    statements.append(f"GRANT SELECT ON {', '.join(TABLES)} TO certcore_dns")
    assert_serves_with_least_rights(url, reader_of(url, statements), tmp_path / "keyring.json")


@pytest.mark.integration
def test_a_login_that_may_read_three_tables_is_enough_on_mariadb(mariadb, tmp_path):
    """As the how-to shows it: SELECT on three tables, and nothing on the secrets."""
    url = mariadb.new_database()
    open_storage(url).close()
    statements = ["CREATE OR REPLACE USER certcore_dns@'%%'"]
    statements += [f"GRANT SELECT ON {table} TO certcore_dns@'%%'" for table in TABLES]
    assert_serves_with_least_rights(url, reader_of(url, statements), tmp_path / "keyring.json")


def backends(url):
    """The processes of a PostgreSQL server that serve a database."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return list(connection.exec_driver_sql(query).scalars())


@pytest.mark.integration
@pytest.mark.skipif(os.geteuid() != 0, reason="the server's processes belong to another user")
def test_a_frozen_postgresql_ends_in_servfail_and_other_zones_go_on(postgresql, tmp_path):
    """A server that is stopped, but not closed, keeps a query waiting for seconds at most, and no other zone."""
    url = postgresql.new_database()
    other = MemoryZone("other.test")
    other.set("x.other.test", "TXT", "here")
    with (
        panel(url, tmp_path / "keyring.json"),
        contextlib.closing(serve_zones(url, listen=(HOST, 0), also=[other])) as server,
        contextlib.ExitStack() as thawing,
    ):
        assert texts(ask(server.address)) == {"one"}
        for pid in backends(url):
            os.kill(pid, signal.SIGSTOP)
            thawing.callback(os.kill, pid, signal.SIGCONT)
        deadline = time.monotonic() + PATIENCE / 3  # the statement itself would wait for ever
        # A server is asked for changes every 20 ms; what was read just before the freeze is still answered.
        while ask(server.address).rcode() != dns.rcode.SERVFAIL:
            assert time.monotonic() < deadline
        for _ in range(20):
            assert texts(ask(server.address, "x.other.test")) == {"here"}
        thawing.close()
        deadline = time.monotonic() + PATIENCE
        while ask(server.address).rcode() == dns.rcode.SERVFAIL:
            assert time.monotonic() < deadline
        assert texts(ask(server.address)) == {"one"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_root_is_given_up_before_the_database_is_opened():
    """Every thread of the process belongs to the other user, who may only read the files."""
    with tempfile.TemporaryDirectory(prefix="certcore-zones-") as folder, contextlib.ExitStack() as store:
        Path(folder).chmod(0o755)
        url = f"sqlite:///{folder}/certcore.db"
        store.enter_context(panel(url, Path(folder) / "keyring.json"))
        for path in Path(folder).glob("certcore.db*"):
            path.chmod(0o644)
        command = [sys.executable, "-m", "certcore", "dns", "serve", "--listen", f"{HOST}:0", "--user", "nobody"]
        process = subprocess.Popen(
            [*command, "--json", "--database", url], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            said = "".join(iter(process.stdout.readline, "}\n"))
            port = int(said.partition('"port": ')[2].partition(",")[0])
            assert texts(ask((HOST, port))) == {"one"}
            for task in Path(f"/proc/{process.pid}/task").iterdir():
                fields = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
                assert "0" not in fields["Uid"].split() + fields["Gid"].split() + fields["Groups"].split()
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


@pytest.mark.parametrize("user", ["no-such-user", "root", "nobody:no-such-group", "0", "nobody:root", "nobody:0"])
def test_a_user_who_cannot_be_taken_is_said_so(tmp_path, user):
    """A name that is wrong ends the command, and does not leave root serving."""
    from certcore.cli.privileges import become

    with (
        panel(f"sqlite:///{tmp_path}/certcore.db", tmp_path / "keyring.json"),
        pytest.raises(InvalidInputError) as refused,
    ):
        serve_zones(f"sqlite:///{tmp_path}/certcore.db", listen=(HOST, 0), before_serving=lambda: become(user))
    assert refused.value.field == "--user"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(
    "before",
    [
        "os.setegid(pwd.getpwnam('nobody').pw_gid); os.seteuid(pwd.getpwnam('nobody').pw_uid)",
        "assert ctypes.CDLL(None).prctl(28, 4) == 0",  # PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP
    ],
    ids=["saved ids", "capabilities"],
)
def test_root_that_can_be_had_again_was_not_given_up(before):
    """Somebody who takes the DNS server over must not get root back: it does not serve then."""
    code = f"import ctypes, os, pwd\nfrom certcore.cli.privileges import become\n{before}\nbecome('nobody')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert "CommandError: This process c" in ended.stderr


def test_a_module_that_does_not_open_the_store_is_refused(tmp_path):
    """A server that would never answer is not left running."""
    from certcore import hookimpl
    from certcore.testing.scripted_ca import ScriptedCA

    closed = []

    class Server:
        address = (HOST, 1)

        def close(self):
            closed.append(True)

    class Careless(ScriptedCA):
        name = "careless"

        def dns_server(self, **_):
            return Server()

    class Plugin:
        @hookimpl
        def certcore_ca_modules(self):
            return [Careless(now=datetime.now(UTC))]

    url = f"sqlite:///{tmp_path}/certcore.db"
    with panel(url, tmp_path / "keyring.json"), pytest.raises(CertCoreError, match="before_serving"):
        serve_zones(url, listen=(HOST, 0), module="careless", plugins=[Plugin()])
    assert closed


def test_the_server_of_any_module_has_every_call_of_its_documents(tmp_path):
    """A module reads its documents as in a worker, several at once too; what would write is refused in words."""
    from certcore import hookimpl
    from certcore.testing.scripted_ca import ScriptedCA

    answers = {}

    class Server:
        address = (HOST, 1)

        def close(self):
            pass

    class Reading(ScriptedCA):
        name = "reading"

        def dns_server(self, *, documents, before_serving, **_):
            before_serving()
            documents.refresh()
            answers["read"] = documents.get("a"), documents.get_many(["a"]), list(documents.list())
            for write in (
                lambda: documents.with_outcome.put("a", {}),
                lambda: documents.put("a", {}),
                lambda: documents.put_many({"a": {}}),
                lambda: documents.delete("a"),
                lambda: documents.seal("a", b"x"),
                lambda: documents.unseal("a"),
                lambda: documents.delete_secret("a"),
            ):
                with pytest.raises(StorageReadOnlyError, match="only serves DNS zones"):
                    write()
            return Server()

    class Plugin:
        @hookimpl
        def certcore_ca_modules(self):
            return [Reading(now=datetime.now(UTC))]

    url = f"sqlite:///{tmp_path}/certcore.db"
    with panel(url, tmp_path / "keyring.json"):
        serve_zones(url, listen=(HOST, 0), module="reading", plugins=[Plugin()]).close()
    assert answers["read"] == (None, {}, [])
