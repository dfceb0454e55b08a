"""The benchmarks run to their end; what they measure is for people, and nothing here looks at a clock."""

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
    """On SQLite, with a few rows; the ratio of the two fleets is told."""
    assert "claim ratio" in _run(
        "claim.py", "--small", "6000", "--large", "7000", "--claims", "2", "--databases", "sqlite"
    )


@pytest.mark.pebble
def test_issuance_is_measured():
    """A few certificates from Pebble, by certcore and by the bare loop."""
    assert "ratio" in _run("issuance.py", "--certificates", "8", "--rounds", "1")


def test_a_rested_worker_is_measured():
    """On SQLite, with short steps; the ratios of a fresh worker and of a rested one are told."""
    said = _run("rested.py", "--steps", "8", "--seconds", "0.05", "--threads", "4", "--databases", "sqlite")
    assert said.count("ratio") == 2
