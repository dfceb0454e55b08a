"""The tutorial of the Django panel as it is printed: its commands, its edits, and what it says to click and fill in."""

import contextlib
import os
import random
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from support.reader import Reader

PAGE = (Path(__file__).parents[2] / "docs/tutorial/django-panel.md").read_text(encoding="utf-8")
#: What is appended to a file, and what a shell is given; in the order of the page.
STEPS = re.findall(r"^(?:Append to `([^`]+)`:\n\n```python|```bash)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
EDITS = [(file, text) for file, text in STEPS if file]
#: What is filled in, by the heading above.
TABLES = {
    heading: dict(re.findall(r"^\| (?!field)(?!---)([^|]+?) \| ([^|]+?) \|$", text, re.MULTILINE))
    for heading, text in re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
PATIENCE = 240
#: More than one line that somebody writes by hand is more than the app should ask for.
MOST_LINES = 12
TO_COPY = "VALUE-FROM-THE-PAGE"


def test_little_is_written_by_hand():
    """Two files of a fresh project are edited, and at most twelve lines are written."""
    lines = [line for _, text in EDITS for line in text.splitlines() if line.strip()]
    assert {file for file, _ in EDITS} == {"panel/settings.py", "panel/urls.py"}
    assert 3 < len(lines) <= MOST_LINES


@pytest.mark.pebble
@pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed")
def test_the_tutorial_ends_with_an_active_certificate(tmp_path):
    """From `django-admin startproject`: the pages of the section lead to a certificate that Pebble has issued."""
    dns, web = (f"127.0.0.1:{port}" for port in _ports_of_their_own(2))
    script = _script().replace("127.0.0.1:5300", dns).replace("127.0.0.1:8000", web)
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("CERTCORE_", "DJANGO_"))}
    variables["PATH"] = f"{Path(sys.executable).parent}:{variables['PATH']}"
    log = tmp_path / "log"
    project = tmp_path / "project"
    project.mkdir()
    with log.open("wb") as output:
        shell = subprocess.Popen(["bash", "-c", script], cwd=project, env=variables, stdout=output, stderr=output)
    try:
        with contextlib.closing(Reader.arrive(f"http://{web}")) as root:
            _walk(root, project, dns, lambda: _still(shell, log))
        (project / "done").touch()
        assert shell.wait(PATIENCE) == 0, log.read_text()
    finally:
        shell.terminate()
        shell.wait(PATIENCE)
    assert "Traceback" not in log.read_text()


def _script():
    """The commands and edits, with stops for what is done in the browser."""
    parts = ["set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\ntrap 'exit 1' TERM\n"]
    for file, text in STEPS:
        if file:
            parts.append(f"cat >> {file} <<'EDIT'\n{text}EDIT\n")
        elif TO_COPY in text:
            parts += ["until [ -s value ]; do sleep 0.1; done\n", text.replace(TO_COPY, "'\"$(cat value)\"'")]
        elif text.startswith("kill"):
            parts += ["until [ -e done ]; do sleep 0.1; done\n", text]
        else:
            parts.append(text)
    return "".join(parts)


def _walk(root, project, dns, still):
    """What the page says to do in the browser."""
    password = re.search(r"DJANGO_SUPERUSER_PASSWORD=(\S+)", PAGE)[1]
    _until(lambda: _answers(root), still)
    root.visit("/ssl/")
    root.press("Log in", username="root", password=password)
    _follow_bold(root, "CA profiles", "Create a CA profile")
    root.press("Save and Test", **_filled(TABLES["3. A CA profile"], project, dns))
    root.press("Test now")
    assert "All checks passed." in root.page.text, root.page.text
    _follow_bold(root, "SSL certificates", "Create")
    root.press("Save", **_filled(TABLES["4. A certificate"], project, dns))
    root.press("Generate CSR")
    address = root.page.path
    value = re.search(r"\b\w{26}\.acme\.panel\.test", root.page.text)[0]
    (project / "value").write_text(value)
    _until(lambda: "Certificate is active!" in root.visit(address).text, still)
    root.follow("Export")
    exported = root.press("Download", reason="the tutorial").response
    assert exported.headers["content-disposition"].startswith("attachment")


def _follow_bold(root, *texts):
    """Click links that the page names in bold."""
    for text in texts:
        assert re.search(rf"\*\*(\+ )?{text}\*\*", PAGE), text
        root.follow(text)


def _filled(table, project, dns):
    """The values of a table, by label."""

    def value(text):
        if file := re.fullmatch(r"what is in `([^`]+)`", text):
            return (project / file[1]).read_text().strip()
        return True if text == "yes" else text.replace("127.0.0.1:5300", dns)

    return {label.replace(" ", "_"): value(text) for label, text in table.items()}


def _answers(reader):
    try:
        return reader.client.get("/admin/login/").status_code == 200
    except httpx.TransportError:
        return False


def _until(condition, still):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        still()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def _still(shell, log):
    assert shell.poll() is None, log.read_text()


def _ports_of_their_own(count):
    """Ports for servers that start after others: below those that the test kit chooses from for them."""
    found = []
    for port in random.sample(range(10_000, 12_000), 100):
        with contextlib.suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError("no ports are free")
