"""The conformance suite of stores: the tests of `StorageContract` as checks, each with a name, rule and reason.

It needs pytest, because the tests are written for pytest.
"""

from __future__ import annotations

import inspect
import traceback
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Self

import pytest

from certcore.ports.storage import Storage
from certcore.testing.conformance.store_setup import StoreSetup
from certcore.testing.conformance.values import ConformanceCheck, RuleBrokenError, Suite, check_of
from certcore.testing.contracts.deliveries import DeliveriesContract
from certcore.testing.contracts.keys import KeysContract
from certcore.testing.contracts.lists import ListsContract, listed_store
from certcore.testing.contracts.preflights import PreflightsContract, store_in_service
from certcore.testing.contracts.rows import RowsContract, filled_store
from certcore.testing.contracts.secrets import SecretsContract
from certcore.testing.contracts.steps import StepContract
from certcore.testing.contracts.storage import StorageContract
from certcore.testing.contracts.timelines import TimelinesContract

__all__ = ["STORE_CHECKS", "StoreEvidence"]

#: Why the rules of each suite exist.
_REASONS: Final[Mapping[type, str]] = MappingProxyType(
    {
        RowsContract: "What comes back from the store is all that the next process knows.",
        ListsContract: "Pages, searches and counts of a panel with many certificates rely on it.",
        KeysContract: "Two owners whose names a database takes for one would see each other's rows.",
        SecretsContract: "A secret that is lost cannot be made again.",
        StepContract: "A step is one transaction: half of one would order twice, or lose a leaf.",
        TimelinesContract: "The timeline is the audit trail: nothing in it may be lost or changed.",
        DeliveriesContract: "Observers deploy certificates: a lost event is an old leaf in service.",
        PreflightsContract: "Checks ahead of renewals are planned in the store, by any process.",
        StorageContract: "Several processes work on one store: leases keep them apart.",
    }
)


#: The functions that fill an empty store for the fixtures of tests.
_CONTENTS: Final[Mapping[str, Callable[[Storage], Storage]]] = MappingProxyType(
    {
        "storage": lambda storage: storage,
        "filled": filled_store,
        "listed": listed_store,
        "in_service": store_in_service,
    }
)


class StoreEvidence:
    """Makes an empty store for every check. Use it as a context manager.

    Args:
        setup: The setup of the store.
    """

    def __init__(self, setup: StoreSetup) -> None:
        self._setup = setup

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def judge(self, function: Callable[..., None], **arguments: object) -> None:
        """Run a test of the suite on an empty store.

        Raises:
            RuleBrokenError: The test fails.
        """
        content = next(name for name in inspect.signature(function).parameters if name in _CONTENTS)
        storage = self._setup.make()
        try:
            function(StorageContract(), **{content: _CONTENTS[content](storage), **arguments})
        except (AssertionError, pytest.fail.Exception) as failure:
            values = ", ".join(f"{name}={value!r}"[:100] for name, value in arguments.items())
            text = f"{values}: " if values else ""
            raise RuleBrokenError(f"{text}{_failed_line(failure)}") from None
        finally:
            storage.close()


def _failed_line(failure: BaseException) -> str:
    """The failure of a test: pytest's text of it, if there is one, and the line of the test."""
    frame = next(
        frame
        for frame in reversed(traceback.extract_tb(failure.__traceback__))
        if Path(frame.filename).parent == Path(__file__).parent
    )
    text = str(failure).partition("\n")[0]
    line = f"{Path(frame.filename).name}:{frame.lineno}: {frame.line}"
    return f"{text} ({line})" if text else line


def _checks(contract: type) -> Iterator[ConformanceCheck]:
    check = check_of(Suite.STORE)
    for method, function in vars(contract).items():
        if method.startswith("test_"):
            name = method.removeprefix("test_").replace("_", "-")
            rule = inspect.cleandoc(function.__doc__ or "").split("\n\n")[0]
            yield check(name, rule, _REASONS[contract], partial(_judge, function))


def _judge(function: Callable[..., None], evidence: StoreEvidence) -> None:
    for arguments in _parameters(function):
        evidence.judge(function, **arguments)


def _parameters(function: Callable[..., None]) -> Iterator[Mapping[str, object]]:
    """The arguments of each run of a parametrized test, as pytest passes them."""
    choices = [_choices(*mark.args) for mark in getattr(function, "pytestmark", ()) if mark.name == "parametrize"]
    for choice in product(*choices):
        yield dict(ChainMap(*choice))


def _choices(names: str | Sequence[str], values: Sequence[Any]) -> Sequence[dict[str, object]]:
    listed = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    if len(listed) == 1:
        return [{listed[0]: value} for value in values]
    return [dict(zip(listed, value, strict=True)) for value in values]


#: The checks, in the order of `_REASONS`.
STORE_CHECKS: Final = tuple(check for contract in _REASONS for check in _checks(contract))
