"""The pages of a certificate's timeline, and the check whether the timeline is intact."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse

from certcore import CertCoreError
from certcore.contrib.django.access import ssl_for
from certcore.contrib.django.pages import render_page
from certcore.contrib.django.shown_timeline import field_labels, shown_timeline

__all__ = ["certificate_timeline"]

#: How many events a page shows.
_SHOWN: Final = 50
_NOT_FOUND: Final = 404


def certificate_timeline(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Show the events of a certificate, newest first; the query ``before`` limits them to events with lower numbers.

    Only the first page checks whether the timeline is intact, as the check reads all events.
    """
    ssl = ssl_for(request)
    calls = ssl.core.certificates
    newest = calls.timeline(certificate_id, limit=1)
    count = newest[-1].number if newest else 0
    number = request.GET.get("before", "")
    before = int(number) if number.isdecimal() and len(number) <= len(str(count)) else 0
    if not 1 < before <= count:
        before = count + 1
    try:
        view = calls.view(certificate_id)
    except CertCoreError as error:
        if error.http_status != _NOT_FOUND:
            raise
        view = None  # the certificate was deleted; its timeline remains
    labels = {} if view is None else field_labels(view, ssl.translator)
    is_newest = before > count
    context = {
        "section": "certificates",
        "view": view,
        "certificate_id": certificate_id,
        "events": shown_timeline(calls.timeline(certificate_id, before=before, limit=_SHOWN), ssl.translator, labels),
        "check": calls.verify_timeline(certificate_id) if is_newest else None,
        "count": count,
        "first_number": max(1, before - _SHOWN),
        "last_number": before - 1,
        "newest_query": None if is_newest else "",
        "newer_query": f"before={before + _SHOWN}" if before + _SHOWN <= count else None,
        "older_query": f"before={before - _SHOWN}" if before - _SHOWN > 1 else None,
    }
    return render_page(request, "certcore/certificate_timeline.html", context)
