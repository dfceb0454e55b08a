"""The installed plugins: entry points of the group ``certcore``, with the package that each belongs to."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from attrs import frozen

from certcore.messages import Message

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["HANDED_IN", "InstalledPlugin", "PluginOrigin", "installed_plugins"]

_GROUP: Final = "certcore"
_OWN: Final = "certcore"


@frozen
class PluginOrigin:
    """Where a plugin comes from."""

    #: The normalised name of the distribution; empty if unknown, or if the program has given the plugin explicitly.
    package: str = ""
    version: str = ""
    is_installed: bool = True

    def holder(self, plugin: str) -> Message:
        """Describe the plugin with this name and origin, for an error about a name that is already used."""
        if not self.is_installed:
            text = "the plugin {plugin}, which was passed to certcore"
            return Message("plugin.load.handed_in", text, {"plugin": repr(plugin)})
        params = {"plugin": repr(plugin), "package": self.label or "-"}
        return Message("plugin.load.of_package", "the plugin {plugin} of the package {package}", params)

    @property
    def label(self) -> str:
        """Package and version; empty if unknown."""
        return f"{self.package} {self.version}".strip()


#: The origin of plugins that the program has given explicitly.
HANDED_IN: Final = PluginOrigin(is_installed=False)


@frozen
class InstalledPlugin:
    """The entry point of an installed plugin."""

    entry: EntryPoint
    #: The normalised name of the distribution; empty if unknown.
    package: str

    @property
    def origin(self) -> PluginOrigin:
        """The package with its version."""
        try:
            version = "" if self.entry.dist is None else str(self.entry.dist.version or "")
        except Exception:  # isolation: a package without readable metadata
            version = ""
        return PluginOrigin(self.package, version if version.isprintable() else "")

    def imported(self) -> object | None:
        """The object that the entry point names, if its module is already imported; else None."""
        if self.entry.module not in sys.modules:
            return None
        plugin: object = None
        with contextlib.suppress(Exception):  # isolation: loading the plugin reports the reason
            plugin = self.entry.load()
        return plugin

    @property
    def is_own(self) -> bool:
        """Whether the plugin is part of certcore."""
        return self.package == _OWN


def installed_plugins() -> list[InstalledPlugin]:
    """The installed plugins, sorted by name and package."""
    plugins = [InstalledPlugin(entry, _package(entry)) for entry in _entries()]
    return sorted(plugins, key=lambda plugin: (plugin.entry.name, plugin.package))


def _entries() -> Iterator[EntryPoint]:
    from importlib.metadata import distributions, entry_points  # noqa: PLC0415 - costs a tenth of the core's import

    try:
        yield from entry_points(group=_GROUP)
    except Exception:  # isolation: one package's broken metadata hides no other package
        for distribution in distributions():
            with contextlib.suppress(Exception):  # isolation: as above; the owner of the plugin is unknown
                yield from list(distribution.entry_points.select(group=_GROUP))


def _package(entry: EntryPoint) -> str:
    try:
        name = "" if entry.dist is None else entry.dist.metadata["Name"] or ""
    except Exception:  # isolation: a package without readable metadata is not part of certcore
        name = ""
    return re.sub(r"[-_.]+", "-", name).lower()
