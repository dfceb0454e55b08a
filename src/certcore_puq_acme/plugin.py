"""The entry point: what certcore finds when it looks for plugins."""

from __future__ import annotations

from collections.abc import Iterable

from certcore.hookspecs import hookimpl
from certcore.ports.ca_module import CAModule
from certcore_puq_acme.module import PuqAcme

__all__ = ["certcore_ca_modules"]


@hookimpl
def certcore_ca_modules() -> Iterable[CAModule]:
    """Register the module ``puq_acme``."""
    return [PuqAcme()]
