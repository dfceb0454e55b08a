"""Validate the usage of CAs' limits that modules return."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from certcore.model.plugin_calls import call_plugin
from certcore.model.plugin_results import SHORT_NAME, UnexpectedResultError, conform
from certcore.ports.ca_module import CAModule, ModuleContext
from certcore.ports.module_budgets import BudgetUse, SupportsBudgets

__all__ = ["module_budgets"]

_MOST: Final = 20


def module_budgets(name: str, module: CAModule[Any, Any], context: ModuleContext) -> Sequence[BudgetUse]:
    """The limits of a CA profile with their usage; empty if its module counts no limits.

    Raises:
        PluginError: The module failed or returned invalid values.
    """
    if not isinstance(module, SupportsBudgets):
        return ()
    budgets: Sequence[BudgetUse] = call_plugin(name, "budgets", module.budgets, context, returns=_sound_budgets)
    return budgets


def _sound_budgets(returned: object) -> tuple[BudgetUse, ...]:
    """Validate the limits that a module returned.

    Raises:
        UnexpectedResultError: The value has another type, has too many entries, or an invalid name.
    """
    budgets: tuple[BudgetUse, ...] = conform(returned, tuple[BudgetUse, ...])
    names = [budget.name for budget in budgets]
    if len(budgets) > _MOST or len(set(names)) < len(names):
        raise UnexpectedResultError(f"{len(budgets)} budgets; {_MOST} with names of their own are allowed")
    for name in names:
        if not SHORT_NAME.fullmatch(name):
            raise UnexpectedResultError(
                f"a budget named {name[:60]!r}, where lower-case letters, digits and underscores belong"
            )
    return budgets
