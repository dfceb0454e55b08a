"""Where a budget is kept, and what its documents hold; see `certcore_puq_acme.budget`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from attrs import evolve, frozen

from certcore.ports.ca_module import Documents
from certcore_puq_acme.limits import Lane, Limit, LimitKind, Placed, Promise

__all__ = ["BudgetKeys", "Counted", "Stored"]


@frozen(kw_only=True)
class BudgetKeys:
    """Under which documents a budget is kept."""

    #: The account document's key.
    document: str
    #: URLs; empty while they are not known.
    directory: str
    url: str

    def of_account(self, part: str) -> str:
        """What belongs to the account; to the profile while there is none."""
        return f"budget/account/{_short(self.url)}/{part}" if self.url else f"{self._own}/{part}"

    def of_ca(self, part: str) -> str:
        """What the accounts at the CA share."""
        return f"budget/ca/{_short(self.directory)}/{part}" if self.directory else f"{self._own}/{part}"

    def of_limit(self, limit: Limit, about: str = "") -> str:
        """What counts towards a limit. Two windows do not forget at the same time, so that each has its own."""
        of = self.of_account if limit.kind is LimitKind.ORDERS else self.of_ca
        window = limit.window // timedelta(minutes=1)
        return of("/".join(filter(None, (str(limit.kind), str(window), about))))

    @property
    def of_pauses(self) -> tuple[str, ...]:
        """Where the pauses are; without an account, that of opening one, which is the same for all at this CA."""
        if self.url:
            return (self.of_account("pause"),)
        return tuple(dict.fromkeys((f"{self._own}/pause", self.of_ca("opening"))))

    @property
    def _own(self) -> str:
        return f"budget/{self.document.removeprefix('account/')}"


@frozen(kw_only=True)
class Stored:
    """One of the budget's documents, as it was read."""

    key: str
    value: Mapping[str, Any]
    version: int

    @classmethod
    def read(cls, documents: Documents, key: str) -> Stored:
        """The document; an empty one of version 0 when there is none."""
        document = documents.get(key)
        if document is None:
            return cls(key=key, value=MappingProxyType({}), version=0)
        return cls(key=key, value=document.value, version=document.version)


@frozen(kw_only=True)
class Counted:
    """A limit, and when one more fits into it."""

    limit: Limit
    about: str
    stored: Stored
    lanes: Mapping[str, Lane]
    lane: str
    at: datetime
    #: Whose promise is taken away for it; empty for nobody's.
    robbed: str = ""

    def placed(self, issuance_id: str, order: Placed) -> Stored:
        """The document with an order that goes out now."""
        lane = self.lanes[self.lane]
        left = {other: promise for other, promise in lane.promised.items() if other not in (issuance_id, self.robbed)}
        return self._with(Lane(placed=(*lane.placed, order), promised=left))

    def promised(self, issuance_id: str, promise: Promise) -> Stored:
        """The document with a promise."""
        lane = self.lanes[self.lane]
        left = {other: kept for other, kept in lane.promised.items() if other != self.robbed}
        return self._with(evolve(lane, promised={**left, issuance_id: promise}))

    def _with(self, changed: Lane) -> Stored:
        lanes = {**self.lanes, self.lane: changed}
        return evolve(self.stored, value={name: lane.to_json() for name, lane in lanes.items()})


def _short(url: str) -> str:
    """URLs may be longer than keys."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]
