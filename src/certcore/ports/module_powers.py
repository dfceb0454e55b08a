"""Fast checks for the powers of CA modules that every step needs: `isinstance` is slow with protocols."""

from __future__ import annotations

from typing import Any, TypeGuard

from certcore.ports.ca_module import CAModule, SupportsCleanUp, SupportsRenewalInfo

__all__ = ["can_ask_renewal_info", "can_clean_up"]


def can_ask_renewal_info(module: CAModule[Any, Any]) -> TypeGuard[SupportsRenewalInfo]:
    """Whether a module implements `SupportsRenewalInfo`."""
    return getattr(module, "renewal_info", None) is not None


def can_clean_up(module: CAModule[Any, Any]) -> TypeGuard[SupportsCleanUp]:
    """Whether a module implements `SupportsCleanUp`."""
    return getattr(module, "clean_up", None) is not None
