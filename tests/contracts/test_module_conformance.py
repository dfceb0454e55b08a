"""The conformance suite of CA modules: a module that keeps every rule passes; each broken one fails its own check."""

import sys

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from certcore.plugin import CAModule, Catalogue
from certcore.testing import conformance
from certcore.testing.conformance import MODULE_CHECKS, CheckOutcome
from support.broken_conformance import BROKEN, PLUGINS, SETUPS
from support.check_needs import dependents, needed
from support.conformant_ca import INVALID_SETTINGS, SETTINGS, ConformantCA, Registering

#: Broken in files of their own, below.
ELSEWHERE = {"quiet-import"}
TEXTS = ("hint", "link", "profile")


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locale")
    translations = Catalog(locale="de")
    for name in TEXTS:
        translations.add(f"conformant.{name}", f"Ein Text: {name}")
    (folder / "de/LC_MESSAGES").mkdir(parents=True)
    with (folder / "de/LC_MESSAGES/conformant.mo").open("wb") as file:
        write_mo(file, translations)
    return Catalogue(folder, "conformant")


def check(kind, plugin, catalogue, **setup):
    """A run of the suite on a module with a window to its world."""
    module = kind()
    world = module.world
    windows = {
        "settings": SETTINGS,
        "invalid_settings": INVALID_SETTINGS,
        "held_outside": lambda: len(world.held),
        "orders_placed": lambda: world.placed,
        "ca_down": world.down,
    }
    return conformance.run(plugin(module, [catalogue]), **{**windows, **setup})


def test_a_module_that_keeps_every_rule_passes(catalogue):
    """Every check applies to a module with all powers, and all of them pass."""
    report = check(ConformantCA, Registering, catalogue)
    assert report.ok, report.text()
    assert {result.outcome for result in report.results} == {CheckOutcome.PASSED}, [
        f"{result.check} {result.detail}" for result in report.results if result.outcome is not CheckOutcome.PASSED
    ]
    assert len(report.results) == len(MODULE_CHECKS) >= 45


def test_every_check_has_a_broken_module():
    """No check is there that nothing fails."""
    assert set(BROKEN) | ELSEWHERE == {each.name for each in MODULE_CHECKS}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_module_fails_its_check(name, catalogue):
    """The check fails by its name, and none of those that it needs does."""
    names = needed(name, MODULE_CHECKS)
    report = check(BROKEN[name], PLUGINS[name], catalogue, only=lambda each: each.name in names, **SETUPS[name])
    assert [result.check.name for result in report.failed] == [name], report.text()
    assert not report.of(CheckOutcome.SKIPPED)
    assert report.failed[0].detail
    assert "canary" not in report.text()
    assert not report.ok
    assert f"FAILED {name}: " in report.text()


def test_a_plugin_that_is_installed_does_not_take_its_own_name(tmp_path, monkeypatch, catalogue):
    """The tests of a package pass where the package is installed, too."""
    info = tmp_path / "house-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[certcore]\nconformant = conformant\n")
    (tmp_path / "conformant.py").write_text(
        "from certcore import hookimpl\nfrom support.conformant_ca import ConformantCA\n\n"
        "@hookimpl\ndef certcore_ca_modules():\n    return [ConformantCA()]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import conformant

    names = needed("own-names", MODULE_CHECKS)
    report = conformance.run(conformant, only=lambda each: each.name in names)
    other = check(ConformantCA, Registering, catalogue, only=lambda each: each.name in names)
    del sys.modules["conformant"]
    assert report.ok, report.text()
    assert [result.check.name for result in other.failed] == ["own-names"]


class UsualHints(ConformantCA):
    """Shows the hints that every module has that brings none."""

    hints = CAModule.hints


def test_texts_of_certcore_need_no_translation_by_the_plugin(catalogue):
    """A module that shows the usual hints translates its own texts alone."""
    names = needed("translations", MODULE_CHECKS)
    report = check(UsualHints, Registering, catalogue, only=lambda each: each.name in names)
    assert report.results[-1].check.name == "translations"
    assert report.ok, report.text()


#: The whole suite takes half a second for each. That each fails its own check, and a sound module none, is seen above
#: with all of them; that no other check takes offence, here with every fourth, and in `make soak` with the others.
_ALONE = [
    pytest.param(name, marks=[] if number % 4 == 0 else pytest.mark.soak, id=name) for number, name in enumerate(BROKEN)
]


@pytest.mark.slow(reason="runs the whole suite for each broken module")
@pytest.mark.parametrize("name", _ALONE)
def test_a_broken_module_fails_no_other_check(name, catalogue):
    """Those that need the check that fails are not run, and no other one fails."""
    report = check(BROKEN[name], PLUGINS[name], catalogue, **SETUPS[name])
    assert [result.check.name for result in report.failed] == [name], report.text()
    assert {result.check.name for result in report.of(CheckOutcome.SKIPPED)} == dependents(name, MODULE_CHECKS)


def test_output_at_import_is_found(tmp_path, monkeypatch, capsys, catalogue):
    """A module whose import prints fails that check alone."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "prints_at_import.py").write_text(
        "from support.conformant_ca import ConformantCA\n\nprint('hello')\n\nclass Loud(ConformantCA):\n    pass\n"
    )
    from prints_at_import import Loud

    report = check(Loud, Registering, catalogue)
    del sys.modules["prints_at_import"]
    assert [result.check.name for result in report.failed] == ["quiet-import"], report.text()
    assert "hello" in report.failed[0].detail
