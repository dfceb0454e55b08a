"""The SSL section of a panel as a Django app: pages for certificates, CA profiles, plugins and audit.

Install the extra: ``pip install 'certcore[django]'``. In the settings::

    INSTALLED_APPS = [..., "certcore.contrib.django"]
    MIDDLEWARE = [..., "certcore.contrib.django.middleware.SslMiddleware"]
    CERTCORE = {"DATABASE": "sqlite:///certcore.db", "KEYRING": "keyring.json"}

and in the URLs: ``path("ssl/", include("certcore.contrib.django.urls"))``. In your own views, use `get_core` for
calls that the panel itself makes, and `ssl_for` for calls in the name of the request's user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from certcore.errors import MissingPackageError as _MissingPackageError

try:
    import django as _django
except ImportError:
    raise _MissingPackageError("certcore.contrib.django", "django", extra="django") from None

if TYPE_CHECKING:
    from certcore.contrib.django.access import SslAccess, get_core, owner_by_role, ssl_for
    from certcore.contrib.django.middleware import SslMiddleware

__all__ = ["SslAccess", "SslMiddleware", "get_core", "owner_by_role", "ssl_for"]

del _django

if not TYPE_CHECKING:
    from certcore.lazy import lazy_names

    #: The same names as in the imports above. Their modules import Django's, so they are loaded on first use.
    __getattr__ = lazy_names(
        __name__,
        {
            "SslAccess": "certcore.contrib.django.access",
            "SslMiddleware": "certcore.contrib.django.middleware",
            "get_core": "certcore.contrib.django.access",
            "owner_by_role": "certcore.contrib.django.access",
            "ssl_for": "certcore.contrib.django.access",
        },
    )
