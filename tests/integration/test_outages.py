"""A database that goes away is told once, and once that it is back, however many threads meet it."""

import logging
import time

import sqlalchemy as sa

from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.hookspecs import hookimpl
from certcore.ports.ca_module import Waiting, WaitingFor
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside
from support.leases import expire_leases

PATIENCE = 60


class BusyCA(ScriptedCA):
    """Is at work at each step, and wants the next one at once, until the test has seen enough."""

    enough = False

    def advance(self, work):
        step = super().advance(work)
        if self.enough or not isinstance(step, Waiting):
            return step
        now = work.environment.now()
        return Waiting(state={}, look_again=now, waiting_for=WaitingFor.AUTHORITY, needs_clean_up=True)


class Observer:
    """Hears of everything."""

    @hookimpl
    def certcore_on_event(self, event):
        assert event.certificate_id


def until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def set_connections(server, url, allowed):
    """Let clients in, or throw them all out and refuse them, as a server does that is shutting down."""
    name = sa.make_url(url).database
    engine = sa.create_engine(sa.make_url(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {'true' if allowed else 'false'}")
        if not allowed:
            ends = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            connection.exec_driver_sql(ends, (name,))
    engine.dispose()


def _told(caplog):
    """What the log says besides the transitions of certificates."""
    return [
        record for record in caplog.records if record.name.startswith("certcore") and record.name != "certcore.events"
    ]


def test_an_outage_is_two_lines(postgresql, tmp_path, caplog):
    """Eight threads, the outbox and the leases at work: one line, silence, one line, and all goes on."""
    caplog.set_level(logging.INFO, logger="certcore")
    url = postgresql.new_database()
    CertCore.create_keyring(tmp_path / "keyring.json")
    ca = BusyCA([Act.WORK], now=SystemEnvironment().now())
    with CertCore.open(
        url,
        keyring=tmp_path / "keyring.json",
        plugins=[ca.plugin(), Observer()],
        installed_plugins=False,
    ) as core:
        leases = inside(core).leases
        leases.renew_after, leases.outage.calm = 0.1, 0.5
        authority = core.authorities.create("test", module="scripted")
        ids = [core.certificates.create(f"d{number}.example", authority=authority.id).id for number in range(12)]
        for one in ids:
            core.certificates.generate_csr(one)
        worker = core.worker(threads=8, in_flight=12, poll_interval=0.1)
        worker.start()
        until(lambda: ca.calls > 50)
        caplog.clear()  # a busy machine may be late for a lock before the outage, which is told as well
        set_connections(postgresql, url, allowed=False)
        until(lambda: leases.outage.lasts)
        until(lambda: worker.health().silent > 3)
        told = _told(caplog)
        assert [record.levelname for record in told] == ["ERROR"], caplog.text
        assert "cannot be used" in told[0].getMessage()
        set_connections(postgresql, url, allowed=True)
        until(lambda: not leases.outage.lasts)
        expire_leases(url)
        ca.enough, ca.script = True, (Act.ISSUE,)
        for one in ids:
            core.certificates.check_now(one)
        until(lambda: {core.certificates.get(certificate_id).status for certificate_id in ids} == {Status.ACTIVE})
        assert worker.stop(PATIENCE)
    told = _told(caplog)
    assert [record.levelname for record in told] == ["ERROR", "WARNING"], caplog.text
    assert "answers again" in told[1].getMessage()
    assert not any(record.exc_info for record in told)
