"""The plugin: the module that the entry point of the package names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from certcore.plugin import Catalogue, hookimpl
from certcore_manual_ca.module import ManualCA

__all__ = ["certcore_api", "certcore_ca_modules", "certcore_catalogues"]

#: The version of the plugin interface that this is written for.
certcore_api = 1


@hookimpl
def certcore_ca_modules() -> Sequence[ManualCA]:
    """The module of this package."""
    return [ManualCA()]


@hookimpl
def certcore_catalogues() -> Sequence[Catalogue]:
    """The translations of the texts of this package; ``texts.py`` keeps them up to date."""
    return [Catalogue(Path(__file__).parent / "locale", "certcore_manual_ca")]
