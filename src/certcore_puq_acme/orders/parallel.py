"""Send several requests of one step at the same time, in batches that keep the step short."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

__all__ = ["BATCH", "FEW", "each"]

_T = TypeVar("_T")
_R = TypeVar("_R")
#: How many authorizations are read, or challenges answered, in one call: a call must return quickly.
BATCH: Final = 20
#: Up to this many requests are sent one after the other.
FEW: Final = 4
_THREADS: Final = 5


def each(function: Callable[[_T], _R], items: Sequence[_T]) -> Iterable[_R]:
    """Call a function with each item, several at once; the results come in the order of the items."""
    if len(items) <= FEW:
        return [function(item) for item in items]
    with ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="certcore-acme") as pool:
        # Each in a copy of this context: the step's meter counts what the threads request.
        futures = [pool.submit(copy_context().run, function, item) for item in items]
        return [future.result() for future in futures]
