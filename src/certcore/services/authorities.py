"""The calls for CA profiles, except their forms and changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from certcore.engine.module_context import read_settings, setting_secret_name
from certcore.errors import CertCoreError, InUseError
from certcore.model.authority import CertificateAuthority
from certcore.model.hints import Hint, Level, Message, Notice
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_for_hints, call_plugin
from certcore.model.plugin_results import conform
from certcore.ports.ca_module import (
    CAModule,
    CheckItem,
    CheckReport,
    ModuleContext,
    SupportsCheck,
)
from certcore.ports.module_actions import ProfileAction, SupportsActions
from certcore.ports.module_budgets import BudgetUse
from certcore.ports.module_files import ModuleFile
from certcore.services.authority_forms import AuthorityForms
from certcore.services.module_actions import check_call, sound_profile_actions, unknown_action, with_buttons
from certcore.services.module_budgets import module_budgets
from certcore.services.module_files import profile_files

__all__ = ["Authorities"]


@frozen(kw_only=True, eq=False, slots=False)
class Authorities(AuthorityForms):
    """The calls for CA profiles: `certcore.CertCore.authorities`."""

    def modules(self) -> Mapping[str, CAModule[Any, Any]]:
        """The loaded CA modules, by name."""
        return self._contexts.plugins.modules

    def hints(self, authority: str, *, actor: str = "system") -> Sequence[Hint]:
        """The right column of a CA profile: the module's hints, for example about the account, and buttons for actions.

        Raises:
            NotFoundError: There is no such profile.
            AccessDeniedError: The policy refused.
        """
        profile = self._access.authority(actor, Permission.AUTHORITY_VIEW, authority)
        try:
            name, module, context = self._opened(profile)
            hints = call_for_hints(name, "profile_hints", module.profile_hints, context)
            offered = self._actions(name, module, context)
            if self._access.allows(actor, Permission.AUTHORITY_ACT, profile.id):
                return with_buttons(hints, offered)
            return with_buttons(hints, (), {action.name for action in offered})
        except CertCoreError as error:
            reason = str(error)
        text = "The CA module {module} cannot show its hints: {reason}"
        params = {"module": profile.module, "reason": reason}
        return (Notice(Level.ERROR, Message("core.module_failed", text, params)),)

    def actions(self, authority: str, *, actor: str = "system") -> Sequence[ProfileAction]:
        """The actions of the CA module on a CA profile; empty for modules without actions.

        Raises:
            NotFoundError: There is no such profile.
            UnknownModuleError: Its module is not loaded.
            AccessDeniedError: The policy refused.
        """
        return self._actions(*self._opened(self._access.authority(actor, Permission.AUTHORITY_VIEW, authority)))

    def files(self, authority: str, *, actor: str = "system") -> Sequence[ModuleFile]:
        """The files of the CA module for a CA profile, for example its root and CRL; empty for modules without files.

        Send them as attachments, with ``X-Content-Type-Options: nosniff``.

        Raises:
            NotFoundError: There is no such profile.
            PluginError: The module failed.
            AccessDeniedError: The policy refused.
        """
        return profile_files(*self._opened(self._access.authority(actor, Permission.AUTHORITY_VIEW, authority)))

    def budgets(self, authority: str, *, actor: str = "system") -> Sequence[BudgetUse]:
        """The usage of the CA's limits by orders of this store; empty if the CA module counts no limits.

        Raises:
            NotFoundError: There is no such profile.
            PluginError: The module failed.
            AccessDeniedError: The policy refused.
        """
        return module_budgets(*self._opened(self._access.authority(actor, Permission.AUTHORITY_VIEW, authority)))

    def run_action(
        self, authority: str, action: str, values: Mapping[str, Any] | None = None, *, actor: str = "system"
    ) -> Message:
        """Run an action of the CA module on a CA profile. It may send requests to the CA.

        Args:
            authority: The CA profile, by ID or name.
            action: The name of one of `actions`.
            values: The values of the action's form.
            actor: Who runs the action.

        Returns:
            A sentence about what was done.

        Raises:
            NotFoundError: There is no such profile.
            InvalidInputError: There is no such action now, or a value is invalid.
            CertCoreError: The action failed.
            AccessDeniedError: The policy refused.
        """
        profile = self._access.authority(actor, Permission.AUTHORITY_ACT, authority)
        checked = check_call(action, values)
        name, module, context = self._opened(profile)
        offered = {offer.name: offer for offer in self._actions(name, module, context)}
        if action not in offered or not isinstance(module, SupportsActions):
            raise unknown_action(action, offered)
        form: object = read_settings(name, offered[action].form, checked)
        done: Message = call_plugin(
            name, "run_action", module.run_action, action, form, context, returns=Message, actor=actor
        )
        return done

    def check(
        self, authority: str, *, progress: Callable[[CheckItem], object] | None = None, actor: str = "system"
    ) -> CheckReport:
        """Test a CA profile with the real CA over the network ("Save and Test").

        Args:
            authority: The CA profile, by ID or name.
            progress: Called with items as soon as they are known, in this thread. Not every module does so for every
                item; the report has all items.
            actor: Who makes the call.

        Raises:
            NotFoundError: There is no such profile.
            UnknownModuleError: Its module is not loaded.
            AccessDeniedError: The policy refused.
        """
        profile = self._access.authority(actor, Permission.AUTHORITY_CHECK, authority)
        module, context = self._contexts.context(profile)
        if progress is not None:
            context = evolve(context, on_checked=lambda item: progress(conform(item, CheckItem)))
        if isinstance(module, SupportsCheck):
            report: CheckReport = call_plugin(profile.module, "check", module.check, context, returns=CheckReport)
            return report
        title = Message(
            "core.check.not_supported", "The module {module} has no connection test", {"module": module.title}
        )
        return CheckReport(items=(CheckItem(title=title, ok=True),))

    def get(self, authority: str, *, actor: str = "system") -> CertificateAuthority:
        """One CA profile by ID or name.

        Raises:
            NotFoundError: There is no such profile.
            AccessDeniedError: The policy refused.
        """
        return self._access.authority(actor, Permission.AUTHORITY_VIEW, authority)

    def list(self, *, actor: str = "system") -> Sequence[CertificateAuthority]:
        """All CA profiles that the actor may see, by name.

        Raises:
            AccessDeniedError: The policy refused.
        """
        self._access.require(actor, Permission.AUTHORITY_VIEW)
        with self._contexts.storage.read() as transaction:
            profiles = transaction.authorities.list()
        return [profile for profile in profiles if self._access.allows(actor, Permission.AUTHORITY_VIEW, profile.id)]

    def delete(self, authority: str, *, actor: str = "system") -> None:
        """Delete a CA profile and its secrets.

        Raises:
            NotFoundError: There is no such profile.
            InUseError: Certificates still use it; the error names some if the actor may list all certificates.
            AccessDeniedError: The policy refused.
        """
        authority_id = self._access.authority(actor, Permission.AUTHORITY_DELETE, authority).id
        lists_all = self._access.allows(actor, Permission.CERTIFICATE_LIST_ALL)
        try:
            with self._contexts.storage.write() as transaction:
                profile = transaction.authorities.get(authority_id)
                transaction.authorities.delete(authority_id)
                for setting in profile.secrets_set:
                    transaction.secrets.delete(setting_secret_name(authority_id, setting))
        except InUseError as error:
            raise InUseError(error.kind, error.name, error.users if lists_all else ()) from None
        self._contexts.forget(authority_id)

    def _opened(self, authority: CertificateAuthority) -> tuple[str, CAModule[Any, Any], ModuleContext]:
        """The name of a profile's module, the module, and the context for its calls."""
        return authority.module, *self._contexts.context(authority)

    @staticmethod
    def _actions(name: str, module: CAModule[Any, Any], context: ModuleContext) -> Sequence[ProfileAction]:
        if not isinstance(module, SupportsActions):
            return ()
        actions: Sequence[ProfileAction] = call_plugin(
            name, "profile_actions", module.profile_actions, context, returns=sound_profile_actions
        )
        return actions
