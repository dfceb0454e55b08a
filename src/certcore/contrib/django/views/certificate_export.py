"""Exports, the page of the private key, and downloads of PEM files and of the CA module's files."""

from __future__ import annotations

from collections.abc import Sequence

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from certcore import Action, CertCoreError, CertificateView, Permission, Secret
from certcore.contrib.django.access import ssl_for
from certcore.contrib.django.attachments import archive, attachment
from certcore.contrib.django.pages import REPAIRABLE, render_page
from certcore.hints import Choice, FieldKind, FormField
from certcore.plugin import ExportFormat, Use, file_stem

__all__ = [
    "certificate_export",
    "certificate_file",
    "certificate_key",
    "certificate_pem",
    "export_fields",
]


@sensitive_variables()
def certificate_export(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Ask for the format and, if the user may have the key, for reason and password; a POST returns the file."""
    ssl = ssl_for(request)
    calls = ssl.core.certificates
    view = calls.view(certificate_id)
    offer = next((offer for offer in view.offers if offer.action is Action.EXPORT), None)
    if offer is None:
        calls.export(certificate_id, with_key=False)  # raises the error that tells why
        raise Http404
    may_have_key = "reason" in offer.asks
    fields = export_fields(calls.formats(), may_have_key=may_have_key)
    if request.method != "POST":
        return _export_page(request, view, fields, may_have_key=may_have_key)
    password = request.POST.get("password", "")
    try:
        exported = calls.export(
            certificate_id,
            request.POST.get("format") or "zip",
            with_key=may_have_key and request.POST.get("with_key") == "yes",
            reason=request.POST.get("reason", "").strip(),
            password=Secret(password) if password else None,
            legacy=request.POST.get("legacy") == "yes",
            friendly_name=request.POST.get("friendly_name", "").strip(),
            folder=request.POST.get("folder", "").strip(),
        )
    except CertCoreError as error:
        if error.http_status not in REPAIRABLE:
            raise
        return _export_page(request, view, fields, may_have_key=may_have_key, error=error)
    files = exported.files
    if len(files) == 1:
        return attachment(files[0].name, files[0].content)
    return attachment(f"{file_stem(view.certificate.domain.ascii)}.zip", archive(("", file) for file in files))


@sensitive_variables()
def certificate_key(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Ask for a reason; a POST shows the private key. The timeline records it, and browsers do not cache the page."""
    ssl = ssl_for(request)
    view = ssl.core.certificates.view(certificate_id)
    if not _may_reveal(view):
        raise Http404
    field = _reason_field(required=True)
    key, problem = "", None
    if request.method == "POST":
        try:
            reason = request.POST.get("reason", "").strip()
            key = ssl.core.certificates.private_key(certificate_id, reason=reason).reveal_text()
        except CertCoreError as error:
            if error.http_status not in REPAIRABLE:
                raise
            problem = error
    context = {
        "view": view,
        "key": key,
        "fields": [field],
        "errors": [] if problem is None else [problem],
        "values": request.POST if request.method == "POST" else None,
    }
    status = 200 if problem is None else problem.http_status
    response = render_page(request, "certcore/certificate_key.html", context, status=status)
    response["Cache-Control"] = "no-store"
    return response


def certificate_pem(request: HttpRequest, certificate_id: str, part: str) -> HttpResponse:
    """Download a public part as PEM: ``leaf``, ``chain``, ``fullchain``, ``csr`` or ``public_key``."""
    view = ssl_for(request).core.certificates.view(certificate_id)
    shown = {each.field.name: each.value for each in view.fields}
    active = view.active
    contents = {
        "leaf": shown["leaf_pem"],
        "chain": shown["chain_pem"],
        "fullchain": active.fullchain_pem if active is not None else None,
        "csr": shown["csr_pem"],
        "public_key": view.public_key_pem,
    }
    content = contents.get(part)
    if not content:
        raise Http404
    return attachment(f"{file_stem(view.certificate.domain.ascii)}-{part}.pem", content.encode())


def certificate_file(request: HttpRequest, certificate_id: str, name: str) -> HttpResponse:
    """Download a file that the CA module provides for a certificate."""
    for file in ssl_for(request).core.certificates.files(certificate_id):
        if file.name == name:
            return attachment(file.name, file.content, file.media_type)
    raise Http404


def _may_reveal(view: CertificateView) -> bool:
    """Whether the store has the private key, and the user may see it."""
    newest = view.active or view.issuance
    is_here = newest is not None and not newest.is_keyless
    return is_here and (view.permitted is None or Permission.CERTIFICATE_REVEAL_KEY in view.permitted)


def _reason_field(*, required: bool) -> FormField:
    return FormField(
        name="reason",
        label=_("Reason"),
        kind=FieldKind.TEXT,
        help=_("Why the private key is needed. It is recorded in the timeline with your name."),
        longest=500,
        required=required,
    )


def export_fields(formats: Sequence[ExportFormat], *, may_have_key: bool, default: str = "zip") -> Sequence[FormField]:
    """Return the fields of the export page.

    Args:
        formats: The formats to choose from. Those that require the key are left out if the user may not have it.
        may_have_key: Whether the user may have the private key.
        default: The name of the default format.
    """
    usable = [each for each in formats if may_have_key or each.private_key is not Use.REQUIRED]
    choices = tuple(Choice(each.name, each.title) for each in usable)
    fields = [FormField(name="format", label=_("Format"), kind=FieldKind.CHOICE, choices=choices, default=default)]
    if may_have_key:
        fields += [
            FormField(name="with_key", label=_("With the private key"), kind=FieldKind.BOOLEAN, default=True),
            _reason_field(required=False),
            FormField(
                name="password",
                label=_("Password"),
                kind=FieldKind.SECRET,
                help=_("Encrypts the private key, in the formats that can."),
            ),
            FormField(
                name="legacy",
                label=_("Older form"),
                kind=FieldKind.BOOLEAN,
                default=False,
                help=_("Of PKCS#12, for programs that do not read the present one."),
                advanced=True,
            ),
            FormField(
                name="friendly_name",
                label=_("Name in a key store"),
                kind=FieldKind.TEXT,
                longest=200,
                advanced=True,
            ),
            FormField(
                name="folder",
                label=_("Folder on the server"),
                kind=FieldKind.TEXT,
                help=_("For the lines of a server's configuration."),
                placeholder="/etc/ssl",
                advanced=True,
            ),
        ]
    return fields


def _export_page(
    request: HttpRequest,
    view: CertificateView,
    fields: Sequence[FormField],
    *,
    may_have_key: bool,
    error: CertCoreError | None = None,
) -> HttpResponse:
    context = {
        "view": view,
        "fields": [field for field in fields if not field.advanced],
        "advanced": [field for field in fields if field.advanced],
        "errors": [] if error is None else [error],
        "values": request.POST if request.method == "POST" else None,
        "may_have_key": may_have_key,
    }
    status = 200 if error is None else error.http_status
    return render_page(request, "certcore/certificate_export.html", context, status=status)
