"""The URLs of the pages of certificates."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from certcore.contrib.django.views import (
    certificate_actions,
    certificate_bulk,
    certificate_export,
    certificate_form,
    certificate_import,
    certificate_page,
    certificate_timeline,
)

__all__ = ["certificate_patterns"]


def certificate_patterns() -> list[URLPattern]:
    """Return the URL patterns. Those with fixed words must come before those with an ID, which match the words, too."""

    def asks(view: Any) -> Any:
        """Wrap the view of a form: posted values may be secrets, so Django's error reports leave them out."""
        return require_http_methods(["GET", "HEAD", "POST"])(sensitive_post_parameters()(view))

    def posts(view: Any) -> Any:
        return require_POST(sensitive_post_parameters()(view))

    reads = require_safe
    base = "certificates/<str:certificate_id>"
    export, actions = certificate_export, certificate_actions
    return [
        path("certificates/bulk/", posts(certificate_bulk.certificate_bulk), name="certificate_bulk"),
        path("certificates/new/", asks(certificate_form.certificate_create), name="certificate_create"),
        path("certificates/import/", asks(certificate_import.certificate_import), name="certificate_import"),
        path(f"{base}/", asks(certificate_page.certificate), name="certificate"),
        path(f"{base}/live/", reads(certificate_page.certificate_live), name="certificate_live"),
        path(f"{base}/timeline/", reads(certificate_timeline.certificate_timeline), name="certificate_timeline"),
        path(f"{base}/clone/", asks(certificate_form.certificate_clone), name="certificate_clone"),
        path(f"{base}/transfer/", asks(actions.certificate_transfer), name="certificate_transfer"),
        path(f"{base}/export/", asks(export.certificate_export), name="certificate_export"),
        path(f"{base}/key/", asks(export.certificate_key), name="certificate_key"),
        path(f"{base}/pem/<slug:part>/", reads(export.certificate_pem), name="certificate_pem"),
        path(f"{base}/files/<str:name>", reads(export.certificate_file), name="certificate_file"),
        path(f"{base}/actions/<slug:action>/", asks(actions.certificate_action), name="certificate_action"),
    ]
