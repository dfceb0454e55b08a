"""The forms of CA profiles and of their modules, and the profiles that an actor may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import evolve, frozen

from certcore.errors import AlreadyExistsError, CertCoreError, InvalidInputError
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority, UsableAuthority
from certcore.model.edit_rules import EditMethod, EditRule
from certcore.model.form import fields_of
from certcore.model.form_fields import FieldKind, FormField
from certcore.model.identifiers import check_owner
from certcore.model.input_form import BoundForm, FormSubject, InputField, InputForm, text_of
from certcore.model.input_limits import LONGEST_ID, text_within
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.ports.ca_module import CAModule
from certcore.services.authority_changes import (
    MOST_DESCRIPTION,
    MOST_NAME,
    AuthorityChanges,
    check_description,
    check_name,
    refuse_id,
)
from certcore.services.form_fields import check_bound, module_fields, parts_of
from certcore.services.usable_authorities import usable_authorities

__all__ = ["AuthorityForms"]

_SETTINGS = "settings"


@frozen(kw_only=True, eq=False, slots=False)
class AuthorityForms(AuthorityChanges):
    """Forms of CA profiles, and saving them."""

    def form(self, authority: str | None = None, *, module: str = "", actor: str = "system") -> InputForm:
        """The form of a new or stored CA profile, to display it and to read what is posted.

        ::

            form = core.authorities.form(module="puq_acme", actor="root")
            profile = core.authorities.save(form.bind(request.POST), actor="root")

        Secrets are not shown; `InputField.is_set` tells whether a secret is stored. An empty posted secret keeps the
        stored one; `InputField.remove_name` removes it.

        Args:
            authority: The CA profile, by ID or name; None for a new one.
            module: The CA module of a new CA profile; empty for the only loaded module.
            actor: Who fills in the form.

        Raises:
            NotFoundError: There is no such profile.
            UnknownModuleError: The module is not loaded.
            InvalidInputError: ``module`` is empty, and not exactly one module is loaded.
            AccessDeniedError: The policy refused.
        """
        stored: CertificateAuthority | None = None
        method: EditMethod | None = EditMethod.CREATE
        if authority is None:
            self._access.require(actor, Permission.AUTHORITY_CREATE)
            name = self._module_name(module)
        else:
            stored = self._access.authority(actor, Permission.AUTHORITY_VIEW, authority)
            may_edit = self._access.allows(actor, Permission.AUTHORITY_EDIT, stored.id)
            name, method = stored.module, EditMethod.EDIT if may_edit else None
        ca_module = self._contexts.plugins.module(name)
        own = _own_fields(name, stored, method)
        settings = module_fields(
            name,
            ca_module.profile_type,
            self._form_of(ca_module, stored),
            {} if stored is None else stored.settings,
            other_names={field.name for field in own},
            keyword=_SETTINGS,
            group=_SETTINGS,
            edit_rule=EditRule.ALWAYS,
            edit_method=method,
            locked=_lock(method),
            secrets_set=() if stored is None else stored.secrets_set,
        )
        shown = (*own, *settings)

        def preview(_: EditMethod, arguments: Mapping[str, Any]) -> Mapping[str, str]:
            return _values_of(shown, self._previewed(stored, arguments, actor))

        return InputForm(
            subject=FormSubject.AUTHORITY,
            target=None if stored is None else stored.id,
            fields=shown,
            version=None if stored is None else stored.version,
            preview=preview,
        )

    def save(self, bound: BoundForm, *, actor: str = "system") -> CertificateAuthority:
        """Save a bound form of `InputForm.bind`, by calling `create` or `edit`.

        Raises:
            InvalidInputError, AlreadyExistsError, StaleWriteError, NotFoundError, AccessDeniedError: As in that call.
        """
        bound = check_bound(bound, FormSubject.AUTHORITY)
        if bound.target is None:
            return self.create(**bound.arguments, actor=actor)
        return self.edit(bound.target, **bound.arguments, actor=actor)

    def usable(self, *, owner: str = "", actor: str = "system") -> Sequence[UsableAuthority]:
        """The CA profiles that the actor may use for new certificates of an owner, by name, without their settings.

        Args:
            owner: The tenant.
            actor: Who makes the call.

        Raises:
            AccessDeniedError: The policy refused to create certificates for this owner.
        """
        self._access.require(actor, Permission.CERTIFICATE_CREATE, owner=check_owner(owner))
        return usable_authorities(self._contexts, self._access, actor, owner=owner)

    def module_form(self, module: str) -> Sequence[FormField]:
        """The fields of a new CA profile of a module.

        Raises:
            UnknownModuleError: The module is not loaded.
        """
        return fields_of(self._contexts.plugins.module(text_within("module", module, LONGEST_ID)).profile_type)

    def profile_form(self, authority: str, *, actor: str = "system") -> Sequence[FormField]:
        """The fields of a stored CA profile. The module may offer choices in text fields from what it knows of the CA.

        Raises:
            NotFoundError: There is no such profile.
            UnknownModuleError: Its module is not loaded.
            AccessDeniedError: The policy refused.
        """
        profile = self._access.authority(actor, Permission.AUTHORITY_VIEW, authority)
        module, context = self._contexts.context(profile)
        form: Sequence[FormField] = call_plugin(
            profile.module, "profile_form", module.profile_form, context, returns=tuple[FormField, ...]
        )
        return form

    def certificate_form(self, authority: str, *, owner: str = "", actor: str = "system") -> Sequence[FormField]:
        """The fields of ``module_data``: the CA module's settings for a certificate of a CA profile.

        Args:
            authority: The CA profile, by ID, or by name if the actor may see it.
            owner: The tenant of the certificate. An actor who may use the CA profile for it may get the form.
            actor: Who makes the call.

        Raises:
            NotFoundError: There is no such profile that the actor may see, or use for this owner.
            UnknownModuleError: Its module is not loaded.
        """
        profile = self._access.usable_authority(actor, authority, owner=check_owner(owner))
        module, context = self._contexts.context(profile)
        form: Sequence[FormField] = call_plugin(
            profile.module,
            "certificate_form",
            module.certificate_form,
            evolve(context, owner=owner),
            returns=tuple[FormField, ...],
        )
        return form

    def _module_name(self, module: str) -> str:
        if text_within("module", module, LONGEST_ID):
            return module
        loaded = sorted(self._contexts.plugins.modules)
        if len(loaded) != 1:
            advice = Message("form.module.advice", "Loaded: {modules}.", {"modules": ", ".join(loaded) or "none"})
            raise InvalidInputError("module", Message("form.required", "is required."), advice=advice)
        return loaded[0]

    def _form_of(self, module: CAModule[Any, Any], stored: CertificateAuthority | None) -> Sequence[FormField]:
        """The module's fields; those of its class for a profile that the module does not take any more."""
        if stored is not None:
            try:
                _, context = self._contexts.context(stored)
                form: Sequence[FormField] = call_plugin(
                    module.name, "profile_form", module.profile_form, context, returns=tuple[FormField, ...]
                )
            except CertCoreError:  # invalid settings can only be repaired in this form
                return fields_of(module.profile_type)
            return form
        return fields_of(module.profile_type)

    def _previewed(
        self, stored: CertificateAuthority | None, arguments: Mapping[str, Any], actor: str
    ) -> CertificateAuthority:
        """The CA profile that a call would store."""
        if stored is None:
            fresh = {"name": "", "module": "", "settings": None, "description": "", **arguments}
            profile = self._created(**fresh, actor=actor)[0]
        else:
            self._access.authority(actor, Permission.AUTHORITY_EDIT, stored.id)
            changes = {"name": None, "description": None, "settings": None, "version": None, **arguments}
            profile = self._edited(stored, **changes)[0]
        try:
            with self._contexts.storage.read() as transaction:
                refuse_id(transaction, profile)
                namesake = transaction.authorities.by_name(profile.name)
        except AlreadyExistsError:
            namesake = profile
        if namesake is not None and (namesake is profile or namesake.id != profile.id):
            raise InvalidInputError("name", Message("form.name_taken", "is the name of another CA profile."))
        return profile


def _lock(method: EditMethod | None) -> Message | None:
    """Why a field cannot be changed now; None where a call changes it."""
    return None if method is not None else Message("form.locked.permission", "cannot be changed by this user.")


def _own_fields(module: str, stored: CertificateAuthority | None, method: EditMethod | None) -> tuple[InputField, ...]:
    """The fields that every CA profile has."""

    def own(field: FormField, value: str, read: Callable[[Any], Any], edited_by: EditMethod | None) -> InputField:
        rule = EditRule.CREATE if field.name == "module" else EditRule.ALWAYS
        return InputField(
            **parts_of(field),
            value=value,
            group="profile",
            edit_rule=rule,
            edit_method=edited_by,
            locked=Message("form.locked.here", "is not chosen here.") if rule is EditRule.CREATE else _lock(method),
            keyword=field.name,
            member=field.name,
            read=read,
        )

    name = FormField(
        name="name",
        label=Message("profile.field.name", "Name"),
        kind=FieldKind.TEXT,
        required=True,
        longest=MOST_NAME,
    )
    description = FormField(
        name="description",
        label=Message("profile.field.description", "Description"),
        help=Message("profile.field.description.help", "A note for the users of this panel."),
        kind=FieldKind.MULTILINE,
        longest=MOST_DESCRIPTION,
    )
    of_module = FormField(name="module", label=Message("profile.field.module", "Module"), kind=FieldKind.TEXT)
    return (
        own(name, "" if stored is None else stored.name, check_name, method),
        own(description, "" if stored is None else stored.description, check_description, method),
        own(of_module, module, str, None),
    )


def _values_of(shown: Sequence[InputField], profile: CertificateAuthority) -> Mapping[str, str]:
    """The values of the fields as the CA profile has them."""
    own = {"name": profile.name, "description": profile.description, "module": profile.module}
    return {
        field.name: text_of(
            field.kind,
            profile.settings.get(field.member, field.default) if field.keyword == _SETTINGS else own[field.name],
        )
        for field in shown
    }
