"""Turns for calling a DNS server that fails on concurrent calls: one call at a time among all processes of a store."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from certcore.errors import StaleWriteError
from certcore.ports.documents import Documents
from certcore.ports.environment import Environment
from certcore.ports.zone_writers import ZoneWriter
from certcore_puq_acme.techzone.name_leases import is_leased, stored_moment

__all__ = ["WriterTurn", "WriterTurns"]

_PREFIX: Final = "zone-turn/"
_OVER: Final[dict[str, Any]] = {}


@frozen
class WriterTurn:
    """The right to call a writer."""

    #: The document that holds the turn, and its version; empty if the writer needs no turns.
    key: str = ""
    version: int = 0

    @property
    def ended(self) -> dict[str, Any]:
        """The document's value when the turn is over."""
        return dict(_OVER)


@frozen(kw_only=True, eq=False)
class WriterTurns:
    """The turns of one server."""

    documents: Documents
    environment: Environment
    #: Names the server in the documents.
    server: str
    #: The longest duration of a call. After a crash in a call, others wait for this long.
    lease: timedelta

    def take(self, writer: ZoneWriter) -> WriterTurn | None:
        """Take the right to call a writer; None if another process has it."""
        if not writer.one_at_a_time:
            return WriterTurn()
        key = f"{_PREFIX}{hashlib.sha256(self.server.encode()).hexdigest()}"
        now = self.environment.now()
        self.documents.refresh()
        document = self.documents.get(key)
        until = None if document is None else stored_moment(document.value.get("leased_until"))
        if is_leased(until, now):
            return None
        try:
            value = {"leased_until": (now + self.lease).isoformat()}
            stored = self.documents.put(key, value, version=0 if document is None else document.version)
        except StaleWriteError:
            return None
        return WriterTurn(key, stored.version)

    def end(self, turn: WriterTurn) -> None:
        """Give a turn back. If the turn has expired and another process has taken it, nothing is changed."""
        if not turn.key:
            return
        try:
            self.documents.put(turn.key, turn.ended, version=turn.version)
        except StaleWriteError:
            return
