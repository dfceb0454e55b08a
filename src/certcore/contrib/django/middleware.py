"""Show errors of certcore as pages, and add headers to the responses of the SSL section."""

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
    """The middleware of the SSL section; put it after Django's AuthenticationMiddleware in MIDDLEWARE.

    - A `CertCoreError` of a view becomes a page, or JSON if the client prefers it, with the error's HTTP status.
    - The pages of the section require a sign-in, and have a strict Content-Security-Policy.
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
        """Redirect visitors of the section who are not signed in to LOGIN_URL."""
        user = getattr(request, "user", None)
        if not _is_section(request) or (user is not None and user.is_authenticated):
            return None
        if is_fragment(request):  # htmx reloads the whole page, which redirects to the sign-in
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        response: HttpResponse = redirect_to_login(_after_sign_in(request))
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer an error of certcore, or a 404 of the section. For other errors return None: Django handles them."""
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
        case _ if status >= 500:  # noqa: PLR2004 - the first status of server errors
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
    """Return the page to show after the sign-in: the requested one, or for a POST the page that has its form.

    Many URLs accept only POST, so a redirect to them would fail.
    """
    if request.method in ("GET", "HEAD"):
        return str(request.get_full_path())
    page = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=request.is_secure())
    path = urlsplit(page)._replace(scheme="", netloc="", fragment="").geturl() if is_ours else ""
    # Check the path, too: `http://panel//elsewhere/` has the path `//elsewhere/`, which leads to another host.
    is_path = path.startswith("/") and url_has_allowed_host_and_scheme(path, None)
    return path if is_path else str(reverse("certcore:dashboard"))


def _wants_json(request: HttpRequest) -> bool:
    return bool(request.get_preferred_type(["text/html", "application/json"]) == "application/json")


def _translator() -> Any:
    from certcore.contrib.django.access import config  # noqa: PLC0415 - only errors need it

    try:
        return config().translator(get_language() or "en")
    except CertCoreError:  # the database or the keyring cannot be opened
        return None


def _content_security_policy() -> str:
    """Return a policy that allows this host only, and for static files also the host of STATIC_URL."""
    address = urlsplit(settings.STATIC_URL or "")
    static = f" {address.scheme or 'https'}://{address.netloc}" if address.netloc else ""
    return (
        f"default-src 'none'; script-src 'self'{static}; style-src 'self'{static}; img-src 'self' data:{static}; "
        f"font-src 'self'{static}; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
