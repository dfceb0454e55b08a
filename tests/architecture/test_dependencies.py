"""What is imported is declared, and what is declared is imported."""

import ast
import re
import runpy
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.version import Version

#: Declared, and not imported by us: SQLAlchemy and Celery load them by the URL that they are given, and dns-lexicon is
#: loaded by its name, in a process of its own.
_LOADED_BY_OTHERS = {"dns-lexicon", "psycopg", "pymysql"}
_OURS = {"certcore", "certcore_puq_acme"}
#: Extras of those who work on certcore itself.
_OF_DEVELOPERS = {"dev", "docs"}
#: Only type checkers import it (under TYPE_CHECKING), and they bring it: typeshed keeps it beside the standard library.
_OF_TYPE_CHECKERS = {"typing_extensions"}


def _name(requirement):
    """The normalised name of a requirement (PEP 503), without extras and versions."""
    return re.sub(r"[-_.]+", "-", re.match(r"[A-Za-z0-9._-]+", requirement)[0]).lower()


def _declared(root):
    """The run-time dependencies, those of the extras for users included."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = [
        value
        for name, values in project["optional-dependencies"].items()
        if name not in _OF_DEVELOPERS
        for value in values
    ]
    return {_name(requirement) for requirement in (*project["dependencies"], *extras)}


def _imported(sources):
    """The top-level packages that the modules of src import, with one module for each."""
    found = {}
    for module in sources:
        for node in module.nodes:
            if isinstance(node, ast.Import):
                names = [item.name for item in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            else:
                continue
            found.update((name.partition(".")[0], module.name) for name in names)
    return {
        name: module
        for name, module in found.items()
        if name not in sys.stdlib_module_names | _OURS | _OF_TYPE_CHECKERS
    }


@pytest.fixture(scope="module")
def distributions():
    """The installed distributions by the names of their packages: their lists of files are read once."""
    return packages_distributions()


def test_every_import_is_declared(sources, root, distributions):
    """Whoever installs certcore with its extras has every package that src imports, and not by accident."""
    declared = _declared(root)
    missing = {
        name: module
        for name, module in _imported(sources).items()
        if not declared & {_name(distribution) for distribution in distributions.get(name, [name])}
    }
    assert missing == {}


def test_every_dependency_is_imported(sources, root, distributions):
    """No package is installed for nothing."""
    imported = {_name(found) for name in _imported(sources) for found in distributions.get(name, [name])}
    assert _declared(root) - imported - _LOADED_BY_OTHERS == set()


def test_lower_bounds_are_not_above_what_is_tested(root):
    """Every requirement has a lower bound, and `make test`, which installs constraints.txt, keeps it."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    lower_bounds = runpy.run_path(str(root / "scripts/lower_bounds.py"))["lower_bounds"]
    lines = (root / "constraints.txt").read_text().splitlines()
    tested = {_name(line): Version(line.partition("==")[2]) for line in lines if not line.startswith("#")}
    bounds = {_name(bound): Version(bound.partition("==")[2]) for bound in lower_bounds(project)}
    assert len(bounds) > 20
    assert {name: bound for name, bound in bounds.items() if bound > tested[name]} == {}
