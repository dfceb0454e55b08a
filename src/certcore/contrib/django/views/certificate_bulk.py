"""Actions on several certificates that the user chose in the list: renew, revoke, delete and export."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from attrs import frozen
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.debug import sensitive_variables

from certcore import CertCoreError, Certificate, Permission, RevocationReason, Secret
from certcore.contrib.django.access import SslAccess, ssl_for
from certcore.contrib.django.attachments import archive, attachment
from certcore.contrib.django.pages import render_page
from certcore.contrib.django.views.certificate_export import export_fields
from certcore.errors import InvalidInputError
from certcore.plugin import ExportedFile, file_stem
from certcore.services.bulk import BulkResult

__all__ = ["BulkAction", "bulk_actions", "certificate_bulk", "summary_of", "take_results"]

#: How many certificates one action takes; the limit of the bulk calls.
_MOST_CHOSEN: Final = 200
#: How many results of an action the session keeps for the next page, and how many characters of each.
_MOST_KEPT: Final = 10
_LONGEST_KEPT: Final = 200
#: The session key of the results.
_RESULTS: Final = "certcore_bulk_results"
_EXPORT: Final = "export"
#: The default format, the same as that of ``certcore cert bulk export``.
_FIRST_FORMAT: Final = "pem"
#: The file of an archive that lists the certificates that could not be exported.
_NOT_EXPORTED: Final = "not-exported.txt"


@frozen(kw_only=True)
class BulkAction:
    """An action on many certificates."""

    name: str
    label: str | Promise
    #: The permission that shows the button; the calls ask the policy about each certificate.
    permission: Permission
    #: Whether a page asks for confirmation or for values first.
    is_asked: bool = True
    is_destructive: bool = False


_ACTIONS: Final[Mapping[str, BulkAction]] = MappingProxyType(
    {
        action.name: action
        for action in (
            BulkAction(
                name="renew",
                label=gettext_lazy("Renew"),
                permission=Permission.CERTIFICATE_RENEW,
                is_asked=False,
            ),
            BulkAction(name=_EXPORT, label=gettext_lazy("Export"), permission=Permission.CERTIFICATE_VIEW),
            BulkAction(
                name="revoke",
                label=gettext_lazy("Revoke"),
                permission=Permission.CERTIFICATE_REVOKE,
                is_destructive=True,
            ),
            BulkAction(
                name="delete",
                label=gettext_lazy("Delete"),
                permission=Permission.CERTIFICATE_DELETE,
                is_destructive=True,
            ),
        )
    }
)


def bulk_actions(access: SslAccess) -> Sequence[BulkAction]:
    """Return the actions that the list offers to the user."""
    return [action for action in _ACTIONS.values() if access.may(action.permission)]


def take_results(request: HttpRequest) -> Mapping[str, Any] | None:
    """Remove the results of the last action from the session and return them; None if there are none."""
    results: Mapping[str, Any] | None = request.session.pop(_RESULTS, None)
    return results


def summary_of(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the message that the list shows after an action."""
    each = results["certificates"]
    failed = [result["text"] for result in each.values() if not result["ok"]]
    label = _ACTIONS[results["action"]].label
    if not results.get("all"):
        return {"level": "warning", "text": _("%(action)s: choose certificates first.") % {"action": label}}
    values = {"action": label, "done": results["done"], "all": results["all"]}
    return {
        "level": "success" if not failed else "warning",
        "text": _("%(action)s: %(done)s of %(all)s done.") % values,
        "failures": list(dict.fromkeys(failed)),
    }


def certificate_bulk(request: HttpRequest) -> HttpResponse:
    """Run an action on the chosen certificates. All actions except renewal ask first.

    The policy is asked about each certificate. If the action fails for one certificate, the others still get it.
    """
    access = ssl_for(request)
    name, ids = request.POST.get("action", ""), request.POST.getlist("ids")
    if only := request.POST.get("delete_one"):
        name, ids = "delete", [only]
    if name not in _ACTIONS:
        raise Http404(f"There is no action {name[:40]!r}.")
    action = _ACTIONS[name]
    if not ids:
        request.session[_RESULTS] = {"certificates": {}, "action": name}
        return HttpResponseRedirect(_list_address(request))
    is_confirmed = request.POST.get("confirmed") == "yes"
    if name == _EXPORT:
        return _exported(request, access, ids) if is_confirmed else _export_page(request, access, ids)
    if action.is_asked and not is_confirmed:
        return _page(request, action, _chosen(access, ids), {"reasons": list(RevocationReason)})
    calls: Mapping[str, Callable[[], Sequence[BulkResult[Any]]]] = {
        "renew": lambda: access.core.certificates.bulk_renew(ids),
        "revoke": lambda: access.core.certificates.bulk_revoke(
            ids, reason=request.POST.get("reason") or RevocationReason.UNSPECIFIED
        ),
        "delete": lambda: access.core.certificates.bulk_delete(ids),
    }
    request.session[_RESULTS] = _kept(access, name, calls[name]())
    return HttpResponseRedirect(_list_address(request))


def _page(
    request: HttpRequest,
    action: BulkAction,
    certificates: Sequence[Certificate],
    values: Mapping[str, Any],
    *,
    status: int = 200,
) -> HttpResponse:
    context = {
        "action": action,
        "certificates": certificates,
        "query": request.POST.get("query", ""),
        "back": _list_address(request),
        "section": "certificates",
        **values,
    }
    return render_page(request, "certcore/certificate_bulk.html", context, status=status)


def _export_page(
    request: HttpRequest,
    access: SslAccess,
    ids: Sequence[str],
    errors: Sequence[CertCoreError] = (),
    failures: Sequence[str] = (),
) -> HttpResponse:
    """Ask for the format, and for the reason if the user may have private keys."""
    chosen = _chosen(access, ids)
    issued = [certificate for certificate in chosen if certificate.active_issuance_id is not None]
    may_have_key = any(_may_have_key(access, certificate) for certificate in issued)
    formats = access.core.certificates.formats()
    fields = [
        field
        for field in export_fields(formats, may_have_key=may_have_key, default=_FIRST_FORMAT)
        if field.name not in ("friendly_name", "folder")  # they make sense only for one certificate
    ]
    context = {
        "fields": [field for field in fields if not field.advanced],
        "advanced": [field for field in fields if field.advanced],
        "may_have_key": may_have_key,
        "errors": errors,
        "failures": failures,
        "values": request.POST if request.POST.get("confirmed") == "yes" else None,
        "left_out": [certificate for certificate in chosen if certificate.active_issuance_id is None],
    }
    status = errors[0].http_status if errors else 422 if failures else 200
    return _page(request, _ACTIONS[_EXPORT], issued, context, status=status)


@sensitive_variables()
def _exported(request: HttpRequest, access: SslAccess, ids: Sequence[str]) -> HttpResponse:
    """Return an archive with a folder per certificate; if no certificate can be exported, the page with the errors."""
    password = request.POST.get("password", "")
    try:
        results = access.core.certificates.bulk_export(
            ids,
            request.POST.get("format") or _FIRST_FORMAT,
            with_key=request.POST.get("with_key") == "yes",
            reason=request.POST.get("reason", "").strip(),
            password=Secret(password) if password else None,
            legacy=request.POST.get("legacy") == "yes",
        )
    except InvalidInputError as error:
        return _export_page(request, access, ids, [error])
    refused = {str(each.error): each.error for each in results if each.error is not None}
    if not any(result.ok for result in results):
        wrong = [error for error in refused.values() if isinstance(error, InvalidInputError)]
        others = [_said(access, error) for error in refused.values() if not isinstance(error, InvalidInputError)]
        return _export_page(request, access, ids, wrong, others)
    request.session[_RESULTS] = _kept(access, _EXPORT, results)
    return attachment("certificates.zip", archive(_files(access, results)))


@sensitive_variables()
def _files(access: SslAccess, results: Sequence[BulkResult[Any]]) -> Iterator[tuple[str, ExportedFile]]:
    """Yield each file with its folder, which is named after the domain; equal names get the certificate's ID appended.

    The last file lists the certificates that could not be exported, if there are any.
    """
    certificates = _chosen(access, [result.certificate_id for result in results])
    domains = {certificate.id: certificate.domain.ascii for certificate in certificates}
    stems = Counter(file_stem(domain) for domain in domains.values())
    missing = []
    for result in results:
        domain = domains.get(result.certificate_id, result.certificate_id)
        stem = file_stem(domain)
        folder = stem if stems[stem] <= 1 else f"{stem}-{result.certificate_id}"
        if result.value is None:
            missing.append(f"{domain}: {_said(access, result.error)}\n")
            continue
        yield from ((folder, file) for file in result.value.files)
    if missing:
        yield "", ExportedFile(name=_NOT_EXPORTED, content="".join(missing).encode())


def _may_have_key(access: SslAccess, certificate: Certificate) -> bool:
    tenant = {} if access.owner is not None else {"owner": certificate.owner}
    return access.core.allows(Permission.CERTIFICATE_REVEAL_KEY, subject=certificate.id, **tenant)


def _list_address(request: HttpRequest) -> str:
    """Return the URL of the list with the filters and order that it had when the certificates were chosen."""
    query = QueryDict(request.POST.get("query", "")).urlencode()
    address = reverse("certcore:certificate_list")
    return f"{address}?{query}" if query else address


def _kept(access: SslAccess, action: str, results: Sequence[BulkResult[Any]]) -> Mapping[str, Any]:
    """Return the results for the session, failed ones first, cut so that they fit in a session cookie."""
    ordered = sorted(results, key=lambda result: result.ok)[:_MOST_KEPT]
    each = {
        result.certificate_id: {
            "ok": result.ok,
            "text": "" if result.ok else Truncator(_said(access, result.error)).chars(_LONGEST_KEPT),
        }
        for result in ordered
    }
    done = sum(result.ok for result in results)
    return {"certificates": each, "action": action, "done": done, "all": len(results)}


def _chosen(access: SslAccess, ids: Sequence[str]) -> Sequence[Certificate]:
    """Return the chosen certificates that the user may see, at most `_MOST_CHOSEN`."""
    certificates = []
    for certificate_id in dict.fromkeys(ids[:_MOST_CHOSEN]):
        try:
            certificates.append(access.core.certificates.get(certificate_id))
        except CertCoreError:
            continue
    return certificates


def _said(access: SslAccess, error: CertCoreError | None) -> str:
    return "" if error is None else f"{access.translator(error.text)} {access.translator(error.advice_text)}".strip()
