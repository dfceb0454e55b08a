"""The docs and the README are true: their code runs, their links lead somewhere, their tables are the code's."""

import ast
import contextlib
import importlib.util
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
import typer.main

import certcore
from certcore.cli.app import app
from certcore.model.hints import DnsRecords
from certcore.testing.dns_zone import MemoryZone
from certcore.testing.pebble import Pebble
from support.command_server import commands_of
from support.forked import run_script

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: In the docs a public CA is used; in the tests nothing leaves this machine.
PUBLIC_CA = '"ca": "letsencrypt", '
needs_pebble = pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed")


def _blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def _port_of_its_own():
    """A port for a server that starts after others: below those that the test kit chooses from for them."""
    for port in random.sample(range(10_000, 12_000), 100):
        with contextlib.suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def _anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link of a page leads to a file that is there, and to a heading that it has."""
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in _anchors(found), target


def test_every_page_can_be_reached():
    """From docs/index.md a reader gets to every page."""
    linked = set(re.findall(r"\]\(([^)#]+)\)", (ROOT / "docs/index.md").read_text(encoding="utf-8")))
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert pages - linked == {"index.md"}


def test_reference_pages_are_up_to_date():
    """States, errors, events, hooks, settings and commands in the docs are those of the code."""
    run = subprocess.run(
        [sys.executable, ROOT / "docs/generate.py", "--check"], capture_output=True, text=True, check=False, timeout=240
    )
    assert (run.returncode, run.stdout) == (0, ""), run.stderr


@pytest.mark.parametrize("name", ["reference/tested-with.md", "explanation/security.md"])
def test_the_tests_that_the_docs_name_are_there(name):
    """The pages that say which test shows something name no test that does not exist."""
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    there = {
        name
        for path in (*(ROOT / "tests").rglob("test_*.py"), *(ROOT / "src/certcore/testing/contracts").glob("*.py"))
        for name in re.findall(r"^ *def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20
    assert named <= there


def test_the_files_and_functions_that_the_architecture_names_are_there():
    """Whoever follows a way through the code finds each file, and in it each function, class and method."""
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    steps = re.findall(r"`(certcore\w*/[\w/]+\.py)`\s+\(([^)]*)\)", page)
    assert len(steps) > 25
    missing = []
    for file, names in steps:
        tree = ast.parse((ROOT / "src" / file).read_text(encoding="utf-8"))
        for name in re.findall(r"`([\w.]+)`", names):
            node = tree
            for part in name.split("."):
                defined = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef | ast.ClassDef)}
                node = defined.get(part)
                if node is None:
                    missing.append(f"{file}: {name}")
                    break
    assert not missing


@pytest.mark.pebble
@needs_pebble
def test_the_readme_issues_a_certificate(tmp_path, monkeypatch):
    """The README's Python, as it is printed there, leads to an active certificate; only the CA is Pebble."""
    monkeypatch.chdir(tmp_path)
    setup, background = _blocks(ROOT / "README.md", "python")
    zone = MemoryZone("example.com")
    with contextlib.ExitStack() as running:
        port = _port_of_its_own()
        pebble = running.enter_context(Pebble.start(dns_server=f"127.0.0.1:{port}"))
        local = {"ca": "custom", "directory_url": pebble.directory_url, "trusted_roots": pebble.roots_pem}
        local["dns_servers"] = f"127.0.0.1:{port}"
        assert PUBLIC_CA in setup
        names = {}
        exec(setup.replace(PUBLIC_CA, f"**{local!r}, "), names)
        core = names["core"]
        running.callback(core.close)
        server = core.dns_server(listen=("127.0.0.1", port), module="puq_acme", also=[zone])
        running.callback(server.close)
        (records,) = (hint for hint in core.certificates.hints(names["certificate"].id) if isinstance(hint, DnsRecords))
        for row in records.rows:
            zone.set(row.name, row.type, row.value)
        exec(background, names)
        running.callback(names["worker"].stop)
        assert names["worker"].wait_until_idle(timeout=240)
        assert core.certificates.get(names["certificate"].id).status == "active"


@pytest.mark.parametrize(
    "page",
    [page for page in sorted((ROOT / "docs/how-to").glob("*.md")) if _blocks(page, "python")],
    ids=lambda page: page.stem,
)
def test_how_to_code_runs(page, tmp_path):
    """The Python of a how-to runs from top to bottom in an empty folder."""
    code = "\n".join(_blocks(page, "python"))
    # The process has parts of certcore already, which would hide that a page uses one without importing it.
    assert {
        node.attr
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "certcore"
    } <= {*certcore.__all__}
    local = '"ca": "custom", "directory_url": "https://127.0.0.1:9/dir", "dns_servers": ["127.0.0.1:9"], '
    script = tmp_path / "page.py"
    script.write_text(code.replace(PUBLIC_CA, local), encoding="utf-8")
    # Pages about a package under examples import it as if it were installed.
    packages = os.pathsep.join(map(str, sorted(ROOT.glob("examples/*/src"))))
    env = os.environ | {"PYTHONPATH": os.pathsep.join((packages, os.environ.get("PYTHONPATH", "")))}
    done = run_script(script, env=env, cwd=tmp_path, timeout=240)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def environment_of_its_own(tmp_path):
    """A fresh virtual environment that finds what this one has, so that nothing has to be downloaded; its variables."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=240)
    python = folder / "bin/python"
    (packages,) = folder.glob("lib/*/site-packages")
    (packages / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    for name, command in {
        "pip": f'exec {sys.executable} -m pip --python {python} "$@"',
        "certcore": f'exec {python} -m certcore "$@"',
    }.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{command}\n")
        (folder / "bin" / name).chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("CERTCORE_", "PIP_"))}
    variables |= {"PATH": f"{folder / 'bin'}:{variables['PATH']}", "HOME": str(tmp_path)}
    variables |= {"CERTCORE_DATABASE_URL": str(tmp_path / "c.db"), "CERTCORE_KEYRING": str(tmp_path / "keyring.json")}
    variables["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"  # which asks the package index
    if importlib.util.find_spec("hatchling"):  # else pip gets it
        variables["PIP_NO_BUILD_ISOLATION"] = "0"  # which is how pip spells "none"
    return variables


def test_the_package_of_the_how_to_works(tmp_path, environment_of_its_own):
    """Every command of the page, from an empty folder: a package is made, tested, issues, and does so as a wheel."""
    page = (ROOT / "docs/how-to/write-a-ca-module.md").read_text(encoding="utf-8")
    run = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "\n".join(_blocks(ROOT / "docs/how-to/write-a-ca-module.md", "bash"))],
        cwd=tmp_path,
        env=environment_of_its_own,
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert len(re.findall(r"^status +active", run.stdout, re.MULTILINE)) == 2
    assert re.search(r"^\d+ passed", run.stdout, re.MULTILINE)
    assert "could not be loaded" not in run.stderr
    assert "Successfully installed house-ca-0.1.0" in run.stdout
    assert (tmp_path / "dist/house_ca-0.1.0-py3-none-any.whl").is_file()
    printed = dict(re.findall(r"^`house-ca/(\S+)`:\n\n```\w+\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    assert set(printed) == {"pyproject.toml", "src/house_ca/__init__.py", "tests/test_house_ca.py"}
    for path, text in printed.items():
        assert (tmp_path / "house-ca" / path).read_text(encoding="utf-8") == text


@pytest.mark.pebble
@needs_pebble
def test_the_tutorial_ends_with_an_active_certificate(tmp_path):
    """Every command of the tutorial, from an empty folder: the certificate is active, verified, and all is stopped."""
    port = _port_of_its_own()
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
    script += "\n".join(_blocks(ROOT / "docs/tutorial/first-certificate.md", "bash"))
    assert "127.0.0.1:5300" in script
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CERTCORE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    with commands_of(sys.executable, tmp_path / "commands", environment) as commands:
        environment["PATH"] = f"{commands}:{environment['PATH']}"
        run = subprocess.run(
            ["bash", "-c", script.replace("127.0.0.1:5300", f"127.0.0.1:{port}")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"^status +active", run.stdout, re.MULTILINE)
    assert "site/cert.pem: OK" in run.stdout
    assert "Traceback" not in run.stderr
    assert (tmp_path / "site/privkey.pem").stat().st_mode & 0o777 == 0o600
    deadline = time.monotonic() + 60
    while _listening(port):
        assert time.monotonic() < deadline, "the DNS server still runs"
        time.sleep(0.05)


def _listening(port):
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


def _typed_commands(page):
    """The commands of a page that begin with ``certcore``, as words; lines that end with a backslash are joined."""
    for block in _blocks(page, "(?:sh|bash|console)"):
        for line in block.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ")
            if command.startswith("certcore "):
                yield re.split(r" #|[|<>&;]", command)[0].split()[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_exist(page):
    """Each command that a page shows exists, and so do its options."""
    for words in _typed_commands(page):
        command, path = typer.main.get_command(app), []
        for word in words:
            options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            if word.startswith("--"):
                assert word.partition("=")[0] in options, (words, word)
            elif hasattr(command, "commands"):
                assert word in command.commands, (words, word)
                command = command.commands[word]
                path.append(word)
        assert path or words[0].startswith("--"), words
