"""The list of certificates, with filters, order and pages; it refreshes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from attrs import asdict, frozen
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from certcore.contrib.django.access import SslAccess, config, ssl_for
from certcore.contrib.django.pages import render_page, whole_number
from certcore.contrib.django.templatetags.certcore import level_class
from certcore.contrib.django.views.certificate_bulk import bulk_actions, summary_of, take_results
from certcore.errors import AccessDeniedError, InvalidInputError
from certcore.hints import Message
from certcore.model.conditions import Condition
from certcore.model.lifecycle import Status
from certcore.model.listing import SortKey
from certcore.model.permissions import Permission
from certcore.model.rows import CertificateRow
from certcore.model.standing import ConditionStatus, ConditionType

__all__ = ["ListedCertificate", "certificate_list", "certificate_rows", "listed", "unless_seen"]

#: The conditions that a row shows below its status, the most urgent first.
_REASONS: Final = (
    ConditionType.RENEWAL_IN_DANGER,
    ConditionType.DEPLOYMENT_FAILED,
    ConditionType.OWNER_ACTION_NEEDED,
    ConditionType.ISSUING,
    ConditionType.RENEWING,
)
#: The conditions that the list can be filtered by.
_FILTERS: Final = (
    ConditionType.RENEWAL_IN_DANGER,
    ConditionType.OWNER_ACTION_NEEDED,
    ConditionType.DEPLOYMENT_FAILED,
    ConditionType.ISSUING,
    ConditionType.RENEWING,
    ConditionType.READY,
)
_ENDS_SOON_DAYS: Final = 14
_MOST_SHOWN_ALIASES: Final = 3
#: The prefix of A-labels (RFC 5890 section 2.3.2.1).
_A_LABEL: Final = "xn--"
_SORTS: Final[Mapping[SortKey, Any]] = MappingProxyType(
    {
        SortKey.DOMAIN: gettext_lazy("Domain"),
        SortKey.NOT_AFTER: gettext_lazy("Days left"),
        SortKey.CREATED_AT: gettext_lazy("Created"),
    }
)


@frozen(kw_only=True)
class ListedCertificate:
    """A row of the list, with its badges."""

    row: CertificateRow
    #: The domain with U-labels; empty if it has no A-label.
    unicode_domain: str
    #: The first names other than the domain, with U-labels, and how many further names there are.
    shown_aliases: tuple[str, ...]
    more_aliases: int
    #: The conditions in `_REASONS` that are true, the most urgent first.
    reasons: tuple[Condition, ...]
    #: The title of the certificate's problem; None if there is no problem.
    problem: Message | None
    #: The CSS class of the badge with the status.
    level_class: str
    #: The CSS class of the badge with the days until the leaf expires.
    days_class: str
    #: The title of the CA module; empty if it is unknown or the user may not see it.
    module_title: str = ""
    #: The result of the last bulk action for this certificate; None if there is none.
    result: Mapping[str, Any] | None = None


def listed(row: CertificateRow, result: Mapping[str, Any] | None = None, module_title: str = "") -> ListedCertificate:
    """Return a row with its badges.

    Args:
        row: The row.
        result: The result of the last bulk action for this certificate.
        module_title: The title of the CA module.
    """
    certificate = row.certificate
    holding = {each.type: each for each in row.conditions if each.status is ConditionStatus.TRUE}
    if ConditionType.OWNER_ACTION_NEEDED in holding:  # it gives the same reason in more detail
        holding.pop(ConditionType.ISSUING, None)
        holding.pop(ConditionType.RENEWING, None)
    others = [name for name in certificate.names if name != certificate.domain]
    problem = certificate.problem.title_text if certificate.problem is not None else None
    return ListedCertificate(
        row=row,
        unicode_domain=certificate.domain.unicode if _A_LABEL in certificate.domain.ascii else "",
        shown_aliases=tuple(
            name.unicode if _A_LABEL in name.ascii else name.ascii for name in others[:_MOST_SHOWN_ALIASES]
        ),
        more_aliases=max(0, len(others) - _MOST_SHOWN_ALIASES),
        reasons=tuple(holding[kind] for kind in _REASONS if kind in holding),
        problem=problem if problem is not None and str(problem) else None,
        level_class="mute" if certificate.status is Status.DRAFT else level_class(row.level),
        days_class=_days_class(row, in_danger=ConditionType.RENEWAL_IN_DANGER in holding),
        module_title=module_title,
        result=result,
    )


def _days_class(row: CertificateRow, *, in_danger: bool) -> str:
    days = row.days_remaining
    if days is None:
        return "mute"
    if days < 0 or in_danger or row.certificate.status in (Status.REVOKED, Status.EXPIRED):
        return "bad"
    return "warn" if days < _ENDS_SOON_DAYS and not row.certificate.renews_itself else "ok"


@frozen(kw_only=True)
class _Query:
    """The filters, order and cursor in the URL's query of the list."""

    search: str = ""
    status: str = ""
    condition: str = ""
    authority: str = ""
    owner: str = ""
    days_to: str = ""
    order: str = "domain"
    descending: bool = False
    after: str = ""

    @classmethod
    def of(cls, values: QueryDict) -> _Query:
        text = {
            name: values.get(name, "").strip()
            for name in ("search", "status", "condition", "authority", "owner", "days_to", "order", "after")
        }
        text["order"] = text["order"] or "domain"
        return cls(descending=values.get("descending") == "1", **text)

    @property
    def is_filtered(self) -> bool:
        """Whether there is any filter."""
        return bool(self.search or self.status or self.condition or self.authority or self.owner or self.days_to)

    def encoded(self, **changes: str | bool) -> str:
        """Return the URL's query, with changes."""
        values = asdict(self) | changes
        if values["order"] == "domain":
            del values["order"]
        return urlencode({name: "1" if value is True else value for name, value in values.items() if value})

    def filters(self, access: SslAccess, limit: int) -> dict[str, Any]:
        """Return the arguments of ``certificates.rows``."""
        filters: dict[str, Any] = {"limit": limit}
        if self.owner and access.owner is None:
            filters["owner"] = self.owner
        others = {
            "status": self.status,
            "condition": self.condition,
            "authority": self.authority,
            "after": self.after,
            "days_to": whole_number("days_to", self.days_to) if self.days_to else None,
        }
        chosen = {name: value for name, value in others.items() if value not in ("", None)}
        is_sorted = self.order != SortKey.DOMAIN or self.descending
        if self.search and not chosen and not is_sorted:
            return {**filters, "search": self.search}
        if self.search:  # `search` cannot be combined with other filters or an order; `name` can
            chosen["name"] = self.search
        return {**filters, **chosen, "order": self.order, "descending": self.descending}


@require_safe
def certificate_list(request: HttpRequest) -> HttpResponse:
    """Show the list, with filters, order and pages."""
    access = ssl_for(request)
    results = take_results(request)
    context = _context(request, access, results)
    context["summary"] = None if results is None else summary_of(results)
    context |= {
        "section": "certificates",
        "statuses": list(Status),
        "condition_types": _FILTERS,
        "authorities": list(_profiles(access)),
    }
    return render_page(request, "certcore/certificate_list.html", context, status=422 if context["refused"] else 200)


@require_safe
def certificate_rows(request: HttpRequest) -> HttpResponse:
    """Return only the rows, for a page that refreshes; status 204 if they have not changed."""
    context = _context(request, ssl_for(request), None)
    response = render_page(request, "certcore/_certificate_rows.html", context)
    return unless_seen(request, response)


def unless_seen(request: HttpRequest, response: HttpResponse, *, aside: str = "") -> HttpResponse:
    """Return a part of a page with its digest; or status 204 if the page shows the same part already.

    The digest has two halves: that of the content without ``aside``, and that of the whole content. The page announces
    a change only if the first half has changed.

    Args:
        request: Its header ``X-Certcore-Seen`` has the digest of the part that the page shows.
        response: The current part.
        aside: A text in the part whose change is not announced, such as the time of a count.
    """
    halves = (response.content.replace(aside.encode(), b"") if aside else response.content, response.content)
    digest = ".".join(hashlib.sha256(half).hexdigest()[:16] for half in halves)
    if request.headers.get("X-Certcore-Seen") == digest:
        return HttpResponse(status=204)
    response["X-Certcore-Digest"] = digest
    return response


def _context(request: HttpRequest, access: SslAccess, results: Mapping[str, Any] | None) -> dict[str, Any]:
    query = _Query.of(request.GET)
    options = config().settings()
    refused: InvalidInputError | None = None
    rows: Sequence[CertificateRow] = ()
    next_cursor = None
    try:
        page = access.core.certificates.rows(**query.filters(access, options.page_size))
        rows, next_cursor = page.items, page.next_cursor
    except InvalidInputError as error:
        refused = error
    each = (results or {}).get("certificates", {})
    titles = _module_titles(access)
    return {
        "rows": [
            listed(row, each.get(row.certificate.id), titles.get(row.certificate.authority_id, "")) for row in rows
        ],
        "query": query,
        "encoded": query.encoded(),
        "refused": refused,
        "next_page": None if next_cursor is None else query.encoded(after=next_cursor),
        "first_page": query.encoded(after="") if query.after else None,
        "sorts": [_sort(query, key, label) for key, label in _SORTS.items()],
        "can_change": access.may(Permission.CERTIFICATE_EDIT),
        "bulk_actions": bulk_actions(access),
        "refresh_seconds": options.refresh_seconds,
        "shows_owner": access.owner is None,
    }


def _sort(query: _Query, key: SortKey, label: Any) -> dict[str, Any]:
    is_current = query.order == key
    direction = ("descending" if query.descending else "ascending") if is_current else "none"
    encoded = query.encoded(order=str(key), descending=is_current and not query.descending, after="")
    return {"key": str(key), "label": label, "direction": direction, "encoded": encoded}


def _profiles(access: SslAccess) -> Iterator[Any]:
    """Yield the CA profiles that the list can be filtered by: those that the user may see, or may use."""
    try:
        if access.may(Permission.AUTHORITY_VIEW):
            yield from access.core.authorities.list()
        elif access.owner is not None:
            yield from access.core.authorities.usable()
    except AccessDeniedError:
        return


def _module_titles(access: SslAccess) -> Mapping[str | None, str]:
    """Return the titles of CA modules by the IDs of the CA profiles that the user may see or may use."""
    profiles = list(_profiles(access))
    if not profiles:
        return {}
    if access.may(Permission.AUTHORITY_VIEW):
        modules = access.core.authorities.modules()
        return {each.id: modules[each.module].title for each in profiles if each.module in modules}
    return {each.id: each.title for each in profiles}
