"""The start page: counts, a chart of expiring leaves, failures, and certificates that wait for a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from attrs import frozen
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from certcore.contrib.django.access import SslAccess, config, ssl_for
from certcore.contrib.django.pages import render_page
from certcore.contrib.django.templatetags.certcore import moment
from certcore.contrib.django.views.listing import ListedCertificate, listed, unless_seen
from certcore.model.counts import CertificateCounts
from certcore.model.lifecycle import Status
from certcore.model.listing import SortKey
from certcore.model.standing import Attempt, ConditionType

__all__ = ["dashboard", "numbers"]

#: How many certificates each list of the page shows.
_MOST_SHOWN: Final = 6
#: Sizes in the chart, in units of the SVG.
_BAR: Final = 20
_STEP: Final = 25
_HEIGHT: Final = 44
_DAYS_OF_WEEK: Final = 7


@frozen(kw_only=True)
class _Week:
    """A bar of the chart: the leaves that expire in one week."""

    count: int
    begins: Any
    ends: Any
    x: int
    y: int
    height: int
    is_first: bool


@require_safe
def dashboard(request: HttpRequest) -> HttpResponse:
    """Show the start page."""
    return render_page(request, "certcore/dashboard.html", _context(ssl_for(request)))


@require_safe
def numbers(request: HttpRequest) -> HttpResponse:
    """Return the part of the start page that refreshes; status 204 if it has not changed."""
    context = _context(ssl_for(request))
    response = render_page(request, "certcore/_dashboard_numbers.html", context)
    return unless_seen(request, response, aside=str(context["counted_at"]))


def _context(access: SslAccess) -> dict[str, Any]:
    counts = access.core.certificates.counts()
    if not counts.total:  # count again, so that the first certificate appears at once
        counts = access.core.certificates.counts(max_age=0)
    weeks = _weeks(counts)
    return {
        "section": "dashboard",
        "counts": counts,
        "counted_at": moment(counts.at, "time"),
        "statuses": [(status, counts.by_status[status]) for status in Status],
        "owner_needed": counts.by_condition[ConditionType.OWNER_ACTION_NEEDED],
        "deployment_failed": counts.by_condition[ConditionType.DEPLOYMENT_FAILED],
        "active": counts.by_status[Status.ACTIVE],
        "expired": counts.by_status[Status.EXPIRED],
        "failed": counts.by_status[Status.ERROR],
        "ending": counts.ending_within,
        "weeks": weeks,
        "chart_width": len(weeks) * _STEP,
        "failing": _failing(access),
        "waiting_owner": _rows(access, condition=ConditionType.OWNER_ACTION_NEEDED),
        "waiting_administrator": _rows(access, attempt=Attempt.ADMINISTRATOR),
        "refresh_seconds": config().settings().refresh_seconds,
    }


def _failing(access: SslAccess) -> list[ListedCertificate]:
    """Return certificates whose renewal is in danger, by expiry; then those with a failed issuance or deployment."""
    lines = _rows(access, condition=ConditionType.RENEWAL_IN_DANGER, order=SortKey.NOT_AFTER)
    lines += _rows(access, status=Status.ERROR)
    lines += _rows(access, condition=ConditionType.DEPLOYMENT_FAILED)
    return list({each.row.certificate.id: each for each in lines}.values())[:_MOST_SHOWN]


def _rows(access: SslAccess, **filters: Any) -> list[ListedCertificate]:
    """Return the first certificates that match filters. They are current, while the counts may be a minute old."""
    return [listed(row) for row in access.core.certificates.rows(limit=_MOST_SHOWN, **filters).items]


def _weeks(counts: CertificateCounts) -> list[_Week]:
    """Return the bars of the chart: how many leaves expire in each week."""
    numbers_of_weeks = counts.ending_by_week
    most = max(1, *numbers_of_weeks)
    return [
        _Week(
            count=count,
            begins=counts.at + timedelta(days=_DAYS_OF_WEEK * week),
            ends=counts.at + timedelta(days=_DAYS_OF_WEEK * (week + 1)),
            x=week * _STEP,
            y=_HEIGHT - _bar(count, most),
            height=_bar(count, most),
            is_first=week == 0,
        )
        for week, count in enumerate(numbers_of_weeks)
    ]


def _bar(count: int, most: int) -> int:
    """Return the height of a bar: 0 for no leaves, else at least 3, so that the bar is visible."""
    return 0 if count == 0 else max(3, round(count * (_HEIGHT - 4) / most))
