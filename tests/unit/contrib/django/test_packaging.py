"""What a panel gets with ``pip install``: the files of the app, and htmx as its authors published it."""

import hashlib
import re
import zipfile
from pathlib import Path

import pytest

import certcore

ROOT = Path(__file__).parents[4]
APP = Path(certcore.__file__).parent / "contrib/django"
STATIC = APP / "static/certcore"


@pytest.mark.slow(reason="builds a wheel")
def test_the_wheel_has_templates_static_files_and_translations(tmp_path):
    """Every file of the app that is no code is in the wheel, too."""
    builder = pytest.importorskip("hatchling.builders.wheel").WheelBuilder(str(ROOT))
    wheel = next(builder.build(directory=str(tmp_path), versions=["standard"]))
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = {
        f"certcore/contrib/django/{path.relative_to(APP).as_posix()}"
        for path in APP.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {"templates", "static", "locale"} <= {Path(name).parts[3] for name in files if len(Path(name).parts) > 3}
    assert files - packed == set()


def test_htmx_is_the_published_file():
    """The hash beside it is that of the file, its licence is there, and it evaluates nothing here."""
    digest, name = (STATIC / "htmx.min.js.sha256").read_text().split()
    assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE.txt").read_text()
    head = (APP / "templates/certcore/_head.html").read_text()
    assert '"allowEval": false' in head
    assert '"includeIndicatorStyles": false' in head


def test_pages_have_no_inline_code_and_no_addresses_of_others():
    """No inline script or style, no event attribute, and nothing that is loaded from another host."""
    faults = []
    for path in APP.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for pattern in (
            r"<style",
            r"\sstyle=",
            r"<script(?![^>]*\ssrc=)",
            r"\son\w+=",
            r"(?:src|href)=[\"']?(?:https?:)?//",
        ):
            faults += [f"{path.name}: {match}" for match in re.findall(pattern, text)]
    assert faults == []
