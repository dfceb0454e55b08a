"""The feed of the events of all certificates, or of those of one owner."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

from certcore.engine.reconcile import Engine
from certcore.errors import InvalidInputError, StorageBusyError
from certcore.messages import Message
from certcore.model.events import EventPage, FeedEvent
from certcore.model.identifiers import check_owner
from certcore.model.input_limits import true_or_false
from certcore.model.permissions import Permission
from certcore.ports.storage import Storage
from certcore.services.access import Access
from certcore.services.certificate_list import check_limit

__all__ = ["EventFeed"]

#: The largest number of events that a transaction numbers, and of such transactions in a call.
_BATCH: Final = 1000
_BATCHES: Final = 10
_CURSOR: Final = re.compile(r"[0-9]{1,18}")


class EventFeed:
    """The part of `certcore.CertCore` that reads the events of all certificates."""

    __slots__ = ()

    _engine: Engine
    _access: Access

    def events(
        self,
        *,
        after: str | None = None,
        limit: int = 100,
        owner: str | None = None,
        descending: bool = False,
        actor: str = "system",
    ) -> EventPage:
        """The events of all certificates, or of those of one owner, oldest first, for logs, exports and live pages.

        A caller who continues with the ``next_cursor`` of the previous page gets every event exactly once: new events
        never appear before returned ones, whatever the order in which transactions of other processes commit. The
        events of a certificate come in the order of its timeline, and are kept when it is deleted. With an ``owner``,
        only events are returned that happened while the certificate belonged to this owner.

        Args:
            after: The ``next_cursor`` of the previous page; None begins with the first event, or with the last one in
                descending order.
            limit: The largest number of events, 1 to 1000.
            owner: Only events of this tenant's certificates; empty for those without a tenant. None, for all tenants,
                needs the permission ``certificate.list_all``.
            descending: Whether the newest events come first. The same cursor can be used in both directions.
            actor: Who makes the call.

        Raises:
            InvalidInputError: The limit or the cursor is invalid.
            AccessDeniedError: The policy refused; with an ``owner`` it may allow.
        """
        permission = Permission.CERTIFICATE_LIST_ALL if owner is None else Permission.CERTIFICATE_LIST
        self._access.require(actor, permission, owner="" if owner is None else check_owner(owner))
        check_limit(limit)
        true_or_false("descending", descending)
        position = None if after is None else _position(after)
        storage = self._engine.storage
        _number(storage)
        with storage.read() as transaction:
            events = transaction.events.feed(after=position, owner=owner, descending=descending, limit=limit)
            domains = transaction.certificates.domains({event.certificate_id for event in events}, owner=owner)
        items = tuple(FeedEvent(event=event, domain=domains.get(event.certificate_id, "")) for event in events)
        last = events[-1].position if events else position or 0
        return EventPage(items=items, next_cursor=str(last))


def _number(storage: Storage) -> None:
    """Number the new events. If another process is doing so, its numbers are used."""
    for _ in range(_BATCHES):
        with storage.read() as transaction:
            if not transaction.events.has_unnumbered():
                return
        with suppress(StorageBusyError), storage.write() as transaction:
            transaction.events.number(limit=_BATCH)


def _position(after: object) -> int:
    if not isinstance(after, str) or not _CURSOR.fullmatch(after):
        reason = Message("input.not_a_cursor", "is not the next_cursor of a page.")
        raise InvalidInputError("after", reason, advice=Message("input.not_a_cursor.advice", "Begin without a cursor."))
    return int(after)
