"""What the tests of this package ask other programs about certificates: openssl, and pkilint."""

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
    """What ``openssl verify`` says of a leaf with its chain."""
    files = (
        written(folder, "root.pem", root),
        written(folder, "chain.pem", *intermediates),
        written(folder, "leaf.pem", leaf),
    )
    return openssl("verify", *options, "-x509_strict", "-CAfile", files[0], "-untrusted", files[1], files[2])


def lint_findings(program, *arguments):
    """What a program of pkilint finds, from severity WARNING on."""
    pytest.importorskip("pkilint")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        f"pkilint.bin.{program}",
        "lint",
        "-s",
        "WARNING",
        *map(str, arguments),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL)
    assert not run.stderr, run.stderr
    return run.stdout.strip()
