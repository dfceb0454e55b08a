"""Make the package of a new plugin from the templates beside this file.

The templates are plain files with ``$name`` in them, and ``string.Template`` fills them in. copier would do it, too; it
brings fifteen packages, and what it is for (questions, updates of a made package by git) is not needed here.
"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from string import Template
from typing import Final

from certcore.errors import AlreadyExistsError, FileError, InvalidInputError

__all__ = ["PluginKind", "make_plugin", "plugin_files"]

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST_NAME: Final = 30
#: Names of packages that would hide what they need.
_TAKEN: Final = frozenset(
    {"attrs", "certcore", "certcore_puq_acme", "cryptography", "hatchling", "pytest", "test", "tests"}
)
_SHORT_WORDS: Final = frozenset({"ca", "dns", "hsm", "http", "kms", "pki", "rest", "ssl", "tls"})


class PluginKind(StrEnum):
    """What a plugin brings."""

    CA = "ca"
    SIGNING_CA = "signing-ca"
    OBSERVER = "observer"
    WRITER = "writer"
    FORMAT = "format"
    KEYRING = "keyring"
    POLICY = "policy"


_DESCRIPTIONS: Final = {
    PluginKind.CA: "A CA module for certcore that issues in steps",
    PluginKind.SIGNING_CA: "A CA module for certcore that signs with a key of its own",
    PluginKind.OBSERVER: "Tells of certificates that certcore has put into service",
    PluginKind.WRITER: "Writes the TXT values of a tech zone for certcore",
    PluginKind.FORMAT: "A format that certcore exports certificates in",
    PluginKind.KEYRING: "A keyring for certcore",
    PluginKind.POLICY: "Says who may do what in certcore",
}
_USAGE: Final = {
    PluginKind.CA: "certcore authority add NAME --module $package\ncertcore obtain DOMAIN --authority NAME",
    PluginKind.SIGNING_CA: "certcore authority add NAME --module $package\ncertcore obtain DOMAIN --authority NAME",
    PluginKind.OBSERVER: "certcore run",
    PluginKind.WRITER: "export ${upper}_FOLDER=/etc/dns\ncertcore authority edit NAME --set zone_writer=$package",
    PluginKind.FORMAT: "certcore cert export DOMAIN --format $package",
    PluginKind.KEYRING: "certcore init --keyring $project:VARIABLE",
    PluginKind.POLICY: "certcore plugin show $package",
}
#: Kinds whose package has a module that signs.
_SIGN: Final = frozenset({PluginKind.CA, PluginKind.SIGNING_CA})


def make_plugin(name: str, kind: PluginKind, folder: Path) -> tuple[Path, ...]:
    """Make the package of a plugin in a new folder.

    Args:
        name: The name of the project: lower-case words with hyphens. The module and the entry point have underscores.
        kind: What the plugin brings.
        folder: Where the folder ``name`` is made.

    Returns:
        The files, with ``folder``.

    Raises:
        InvalidInputError: The name cannot be that of a package.
        AlreadyExistsError: There is a folder, or a file, of that name.
        FileError: A file cannot be written.
    """
    made = plugin_files(name, kind)
    project = folder / name
    if project.exists():
        raise AlreadyExistsError("folder", str(project))
    texts = {project / path: text for path, text in made.items()}
    try:
        for path, text in texts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FileError(f"The file {error.filename} cannot be written: {error.strerror}.") from None
    return tuple(texts)


def plugin_files(name: str, kind: PluginKind) -> dict[str, str]:
    """The texts of the files of a new package, by their paths in the project's folder.

    Raises:
        InvalidInputError: The name cannot be that of a package.
    """
    return _files(kind, _values(name, kind))


def _values(name: str, kind: PluginKind) -> dict[str, str]:
    package = name.replace("-", "_")
    is_taken = package in _TAKEN or package in sys.stdlib_module_names or iskeyword(package)
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        reason = f"{name[:60]!r} must be lower-case words of letters and digits with hyphens between them."
        raise InvalidInputError("name", reason, advice="For example: house-ca.")
    if is_taken:
        raise InvalidInputError("name", f"{name!r} is the name of another package.", advice="For example: house-ca.")
    words = [word.upper() if word in _SHORT_WORDS else word.capitalize() for word in name.split("-")]
    values = {
        "project": name,
        "package": package,
        "upper": package.upper(),
        "title": " ".join(words),
        "cls": "".join(words),
        "description": _DESCRIPTIONS[kind],
    }
    return {**values, "usage": f"Use it:\n\n```sh\n{Template(_USAGE[kind]).substitute(values)}\n```"}


def _files(kind: PluginKind, values: dict[str, str]) -> dict[str, str]:
    """The texts of the files, by their paths in the project's folder."""
    package = values["package"]
    templates = {
        "pyproject.toml": "common/pyproject.toml",
        "README.md": "common/README.md",
        ".gitignore": "common/gitignore",
        f"src/{package}/__init__.py": f"{kind}/module.py",
        f"tests/test_{package}.py": f"{kind}/test.py",
    }
    if kind in _SIGN:
        templates[f"src/{package}/signing.py"] = "common/signing.py"
    source = files("certcore.cli") / "templates"
    texts = {
        path: Template(source.joinpath(f"{template}.tmpl").read_text(encoding="utf-8")).substitute(values)
        for path, template in templates.items()
    }
    return {**texts, f"src/{package}/py.typed": ""}
