"""The entry point: what certcore finds when it looks for plugins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from certcore.hookspecs import hookimpl
from certcore.translations import Catalogue
from certcore_puq_acme.module import PuqAcme

__all__ = ["certcore_ca_modules", "certcore_catalogues"]


@hookimpl
def certcore_ca_modules() -> Iterable[PuqAcme]:
    """Register the module ``puq_acme``."""
    return [PuqAcme()]


@hookimpl
def certcore_catalogues() -> Iterable[Catalogue]:
    """Bring the translations of the module's texts."""
    return [Catalogue(Path(__file__).parent / "locale", "certcore_puq_acme")]
