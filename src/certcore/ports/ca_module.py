"""The interface of CA modules: a base class with one required method, and protocols for optional powers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, get_args, get_origin, runtime_checkable

from attrs import field, frozen

from certcore.model.certificate import Certificate
from certcore.model.finding import Finding
from certcore.model.form import FormField, fields_of
from certcore.model.hints import Hint, Message
from certcore.model.issuance import Issuance
from certcore.model.names import DnsName
from certcore.model.notes import Note
from certcore.model.problem import Problem
from certcore.model.readiness import Readiness
from certcore.model.renewal import Retry
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.usual_hints import usual_hints
from certcore.model.views import CertificateView, Page
from certcore.model.waiting_for import WaitingFor
from certcore.ports.documents import DocumentChanges, Documents
from certcore.ports.environment import Environment
from certcore.ports.zone_writers import ZoneWriter

__all__ = [
    "CAModule",
    "CheckItem",
    "CheckReport",
    "DocumentChanges",
    "Documents",
    "Failed",
    "Issued",
    "ModuleContext",
    "NoSettings",
    "StepResult",
    "SupportsCheck",
    "SupportsCleanUp",
    "SupportsDeletion",
    "SupportsDiagnosis",
    "SupportsPreflight",
    "SupportsRenewalInfo",
    "SupportsRevocation",
    "Waiting",
    "WaitingFor",
    "Work",
]


if TYPE_CHECKING:
    from typing_extensions import TypeVar  # for type checkers only; has defaults (PEP 696)

    #: The type variables of calls. They have defaults: ``Work`` alone is ``Work[Any, Any]``.
    AnyAuthoritySettings = TypeVar("AnyAuthoritySettings", default=Any)
    AnyCertificateSettings = TypeVar("AnyCertificateSettings", default=Any)
else:
    from typing import TypeVar

    AnyAuthoritySettings = TypeVar("AnyAuthoritySettings")
    AnyCertificateSettings = TypeVar("AnyCertificateSettings")

# The type variables of the base classes have no defaults, so that a strict type checker demands both types. Otherwise a
# module that names no types and forgets ``profile_type`` would not be refused before it is loaded.

#: The attrs class of a CA profile.
AuthoritySettings = TypeVar("AuthoritySettings")
#: The attrs class of a certificate's settings.
CertificateSettings = TypeVar("CertificateSettings")


@frozen
class NoSettings:
    """The settings of a certificate for modules without certificate settings."""


def _no_opinion(_owner: str, _name: str) -> bool | None:
    return None


def _nobody_watches(_item: CheckItem) -> None:
    return None


def _none_wait(_after: str | None) -> Page:
    return Page(items=(), next_cursor=None)


@frozen(kw_only=True)
class ModuleContext(Generic[AnyAuthoritySettings]):
    """The context of a call into a module. ``ModuleContext[MyProfile]`` has ``profile: MyProfile``."""

    #: The CA profile's ID. Use it in the keys of documents that belong to the CA profile.
    authority_id: str
    #: The settings of the CA profile: an instance of the module's ``profile_type``, with its secrets opened.
    profile: AnyAuthoritySettings
    documents: Documents
    environment: Environment
    #: The owner of the certificate that the call is about; empty if there is no certificate or no owner.
    owner: str = ""
    #: The writers of TXT values that plugins register (`certcore.hookspecs.certcore_zone_writers`), by name.
    zone_writers: Mapping[str, ZoneWriter] = field(factory=dict, repr=False)
    #: Asks the panel whether an owner controls a name (`certcore.hookspecs.certcore_controls_name`). The arguments are
    #: owner and name. None means no opinion. Raises a `PluginError` if a plugin failed, which counts as False.
    controls_name: Callable[[str, str], bool | None] = field(default=_no_opinion, repr=False)
    #: Lists the certificates of this CA profile that wait for an administrator (`WaitingFor.ADMINISTRATOR`), of all
    #: owners, by domain in pages of 100. Pass None for the first page, then ``next_cursor`` of the previous page.
    waiting_for_administrator: Callable[[str | None], Page] = field(default=_none_wait, repr=False)
    #: Reports an item of a test of the CA profile as soon as it is known, see `SupportsCheck`.
    on_checked: Callable[[CheckItem], object] = field(default=_nobody_watches, repr=False)


@frozen(kw_only=True)
class Work(ModuleContext[AnyAuthoritySettings], Generic[AnyAuthoritySettings, AnyCertificateSettings]):
    """An issuance that `CAModule.advance` takes one step further.

    The certificate signing request is ``issuance.csr_pem``; ``cryptography.x509.load_pem_x509_csr`` reads it.
    """

    certificate: Certificate
    issuance: Issuance
    #: The certificate's settings for the module, an instance of the module's ``certificate_type``.
    settings: AnyCertificateSettings
    #: The issuance whose leaf is in service, which this one will replace; None if there is none.
    active: Issuance | None = None
    #: How many orders this issuance may place with the CA now. The engine limits the orders of each certificate (see
    #: `certcore.model.order_limit`) and begins no issuance while this is 0. A module that wants to place an order, the
    #: first one or a replacement for a lost one, SHOULD return `Waiting` for `WaitingFor.TURN` until ``next_order_at``
    #: while this is 0. It SHOULD announce each order before it is placed (`Documents.put_many`), and MUST return
    #: ``ordered=True`` from the step that placed or may have placed one.
    orders_left: int = 1
    #: How many refused requests for an order the module may make in this step.
    refusals_left: int = 20
    #: When the next order may be placed; None unless ``orders_left`` is 0.
    next_order_at: datetime | None = None

    @property
    def state(self) -> Mapping[str, Any] | None:
        """The state that the last step returned; None in the first step."""
        return self.issuance.module_state


@frozen(kw_only=True)
class Waiting:
    """The leaf is not issued yet. `CAModule.advance` is called again at ``look_again``."""

    #: The module's state for the next step, plain JSON without secrets.
    state: Mapping[str, Any]
    #: When to call again, with its time zone; at once if it is not in the future.
    look_again: datetime
    waiting_for: WaitingFor
    #: What the step observed, plain JSON, for the right column; None keeps the last findings. A change of nothing but
    #: ``checked_at`` does not count as a change.
    findings: Mapping[str, Any] | None = None
    #: True: from the next step on, the module may hold resources outside (for example TXT values) that
    #: `SupportsCleanUp` releases. Return it from the step before the one that acquires the resource, because a crash
    #: loses the result of that step. A module whose first step acquires something sets `CAModule.needs_clean_up`.
    #: False: the module holds nothing any more. None: unchanged.
    needs_clean_up: bool | None = None
    #: True: this step placed an order with the CA, or requested one with an unknown result (status 5xx, no answer, an
    #: unreadable answer). False: it did not. None: the module does not report orders; then the engine counts one order
    #: if the module announced one, or otherwise when the issuance first waits for the CA. See `Work.orders_left`.
    ordered: bool | None = None
    #: True: after a crash, this step can be repeated from the previous state without harm, for example a poll of an
    #: order or a response to a challenge. The engine then MAY store the state only with that of a later step. MUST NOT
    #: be True for a step that placed an order or acquired a resource outside.
    repeatable: bool = False
    #: How many requests for an order the CA refused in this step. Refusals are limited, too.
    orders_refused: int = 0
    #: Notes for the certificate's timeline, see `Note`.
    notes: tuple[Note, ...] = ()


@frozen(kw_only=True)
class Issued:
    """The CA issued the leaf, which certcore checks before it is installed. The other fields are as in `Waiting`."""

    state: Mapping[str, Any]
    #: The leaf and its chain in PEM, in any order.
    chain_pem: str = field(repr=False)
    needs_clean_up: bool | None = None
    ordered: bool | None = None
    notes: tuple[Note, ...] = ()


@frozen(kw_only=True)
class Failed:
    """The issuance failed. Fields without a description are as in `Waiting`."""

    state: Mapping[str, Any]
    problem: Problem
    #: Whether a new issuance can succeed, and when.
    retry: Retry
    #: When the CA allows the next attempt, with its time zone; None if it does not say.
    retry_at: datetime | None = None
    #: True: the reason lies with the CA, not with the names or their owner, so another CA may succeed.
    of_authority: bool = False
    findings: Mapping[str, Any] | None = None
    needs_clean_up: bool | None = None
    #: After such a failure the engine spreads the remaining orders over the remaining time.
    ordered: bool | None = None
    orders_refused: int = 0
    notes: tuple[Note, ...] = ()


#: What `CAModule.advance` returns: a closed union.
StepResult = Waiting | Issued | Failed


class CAModule(ABC, Generic[AuthoritySettings, CertificateSettings]):
    """The base class of CA modules. One module serves many CA profiles and keeps no state of its own.

    ::

        class MyCA(CAModule[MyProfile, NoSettings]):
            name = "my_ca"
            title = "My CA"

            def advance(self, work: Work[MyProfile, NoSettings]) -> StepResult: ...

    The two types are attrs classes whose fields are made with `certcore.plugin.form`: the settings of a CA profile, and
    the settings of a certificate. They become `profile_type` and `certificate_type`.

    A module with optional powers also inherits from their protocols (`SupportsRevocation` and so on). Then a type
    checker compares the methods with what certcore calls, and Python refuses to create an object that lacks one.

    Methods MUST be thread-safe. They get frozen values, and return what is to be stored. Caches and connections in
    memory MUST NOT be shared between processes after a fork, see `certcore.forks`.
    """

    #: The identifier in stores and on the command line: lower-case letters, digits and underscores. Never change it.
    name: ClassVar[str]
    #: The displayed name.
    title: ClassVar[str]
    #: True: an issuance may hold resources outside from its first step on. So `SupportsCleanUp.clean_up` is called when
    #: it ends, even if a crash lost the result of that step. A step returns ``needs_clean_up=False`` when the module
    #: holds nothing any more. False: nothing is held until a step returns `Waiting.needs_clean_up`.
    needs_clean_up: ClassVar[bool] = False
    #: The attrs class of a CA profile's settings: the first type of ``CAModule[…]``.
    profile_type: type[AuthoritySettings]
    #: The attrs class of a certificate's settings: the second type of ``CAModule[…]``.
    certificate_type: type[CertificateSettings]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Set both types from ``CAModule[…]`` or ``SigningCA[…]``, unless the class sets them itself."""
        super().__init_subclass__(**kwargs)
        types = next((get_args(base) for base in vars(cls).get("__orig_bases__", ()) if _names_both_types(base)), ())
        for attribute, settings in zip(("profile_type", "certificate_type"), types, strict=False):
            if attribute not in vars(cls) and not isinstance(settings, TypeVar):
                setattr(cls, attribute, settings)
        if not hasattr(cls, "certificate_type"):
            # The module names no types. The type checker cannot know that the type variable stands for NoSettings.
            cls.certificate_type = NoSettings  # type: ignore[assignment]

    @abstractmethod
    def advance(self, work: Work[AuthoritySettings, CertificateSettings]) -> StepResult:
        """Take one step towards the leaf and return at once.

        MUST NOT sleep. After a crash it is called again with the same state, so everything that it changes outside MUST
        be harmless when done twice. SHOULD make one exchange with the CA or another server per call. An exception is
        reported as a failure of the plugin, and the step is repeated later.
        """

    def hints(self, view: CertificateView, context: ModuleContext[AuthoritySettings]) -> Sequence[Hint]:
        """The right column of a certificate's page; by default its state, its problem, and the time of the next step.

        SHOULD NOT use the network: show what the last step found. Extend ``super().hints(view, context)``, or return
        other hints.
        """
        return usual_hints(view, self.title)

    def profile_form(self, context: ModuleContext[AuthoritySettings]) -> Sequence[FormField]:
        """The form of an existing CA profile; by default the fields of ``profile_type``.

        A module may offer what it knows of the CA as choices. SHOULD NOT use the network.
        """
        return fields_of(self.profile_type)

    def profile_hints(self, context: ModuleContext[AuthoritySettings]) -> Sequence[Hint]:
        """The right column of a CA profile, for example its account and limits. SHOULD NOT use the network."""
        return ()

    def certificate_form(self, context: ModuleContext[AuthoritySettings]) -> Sequence[FormField]:
        """The module's part of the certificate form; by default the fields of ``certificate_type``."""
        return fields_of(self.certificate_type)

    def check_profile(self, profile: AuthoritySettings) -> None:
        """Refuse a CA profile whose settings contradict each other.

        Raises:
            InvalidInputError: A setting is refused; ``field`` names it.
        """

    def check_request(
        self, context: ModuleContext[AuthoritySettings], names: Sequence[DnsName], settings: CertificateSettings
    ) -> None:
        """Refuse names or settings for which this CA profile cannot issue, before anything is stored.

        MUST NOT use the network.

        Raises:
            InvalidInputError: A value is refused; ``field`` is ``wildcard``, ``aliases``, ``domain`` or a setting.
        """


def _names_both_types(base: object) -> bool:
    origin = get_origin(base)
    return (
        isinstance(origin, type)
        and issubclass(origin, CAModule)
        and getattr(origin, "__parameters__", ()) == (AuthoritySettings, CertificateSettings)
    )


@frozen(kw_only=True)
class CheckItem:
    """One item of a test of a CA profile."""

    title: Message
    ok: bool
    #: The result: a translatable message, or the text of a server.
    detail: Message | str = ""
    #: What to do if it did not pass.
    advice: Message | str = ""
    #: The findings with their remedies, the most important first.
    findings: tuple[Finding, ...] = ()


@frozen(kw_only=True)
class CheckReport:
    """The result of "Save and Test"."""

    items: tuple[CheckItem, ...]

    @property
    def ok(self) -> bool:
        """Whether all items passed."""
        return all(item.ok for item in self.items)


@runtime_checkable
class SupportsCheck(Protocol):
    """A module that can test a profile against the real CA ("Save and Test")."""

    @abstractmethod
    def check(self, context: ModuleContext) -> CheckReport:
        """Test everything that an issuance will need.

        If the CA is down or refuses, this MUST be reported in an item and MUST NOT raise. A test that takes seconds
        SHOULD call ``context.on_checked`` with each item as soon as it is known, so that a page can show it at once.
        The report contains all items in any case.
        """
        ...


@runtime_checkable
class SupportsDiagnosis(Protocol):
    """A module that can report, before any certificate exists, what would prevent the validation of names."""

    @abstractmethod
    def diagnose(self, names: Sequence[DnsName], context: ModuleContext, *, thorough: bool) -> Sequence[Finding]:
        """Check the names as if a certificate for them were requested now. MUST NOT send requests to the CA.

        Args:
            names: The names of a certificate.
            context: The CA profile; ``owner`` is the future owner of the certificate.
            thorough: Whether resolvers may be asked for records that may not exist. They cache that answer, perhaps for
                hours.

        Returns:
            The findings; empty if nothing prevents the validation.
        """
        ...


@runtime_checkable
class SupportsPreflight(Protocol):
    """A module that can check whether the renewal of a certificate in service could succeed now."""

    @abstractmethod
    def wants_preflights(self, context: ModuleContext) -> bool:
        """Whether the certificates of this CA profile are checked regularly. MUST NOT use the network."""
        ...

    @abstractmethod
    def preflight(self, work: Work) -> Readiness:
        """Check whether the certificate could be renewed now. No issuance is under way.

        MUST NOT place an order, MUST NOT hold anything outside when it returns, and MUST NOT make resolvers cache that
        a record does not exist. certcore checks its limit of orders and the deployment targets itself.

        Args:
            work: ``issuance`` and ``active`` are both the issuance in service. A renewal would order
                ``certificate.names``.

        Returns:
            The obstacles, and who has to act. The fields ``target`` are ignored.
        """
        ...


@runtime_checkable
class SupportsCleanUp(Protocol):
    """A module that holds resources outside during an issuance, for example TXT values, and releases them."""

    @abstractmethod
    def clean_up(self, work: Work) -> datetime | None:
        """Release what this issuance holds. MUST be harmless when done twice, or when nothing is held.

        Returns:
            None if everything is released; otherwise when to call again, with its time zone.
        """
        ...


@runtime_checkable
class SupportsDeletion(Protocol):
    """A module that holds resources outside for a certificate, or can release those of a deleted certificate later.

    Without this power, a certificate is not deleted while `SupportsCleanUp.clean_up` asks to be called again.
    """

    @abstractmethod
    def certificate_deleted(self, certificate: Certificate, context: ModuleContext) -> None:
        """Release what is held for a certificate that is being deleted.

        Called after `clean_up`, and never again for this certificate. Whatever cannot be released now, for example
        because a server is down, MUST be recorded in the module's documents, including what `clean_up` has left, and
        MUST be released by a later call about any certificate. MUST be harmless if the deletion fails afterwards.

        Args:
            certificate: The certificate.
            context: A CA profile that the certificate, or one of its issuances, has used.

        Raises:
            CertCoreError: It cannot even be recorded. The certificate is not deleted.
        """
        ...


@runtime_checkable
class SupportsRevocation(Protocol):
    """A module whose CA can be asked to revoke a certificate."""

    @abstractmethod
    def revoke(
        self,
        issuance: Issuance,
        reason: RevocationReason,
        private_key: Callable[[], Secret | None],
        context: ModuleContext,
    ) -> None:
        """Revoke a leaf, and return when the CA has confirmed. MUST be harmless if the leaf is already revoked.

        Args:
            issuance: The issuance of the leaf. The leaf is ``leaf_pem``; ``module_state`` is the module's last state,
                if this module issued it.
                If the purpose is `Purpose.IMPORT`, the leaf was not ordered here. Then the module MUST NOT authorise
                the revocation with a CA account, which other tenants share, but with the leaf's private key, which is
                in this store.
                A module that revokes by serial number MUST first check that it has issued exactly this leaf, because
                any CA can put another CA's name and serial numbers into its leaves.
            reason: The reason for the revocation.
            private_key: Opens the leaf's private key, for CAs that accept it as authorisation; returns None if it is
                not in this store. Call it only if the key is needed.
            context: The CA profile that issued the leaf, with its present settings; or another CA profile of the same
                CA, if the first one was deleted or a user chose another one.

        Raises:
            CAError: The CA refused or could not be reached.
        """
        ...


@runtime_checkable
class SupportsRenewalInfo(Protocol):
    """A module whose CA suggests when a leaf should be renewed (RFC 9773)."""

    @abstractmethod
    def renewal_info(self, issuance: Issuance, context: ModuleContext) -> SuggestedWindow | None:
        """Ask the CA when to renew a leaf. Called at the times that the last answer asked for.

        Args:
            issuance: The issuance of the leaf in service.
            context: The CA profile that issued the leaf.

        Returns:
            The suggested window; None if the CA offers no information about this leaf.

        Raises:
            CAError: The CA could not be reached. If that lasts, the certificate's own renewal policy applies. The
                error's ``retry_after`` (seconds) is respected.
        """
        ...
