"""The programs of the zoo: each runs in a network namespace that has nothing but the servers which it starts."""

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from certcore.testing.server import ProgramMissingError, find_program

_TESTS = Path(__file__).parents[2]
_PROGRAMS = ("visit", "repairs", "documented", "losses")
_NEEDED = {
    "named": "bind9",
    "tsig-keygen": "bind9",
    "nsd": "nsd",
    "knotd": "knot",
    "keymgr": "knot",
    "pdns_server": "pdns-server pdns-backend-bind pdns-backend-sqlite3",
    "nginx": "nginx",
    "unbound": "unbound",
    "pdns_recursor": "pdns-recursor",
    "pebble": "pebble",
    "unshare": "util-linux",
    "ip": "iproute2",
}


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """What a program of the zoo writes. Mostly they wait for servers that do not answer: they run side by side."""
    try:
        for name, package in _NEEDED.items():
            find_program(name, package)
    except ProgramMissingError as error:
        pytest.skip(f"{error.message} {error.advice}")
    folder = tmp_path_factory.mktemp("zoo")
    namespace = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--net"]
    environment = {**os.environ, "PYTHONPATH": str(_TESTS)}
    with contextlib.ExitStack() as running:
        processes = {}
        for program in _PROGRAMS:
            arguments = [*namespace, sys.executable, "-m", f"support.dns_zoo.{program}", str(folder / program)]
            log = running.enter_context((folder / f"{program}.log").open("wb"))
            process = subprocess.Popen(arguments, env=environment, stdout=log, stderr=subprocess.STDOUT)
            processes[program] = running.enter_context(process)
            running.callback(process.terminate)

        def of(program):
            code = processes[program].wait(timeout=400)
            assert code == 0, (folder / f"{program}.log").read_text()[-4000:]
            return json.loads((folder / program).read_text())

        yield of
