"""What a CA module is: one base class with one method to write, and optional powers as protocols."""

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
    from typing_extensions import TypeVar  # of the type checker itself; with defaults, as PEP 696 has them

    #: What calls are annotated with: ``Work`` alone is ``Work[Any, Any]``.
    AnyAuthoritySettings = TypeVar("AnyAuthoritySettings", default=Any)
    AnyCertificateSettings = TypeVar("AnyCertificateSettings", default=Any)
else:
    from typing import TypeVar

    AnyAuthoritySettings = TypeVar("AnyAuthoritySettings")
    AnyCertificateSettings = TypeVar("AnyCertificateSettings")

# What modules inherit from has no defaults, so that a strict type checker asks for both types. A module that names
# none, and forgets ``profile_type``, would only be refused when it is loaded.

#: The attrs class of a CA profile.
AuthoritySettings = TypeVar("AuthoritySettings")
#: The attrs class of a certificate's settings.
CertificateSettings = TypeVar("CertificateSettings")


@frozen
class NoSettings:
    """For modules that ask nothing of a certificate."""


def _no_opinion(_owner: str, _name: str) -> bool | None:
    return None


def _nobody_watches(_item: CheckItem) -> None:
    return None


def _none_wait(_after: str | None) -> Page:
    return Page(items=(), next_cursor=None)


@frozen(kw_only=True)
class ModuleContext(Generic[AnyAuthoritySettings]):
    """What every call into a module gets; ``ModuleContext[MyProfile]`` has ``profile: MyProfile``."""

    #: The CA profile's id: what profile-wide documents are keyed by.
    authority_id: str
    #: The profile, an instance of the module's ``profile_type``, its secrets opened.
    profile: AnyAuthoritySettings
    documents: Documents
    environment: Environment
    #: The owner of the certificate that the call is about; empty for none, and where it is about the profile.
    owner: str = ""
    #: The writers of TXT values that plugins bring (`certcore.hookspecs.certcore_zone_writers`), by name.
    zone_writers: Mapping[str, ZoneWriter] = field(factory=dict, repr=False)
    #: Asks the panel whether an owner controls a name (`certcore.hookspecs.certcore_controls_name`): owner, then name.
    #: None is no opinion. It raises a `PluginError` when a plugin failed, which counts as False.
    controls_name: Callable[[str, str], bool | None] = field(default=_no_opinion, repr=False)
    #: The certificates of this CA profile that wait for an administrator (`WaitingFor.ADMINISTRATOR`), of all owners,
    #: by domain in pages of 100: pass None for the first page, then the ``next_cursor`` of the page before.
    waiting_for_administrator: Callable[[str | None], Page] = field(default=_none_wait, repr=False)
    #: Reports an item of the test of a CA profile as soon as it is known; see `SupportsCheck`.
    on_checked: Callable[[CheckItem], object] = field(default=_nobody_watches, repr=False)


@frozen(kw_only=True)
class Work(ModuleContext[AnyAuthoritySettings], Generic[AnyAuthoritySettings, AnyCertificateSettings]):
    """One issuance to advance by one step.

    The certificate signing request is ``issuance.csr_pem``; ``cryptography.x509.load_pem_x509_csr`` reads it.
    """

    certificate: Certificate
    issuance: Issuance
    #: The certificate's own settings, an instance of the module's ``certificate_type``.
    settings: AnyCertificateSettings
    #: The issuance whose leaf is in service, which this one will replace; None without one.
    active: Issuance | None = None
    #: How many orders this issuance may place with the CA now. The engine bounds them for each certificate (see
    #: `certcore.model.order_limit`). A module that is about to place a new order, the first or another one instead of
    #: one that was lost, SHOULD return `Waiting` for `WaitingFor.TURN` until ``next_order_at`` when this is 0, and
    #: MUST say ``ordered=True`` in the step in which it placed one, or may have placed one. It SHOULD announce the
    #: order before (`Documents.put_many`). An issuance is not begun at all while this is 0.
    orders_left: int = 1
    #: How many requests for an order the CA may refuse in this step: a module does not repeat one more often.
    refusals_left: int = 20
    #: When the next order may be placed; None while ``orders_left`` is not 0.
    next_order_at: datetime | None = None

    @property
    def state(self) -> Mapping[str, Any] | None:
        """What the last step left; None at the first."""
        return self.issuance.module_state


@frozen(kw_only=True)
class Waiting:
    """Not there yet: look again at ``look_again`` (at once, when that is not in the future)."""

    state: Mapping[str, Any]
    look_again: datetime
    waiting_for: WaitingFor
    #: What was seen in the world, plain JSON, for the right column; None leaves the last findings as they are. When
    #: nothing but a ``checked_at`` in it changes, this does not count as a change.
    findings: Mapping[str, Any] | None = None
    #: True: the module may hold something outside from here on (TXT values, say) that `SupportsCleanUp` takes back.
    #: Say so in the step before the one that takes hold of it, as a crash in between loses what that one returns; a
    #: module whose first step does so sets `CAModule.needs_clean_up` instead.
    #: False: it holds nothing any more. None: as after the last step.
    needs_clean_up: bool | None = None
    #: True: this step placed a new order with the CA, or has asked for one and does not know what became of it (a
    #: status of 5xx, no answer, or none that can be read). False: it did not. None: the module does not tell; the
    #: engine then counts one order when the module has announced one, or else when the CA is first at work on the
    #: issuance. See `Work.orders_left`.
    ordered: bool | None = None
    #: True: if the process dies now, this step may be taken again from the state before it, without any harm: a look at
    #: an order, an answer to a challenge. The engine then MAY store the state later, together with a later step's.
    #: Never True for a step that placed an order, or that took hold of something outside.
    repeatable: bool = False
    #: How many requests for an order the CA has refused in this step; they are bounded, too.
    orders_refused: int = 0
    #: What is to be in the certificate's timeline, see `Note`.
    notes: tuple[Note, ...] = ()


@frozen(kw_only=True)
class Issued:
    """The CA issued: PEM of the leaf and its chain, in any order. The core checks it before it is installed."""

    state: Mapping[str, Any]
    chain_pem: str = field(repr=False)
    #: As in `Waiting`.
    needs_clean_up: bool | None = None
    #: As in `Waiting`.
    ordered: bool | None = None
    #: As in `Waiting`.
    notes: tuple[Note, ...] = ()


@frozen(kw_only=True)
class Failed:
    """The attempt failed. ``retry`` says whether trying again can help; ``retry_at`` is the CA's own word for when."""

    state: Mapping[str, Any]
    problem: Problem
    retry: Retry
    retry_at: datetime | None = None
    #: True: the CA failed for a reason of its own, not for one of the names or their owner; another CA may do better.
    of_authority: bool = False
    findings: Mapping[str, Any] | None = None
    #: As in `Waiting`.
    needs_clean_up: bool | None = None
    #: As in `Waiting`. After such a failure the engine spreads the orders that are left over the time that is left.
    ordered: bool | None = None
    #: As in `Waiting`.
    orders_refused: int = 0
    #: As in `Waiting`.
    notes: tuple[Note, ...] = ()


#: What `CAModule.advance` returns: a closed union.
StepResult = Waiting | Issued | Failed


class CAModule(ABC, Generic[AuthoritySettings, CertificateSettings]):
    """A way to obtain certificates. One module serves many CA profiles; it holds no state of its own.

    ::

        class MyCA(CAModule[MyProfile, NoSettings]):
            name = "my_ca"
            title = "My CA"

            def advance(self, work: Work[MyProfile, NoSettings]) -> StepResult: ...

    The two types are attrs classes, their fields made with `certcore.plugin.form`: the settings of a CA profile, and
    the settings of a certificate. They become `profile_type` and `certificate_type`.

    Inherit from the protocols of the powers that the module has, too (`SupportsRevocation` and so on): a type checker
    then compares their methods with what certcore calls, and Python makes no object of a class that lacks one of them.

    Methods MUST be thread-safe. They are called with frozen values, and what they want to keep they return.
    What a module keeps in memory MUST be its process's own after a fork, see `certcore.forks`.
    """

    #: The name in stores and on the command line: lower case, digits and underscores; never change it.
    name: ClassVar[str]
    #: The name for people.
    title: ClassVar[str]
    #: True: an issuance may hold something outside from its first step on, so `SupportsCleanUp.clean_up` is called when
    #: it has ended, also when that step was lost in a crash. A step says ``needs_clean_up=False`` when it holds nothing
    #: any more. False: nothing is held before a step says so in `Waiting.needs_clean_up`.
    needs_clean_up: ClassVar[bool] = False
    #: attrs class of a CA profile: the first type of ``CAModule[…]``.
    profile_type: type[AuthoritySettings]
    #: attrs class of a certificate's settings: the second type.
    certificate_type: type[CertificateSettings]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Take both types from ``CAModule[…]`` or ``SigningCA[…]`` where the class does not set them itself."""
        super().__init_subclass__(**kwargs)
        types = next((get_args(base) for base in vars(cls).get("__orig_bases__", ()) if _names_both_types(base)), ())
        for attribute, settings in zip(("profile_type", "certificate_type"), types, strict=False):
            if attribute not in vars(cls) and not isinstance(settings, TypeVar):
                setattr(cls, attribute, settings)
        if not hasattr(cls, "certificate_type"):
            # For a module that names no types. The checker cannot know that a type variable stands for NoSettings.
            cls.certificate_type = NoSettings  # type: ignore[assignment]

    @abstractmethod
    def advance(self, work: Work[AuthoritySettings, CertificateSettings]) -> StepResult:
        """Take one step towards the leaf and return at once.

        MUST NOT sleep; MUST survive being called again with the same state after a crash, so everything that it
        changes outside is harmless when done twice. SHOULD do one exchange with the outside per call. What raises is
        reported as a failure of the plugin and tried again later.
        """

    def hints(self, view: CertificateView, context: ModuleContext[AuthoritySettings]) -> Sequence[Hint]:
        """The right column for this certificate; by default its state, its problem, and when it is looked at again.

        SHOULD NOT touch the network: show what the last step found. Add to ``super().hints(view, context)``, or return
        hints of your own.
        """
        return usual_hints(view, self.title)

    def profile_form(self, context: ModuleContext[AuthoritySettings]) -> Sequence[FormField]:
        """The form of an existing CA profile; by default the fields of ``profile_type``.

        A module may turn what it knows of the CA into choices. SHOULD NOT touch the network.
        """
        return fields_of(self.profile_type)

    def profile_hints(self, context: ModuleContext[AuthoritySettings]) -> Sequence[Hint]:
        """The right column of a CA profile: its account, its limits. SHOULD NOT touch the network."""
        return ()

    def certificate_form(self, context: ModuleContext[AuthoritySettings]) -> Sequence[FormField]:
        """The module's part of the certificate form; by default the fields of ``certificate_type``."""
        return fields_of(self.certificate_type)

    def check_profile(self, profile: AuthoritySettings) -> None:
        """Refuse a profile whose fields do not fit together.

        Raises:
            InvalidInputError: With the name of the field.
        """

    def check_request(
        self, context: ModuleContext[AuthoritySettings], names: Sequence[DnsName], settings: CertificateSettings
    ) -> None:
        """Refuse names or settings that this profile cannot issue for, before anything is stored.

        MUST NOT touch the network.

        Raises:
            InvalidInputError: With the name of the field (``wildcard``, ``aliases``, ``domain`` or a setting).
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
    """One thing that was tested about a CA profile."""

    title: Message
    ok: bool
    #: What was seen; in the words of a server, or a text that can be translated.
    detail: Message | str = ""
    #: What to do when it is not ok.
    advice: Message | str = ""
    #: What was found, with the exact remedy; the first matters most.
    findings: tuple[Finding, ...] = ()


@frozen(kw_only=True)
class CheckReport:
    """The result of "Save and Test"."""

    items: tuple[CheckItem, ...]

    @property
    def ok(self) -> bool:
        """Whether everything passed."""
        return all(item.ok for item in self.items)


@runtime_checkable
class SupportsCheck(Protocol):
    """A module that can test a profile against the real CA ("Save and Test")."""

    @abstractmethod
    def check(self, context: ModuleContext) -> CheckReport:
        """Try what issuance will need. MUST NOT raise for a CA that is down or refuses: that is a report.

        A test that takes seconds SHOULD call ``context.on_checked`` with each item when it is known, so that a page
        shows it at once. The report has all of them nevertheless.
        """
        ...


@runtime_checkable
class SupportsDiagnosis(Protocol):
    """A module that can say, before any certificate exists, what would keep names from being validated."""

    @abstractmethod
    def diagnose(self, names: Sequence[DnsName], context: ModuleContext, *, thorough: bool) -> Sequence[Finding]:
        """Look at the names as if a certificate for them were requested now. MUST NOT ask the CA for anything.

        Args:
            names: The names of a certificate.
            context: The CA profile; its ``owner`` is who would own the certificate.
            thorough: Whether resolvers may be asked for records that do not exist: they keep that answer, for hours
                perhaps.

        Returns:
            What was found; empty when nothing keeps the names from being validated.
        """
        ...


@runtime_checkable
class SupportsPreflight(Protocol):
    """A module that can say of a certificate in service whether its renewal could succeed now."""

    @abstractmethod
    def wants_preflights(self, context: ModuleContext) -> bool:
        """Whether the certificates of this CA profile are checked regularly. MUST NOT touch the network."""
        ...

    @abstractmethod
    def preflight(self, work: Work) -> Readiness:
        """Look as if the certificate were renewed now, while no issuance is under way.

        MUST NOT order anything, MUST NOT hold anything outside when it returns, and MUST NOT make resolvers keep an
        answer that a record does not exist. certcore itself checks its own bound on orders, and the targets.

        Args:
            work: ``issuance`` and ``active`` are both the issuance in service; the names that would be ordered are
                ``certificate.names``.

        Returns:
            What is in the way, and whose turn it is; the fields ``target`` are ignored.
        """
        ...


@runtime_checkable
class SupportsCleanUp(Protocol):
    """A module that holds something outside while an issuance runs (TXT values), and takes it back."""

    @abstractmethod
    def clean_up(self, work: Work) -> datetime | None:
        """Take back what this issuance holds; MUST be harmless when done twice or when there is nothing.

        Returns:
            None when all is taken back, else when to try again.
        """
        ...


@runtime_checkable
class SupportsDeletion(Protocol):
    """A module that holds something outside for a certificate, or takes back later what it cannot take back now.

    Without it a certificate is not deleted while `SupportsCleanUp.clean_up` asks to be called again.
    """

    @abstractmethod
    def certificate_deleted(self, certificate: Certificate, context: ModuleContext) -> None:
        """A certificate is being deleted; it is called after `clean_up` was, and never again for the certificate.

        Give back what is held for the certificate itself. What cannot be given back now, because a server is down say,
        MUST be noted in the module's documents, also what `clean_up` has left, and given back by a later call about
        any certificate. MUST be harmless when the certificate is not deleted after all.

        Args:
            certificate: The certificate.
            context: A CA profile that it, or one of its issuances, has used.

        Raises:
            CertCoreError: It cannot even be noted; the certificate is not deleted.
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
        """Revoke a leaf; return when the CA has confirmed. MUST be harmless for one that is revoked already.

        Args:
            issuance: The leaf is its ``leaf_pem``; its ``module_state`` is what the module remembered, if it was its.
                One whose purpose is `Purpose.IMPORT` was not ordered here: the module MUST NOT use the authority of
                an account for it, which other tenants share. Its private key, which is here then, is the proof.
                A module that revokes by serial number MUST see first that it has issued exactly this leaf: any CA can
                write another one's name and serial numbers into its leaves.
            reason: Why.
            private_key: Opens the leaf's private key, for CAs that accept it as a proof; None when it is not here. Do
                not call it without need.
            context: The CA profile that the leaf was issued with, as it is now; another one of the same CA when that
                one is gone, or when a user named another.

        Raises:
            CAError: The CA refused, or could not be asked.
        """
        ...


@runtime_checkable
class SupportsRenewalInfo(Protocol):
    """A module whose CA says when it wants a leaf to be renewed (RFC 9773)."""

    @abstractmethod
    def renewal_info(self, issuance: Issuance, context: ModuleContext) -> SuggestedWindow | None:
        """Ask the CA. It is called at the times that its last answer asked for.

        Args:
            issuance: With the leaf in service.
            context: The CA profile that the leaf was issued with.

        Returns:
            None when the CA offers no such information about this leaf.

        Raises:
            CAError: The CA could not be asked; the certificate's own policy counts if that lasts. An attribute
                ``retry_after`` (seconds) is heeded.
        """
        ...
