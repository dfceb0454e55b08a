"""The calls of `certcore.CertCore` itself that have an actor, and a facade bound to one actor."""

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
        """Make a facade bound to one actor, for the requests of one user of a panel.

        Its calls have no argument ``actor``, and with an ``owner`` no argument ``owner``::

            customer = core.acting_as("carla", owner="customer-7")
            draft = customer.certificates.create("shop.example", authority=profile_id)

        Args:
            actor: Who acts: the name for the policy and for timelines.
            owner: The tenant. Then only its certificates are found, whatever the policy allows. CA profiles can be
                used; to see or change them, a policy must permit it explicitly. None for everything that the policy
                allows.

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
        """Whether the policy allows an action, to show links and buttons. The call itself checks again.

        Args:
            permission: A `Permission`, or its text, for example ``certificate.create``.
            subject: The ID of the certificate or CA profile; empty for new objects and lists.
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
        """Wait until a certificate for these names is in service. For scripts.

        If the store already has a certificate with the same names, owner, CA profile and CSR, that one is used: the
        call returns at once if its leaf in service has these names, and otherwise continues its issuance. Two
        concurrent calls create one certificate. A due renewal is carried out, too; if it fails while the leaf is still
        valid, the certificate is returned and ``certificate.problem`` has the reason. At the end, due events are
        delivered to the observers, for example to deployment targets.

        The hints of the certificate show what the domain's owner has to do; ``progress`` is called after each change.
        The work is done in the calling thread, whether or not a worker runs elsewhere. With asyncio, use
        ``await asyncio.to_thread(core.obtain, …)``.

        Args:
            domain: The primary name; None with a ``csr``.
            authority: The CA profile, by ID, or by name if the actor may see it (``authority.view``).
            owner: The tenant.
            timeout: How many seconds to wait.
            progress: Called with the certificate's view after each change.
            actor: Who makes the call. Certificates that the actor may not see are not used.
            options: The other fields of `Certificates.create`: ``aliases``, ``wildcard``, ``csr``, ``key_type`` …

        Raises:
            NotObtainedError: The time limit passed, or the CA refused permanently. The issuance is kept.
            InvalidInputError: A field is invalid, or differs from that of the existing certificate.
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
        """Check what would prevent the validation of names now, before a certificate for them exists.

        Nothing is requested from the CA, and nothing is stored. The call takes several seconds if name servers do not
        answer.

        Args:
            names: The names of a certificate, including wildcards.
            authority: The CA profile, by ID, or by name if the actor may see it.
            owner: The tenant whose DNS records are expected.
            thorough: Whether resolvers may be asked for records that may not exist. They cache that answer, perhaps for
                hours. This detects resolvers with different views of the DNS.
            actor: Who makes the call.

        Returns:
            The findings, the most important first; empty if the names can be validated.

        Raises:
            InvalidInputError: A name is invalid, or the CA module cannot diagnose names.
            NotFoundError: There is no such CA profile.
            AccessDeniedError: The policy refused to create a certificate for this owner, or to use the CA profile.
        """
        diagnosing = Diagnosing(contexts=self._engine.contexts, access=self._access)
        return diagnosing.diagnose(names, authority=authority, owner=owner, thorough=thorough, actor=actor)


class ActingCore:
    """A facade of `certcore.CertCore` bound to one actor, made by `certcore.CertCore.acting_as`.

    It has the services and the calls that take an actor, without the argument ``actor``. It has no calls that affect
    the process, so it can be passed to templates and request handlers.
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
