"""Writing exported files: both layouts, only what changed, and how many versions stay."""

import os
import stat
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from certcore.adapters.export_files import LIVE, VERSIONS, write_plain, write_versioned
from certcore.errors import CertCoreError, InvalidInputError
from support.export_writing import NAMES, NOW, SECRET, both, export, leftovers, numbers, plain, served, tree, versioned


def test_plain_files(folder):
    """In the folder itself, with their modes whatever the umask; the folder is for its owner alone."""
    before = os.umask(0o077)
    try:
        written = plain(folder, 1)
    finally:
        os.umask(before)
    assert (written.folder, written.changed, written.unchanged) == (folder, NAMES, ())
    assert tree(folder) == sorted(NAMES)
    for file in export(1):
        assert (folder / file.name).read_bytes() == file.content
        assert stat.S_IMODE((folder / file.name).stat().st_mode) == file.mode
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_versions(folder):
    """Each change is a folder of its own; the link says which is in service, relative so that all can be moved."""
    first = versioned(folder, 1)
    assert first.folder == folder / LIVE
    assert (first.changed, first.unchanged) == (NAMES, ())
    assert str((folder / LIVE).readlink()) == f"{VERSIONS}/20261123T120001Z"
    second = versioned(folder, 2)
    assert (second.changed, second.unchanged) == (NAMES[:2], NAMES[2:])
    assert str((folder / LIVE).readlink()) == f"{VERSIONS}/20261123T120002Z"
    assert served(folder, "versioned") == {"fullchain.pem": 2, "privkey.pem": 2}
    assert numbers(folder / VERSIONS / "20261123T120001Z") == {"fullchain.pem": 1, "privkey.pem": 1}
    assert (folder / LIVE / "nginx-ssl.conf").is_file()
    assert leftovers(folder) == []
    moved = folder.rename(folder.with_name("moved"))
    assert served(moved, "versioned") == {"fullchain.pem": 2, "privkey.pem": 2}


@both
def test_only_what_changed_is_touched(folder, write):
    """A second call with the same files changes nothing, not even a time; then one file more and no other."""
    write(folder, 1)
    before = {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in (folder, *folder.rglob("*"))}
    again = write(folder, 1, **({"at": NOW + timedelta(days=1)} if write is versioned else {}))
    assert (again.changed, again.unchanged) == ((), NAMES)
    assert {path: (path.lstat().st_ino, path.lstat().st_mtime_ns) for path in (folder, *folder.rglob("*"))} == before
    changed = write(folder, 2)
    assert (changed.changed, changed.unchanged) == (NAMES[:2], NAMES[2:])


def test_plain_files_that_did_not_change_stay_the_same_file(folder):
    """Their inode is that of before; files of others in the folder are left alone."""
    plain(folder, 1)
    (folder / "dhparam.pem").write_text("theirs")
    before = (folder / "nginx-ssl.conf").stat().st_ino
    plain(folder, 2)
    assert (folder / "nginx-ssl.conf").stat().st_ino == before
    assert (folder / "dhparam.pem").read_text() == "theirs"


def test_a_version_without_a_file_is_another_version(folder):
    """A file that the export does not have any more is not in service any more."""
    versioned(folder, 1)
    write_versioned(folder, export(1, names=NAMES[:2]), at=NOW + timedelta(hours=1))
    assert sorted(path.name for path in (folder / LIVE).iterdir()) == ["fullchain.pem", "privkey.pem"]


@pytest.mark.parametrize(("keep", "stay"), [(0, [5]), (1, [4, 5]), (3, [2, 3, 4, 5]), (9, [1, 2, 3, 4, 5]), (-1, [5])])
def test_old_versions_are_removed(folder, keep, stay):
    """As many from before stay as are asked for; keys do not pile up."""
    for number in range(1, 6):
        versioned(folder, number, keep=keep)
    found = sorted(numbers(path)["privkey.pem"] for path in (folder / VERSIONS).iterdir())
    assert found == stay
    assert served(folder, "versioned")["privkey.pem"] == 5


def test_fewer_versions_are_kept_from_the_next_call_on(folder):
    """Also when there is nothing new to write."""
    for number in range(1, 5):
        versioned(folder, number, keep=9)
    assert versioned(folder, 4, keep=0).changed == ()
    assert [path.name for path in (folder / VERSIONS).iterdir()] == ["20261123T120004Z"]


def test_the_version_before_is_the_last_to_go(folder):
    """After going back to an older version, that one is what stays beside the next."""
    for number in (1, 2, 3):
        versioned(folder, number, keep=9)
    (folder / LIVE).unlink()
    (folder / LIVE).symlink_to(f"{VERSIONS}/20261123T120001Z")
    versioned(folder, 4, keep=1)
    assert sorted(path.name for path in (folder / VERSIONS).iterdir()) == ["20261123T120001Z", "20261123T120004Z"]


def test_versions_of_one_second_are_told_apart(folder):
    """By a number; and one that was named by another than us is never removed."""
    versioned(folder, 1)
    (folder / VERSIONS / "mine").mkdir()
    for number in range(2, 5):
        versioned(folder, number, at=NOW + timedelta(seconds=1), keep=9)
    names = sorted(path.name for path in (folder / VERSIONS).iterdir())
    assert names == ["20261123T120001Z", *(f"20261123T120001Z-0{number}" for number in (2, 3, 4)), "mine"]
    assert served(folder, "versioned")["privkey.pem"] == 4
    versioned(folder, 9, keep=0)
    assert sorted(path.name for path in (folder / VERSIONS).iterdir()) == ["20261123T120009Z", "mine"]


def test_too_many_versions_of_one_second(folder):
    """A clock that stands still ends in words."""
    for number in range(1, 100):
        (folder / VERSIONS / f"20261123T120000Z{'' if number == 1 else f'-{number:02d}'}").mkdir(
            parents=True, mode=0o700
        )
    (folder).chmod(0o700)
    with pytest.raises(CertCoreError, match="too many versions"):
        versioned(folder, 1, at=NOW)
    assert leftovers(folder) == []


def test_a_link_to_nothing_is_repaired(folder):
    """When somebody removed the version in service, it is written again."""
    versioned(folder, 1)
    subprocess.run(["rm", "-r", folder / VERSIONS], check=True, timeout=30)
    assert versioned(folder, 1).changed == NAMES
    assert served(folder, "versioned") == {"fullchain.pem": 1, "privkey.pem": 1}


@both
def test_missing_folders_are_made(tmp_path, write):
    """Missing parent folders are created readable for everybody, the last folder for its owner only."""
    before = os.umask(0)
    try:
        write(tmp_path / "a" / "b" / "c", 1)
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / part).stat().st_mode) for part in ("a", "a/b", "a/b/c")]
    assert modes == [0o755, 0o755, 0o700]


@both
def test_a_relative_path(folder, write, monkeypatch):
    """It is one below the working folder."""
    monkeypatch.chdir(folder.parent)
    assert write(Path(folder.name), 1).folder.parent in {folder, folder.parent}
    assert served(folder, write.__name__) == {"fullchain.pem": 1, "privkey.pem": 1}


@both
@pytest.mark.parametrize("wanted", [[], export(1) + export(2)])
def test_no_files_and_doubles_are_refused(folder, write, wanted):
    """Before anything is made."""
    with pytest.raises(InvalidInputError, match=r"^files: "):
        write_plain(folder, wanted) if write is plain else write_versioned(folder, wanted, at=NOW)
    assert not folder.exists()


@both
def test_nothing_shows_a_secret(folder, write):
    """What a call returns names files and no contents."""
    assert SECRET.decode() not in repr(write(folder, 1))
