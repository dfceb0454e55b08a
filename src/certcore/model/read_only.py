"""Make the content of a frozen value as immutable as the value."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["read_only"]


def read_only(mapping: Mapping[str, Any]) -> Mapping[str, Any]:
    """A copy of a mapping that cannot be written to through the value that holds it."""
    return MappingProxyType(dict(mapping))
