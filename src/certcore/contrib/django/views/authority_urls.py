"""The URLs of the pages of CA profiles, plugins, audit and deliveries."""

from __future__ import annotations

from django.urls import URLPattern, path

from certcore.contrib.django.views import audit, authorities, authority_actions, deliveries, plugins

__all__ = ["authority_patterns"]


def authority_patterns() -> list[URLPattern]:
    """Return the URL patterns. ``authorities/new/`` must come before the pattern with an ID, which matches it, too."""
    actions, profile = authority_actions, "authorities/<str:authority_id>"
    return [
        path("authorities/", authorities.authority_list, name="authority_list"),
        path("authorities/new/", authorities.authority_create, name="authority_create"),
        path(f"{profile}/", authorities.authority, name="authority"),
        path(f"{profile}/test/", actions.authority_test, name="authority_test"),
        path(f"{profile}/actions/<slug:action>/", actions.authority_action, name="authority_action"),
        path(f"{profile}/files/<str:name>", actions.authority_file, name="authority_file"),
        path(f"{profile}/fallback/", actions.authority_fallback, name="authority_fallback"),
        path(f"{profile}/delete/", authorities.authority_delete, name="authority_delete"),
        path("plugins/", plugins.plugins, name="plugins"),
        path("audit/", audit.audit, name="audit"),
        path("deliveries/", deliveries.deliveries, name="deliveries"),
        path("deliveries/<str:certificate_id>/again/", deliveries.delivery_again, name="delivery_again"),
    ]
