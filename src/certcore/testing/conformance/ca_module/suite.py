"""All checks of CA modules, in order."""

from __future__ import annotations

from typing import Final

from certcore.testing.conformance.ca_module.forms import FORMS
from certcore.testing.conformance.ca_module.leaves import LEAVES
from certcore.testing.conformance.ca_module.loading import LOADING
from certcore.testing.conformance.ca_module.pages import PAGES
from certcore.testing.conformance.ca_module.powers import POWERS
from certcore.testing.conformance.ca_module.repetition import REPETITION
from certcore.testing.conformance.ca_module.steps import STEPS, issues
from certcore.testing.conformance.values import ConformanceCheck

__all__ = ["MODULE_CHECKS"]

#: Checks of steps and leaves that say nothing about whether a certificate becomes active.
_BESIDES: Final = frozenset(
    {
        "input-kept",
        "leaf-serial",
        "leaf-server",
        "log-secrets",
        "notes",
        "problems",
        "quiet-calls",
    }
)
#: In the order in which they are run: each after those that it needs.
MODULE_CHECKS: Final[tuple[ConformanceCheck, ...]] = (
    *LOADING,
    *FORMS,
    *STEPS,
    *LEAVES,
    issues(needs=tuple(check.name for check in (*STEPS, *LEAVES) if check.name not in _BESIDES)),
    *POWERS,
    *REPETITION,
    *PAGES,
)
