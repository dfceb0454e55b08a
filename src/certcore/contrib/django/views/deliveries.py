"""The page of failed deliveries: observers, reasons and times of the next retry, with a button to retry now."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from certcore import CertificateRow, ConditionType
from certcore.contrib.django.access import ssl_for
from certcore.contrib.django.pages import render_page
from certcore.errors import AccessDeniedError

__all__ = ["deliveries", "delivery_again"]


@frozen(kw_only=True)
class FailedRow:
    """A certificate with the observers that failed on its events."""

    row: CertificateRow
    #: The failed deliveries; for users who may not see the reasons, only the observers and since when they have failed.
    failed: Sequence[object]
    #: Whether the user may see the reasons and the next retry.
    sees_reasons: bool


@require_safe
def deliveries(request: HttpRequest) -> HttpResponse:
    """List the certificates with failed deliveries; the reasons are shown to users who may see them."""
    core = ssl_for(request).core
    page = core.certificates.rows(
        condition=ConditionType.DEPLOYMENT_FAILED, after=request.GET.get("after") or None, limit=50
    )
    rows = []
    for row in page.items:
        try:
            behind = core.certificates.deliveries(row.certificate.id).behind
        except AccessDeniedError:
            rows.append(FailedRow(row=row, failed=row.failed_deliveries, sees_reasons=False))
        else:
            failed = [cursor for _name, cursor in sorted(behind.items()) if cursor.failing_since is not None]
            rows.append(FailedRow(row=row, failed=failed, sees_reasons=True))
    context = {
        "section": "deliveries",
        "rows": rows,
        "next_cursor": page.next_cursor,
        "is_first": not request.GET.get("after"),
    }
    return render_page(request, "certcore/deliveries.html", context)


@require_POST
def delivery_again(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Make the failed deliveries of a certificate due now; a process that has the observer then retries them."""
    core = ssl_for(request).core
    count = core.certificates.deliver_again(certificate_id, observer=request.POST.get("observer") or None)
    if count:
        text = ngettext("%(count)s delivery is tried again now.", "%(count)s deliveries are tried again now.", count)
        messages.success(request, text % {"count": count}, fail_silently=True)
    else:
        messages.info(request, _("No delivery has failed: there is nothing to try again."), fail_silently=True)
    return HttpResponseRedirect(reverse("certcore:deliveries"))
