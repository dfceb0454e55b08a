"""What a CA module is: one base class with two methods to write, and optional powers as protocols."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from attrs import field, frozen

from certcore.model.certificate import Certificate
from certcore.model.form import FormField, fields_of
from certcore.model.hints import Hint, Message
from certcore.model.issuance import Issuance
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.ports.environment import Environment
from certcore.ports.storage import Document

__all__ = [
    "CAModule",
    "CheckItem",
    "CheckReport",
    "Documents",
    "Failed",
    "Issued",
    "ModuleContext",
    "NoSettings",
    "ProfileAction",
    "Step",
    "SupportsActions",
    "SupportsCheck",
    "SupportsCleanUp",
    "SupportsRenewalInfo",
    "SupportsRevocation",
    "Waiting",
    "WaitingFor",
    "Work",
]


class Documents(Protocol):
    """A module's own small store: namespaced, versioned, shared by all processes. Every call is a transaction."""

    def get(self, key: str) -> Document | None:
        """One document; None when there is none."""
        ...

    def put(self, key: str, value: Mapping[str, Any], *, version: int | None = None) -> Document:
        """Store a document; ``version`` 0 demands that there is none yet, n demands version n, None demands nothing.

        Raises:
            StaleWrite: The demand is not met.
        """
        ...

    def put_many(self, values: Mapping[str, Mapping[str, Any]], *, versions: Mapping[str, int] | None = None) -> None:
        """Store several documents in one transaction, replacing what is there.

        Args:
            values: By key.
            versions: What is demanded of some of them, as in `put`; when one demand is not met, nothing is stored.

        Raises:
            StaleWrite: A demand is not met.
        """
        ...

    def delete(self, *keys: str) -> None:
        """Delete documents; missing ones are no error."""
        ...

    def list(self, prefix: str = "") -> Sequence[Document]:
        """The documents whose key begins with ``prefix``, by key."""
        ...

    def seal(self, key: str, secret: bytes) -> bool:
        """Seal a secret under this key if there is none yet; returns whether it was stored (False: one was there)."""
        ...

    def unseal(self, key: str) -> bytes | None:
        """The secret under this key; None when there is none."""
        ...

    def delete_secret(self, key: str) -> None:
        """Delete a secret; a missing one is no error."""
        ...


@frozen
class NoSettings:
    """For modules that ask nothing of a certificate."""


@frozen(kw_only=True)
class ModuleContext:
    """What every call into a module gets."""

    #: The CA profile's id: what profile-wide documents are keyed by.
    authority_id: str
    #: The profile, an instance of the module's ``profile_type``, its secrets opened.
    profile: Any
    documents: Documents
    environment: Environment
    #: The owner of the certificate that the call is about; empty for none, and where it is about the profile.
    owner: str = ""


@frozen(kw_only=True)
class Work(ModuleContext):
    """One issuance to advance by one step.

    The certificate signing request is ``issuance.csr_pem``; `certcore.x509.csr` turns it into DER.
    """

    certificate: Certificate
    issuance: Issuance
    #: The certificate's own settings, an instance of the module's ``certificate_type``.
    settings: Any
    #: The issuance whose leaf is in service, which this one will replace; None without one.
    active: Issuance | None = None
    #: How many orders this issuance may place with the CA now. The engine bounds them for each certificate (see
    #: `certcore.model.order_limit`). A module that is about to place a new order, the first or another one instead of
    #: one that was lost, SHOULD return `Waiting` for `WaitingFor.TURN` until ``next_order_at`` when this is 0, and
    #: MUST say ``ordered=True`` in the step in which it placed one. An issuance is not begun at all while this is 0.
    orders_left: int = 1
    #: When the next order may be placed; None while ``orders_left`` is not 0.
    next_order_at: datetime | None = None

    @property
    def state(self) -> Mapping[str, Any] | None:
        """What the last step left; None at the first."""
        return self.issuance.module_state


class WaitingFor(StrEnum):
    """Whom an attempt waits for: it decides between pending and processing."""

    #: The domain's owner has something to do (set a CNAME).
    OWNER = "owner"
    #: The CA is at work.
    AUTHORITY = "authority"
    #: Nobody has to do anything: its turn has not come, because of a limit of the CA.
    TURN = "turn"


@frozen(kw_only=True)
class Waiting:
    """Not there yet: look again at ``look_again`` (at once, when that is not in the future)."""

    state: Mapping[str, Any]
    look_again: datetime
    waiting_for: WaitingFor
    #: What was seen in the world, plain JSON, for the right column; None leaves the last findings as they are. When
    #: nothing but a ``checked_at`` in it changes, that is no news.
    findings: Mapping[str, Any] | None = None
    #: True: the module may hold something outside from here on (TXT values, say) that `SupportsCleanUp` takes back.
    #: Say so in the step before the one that takes hold of it: a crash in between loses what that one returns.
    #: False: it holds nothing any more. None: as after the last step.
    needs_clean_up: bool | None = None
    #: True: this step placed a new order with the CA. False: it did not. None: the module does not tell; the engine
    #: then counts one order when the CA is first at work on the issuance. See `Work.orders_left`.
    ordered: bool | None = None


@frozen(kw_only=True)
class Issued:
    """The CA issued: PEM of the leaf and its chain, in any order. The core checks it before it is installed."""

    state: Mapping[str, Any]
    chain_pem: str = field(repr=False)
    #: As in `Waiting`.
    needs_clean_up: bool | None = None
    #: As in `Waiting`.
    ordered: bool | None = None


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
    #: As in `Waiting`.
    ordered: bool | None = None


#: What `CAModule.advance` returns: a closed union.
Step = Waiting | Issued | Failed


class CAModule(ABC):
    """A way to obtain certificates. One module serves many CA profiles; it holds no state of its own.

    Methods MUST be thread-safe. They are called with frozen values, and what they want to keep they return.
    What a module keeps in memory MUST be its process's own after a fork, see `certcore.ports.forks`.
    """

    #: The name in stores and on the command line: lower case, digits and underscores; never change it.
    name: ClassVar[str]
    #: The name for people.
    title: ClassVar[str]
    #: attrs class of a CA profile, its fields made with `certcore.model.form`.
    profile_type: ClassVar[type]
    #: attrs class of what a certificate is asked besides, likewise.
    certificate_type: ClassVar[type] = NoSettings

    @abstractmethod
    def advance(self, work: Work) -> Step:
        """Take one step towards the leaf and return at once.

        MUST NOT sleep; MUST survive being called again with the same state after a crash, so everything that it
        changes outside is harmless when done twice. SHOULD do one exchange with the outside per call. What raises is
        reported as a failure of the plugin and tried again later.
        """

    @abstractmethod
    def hints(self, view: CertificateView, context: ModuleContext) -> Sequence[Hint]:
        """The right column for this certificate. SHOULD NOT touch the network: show what the last step found."""

    def profile_form(self, context: ModuleContext) -> Sequence[FormField]:
        """The form of an existing CA profile; by default the fields of ``profile_type``.

        A module may turn what it knows of the CA into choices. SHOULD NOT touch the network.
        """
        return fields_of(self.profile_type)

    def profile_hints(self, context: ModuleContext) -> Sequence[Hint]:
        """The right column of a CA profile: its account, its limits. SHOULD NOT touch the network."""
        return ()

    def certificate_form(self, context: ModuleContext) -> Sequence[FormField]:
        """The module's part of the certificate form; by default the fields of ``certificate_type``."""
        return fields_of(self.certificate_type)

    def check_profile(self, profile: Any) -> None:
        """Refuse a profile whose fields do not fit together.

        Raises:
            InvalidInput: With the name of the field.
        """

    def check_request(self, context: ModuleContext, names: Sequence[DnsName], settings: Any) -> None:
        """Refuse names or settings that this profile cannot issue for, before anything is stored.

        MUST NOT touch the network.

        Raises:
            InvalidInput: With the name of the field (``wildcard``, ``aliases``, ``domain`` or a setting).
        """


@frozen(kw_only=True)
class CheckItem:
    """One thing that was tested about a CA profile."""

    title: Message
    ok: bool
    detail: str = ""
    #: What to do when it is not ok.
    advice: str = ""


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

    def check(self, context: ModuleContext) -> CheckReport:
        """Try what issuance will need. MUST NOT raise for a CA that is down or refuses: that is a report."""
        ...


@runtime_checkable
class SupportsCleanUp(Protocol):
    """A module that holds something outside while an issuance runs (TXT values), and takes it back."""

    def clean_up(self, work: Work) -> datetime | None:
        """Take back what this issuance holds; MUST be harmless when done twice or when there is nothing.

        Returns:
            None when all is taken back, else when to try again.
        """
        ...


@runtime_checkable
class SupportsRevocation(Protocol):
    """A module whose CA can be asked to revoke a certificate."""

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


@frozen(kw_only=True)
class ProfileAction:
    """Something that can be done with a CA profile, beyond editing it: rolling over its account's key, say."""

    #: Lower case, digits and underscores.
    name: str
    label: Message
    #: What it does, in a sentence.
    help: Message
    #: attrs class of what has to be given, its fields made with `certcore.model.form`.
    form: type = NoSettings
    #: A question to ask first, for what cannot be undone.
    confirm: Message | None = None


@runtime_checkable
class SupportsActions(Protocol):
    """A module with actions on its CA profiles."""

    def profile_actions(self, context: ModuleContext) -> Sequence[ProfileAction]:
        """What can be done with this profile now. MUST NOT touch the network."""
        ...

    def run_action(self, name: str, values: Any, context: ModuleContext, *, actor: str) -> Message:
        """Do it; this may talk to the CA. MUST be safe to repeat after a crash in the middle.

        Args:
            name: One of `profile_actions`.
            values: An instance of the action's ``form``.
            context: The CA profile.
            actor: Who asked for it.

        Returns:
            What was done, for a person.

        Raises:
            CertCoreError: It could not be done.
        """
        ...
