"""The URLs of the section: ``path("ssl/", include("certcore.contrib.django.urls"))``."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.urls import URLPattern, path

from certcore.contrib.django.views import dashboard, listing
from certcore.contrib.django.views.authority_urls import authority_patterns
from certcore.contrib.django.views.certificate_urls import certificate_patterns

__all__ = ["app_name", "urlpatterns"]

app_name = "certcore"


def _outside_transactions(patterns: list[URLPattern]) -> list[URLPattern]:
    """Exempt the views from ATOMIC_REQUESTS: certcore uses its own connection, and each call its own transaction."""
    for pattern in patterns:
        for alias in settings.DATABASES:
            pattern.callback = transaction.non_atomic_requests(using=alias)(pattern.callback)
    return patterns


urlpatterns = _outside_transactions(
    [
        path("", dashboard.dashboard, name="dashboard"),
        path("numbers/", dashboard.numbers, name="dashboard_numbers"),
        path("certificates/", listing.certificate_list, name="certificate_list"),
        path("certificates/rows/", listing.certificate_rows, name="certificate_rows"),
        *certificate_patterns(),
        *authority_patterns(),
    ]
)
