"""Pages that create a certificate: the form of a new certificate, and the copy of an existing one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _

from certcore import CertCoreError
from certcore.contrib.django.access import SslAccess, ssl_for
from certcore.contrib.django.pages import REPAIRABLE, is_fragment, render_page
from certcore.errors import PluginError
from certcore.hints import FieldKind, FormField, InputForm

__all__ = ["certificate_clone", "certificate_create"]

#: Posted values that are not fields of the form.
_NOT_FIELDS: Final = ("csrfmiddlewaretoken", "refresh", "for_owner")


def certificate_create(request: HttpRequest) -> HttpResponse:
    """Show the form of a new certificate, or save it as a draft.

    The fields depend on the CA profile: a POST with ``refresh`` shows those of the chosen profile and stores nothing.
    """
    ssl = ssl_for(request)
    source = request.POST if request.method == "POST" else request.GET
    form, owner, broken = _new_form(ssl, source)
    if request.method != "POST":
        return _new_page(request, ssl, form, owner, broken)
    if "refresh" in request.POST or broken is not None:
        return _new_page(request, ssl, form.refilled(request.POST), owner, broken)
    try:
        saved = ssl.core.certificates.save(form.bind(request.POST, ignore=_NOT_FIELDS))
    except CertCoreError as error:
        if error.http_status not in REPAIRABLE:
            raise
        return _new_page(request, ssl, form.refilled(request.POST), owner, error)
    messages.success(request, _("The draft is saved. No key was made, and no CA was asked."), fail_silently=True)
    return HttpResponseRedirect(reverse("certcore:certificate", args=[saved.id]))


def certificate_clone(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Ask for a domain, then save a copy of a certificate as a draft."""
    ssl = ssl_for(request)
    view = ssl.core.certificates.view(certificate_id)
    domain = FormField(
        name="domain",
        label=_("Domain of the copy"),
        kind=FieldKind.TEXT,
        help=_("Left empty, the copy is for the same names."),
    )
    problem: CertCoreError | None = None
    if request.method == "POST":
        try:
            copy = ssl.core.certificates.clone(certificate_id, request.POST.get("domain", "").strip() or None)
        except CertCoreError as error:
            if error.http_status not in REPAIRABLE:
                raise
            problem = error
        else:
            messages.success(request, _("The copy is a draft. No key was copied."), fail_silently=True)
            return HttpResponseRedirect(reverse("certcore:certificate", args=[copy.id]))
    context = {
        "view": view,
        "heading": _("Clone"),
        "intro": _("The copy has the same CA profile, key type, subject and renewal policy, and no key."),
        "fields": [domain],
        "errors": [] if problem is None else [problem],
        "values": request.POST if request.method == "POST" else None,
        "submit": _("Make the copy"),
    }
    status = 200 if problem is None else problem.http_status
    return render_page(request, "certcore/certificate_ask.html", context, status=status)


def _new_form(ssl: SslAccess, source: Any) -> tuple[InputForm, str, PluginError | None]:
    """Return the form of a new certificate, its owner, and the error if the CA module fails to return its fields.

    If the owner can use only one CA profile, it is chosen.
    """
    owner = source.get("for_owner", "").strip() if ssl.owner is None else ssl.owner
    tenant = {"owner": owner} if ssl.owner is None else {}
    form: InputForm = ssl.core.certificates.form(**tenant)
    choices = [choice.value for choice in form["authority"].choices]
    chosen = source.get("authority", "")
    authority = chosen if chosen in choices else choices[0] if len(choices) == 1 else None
    if authority is None:
        return form, owner, None
    try:
        return ssl.core.certificates.form(authority=authority, **tenant), owner, None
    except PluginError as error:
        return form, owner, error


def _new_page(
    request: HttpRequest, ssl: SslAccess, form: InputForm, owner: str, error: CertCoreError | None = None
) -> HttpResponse:
    context = {
        "form": form,
        "errors": [] if error is None else [error],
        "owner": owner,
        "asks_owner": ssl.owner is None,
        "has_profiles": bool(form["authority"].choices),
    }
    part, page = "certcore/_certificate_create_form.html", "certcore/certificate_create.html"
    status = 200 if error is None else error.http_status
    return render_page(request, part if is_fragment(request) else page, context, status=status)
