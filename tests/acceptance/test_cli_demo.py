"""`certcore demo`: the whole life of a certificate with a real ACME server, and nothing left behind."""

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import pytest


def needs_pebble(test):
    """Mark a test that runs the ACME server."""
    missing = shutil.which("pebble") is None
    skip = pytest.mark.skipif(missing, reason="the program pebble is not installed")
    return skip(pytest.mark.pebble(test))


def _processes_about(folder):
    """Processes whose command line names something in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in command:
            found.append(command)
    return found


def _nothing_is_left(certcore):
    return not _processes_about(certcore.temporary) and not list(certcore.temporary.iterdir())


@pytest.fixture
def stopped_in_time():
    """A deadline for a started process: its pipes end, and with them whoever reads them."""
    timers = []

    def watch(process):
        timer = threading.Timer(240, process.kill)
        timer.start()
        timers.append((timer, process))
        return process

    yield watch
    for timer, process in timers:
        timer.cancel()
        if process.poll() is None:
            process.kill()
        process.communicate()


@needs_pebble
def test_the_demo_issues_renews_and_verifies_twice_in_a_row(certcore):
    """Two runs: exit code 0, a verified chain for all names, and neither processes nor files left."""
    serials = []
    for _ in range(2):
        told = json.loads(certcore("demo", "--json").stdout)
        assert told["verified"]
        assert told["status"] == "active"
        names = ["shop.demo.test", "*.shop.demo.test", "www.shop.demo.test"]
        assert told["names"] == names
        for leaf in ("leaf", "renewed_leaf"):
            assert sorted(told[leaf]["names"]) == sorted(names)
            serials.append(told[leaf]["serial_hex"])
        cnames = ["_acme-challenge.shop.demo.test", "_acme-challenge.www.shop.demo.test"]
        assert [cname["name"] for cname in told["cnames"]] == cnames
        with pytest.raises(ProcessLookupError):
            os.kill(told["started"]["pebble_pid"], 0)
        assert _nothing_is_left(certcore)
    assert len(set(serials)) == 4


@needs_pebble
def test_the_demo_tells_its_story(certcore):
    """For people: numbered steps, the CNAMEs to set, every status on the way, and the verdict."""
    story = certcore("demo").stdout
    numbers = [line.split(".")[0] for line in story.splitlines() if line[:1].isdigit() and ". " in line]
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]
    for words in ("CNAME", "draft → pending", "pending → processing", "processing → active", "Pebble's root"):
        assert words in story
    assert _nothing_is_left(certcore)


@needs_pebble
@pytest.mark.parametrize(
    ("stop", "heading"),
    [(signal.SIGINT, "2."), (signal.SIGINT, "5."), (signal.SIGTERM, "1."), (signal.SIGTERM, "3.")],
)
def test_an_interrupted_demo_leaves_nothing(certcore, stopped_in_time, stop, heading):
    """Ctrl-C or SIGTERM at any step: exit code 130, no traceback, neither processes nor files left."""
    # A test run may itself run with Ctrl-C switched off, which its children inherit.
    prelude = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = stopped_in_time(certcore.start("demo", prelude=prelude))
    assert any(line.startswith(heading) for line in process.stdout)
    process.send_signal(stop)
    said, complaints = process.communicate()
    assert process.returncode == 130, complaints
    assert "Traceback" not in said + complaints
    assert _nothing_is_left(certcore)


@needs_pebble
@pytest.mark.parametrize(
    ("module", "name", "times"), [("tempfile", "mkdtemp", 1), ("tempfile", "mkdtemp", 2), ("subprocess", "Popen", 1)]
)
def test_a_demo_interrupted_while_it_makes_something_leaves_nothing(certcore, stopped_in_time, module, name, times):
    """SIGTERM right after a folder or a process came to be, before anybody knows that it must be cleaned up."""
    prelude = f"""
import os, signal, {module}
make, left = {module}.{name}, [{times}]
def making(*arguments, **more):
    made = make(*arguments, **more)
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGTERM)
    return made
{module}.{name} = making
"""
    process = stopped_in_time(certcore.start("demo", prelude=prelude))
    _, complaints = process.communicate()
    assert process.returncode == 130, complaints
    assert _nothing_is_left(certcore)


def test_without_pebble_the_demo_says_what_to_install(certcore):
    """A missing server is a sentence with the package to install, not a traceback."""
    error = certcore("demo", "--json", env={"PATH": "/nowhere"}, expect=1)
    assert "pebble" in json.loads(error.stdout)["error"]["advice"]
    assert _nothing_is_left(certcore)
