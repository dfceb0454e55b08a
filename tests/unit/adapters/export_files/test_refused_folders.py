"""Exported files are never written where others could meddle."""

import os
import sys
from pathlib import Path

import pytest

from certcore.adapters.export_files import LIVE, VERSIONS
from certcore.adapters.secure_directory import Folder, Owner, locked_folder
from certcore.errors import CertCoreError
from support.export_writing import NAMES, both, needs_root, numbers, plain, tree, versioned


@both
@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702, 0o2775])
def test_a_folder_that_others_can_write_to_is_refused(folder, write, mode):
    """With its mode, and how to close it; nothing is written."""
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(CertCoreError, match=rf"Others can write to .*{mode:04o}.*chmod go-w"):
        write(folder, 1)
    assert tree(folder) == []


@both
def test_a_way_that_everybody_can_write_to_is_refused(tmp_path, write):
    """Anybody could put another folder in its place; with the sticky bit, as in /tmp, nobody can."""
    way = tmp_path / "way"
    way.mkdir()
    way.chmod(0o777)
    with pytest.raises(CertCoreError, match=r"Everybody can write to .*/way, a parent.*chmod o-w"):
        write(way / "deep" / "shop", 1)
    assert tree(way) == []
    way.chmod(0o1777)
    write(way / "deep" / "shop", 1)


@needs_root
@both
def test_folders_of_other_users_are_refused(tmp_path, write):
    """The last one and those on the way, unless the files are to be that user's."""
    theirs = tmp_path / "theirs"
    theirs.mkdir(mode=0o755)
    os.chown(theirs, 12345, 12345)
    for folder in (theirs, theirs / "shop"):
        with pytest.raises(CertCoreError, match=r"belongs to another user \(number 12345\)") as refused:
            write(folder, 1)
        assert "owner" in refused.value.advice
        assert tree(theirs) == []
    write(theirs / "shop", 1, owner=12345)


@both
def test_a_link_is_not_written_through(tmp_path, folder, write):
    """Neither as the folder itself, nor in the place of a file, nor of what the versions need."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    with pytest.raises(CertCoreError, match="is a link"):
        write(folder, 1)
    folder.unlink()
    folder.mkdir(mode=0o700)
    target = elsewhere / "theirs"
    target.write_text("theirs")
    for name in ("privkey.pem",) if write is plain else (VERSIONS, LIVE):
        for to in (target, elsewhere, Path("nowhere")):
            (folder / name).symlink_to(to)
            with pytest.raises(CertCoreError, match="link"):
                write(folder, 1)
            assert str((folder / name).readlink()) == str(to)
            (folder / name).unlink()
    assert target.read_text() == "theirs"
    assert tree(elsewhere) == ["theirs"]
    write(folder, 1)


@needs_root
def test_links_of_others_on_the_way_are_refused(tmp_path, folder):
    """Those of root or of oneself are followed: some systems have them on the way to every folder."""
    real = tmp_path / "real"
    real.mkdir(mode=0o755)
    link = tmp_path / "link"
    link.symlink_to(real)
    plain(link / "shop", 1)
    assert numbers(real / "shop") == {"fullchain.pem": 1, "privkey.pem": 1}
    os.chown(link, 12345, 12345, follow_symlinks=False)
    with pytest.raises(CertCoreError, match=r"/link, on the way to .* belongs to another user"):
        plain(link / "shop", 2)


@pytest.mark.parametrize("target", ["../elsewhere", "/etc", f"{VERSIONS}/..", f"{VERSIONS}/mine", VERSIONS, "."])
def test_a_live_link_of_others_is_left_alone(folder, target):
    """It is ours only when it points to a version beside it."""
    versioned(folder, 1)
    (folder / LIVE).unlink()
    (folder / LIVE).symlink_to(target)
    with pytest.raises(CertCoreError, match="is not a link to one of the versions"):
        versioned(folder, 2)
    assert str((folder / LIVE).readlink()) == target


@pytest.mark.parametrize(("write", "name"), [(plain, "privkey.pem"), (versioned, LIVE), (versioned, VERSIONS)])
def test_what_is_something_else_is_left_alone(folder, write, name):
    """A folder where a file should be, and the other way round."""
    folder.mkdir(mode=0o700)
    if name == VERSIONS:
        (folder / name).write_text("theirs")
    else:
        (folder / name).mkdir(mode=0o700)
    with pytest.raises(CertCoreError, match=r"is a link or a|is not a link to") as refused:
        write(folder, 1)
    assert "choose another folder" in refused.value.advice
    assert name in tree(folder)


@both
def test_a_file_where_the_folder_should_be(folder, write):
    """The system's words, and what can be done."""
    folder.write_text("x")
    with pytest.raises(CertCoreError, match="cannot be written"):
        write(folder, 1)
    with pytest.raises(CertCoreError, match="cannot be written"):
        write(folder / "below", 1)


@pytest.mark.timeout(120)
@both
def test_a_pipe_that_is_put_in_the_place_of_a_file_is_not_waited_for(folder, write):
    """Whoever owns the folder may do so after it was seen to be a file: opening it would last until somebody writes."""
    write(folder, 1)
    there = folder / "versions" / (folder / LIVE).readlink().name if write is versioned else folder
    swapped = []

    def swap(frame, event, _):
        if event == "return" and frame.f_code is Folder.stat.__code__ and frame.f_locals["name"] == NAMES[0]:
            (there / NAMES[0]).unlink()
            os.mkfifo(there / NAMES[0])
            swapped.append(True)
            sys.setprofile(None)

    before = sys.getprofile()
    sys.setprofile(swap)
    try:
        with pytest.raises(CertCoreError, match="is not a file"):
            write(folder, 1)
    finally:
        sys.setprofile(before)
    assert swapped == [True]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT])
def test_only_files_are_opened(folder, flags):
    """No pipe, for reading or writing, and nothing stays open."""
    plain(folder, 1)
    os.mkfifo(folder / "pipe")
    with locked_folder(folder, Owner()) as place:
        open_before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(CertCoreError, match="pipe is not a file"):
            place.open("pipe", flags)
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before
