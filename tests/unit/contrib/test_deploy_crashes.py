"""A deployment that is killed at any point is completed by the next one.

Run as a program it deploys in copies of itself that are killed on the way.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from certcore import CertCore
from certcore.contrib.deploy import command as command_module
from certcore.contrib.deploy import files as deploy_module
from certcore.contrib.deploy import record as record_module
from certcore.contrib.deploy.files import DeployFiles
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.deployments import SHELL, names, serial, unfinished

#: The modules between whose steps a process is killed.
WATCHED = {module.__file__ for module in (deploy_module, command_module, record_module)}


#: More steps than a deployment has.
MOST = 400
#: Linux: who has called this is the parent of the children of its killed children.
PR_SET_CHILD_SUBREAPER = 36


@pytest.mark.slow(reason="forks a process for each of many points")
def test_a_crash_anywhere_runs_the_command_again(tmp_path):
    """A process is killed after each of its steps; the next one completes the files and runs the command for them."""
    done = subprocess.run(
        [sys.executable, __file__, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    points = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(points) > 20
    for point in points:
        assert point["served"] == point["in service"]
        assert point["files"] == ["cert.pem", "chain.pem", "fullchain.pem", "privkey.pem"]
        assert list(point["unfinished"].values()) == [[]]
        # The script notes a run only when all files were there. It may have run just before the crash as well.
        assert point["after"] == point["before"] + 1 or (point["before"] == point["after"] == 1), point
        assert point["again"] == point["after"]
    assert {point["before"] for point in points} == {0, 1}
    # Nothing was left to do for the last ones only: those that were killed when all was noted.
    assert [point["after"] for point in points if point["before"] == 1][-1] == 1


def _runs(there):
    log = Path(f"{there}.log")
    return len(log.read_text().splitlines()) if log.exists() else 0


def _kill_at(point):
    """Have this process killed when the function that is the point-th to return in the watched modules does."""
    reached = 0

    def watch(frame, event, _):
        nonlocal reached
        if event == "return" and frame.f_code.co_filename in WATCHED:
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)
            reached += 1

    sys.setprofile(watch)


def _wait_for_the_script():
    """Wait until the command that a killed process had started has ended, so that its run is counted."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _main(folder):
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    core = CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment)
    authority = core.authorities.create("test", module="scripted")
    certificate_id = core.certificates.create("shop.example", authority=authority.id).id
    core.certificates.generate_csr(certificate_id)
    core.reconcile(certificate_id)
    (event,) = [event for event in core.certificates.timeline(certificate_id) if event.kind == "installed"]
    for point in range(MOST):
        there = Path(folder) / str(point)
        script = f"test -e '{there}/privkey.pem' && echo ran >> '{there}.log'"
        target = DeployFiles(name="web", folder=str(there), command=(SHELL, "-c", script))
        child = os.fork()
        if child == 0:
            _kill_at(point)
            target.certcore_on_event(event, core.certificates)
            sys.setprofile(None)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))
        _wait_for_the_script()
        found = {"before": _runs(there)}
        for when in ("after", "again"):
            target.certcore_on_event(event, core.certificates)
            found[when] = _runs(there)
        found["served"] = serial(there, environment)
        found["in service"] = core.certificates.view(certificate_id).leaf.serial_hex
        found |= {"files": names(there), "unfinished": unfinished(there)}
        sys.stdout.write(json.dumps(found) + "\n")
    sys.exit("There was no end of points.")


if __name__ == "__main__":
    _main(*sys.argv[1:])
