"""Import a certificate that was issued elsewhere, from pasted text or uploaded files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve, frozen
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from certcore import CertCoreError, Permission
from certcore.contrib.django.access import SslAccess, ssl_for
from certcore.contrib.django.pages import is_fragment, render_page
from certcore.contrib.django.shown_forms import ShownField, shown_errors, shown_fields
from certcore.errors import AccessDeniedError, InvalidInputError
from certcore.hints import Choice, FieldKind, FormField, Message, label_of

__all__ = ["certificate_import"]

#: The fields that take pasted text or an uploaded file.
_PARTS: Final = ("leaf", "private_key", "ca_bundle")
#: The largest accepted file in bytes; a bundle with a CA's roots fits.
_LONGEST: Final = 512 * 1024


@frozen(kw_only=True)
class _Posted:
    """The posted values as arguments of the calls."""

    material: dict[str, Any]
    authority: str | None
    owner: dict[str, str]
    renewal: dict[str, Any]


@sensitive_variables()
def certificate_import(request: HttpRequest) -> HttpResponse:
    """Show the form, check the posted certificate, or import it.

    The button ``check`` stores nothing: it shows what an import would store, with warnings. With htmx the response is
    a part of the page, so that the browser keeps pasted text and chosen files: a private key is never sent back.
    """
    ssl = ssl_for(request)
    fields = _fields(ssl)
    if request.method != "POST":
        if not ssl.may(Permission.CERTIFICATE_IMPORT):
            missing = Permission.CERTIFICATE_IMPORT
            raise AccessDeniedError(ssl.actor, missing, "", title=label_of(missing))
        return _page(request, ssl, fields)
    try:
        posted = _posted(request, ssl)
        calls = ssl.core.certificates
        bundle = calls.check_import(**posted.material, **posted.owner)
        if "check" in request.POST:
            return _page(request, ssl, fields, bundle=bundle)
        saved = calls.import_certificate(
            **posted.material, **posted.owner, authority=posted.authority, renewal=posted.renewal
        )
    except CertCoreError as error:
        # The user can correct these, such as a key that does not match, or unreadable PEM.
        if error.http_status not in (400, 409, 422):
            raise
        return _page(request, ssl, fields, error=error)
    messages.success(request, _("The certificate is imported."), fail_silently=True)
    address = reverse("certcore:certificate", args=[saved.id])
    if is_fragment(request):
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return HttpResponseRedirect(address)


def _fields(ssl: SslAccess) -> Sequence[FormField]:
    usable = ssl.core.authorities.usable()
    profiles = (Choice("", _("None: nothing renews it")), *(Choice(each.id, each.name) for each in usable))
    owner = [FormField(name="for_owner", label=_("Owner"), kind=FieldKind.TEXT, help=_("The tenant, if there is one."))]
    return [
        FormField(
            name="leaf",
            label=_("Certificate"),
            kind=FieldKind.MULTILINE,
            help=_("PEM; or everything in one: PEM blocks in any order, PKCS#7, PKCS#12."),
            placeholder="-----BEGIN CERTIFICATE-----",
        ),
        FormField(
            name="private_key",
            label=_("Private key"),
            kind=FieldKind.MULTILINE,
            help=_("Without it the certificate is watched and renewed, and cannot be exported."),
            placeholder="-----BEGIN PRIVATE KEY-----",
        ),
        FormField(
            name="ca_bundle",
            label=_("CA bundle"),
            kind=FieldKind.MULTILINE,
            help=_("The intermediate certificates, in any order."),
            placeholder="-----BEGIN CERTIFICATE-----",
        ),
        FormField(
            name="password",
            label=_("Password"),
            kind=FieldKind.SECRET,
            help=_("Of an encrypted key or a PKCS#12 file."),
        ),
        *(owner if ssl.owner is None else []),
        FormField(
            name="authority",
            label=_("CA profile"),
            kind=FieldKind.CHOICE,
            choices=profiles,
            help=_("It renews the certificate from then on."),
        ),
        FormField(name="auto", label=_("Renew automatically"), kind=FieldKind.BOOLEAN, default=True),
        FormField(
            name="days_before",
            label=_("Days before the end"),
            kind=FieldKind.INTEGER,
            minimum=1,
            help=_("When to renew. If empty: when a third of the lifetime is left."),
        ),
    ]


@sensitive_variables()
def _posted(request: HttpRequest, ssl: SslAccess) -> _Posted:
    """Read the posted values and files.

    Raises:
        InvalidInputError: A file is too long, or text and a file are given for the same part.
    """
    post = request.POST
    material: dict[str, Any] = {name: _part(request, name) for name in _PARTS}
    material["leaf"] = material["leaf"] or ""
    material["password"] = post.get("password") or None
    days = post.get("days_before", "").strip()
    return _Posted(
        material=material,
        authority=post.get("authority") or None,
        owner={"owner": post.get("for_owner", "").strip()} if ssl.owner is None else {},
        renewal={"auto": post.get("auto") == "yes", "days_before": days or None},
    )


@sensitive_variables()
def _part(request: HttpRequest, name: str) -> str | bytes | None:
    text = request.POST.get(name, "").strip()
    upload = request.FILES.get(f"{name}_file")
    if upload is None:
        return text or None
    if text:
        raise InvalidInputError(name, Message("", _("is given as text and as a file: leave one of them out.")))
    if upload.size > _LONGEST:
        raise InvalidInputError(name, Message("", _("is too large a file for a certificate or a key.")))
    content: bytes = upload.read()
    return content


@sensitive_variables()
def _page(
    request: HttpRequest,
    ssl: SslAccess,
    fields: Sequence[FormField],
    *,
    bundle: Any = None,
    error: CertCoreError | None = None,
) -> HttpResponse:
    errors = shown_errors([] if error is None else [error], fields, ssl.translator)
    values = {name: request.POST.get(name, "") for name in request.POST} if request.method == "POST" else None
    if values is not None:
        values["auto"] = values.get("auto") == "yes"
    shown = shown_fields(fields, ssl.translator, errors=errors, values=values)
    context = {
        "fields": [_with_file(field) for field in shown],
        "errors": errors,
        "bundle": bundle,
        "now": ssl.core.certificates.counts().at if bundle is not None else None,
    }
    part, page = "certcore/_certificate_import_result.html", "certcore/certificate_import.html"
    if is_fragment(request):  # by default, htmx ignores the content of error responses
        return render_page(request, part, context)
    return render_page(request, page, context, status=200 if error is None else error.http_status)


def _with_file(field: ShownField) -> ShownField:
    """Add an input for a file to a field that takes one. Remove a pasted private key, so that it is not sent back."""
    if field.name not in _PARTS:
        return field
    shown = evolve(field, file_name=f"{field.name}_file")
    # The first field may contain a private key, too, in one text with the certificate.
    return evolve(shown, value="") if "PRIVATE KEY" in field.value or field.name == "private_key" else shown
