"""Actions of CA modules: what can be done with a CA profile, or with a certificate, besides what certcore offers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, Protocol, runtime_checkable

from attrs import frozen

from certcore.model.certificate import Certificate
from certcore.model.hints import Message
from certcore.model.issuance import Issuance
from certcore.model.permissions import Permission
from certcore.model.views import CertificateView
from certcore.ports.ca_module import AnyAuthoritySettings, AnyCertificateSettings, ModuleContext, NoSettings

__all__ = [
    "ActionDone",
    "ActionRefused",
    "ActionResult",
    "ActionWork",
    "CertificateAction",
    "ProfileAction",
    "SupportsActions",
    "SupportsCertificateActions",
]


@frozen(kw_only=True)
class ProfileAction:
    """Something that can be done with a CA profile, beyond editing it: rolling over its account's key, say."""

    #: Lower-case letters, digits and underscores, at most 40 characters; not the name of an action of certcore.
    name: str
    label: Message
    #: What it does, in a sentence.
    help: Message
    #: attrs class of the values that it asks for, its fields made with `certcore.plugin.form`.
    form: type = NoSettings
    #: A question to ask first, for what cannot be undone.
    confirm: Message | None = None


@runtime_checkable
class SupportsActions(Protocol):
    """A module with actions on its CA profiles."""

    @abstractmethod
    def profile_actions(self, context: ModuleContext) -> Sequence[ProfileAction]:
        """What can be done with this profile now, at most 30 actions. MUST NOT touch the network."""
        ...

    @abstractmethod
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


@frozen(kw_only=True)
class CertificateAction:
    """Something that can be done with a certificate on its page: approving its request, say."""

    #: Lower-case letters, digits and underscores, at most 40 characters; not the name of an action of certcore.
    name: str
    label: Message
    #: What it does, in a sentence.
    help: Message
    #: attrs class of the values that it asks for, its fields made with `certcore.plugin.form`.
    form: type = NoSettings
    #: A question to ask first, for what cannot be undone.
    confirm: Message | None = None
    #: `Permission.CERTIFICATE_ACT` for actions of the certificate's owner, `Permission.CERTIFICATE_APPROVE` for those
    #: that the owner must not take: the operator of the CA approves, refuses, or enters the leaf.
    permission: Permission = Permission.CERTIFICATE_ACT


@frozen(kw_only=True)
class ActionWork(ModuleContext[AnyAuthoritySettings], Generic[AnyAuthoritySettings, AnyCertificateSettings]):
    """A certificate on which an action runs: what `certcore.plugin.Work` is for a step.

    No step of the certificate runs at the same time. `documents.with_outcome` is stored together with the outcome.
    """

    certificate: Certificate
    #: The issuance under way, or the last one if it failed; None without one.
    issuance: Issuance | None
    #: The certificate's own settings, an instance of the module's ``certificate_type``.
    settings: AnyCertificateSettings
    #: The issuance whose leaf is in service; None without one.
    active: Issuance | None = None

    @property
    def state(self) -> Mapping[str, Any] | None:
        """What the last step of the issuance left; None before the first step and without an issuance."""
        return None if self.issuance is None else self.issuance.module_state


@frozen(kw_only=True)
class ActionDone:
    """The action was carried out. The certificate is due at once, so that `CAModule.advance` sees the new state."""

    #: What was done, for a person and for the timeline. Without secrets, at most 500 characters.
    text: Message
    #: The new state of the issuance under way, as in `certcore.plugin.Waiting`; None leaves it as it is.
    state: Mapping[str, Any] | None = None
    #: As in `certcore.plugin.Waiting`, for the issuance under way.
    findings: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class ActionRefused:
    """The action was not carried out; nothing is stored."""

    #: Why, for the person who asked for it.
    reason: Message
    #: The field of the form that is wrong; empty when it is none of them.
    field: str = ""


#: What `SupportsCertificateActions.run_certificate_action` returns: a closed union.
ActionResult = ActionDone | ActionRefused


@runtime_checkable
class SupportsCertificateActions(Protocol):
    """A module with actions on the pages of its certificates."""

    @abstractmethod
    def certificate_actions(self, view: CertificateView, context: ModuleContext) -> Sequence[CertificateAction]:
        """What can be done with this certificate now, at most 30 actions. MUST NOT touch the network.

        The right column shows each as a button, to those who have its permission.
        """
        ...

    @abstractmethod
    def run_certificate_action(self, name: str, values: Any, work: ActionWork, *, actor: str) -> ActionResult:
        """Do it; this may talk to the CA. MUST be safe to repeat after a crash in the middle.

        It takes hold of nothing outside that would have to be cleaned up: that is for the steps that follow it.

        Args:
            name: One of `certificate_actions`.
            values: An instance of the action's ``form``.
            work: The certificate. A step that ran when the action was asked for is not stored, and repeated later.
            actor: Who asked for it.

        Returns:
            What was done, or why it was refused.

        Raises:
            InvalidInputError: A value is wrong; the error names the field.
            CertCoreError: It could not be done.
        """
        ...
