"""Whether a CA module has a power that each step needs to know of; `isinstance` takes long with a protocol."""

from __future__ import annotations

from typing import Any, TypeGuard

from certcore.ports.ca_module import CAModule, SupportsCleanUp, SupportsRenewalInfo

__all__ = ["can_ask_renewal_info", "can_clean_up"]


def can_ask_renewal_info(module: CAModule[Any, Any]) -> TypeGuard[SupportsRenewalInfo]:
    """Whether a module is a `SupportsRenewalInfo`."""
    return getattr(module, "renewal_info", None) is not None


def can_clean_up(module: CAModule[Any, Any]) -> TypeGuard[SupportsCleanUp]:
    """Whether a module is a `SupportsCleanUp`."""
    return getattr(module, "clean_up", None) is not None
