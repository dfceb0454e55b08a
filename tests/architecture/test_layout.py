"""The rooms: how big they may be, what they say they offer, and who may import whom."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib

#: About 400 lines is the rule; the rest is for a docstring that would suffer from being cut.
_MOST_LINES = 500

#: Too slow, or too much for somebody who only wants the values.
_NOT_WITH_THE_CORE = {"acme", "alembic", "josepy", "requests", "rich", "sqlalchemy", "typer"}


def _exported(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return list(ast.literal_eval(node.value))
    return None


def _bound(tree: ast.Module) -> set[str]:
    """The names that exist in a module once it is imported, read from its syntax."""
    names: set[str] = set()
    waiting: list[ast.stmt] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update(item.asname or item.name.partition(".")[0] for item in node.names)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.stmt):
                    waiting.append(child)
                elif isinstance(child, ast.ExceptHandler):
                    waiting.extend(child.body)
                else:
                    names.update(part.id for part in ast.walk(child) if isinstance(part, ast.Name))
    return names


def _rank(name: str) -> tuple[int, list[tuple[int, int, str]]]:
    """Where ruff's RUF022 puts a name: constants, then classes, then the rest, and 2 before 10."""
    kind = 0 if len(name) > 1 and name.isupper() else 1 if name[:1].isupper() else 2
    return kind, [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def test_no_module_is_too_long(sources):
    """A module over about 400 lines is two rooms that have not been told apart yet."""
    assert not [f"{module.name}: {len(module.lines)}" for module in sources if len(module.lines) > _MOST_LINES]


def test_no_file_of_tests_is_too_long(tests):
    """A file of tests ends where its subject ends; what several files use is in tests/support."""
    assert not [f"{module.name}: {len(module.lines)}" for module in tests if len(module.lines) > _MOST_LINES]


def test_what_modules_offer_is_sorted_and_real(sources):
    """`__all__` is sorted, has no doubles, and names only what is there."""
    complaints = []
    for module in sources:
        names = _exported(module.tree)
        if names is None:
            continue
        bound = _bound(module.tree)
        if "__getattr__" in bound:
            # Names that are loaded on first use exist only for those who ask.
            loaded = importlib.import_module(module.dotted)
            missing = [name for name in names if not hasattr(loaded, name)]
        else:
            missing = [name for name in names if name not in bound]
        complaints += [f"{module.name}: {name} does not exist" for name in missing]
        if names != sorted(set(names), key=_rank):
            complaints.append(f"{module.name}: not sorted, or with doubles")
    assert not complaints


def test_packages_list_what_they_pass_on(sources):
    """A package's `__init__` that re-exports names lists every one of them in `__all__`."""
    complaints = []
    for module in sources:
        if module.path.name != "__init__.py":
            continue
        passed_on = {
            item.asname or item.name
            for node in module.tree.body
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").partition(".")[0] in {"certcore", "certcore_puq_acme"}
            for item in node.names
        }
        unlisted = {name for name in passed_on if not name.startswith("_")} - set(_exported(module.tree) or [])
        if unlisted:
            complaints.append(f"{module.name}: {sorted(unlisted)}")
    assert not complaints


def test_every_error_is_public(sources):
    """Whoever catches errors finds all of them in `certcore.errors.__all__`."""
    rooms = [module for module in sources if module.name.startswith("certcore/errors/")]
    (public,) = (_exported(module.tree) for module in rooms if module.path.name == "__init__.py")
    classes = {
        node.name
        for module in rooms
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    }
    assert classes == set(public or [])


def test_importing_certcore_is_light(importable):
    """`import certcore` loads no ACME client, no database and no command line."""
    script = f"import sys, certcore; print(*sorted({_NOT_WITH_THE_CORE!r} & set(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-c", script], env=importable, capture_output=True, text=True, timeout=240, check=False
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")


def test_a_new_database_file_loads_no_migrations_and_no_servers(importable, tmp_path):
    """Opening one loads neither Alembic nor what PostgreSQL and MySQL have of their own: a third of a second."""
    script = (
        "import sys; from certcore.adapters.sql import open_storage; open_storage(sys.argv[1]).close();"
        "print(*sorted({'alembic', 'sqlalchemy.dialects.mysql', 'sqlalchemy.dialects.postgresql'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path / 'certcore.db'}"]
    run = subprocess.run(command, env=importable, capture_output=True, text=True, timeout=240, check=False)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")


def test_imports_point_down(importable, root):
    """The contracts of import-linter hold: layers, the pure rooms, and what a plugin may see."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command as run; run()",
            "--no-cache",
            "--no-logo",
        ],
        cwd=root,
        env=importable,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_architecture_page_has_every_layer(root):
    """The table of packages names the layers that import-linter checks, from the top down."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["id"] == "layers")
    page = (root / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`certcore\.[^|]*) \|", page, re.MULTILINE)
    assert [set(re.findall(r"`certcore\.(\w+)`", row)) for row in rows] == [set(layer.split(" | ")) for layer in layers]
