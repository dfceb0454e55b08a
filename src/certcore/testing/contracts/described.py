"""The tests of the suites that are inherited, as checks with a name, the rule and the reason: for the documentation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from certcore.testing.conformance.values import ConformanceCheck, NotApplicableError, Suite
from certcore.testing.contracts.deliveries import DeliveriesContract
from certcore.testing.contracts.keys import KeysContract
from certcore.testing.contracts.lists import ListsContract
from certcore.testing.contracts.preflights import PreflightsContract
from certcore.testing.contracts.rows import RowsContract
from certcore.testing.contracts.secrets import SecretsContract
from certcore.testing.contracts.steps import StepContract
from certcore.testing.contracts.storage import StorageContract
from certcore.testing.contracts.timelines import TimelinesContract

__all__ = ["inherited_checks"]

#: Why the rules of each suite exist.
_REASONS: Final[Mapping[type, tuple[Suite, str]]] = MappingProxyType(
    {
        RowsContract: (Suite.STORE, "What comes back from the store is all that the next process knows."),
        ListsContract: (Suite.STORE, "Pages, searches and counts of a panel with many certificates rely on it."),
        KeysContract: (Suite.STORE, "Two owners whose names a database takes for one would see each other's rows."),
        SecretsContract: (Suite.STORE, "A secret that is lost cannot be made again."),
        StepContract: (Suite.STORE, "A step is one transaction: half of one would order twice, or lose a leaf."),
        TimelinesContract: (Suite.STORE, "The timeline is the audit trail: nothing in it may be lost or changed."),
        DeliveriesContract: (
            Suite.STORE,
            "Observers deploy certificates: a lost event is an old leaf in service.",
        ),
        PreflightsContract: (Suite.STORE, "Checks ahead of renewals are planned in the store, by any process."),
        StorageContract: (
            Suite.STORE,
            "Several processes work on one store: leases keep them apart.",
        ),
    }
)


def inherited_checks() -> tuple[ConformanceCheck, ...]:
    """The checks of zone writers and stores, in the order of their suites."""
    return tuple(check for contract in _REASONS for check in _checks(contract))


def _checks(contract: type) -> Iterator[ConformanceCheck]:
    suite, why = _REASONS[contract]
    for method, function in vars(contract).items():
        if method.startswith("test_"):
            yield ConformanceCheck(
                subject=suite,
                name=method.removeprefix("test_").replace("_", "-"),
                rule=inspect.cleandoc(function.__doc__ or "").split("\n\n")[0],
                why=why,
                test=_run_elsewhere,
            )


def _run_elsewhere(_evidence: object) -> None:
    raise NotApplicableError("It is run by pytest, where the suite is inherited.")
