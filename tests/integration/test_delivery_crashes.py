"""A process that is killed while it tells observers costs nobody an event: another one goes on where it was."""

from datetime import timedelta

import pytest

from certcore import CertCore
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import ScriptedCA
from support.crashing import Observer
from support.databases import sqlite_with_tables
from support.inside import inside

pytestmark = pytest.mark.integration
#: More points than telling two observers of a few events has.
MOST = 60
PAST_THE_LEASE = timedelta(seconds=61)
NAMES = ("first", "second")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    """A database of its own."""
    return (
        sqlite_with_tables(tmp_path)
        if request.param == "sqlite"
        else request.getfixturevalue("postgresql").new_database()
    )


def _numbers(file, name, certificate_id):
    """What an observer was told of a certificate, in order."""
    lines = [line.split() for line in file.read_text().splitlines()]
    return [int(number) for observer, told, number in lines if (observer, told) == (name, certificate_id)]


def _restarts(numbers):
    """How often it went on with another number than the next one."""
    return sum(after != before + 1 for before, after in zip([0, *numbers], numbers, strict=False))


def test_killed_at_every_point_of_a_delivery(url, tmp_path, crashing):
    """After every commit and event: each observer gets each event of each certificate, in order, and few twice."""
    file, keyring = tmp_path / "told", tmp_path / "keyring.json"
    file.touch()
    CertCore.create_keyring(keyring)
    environment = FrozenEnvironment()
    plugins = [ScriptedCA(now=environment.now()).plugin(), *(Observer(name, file) for name in NAMES)]
    repeated = 0
    with CertCore.open(url, keyring=keyring, plugins=plugins, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted")
        for point in range(1, MOST):
            ids = [core.certificates.create(f"{name}{point}.example", authority=authority.id).id for name in "ab"]
            for certificate_id in ids:
                core.certificates.edit(certificate_id, wildcard=True)
                core.certificates.edit(certificate_id, wildcard=False)
            core.certificates.delete(ids[1])
            at = environment.now().isoformat()
            ended = crashing(url=url, keyring=str(keyring), point=point, told=str(file), at=at)
            environment.advance(PAST_THE_LEASE)
            core.deliver_events()
            assert not inside(core).outbox.has_work()
            for certificate_id in ids:
                length = core.certificates.deliveries(certificate_id).length
                assert core.certificates.deliveries(certificate_id).behind == {}
                for name in NAMES:
                    numbers = _numbers(file, name, certificate_id)
                    assert sorted(set(numbers)) == list(range(1, length + 1))
                    assert _restarts(numbers) <= 1
                    repeated += len(numbers) > length
            if not ended["killed"]:
                assert ended["exit"] == 0
                break
    assert 15 < point < MOST - 1, "a delivery has fewer points than it had, or it never came to an end"
    assert repeated > 0, "no kill came between an event and its being stored"
