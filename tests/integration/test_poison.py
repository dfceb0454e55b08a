"""Certificates whose module throws, in several processes on one database: they cost nobody a thread."""

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from certcore import CertCore
from support.poisonous import PoisonousCA

SCRIPT = Path(__file__).parents[1] / "support" / "poisonous.py"


def poisoned(url, folder, poisons, seconds, healthy=60):
    """Run three processes for so long, with more certificates all the time; returns what they say at the end."""
    keyring = folder / "keyring.json"
    CertCore.create_keyring(keyring)
    ca = PoisonousCA()
    with CertCore.open(url, keyring=keyring, plugins=[ca.plugin()], installed_plugins=False) as core:
        authority = core.authorities.create("test", module="scripted").id
        requested = [f"poison{number}.example" for number in range(poisons)]
        requested += [f"healthy{number}.example" for number in range(healthy)]
        ids = {name: core.certificates.create(name, authority=authority).id for name in requested}
        for one in ids.values():
            core.certificates.generate_csr(one)
        command = [sys.executable, str(SCRIPT), url, str(keyring), str(seconds)]
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(3)]
        pause, names = threading.Event(), iter(range(1000))
        while not pause.wait(2) and all(one.poll() is None for one in running):
            for name, one in ids.items():  # the poisonous ones come again and again
                if name.startswith("poison") and core.certificates.view(one).schedule.due_at is not None:
                    core.certificates.check_now(one)
            late = f"late{next(names)}.example"
            ids[late] = core.certificates.create(late, authority=authority).id
            core.certificates.generate_csr(ids[late])
        said = [json.loads(one.communicate(timeout=120)[0]) for one in running]
        states = {name: core.certificates.get(one) for name, one in ids.items()}
    return said, states


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("poisons", [2, 6, 20])
def test_poison_in_three_processes_for_five_minutes(postgresql, tmp_path, poisons):
    """Every thread is alive in every process, every healthy certificate is active, every other one has its problem."""
    said, states = poisoned(postgresql.new_database(), tmp_path, poisons, 300)
    sys.stdout.write(json.dumps(said) + "\n")  # for `pytest -s`
    check(said, states)


def check(said, states):
    assert all((one["threads"], one["alive"], one["replaced"]) == (4, 4, 0) for one in said), said
    late = [one for name, one in states.items() if name.startswith("late")]
    healthy = [one for name, one in states.items() if name.startswith("healthy")] + late[:-5]
    assert {str(one.status) for one in healthy} == {"active"}
    assert all(one.problem is not None for name, one in states.items() if name.startswith("poison"))
