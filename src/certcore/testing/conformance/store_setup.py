"""The setup of a store for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from certcore.ports.storage import Storage

__all__ = ["StoreSetup"]


@frozen(kw_only=True)
class StoreSetup:
    """How the suite gets stores. No hook registers a store, so the suite cannot find one by itself.

    The suite needs pytest, which the package's extra ``testing`` has.
    """

    #: Makes an empty store. It is called for every check, and each store is closed at its end.
    make: Callable[[], Storage]
