"""Actions of CA modules on CA profiles and certificates, in addition to certcore's own actions."""

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
    """An action on a CA profile, for example the rollover of its account's key."""

    #: The identifier: at most 40 lower-case letters, digits and underscores; not the name of one of certcore's actions.
    name: str
    #: The text of the button.
    label: Message
    #: What the action does, in one sentence.
    help: Message
    #: The attrs class of the values that the action needs; its fields are made with `certcore.plugin.form`.
    form: type = NoSettings
    #: A question to ask before an action that cannot be undone; None for no question.
    confirm: Message | None = None


@runtime_checkable
class SupportsActions(Protocol):
    """A module with actions on its CA profiles."""

    @abstractmethod
    def profile_actions(self, context: ModuleContext) -> Sequence[ProfileAction]:
        """The actions that are possible on a CA profile now, at most 30. MUST NOT use the network."""
        ...

    @abstractmethod
    def run_action(self, name: str, values: Any, context: ModuleContext, *, actor: str) -> Message:
        """Run an action. It may send requests to the CA. MUST be safe to repeat after a crash.

        Args:
            name: The name of one of `profile_actions`.
            values: An instance of the action's ``form``.
            context: The CA profile.
            actor: Who runs the action.

        Returns:
            What was done, as a sentence for the actor.

        Raises:
            InvalidInputError: A value is wrong; ``field`` names it.
            CertCoreError: The action failed.
        """
        ...


@frozen(kw_only=True)
class CertificateAction:
    """An action on a certificate, for example the approval of its request."""

    #: The identifier: at most 40 lower-case letters, digits and underscores; not the name of one of certcore's actions.
    name: str
    #: The text of the button.
    label: Message
    #: What the action does, in one sentence.
    help: Message
    #: The attrs class of the values that the action needs; its fields are made with `certcore.plugin.form`.
    form: type = NoSettings
    #: A question to ask before an action that cannot be undone; None for no question.
    confirm: Message | None = None
    #: `Permission.CERTIFICATE_ACT` for actions of the certificate's owner; `Permission.CERTIFICATE_APPROVE` for actions
    #: of the CA's operator that the owner must not run, for example approving a request or entering the leaf.
    permission: Permission = Permission.CERTIFICATE_ACT


@frozen(kw_only=True)
class ActionWork(ModuleContext[AnyAuthoritySettings], Generic[AnyAuthoritySettings, AnyCertificateSettings]):
    """The certificate on which an action runs, as `certcore.plugin.Work` for a step.

    No step of the certificate runs at the same time. Changes through ``documents.with_outcome`` are stored together
    with the result of the action.
    """

    #: The certificate.
    certificate: Certificate
    #: The issuance under way, or the last one if it failed; None if there is none.
    issuance: Issuance | None
    #: The certificate's settings for the module, an instance of the module's ``certificate_type``.
    settings: AnyCertificateSettings
    #: The issuance whose leaf is in service; None if there is none.
    active: Issuance | None = None

    @property
    def state(self) -> Mapping[str, Any] | None:
        """The state that the last step of the issuance returned; None before the first step or without an issuance."""
        return None if self.issuance is None else self.issuance.module_state


@frozen(kw_only=True)
class ActionDone:
    """The action was carried out. `CAModule.advance` is called at once with the new state."""

    #: What was done, for the actor and for the timeline. At most 500 characters, without secrets.
    text: Message
    #: The new state of the issuance under way, as in `certcore.plugin.Waiting`; None keeps the state.
    state: Mapping[str, Any] | None = None
    #: The new findings of the issuance under way, as in `certcore.plugin.Waiting`; None keeps the findings.
    findings: Mapping[str, Any] | None = None


@frozen(kw_only=True)
class ActionRefused:
    """The action was not carried out; nothing is stored."""

    #: The reason, for the actor.
    reason: Message
    #: The field of the form that is wrong; empty if the reason is not a field.
    field: str = ""


#: What `SupportsCertificateActions.run_certificate_action` returns: a closed union.
ActionResult = ActionDone | ActionRefused


@runtime_checkable
class SupportsCertificateActions(Protocol):
    """A module with actions on the pages of its certificates."""

    @abstractmethod
    def certificate_actions(self, view: CertificateView, context: ModuleContext) -> Sequence[CertificateAction]:
        """The actions that are possible on a certificate now, at most 30. MUST NOT use the network.

        The right column shows each action as a button to users who have its permission.
        """
        ...

    @abstractmethod
    def run_certificate_action(self, name: str, values: Any, work: ActionWork, *, actor: str) -> ActionResult:
        """Run an action. It may send requests to the CA. MUST be safe to repeat after a crash.

        MUST NOT acquire resources outside that need a clean-up; leave that to the steps that follow.

        Args:
            name: The name of one of `certificate_actions`.
            values: An instance of the action's ``form``.
            work: The certificate. If a step was running when the action began, its result is discarded and the step is
                repeated after the action.
            actor: Who runs the action.

        Returns:
            What was done, or why the action was refused.

        Raises:
            InvalidInputError: A value is wrong; ``field`` names it.
            CertCoreError: The action failed.
        """
        ...
