"""Calls of `certcore.CertCore` with an actor besides its services, and a facade that makes all calls for one actor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Unpack, cast

from attrs import evolve

from certcore.engine.outbox import Outbox
from certcore.errors import InvalidInputError, NotObtainedError
from certcore.messages import Message
from certcore.model.certificate_form import CertificateOptions
from certcore.model.finding import Finding
from certcore.model.identifiers import MOST_ID, check_actor, check_identifier, check_owner
from certcore.model.permissions import Permission
from certcore.model.views import CertificateView
from certcore.services.acting import ActingCall, ActingService
from certcore.services.authorities import Authorities
from certcore.services.certificates import Certificates
from certcore.services.diagnosis import Diagnosing
from certcore.services.event_feed import EventFeed
from certcore.services.obtain import Obtaining
from certcore.services.sealing_keys import SealingKeys

__all__ = ["ActingCore", "ActorCalls"]


class ActorCalls(EventFeed):
    """The part of `certcore.CertCore` whose calls have an actor."""

    __slots__ = ()

    authorities: Authorities
    certificates: Certificates
    sealing_keys: SealingKeys
    _outbox: Outbox

    def acting_as(self, actor: str, *, owner: str | None = None) -> ActingCore:
        """Everything that an actor may do, in one object: for the requests of one user of a panel.

        Its calls take neither an actor nor, with an ``owner``, a tenant::

            customer = core.acting_as("carla", owner="customer-7")
            draft = customer.certificates.create("shop.example", authority=profile_id)

        Args:
            actor: Who acts: the name for the policy and for timelines.
            owner: The tenant. Only its certificates are there then, whatever the policy says: an id of another tenant's
                is not found. Without a policy that says yes, CA profiles can be used, but neither seen nor changed.
                None: what the policy allows.

        Raises:
            InvalidInputError: The actor or the owner is malformed.
        """
        if not check_actor(actor):
            raise InvalidInputError("actor", Message("acting.no_actor", "is empty."))
        access = evolve(self._access, only_owner=None if owner is None else check_owner(owner))
        services = {
            "authorities": evolve(self.authorities, access=access),
            "certificates": evolve(self.certificates, access=access),
            "sealing_keys": evolve(self.sealing_keys, access=access),
        }
        return ActingCore(evolve(self, access=access, **services), actor, owner)  # type: ignore[misc]

    def allows(
        self, permission: Permission | str, *, subject: str = "", owner: str = "", actor: str = "system"
    ) -> bool:
        """Whether the policy allows an action: for links and buttons of pages. The call itself asks again.

        Args:
            permission: A `Permission`, or its text: ``certificate.create``.
            subject: The id of the certificate or CA profile; empty for what concerns none or all.
            owner: The tenant of the certificates.
            actor: Who would act.

        Raises:
            InvalidInputError: There is no such permission, or the actor, the subject or the owner is malformed.
        """
        try:
            action = Permission(permission)
        except ValueError:
            text = "there is no permission {permission}."
            params = {"permission": repr(str(permission)[:60])}
            raise InvalidInputError("permission", Message("input.no_permission", text, params)) from None
        check_identifier("subject", subject, most=MOST_ID)
        return self._access.allows(actor, action, subject, owner=check_owner(owner))

    def obtain(
        self,
        domain: str | None = None,
        *,
        authority: str,
        owner: str = "",
        timeout: float = 600.0,
        progress: Callable[[CertificateView], object] | None = None,
        actor: str = "system",
        **options: Unpack[CertificateOptions],
    ) -> CertificateView:
        """Block until there is a certificate in service for these names, or a clear error. For scripts.

        One that is here already (the same names, owner, CA profile and CSR) is used: when its leaf in service is for
        these names this returns at once, else it is taken up where it stands. Two calls at the same moment make one
        certificate. A renewal that is due is carried out, too; when it fails, the leaf that is still good is returned,
        and ``certificate.problem`` says why. At the end the observers are told what is due for them: targets of
        deployments, say.

        What the domain's owner has to do first is in its hints; ``progress`` is called whenever it gets further. The
        work is done in this thread, whether a worker runs elsewhere or not; in asyncio:
        ``await asyncio.to_thread(core.obtain, …)``.

        Args:
            domain: The primary name; None with a ``csr``.
            authority: The CA profile, by id; or by name, for an actor who may see it (``authority.view``).
            owner: The tenant.
            timeout: Seconds.
            progress: Called with the certificate's view after each change.
            actor: Who asks. A certificate that the actor may not see is not there.
            options: The other fields of `Certificates.create`: ``aliases``, ``wildcard``, ``csr``, ``key_type`` …

        Raises:
            NotObtainedError: The time is over, or the CA refused for good. What was begun stays.
            InvalidInputError: A field is wrong, or the certificate that is here has another value in it.
            AccessDeniedError: The policy refused to create a certificate, or to check the existing one.
        """
        obtaining = Obtaining(certificates=self.certificates, engine=self._engine, access=self._access)
        try:
            values = {**options, "domain": domain, "authority": authority, "owner": owner}
            view = obtaining.obtain(values, timeout=timeout, progress=progress, actor=actor)
        except NotObtainedError:
            self._outbox.deliver()
            raise
        self._outbox.deliver()
        return view

    def diagnose(
        self,
        names: Iterable[str],
        *,
        authority: str,
        owner: str = "",
        thorough: bool = False,
        actor: str = "system",
    ) -> Sequence[Finding]:
        """What would keep these names from being validated now: before a certificate is saved, or without one.

        The CA is asked for nothing, and nothing is stored. It takes some seconds where name servers do not answer.

        Args:
            names: The names of a certificate, wildcards included.
            authority: The CA profile, by id; or by name, for an actor who may see it.
            owner: The tenant, whose records are looked for.
            thorough: Whether resolvers may be asked for records that do not exist: they keep that answer, for hours
                perhaps. It tells views of the DNS that differ.
            actor: Who asks.

        Returns:
            The findings, those first that a person should read first. Empty when the names can be validated.

        Raises:
            InvalidInputError: A name is invalid, or the CA module cannot diagnose names.
            NotFoundError: There is no such CA profile.
            AccessDeniedError: The policy refused to create a certificate for this owner, or to use the CA profile.
        """
        diagnosing = Diagnosing(contexts=self._engine.contexts, access=self._access)
        return diagnosing.diagnose(names, authority=authority, owner=owner, thorough=thorough, actor=actor)


class ActingCore:
    """What an actor may do; made by `certcore.CertCore.acting_as`.

    It has the services and the calls of `certcore.CertCore` that take an actor, and none of those of the process, so it
    can be given to templates and request handlers. Its calls take no ``actor``.
    """

    __slots__ = ("_actor", "_core", "_owner")

    def __init__(self, core: ActorCalls, actor: str, owner: str | None) -> None:
        self._core = core
        self._actor = actor
        self._owner = owner

    @property
    def actor(self) -> str:
        """Who acts."""
        return self._actor

    @property
    def owner(self) -> str | None:
        """The tenant; None for all tenants that the policy allows."""
        return self._owner

    @property
    def certificates(self) -> Certificates:
        """The certificates, as `certcore.CertCore.certificates`."""
        return cast("Certificates", ActingService(self._core.certificates, self._actor, self._owner))

    @property
    def authorities(self) -> Authorities:
        """The CA profiles, as `certcore.CertCore.authorities`."""
        return cast("Authorities", ActingService(self._core.authorities, self._actor, self._owner))

    @property
    def sealing_keys(self) -> SealingKeys:
        """The sealing keys, as `certcore.CertCore.sealing_keys`."""
        return cast("SealingKeys", ActingService(self._core.sealing_keys, self._actor, self._owner))

    #: As `certcore.CertCore.allows`.
    allows = ActingCall(ActorCalls.allows)
    #: As `certcore.CertCore.obtain`.
    obtain = ActingCall(ActorCalls.obtain)
    #: As `certcore.CertCore.diagnose`.
    diagnose = ActingCall(ActorCalls.diagnose)
    #: As `certcore.CertCore.events`.
    events = ActingCall(ActorCalls.events)

    def __repr__(self) -> str:
        return f"ActingCore(actor={self._actor!r}, owner={self._owner!r})"
