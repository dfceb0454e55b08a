"""The scripts in examples/scripts do what they say, against a real ACME server."""

import ast
import os
import shlex
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

import certcore
from support.forked import run as run_certcore
from support.forked import run_script
from support.leaves import bought

SCRIPTS = Path(__file__).parents[2] / "examples" / "scripts"


@pytest.fixture
def run(panel):
    """Runs a script in the panel's folder, where its store is."""

    def run_one(name, *arguments, expect=0, folder=panel.folder):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CERTCORE_")}
        done = run_script(SCRIPTS / f"{name}.py", *map(str, arguments), env=environment, cwd=folder, timeout=500)
        assert done.returncode == expect, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run_one


def test_every_script_is_tried():
    """No script is left out below."""
    tried = Path(__file__).read_text(encoding="utf-8")
    assert not [path.name for path in SCRIPTS.glob("*.py") if f'"{path.stem}"' not in tried]


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda script: script.stem)
def test_a_script_imports_what_it_uses(script):
    """The processes below have all parts of certcore; a script alone has those of its imports and the public names."""
    used = {
        node.attr
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "certcore"
    }
    assert used <= {*certcore.__all__}


@pytest.mark.parametrize("name", ["obtain", "obtain_many", "import_bought"])
def test_a_script_without_arguments_says_what_it_wants(run, name):
    """The help is the script's own description."""
    assert f"python {name}.py" in run(name, expect=1)


@pytest.mark.pebble
def test_obtaining_one_and_many(panel, start_pebble, run):
    """A certificate from nothing, its files where nginx reads them; the second run changes nothing; then several."""
    ca = start_pebble()
    profile = panel.profile(ca.directory_url, ca.roots_pem)
    for domain in ("one.shop.test", "a.shop.test", "b.shop.test"):
        draft = panel.core.certificates.create(domain, authority=profile.id)
        panel.set_cnames(draft.id)
    said = run("obtain", "one.shop.test", "ca", panel.folder / "site")
    assert "one.shop.test is active" in said
    live = panel.folder / "site" / "live"
    leaf = x509.load_pem_x509_certificate((live / "fullchain.pem").read_bytes())
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
        x509.DNSName
    ) == ["one.shop.test"]
    assert "new files: none" in run("obtain", "one.shop.test", "ca", panel.folder / "site")
    said = run("obtain_many", "ca", "a.shop.test", "b.shop.test")
    assert said.count("active until") == 2


def test_a_script_without_its_store_says_so(run, tmp_path):
    """In a folder without a store: a sentence, and for a monitoring system another code than "found some"."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "keyring" in run("ends_soon", expect=2, folder=elsewhere)
    for name, arguments in (
        ("obtain", ("one.shop.test", "ca", "site")),
        ("obtain_many", ("ca", "one.shop.test")),
        ("import_bought", ("bought.pem", "key.pem")),
    ):
        assert "keyring" in run(name, *arguments, expect=1, folder=elsewhere)
    assert not list(elsewhere.iterdir())


def test_the_commands_that_the_script_names_make_its_store(run, tmp_path):
    """What obtain.py says in its help, typed in an empty folder, makes the store that it opens."""
    said = run("obtain", expect=1)
    commands = [shlex.split(line) for line in said.splitlines() if line.strip().startswith("certcore ")]
    assert [command[1] for command in commands] == ["init", "authority"]
    settings = ["ca=custom", "directory_url=https://127.0.0.1:9/dir", "tech_zone=acme.panel.test"]
    settings += ["dns_servers=127.0.0.1:9", "terms_agreed=yes"]
    for command in commands:
        at = command.index("--set") if "--set" in command else len(command)
        command[at : at + 2] = (
            [part for setting in settings for part in ("--set", setting)] if "--set" in command else []
        )
        environment = {**os.environ, "HOME": str(tmp_path / "home")}
        done = run_certcore(command[1:], env=environment, cwd=tmp_path, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
    assert run("ends_soon", folder=tmp_path) == ""
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("days", ["soon", "-1", "1.5", "9" * 5000])
def test_an_argument_that_is_no_number_is_told(run, days):
    """Two, and not one: nothing was looked at."""
    assert "whole number" in run("ends_soon", days, expect=2)


def test_files_that_are_not_there_are_told(run, panel):
    """A missing file and a folder, each by its name."""
    assert "missing.pem cannot be read: No such file" in run("import_bought", "missing.pem", "key.pem", expect=1)
    assert f"{panel.folder} cannot be read" in run("import_bought", panel.folder, "key.pem", expect=1)


def test_a_name_that_nobody_proves_is_told(panel, run):
    """The CNAME to set is printed; what goes wrong is a sentence."""
    panel.profile("https://127.0.0.1:9/dir")
    said = run("obtain", "one.shop.test", "nobody", panel.folder / "site", expect=1)
    assert "CA profile" in said


def test_importing_and_looking_after(panel, run):
    """A bought certificate comes in; what ends soon, and is renewed by nobody, is named and fails the check."""
    now = panel.environment.now()
    leaf, key = bought("bought.test", now=now, lifetime=timedelta(days=10))
    (panel.folder / "bought.pem").write_text(leaf)
    (panel.folder / "key.pem").write_text(key)
    assert run("ends_soon") == ""
    said = run("import_bought", "bought.pem", "key.pem")
    assert "is not renewed" in said
    assert "9 days remaining" in said
    assert "bought.test (active)" in run("ends_soon", expect=1)
    assert run("ends_soon", 5) == ""
    panel.profile("https://127.0.0.1:9/dir", dns_servers=["127.0.0.1:9"])
    assert "is here already" in run("import_bought", "bought.pem", "key.pem", "ca", expect=1)
