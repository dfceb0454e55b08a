"""The addresses of the project in `support.django_panel`."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("django.contrib.auth.urls")),
    path("ssl/", include("certcore.contrib.django.urls")),
]
