"""Writing exported files: whole, private, only what changed, whatever fails, and never where others could meddle.

Run as a program it writes files in copies of itself that are killed on the way; see `crashing`.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from certcore.adapters import export_files as files_module
from certcore.adapters import secure_directory as folders_module
from certcore.adapters.export_files import LIVE, VERSIONS, write_plain, write_versioned
from certcore.adapters.secure_directory import Folder, Owner, locked_folder
from certcore.errors import CertCoreError, InvalidInputError
from certcore.model.export import ExportedFile
from support.threads import run_all

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
#: The modules that talk to the system when files are written.
SOURCES = {files_module.__file__, folders_module.__file__, Path.lstat.__code__.co_filename}
NAMES = ("fullchain.pem", "privkey.pem", "nginx-ssl.conf")
#: Larger than the buffers that writing goes through, so that it takes several writes.
LONG = b"x" * 20_000
SECRET = b"canary-key"
#: More C calls than a write takes.
MOST = 1500
#: What changes a file system, and what asks for its state.
CHANGES = {
    "open",
    "mkdir",
    "link",
    "rename",
    "symlink",
    "unlink",
    "rmdir",
    "fsync",
    "fchmod",
    "fchown",
    "write",
    "flush",
}
AUDITED = {f"os.{name}" for name in ("chmod", "chown", "link", "mkdir", "remove", "rename", "rmdir", "symlink")}
ASKS = {"lstat", "stat", "fstat", "listdir", "readlink", "read", "flock", "fdopen"}

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
    return write_plain(folder, export(number), **given)


def versioned(folder, number, **given):
    return write_versioned(folder, export(number), **{"at": NOW + timedelta(seconds=number), **given})


def of_layout(name):
    return {"plain": plain, "versioned": versioned}[name]


both = pytest.mark.parametrize("write", [plain, versioned])


@pytest.fixture
def folder(tmp_path):
    """A folder that is not there yet."""
    return tmp_path / "shop.example"


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
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def leftovers(folder):
    return [one for one in tree(folder) if ".certcore." in one]


def secrets_open_to_others(folder):
    """Files with a secret that others could read, ready or not."""
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and SECRET in path.read_bytes() and path.stat().st_mode & 0o077
    ]


# ---------------------------------------------------------------------------------------------------- what is written


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
@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_a_folder_that_is_there_keeps_its_mode(folder, write, mode):
    """And folders in it are no more open than it is."""
    folder.mkdir()
    folder.chmod(mode)
    where = write(folder, 1).folder
    assert stat.S_IMODE(folder.stat().st_mode) == mode
    assert stat.S_IMODE(where.stat().st_mode) == mode


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


# ------------------------------------------------------------------------------------------------------------- owners


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


# ------------------------------------------------------------------------------------------------------------ refusals


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


# ------------------------------------------------------------------------------------------------- failures on the way


class Failing:
    """Lets one C call of the writer's modules fail.

    Args:
        names: Which C functions count.
        point: Which of their calls fails.
        number: The system's number of the error.
    """

    def __init__(self, names, point, number):
        self.names, self.point, self.number = names, point, number
        self.reached = 0
        self.called = []

    def __enter__(self):
        sys.setprofile(self._watch)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _watch(self, frame, event, function):
        if event != "c_call" or frame.f_code.co_filename not in SOURCES or function.__name__ not in self.names:
            return
        self.reached += 1
        self.called.append(function.__name__)
        if self.point == self.reached:
            # From here on there is no profile any more: Python takes one that raised away.
            raise OSError(self.number, os.strerror(self.number))


def failing_writes(write, folder, *, names, number, fresh=False):
    """Fail at each point in turn, from export 1, or from nothing, to export 2; yields after each what was raised."""
    for point in range(1, MOST):
        subprocess.run(["rm", "-rf", folder], check=True, timeout=30)
        if not fresh:
            write(folder, 1)
        error = None
        try:
            with Failing(names, point, number) as failing:
                write(folder, 2)
        except CertCoreError as raised:
            error = raised
        yield error
        if failing.reached < point:
            assert point > 15
            return
    pytest.fail("it never came to its end")


@both
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EIO])
def test_one_failure_at_every_point(folder, write, number):
    """The call says what the system said, and all is as before; or it does not matter, and all is new."""
    said = 0
    for error in failing_writes(write, folder, names=CHANGES, number=number):
        files = served(folder, write.__name__)
        if error is None:
            assert files == {"fullchain.pem": 2, "privkey.pem": 2}
        else:
            said += 1
            assert os.strerror(number) in str(error)
            assert error.advice
            assert len(set(files.values())) == 1
            assert len(files) == 2
            assert leftovers(folder) == []
        # It may have been the removal of one of ours that failed.
        assert len({leftover.partition(".certcore.")[2].partition("/")[0] for leftover in leftovers(folder)}) <= 1
        assert secrets_open_to_others(folder) == []
        shown = "".join(map(repr, (error, getattr(error, "__context__", None), getattr(error, "args", None))))
        assert SECRET.decode() not in shown
        assert write(folder, 2)
        assert served(folder, write.__name__) == {"fullchain.pem": 2, "privkey.pem": 2}
    assert said > 10


@both
def test_one_failure_at_the_first_time(folder, write):
    """Where nothing was before, nothing is after an error: no key without its certificate."""
    said, whole = 0, {"fullchain.pem": 2, "privkey.pem": 2}
    for error in failing_writes(write, folder, names=CHANGES, number=errno.ENOSPC, fresh=True):
        files = served(folder, write.__name__)
        said += error is not None
        # A version is in service, and nobody knows for how long, when only the last sync of the folder failed.
        assert files in ([whole] if error is None else [{}] if write is plain else [{}, whole])
        if error:
            assert leftovers(folder) == []
        write(folder, 2)
        assert served(folder, write.__name__) == {"fullchain.pem": 2, "privkey.pem": 2}
    assert said > 10


@both
def test_questions_that_fail(folder, write):
    """An error of the system at a question is told as one at a change is."""
    for error in failing_writes(write, folder, names=ASKS, number=errno.EIO):
        files = served(folder, write.__name__)
        assert len(files) == 2
        assert len(set(files.values())) == 1
        if error is not None:
            assert os.strerror(errno.EIO) in str(error) or "another user" in str(error)
        write(folder, 2)
        assert served(folder, write.__name__) == {"fullchain.pem": 2, "privkey.pem": 2}
        assert leftovers(folder) == []


def test_without_hard_links_plain_files_are_written_all_the_same(folder):
    """Some file systems know none; only the way back after an error needs them."""
    plain(folder, 1)
    with Failing({"link"}, 1, errno.EPERM):
        plain(folder, 2)
    assert served(folder, "plain") == {"fullchain.pem": 2, "privkey.pem": 2}


@both
def test_all_is_on_the_disk_before_it_is_in_service(folder, write):
    """The calls in their order: no file is renamed or linked to before everything was written and synced."""
    write(folder, 1)
    with Failing(CHANGES, MOST, 0) as watching:
        write(folder, 2)
    calls = watching.called
    into_service = [place for place, name in enumerate(calls) if name == "rename"]
    first = (
        into_service[1] if write is versioned else into_service[0]
    )  # a version gets its name before it is in service
    files = 3 if write is versioned else 2
    assert calls[:first].count("fsync") >= files
    assert max(place for place, name in enumerate(calls) if name == "write") < first
    last_switch = first if write is versioned else into_service[1]
    assert "fsync" in calls[last_switch:]
    if write is versioned:
        symlink = calls.index("symlink")
        assert calls[:symlink].count("fsync") >= files + 2, "the version's folder and the folder of all versions, too"


# ------------------------------------------------------------------------------------------------------------- crashes


def crashing():
    """Read orders from stdin, one JSON document a line; carry each out in a forked copy, and answer how it ended.

    An order names a layout, a folder and an export. With a ``point`` the copy kills itself at that C call of the
    writer's modules; with ``broken`` its file system cannot be changed from the change of that number on; with a
    ``user`` it becomes that user first.
    """
    for line in sys.stdin:
        order = json.loads(line)
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read_end)
            os.write(write_end, _carry_out(**order).encode())
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as answers:
            said = answers.read()
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        sys.stdout.write(json.dumps({"killed": killed, "said": said}) + "\n")
        sys.stdout.flush()


def _carry_out(layout, folder, number, point=0, broken=0, user=None):
    reached = 0

    def refuse(event, arguments):
        nonlocal reached
        if event in AUDITED or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)):
            reached += 1
            if reached >= broken:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    def watch(frame, event, _):
        nonlocal reached
        if event == "c_call" and frame.f_code.co_filename in SOURCES:
            reached += 1
            if reached == point:
                os.kill(os.getpid(), signal.SIGKILL)

    os.umask(0)
    if user is not None:
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
    if broken:
        sys.addaudithook(refuse)
    if point:
        sys.setprofile(watch)
    try:
        of_layout(layout)(Path(folder), number)
    except CertCoreError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def order():
    """Gives orders to a process as in `crashing`."""
    source = Path(folders_module.__file__).parents[2]
    beside = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{beside}"}
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:

        def give(**what):
            process.stdin.write(json.dumps(what) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        try:
            yield give
        finally:
            process.stdin.close()
            process.wait(120)


@pytest.mark.slow(reason="kills a process at each of many points")
@pytest.mark.parametrize("fresh", [False, True], ids=["renewed", "first"])
@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_killed_at_every_point(folder, order, layout, fresh):
    """SIGKILL before every C call of the writer: what is served is whole, key and certificate belong together, no
    secret was open to others with no umask to help, and the next writer finishes and cleans up."""
    write, apart = of_layout(layout), 0
    for point in range(1, MOST):
        subprocess.run(["rm", "-rf", folder], check=True, timeout=30)
        if not fresh:
            write(folder, 1)
        ended = order(layout=layout, folder=str(folder), number=2, point=point)
        found = served(folder, layout) if folder.exists() else {}
        if not ended["killed"]:
            assert (ended["said"], found) == ("", {"fullchain.pem": 2, "privkey.pem": 2})
            break
        if layout == "versioned":
            assert found in [
                {"fullchain.pem": 2, "privkey.pem": 2},
                {} if fresh else {"fullchain.pem": 1, "privkey.pem": 1},
            ]
        else:
            assert set(found.values()) <= {1, 2}
            apart += len(found) == 1 or len(set(found.values())) == 2
        if folder.exists():
            assert secrets_open_to_others(folder) == []
        write(folder, 2)
        assert served(folder, layout) == {"fullchain.pem": 2, "privkey.pem": 2}
        assert leftovers(folder) == []
        if layout == "versioned":
            assert len(list((folder / VERSIONS).iterdir())) <= 2
    assert 50 < point < MOST - 1
    # Between two renames that follow each other; and nowhere else.
    assert apart <= 6


@pytest.mark.parametrize("layout", ["plain", "versioned"])
def test_a_failure_that_lasts(folder, order, layout):
    """From each change on the file system takes no more of them: versions that are served belong together, no file is
    half written, and when it is well again the next call puts all right."""
    write, apart = of_layout(layout), 0
    for broken in range(1, 100):
        subprocess.run(["rm", "-rf", folder], check=True, timeout=30)
        write(folder, 1)
        said = order(layout=layout, folder=str(folder), number=2, broken=broken)["said"]
        files = served(folder, layout)
        assert len(files) == 2
        assert set(files.values()) <= {1, 2}
        apart += len(set(files.values())) == 2
        assert secrets_open_to_others(folder) == []
        if said:
            assert os.strerror(errno.EIO) in said
        else:
            assert set(files.values()) == {2}
        settled = not leftovers(folder)
        write(folder, 2)
        assert set(served(folder, layout).values()) == {2}
        assert leftovers(folder) == []
        if not said and settled:
            break
    assert 8 < broken < 99
    # A plain file that cannot be put back, because nothing can be changed any more.
    assert apart == (1 if layout == "plain" else 0)


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


# --------------------------------------------------------------------------------------------------- several at once


@both
def test_writers_at_once_come_one_after_the_other(folder, write):
    """Whoever is last, key and certificate are of the same export, and nothing is left behind."""

    def writer(first):
        def work():
            for number in range(first, first + 10):
                write(folder, number)
                # Nobody reads between two renames of a plain writer who holds the lock, as the next writer does not.

        return work

    run_all(*(writer(100 * one) for one in range(1, 5)))
    files = served(folder, write.__name__)
    assert len(files) == 2
    assert len(set(files.values())) == 1
    assert leftovers(folder) == []


def test_a_reader_of_versions_never_sees_half(folder):
    """Whoever follows the link once reads key and certificate of one export, while others write."""
    versioned(folder, 1)
    ended = threading.Event()
    seen = set()

    def work():
        try:
            for number in range(2, 40):
                versioned(folder, number, keep=99)
        finally:
            ended.set()

    def read():
        while not ended.is_set():
            found = numbers(folder / (folder / LIVE).readlink())
            assert len(found) == 2
            assert len(set(found.values())) == 1
            seen.update(found.values())

    run_all(work, read)
    assert len(seen) > 1


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


def test_patience_is_a_matter_of_the_caller(folder):
    """A locked folder is given up after so many seconds as are said."""
    plain(folder, 1)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for write in (plain, versioned):
            with pytest.raises(CertCoreError, match=r"for 0\.2 seconds"):
                write(folder, 2, patience=0.2)
    finally:
        os.close(descriptor)
    assert numbers(folder) == {"fullchain.pem": 1, "privkey.pem": 1}


@both
def test_processes_wait_for_each_other(folder, write, order):
    """A writer in another process waits while the folder is locked, and writes when it is free again."""
    write(folder, 1)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(order(layout=write.__name__, folder=str(folder), number=2)), daemon=True
    )
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    assert served(folder, write.__name__) == {"fullchain.pem": 1, "privkey.pem": 1}
    os.close(descriptor)
    waiting.join(120)
    assert answers == [{"killed": False, "said": ""}]
    assert served(folder, write.__name__) == {"fullchain.pem": 2, "privkey.pem": 2}


@pytest.mark.parametrize("moved", ["while it was locked", "once we had the lock"])
@pytest.mark.parametrize("replaced", [True, False], ids=["another one has its place", "its place is free"])
@both
def test_a_folder_that_was_moved_while_a_writer_waited_for_its_lock(folder, write, moved, replaced, monkeypatch):
    """Who waited for the lock of a folder that is gone writes to the one that is there now, or makes it anew."""
    write(folder, 1)
    old = folder.with_name("old")
    other = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(other, fcntl.LOCK_EX)
    lock, tries = fcntl.flock, []

    def move():
        folder.rename(old)
        if replaced:
            folder.mkdir(mode=0o700)

    def flock(descriptor, operation):
        tries.append(os.fstat(descriptor).st_ino)
        try:
            lock(descriptor, operation)
        except BlockingIOError:
            if moved == "while it was locked":
                move()
            os.close(other)
            raise
        if len(tries) == 2 and moved == "once we had the lock":
            move()

    monkeypatch.setattr(fcntl, "flock", flock)
    write(folder, 2)
    assert tries[-1] == folder.stat().st_ino != tries[0] == old.stat().st_ino
    assert served(old, write.__name__) == {"fullchain.pem": 1, "privkey.pem": 1}
    assert served(folder, write.__name__) == {"fullchain.pem": 2, "privkey.pem": 2}


def test_a_folder_that_is_gone_when_it_is_opened_is_made_again(folder, monkeypatch):
    """Another program may move the folder away between our look at it and our opening it."""
    plain(folder, 1)
    old, real, gone = folder.with_name("old"), os.open, []

    def opened(path, *arguments, **named):
        if path == folder and not gone:
            gone.append(folder.rename(old))
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "open", opened)
    plain(folder, 2)
    assert gone == [old]
    assert numbers(old) == {"fullchain.pem": 1, "privkey.pem": 1}
    assert numbers(folder) == {"fullchain.pem": 2, "privkey.pem": 2}


@both
def test_nothing_shows_a_secret(folder, write):
    """What a call returns names files and no contents."""
    assert SECRET.decode() not in repr(write(folder, 1))


if __name__ == "__main__":
    crashing()
