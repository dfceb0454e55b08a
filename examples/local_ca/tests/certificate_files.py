"""Checks of certificates by other programs, for the tests of this package: openssl and pkilint."""

import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.serialization import Encoding


def written(folder, name, *certificates):
    """The certificates, or a CRL, as one PEM file."""
    path = folder / name
    path.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in certificates))
    return path


def openssl(*arguments):
    """The exit status of a call of openssl, and all that it printed."""
    run = subprocess.run(
        ["openssl", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    return run.returncode, run.stdout + run.stderr


def verified(folder, leaf, intermediates, root, *options):
    """The result of ``openssl verify`` for a leaf with its chain."""
    files = (
        written(folder, "root.pem", root),
        written(folder, "chain.pem", *intermediates),
        written(folder, "leaf.pem", leaf),
    )
    return openssl("verify", *options, "-x509_strict", "-CAfile", files[0], "-untrusted", files[1], files[2])


#: Runs several programs of pkilint in one process, as loading it takes longer than linting.
_LINT = """
import contextlib, importlib, sys
for call in sys.argv[1:]:
    program, *arguments = call.split("|")
    with contextlib.suppress(SystemExit):
        importlib.import_module(f"pkilint.bin.{program}").main(["lint", "-s", "WARNING", *arguments])
"""


def lint_findings(*calls):
    """What pkilint finds, from severity WARNING on: each call is the name of a program, and its arguments."""
    pytest.importorskip("pkilint")
    command = [sys.executable, "-W", "ignore", "-c", _LINT, *("|".join(map(str, call)) for call in calls)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    assert not run.stderr, run.stderr
    return run.stdout.strip()
