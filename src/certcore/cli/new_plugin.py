"""Make the package of a new plugin from the copier template beside this file.

`TEMPLATE` is a copier template, and ``copier copy`` makes the same files. Like copier, this module renders the template
with Jinja. It does not use copier itself: copier depends on fifteen packages, and writes an answers file, which is only
useful for templates in git.
"""

from __future__ import annotations

import re
import sys
from enum import StrEnum
from keyword import iskeyword
from pathlib import Path
from typing import Final

from certcore.errors import AlreadyExistsError, FileError, InvalidInputError, MissingPackageError

__all__ = ["TEMPLATE", "PluginKind", "make_plugin", "plugin_files"]

#: The folder of the copier template.
TEMPLATE: Final = Path(__file__).parent / "plugin_template"

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST_NAME: Final = 30
#: Packages that a plugin imports or is built with. A plugin's package of the same name would hide them.
_TAKEN: Final = frozenset(
    {"attrs", "certcore", "certcore_puq_acme", "cryptography", "hatchling", "pytest", "test", "tests"}
)
#: The suffix of files that copier renders. Copier removes it from their names.
_SUFFIX: Final = ".jinja"


class PluginKind(StrEnum):
    """What a plugin brings."""

    CA = "ca"
    SIGNING_CA = "signing-ca"
    OBSERVER = "observer"
    WRITER = "writer"
    FORMAT = "format"
    KEYRING = "keyring"
    POLICY = "policy"


def make_plugin(name: str, kind: PluginKind, folder: Path) -> tuple[Path, ...]:
    """Make the package of a plugin in a new folder.

    Args:
        name: The name of the project: lower-case words joined by hyphens. In the names of the module and the entry
            point, underscores replace the hyphens.
        kind: What the plugin brings.
        folder: The folder in which the folder ``name`` is created.

    Returns:
        The paths of the files, which begin with ``folder``.

    Raises:
        InvalidInputError: The name cannot be that of a package.
        AlreadyExistsError: There is already a folder or file with this name.
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
    """The texts of the files of a new package, by path relative to the project's folder.

    Raises:
        InvalidInputError: The name cannot be that of a package.
        MissingPackageError: Jinja is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - no other command needs it
    except ModuleNotFoundError:
        raise MissingPackageError("certcore plugin new", "jinja2", extra="cli") from None
    package = name.replace("-", "_")
    _check_name(name, package)
    # The templates are Python and TOML, not HTML, so nothing must be escaped.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(TEMPLATE), keep_trailing_newline=True, undefined=StrictUndefined
    )
    values = {"project": name, "kind": str(kind), "package": package}
    made = {}
    project = TEMPLATE / "project"
    for source in sorted(path for path in project.rglob("*") if path.is_file()):
        parts = str(source.relative_to(project)).removesuffix(_SUFFIX).split("/")
        names = [environment.from_string(part).render(values) for part in parts]
        if all(names):  # a file with an empty name in its path is left out
            is_filled_in = source.suffix == _SUFFIX
            template = environment.get_template(str(source.relative_to(TEMPLATE))) if is_filled_in else None
            made["/".join(names)] = template.render(values) if template else source.read_text(encoding="utf-8")
    return made


def _check_name(name: str, package: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        reason = f"{name[:60]!r} must be lower-case words of letters and digits with hyphens between them."
        raise InvalidInputError("name", reason, advice="For example: house-ca.")
    if package in _TAKEN or package in sys.stdlib_module_names or iskeyword(package):
        raise InvalidInputError("name", f"{name!r} is the name of another package.", advice="For example: house-ca.")
