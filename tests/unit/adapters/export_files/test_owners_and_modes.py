"""Owners and modes of exported files and of their folders."""

import os
import stat
import tempfile
from pathlib import Path

import pytest

from certcore.adapters.export_files import LIVE, VERSIONS
from certcore.errors import CertCoreError, InvalidInputError
from support.export_writing import (
    NAMES,
    both,
    leftovers,
    needs_root,
    of_layout,
    secrets_open_to_others,
    served,
    versioned,
)


@both
def test_a_wrong_mode_is_put_right(folder, write):
    """A key that somebody opened to everybody counts as changed, and is private again."""
    where = write(folder, 1).folder
    (where / "privkey.pem").chmod(0o644)
    assert write(folder, 1).changed == ("privkey.pem",)
    assert stat.S_IMODE((where / "privkey.pem").stat().st_mode) == 0o600
    assert secrets_open_to_others(folder / LIVE if write is versioned else folder) == []


@both
def test_the_mode_of_secrets_can_be_chosen(folder, write):
    """Files with secrets may be readable for a group, but never for everybody."""
    where = write(folder, 1, secret_mode=0o640).folder
    assert stat.S_IMODE((where / "privkey.pem").stat().st_mode) == 0o640
    assert stat.S_IMODE((where / "fullchain.pem").stat().st_mode) == 0o644
    assert write(folder, 1, secret_mode=0o640).changed == ()
    with pytest.raises(InvalidInputError, match=r"^mode: 0644"):
        write(folder, 1, secret_mode=0o644)


@both
@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_folder_that_is_there_keeps_its_mode(folder, write, mode):
    """And folders in it are no more open than it is."""
    folder.mkdir()
    folder.chmod(mode)
    where = write(folder, 1).folder
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    assert stat.S_IMODE(where.stat().st_mode) == mode


@needs_root
@both
def test_files_can_be_given_away(folder, write):
    """To a user and a group, by number; a new folder, too, and the group can look into it."""
    where = write(folder, 1, owner=12345, group=54321, secret_mode=0o640).folder
    for path in (folder, where, *(where / name for name in NAMES)):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 54321)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(where.stat().st_mode) == 0o750
    assert write(folder, 1, owner=12345, group=54321, secret_mode=0o640).changed == ()
    os.chown(where / "privkey.pem", 12345, 1)
    assert write(folder, 1, owner=12345, group=54321, secret_mode=0o640).changed == ("privkey.pem",)


@needs_root
def test_folders_of_versions_are_open_to_the_same_group(folder):
    """A folder that an administrator made for a group stays readable for that group."""
    folder.mkdir()
    os.chown(folder, 0, 54321)
    folder.chmod(0o750)
    where = versioned(folder, 1).folder
    for path in (folder / VERSIONS, where):
        assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (54321, 0o750)


@both
def test_names_of_users_are_looked_up(folder, write):
    """One's own is taken; an unknown one is refused before anything is made."""
    import grp
    import pwd

    for given, field in (({"owner": "no-such-user"}, "owner"), ({"group": "no-such-group"}, "group")):
        with pytest.raises(
            InvalidInputError, match=f"no {'user' if field == 'owner' else 'group'} 'no-such-"
        ) as refused:
            write(folder, 1, **given)
        assert refused.value.field == field
    assert not folder.exists()
    own = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
    where = write(folder, 1, **own).folder
    assert (where / "privkey.pem").stat().st_uid == os.geteuid()


@needs_root
@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_folder_without_the_right_to_write(order, layout):
    """As a user who may not write: the system's words, and what was there is still there."""
    user = 65534
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "shop"
        of_layout(layout)(folder, 1)
        folder.chmod(0o755)
        for path in folder.rglob("*"):
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
        ended = order(layout=layout, folder=str(folder), number=2, user=user)
        assert "Permission denied" in ended["said"]
        assert "Choose another folder" in ended["said"]
        assert served(folder, layout) == {"fullchain.pem": 1, "privkey.pem": 1}
        assert leftovers(folder) == []


@needs_root
@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_user_writes_without_being_root(order, layout):
    """In a folder of their own, and gets told that giving files away needs root."""
    user = 65534
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        os.chown(place, user, user)
        folder = Path(place) / "shop"
        assert order(layout=layout, folder=str(folder), number=1, user=user)["said"] == ""
        assert served(folder, layout) == {"fullchain.pem": 1, "privkey.pem": 1}
        assert {path.lstat().st_uid for path in (folder, *folder.rglob("*"))} == {user}
        with pytest.raises(CertCoreError, match="belongs to another user"):
            of_layout(layout)(folder, 2)
        of_layout(layout)(folder, 2, owner=user, group=user)
        assert order(layout=layout, folder=str(folder), number=3, user=user)["said"] == ""
        assert served(folder, layout) == {"fullchain.pem": 3, "privkey.pem": 3}
