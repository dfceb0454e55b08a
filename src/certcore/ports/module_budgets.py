"""The usage of a CA's rate limits, as counted by the CA module."""

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
    """A limit of a CA profile and its present usage."""

    #: The stable identifier in metrics: at most 40 lower-case letters, digits and underscores.
    name: str
    #: The displayed name.
    label: Message
    #: How much is used now.
    used: int
    #: How much may be used.
    most: int


@runtime_checkable
class SupportsBudgets(Protocol):
    """A module that counts the usage of a CA's limits."""

    @abstractmethod
    def budgets(self, context: ModuleContext) -> Sequence[BudgetUse]:
        """The limits of a CA profile, at most 20. MUST NOT use the network, because metrics call this often."""
        ...
