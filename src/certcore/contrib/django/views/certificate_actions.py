"""The actions of a certificate's page: those of certcore, those of the CA module, and the transfer to another owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attrs import frozen
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from certcore import Action, CertCoreError, CertificateView, RevocationReason
from certcore.contrib.django.access import SslAccess, ssl_for
from certcore.contrib.django.pages import REPAIRABLE, render_page, whole_number
from certcore.hints import ActionButton, Choice, FieldKind, FormField, Message, Offer, label_of

__all__ = ["certificate_action", "certificate_transfer"]

#: The HTTP statuses of errors that the action's page does not show: access denied, and not found.
_NOT_ALLOWED: Final = (403, 404)
#: The name of the action that checks whether a renewal would succeed.
_PREFLIGHT: Final = "preflight"


@frozen(kw_only=True)
class _Question:
    """The question on the page of an action."""

    label: Message
    help: Message | None
    confirm: Message | None
    fields: tuple[FormField, ...] = ()
    is_destructive: bool = False


def certificate_action(request: HttpRequest, certificate_id: str, action: str) -> HttpResponse:
    """Show the page of an action, which asks for its values; a POST runs the action."""
    ssl = ssl_for(request)
    view = ssl.core.certificates.view(certificate_id)
    offer = next((offer for offer in view.offers if str(offer.action) == action), None)
    if offer is not None and offer.action in (Action.EDIT, Action.EXPORT):
        name = "certcore:certificate_export" if offer.action is Action.EXPORT else "certcore:certificate"
        return HttpResponseRedirect(reverse(name, args=[certificate_id]))
    question = _question(ssl, view, action, offer)
    if request.method != "POST":
        if question is None:
            raise Http404
        return _ask(request, view, question)
    try:
        done = _do(ssl, certificate_id, action, offer, question, request.POST)
    except CertCoreError as error:
        # The page shows errors of a CA or a plugin, too: the user may try again, or enter other values.
        if error.http_status in _NOT_ALLOWED or question is None:
            raise
        return _ask(request, view, question, error)
    messages.success(request, done, fail_silently=True)
    if action == Action.DELETE:
        return HttpResponseRedirect(reverse("certcore:certificate_list"))
    return HttpResponseRedirect(reverse("certcore:certificate", args=[certificate_id]))


def certificate_transfer(request: HttpRequest, certificate_id: str) -> HttpResponse:
    """Transfer a certificate to another owner: the first POST shows a preview, the second one transfers."""
    ssl = ssl_for(request)
    calls = ssl.core.certificates
    view = calls.view(certificate_id)
    field = FormField(
        name="to",
        label=_("New owner"),
        kind=FieldKind.TEXT,
        help=_("The tenant, as your panel names it. Left empty, the certificate belongs to none."),
    )
    to = request.POST.get("to", "").strip()
    preview, problem = None, None
    if request.method == "POST":
        try:
            if "confirmed" in request.POST:
                version = request.POST.get("version", "")
                calls.transfer(certificate_id, to=to, version=whole_number("version", version) if version else None)
                messages.success(request, _("The certificate has a new owner."), fail_silently=True)
                return HttpResponseRedirect(reverse("certcore:certificate", args=[certificate_id]))
            preview = calls.preview_transfer(certificate_id, to=to)
        except CertCoreError as error:
            if error.http_status not in REPAIRABLE:
                raise
            problem = error
    context = {
        "view": view,
        "fields": [field],
        "errors": [] if problem is None else [problem],
        "values": request.POST if request.method == "POST" else None,
        "to": to,
        "preview": preview,
    }
    status = 200 if problem is None else problem.http_status
    return render_page(request, "certcore/certificate_transfer.html", context, status=status)


def _question(ssl: SslAccess, view: CertificateView, action: str, offer: Offer | None) -> _Question | None:
    """Return the question before an action; None if the action is not offered now."""
    if offer is not None:
        return _Question(
            label=offer.label,
            help=offer.help,
            confirm=offer.confirm,
            fields=tuple(_asked(ssl, view, offer)),
            is_destructive=offer.is_destructive,
        )
    for hint in ssl.core.certificates.hints(view.certificate.id):
        if isinstance(hint, ActionButton) and hint.name == action:
            return _Question(label=hint.label, help=hint.help, confirm=hint.confirm, fields=hint.fields)
    if action == _PREFLIGHT:
        help_text = _("Checks now whether a renewal could succeed, and what is in its way. Nothing is ordered.")
        return _Question(label=Message("", _("Check the renewal")), help=Message("", help_text), confirm=None)
    return None


def _asked(ssl: SslAccess, view: CertificateView, offer: Offer) -> Sequence[FormField]:
    """Return the fields of an action of certcore; most have none."""
    if offer.action is Action.REVOKE:
        choices = tuple(Choice(str(reason), label_of(reason)) for reason in RevocationReason)
        help_text = _("The CA publishes it.")
        label = _("Reason")
        return [FormField(name="reason", label=label, kind=FieldKind.CHOICE, choices=choices, help=help_text)]
    if offer.action is Action.REISSUE:
        help_text = _("Not where the key may be known to others.")
        label = _("Keep the private key")
        keep_key = FormField(name="keep_key", label=label, kind=FieldKind.BOOLEAN, default=False, help=help_text)
        if view.certificate.authority_id is not None:
            return [keep_key]
        tenant = {} if ssl.owner is not None else {"owner": view.certificate.owner}
        profiles = tuple(Choice(each.id, each.name) for each in ssl.core.authorities.usable(**tenant))
        label = _("CA profile")
        return [
            FormField(name="authority", label=label, kind=FieldKind.CHOICE, choices=profiles, required=True),
            keep_key,
        ]
    return []


@sensitive_variables()
def _do(
    ssl: SslAccess,
    certificate_id: str,
    action: str,
    offer: Offer | None,
    question: _Question | None,
    posted: Any,
) -> str:
    """Run an action.

    Returns:
        A sentence about what was done.
    """
    calls = ssl.core.certificates
    if offer is None:
        values = _values(question.fields if question is not None else (), posted)
        return ssl.translator(calls.run_action(certificate_id, action, values))
    match offer.action:
        case Action.REVOKE:
            calls.revoke(certificate_id, reason=posted.get("reason") or RevocationReason.UNSPECIFIED)
            return str(_("The CA has revoked the certificate."))
        case Action.REISSUE:
            # An imported certificate may have no CA profile yet.
            changes = {"authority": posted["authority"]} if posted.get("authority") else {}
            calls.reissue(certificate_id, keep_key=posted.get("keep_key") == "yes", **changes)
            return str(_("A new certificate is requested. The present one stays in service until it is there."))
        case Action.DELETE:
            calls.delete(certificate_id)
            return str(_("The certificate is deleted. Its timeline stays."))
        case _:
            return ssl.translator(calls.run_action(certificate_id, action))


@sensitive_variables()
def _values(fields: Sequence[FormField], posted: Any) -> Mapping[str, Any]:
    """Return the posted values of an action as `Certificates.run_action` takes them, without the empty ones."""
    values: dict[str, Any] = {}
    for field in fields:
        entered = [text.replace("\r\n", "\n") for text in posted.getlist(field.name)]
        if field.kind is FieldKind.BOOLEAN:
            values[field.name] = bool(entered) and entered[-1] == "yes"
        elif text := "\n".join(filter(None, entered)):
            values[field.name] = [line for line in text.splitlines() if line] if field.kind is FieldKind.LINES else text
    return values


@sensitive_variables()
def _ask(
    request: HttpRequest, view: CertificateView, question: _Question, error: CertCoreError | None = None
) -> HttpResponse:
    texts = ssl_for(request).translator
    context = {
        "view": view,
        "heading": texts(question.label),
        "intro": "" if question.help is None else texts(question.help),
        "confirm": "" if question.confirm is None else texts(question.confirm),
        "fields": question.fields,
        "errors": [] if error is None else [error],
        "values": _values(question.fields, request.POST) if request.method == "POST" else None,
        "submit": texts(question.label),
        "is_destructive": question.is_destructive,
    }
    status = 200 if error is None else error.http_status
    return render_page(request, "certcore/certificate_ask.html", context, status=status)
