"""Threads of one process that write to SQLite at the same time share commits; each still stands or falls alone."""

import threading
from contextlib import closing

import pytest
import sqlalchemy as sa

from certcore.adapters.sql import open_storage
from certcore.errors import StaleWriteError, StorageError, StorageUnavailableError

MEMBERS = 3
PATIENCE = 30


@pytest.fixture
def storage(tmp_path):
    with closing(open_storage(f"sqlite:///{tmp_path}/certcore.db")) as storage:
        yield storage


class Writers:
    """A leader that is inside of its transaction, and threads that wait for their turn behind it."""

    def __init__(self, storage):
        self.storage = storage
        self.errors = {}
        self.threads = []
        self.finished = []

    def run(self, *blocks):
        """Run each block in a transaction of a thread of its own; the first one ends when the others wait."""
        inside, all_wait = threading.Event(), threading.Event()

        def leader(documents):
            inside.set()
            assert all_wait.wait(PATIENCE)
            blocks[0](documents)

        self._start(0, leader)
        assert inside.wait(PATIENCE)
        for number, block in enumerate(blocks[1:], start=1):
            self._start(number, block)
            self._until_waiting(number)  # they write in the order in which they wait
        all_wait.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _until_waiting(self, count):
        queue = self.storage._own.queue  # noqa: SLF001 - only the queue knows who waits
        for _ in range(PATIENCE * 100):
            if queue.waiting == count:
                return
            threading.Event().wait(0.01)

    def _start(self, number, block):
        thread = threading.Thread(target=self._write, args=(number, block), daemon=True)
        self.threads.append(thread)
        thread.start()

    def _write(self, number, block):
        try:
            with self.storage.write() as transaction:
                block(transaction.documents)
        except BaseException as error:
            self.errors[number] = error


def put(key):
    return lambda documents: documents.put("n", key, {})


def stored(storage):
    with storage.read() as transaction:
        return [document.key for document in transaction.documents.list("n")]


@pytest.fixture
def commits(storage):
    """The connections that were committed on."""
    seen = []
    sa.event.listen(storage._database.engine, "commit", seen.append)  # noqa: SLF001 - commits are seen nowhere else
    return seen


def test_those_who_wait_share_the_commit(storage, commits):
    """A writer and the three who wait for it are committed once, and all of it is stored."""
    writers = Writers(storage)
    writers.run(*(put(f"k{number}") for number in range(MEMBERS + 1)))
    assert not writers.errors
    assert stored(storage) == ["k0", "k1", "k2", "k3"]
    assert len(commits) == 1


def test_one_that_fails_takes_nobody_along(storage, commits):
    """What a member has written before it raises is rolled back; the others are stored."""

    def fail(documents):
        documents.put("n", "half", {})
        raise ZeroDivisionError

    writers = Writers(storage)
    writers.run(put("first"), fail, put("last"))
    assert {number: type(error) for number, error in writers.errors.items()} == {1: ZeroDivisionError}
    assert stored(storage) == ["first", "last"]
    assert len(commits) == 1


def test_whoever_was_too_late_sees_what_was_first(storage):
    """A write that is refused because of another one is told when that one is stored, so that it can be read."""
    seen, told = [], threading.Event()

    class Late(Writers):
        def _write(self, number, block):
            super()._write(number, block)
            if number in self.errors:
                seen.extend(stored(self.storage))
                told.set()

    def late(documents):
        documents.put("n", "key", {}, version=0)

    writers = Late(storage)
    # The third one delays the commit: it gives the second one the time to look too early.
    writers.run(put("key"), late, lambda _: told.wait(0.3))
    assert {number: type(error) for number, error in writers.errors.items()} == {1: StaleWriteError}
    assert seen == ["key"]


def test_a_leader_that_fails_takes_nobody_along(storage):
    """When the first one raises, those who wait write without it."""

    def fail(documents):
        documents.put("n", "half", {})
        raise ZeroDivisionError

    writers = Writers(storage)
    writers.run(fail, put("second"), put("third"))
    assert {number: type(error) for number, error in writers.errors.items()} == {0: ZeroDivisionError}
    assert stored(storage) == ["second", "third"]


def test_a_commit_that_fails_is_told_to_all(storage):
    """Nobody who shares a commit believes that it was stored when it was not, and the next ones can write."""

    def spoil(documents):  # a foreign key that is looked at by COMMIT
        driver = documents.connection.connection.driver_connection
        driver.execute("PRAGMA defer_foreign_keys = ON")
        driver.execute("INSERT INTO certcore_fallbacks VALUES ('authority', 'no certificate')")

    writers = Writers(storage)
    writers.run(put("first"), spoil, put("third"))
    assert [isinstance(writers.errors[number], StorageError) for number in range(3)] == [True] * 3
    assert type(writers.errors[2]) is StorageUnavailableError
    assert stored(storage) == []
    writers = Writers(storage)
    writers.run(put("again"), put("and again"))
    assert not writers.errors
    assert stored(storage) == ["again", "and again"]


def test_a_transaction_that_is_lost_is_lost_for_all(storage):
    """If the database ends the whole transaction during one member's part, every member gets an error."""

    def lose(documents):
        documents.connection.connection.driver_connection.execute("ROLLBACK")
        raise ZeroDivisionError

    writers = Writers(storage)
    writers.run(put("first"), put("second"), lose)
    assert type(writers.errors.pop(2)) is ZeroDivisionError
    assert {type(error) for error in writers.errors.values()} == {StorageUnavailableError}
    assert stored(storage) == []


def test_threads_do_not_lose_writes(storage):
    """Eight threads that count in one document, and raise now and then, count right."""
    failures = []

    def add(divisor):
        with storage.write() as transaction:
            document = transaction.documents.get("n", "counter")
            value = document.value["value"] if document else 0
            transaction.documents.put("n", "counter", {"value": value + 1})
            return 1 / divisor

    def count(number):
        for each in range(40):
            try:
                add(each % 10 - number)
            except ZeroDivisionError:
                failures.append(number)

    threads = [threading.Thread(target=count, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    with storage.read() as transaction:
        assert transaction.documents.get("n", "counter").value == {"value": 8 * 40 - len(failures)}
    assert len(failures) == 8 * 4
