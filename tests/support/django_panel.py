"""A Django project with the SSL section, configured once for the tests of this process."""

import runpy
from pathlib import Path

import django
from django.conf import settings

__all__ = ["INSTALLED_APPS", "MIDDLEWARE", "configure", "no_core"]

_EXAMPLE = Path(__file__).parents[2] / "examples/panel/panel/settings.py"
#: As in the example panel, which people copy.
INSTALLED_APPS, MIDDLEWARE = map(runpy.run_path(str(_EXAMPLE)).get, ("INSTALLED_APPS", "MIDDLEWARE"))


def configure():
    """Settings as `django-admin startproject` makes them, with what the SSL section needs."""
    if settings.configured:
        return
    settings.configure(
        SECRET_KEY="only for tests",
        ALLOWED_HOSTS=["testserver", "127.0.0.1", "localhost"],
        ROOT_URLCONF="support.django_panel_urls",
        INSTALLED_APPS=INSTALLED_APPS,
        MIDDLEWARE=MIDDLEWARE,
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        STATIC_URL="static/",
        LANGUAGES=[("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("pl", "Polski"), ("uk", "Українська")],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        USE_TZ=True,
        CERTCORE={"CORE": "support.django_panel.no_core"},
    )
    django.setup()


def no_core():
    """Tests name the core that they use."""
    raise AssertionError("override CERTCORE in the test")
