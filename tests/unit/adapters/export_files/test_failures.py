"""Exported files whose writing fails: at each call of the system in turn, once or from then on."""

import errno
import os
import subprocess
import sys

import pytest

from certcore.adapters.export_files import VERSIONS
from certcore.errors import CertCoreError
from support.export_writing import (
    MOST,
    SECRET,
    SOURCES,
    both,
    leftovers,
    of_layout,
    plain,
    secrets_open_to_others,
    served,
    versioned,
)

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
ASKS = {"lstat", "stat", "fstat", "listdir", "readlink", "read", "flock", "fdopen"}


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
