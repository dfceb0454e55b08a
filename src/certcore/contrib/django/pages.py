"""Render pages, with the context of every page of the section."""

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

#: HTTP statuses of errors that are shown on the page that was posted, where the user can put right what is wrong.
REPAIRABLE: Final = (409, 422)


def render_page(
    request: HttpRequest, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """A page, or a part of one.

    Besides the given values, templates have ``ssl``, the `SslAccess` of the request (None where nobody is signed in),
    and the ``messages`` of django.contrib.messages.

    Args:
        request: The request.
        template: The name of the template.
        values: The context.
        status: The HTTP status.
    """
    from certcore.contrib.django.access import ssl_for  # noqa: PLC0415 - access needs the apps, this is for all

    try:
        access = ssl_for(request)
    except (PermissionDenied, ImproperlyConfigured, CertCoreError):  # the page of an error has to be shown nevertheless
        access = None
    context = {
        "ssl": access,
        "messages": get_messages(request),
        #: Which link of the navigation is the present one.
        "section": "certificates" if template.startswith("certcore/certificate") else "",
        **(values or {}),
    }
    response: HttpResponse = render(request, template, context, status=status)
    return response


def is_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part of a page."""
    return bool(request.headers.get("HX-Request") == "true")


def whole_number(name: str, value: str) -> int:
    """Read a number that a user typed.

    Args:
        name: Its name in the form or the address.
        value: The text.

    Raises:
        InvalidInputError: It is not a number, or has thousands of digits.
    """
    try:
        return int(value)
    except ValueError:
        raise InvalidInputError(name, Message("django.not_a_number", "must be a whole number.")) from None
