"""What the entry point of the package names."""

from __future__ import annotations

from collections.abc import Sequence

from certcore.plugin import CAModule, hookimpl
from certcore_rest_ca.module import RestCA

__all__ = ["certcore_ca_modules"]


@hookimpl
def certcore_ca_modules() -> Sequence[CAModule]:
    """The module of this package."""
    return [RestCA()]
