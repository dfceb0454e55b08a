"""System checks for ``manage.py check``: they report wrong settings by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.shortcuts import resolve_url
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import import_string

from certcore.contrib.django.conf import SslSettings, faults_of, imported, read_settings

__all__ = ["keyring_path", "register_all", "setting_faults"]

_MIDDLEWARE: Final = "certcore.contrib.django.middleware.SslMiddleware"
_NEEDED: Final = ("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions")
_FILE: Final = "file:"
#: A keyring whose value contains one of these is not a file.
_NO_FILE: Final = ("env:", "://", "pkcs11:")
_SQLITE: Final = "django.db.backends.sqlite3"
#: Seconds that a connection to a SQLite file should wait for another writer.
_PATIENCE: Final = 20


def register_all() -> None:
    """Register the checks with Django."""
    checks.register(_check, "certcore")


def setting_faults() -> list[str]:
    """Return the faults of the setting ``CERTCORE`` of this project; empty if there are none."""
    return faults_of(getattr(settings, "CERTCORE", None))


def keyring_path(keyring: str) -> Path | None:
    """Return the path of a keyring's file; None if the keyring is not a file.

    Args:
        keyring: The keyring as in ``CERTCORE["KEYRING"]``.
    """
    if any(mark in keyring for mark in _NO_FILE):
        return None
    return Path(keyring.removeprefix(_FILE))


def _check(app_configs: Any, **_: object) -> list[checks.CheckMessage]:
    messages = list(_of_project())
    faults = setting_faults()
    if faults:
        return [*(checks.Error(fault, id="certcore.E001") for fault in faults), *messages]
    options = read_settings()
    return [*messages, *_of_settings(options), *_of_databases(options)]


def _of_project() -> Iterator[checks.CheckMessage]:
    for app in _NEEDED:
        if not apps.is_installed(app):
            yield checks.Error(f"The SSL section needs {app!r} in INSTALLED_APPS.", id="certcore.E002")
    yield from _of_middleware()
    try:
        get_template("certcore/base.html")
    except TemplateDoesNotExist:
        hint = "Set APP_DIRS to True in TEMPLATES."
        yield checks.Error("The templates of the SSL section are not found.", hint=hint, id="certcore.E004")
    except (ImproperlyConfigured, TemplateSyntaxError) as error:
        yield checks.Error(f"The templates of the SSL section cannot be used: {error}", id="certcore.E004")
    if not getattr(settings, "STATIC_URL", None) or not apps.is_installed("django.contrib.staticfiles"):
        hint = (
            "Add 'django.contrib.staticfiles' to INSTALLED_APPS and set STATIC_URL, or serve static/certcore yourself."
        )
        yield checks.Warning(
            "Style sheet and scripts of the SSL section may not be served.", hint=hint, id="certcore.W005"
        )
    yield from _of_addresses()


def _of_middleware() -> Iterator[checks.CheckMessage]:
    """Check that `SslMiddleware`, or a subclass, comes after AuthenticationMiddleware."""
    from certcore.contrib.django.middleware import SslMiddleware  # noqa: PLC0415 - only the checks need it here

    classes: list[Any] = []
    for name in settings.MIDDLEWARE:
        try:
            classes.append(import_string(name))
        except ImportError:  # Django reports it
            classes.append(None)
    places = [place for place, each in enumerate(classes) if isinstance(each, type) and issubclass(each, SslMiddleware)]
    if not places:
        hint = f"Add {_MIDDLEWARE!r}, after 'django.contrib.auth.middleware.AuthenticationMiddleware'."
        yield checks.Error("SslMiddleware is missing in MIDDLEWARE.", hint=hint, id="certcore.E003")
        return
    from django.contrib.auth.middleware import AuthenticationMiddleware  # noqa: PLC0415 - as above

    signs_in = [
        place
        for place, each in enumerate(classes)
        if isinstance(each, type) and issubclass(each, AuthenticationMiddleware)
    ]
    if signs_in and places[0] < min(signs_in):
        hint = "Without a user in the request, it sends everybody to the sign-in."
        yield checks.Error("SslMiddleware has to come after AuthenticationMiddleware.", hint=hint, id="certcore.E003")


def _of_addresses() -> Iterator[checks.CheckMessage]:
    try:
        reverse("certcore:dashboard")
    except NoReverseMatch:
        hint = 'Add path("ssl/", include("certcore.contrib.django.urls")) to the URLs.'
        yield checks.Warning("The SSL section has no address.", hint=hint, id="certcore.W001")
        return
    try:
        resolved = resolve_url(settings.LOGIN_URL)
        is_page = _leads_somewhere(resolved)
    except NoReverseMatch:
        is_page = False
    if not is_page:
        hint = 'Set LOGIN_URL, or add path("accounts/", include("django.contrib.auth.urls")) to the URLs.'
        text = f"LOGIN_URL, {str(settings.LOGIN_URL)!r}, leads to no page: nobody can sign in to the SSL section."
        yield checks.Warning(text, hint=hint, id="certcore.W002")


def _leads_somewhere(address: str) -> bool:
    from django.urls import Resolver404, resolve  # noqa: PLC0415 - only needed here

    parts = urlsplit(address)
    if parts.netloc:
        return True
    try:
        resolve(parts.path)
    except Resolver404:
        return False
    return True


def _of_settings(options: SslSettings) -> Iterator[checks.CheckMessage]:
    named = [("OWNER", options.owner), ("CORE", options.core), *(("PLUGINS", plugin) for plugin in options.plugins)]
    for setting, value in named:
        try:
            target = imported(setting, value)
        except ImproperlyConfigured as error:
            yield checks.Error(str(error), id="certcore.E005")
            continue
        if setting == "OWNER" and not callable(target):
            text = f"CERTCORE['OWNER'] is {target!r}, which cannot be called with a request."
            yield checks.Error(text, id="certcore.E005")
    if options.core is None:
        yield from _of_keyring(options.keyring)
        if settings.DEBUG and urlsplit(options.database).password:
            hint = "Django's error pages show settings while DEBUG is on: keep the password in ~/.pgpass, say."
            text = "DEBUG is on, and CERTCORE['DATABASE'] has a password in it."
            yield checks.Warning(text, hint=hint, id="certcore.W003")


def _of_keyring(keyring: str) -> Iterator[checks.CheckMessage]:
    path = keyring_path(keyring)
    if path is not None and not path.is_file():
        hint = "manage.py certcore_setup makes it. Where it was lost, restore your copy: what is sealed needs it."
        # A warning, not an error: `migrate` must be able to run before the keyring exists.
        yield checks.Warning(f"There is no keyring {str(path)!r} (CERTCORE['KEYRING']).", hint=hint, id="certcore.W006")


def _of_databases(options: SslSettings) -> Iterator[checks.CheckMessage]:
    """Check a SQLite file that certcore and Django share: SQLite allows one writer at a time for the whole file."""
    if options.core is not None or not options.database.startswith("sqlite:///"):
        return
    own = Path(options.database.removeprefix("sqlite:///").partition("?")[0]).absolute()
    for alias, database in settings.DATABASES.items():
        if database.get("ENGINE") != _SQLITE or Path(str(database.get("NAME", ""))).absolute() != own:
            continue
        if database.get("ATOMIC_REQUESTS"):
            hint = "Give certcore a file of its own, or call it in transaction.on_commit."
            text = (
                f"ATOMIC_REQUESTS is on for {alias!r}, whose SQLite file certcore uses: a view of yours that has "
                "written, and then calls certcore, waits for itself."
            )
            yield checks.Warning(text, hint=hint, id="certcore.W004")
        if (database.get("OPTIONS") or {}).get("timeout", 5) < _PATIENCE:
            hint = f'Set "OPTIONS": {{"timeout": {_PATIENCE}}}, or give certcore a file of its own.'
            text = f"certcore uses the SQLite file of {alias!r}, and Django waits only 5 seconds for its writes."
            yield checks.Warning(text, hint=hint, id="certcore.W004")
