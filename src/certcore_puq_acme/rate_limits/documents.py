"""The documents that rate limits are stored in; see `certcore_puq_acme.rate_limits.limiter`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from certcore.ports.ca_module import Documents
from certcore_puq_acme.profile.limits import HORIZON, Lane, Limit, LimitKind, Placed, Promise

__all__ = ["BudgetKeys", "Counted", "Stored"]


@frozen(kw_only=True)
class BudgetKeys:
    """Keys of the documents of one account and its CA."""

    #: Key of the account document.
    document: str
    #: URLs; empty while unknown.
    directory: str
    url: str

    def of_account(self, part: str) -> str:
        """Key of a document of the account; of the CA profile before there is an account."""
        return f"budget/account/{_short(self.url)}/{part}" if self.url else f"{self._own}/{part}"

    def of_ca(self, part: str) -> str:
        """Key of a document that all accounts at the CA share."""
        return f"budget/ca/{_short(self.directory)}/{part}" if self.directory else f"{self._own}/{part}"

    def of_limit(self, limit: Limit, about: str = "") -> str:
        """Key of the document of a limit: one per window, because each window drops orders at its own time."""
        of = self.of_account if limit.kind is LimitKind.ORDERS else self.of_ca
        window = limit.window // timedelta(minutes=1)
        return of("/".join(filter(None, (str(limit.kind), str(window), about))))

    @property
    def of_pauses(self) -> tuple[str, ...]:
        """Keys of the pauses; before there is an account, the pause of opening accounts at this CA is one of them."""
        if self.url:
            return (self.of_account("pause"),)
        return tuple(dict.fromkeys((f"{self._own}/pause", self.of_ca("opening"))))

    @property
    def _own(self) -> str:
        return f"budget/{self.document.removeprefix('account/')}"


@frozen(kw_only=True)
class Stored:
    """A document as it was read."""

    key: str
    value: Mapping[str, Any]
    version: int

    @classmethod
    def read(cls, documents: Documents, key: str) -> Stored:
        """Read a document; a missing one is empty, with version 0."""
        document = documents.get(key)
        if document is None:
            return cls(key=key, value=MappingProxyType({}), version=0)
        return cls(key=key, value=document.value, version=document.version)


@frozen(kw_only=True)
class Counted:
    """A limit, and when the order that asks fits into it."""

    limit: Limit
    about: str
    stored: Stored
    #: With room made for the order, which they do not contain.
    lanes: Mapping[str, Lane]
    lane: str
    at: datetime
    #: When the order's stored promise is for; None without a promise.
    promised_for: datetime | None = None

    def needs_promise(self, now: datetime) -> bool:
        """Whether the order has no stored promise, or one that will soon be dropped as overdue."""
        return self.promised_for is None or now - self.promised_for > HORIZON / 4

    def with_order(self, order: Placed) -> Stored:
        """The document with the order counted."""
        lane = self.lanes[self.lane]
        return self._with_lane(evolve(lane, placed=(*lane.placed, order)))

    def with_promise(self, issuance_id: str, promise: Promise) -> Stored:
        """The document with a promised turn for the order."""
        lane = self.lanes[self.lane]
        return self._with_lane(evolve(lane, promised={**lane.promised, issuance_id: promise}))

    def _with_lane(self, changed: Lane) -> Stored:
        lanes = {**self.lanes, self.lane: changed}
        return evolve(self.stored, value={name: lane.to_json() for name, lane in lanes.items()})


def _short(url: str) -> str:
    """A hash, because URLs may be longer than keys."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]
