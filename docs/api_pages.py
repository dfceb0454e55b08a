"""The reference of the public names: a page for each public namespace, made while Sphinx builds.

A name that several namespaces have is described in the first of them; the tables of the others lead there.
"""

from __future__ import annotations

import builtins
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from enum import Enum
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final

import django
from attrs import NOTHING
from django.conf import settings
from sphinx.addnodes import pending_xref

import certcore.contrib

#: In the order in which they are described; what ``certcore.contrib`` holds follows them.
_NAMESPACES: Final = (
    "certcore",
    "certcore.errors",
    "certcore.plugin",
    "certcore.hookspecs",
    "certcore.hints",
    "certcore.serialization",
    "certcore.testing",
)
#: Classes that no namespace has, because nobody makes them: what attributes of `CertCore` are.
_BEHIND: Final = MappingProxyType(
    {
        "certcore": (
            "certcore.services.certificates.Certificates",
            "certcore.services.authorities.Authorities",
            "certcore.services.sealing_keys.SealingKeys",
        )
    }
)
#: Stands for a colon while Napoleon reads a docstring.
_COLON: Final = "\N{SYMBOL FOR UNIT SEPARATOR}"
#: Classes whose members everybody knows.
_FOREIGN: Final = ("object", "str", "int", "Enum", "StrEnum", "IntEnum", "Generic", "Protocol", "Mapping", "dict")
#: What they share between themselves, and nobody imports.
_INNER: Final = frozenset({"certcore.contrib.validators"})


def configure_django() -> None:
    """Give Django settings, without which ``certcore.contrib.django`` cannot be imported; no database is opened."""
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "certcore.contrib.django"],
        CERTCORE={"DATABASE": "sqlite:///certcore.db", "KEYRING": "keyring.json"},
    )
    django.setup()


@cache
def namespaces() -> tuple[str, ...]:
    """The public namespaces, in the order of their pages."""
    found = sorted(module.name for module in pkgutil.iter_modules(certcore.contrib.__path__, "certcore.contrib."))
    return (*_NAMESPACES, *(name for name in found if name not in _INNER))


@cache
def _described() -> dict[int, tuple[str, Any]]:
    """The identity of each public object → the name under which it is described, and the object."""
    described: dict[int, tuple[str, Any]] = {}
    for namespace in namespaces():
        for name, value in _public(importlib.import_module(namespace)):
            if not isinstance(value, ModuleType | str):
                described.setdefault(id(value), (f"{namespace}.{name}", value))
        for place in _BEHIND.get(namespace, ()):
            value = _named(place)
            described.setdefault(id(value), (place, value))
    return described


def _named(place: str) -> Any:
    module, _, name = place.rpartition(".")
    return getattr(importlib.import_module(module), name)


def _public(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name in getattr(module, "__all__", ()):
        if not name.startswith("__"):
            yield name, getattr(module, name)


@cache
def _places() -> dict[str, str]:
    """Where each public class or function is described, by the name that it has where it is written."""
    return {
        f"{value.__module__}.{value.__qualname__}": place
        for place, value in _described().values()
        if hasattr(value, "__qualname__")
    }


@cache
def _short_names() -> dict[str, str]:
    """Where each is described, by its last name alone, if only one has it."""
    places: dict[str, set[str]] = {}
    for place, _ in _described().values():
        places.setdefault(place.rpartition(".")[2], set()).add(place)
    return {name: found.pop() for name, found in places.items() if len(found) == 1}


def _directive(namespace: str, name: str, value: Any) -> list[str]:
    """The description of one name; nothing if another page has it."""
    full = f"{namespace}.{name}"
    if isinstance(value, ModuleType):
        return [] if value.__name__ in namespaces() else _module(full, value)
    if isinstance(value, str):
        return [f".. autodata:: {full}", ""]
    if _described()[id(value)][0] != full:
        return []
    if inspect.isclass(value):
        return _class(full, value)
    if inspect.isroutine(value):
        return [f".. autofunction:: {full}", ""]
    return [f".. autodata:: {full}", "   :no-value:", ""]


def _class(place: str, value: type) -> list[str]:
    lines = [f".. autoclass:: {place}", "   :members:", "   :undoc-members:"]
    if issubclass(value, BaseException):
        return [*lines, "   :show-inheritance:", ""]
    return [*lines, f"   :inherited-members: {', '.join(_FOREIGN)}", ""]


def _module(place: str, module: ModuleType) -> list[str]:
    elsewhere = [name for name, value in _public(module) if _described().get(id(value), (place,))[0] != place]
    lines = [f".. automodule:: {module.__name__}", "   :members:", f"   :exclude-members: {', '.join(elsewhere)}", ""]
    title = f"{place} ({module.__name__})"
    return [title, "-" * len(title), "", *lines]


def _overview(namespace: str, names: list[tuple[str, Any]]) -> list[str]:
    """A table of the names of a namespace, each with its first sentence."""
    rows = ["Names", "-----", "", ".. list-table::", "   :widths: 30 70", ""]
    for name, value in names:
        if isinstance(value, ModuleType):
            link = f":doc:`{name} <{value.__name__}>`" if value.__name__ in namespaces() else f"``{name}``"
        elif isinstance(value, str):
            link = f":py:obj:`{name} <{namespace}.{name}>`"
        else:
            link = f":py:obj:`{name} <{_described()[id(value)][0]}>`"
        rows += [f"   * - {link}", f"     - {_first_sentence(value)}"]
    return [*rows, ""]


def _first_sentence(value: Any) -> str:
    if not (isinstance(value, ModuleType) or inspect.isclass(value) or inspect.isroutine(value)):
        return ""  # what the docstring of its type says is not about this value
    paragraph = (inspect.getdoc(value) or "").split("\n\n")[0].removesuffix("::")
    return " ".join(paragraph.split())


def _page(namespace: str) -> str:
    module = importlib.import_module(namespace)
    names = list(_public(module))
    names += [(place.rpartition(".")[2], _named(place)) for place in _BEHIND.get(namespace, ())]
    lines = [namespace, "=" * len(namespace), "", f".. automodule:: {namespace}", "   :no-members:", ""]
    lines += [*_overview(namespace, names), "Descriptions", "------------", ""]
    modules = [(name, value) for name, value in names if isinstance(value, ModuleType)]
    for name, value in [*(pair for pair in names if pair not in modules), *modules]:
        place = _described().get(id(value), ("",))[0]
        lines += _class(place, value) if place in _BEHIND.get(namespace, ()) else _directive(namespace, name, value)
    return "\n".join(lines)


def write(folder: Path) -> None:
    """Write the pages; one that has not changed keeps its time, so that Sphinx does not read it again."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.rst"):
        if old.stem not in namespaces():
            old.unlink()
    for namespace in namespaces():
        page, text = folder / f"{namespace}.rst", _page(namespace)
        if not page.is_file() or page.read_text(encoding="utf-8") != text:
            page.write_text(text, encoding="utf-8")


def leave_builtins(_app: Any, page: Any) -> None:
    """Make no links of the built-in types: attributes called ``type`` or ``id`` are something else."""
    for node in list(page.findall(pending_xref)):
        if node.get("refdomain") == "py" and hasattr(builtins, node.get("reftarget", "")):
            node.replace_self(node.children)


def resolve(app: Any, environment: Any, node: Any, content: Any) -> Any:
    """The link of a name that is written as it is called inside, or without its namespace."""
    target = node.get("reftarget", "").removesuffix("()")
    owner, _, attribute = target.rpartition(".")
    owners = filter(None, (_places().get(owner), _short_names().get(owner)))
    candidates = (_places().get(target), _short_names().get(target), *(f"{place}.{attribute}" for place in owners))
    python = environment.get_domain("py")
    for place in candidates:
        if place and place != target:
            found = python.resolve_xref(environment, node["refdoc"], app.builder, "obj", place, node, content)
            if found is not None:
                return found
    return None


def write_signature(_app: Any, kind: str, _name: str, value: Any, _options: Any, *_signature: str | None) -> Any:
    """The arguments of an attrs class: names and defaults, because their types follow with their descriptions."""
    if kind != "class" or not (inspect.getdoc(value.__init__) or "").startswith("Method generated by attrs"):
        return None
    parts: list[str] = []
    for attribute in value.__attrs_attrs__:
        if not attribute.init:
            continue
        if attribute.name.startswith("_"):
            return "", None  # only certcore makes it
        if attribute.kw_only and "*" not in parts:
            parts.append("*")
        parts.append(f"{attribute.alias}{_default(attribute.default)}")
    return f"({', '.join(parts)})", None


def _default(value: Any) -> str:
    if value is NOTHING:
        return ""
    if isinstance(value, Enum):
        return f"={type(value).__name__}.{value.name}"
    return f"={value!r}" if isinstance(value, str | int | float | tuple | None) else "=..."


def hide_colons(_app: Any, kind: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Keep Napoleon from reading the beginning of a sentence up to its colon as the type of an attribute."""
    if kind in {"attribute", "data", "property"} and lines:
        lines[0] = lines[0].replace(":", _COLON)


def show_colons(_app: Any, _kind: str, _name: str, _value: Any, _options: Any, lines: list[str]) -> None:
    """Bring back what `hide_colons` has hidden."""
    lines[:] = [line.replace(_COLON, ":") for line in lines]
