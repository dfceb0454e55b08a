"""Exports to write into a folder, in both layouts, and what is found there afterwards."""

import contextlib
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certcore.adapters import export_files as files_module
from certcore.adapters import secure_directory as folders_module
from certcore.adapters.export_files import LIVE, write_plain, write_versioned
from certcore.model.export import ExportedFile

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
#: The modules that talk to the system when files are written.
SOURCES = {files_module.__file__, folders_module.__file__, Path.lstat.__code__.co_filename}
NAMES = ("fullchain.pem", "privkey.pem", "nginx-ssl.conf")
#: Larger than the buffers that writing goes through, so that it takes several writes.
LONG = b"x" * 20_000
SECRET = b"canary-key"
#: More C calls than a write takes.
MOST = 1500

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


def export(number, *, names=NAMES):
    """The files of an export; the last does not change with the number, as configuration does not."""
    made = {
        "fullchain.pem": ExportedFile(name="fullchain.pem", content=b"chain %d " % number + LONG),
        "privkey.pem": ExportedFile(name="privkey.pem", content=SECRET + b" %d" % number, secret=True),
        "nginx-ssl.conf": ExportedFile(name="nginx-ssl.conf", content=b"ssl_certificate"),
    }
    return [made[name] for name in names]


def plain(folder, number, **given):
    """Write an export as plain files."""
    return write_plain(folder, export(number), **given)


def versioned(folder, number, **given):
    """Write an export as a version."""
    return write_versioned(folder, export(number), **{"at": NOW + timedelta(seconds=number), **given})


def of_layout(name):
    """The writer of a layout."""
    return {"plain": plain, "versioned": versioned}[name]


both = pytest.mark.parametrize("write", [plain, versioned])


def numbers(folder):
    """Of which export each file is; fails for one that is not whole."""
    found = {}
    for name, pattern in (("fullchain.pem", rb"chain (\d+) x{20000}"), ("privkey.pem", SECRET + rb" (\d+)")):
        with contextlib.suppress(FileNotFoundError):
            found[name] = int(re.fullmatch(pattern, (folder / name).read_bytes())[1])
    return found


def served(folder, layout):
    """What a server reads."""
    return numbers(folder / LIVE) if layout == "versioned" else numbers(folder)


def tree(folder):
    """All that is below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def leftovers(folder):
    """What a writer did not clean up."""
    return [one for one in tree(folder) if ".certcore." in one]


def secrets_open_to_others(folder):
    """Files with a secret that others could read, ready or not."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and SECRET in path.read_bytes() and path.stat().st_mode & 0o077
    ]
