"""The actor, the tenant and the `CertCore` of a request."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest
from django.utils.translation import get_language

from certcore.contrib.django.acting import SYSTEM, Acting, is_remembering, remember, remembered
from certcore.contrib.django.apps import SslConfig
from certcore.contrib.django.conf import imported
from certcore.contrib.django.roles import role_of
from certcore.core import CertCore
from certcore.model.permissions import Permission, Role
from certcore.services.actor_calls import ActingCore
from certcore.translations import Translator

__all__ = ["SslAccess", "get_core", "owner_by_role", "ssl_for"]

#: The attribute of a request that caches its `SslAccess`.
_KEPT = "_certcore_access"
#: Actor names of certcore itself. A user with such a name is refused, as timelines could not tell them apart.
_RESERVED = frozenset({SYSTEM, "engine"})


@frozen(kw_only=True)
class SslAccess:
    """The calls that the user of a request may make."""

    #: The calls of certcore; each is made as this actor and for this tenant.
    core: ActingCore
    #: The tenant; None for a user who is no tenant and sees all certificates that the policy allows.
    owner: str | None
    #: The user name, for the policy and for timelines.
    actor: str
    #: The role that groups and permissions give the user; None if they give none.
    role: Role | None
    #: Translates certcore's texts to the language of the request.
    translator: Translator

    def may(self, permission: Permission | str) -> bool:
        """Whether the policy allows an action; to show or hide links and buttons. Each call asks the policy again.

        Args:
            permission: A `Permission`, or its text: ``certificate.create``. The policy is asked about the certificates
                of the request's tenant; without a tenant, about certificates that have no owner.
        """
        return self.core.allows(permission)


def get_core() -> CertCore:
    """Return the `CertCore` of this process, for calls that the panel itself makes. The first call opens it.

    Any thread may call this, also before a fork (``gunicorn --preload``).

    Raises:
        ImproperlyConfigured: The setting ``CERTCORE`` is missing or wrong.
        CertCoreError: The database or the keyring cannot be opened.
    """
    return config().core()


def config() -> SslConfig:
    """Return the app configuration of certcore in this project.

    Raises:
        ImproperlyConfigured: The app is not installed, or another app has its label.
    """
    try:
        app = apps.get_app_config(SslConfig.label)
    except LookupError:
        raise ImproperlyConfigured("Add 'certcore.contrib.django' to INSTALLED_APPS.") from None
    if not isinstance(app, SslConfig):
        raise ImproperlyConfigured(f"Another app has the label {SslConfig.label!r}.")
    return app


def ssl_for(request: HttpRequest) -> SslAccess:
    """Return the access of a request's user. All calls with the same request return the same object.

    Raises:
        PermissionDenied: No active user is signed in, or the user name is one that certcore itself acts under.
        ImproperlyConfigured: `SslMiddleware` is missing, or the setting ``CERTCORE`` is wrong.
        CertCoreError: The database or the keyring cannot be opened.
    """
    access = getattr(request, _KEPT, None)
    if access is None:
        access = _access(request)
        setattr(request, _KEPT, access)
    return access


def _access(request: HttpRequest) -> SslAccess:
    if not is_remembering():
        raise ImproperlyConfigured("Add 'certcore.contrib.django.middleware.SslMiddleware' to MIDDLEWARE.")
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not user.is_active:
        raise PermissionDenied("Sign in first.")
    actor: str = user.get_username()
    if not actor or actor in _RESERVED:
        raise PermissionDenied(f"The user name {actor!r} is one that certcore itself acts under.")
    app = config()
    core, role = app.core(), role_of(user)
    remember(actor, Acting(role=role))
    owner = imported("OWNER", app.settings().owner)(request)
    if owner == "":
        raise ImproperlyConfigured("CERTCORE['OWNER'] returned an empty owner: return None for a user without one.")
    remember(actor, Acting(role=role, owner=owner))
    translator = app.translator(get_language() or "en")
    return SslAccess(
        core=core.acting_as(actor, owner=owner), owner=owner, actor=actor, role=role, translator=translator
    )


def owner_by_role(request: HttpRequest) -> str | None:
    """The default of ``CERTCORE["OWNER"]``: a user with a role sees all tenants, any other user is a tenant.

    The owner is the primary key of the user, as a user name may later be given to another user.
    """
    user: Any = request.user
    known = remembered(user.get_username())
    role = role_of(user) if known is None else known.role
    return None if role is not None else str(user.pk)
