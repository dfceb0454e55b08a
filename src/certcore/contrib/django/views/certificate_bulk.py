"""Actions on the chosen certificates of the list: renew, revoke, delete and export."""

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

#: How many certificates one action takes, as the calls do.
_MOST_CHOSEN: Final = 200
#: How many results of an action the next page shows, and how long each may be, in characters.
_MOST_KEPT: Final = 10
_LONGEST_KEPT: Final = 200
#: Where the session keeps the results of an action for the list.
_RESULTS: Final = "certcore_bulk_results"
_EXPORT: Final = "export"
#: The format that is chosen at first, as for ``certcore cert bulk export``.
_FIRST_FORMAT: Final = "pem"
#: The file in an archive that lists the certificates that are not in it.
_NOT_EXPORTED: Final = "not-exported.txt"


@frozen(kw_only=True)
class BulkAction:
    """An action on many certificates."""

    name: str
    label: str | Promise
    #: The permission for the button; the calls ask for each certificate.
    permission: Permission
    #: Whether a page asks first: something is lost, or has to be chosen.
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
    """The actions that the user is offered below the list."""
    return [action for action in _ACTIONS.values() if access.may(action.permission)]


def take_results(request: HttpRequest) -> Mapping[str, Any] | None:
    """The results of the last action; None without one, and the second time."""
    results: Mapping[str, Any] | None = request.session.pop(_RESULTS, None)
    return results


def summary_of(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message above the list after an action."""
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
    """Run an action on the chosen certificates; a destructive action, or an export, asks first.

    The policy is asked about each certificate, and a failure does not stop the others.
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
    """Ask for the format and, with the private keys, for the reason."""
    chosen = _chosen(access, ids)
    issued = [certificate for certificate in chosen if certificate.active_issuance_id is not None]
    may_have_key = any(_may_have_key(access, certificate) for certificate in issued)
    formats = access.core.certificates.formats()
    fields = [
        field
        for field in export_fields(formats, may_have_key=may_have_key, default=_FIRST_FORMAT)
        if field.name not in ("friendly_name", "folder")  # they are of one certificate
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
    """An archive with a folder for each certificate, and a list of those that could not be exported."""
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
    """The files of an archive, each with its folder: the domain's, with the ID where two have the same domain."""
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
    """The list as it was when the certificates were chosen."""
    query = QueryDict(request.POST.get("query", "")).urlencode()
    address = reverse("certcore:certificate_list")
    return f"{address}?{query}" if query else address


def _kept(access: SslAccess, action: str, results: Sequence[BulkResult[Any]]) -> Mapping[str, Any]:
    """The results as the session keeps them for the next page: those that failed first, few enough for a cookie."""
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
    """The chosen certificates that the user may see."""
    certificates = []
    for certificate_id in dict.fromkeys(ids[:_MOST_CHOSEN]):
        try:
            certificates.append(access.core.certificates.get(certificate_id))
        except CertCoreError:
            continue
    return certificates


def _said(access: SslAccess, error: CertCoreError | None) -> str:
    return "" if error is None else f"{access.translator(error.text)} {access.translator(error.advice_text)}".strip()
