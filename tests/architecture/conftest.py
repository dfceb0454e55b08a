"""The source, parsed once, for the tests that hold the shape of the code."""

import ast
import gc
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from support.django_panel import configure

ROOT = Path(__file__).parents[2]


# The modules of the Django app are imported by some tests; they need a project.
configure()


@dataclass(frozen=True)
class Module:
    """One Python file."""

    path: Path

    @cached_property
    def name(self) -> str:
        """The path below the checkout, or below src: ``certcore/model/names.py``."""
        return self.path.relative_to(ROOT).as_posix().removeprefix("src/")

    @cached_property
    def dotted(self) -> str:
        """The name that an import statement uses."""
        return self.name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @cached_property
    def text(self) -> str:
        """What the file holds."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def lines(self) -> list[str]:
        """Its lines."""
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax."""
        return ast.parse(self.text, filename=self.name)

    @cached_property
    def aliases(self) -> dict[str, str]:
        """Which dotted name each imported name stands for."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for item in node.names:
                    first = item.name.partition(".")[0]
                    found[item.asname or first] = item.name if item.asname else first
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for item in node.names:
                    found[item.asname or item.name] = f"{node.module}.{item.name}"
        return found

    def resolve(self, node: ast.expr) -> str:
        """The dotted name behind ``name.attribute.attribute``; empty when it does not start at an import."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return ""
        return ".".join([self.aliases[node.id], *reversed(parts)])

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the syntax, but for whether a name is read or written: that is an attribute of the name."""
        nodes: list[ast.AST] = [self.tree]
        for node in nodes:  # which grows meanwhile
            for name in node._fields:
                if name == "ctx":
                    continue
                value = getattr(node, name, None)
                if isinstance(value, list):
                    nodes += [item for item in value if isinstance(item, ast.AST)]
                elif isinstance(value, ast.AST):
                    nodes.append(value)
        return nodes

    @cached_property
    def calls(self) -> list[ast.Call]:
        """Every call."""
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    @cached_property
    def uses(self) -> list[tuple[int, str]]:
        """Every imported thing that is named in the code or imported, with its line."""
        return list(self._uses())

    def _uses(self) -> Iterator[tuple[int, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Attribute | ast.Name):
                if name := self.resolve(node):
                    yield node.lineno, name
            elif isinstance(node, ast.Import):
                yield from ((node.lineno, item.name) for item in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield from ((node.lineno, f"{node.module}.{item.name}") for item in node.names)


def _modules(*folders: str) -> list[Module]:
    """The modules below some folders, parsed, and kept to the end.

    The garbage collector is off meanwhile, and leaves them alone afterwards: it took twice as long as the parsing.
    """
    modules = [Module(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    gc.disable()
    try:
        assert all(module.nodes for module in modules)
    finally:
        gc.freeze()
        gc.enable()
    return modules


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def sources() -> list[Module]:
    """Every module of both packages."""
    return _modules("src")


@pytest.fixture(scope="session")
def tests() -> list[Module]:
    """Every module under tests, these included."""
    return _modules("tests")


@pytest.fixture
def importable() -> dict[str, str]:
    """An environment in which a new interpreter finds both packages, installed or not."""
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(ROOT / "src")}
