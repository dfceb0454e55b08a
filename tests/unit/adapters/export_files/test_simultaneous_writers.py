"""Several programs at the same exported files: writers, readers, and one that moves the folder away."""

import fcntl
import os
import threading

import pytest

from certcore.adapters.export_files import LIVE
from certcore.errors import CertCoreError
from support.export_writing import both, leftovers, numbers, plain, served, versioned
from support.threads import run_all


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
