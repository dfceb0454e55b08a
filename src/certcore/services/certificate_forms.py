"""The form of a certificate: its fields with their values and choices, and the call that saves what was posted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts
from certcore.errors import NotFoundError, PluginError, UnknownModuleError
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority, UsableAuthority
from certcore.model.certificate import Certificate
from certcore.model.certificate_fields import CERTIFICATE_FIELDS, CertificateField, FieldView
from certcore.model.certificate_form import INPUTS
from certcore.model.edit_rules import EditMethod, EditRule, edit_method
from certcore.model.field_errors import FieldErrors
from certcore.model.form import fields_of
from certcore.model.form_fields import Choice, FieldGroup, FormField
from certcore.model.identifiers import check_owner
from certcore.model.input_form import BoundForm, FormSubject, InputField, InputForm, text_of
from certcore.model.names import DnsName
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.views import CertificateView
from certcore.services.access import Access, unknown_authority
from certcore.services.certificate_changes import why_locked
from certcore.services.certificate_detail import Queries
from certcore.services.drafts import Drafts, created, edited
from certcore.services.form_fields import check_bound, module_fields, parts_of
from certcore.services.reissues import Reissues, reissued
from certcore.services.usable_authorities import usable_authorities
from certcore.x509.user_csr import read_csr

__all__ = ["CertificateForms"]

_MODULE_DATA: Final = "module_data"


@frozen(kw_only=True, eq=False, slots=False)
class CertificateForms(Drafts, Reissues, Queries):
    """Forms of certificates, and saving them."""

    def form(
        self,
        certificate_id: str | None = None,
        *,
        owner: str = "",
        authority: str | None = None,
        actor: str = "system",
    ) -> InputForm:
        """The form of a new or stored certificate, to display it and to read what is posted.

        ::

            form = core.certificates.form(owner="customer-7", actor="carla")
            bound = form.bind(request.POST)
            certificate = core.certificates.save(bound, actor="carla")

        Args:
            certificate_id: The certificate; None for a new one.
            owner: The tenant of a new certificate. It cannot be changed by what is posted.
            authority: The CA profile whose module's fields are shown; None for the present one of a stored certificate.
                If users can choose the CA profile on the page, pass the posted ``authority``.
            actor: Who fills in the form. The choices are the CA profiles that the actor may use.

        Raises:
            NotFoundError: There is no such certificate, or no such CA profile that the actor may use.
            AccessDeniedError: The policy refused to create a certificate.
            PluginError: The CA module for a new certificate failed. The form of a stored certificate then has no fields
                of the module, like all forms if the module is not loaded.
        """
        if certificate_id is None:
            self._access.require(actor, Permission.CERTIFICATE_CREATE, owner=check_owner(owner))
            view = _blank(self._contexts, owner)
        else:
            view = self._view(certificate_id, actor)
        tenant = view.certificate.owner
        profile = view.authority
        if authority:
            profile = self._access.usable_authority(actor, authority, owner=tenant)
        if certificate_id is None and profile is not None:
            view = evolve(view, certificate=evolve(view.certificate, authority_id=profile.id))
        usable = usable_authorities(self._contexts, self._access, actor, owner=tenant)
        known = _Profiles(access=self._access, view=view, usable=usable, actor=actor)
        shown = _core_fields(known, is_new=certificate_id is None)
        if profile is not None:
            try:
                shown = (*shown, *self._module_fields(view, profile, is_new=certificate_id is None))
            except UnknownModuleError:
                pass  # the module is not loaded: the form has the other fields only
            except PluginError:
                if certificate_id is None:
                    raise

        def preview(method: EditMethod, arguments: Mapping[str, Any]) -> Mapping[str, str]:
            changed = self._previewed(certificate_id, method, arguments, actor)
            return _values_after(shown, evolve(view, certificate=changed))

        return InputForm(
            subject=FormSubject.CERTIFICATE,
            target=certificate_id,
            fields=tuple(shown),
            version=None if certificate_id is None else view.certificate.version,
            preview=preview,
        )

    def save(self, bound: BoundForm, *, actor: str = "system") -> Certificate:
        """Save a bound form of `InputForm.bind`, by calling `create`, `edit` or `reissue`.

        A reissue requests a new leaf. Check ``bound.method`` before, if the user should confirm that.

        Raises:
            InvalidInputError, StaleWriteError, NotFoundError, AccessDeniedError: As in that call.
        """
        bound = check_bound(bound, FormSubject.CERTIFICATE)
        match bound.method:
            case EditMethod.CREATE:
                return self.create(**bound.arguments, actor=actor)
            case EditMethod.EDIT:
                return self.edit(bound.target or "", **bound.arguments, actor=actor)
            case EditMethod.REISSUE:
                return self.reissue(bound.target or "", **bound.arguments, actor=actor)

    def _module_fields(
        self, view: CertificateView, profile: CertificateAuthority, *, is_new: bool
    ) -> Sequence[InputField]:
        """The fields of the CA module for a certificate of a profile."""
        module, context = self._contexts.context(profile)
        form: Sequence[FormField] = call_plugin(
            profile.module,
            "certificate_form",
            module.certificate_form,
            evolve(context, owner=view.certificate.owner),
            returns=tuple[FormField, ...],
        )
        data, named = view.certificate.module_data, {field.name for field in form}
        # Values of the certificate that the form leaves out, because the profile no longer permits them, can be
        # removed.
        kept = [
            field
            for field in fields_of(module.certificate_type)
            if field.name not in named and data.get(field.name, field.default) != field.default
        ]
        (method,) = (shown.edit_method for shown in view.fields if shown.field.name == _MODULE_DATA)
        return module_fields(
            profile.module,
            module.certificate_type,
            (*form, *kept),
            data,
            other_names={field.name for field in CERTIFICATE_FIELDS if field.form is not None},
            keyword=_MODULE_DATA,
            group=str(FieldGroup.AUTHORITY),
            edit_rule=EditRule.BETWEEN,
            edit_method=EditMethod.CREATE if is_new else method,
            locked=None if is_new else _lock(EditRule.BETWEEN, method, view),
        )

    def _previewed(
        self, certificate_id: str | None, method: EditMethod, arguments: Mapping[str, Any], actor: str
    ) -> Certificate:
        """The certificate that a call would store."""
        contexts, access = self._contexts, self._access
        if certificate_id is None:
            return created(contexts, access, {"domain": None, "authority": "", "owner": "", **arguments}, actor)
        version = arguments.get("version")
        changes = {name: value for name, value in arguments.items() if name != "version"}
        if method is EditMethod.REISSUE:
            stored = access.certificate(actor, Permission.CERTIFICATE_RENEW, certificate_id)
            return reissued(contexts, access, stored, changes, version=version, actor=actor)
        stored = access.certificate(actor, Permission.CERTIFICATE_EDIT, certificate_id)
        return edited(contexts, access, stored, changes, version=version, actor=actor)[0]


@frozen(kw_only=True)
class _Profiles:
    """The CA profiles that a form may name."""

    access: Access
    view: CertificateView
    #: The CA profiles that the actor may use.
    usable: Sequence[UsableAuthority]
    actor: str

    def refuse_unknown(self, field: str, plain: str | Sequence[str]) -> None:
        """Refuse profiles that do not exist or that the actor may not use; the certificate's own may stay.

        Raises:
            InvalidInputError: There is no such profile.
        """
        certificate = self.view.certificate
        present = {certificate.authority_id, *certificate.fallbacks, *(profile.id for profile in self.usable)}
        errors = FieldErrors()
        for authority in [plain] if isinstance(plain, str) else plain:
            if authority and authority not in present:
                try:
                    self.access.usable_authority(self.actor, authority, owner=certificate.owner)
                except NotFoundError:
                    errors.add(unknown_authority(field, authority))
        errors.refuse()


def _core_fields(profiles: _Profiles, *, is_new: bool) -> Sequence[InputField]:
    """The fields that every certificate has."""
    return tuple(
        _core_field(shown, shown.field.form, profiles, is_new=is_new)
        for shown in profiles.view.fields
        if shown.field.form is not None and shown.field.name != _MODULE_DATA
    )


def _core_field(shown: FieldView, form: FormField, profiles: _Profiles, *, is_new: bool) -> InputField:
    field = shown.field
    changed: dict[str, Any] = {}
    if field.name in ("authority", "fallbacks"):
        changed["choices"] = _choices(field.name, profiles.view, profiles.usable, is_new=is_new)
    if field.name == "authority":
        changed["required"] = is_new
    method, locked = shown.edit_method, _lock(field.edit_rule, shown.edit_method, profiles.view)
    if is_new and field.edit_rule is EditRule.CREATE:
        method, locked = None, Message("form.locked.here", "is not chosen here.")
    elif is_new:
        method, locked = EditMethod.CREATE, None
    return InputField(
        **parts_of(form, **changed),
        value=text_of(form.kind, shown.value),
        group=str(field.group),
        edit_rule=field.edit_rule,
        edit_method=method,
        locked=locked,
        keyword=field.keyword,
        member=field.name,
        read=_reader(field, profiles),
    )


def _lock(rule: EditRule, method: EditMethod | None, view: CertificateView) -> Message | None:
    """Why a field cannot be changed now; None where a call changes it."""
    if method is not None:
        return None
    if edit_method(rule, view.certificate.status, under_way=view.under_way) is not None:
        return Message("form.locked.permission", "cannot be changed by this user.")
    return why_locked(rule, view.certificate.status)


def _choices(
    name: str, view: CertificateView, usable: Sequence[UsableAuthority], *, is_new: bool
) -> tuple[Choice, ...]:
    """The CA profiles that can be chosen, with the present one; a stored certificate may also have none."""
    titles = {authority.id: authority.name for authority in usable}
    if name == "fallbacks":
        return tuple(Choice(each, title) for each, title in titles.items() if each != view.certificate.authority_id)
    if view.authority is not None:
        titles.setdefault(view.authority.id, view.authority.name)
    none = () if is_new else (Choice("", Message("form.no_authority", "None: nothing renews it")),)
    return (*none, *(Choice(each, title) for each, title in titles.items()))


def _reader(field: CertificateField, profiles: _Profiles) -> Callable[[Any], Any]:
    """Converts text to the plain value of a field, as the certificate would have it."""
    described = INPUTS[field.keyword]

    def read(value: Any) -> Any:
        if field.keyword == "csr":
            return read_csr(value).pem if str(value).strip() else ""
        if field.keyword != field.name:
            return described.parse({field.name: value})[field.name]
        parsed = described.parse(value)
        # In calls None stands for a field that is not filled in, and empty text for one that is emptied.
        plain = "" if parsed is None else described.to_json(parsed)
        if field.name in ("authority", "fallbacks"):
            profiles.refuse_unknown(field.name, plain)
        return plain

    return read


def _values_after(shown: Sequence[InputField], view: CertificateView) -> Mapping[str, str]:
    """The values of the fields as the view has them."""
    values = {field.field.name: field.value for field in view.fields}
    data = view.certificate.module_data
    return {
        field.name: text_of(
            field.kind, data.get(field.member, field.default) if field.keyword == _MODULE_DATA else values[field.name]
        )
        for field in shown
    }


def _blank(contexts: Contexts, owner: str) -> CertificateView:
    """An empty certificate, for a new form."""
    now = contexts.environment.now()
    certificate = Certificate(id="", owner=owner, domain=DnsName(""), authority_id=None, created_at=now, updated_at=now)
    return CertificateView(
        certificate=certificate, authority=None, issuance=None, active=None, events=(), schedule=None, now=now
    )
