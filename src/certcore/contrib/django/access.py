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

#: The attribute of a request that keeps its access.
_KEPT = "_certcore_access"
#: Names that certcore itself acts under: no user may have them in a timeline.
_RESERVED = frozenset({SYSTEM, "engine"})


@frozen(kw_only=True)
class SslAccess:
    """The calls that the user of a request may make."""

    #: The calls of certcore, made by this actor and for this tenant.
    core: ActingCore
    #: The tenant; None for a user who sees what the policy allows.
    owner: str | None
    #: The name of the user, for the policy and for timelines.
    actor: str
    #: The role by groups and permissions; None without one.
    role: Role | None
    #: Gives the texts of certcore in the language of the request.
    translator: Translator

    def may(self, permission: Permission | str) -> bool:
        """Whether the policy allows an action, to decide on links and buttons; the call itself asks again.

        Args:
            permission: A `Permission`, or its text: ``certificate.create``. It is asked for with the tenant of the
                request; without one, for certificates that have no owner.
        """
        return self.core.allows(permission)


def get_core() -> CertCore:
    """The `CertCore` of this process, opened at the first call; for what the panel does itself.

    It can be opened before a fork (``gunicorn --preload``), in any thread.

    Raises:
        ImproperlyConfigured: The setting ``CERTCORE`` is missing or wrong.
        CertCoreError: The database or the keyring cannot be opened.
    """
    return config().core()


def config() -> SslConfig:
    """The app of this project.

    Raises:
        ImproperlyConfigured: It is not installed.
    """
    try:
        app = apps.get_app_config(SslConfig.label)
    except LookupError:
        raise ImproperlyConfigured("Add 'certcore.contrib.django' to INSTALLED_APPS.") from None
    if not isinstance(app, SslConfig):
        raise ImproperlyConfigured(f"Another app has the label {SslConfig.label!r}.")
    return app


def ssl_for(request: HttpRequest) -> SslAccess:
    """What the user of a request may do; the same object for the whole request.

    Raises:
        PermissionDenied: Nobody is signed in, or the user has a name that certcore itself acts under.
        ImproperlyConfigured: `SslMiddleware` is missing, or the setting ``CERTCORE`` is wrong.
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

    The owner is the primary key of the user, which is never given to another user, as a name may be.
    """
    user: Any = request.user
    known = remembered(user.get_username())
    role = role_of(user) if known is None else known.role
    return None if role is not None else str(user.pk)
