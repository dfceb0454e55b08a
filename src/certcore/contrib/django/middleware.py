"""Show errors of certcore as pages, and add headers to the answers of the SSL section."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from certcore.contrib.django.acting import remembering
from certcore.contrib.django.pages import is_fragment, render_page
from certcore.errors import AccessDeniedError, CertCoreError
from certcore.model.permissions import Permission
from certcore.serialization import error_document

__all__ = ["SslMiddleware"]

_SECTION: Final = "certcore"


class SslMiddleware:
    """Put it after Django's AuthenticationMiddleware. See `certcore.contrib.django`.

    - A `CertCoreError` that a view raises becomes a page, or JSON for those who ask for it, with its HTTP status.
    - The pages of the section ask for a sign-in, and have a strict Content-Security-Policy.
    - Roles and tenants of actors are cached until the end of the request.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response
        self._policy = _content_security_policy()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer a request."""
        with remembering():
            response = self._get_response(request)
        if _is_section(request):
            response.headers.setdefault("Content-Security-Policy", self._policy)
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            response.headers.setdefault("X-Frame-Options", "DENY")
            response.headers.setdefault("Referrer-Policy", "same-origin")
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> HttpResponse | None:
        """Redirect visitors without a session to LOGIN_URL."""
        user = getattr(request, "user", None)
        if not _is_section(request) or (user is not None and user.is_authenticated):
            return None
        if is_fragment(request):  # the page around it is loaded anew, and asks for the sign-in
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        response: HttpResponse = redirect_to_login(_after_sign_in(request))
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """The answer to an error of certcore, or to an unknown address of the section; None leaves others to Django."""
        if isinstance(error, Http404) and _is_section(request) and not _wants_json(request):
            return _error_page(request, None, 404)
        if not isinstance(error, CertCoreError):
            return None
        if _wants_json(request):
            document = error_document(error)
            translator = _translator()
            return JsonResponse(translator.document(document) if translator else document, status=error.http_status)
        return _error_page(request, error, error.http_status)


def _error_page(request: HttpRequest, error: CertCoreError | None, status: int) -> HttpResponse:
    match status:
        case 403:
            title = _("Not allowed")
        case 404:
            title = _("Not found")
        case _ if status >= 500:  # noqa: PLR2004 - the first status of a server's failure
            title = _("Not possible at the moment")
        case _:
            title = _("That did not work")
    action = error.action if isinstance(error, AccessDeniedError) else ""
    permission = Permission(action) if action in set(Permission) else None
    context = {"error": error, "title": title, "permission": permission}
    return render_page(request, "certcore/error.html", context, status=status)


def _is_section(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and _SECTION in match.app_names


def _after_sign_in(request: HttpRequest) -> str:
    """The page that a visitor requested: after a post, the page with the form, as many addresses answer posts only."""
    if request.method in ("GET", "HEAD"):
        return str(request.get_full_path())
    page = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    path = urlsplit(page)._replace(scheme="", netloc="", fragment="").geturl() if is_ours else ""
    # The rest is checked again: of `http://panel//elsewhere/` it is an address of another host.
    is_path = path.startswith("/") and url_has_allowed_host_and_scheme(path, None)
    return path if is_path else str(reverse("certcore:dashboard"))


def _wants_json(request: HttpRequest) -> bool:
    return bool(request.get_preferred_type(["text/html", "application/json"]) == "application/json")


def _translator() -> Any:
    from certcore.contrib.django.access import config  # noqa: PLC0415 - it imports this module's callers

    try:
        return config().translator(get_language() or "en")
    except CertCoreError:  # the store itself fails
        return None


def _content_security_policy() -> str:
    """Everything from this host alone, and static files from where STATIC_URL says."""
    address = urlsplit(settings.STATIC_URL or "")
    static = f" {address.scheme or 'https'}://{address.netloc}" if address.netloc else ""
    return (
        f"default-src 'none'; script-src 'self'{static}; style-src 'self'{static}; img-src 'self' data:{static}; "
        f"font-src 'self'{static}; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
