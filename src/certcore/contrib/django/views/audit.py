"""The audit page: what happened to all certificates, or to those of the user's tenant, newest first."""

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

__all__ = ["AuditFilter", "audit", "matching_events"]

#: How many events a page shows.
_SHOWN: Final = 50
#: How many events one request looks through for those that a filter wants.
_SEARCHED: Final = 1000


@frozen(kw_only=True)
class AuditFilter:
    """Which events a page shows; empty members do not matter."""

    kind: str = ""
    actor: str = ""
    domain: str = ""

    def fits(self, item: FeedEvent) -> bool:
        """Whether an event is wanted."""
        return (
            self.kind in ("", str(item.event.kind))
            and self.actor in ("", item.event.actor)
            and (not self.domain or self.domain.lower() in item.domain)
        )


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """The feed of events, with filters; the cursor in the address goes back in time."""
    ssl = ssl_for(request)
    texts = ssl.translator
    filters = {name: request.GET.get(name, "").strip() for name in ("kind", "actor", "domain")}
    only = AuditFilter(**filters)
    owner = request.GET.get("owner", "").strip()
    items, cursor = matching_events(
        ssl.core, only, after=request.GET.get("after") or None, owner=owner if owner and ssl.owner is None else None
    )
    context = {
        "section": "audit",
        "rows": [_row(item, texts) for item in items],
        "next_cursor": cursor,
        "only": only,
        "owner": owner,
        "chooses_owner": ssl.owner is None,
        "kinds": sorted(((str(kind), texts(label_of(kind))) for kind in EventKind), key=lambda each: each[1]),
        "is_filtered": any(filters.values()) or bool(owner),
        "is_older": bool(request.GET.get("after")),
        "filters": urlencode({name: value for name, value in {**filters, "owner": owner}.items() if value}),
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


def matching_events(
    core: ActingCore, only: AuditFilter, *, after: str | None, owner: str | None
) -> tuple[Sequence[FeedEvent], str | None]:
    """A page of the events that a filter wants, newest first.

    One call looks through 1000 events, so a page may be short, or empty, and have a cursor nevertheless.

    Args:
        core: What the user may do.
        only: The filter.
        after: The cursor of the page before.
        owner: Only events of this tenant's certificates; None for those of the user's tenant, or of everybody.

    Returns:
        The events, and the cursor of the next page; None where there are no older events.

    Raises:
        InvalidInputError: The cursor or the owner is malformed.
        AccessDeniedError: The policy refused.
    """
    of_owner = {} if owner is None else {"owner": owner}
    page = core.events(after=after, limit=_SEARCHED, descending=True, **of_owner)
    fitting = [item for item in page.items if only.fits(item)]
    if len(fitting) > _SHOWN:
        shown = fitting[:_SHOWN]
        return shown, str(shown[-1].event.position)
    return fitting, page.next_cursor if len(page.items) == _SEARCHED else None
