"""CA profiles: create, edit, check, list, delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from attrs import evolve, frozen

from certcore.engine.contexts import Contexts, plain_settings, read_settings, secret_fields, setting_secret_name
from certcore.errors import AlreadyExists, CertCoreError, InUse, InvalidInput, NotFound
from certcore.model.authority import CertificateAuthority
from certcore.model.bounds import LONGEST_ID, MOST_ROWS, members, text_within, whole_number
from certcore.model.form import FormField, fields_of, refuse_old_consents
from certcore.model.hints import Hint, Level, Message, Notice
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_for_hints, call_plugin
from certcore.model.secret import Secret
from certcore.ports.ca_module import (
    CAModule,
    CheckItem,
    CheckReport,
    ModuleContext,
    ProfileAction,
    SupportsActions,
    SupportsCheck,
)
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.identifiers import check_actor, check_identifier
from certcore.services.inputs import refuse_unstorable

__all__ = ["Authorities", "find_profile"]

_MAX_NAME: Final = 100
_MAX_DESCRIPTION: Final = 2000


@frozen(kw_only=True, eq=False)
class Authorities:
    """The CA profiles of this store."""

    contexts: Contexts
    access: Access

    def modules(self) -> Mapping[str, CAModule]:
        """The CA modules that are loaded, by name."""
        return self.contexts.plugins.modules

    def form(self, module: str) -> Sequence[FormField]:
        """The fields of a new profile of this module.

        Raises:
            UnknownModule: It is not loaded.
        """
        return fields_of(self.contexts.plugins.module(text_within("module", module, LONGEST_ID)).profile_type)

    def form_of(self, authority_id: str, *, actor: str = "system") -> Sequence[FormField]:
        """The fields of a stored profile; what is known of its CA may have become choices.

        Raises:
            NotFound: There is no such profile.
            UnknownModule: Its module is not loaded.
            AccessDenied: The policy said no.
        """
        authority = self.access.authority(actor, Permission.AUTHORITY_VIEW, authority_id)
        module, context = self.contexts.context(authority)
        form: Sequence[FormField] = call_plugin(
            authority.module, "profile_form", module.profile_form, context, returns=tuple[FormField, ...]
        )
        return form

    def certificate_form(self, authority_id: str, *, actor: str = "system") -> Sequence[FormField]:
        """What the CA module asks of a certificate of this profile: the fields of ``module_data``.

        Raises:
            NotFound: There is no such profile.
            UnknownModule: Its module is not loaded.
            AccessDenied: The policy said no.
        """
        authority = self.access.authority(actor, Permission.AUTHORITY_VIEW, authority_id)
        module, context = self.contexts.context(authority)
        form: Sequence[FormField] = call_plugin(
            authority.module, "certificate_form", module.certificate_form, context, returns=tuple[FormField, ...]
        )
        return form

    def hints(self, authority_id: str, *, actor: str = "system") -> Sequence[Hint]:
        """The right column of a profile: what the module has to say about its account at the CA.

        Raises:
            NotFound: There is no such profile.
            AccessDenied: The policy said no.
        """
        authority = self.access.authority(actor, Permission.AUTHORITY_VIEW, authority_id)
        try:
            module, context = self.contexts.context(authority)
            return call_for_hints(authority.module, "profile_hints", module.profile_hints, context)
        except CertCoreError as error:
            reason = str(error)
        text = "The CA module {module} has nothing to show: {reason}"
        params = {"module": authority.module, "reason": reason}
        return (Notice(Level.ERROR, Message("core.module_failed", text, params)),)

    def actions(self, authority_id: str, *, actor: str = "system") -> Sequence[ProfileAction]:
        """What can be done with a profile beyond editing it; empty for modules without actions.

        Raises:
            NotFound: There is no such profile.
            UnknownModule: Its module is not loaded.
            AccessDenied: The policy said no.
        """
        return self._actions(*self._opened(self.access.authority(actor, Permission.AUTHORITY_VIEW, authority_id)))

    def act(
        self, authority_id: str, action: str, values: Mapping[str, Any] | None = None, *, actor: str = "system"
    ) -> Message:
        """Run one of a profile's actions; this may talk to the CA.

        Args:
            authority_id: Which profile.
            action: The name of one of `actions`.
            values: What its form asks for.
            actor: Who does this.

        Returns:
            What was done.

        Raises:
            NotFound: There is no such profile.
            InvalidInput: There is no such action now, or a value is wrong.
            CertCoreError: It could not be done.
            AccessDenied: The policy said no.
        """
        authority = self.access.authority(actor, Permission.AUTHORITY_ACT, authority_id)
        text_within("action", action, LONGEST_ID)
        refuse_unstorable(members("values", values or {}))
        name, module, context = self._opened(authority)
        offered = {one.name: one for one in self._actions(name, module, context)}
        if action not in offered or not isinstance(module, SupportsActions):
            choices = ", ".join(offered) or "none"
            raise InvalidInput("action", f"there is no action {action[:40]!r}.", advice=f"Possible now: {choices}.")
        form: object = read_settings(name, offered[action].form, values or {})
        done: Message = call_plugin(
            name, "run_action", module.run_action, action, form, context, returns=Message, actor=actor
        )
        return done

    def create(
        self,
        name: str,
        *,
        module: str,
        settings: Mapping[str, Any] | None = None,
        description: str = "",
        actor: str = "system",
    ) -> CertificateAuthority:
        """Store a new CA profile. The CA itself is not asked; see `check`.

        Args:
            name: Unique among the profiles, at most 100 characters.
            module: The CA module's name.
            settings: The module's fields, as text or JSON; secrets as text or `Secret`.
            description: For people.
            actor: Who does this.

        Raises:
            InvalidInput: A field is wrong; nothing was stored.
            UnknownModule: There is no such module.
            AlreadyExists: The name is taken.
            AccessDenied: The policy said no.
        """
        self.access.require(actor, Permission.AUTHORITY_CREATE)
        ca_module = self.contexts.plugins.module(text_within("module", module, LONGEST_ID))
        plain, secrets = self._settings(ca_module, settings or {})
        now = self.contexts.environment.now()
        authority = CertificateAuthority(
            id=self.contexts.environment.new_id(),
            name=_name(name),
            description=_description(description),
            module=module,
            settings=plain,
            secrets_set=frozenset(secrets),
            created_at=now,
            updated_at=now,
        )
        with self.contexts.storage.write() as transaction:
            _refuse_id(transaction, authority)
            transaction.authorities.add(authority)
            self._put_secrets(transaction, authority, secrets)
        return authority

    def edit(
        self,
        authority_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        settings: Mapping[str, Any] | None = None,
        version: int | None = None,
        actor: str = "system",
    ) -> CertificateAuthority:
        """Change what is given; everything else stays as it is, secrets too.

        Args:
            authority_id: Which profile.
            name: The new name.
            description: The new description.
            settings: The settings to change. A secret given as empty text is removed. A consent (to terms of service,
                say) is not taken over to another CA: it is given again together with the change.
            version: The version that was read; a save over a newer one is refused. None: whatever there is.
            actor: Who does this.

        Raises:
            NotFound: There is no such profile.
            InvalidInput: A field is wrong; nothing was stored.
            StaleWrite: Somebody else saved first.
            AlreadyExists: The new name is taken.
            AccessDenied: The policy said no.
        """
        stored = self.access.authority(actor, Permission.AUTHORITY_EDIT, authority_id)
        module = self.contexts.plugins.module(stored.module)
        settings = members("settings", settings or {})
        merged = {**stored.settings, **self.contexts.open_secrets(stored), **settings}
        plain, secrets = self._settings(module, merged)
        refuse_old_consents(module.profile_type, stored.settings, plain, settings)
        changed = evolve(
            stored,
            name=stored.name if name is None else _name(name),
            description=stored.description if description is None else _description(description),
            settings=plain,
            secrets_set=frozenset(secrets),
            version=stored.version if version is None else whole_number("version", version, 0, MOST_ROWS),
            updated_at=self.contexts.environment.now(),
        )
        with self.contexts.storage.write() as transaction:
            _refuse_id(transaction, changed)
            saved = transaction.authorities.save(changed)
            for gone in stored.secrets_set - frozenset(secrets):
                transaction.secrets.delete(setting_secret_name(stored.id, gone))
            self._put_secrets(transaction, saved, secrets)
        return saved

    def check(self, authority_id: str, *, actor: str = "system") -> CheckReport:
        """Try the profile against the real CA ("Save and Test"); this talks to the network.

        Raises:
            NotFound: There is no such profile.
            UnknownModule: Its module is not loaded.
            AccessDenied: The policy said no.
        """
        authority = self.access.authority(actor, Permission.AUTHORITY_CHECK, authority_id)
        module, context = self.contexts.context(authority)
        if isinstance(module, SupportsCheck):
            report: CheckReport = call_plugin(authority.module, "check", module.check, context, returns=CheckReport)
            return report
        title = Message(
            "core.check.not_supported", "The module {module} has no connection test", {"module": module.title}
        )
        return CheckReport(items=(CheckItem(title=title, ok=True),))

    def get(self, authority_id: str, *, actor: str = "system") -> CertificateAuthority:
        """One profile by id.

        Raises:
            NotFound: There is none.
            AccessDenied: The policy said no.
        """
        return self.access.authority(actor, Permission.AUTHORITY_VIEW, authority_id)

    def find(self, name_or_id: str, *, actor: str = "system") -> CertificateAuthority:
        """One profile by its name or its id.

        Raises:
            NotFound: There is none that the actor may see.
        """
        check_identifier("name_or_id", name_or_id, most=_MAX_NAME)
        check_actor(actor)
        with self.contexts.storage.read() as transaction:
            found = find_profile(transaction, name_or_id)
        if found is None or not self.access.allows(actor, Permission.AUTHORITY_VIEW, found.id):
            raise NotFound("authority", name_or_id)
        return found

    def list(self, *, actor: str = "system") -> Sequence[CertificateAuthority]:
        """All profiles that the actor may see, by name.

        Raises:
            AccessDenied: The policy said no.
        """
        self.access.require(actor, Permission.AUTHORITY_VIEW)
        with self.contexts.storage.read() as transaction:
            found = transaction.authorities.list()
        return [one for one in found if self.access.allows(actor, Permission.AUTHORITY_VIEW, one.id)]

    def delete(self, authority_id: str, *, actor: str = "system") -> None:
        """Delete a profile and its secrets.

        Raises:
            NotFound: There is none.
            InUse: Certificates still use it; the error names some to who may list all of them.
            AccessDenied: The policy said no.
        """
        self.access.authority(actor, Permission.AUTHORITY_DELETE, authority_id)
        lists_all = self.access.allows(actor, Permission.CERTIFICATE_LIST_ALL)
        try:
            with self.contexts.storage.write() as transaction:
                authority = transaction.authorities.get(authority_id)
                transaction.authorities.delete(authority_id)
                for setting in authority.secrets_set:
                    transaction.secrets.delete(setting_secret_name(authority_id, setting))
        except InUse as error:
            raise InUse(error.kind, error.name, error.users if lists_all else ()) from None
        self.contexts.forget(authority_id)

    def _opened(self, authority: CertificateAuthority) -> tuple[str, CAModule, ModuleContext]:
        """The module of a profile, with its name, and what its calls get."""
        return authority.module, *self.contexts.context(authority)

    @staticmethod
    def _actions(name: str, module: CAModule, context: ModuleContext) -> Sequence[ProfileAction]:
        if not isinstance(module, SupportsActions):
            return ()
        actions: Sequence[ProfileAction] = call_plugin(
            name, "profile_actions", module.profile_actions, context, returns=tuple[ProfileAction, ...]
        )
        return actions

    def _settings(self, module: CAModule, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Secret]]:
        """Check settings and part them into plain JSON and secrets."""
        refuse_unstorable(values)
        profile: object = read_settings(module.name, module.profile_type, values)
        call_plugin(module.name, "check_profile", module.check_profile, profile, returns=None)
        secrets = {
            name: value
            for name in secret_fields(module.profile_type)
            if isinstance(value := getattr(profile, name), Secret) and value
        }
        return plain_settings(module.name, profile), secrets

    def _put_secrets(
        self, transaction: Transaction, authority: CertificateAuthority, secrets: Mapping[str, Secret]
    ) -> None:
        for setting, secret in secrets.items():
            name = setting_secret_name(authority.id, setting)
            transaction.secrets.put(name, self.contexts.vault.seal(secret, name))


def find_profile(transaction: Transaction, name_or_id: str) -> CertificateAuthority | None:
    """A CA profile by its id or its name. The id goes first: a name can be chosen, an id cannot."""
    with suppress(NotFound):
        return transaction.authorities.get(name_or_id)
    return transaction.authorities.by_name(name_or_id)


def _refuse_id(transaction: Transaction, authority: CertificateAuthority) -> None:
    """Refuse a name that is the id of another profile: targets and scripts name profiles by either of them.

    Raises:
        AlreadyExists: It is one.
    """
    with suppress(NotFound):
        if transaction.authorities.get(authority.name).id != authority.id:
            raise AlreadyExists("authority", authority.name)


def _name(name: str) -> str:
    trimmed = text_within("name", name, _MAX_NAME * 2).strip()
    if not trimmed:
        raise InvalidInput("name", "a CA profile needs a name.")
    if len(trimmed) > _MAX_NAME or not trimmed.isprintable():
        raise InvalidInput("name", f"must be printable text of at most {_MAX_NAME} characters.")
    return check_identifier("name", trimmed, most=_MAX_NAME)


def _description(text: str) -> str:
    text_within("description", text, _MAX_DESCRIPTION)
    refuse_unstorable({"description": text})
    return text.strip()
