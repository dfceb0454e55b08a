"""The checkout as a whole: it can be moved to any machine and any mirror, and newcomers find what they are told of."""

import re
import shutil
import subprocess

import pytest

# Written as patterns that do not match themselves.
_NEEDLES = re.compile(
    r"pypi\.org|files\.pythonhosted\.org|deb\.debian\.org|registry\.npmjs\.org"
    # A path from the root of a machine, not a part of a longer one or of a URL.
    r"|(?<![\w.\-/])/wor[k]/"
)


def test_no_file_names_a_registry_or_a_machine(root):
    """No file that git knows or would add names a package registry's host or a path of the authors' machine."""
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("this is no git checkout")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    paths = [root / name for name in listing.stdout.split("\0") if name]
    found = [
        f"{path.relative_to(root)}:{number} {match[0]}"
        for path in paths
        if path.is_file()
        for text in [path.read_text(encoding="utf-8", errors="replace")]
        if _NEEDLES.search(text)
        for number, line in enumerate(text.splitlines(), 1)
        if (match := _NEEDLES.search(line))
    ]
    assert not found


def test_what_contributors_are_sent_to_is_there(root):
    """Each file and folder that CONTRIBUTING.md names exists."""
    page = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:benchmarks|docs|scripts|src|tests)/[\w/.-]+)`|\]\((docs/[\w/.-]+)\)", page)
    paths = {path or link for path, link in named}
    assert len(paths) > 15
    assert not sorted(path for path in paths if not (root / path).exists())
