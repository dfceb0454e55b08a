"""The benchmarks run to their end; what they measure is for people, and nothing here looks at a clock."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _run(name, *arguments):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / name, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_claims_and_pages_are_measured():
    """On SQLite, with a few rows, the benchmark prints the ratio of the two fleets."""
    assert "claim ratio" in _run(
        "claim.py", "--small", "6000", "--large", "7000", "--claims", "2", "--databases", "sqlite"
    )


@pytest.mark.pebble
def test_issuance_is_measured():
    """A few certificates from Pebble, by certcore and by the bare loop."""
    assert "ratio" in _run("issuance.py", "--certificates", "8", "--rounds", "1")


def test_the_pages_of_a_panel_are_measured():
    """On SQLite, with a few certificates, the benchmark prints the ratio of each call in the two fleets."""
    said = _run("panel.py", "--certificates", "1000", "2000", "--calls", "2", "--databases", "sqlite")
    assert said.count("ratio of p95") == said.count("median") // 4 > 15


def test_a_rested_worker_is_measured():
    """On SQLite, with short steps, the benchmark prints the ratios of a fresh and a rested worker."""
    said = _run("rested.py", "--steps", "8", "--seconds", "0.05", "--threads", "4", "--databases", "sqlite")
    assert said.count("ratio") == 2


@pytest.mark.pebble
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_a_certificate_costs_the_database(database):
    """From its CSR to active, with a place in the rate limits: at most 6 commits, 10 reads and 45 statements."""
    said = _run("steps.py", "--certificates", "2", "--databases", database)
    # The least of both: when the CA takes longer to validate, the order is looked at again.
    costs = {name: int(least) for name, least in re.findall(r"(statements|commits|reads) +(\d+) to \d+", said)}
    assert costs.keys() == {"statements", "commits", "reads"}
    assert costs["commits"] <= 6
    assert costs["reads"] <= 10
    assert costs["statements"] <= 45


def test_the_engine_alone_is_measured():
    """With a few certificates in one process and in two, the benchmark prints the rates and their ratio."""
    said = _run("engine.py", "--certificates", "4", "--processes", "1", "2", "--databases", "sqlite")
    assert said.count("/s") == 2
