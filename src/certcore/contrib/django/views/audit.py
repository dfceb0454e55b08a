"""The audit page: the events of all certificates, or only of the tenant's certificates, newest first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from attrs import frozen
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from certcore import ActingCore, EventKind, FeedEvent
from certcore.contrib.django.access import ssl_for
from certcore.contrib.django.pages import render_page
from certcore.hints import Message, label_of

__all__ = ["AuditFilter", "AuditPage", "audit", "events_after", "events_before"]

#: How many events a page shows.
_SHOWN: Final = 50
#: How many events one request reads to find events that match a filter.
_SEARCHED: Final = 1000


@frozen(kw_only=True)
class AuditFilter:
    """A filter for events. An empty attribute matches every event."""

    kind: str = ""
    actor: str = ""
    domain: str = ""

    def fits(self, item: FeedEvent) -> bool:
        """Whether an event matches the filter."""
        return (
            self.kind in ("", str(item.event.kind))
            and self.actor in ("", item.event.actor)
            and (not self.domain or self.domain.lower() in item.domain)
        )


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """Show events, filtered; the cursors ``before`` and ``after`` in the URL's query select older and newer pages."""
    ssl = ssl_for(request)
    texts = ssl.translator
    filters = {name: request.GET.get(name, "").strip() for name in ("kind", "actor", "domain")}
    only = AuditFilter(**filters)
    owner = request.GET.get("owner", "").strip()
    of_owner = owner if owner and ssl.owner is None else None
    before, after = request.GET.get("before", ""), request.GET.get("after", "")
    if after:
        page = events_after(ssl.core, only, after=after, owner=of_owner)
    else:
        page = events_before(ssl.core, only, before=before or None, owner=of_owner)
    query = {name: value for name, value in {**filters, "owner": owner}.items() if value}
    context = {
        "section": "audit",
        "rows": [_row(item, texts) for item in page.items],
        "only": only,
        "owner": owner,
        "chooses_owner": ssl.owner is None,
        "kinds": sorted(((str(kind), texts(label_of(kind))) for kind in EventKind), key=lambda each: each[1]),
        "is_filtered": bool(query),
        "newest_query": urlencode(query) if before or after else None,
        "newer_query": None if page.newer is None else urlencode({**query, "after": page.newer}),
        "older_query": None if page.older is None else urlencode({**query, "before": page.older}),
    }
    return render_page(request, "certcore/audit.html", context)


def _row(item: FeedEvent, texts: Callable[[Message | str], str]) -> dict[str, Any]:
    event = item.event
    is_move = event.from_status is not None and event.to_status is not None and event.from_status is not event.to_status
    return {
        "event": event,
        "domain": item.domain,
        "label": texts(label_of(event.kind)),
        "from": texts(label_of(event.from_status)) if is_move and event.from_status is not None else "",
        "to": texts(label_of(event.to_status)) if is_move and event.to_status is not None else "",
        "problem": "" if event.problem is None else texts(event.problem.text),
    }


@frozen(kw_only=True)
class AuditPage:
    """A page of events. It may be short or empty although there are further pages."""

    #: The events, newest first.
    items: Sequence[FeedEvent]
    #: The cursor of the next older page; None on the oldest page.
    older: str | None
    #: The cursor of the next newer page; None on the newest page.
    newer: str | None


def events_before(
    core: ActingCore, only: AuditFilter, *, before: str | None, owner: str | None, searched: int = _SEARCHED
) -> AuditPage:
    """Return the newest events that match a filter, all of them older than the cursor if there is one.

    Args:
        core: The calls as the user.
        only: The filter.
        before: The cursor ``older`` of a page; None for the newest events.
        owner: Only events of this tenant's certificates. None for the user's tenant, or for all if there is none.
        searched: How many events to read at most, 1 to 1000.

    Raises:
        InvalidInputError: The cursor or the owner is malformed.
        AccessDeniedError: The policy refused.
    """
    of_owner = {} if owner is None else {"owner": owner}
    batch = core.events(after=before, limit=searched, descending=True, **of_owner)
    fitting = [item for item in batch.items if only.fits(item)]
    shown = fitting[:_SHOWN]
    newer = None if before is None else str(shown[0].event.position) if shown else str(int(before) - 1)
    if len(fitting) > _SHOWN:
        return AuditPage(items=shown, older=str(shown[-1].event.position), newer=newer)
    return AuditPage(items=shown, older=batch.next_cursor if len(batch.items) == searched else None, newer=newer)


def events_after(
    core: ActingCore, only: AuditFilter, *, after: str, owner: str | None, searched: int = _SEARCHED
) -> AuditPage:
    """Return the oldest matching events that are newer than a cursor; for arguments and errors see `events_before`."""
    of_owner = {} if owner is None else {"owner": owner}
    batch = core.events(after=after, limit=searched, descending=False, **of_owner)
    fitting = [item for item in batch.items if only.fits(item)]
    shown = fitting[:_SHOWN]
    older = str(shown[0].event.position) if shown else str(int(after) + 1)
    if len(fitting) > _SHOWN:
        return AuditPage(items=shown[::-1], older=older, newer=str(shown[-1].event.position))
    newer = batch.next_cursor if len(batch.items) == searched else None
    return AuditPage(items=shown[::-1], older=older, newer=newer)
