"""`certcore plugin`: what is installed, and packages of new plugins that pass tests, lint and types as made."""

import base64
import json
import os
import subprocess
import sys

import pytest

from certcore.cli.new_plugin import TEMPLATE, PluginKind, make_plugin, plugin_files
from certcore.errors import AlreadyExistsError, InvalidInputError, MissingPackageError
from support.forked import run

KINDS = list(PluginKind)
#: What `pytest`, `ruff` and `mypy` may take on a busy machine.
_DEADLINE = 500


def _run(folder, *command, **environment):
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow(reason="runs the tests of a made package in a process of their own")
@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_made_package_pass(certcore, kind, tmp_path):
    """A package of every kind is made by one command, and its tests pass without a change or an installation."""
    made = certcore.json("plugin", "new", f"my-{kind}", "--kind", str(kind), "--folder", str(tmp_path))
    assert made["project"] == str(tmp_path / f"my-{kind}")
    assert all((tmp_path / path).is_file() for path in made["files"])
    out = _run(made["project"], "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    assert " passed" in out
    assert "skipped" not in out


@pytest.mark.slow(reason="starts ruff")
def test_a_made_package_is_lint_free(tmp_path):
    """With the shortest and the longest name, ruff finds nothing and would change nothing."""
    for kind in KINDS:
        for name in ("x", "abcdefghij-abcdefghij-abcdefgh"):
            make_plugin(name, kind, tmp_path / kind)
    _run(tmp_path, "ruff", "check", "--no-cache")
    _run(tmp_path, "ruff", "format", "--no-cache", "--check")


@pytest.mark.slow(reason="mypy reads the whole of certcore")
def test_a_made_package_is_typed(tmp_path):
    """mypy --strict finds nothing in the code and the tests of any kind."""
    for kind in KINDS:
        make_plugin(f"typed-{kind}", kind, tmp_path)
    folders = [str(tmp_path / f"typed-{kind}" / part) for kind in KINDS for part in ("src", "tests")]
    sources = os.pathsep.join(folders[::2])
    _run(tmp_path, "mypy", "--strict", "--cache-dir", os.devnull, *folders, MYPYPATH=sources)


@pytest.mark.slow(reason="imports copier")
@pytest.mark.parametrize("kind", KINDS)
def test_copier_makes_the_same_package(kind, tmp_path):
    """The template is one of copier: `copier copy` asks for name and kind, and makes the same files."""
    copier = pytest.importorskip("copier")
    for name in ("house-ca", "x", "acme-dns-rest"):
        answers = {"project": name, "kind": str(kind)}
        copier.run_copy(str(TEMPLATE), tmp_path / name, data=answers, defaults=True, quiet=True)
        paths = (path for path in (tmp_path / name).rglob("*") if path.is_file())
        made = {path.relative_to(tmp_path / name).as_posix(): path.read_text() for path in paths}
        assert made == plugin_files(name, kind)


@pytest.mark.slow(reason="imports copier")
@pytest.mark.parametrize("answers", [{"project": "House_CA", "kind": "ca"}, {"project": "house", "kind": "magic"}])
def test_copier_refuses_the_same_answers(answers, tmp_path):
    """Whoever uses copier instead of the command gets no package with a name that cannot be one."""
    copier = pytest.importorskip("copier")
    with pytest.raises(ValueError, match=r"Validation error|Invalid"):
        copier.run_copy(str(TEMPLATE), tmp_path / "made", data=answers, defaults=True, quiet=True)
    assert not (tmp_path / "made/pyproject.toml").exists()


@pytest.mark.parametrize("name", ["", "House", "house_ca", "-house", "json", "certcore", "a" * 31, "../house", "class"])
def test_a_name_that_cannot_be_a_package_is_refused(name, tmp_path):
    """Nothing is written for a name that no package can have."""
    with pytest.raises(InvalidInputError) as refusal:
        make_plugin(name, PluginKind.OBSERVER, tmp_path)
    assert refusal.value.field == "name"
    assert list(tmp_path.iterdir()) == []


def test_jinja_is_named_where_it_is_missing(tmp_path, monkeypatch):
    """Without the extra, the command says how to install it, and makes nothing."""
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingPackageError, match="jinja2") as refusal:
        make_plugin("house", PluginKind.OBSERVER, tmp_path)
    assert "certcore[cli]" in str(refusal.value.advice)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    """A folder that is there is left alone."""
    (tmp_path / "house").mkdir()
    with pytest.raises(AlreadyExistsError):
        make_plugin("house", PluginKind.OBSERVER, tmp_path)
    assert list((tmp_path / "house").iterdir()) == []


def test_plugins_and_modules_are_listed_without_a_store(certcore):
    """`plugin list`, `plugin show`, `authority modules` and `authority fields` need no database."""
    plugins = {plugin["name"]: plugin for plugin in certcore.json("plugin", "list")["plugins"]}
    assert plugins["puq_acme"]["ca_modules"] == ["puq_acme"]
    assert plugins["puq_acme"]["package"] == "certcore"
    assert certcore.json("plugin", "show", "puq_acme") == plugins["puq_acme"]
    assert "puq_acme" in certcore("plugin", "list", "-v").stdout
    assert "nobody" in certcore("plugin", "show", "nobody", expect=1).stderr
    assert certcore.json("authority", "modules")["modules"][0]["name"] == "puq_acme"
    fields = certcore.json("authority", "fields", "puq_acme")
    assert fields["schema"] == "urn:certcore:schema:fields:1"
    assert {"tech_zone", "email"} <= {field["name"] for field in fields["fields"]}
    assert "tech_zone" in certcore("authority", "fields", "puq_acme").stdout


def test_a_plugin_is_disabled_by_the_environment(certcore):
    """A disabled plugin is listed as such, and its CA module is not there."""
    disabled = {"CERTCORE_DISABLED_PLUGINS": "puq_acme"}
    listed = json.loads(certcore("plugin", "list", "--json", env=disabled).stdout)
    assert {plugin["name"]: plugin["state"] for plugin in listed["plugins"]}["puq_acme"] == "disabled"
    assert json.loads(certcore("authority", "modules", "--json", env=disabled).stdout) == {"modules": []}


def _installed(tmp_path, kind):
    """The variables of a process in which a made package is installed: as a folder with metadata, without pip."""
    make_plugin("house-ca", kind, tmp_path)
    info = tmp_path / "house-ca/src/house_ca-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: house-ca\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[certcore]\nhouse_ca = house_ca\n")
    return {"PYTHONPATH": str(info.parent), "HOME": str(tmp_path)}


def _check(tmp_path, variables, *arguments):
    arguments = ["plugin", "check", "house_ca", *arguments]
    return run(arguments, env={**os.environ, **variables}, cwd=tmp_path, timeout=_DEADLINE)


@pytest.mark.slow(reason="runs the conformance suites in a process of their own")
def test_a_broken_rule_is_named(tmp_path):
    """A module that breaks a rule, and one that cannot be loaded, end with exit code 1 and the reason."""
    variables = _installed(tmp_path, PluginKind.SIGNING_CA)
    file = tmp_path / "house-ca/src/house_ca/__init__.py"
    text = file.read_text()
    file.write_text(text.replace("return [sign_leaf(", "return [root] or [sign_leaf("))
    done = _check(tmp_path, variables)
    assert done.returncode == 1, done.stderr
    assert "FAILED" in done.stdout
    assert "rule:" in done.stdout
    file.write_text(text.replace("certcore_api = 1", "certcore_api = 99"))
    done = _check(tmp_path, variables)
    assert done.returncode == 1, done.stderr
    assert "needs version 99 of the plugin interface" in done.stdout


#: What `plugin check` is told about a plugin of each kind, and the suite that runs then.
CHECKED = {
    PluginKind.CA: (("--set", "days=7"), "ca_module"),
    PluginKind.SIGNING_CA: (("--set", "days=7"), "ca_module"),
    PluginKind.OBSERVER: (("--tell-observer",), "observer"),
    PluginKind.WRITER: (("--setup", "house_setup:written"), "zone_writer"),
    PluginKind.FORMAT: ((), "export_format"),
    PluginKind.KEYRING: (("--keyring-url", "house-ca:A_KEY"), "keyring"),
    PluginKind.POLICY: ((), "policy"),
}
#: A setup for the writer, as an author has it beside the tests.
SETUP = """
import os
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from certcore.testing import WrittenZone
from house_ca import FOLDER, HouseCA


@contextmanager
def written():
    with TemporaryDirectory() as folder:
        os.environ[FOLDER] = folder
        file = Path(folder, "acme.test.txt")
        file.touch()

        def values(name):
            lines = [line.split() for line in file.read_text().splitlines()]
            return [line[3].strip('"') for line in lines if line[0] == f"{name}."]

        yield WrittenZone(writer=HouseCA(), zone="acme.test", values=values, foreign_zone="")
"""


def test_every_kind_is_checked():
    """No kind of package is left out below."""
    assert set(CHECKED) == set(PluginKind)


@pytest.mark.slow(reason="runs the conformance suites in a process of their own")
@pytest.mark.parametrize("kind", CHECKED)
def test_a_made_plugin_conforms(tmp_path, kind):
    """`plugin check` runs the suite of its kind on an installed plugin as made, and finds nothing."""
    arguments, subject = CHECKED[kind]
    variables = {**_installed(tmp_path, kind), "A_KEY": base64.b64encode(bytes(range(32))).decode()}
    (tmp_path / "house_setup.py").write_text(SETUP)
    done = _check(tmp_path, variables, *arguments, "--json")
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"]) == (0, True), done.stdout
    assert {result["subject"] for result in report["results"]} == {subject}
    outcomes = [result["outcome"] for result in report["results"]]
    assert outcomes.count("passed") > len(outcomes) / 2
    assert not {"failed", "skipped"} & set(outcomes)


@pytest.mark.slow(reason="starts processes")
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (PluginKind.KEYRING, "The keyring was not checked: give --keyring-url."),
        (PluginKind.WRITER, "It needs a zone to write to"),
    ],
)
def test_the_check_says_what_it_left_out(tmp_path, kind, text):
    """Without what a suite needs, the check says which option gives it."""
    done = _check(tmp_path, _installed(tmp_path, kind))
    assert done.returncode == 0, done.stdout + done.stderr
    assert text in done.stdout


@pytest.mark.slow(reason="starts processes")
@pytest.mark.parametrize(
    ("setup", "text"),
    [("no_such_module:setup", "no_such_module"), ("json:dumps", "json:dumps raised"), ("json:__name__", "is a str")],
)
def test_a_setup_that_cannot_be_used_is_refused(tmp_path, setup, text):
    """It is named, with exit code 1."""
    done = _check(tmp_path, _installed(tmp_path, PluginKind.WRITER), "--setup", setup)
    assert done.returncode == 1
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow(reason="starts processes")
def test_an_observer_is_told_only_when_that_is_wanted(tmp_path):
    """An installed observer may deploy: it is told of events by the check only with --tell-observer."""
    variables = _installed(tmp_path, PluginKind.OBSERVER)
    done = _check(tmp_path, variables)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The observer was not checked: give --tell-observer." in done.stdout
    done = _check(tmp_path, variables, "--tell-observer")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed, 0 failed" in done.stdout
