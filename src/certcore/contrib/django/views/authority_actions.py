"""Actions on a CA profile: its test, the actions and files of its CA module, and the fallback of its certificates."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Final

from attrs import frozen
from django.contrib import messages
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import get_language, ngettext, override
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from certcore import ActingCore, CertCoreError, Certificate, Permission
from certcore.contrib.django.access import ssl_for
from certcore.contrib.django.attachments import attachment
from certcore.contrib.django.pages import render_page
from certcore.contrib.django.shown_forms import Texts
from certcore.contrib.django.shown_hints import ShownFinding, shown_finding
from certcore.hints import FieldKind, FormField, Message
from certcore.plugin import CheckItem, CheckReport, fields_of

__all__ = ["authority_action", "authority_fallback", "authority_file", "authority_test"]

#: The current link of the navigation.
_SECTION: Final = "authorities"
#: The line that ends each version of a streamed report; certcore.js searches for it.
_END: Final = "<!-- certcore: end of a state -->"
#: How many certificates one request changes at most.
_AT_ONCE: Final = 200


@frozen(kw_only=True)
class ShownCheck:
    """A check of the test of a CA profile, for templates."""

    title: str
    ok: bool
    detail: str
    advice: str
    findings: tuple[ShownFinding, ...]


@require_POST
def authority_test(request: HttpRequest, authority_id: str) -> HttpResponseBase:
    """Test a CA profile at its CA, and show each check. The response waits for the CA and for DNS servers.

    With the header ``X-Certcore-Stream``, which certcore.js sends, the list of checks is streamed after each check.
    """
    ssl = ssl_for(request)
    profiles = ssl.core.authorities
    profile = profiles.get(authority_id)
    if request.headers.get("X-Certcore-Stream") == "yes" and ssl.core.allows(
        Permission.AUTHORITY_CHECK, subject=profile.id
    ):
        states = _reports(lambda progress: profiles.check(profile.id, progress=progress), ssl.translator)
        return StreamingHttpResponse(
            _awaited(states) if isinstance(request, ASGIRequest) else states,
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
    report = profiles.check(profile.id)
    context = {"section": _SECTION, "profile": profile, **_report_context(report.items, ssl.translator)}
    return render_page(request, "certcore/authority_test.html", context)


def _reports(check: Callable[[Callable[[CheckItem], object]], CheckReport], texts: Texts) -> Iterator[str]:
    """Yield the whole report after each check, each time followed by the line `_END`."""
    news: queue.SimpleQueue[CheckItem | None] = queue.SimpleQueue()
    language = get_language() or "en"

    def drawn(context: Mapping[str, Any]) -> str:
        with override(language):  # Django streams the response after the middleware has reset the language
            return f"{render_to_string('certcore/_check_report.html', context)}\n{_END}\n"

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="certcore-check") as thread:
        future = thread.submit(copy_context().run, check, news.put)
        future.add_done_callback(lambda _: news.put(None))
        items: list[CheckItem] = []
        yield drawn({"is_running": True})
        while (item := news.get()) is not None:
            items.append(item)
            yield drawn({**_report_context(items, texts), "is_running": True})
        try:
            yield drawn(_report_context(future.result().items, texts))
        except CertCoreError as error:
            yield drawn({"error": f"{texts(error.text)} {texts(error.advice_text)}".strip()})


async def _awaited(states: Iterator[str]) -> AsyncIterator[str]:
    """Make an asynchronous iterator, for ASGI: Django reads a synchronous one to its end before it sends anything."""
    while (state := await asyncio.to_thread(next, states, None)) is not None:
        yield state


def _report_context(items: Sequence[CheckItem], texts: Texts) -> dict[str, Any]:
    return {"checks": [_shown_check(item, texts) for item in items], "is_ok": all(item.ok for item in items)}


@require_http_methods(["GET", "HEAD", "POST"])
def authority_action(request: HttpRequest, authority_id: str, action: str) -> HttpResponse:
    """Show an action of the CA module on a profile, with its fields and its question; a POST runs the action."""
    ssl = ssl_for(request)
    texts, profiles = ssl.translator, ssl.core.authorities
    profile = profiles.get(authority_id)
    offered = {offer.name: offer for offer in profiles.actions(profile.id)}
    if action not in offered:
        raise Http404
    offer = offered[action]
    fields = fields_of(offer.form)
    error: CertCoreError | None = None
    if request.method == "POST":
        try:
            done = profiles.run_action(profile.id, action, _values(fields, request.POST))
        except CertCoreError as refusal:
            error = refusal
        else:
            messages.success(request, texts(done), fail_silently=True)
            return HttpResponseRedirect(reverse("certcore:authority", args=[profile.id]))
    context = {
        "section": _SECTION,
        "profile": profile,
        "name": offer.name,
        "label": texts(offer.label),
        "help": texts(offer.help),
        "confirm": "" if offer.confirm is None else texts(offer.confirm),
        "errors": () if error is None else (error,),
        "fields": fields,
        "values": None if error is None else request.POST,
    }
    status = 200 if error is None else error.http_status
    return render_page(request, "certcore/authority_action.html", context, status=status)


@require_safe
def authority_file(request: HttpRequest, authority_id: str, name: str) -> HttpResponse:
    """Download a file that the CA module provides for a profile."""
    for file in ssl_for(request).core.authorities.files(authority_id):
        if file.name == name:
            return attachment(file.name, file.content, file.media_type)
    raise Http404


@frozen(kw_only=True)
class _Refused:
    """A certificate whose fallback could not be changed."""

    certificate: Certificate
    reason: str


@require_http_methods(["GET", "HEAD", "POST"])
def authority_fallback(request: HttpRequest, authority_id: str) -> HttpResponse:
    """Set or remove the fallback of a CA profile's certificates, at most 200 certificates per request."""
    ssl = ssl_for(request)
    core = ssl.core
    profile = core.authorities.get(authority_id)
    others = [other for other in core.authorities.list() if other.id != profile.id]
    context: dict[str, Any] = {"section": _SECTION, "profile": profile, "others": others}
    if request.method != "POST":
        return render_page(request, "certcore/authority_fallback.html", context)
    chosen = request.POST.get("fallback", "")
    if chosen and chosen not in {other.id for other in others}:
        raise Http404
    changed, refused, has_more = _switch(ssl.core, ssl.translator, profile.id, [chosen] if chosen else [])
    if changed:
        text = ngettext("%(count)s certificate is changed.", "%(count)s certificates are changed.", changed)
        messages.success(request, text % {"count": changed}, fail_silently=True)
    if not refused and not has_more:
        if not changed:
            messages.info(request, _("All certificates have this fallback already."), fail_silently=True)
        return HttpResponseRedirect(reverse("certcore:authority", args=[profile.id]))
    context |= {"changed": changed, "refused": refused, "has_more": has_more, "chosen": chosen}
    return render_page(request, "certcore/authority_fallback.html", context)


def _switch(
    core: ActingCore, texts: Texts, authority_id: str, fallbacks: Sequence[str]
) -> tuple[int, Sequence[_Refused], bool]:
    """Set the fallbacks of a profile's certificates.

    Returns:
        How many were changed, which were refused, and whether further certificates remain.
    """
    refused: list[_Refused] = []
    changed, after = 0, None
    while True:
        page = core.certificates.list(authority=authority_id, after=after, limit=100)
        for certificate in page.items:
            if list(certificate.fallbacks) == list(fallbacks):
                continue
            if changed + len(refused) >= _AT_ONCE:
                return changed, refused, True
            try:
                core.certificates.edit(certificate.id, fallbacks=fallbacks)
            except CertCoreError as error:
                refused.append(_Refused(certificate=certificate, reason=texts(error.text)))
            else:
                changed += 1
        after = page.next_cursor
        if after is None:
            return changed, refused, False


def _shown_check(item: CheckItem, texts: Texts) -> ShownCheck:
    return ShownCheck(
        title=texts(item.title),
        ok=item.ok,
        detail=_text(item.detail, texts),
        advice="" if item.ok else _text(item.advice, texts),
        findings=tuple(shown_finding(finding, texts) for finding in item.findings),
    )


def _text(value: Message | str, texts: Texts) -> str:
    return texts(value) if str(value) else ""


def _values(fields: Sequence[FormField], posted: Mapping[str, str]) -> Mapping[str, str]:
    """Return the posted values of fields; a checkbox that was not posted is unchecked."""
    unchecked = {field.name: "no" for field in fields if field.kind is FieldKind.BOOLEAN}
    return unchecked | {field.name: posted[field.name] for field in fields if field.name in posted}
