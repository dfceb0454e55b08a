"""The page of a certificate: fields on the left, hints on the right; and its parts that refresh."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import frozen
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from certcore import (
    Action,
    CertCoreError,
    CertificateView,
    Condition,
    ConditionStatus,
    ConditionType,
    Permission,
    Status,
)
from certcore.contrib.django.access import SslAccess, config, ssl_for
from certcore.contrib.django.pages import REPAIRABLE, render_page
from certcore.contrib.django.shown_certificate import left_column
from certcore.contrib.django.shown_forms import shown_errors
from certcore.contrib.django.shown_hints import digest_of, pace_of
from certcore.contrib.django.shown_timeline import field_labels, shown_timeline
from certcore.hints import ActionButton, EditMethod, Hint, InputForm, Message, Offer
from certcore.plugin import ModuleFile

__all__ = ["certificate", "certificate_live"]

#: Posted values that are not fields of the form.
_NOT_FIELDS: Final = ("csrfmiddlewaretoken", "reissue", "then")
#: How many of the latest events the page shows.
_LATEST: Final = 8
#: The action of the form's own button, which is not in the head.
_SAVE: Final = Action.EDIT
#: The conditions that the page shows if they are true, the most urgent first.
_TOLD: Final = (
    ConditionType.RENEWAL_IN_DANGER,
    ConditionType.OWNER_ACTION_NEEDED,
    ConditionType.DEPLOYMENT_FAILED,
    ConditionType.RENEWING,
    ConditionType.ISSUING,
)


@frozen(kw_only=True)
class OfferedButton:
    """A button in the head of the page."""

    name: str
    label: Message
    help: Message
    #: Whether the button leads to a page that asks for values or for a confirmation.
    has_page: bool
    is_primary: bool
    is_destructive: bool


def certificate(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Show the page, or save its form.

    Changes that need a new leaf are saved only by the button ``reissue``. The button that generates the CSR saves the
    form first, so that the CSR matches the page.
    """
    ssl = ssl_for(request)
    if request.method != "POST":
        return render_page(request, "certcore/certificate.html", _context(ssl, certificate_id))
    form = ssl.core.certificates.form(certificate_id, authority=request.POST.get("authority") or None)
    try:
        bound = form.bind(request.POST, ignore=_NOT_FIELDS)
        if bound.method is EditMethod.REISSUE and "reissue" not in request.POST:
            context = _context(ssl, certificate_id, form=form.refilled(request.POST))
            context["asks_reissue"] = [form[name].label for name in bound.changed]
            return render_page(request, "certcore/certificate.html", context)
        ssl.core.certificates.save(bound)
    except CertCoreError as error:
        if error.http_status not in REPAIRABLE:
            raise
        context = _context(ssl, certificate_id, form=form.refilled(request.POST), errors=[error])
        return render_page(request, "certcore/certificate.html", context, status=error.http_status)
    if bound.method is EditMethod.REISSUE:
        done = _("A new certificate is requested. The present one stays in service until it is there.")
    else:
        done = _("The changes are saved.")
    if request.POST.get("then") == Action.GENERATE_CSR:
        try:
            done = ssl.translator(ssl.core.certificates.run_action(certificate_id, Action.GENERATE_CSR))
        except CertCoreError as error:
            if error.http_status not in REPAIRABLE:
                raise
            done = ""
            reason = f"{ssl.translator(error.text)} {ssl.translator(error.advice_text)}"
            messages.error(request, reason, fail_silently=True)
    if done:
        messages.success(request, done, fail_silently=True)
    return HttpResponseRedirect(reverse("certcore:certificate", args=[certificate_id]))


def certificate_live(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Return the changed parts of the page; the query ``seen`` has the digests of the parts that the browser shows.

    If nothing has changed, the status is 204. The view asks no DNS server, and never returns a private key.
    """
    ssl = ssl_for(request)
    calls = ssl.core.certificates
    view, hints = calls.view(certificate_id), calls.hints(certificate_id)
    shown_digests, digests = request.GET.get("seen", ""), _digests(view, hints)
    if shown_digests == f"{digests['head_digest']}-{digests['right_digest']}":
        return HttpResponse(status=204)
    context = _context(ssl, certificate_id)
    context["is_head_changed"] = not shown_digests.startswith(f"{context['head_digest']}-")
    return render_page(request, "certcore/_certificate_live.html", context)


def _context(
    ssl: SslAccess, certificate_id: str, *, form: InputForm | None = None, errors: Sequence[CertCoreError] = ()
) -> dict[str, Any]:
    """Return the context of the page.

    Args:
        ssl: The access of the user.
        certificate_id: The ID of the certificate.
        form: The posted form if it is shown again; None for the stored values.
        errors: The errors of the posted form.
    """
    calls = ssl.core.certificates
    view = calls.view(certificate_id)
    shown_form = calls.form(certificate_id) if form is None else form
    hints = calls.hints(certificate_id)
    refused = shown_errors(errors, shown_form.fields, ssl.translator)
    in_hints = {hint.name for hint in hints if isinstance(hint, ActionButton)}
    buttons = _buttons(view.offers, in_hints)
    primary = next((offer.action for offer in view.offers if offer.is_primary), "")
    return {
        "view": view,
        "certificate_id": certificate_id,
        "form": shown_form,
        "left": left_column(view, shown_form, ssl.translator, refused),
        "errors": errors,
        "hints": [hint for hint in hints if not (isinstance(hint, ActionButton) and _is_in_head(hint.name, buttons))],
        "primary": str(primary),
        "confirmed": [str(offer.action) for offer in view.offers if offer.confirm is not None or offer.asks],
        "buttons": [button for button in buttons if not button.is_destructive],
        "dangers": [button for button in buttons if button.is_destructive],
        "can_save": Action.EDIT in view.actions,
        "can_reveal": Action.EXPORT in {offer.action for offer in view.offers if "reason" in offer.asks}
        or (view.active is None and view.issuance is not None and _may(view, Permission.CERTIFICATE_REVEAL_KEY)),
        "can_clone": _allows(ssl, Permission.CERTIFICATE_CREATE, view),
        # A tenant cannot act for another tenant, who would be the new owner.
        "can_transfer": ssl.owner is None and _allows(ssl, Permission.CERTIFICATE_TRANSFER, view),
        "can_preflight": view.certificate.status is Status.ACTIVE
        and view.certificate.renews_itself
        and not view.under_way
        and "preflight" not in in_hints
        and _may(view, Permission.CERTIFICATE_CHECK),
        "holding": _holding(view),
        "is_active": view.certificate.status is Status.ACTIVE
        and _holds(view, ConditionType.READY)
        and not _holds(view, ConditionType.RENEWAL_IN_DANGER),
        "files": _files(ssl, certificate_id),
        "events": shown_timeline(view.events[-_LATEST:], ssl.translator, field_labels(view, ssl.translator)),
        "pace": pace_of(hints, config().settings().refresh_seconds),
        **_digests(view, hints),
    }


def _holds(view: CertificateView, condition: ConditionType) -> bool:
    return any(each.type is condition and each.status is ConditionStatus.TRUE for each in view.conditions)


def _holding(view: CertificateView) -> list[Condition]:
    """Return the true conditions to show. Of several with the same message, only the most urgent is returned."""
    holding = [each for each in view.conditions if each.type in _TOLD and each.status is ConditionStatus.TRUE]
    by_text: dict[str, Condition] = {}
    for each in sorted(holding, key=lambda condition: _TOLD.index(condition.type)):
        by_text.setdefault(str(each.message), each)
    return list(by_text.values())


def _digests(view: CertificateView, hints: Sequence[Hint]) -> dict[str, str]:
    """Return the digest of the page's head, and that of its right column."""
    language = get_language() or ""
    head = (
        str(view.certificate.status),
        str(view.certificate.version),
        str(view.certificate.active_issuance_id),
        str(view.certificate.issuance_id),
        str(view.days_remaining),
        str(view.level),
        str(view.certificate.problem or ""),
        *(str(offer.action) for offer in view.offers),
        *(each.reason for each in _holding(view)),
    )
    return {
        "head_digest": digest_of((), language, *head),
        "right_digest": digest_of(hints, language, str(len(view.events))),
    }


def _buttons(offers: Iterable[Offer], in_hints: set[str]) -> list[OfferedButton]:
    """Return the buttons of the head: the offers without a button in the right column, and the primary offer."""
    return [
        OfferedButton(
            name=str(offer.action),
            label=offer.label,
            help=offer.help,
            has_page=offer.confirm is not None or bool(offer.asks),
            is_primary=offer.is_primary,
            is_destructive=offer.is_destructive,
        )
        for offer in offers
        if offer.action is not _SAVE
        and (str(offer.action) not in in_hints or (offer.is_primary and offer.action is not Action.CHECK_NOW))
    ]


def _is_in_head(name: str, buttons: Iterable[OfferedButton]) -> bool:
    return any(button.name == name and not button.is_destructive for button in buttons)


def _may(view: CertificateView, permission: Permission) -> bool:
    return view.permitted is None or permission in view.permitted


def _allows(ssl: SslAccess, permission: Permission, view: CertificateView) -> bool:
    tenant = {} if ssl.owner is not None else {"owner": view.certificate.owner}
    return ssl.core.allows(permission, subject=view.certificate.id, **tenant)


def _files(ssl: SslAccess, certificate_id: str) -> Sequence[ModuleFile]:
    """Return the files of the CA module; empty if the module fails, which a hint reports."""
    try:
        return ssl.core.certificates.files(certificate_id)
    except CertCoreError:
        return ()
