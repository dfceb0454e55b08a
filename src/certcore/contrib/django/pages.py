"""Render the pages of the section with the context that all of them need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib.messages import get_messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from certcore.errors import CertCoreError, InvalidInputError
from certcore.hints import Message

__all__ = ["REPAIRABLE", "is_fragment", "render_page", "whole_number"]

#: HTTP statuses of errors that the user can correct: the page shows its form again with the error.
REPAIRABLE: Final = (409, 422)


def render_page(
    request: HttpRequest, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """Render a page, or a part of a page.

    In addition to the given values, templates have ``ssl``, the `SslAccess` of the request, and the ``messages`` of
    django.contrib.messages. ``ssl`` is None if nobody is signed in or certcore cannot be opened.

    Args:
        request: The request.
        template: The name of the template.
        values: The context.
        status: The HTTP status.
    """
    from certcore.contrib.django.access import ssl_for  # noqa: PLC0415 - only requests need it

    try:
        access = ssl_for(request)
    except (PermissionDenied, ImproperlyConfigured, CertCoreError):  # an error page needs no access
        access = None
    context = {
        "ssl": access,
        "messages": get_messages(request),
        #: The current link of the navigation.
        "section": "certificates" if template.startswith("certcore/certificate") else "",
        **(values or {}),
    }
    response: HttpResponse = render(request, template, context, status=status)
    return response


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx sent the request, for a part of a page."""
    return bool(request.headers.get("HX-Request") == "true")


def whole_number(name: str, value: str) -> int:
    """Read a number that a user typed.

    Args:
        name: The name of the field in the form or in the URL's query.
        value: The text.

    Raises:
        InvalidInputError: The text is not a whole number, or has thousands of digits.
    """
    try:
        return int(value)
    except ValueError:
        raise InvalidInputError(name, Message("django.not_a_number", "must be a whole number.")) from None
