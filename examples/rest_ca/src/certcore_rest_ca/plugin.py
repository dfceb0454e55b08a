"""What the entry point of the package names."""

from __future__ import annotations

from collections.abc import Sequence

from certcore.plugin import CAModule, hookimpl
from certcore_rest_ca.module import RestCA

__all__ = ["certcore_api", "certcore_ca_modules"]

#: The plugin interface that this was written for.
certcore_api = 1


@hookimpl
def certcore_ca_modules() -> Sequence[CAModule]:
    """The module of this package."""
    return [RestCA()]
