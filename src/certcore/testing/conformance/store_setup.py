"""The setup of a store for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from certcore.ports.storage import Storage

__all__ = ["StoreSetup"]


@frozen(kw_only=True)
class StoreSetup:
    """Gives the suite its stores, because no hook registers stores.

    The suite needs pytest, which the extra ``testing`` installs.
    """

    #: Makes an empty store. It is called for every check, and each store is closed afterwards.
    make: Callable[[], Storage]
