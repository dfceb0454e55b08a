"""The test kit with the oldest and the newest pytest that the extra ``testing`` allows."""

import os
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KIT = Path("tests/unit/testing/test_pytest_plugin.py")
#: What `pip` and the tests of the kit may take on a busy machine.
_DEADLINE = 500


def _requirement():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (requirement,) = extras["testing"]
    return requirement


def _run(*command, **variables):
    return subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=_DEADLINE,
        check=False,
    )


@pytest.mark.slow(reason="installs pytest in a virtual environment, and runs the tests of the kit there")
@pytest.mark.parametrize(
    "requirement",
    [
        # `make test-lowest` holds all lower bounds, this one with the same tests; the gate downloads nothing for it.
        pytest.param(_requirement().replace(">=", "=="), id="oldest", marks=pytest.mark.soak),
        # Which one that is changes by itself, so it does not decide about a change of certcore.
        pytest.param(_requirement(), id="newest", marks=pytest.mark.soak),
    ],
)
def test_the_kit_works_with_the_oldest_and_the_newest_pytest(requirement, tmp_path):
    """Fixtures, a test for each rule, and asserts that are explained, without any other plugin of pytest."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True, timeout=_DEADLINE)
    python = tmp_path / "bin/python"
    # Without the constraints of this environment, which pin one version.
    installed = _run(sys.executable, "-m", "pip", "--python", python, "install", "-q", requirement, PIP_CONSTRAINT="")
    if "Retrying" in installed.stderr and installed.returncode:
        pytest.skip("no package index can be reached")
    assert installed.returncode == 0, installed.stderr
    (packages,) = tmp_path.glob("lib/*/site-packages")
    (packages / "outer.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    options = ["-c", os.devnull, "--rootdir", KIT.parent, "--confcutdir", KIT.parent, "-p", "no:cacheprovider"]
    chosen = ["--import-mode=importlib", "-m", "not pebble and not integration", KIT]
    run = _run(python, "-m", "pytest", *options, *chosen, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS="")
    assert run.returncode == 0, run.stdout + run.stderr
    version = requirement.partition("==")[2]
    assert f"pytest-{version}" in run.stdout
    assert "6 passed" in run.stdout
