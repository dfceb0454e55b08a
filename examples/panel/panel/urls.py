"""The addresses of the example panel."""

from django.contrib.auth.urls import urlpatterns as accounts
from django.urls import include, path
from django.views.generic import RedirectView

from panel.customers import dns

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="certcore:dashboard")),
    path("ssl/", include("certcore.contrib.django.urls")),  # the SSL section
    path("accounts/", include(accounts)),
    path("dns/", dns),
]
