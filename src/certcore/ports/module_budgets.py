"""How much of the limits of a CA is used, as the CA module counts it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen

from certcore.model.hints import Message
from certcore.ports.ca_module import ModuleContext

__all__ = ["BudgetUse", "SupportsBudgets"]


@frozen(kw_only=True)
class BudgetUse:
    """A limit of a CA profile, and how much of it is used now."""

    #: A stable word for programs and metrics: lower-case letters, digits and underscores, at most 40 characters.
    name: str
    label: Message
    used: int
    #: How much may be used.
    most: int


@runtime_checkable
class SupportsBudgets(Protocol):
    """A module that counts how much of the limits of a CA is used."""

    @abstractmethod
    def budgets(self, context: ModuleContext) -> Sequence[BudgetUse]:
        """The limits of a CA profile, at most 20. MUST NOT touch the network: metrics ask for it often."""
        ...
