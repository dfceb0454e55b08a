"""No crash hurts: killed, or cut off from the database, at every point of the way, every certificate becomes active."""

import contextlib
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from certcore import Status
from certcore.errors import StorageError
from certcore.testing.pebble import Pebble

pytestmark = pytest.mark.pebble
#: More points than a certificate's way has.
MOST = 80
#: What a lease lasts, and a little more.
PAST_THE_LEASE = timedelta(seconds=61)


@pytest.fixture
def ca(crashed):
    """Pebble, without refused nonces so that every way has the same points."""
    with Pebble.start(dns_server=crashed.dns_address, nonce_reject=0, authz_reuse=0) as pebble:
        yield pebble


@pytest.fixture
def crashed(request, tmp_path, integration_panel):
    """A panel on the database that the test names."""
    kind = request.param
    database = "" if kind == "sqlite" else request.getfixturevalue(kind).new_database()
    with integration_panel(tmp_path, database) as panel:
        yield panel


def on(*kinds):
    params = [pytest.param(kind, marks=pytest.mark.xdist_group("crashes")) for kind in kinds]
    return pytest.mark.parametrize("crashed", params, indirect=True)


def _draft(panel, ca, number):
    """A draft with a CA profile of its own, so that its way begins with the account; its CNAME is set already."""
    authority = panel.profile(ca.directory_url, ca.roots_pem, name=f"ca {number}", max_orders=1000)
    certificate_id = panel.core.certificates.create(f"c{number}.shop.test", authority=authority.id).id
    panel.set_cnames(certificate_id)
    return certificate_id


def _finish(panel, certificate_id):
    """What a restarted process does with it."""
    if panel.core.certificates.get(certificate_id).status is Status.DRAFT:
        panel.core.certificates.generate_csr(certificate_id)  # the user saw an error, and tries again
    panel.until_active(certificate_id)
    deadline = time.monotonic() + 120
    while any(issuance.needs_clean_up for issuance in panel.core.certificates.issuances(certificate_id)):
        assert time.monotonic() < deadline
        panel.core.reconcile(certificate_id)
        panel.environment.skip(timedelta(seconds=1))


def _said(ca, words):
    return sum(words in line for line in ca.log_path.read_text(errors="replace").splitlines())


def _check(panel, ca, ids):
    """Every certificate active, issued once and told of once; no TXT value is left; the records are intact."""
    assert {panel.core.certificates.get(certificate_id).status for certificate_id in ids} == {Status.ACTIVE}
    assert _said(ca, "Issued certificate serial") == len(ids)
    assert panel.txt_values() == []
    for one in ids:
        kinds = [event.kind for event in panel.core.certificates.timeline(one)]
        assert kinds.count("installed") == 1
        assert not {"failed", "attempt_failed"} & set(kinds), "a crash of ours is not the CA's refusal"
        assert panel.core.certificates.verify_timeline(one).intact


@pytest.mark.slow(reason="kills a process at each of many points")
@pytest.mark.timeout(1200)
@on("sqlite", "postgresql")
def test_killed_at_every_point(crashed, ca, crashing):
    """SIGKILL after every commit and after every exchange with the CA; a new process brings each to active."""
    ids = []
    for point in range(1, MOST):
        ids.append(_draft(crashed, ca, point))
        known = {"url": crashed.url, "keyring": str(crashed.keyring)}
        ended = crashing(**known, certificate=ids[-1], point=point)
        if not ended["killed"]:
            assert ended["exit"] == 0
            break
    assert 20 < point < MOST - 1, "the way has fewer points than it had, or it never came to an end"
    crashed.environment.skip(PAST_THE_LEASE)
    crashed.restart()
    for one in ids:
        _finish(crashed, one)
    _check(crashed, ca, ids)
    counted = sum(
        len(issuance.engine_state.orders)
        for certificate_id in ids
        for issuance in crashed.core.certificates.issuances(certificate_id)
    )
    assert _said(ca, "Added order") > len(ids), "no kill came between an order and its answer"
    assert counted >= _said(ca, "Added order"), "a crash has lost an order's count"


@pytest.mark.slow(reason="kills a process at each of many points")
@pytest.mark.timeout(1200)
@on("sqlite")
def test_killed_at_every_point_of_steps_that_are_not_stored(crashed, ca, crashing):
    """A worker's process, killed between steps that it had not stored yet: they are taken again, without any harm."""
    ids = []
    for point in range(1, MOST):
        ids.append(_draft(crashed, ca, point))
        known = {"url": crashed.url, "keyring": str(crashed.keyring)}
        ended = crashing(**known, certificate=ids[-1], point=point, in_hand=True)
        if not ended["killed"]:
            assert ended["exit"] == 0
            break
    assert 10 < point < MOST - 1, "the way has fewer points than it had, or it never came to an end"
    crashed.environment.skip(PAST_THE_LEASE)
    crashed.restart()
    for one in ids:
        _finish(crashed, one)
    _check(crashed, ca, ids)


class Cutter:
    """Ends all of a database's connections at one of the commits of this thread: before it, or after it.

    "unheard" ends them after the commit, and lets the commit fail: the server has committed, and nobody heard of it.
    """

    def __init__(self, panel):
        self.panel, self.reached, self.point, self.when = panel, 0, 0, ""
        self.admin = sa.create_engine(panel.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)

    @contextlib.contextmanager
    def at(self, point, when):
        self.reached, self.point, self.when = 0, point, when
        commit, working = sa.Connection.commit, threading.get_ident()

        def watched(connection):
            if threading.get_ident() != working:
                commit(connection)
                return
            if when == "before":
                self._arrive()
            commit(connection)
            if when != "before":
                self._arrive()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sa.Connection, "commit", watched)
            yield

    def _arrive(self):
        self.reached += 1
        if self.reached == self.point:
            self._cut()
            if self.when == "unheard":
                said = Exception("server closed the connection unexpectedly")
                raise sa.exc.OperationalError("COMMIT", None, said, connection_invalidated=True)

    def _cut(self):
        with self.admin.connect() as connection:
            if self.admin.dialect.name == "postgresql":
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                return
            own = connection.exec_driver_sql("SELECT connection_id()").scalar_one()
            others = "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> %s"
            for number in connection.exec_driver_sql(others, (own,)).scalars().all():
                with contextlib.suppress(sa.exc.DBAPIError):  # it ended by itself
                    connection.exec_driver_sql(f"KILL CONNECTION {number}")


@pytest.mark.slow(reason="cuts a connection at each of many points")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("when", ["before", "after", "unheard"])
@on("postgresql")
def test_cut_off_at_every_commit(crashed, ca, when):
    """The database connection is cut at every commit, before or after it: the same process goes on and finishes."""
    cutter = Cutter(crashed)
    ids, failures = [], 0
    for point in range(1, MOST):
        crashed.restart()  # with connections that work: the last point may have been the end of the way before
        certificate_id = _draft(crashed, ca, point)
        ids.append(certificate_id)
        with cutter.at(point, when):
            deadline = time.monotonic() + 120
            while True:
                assert time.monotonic() < deadline
                try:
                    _finish(crashed, certificate_id)
                    break
                except StorageError:
                    failures += 1
                    if when == "unheard":
                        crashed.environment.skip(PAST_THE_LEASE)  # a lease that nobody heard of runs out
        if cutter.reached < point:
            break
    assert 8 < point < MOST - 1
    assert failures > 0
    _check(crashed, ca, ids)
