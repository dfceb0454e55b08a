"""The conformance suite of stores: a store that keeps every rule passes; each broken one fails a check by its name."""

import contextlib
import subprocess
import sys

import pytest

from certcore.adapters.memory import MemoryStorage
from certcore.errors import StorageUnavailableError
from certcore.testing import conformance
from certcore.testing.conformance import CheckOutcome, StoreSetup, store_checks
from certcore.testing.contracts.storage import StorageContract
from support.broken_stores import BROKEN
from support.databases import sqlite_with_tables


def test_a_store_that_keeps_every_rule_passes():
    """Every check applies and passes; each has a store of its own, which is closed."""
    made = []

    def make():
        made.append(MemoryStorage())
        return made[-1]

    report = conformance.run(StoreSetup(make=make))
    assert report.ok, report.text()
    assert {result.outcome for result in report.results} == {CheckOutcome.PASSED}
    assert len(made) > len(report.results)  # some checks are run with several values
    for store in made:
        with pytest.raises(StorageUnavailableError):
            store.change_mark()


def test_the_checks_are_those_of_the_class_to_inherit():
    """No test of the class is left out of the suite, and no name is there twice."""
    tests = {name.removeprefix("test_").replace("_", "-") for name in dir(StorageContract) if name.startswith("test_")}
    names = [check.name for check in store_checks()]
    assert set(names) == tests
    assert len(names) == len(tests)


def test_every_check_has_a_broken_store():
    """No check is there that nothing fails."""
    assert set(BROKEN) == {check.name for check in store_checks()}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_store_fails_its_check(name):
    """The check fails by its name, with the line of the test that failed or what was raised."""
    report = conformance.run(StoreSetup(make=BROKEN[name]), only=lambda check: check.name == name)
    assert [result.check.name for result in report.failed] == [name]
    assert ".py" in report.failed[0].detail


def test_a_store_in_a_database_conforms(tmp_path, opened):
    """A new database for every check; a part of the rules, the others are tested where the class is inherited."""
    folders = iter(range(1000))

    def make():
        folder = tmp_path / str(next(folders))
        folder.mkdir()
        return opened(sqlite_with_tables(folder))

    names = ("documents", "everything-or-nothing", "claiming-one")
    report = conformance.run(StoreSetup(make=make), only=lambda check: check.name in names)
    assert [result.outcome for result in report.results] == [CheckOutcome.PASSED] * 3, report.text()


def test_a_setup_of_a_store_is_found_by_its_name(tmp_path, monkeypatch):
    """`certcore plugin check --setup` takes a store, too, which no hook registers."""
    text = "from certcore.adapters.memory import MemoryStorage\nfrom certcore.testing.conformance import StoreSetup\n"
    (tmp_path / "house_store_setup.py").write_text(f"{text}\nsetup = StoreSetup(make=MemoryStorage)\n")
    monkeypatch.chdir(tmp_path)
    with conformance.named_setup("house_store_setup:setup") as setup:
        assert isinstance(setup, StoreSetup)
    with contextlib.suppress(KeyError):
        del sys.modules["house_store_setup"]


def test_without_pytest_the_package_is_named():
    """The suite of stores is written with pytest; the others run without it."""
    script = (
        "import sys\nsys.modules['pytest'] = None\n"
        "from certcore.adapters.memory import MemoryStorage\nfrom certcore.errors import MissingPackageError\n"
        "from certcore.testing import conformance\nassert conformance.all_checks()\n"
        "try:\n    conformance.run(conformance.StoreSetup(make=MemoryStorage))\n"
        "except MissingPackageError as error:\n    print(error.message, error.advice)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert "needs the package pytest" in done.stdout
    assert "certcore[testing]" in done.stdout
