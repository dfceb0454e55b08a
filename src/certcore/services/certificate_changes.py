"""Changes of a certificate by its user: validate them, describe them for the timeline, report conflicts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from attrs import evolve

from certcore.engine.module_context import Contexts, plain_settings, read_settings
from certcore.errors import CertCoreError, InvalidInputError, NotFoundError, StaleWriteError
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.certificate_form import INPUTS
from certcore.model.edit_rules import EditMethod, EditRule, edit_method
from certcore.model.events import Event, EventKind
from certcore.model.field_errors import FieldErrors
from certcore.model.form import fields_of, refuse_old_consents
from certcore.model.input_limits import MOST_ROWS, refuse_unstorable, whole_number
from certcore.model.labels import label_of
from certcore.model.lifecycle import Action, Status, allowed_actions
from certcore.model.names import MAX_IMPORTED_NAMES, MAX_NAMES, DnsName, certificate_names
from certcore.model.plugin_calls import call_plugin
from certcore.model.transitions import transition
from certcore.ports.ca_module import CAModule
from certcore.ports.storage import Transaction
from certcore.services.access import unknown_authority

__all__ = [
    "certificate_event",
    "changes_between",
    "check_editable",
    "conflict",
    "kept_module_data",
    "read_version",
    "validate",
    "validate_fallbacks",
    "why_locked",
]

#: How many of the latest events are searched for the edits that conflict.
_LATEST_EVENTS: Final = 50


def check_editable(certificate: Certificate, fields: Iterable[str], *, under_way: bool) -> None:
    """Refuse fields that `certificates.edit` cannot change now.

    Args:
        certificate: The stored certificate.
        fields: The names of the fields to change.
        under_way: Whether an issuance is under way.

    Raises:
        InvalidInputError: The status does not allow it, or the change needs a reissue.
    """
    transition(certificate.status, Action.EDIT)
    errors = FieldErrors()
    for name in fields:
        rule = INPUTS[name].edit_rule
        method = edit_method(rule, certificate.status, under_way=under_way)
        if method is EditMethod.EDIT:
            continue
        if method is None:
            errors.add(InvalidInputError(name, why_locked(rule, certificate.status)))
            continue
        advice = Message(
            "form.reissue.advice", "Change it with a reissue; the current leaf stays in service until then."
        )
        if rule is EditRule.BETWEEN:
            reason = Message("form.reissue.under_way", "cannot be saved now: an issuance is under way.")
        else:
            reason = Message("form.reissue.leaf", "cannot be saved: the leaf in service has the old value.")
        errors.add(InvalidInputError(name, reason, advice=advice))
    errors.refuse()


def why_locked(rule: EditRule, status: Status) -> Message:
    """Why a field of this rule cannot be changed in a status, as a clause that follows the field's name."""
    if rule is EditRule.CREATE:
        return Message("form.locked.create", "is set once, when the certificate is created.")
    params = {"status": label_of(status)}
    if Action.BACK_TO_DRAFT in allowed_actions(status):
        text = 'cannot be changed while the certificate has the status "{status}"; take it back to draft first.'
        return Message("form.locked.until_draft", text, params)
    text = 'cannot be changed while the certificate has the status "{status}"; wait until the CA has answered.'
    return Message("form.locked.until_answer", text, params)


def validate(
    contexts: Contexts,
    certificate: Certificate,
    *,
    before: Certificate | None = None,
    filled_in: Mapping[str, Any] | None = None,
) -> Certificate:
    """Validate a certificate as a whole against its CA profile.

    Args:
        contexts: The store's module contexts.
        certificate: The certificate with its changes.
        before: The stored certificate. Module data of its CA profile that another profile does not know is left out.
        filled_in: The module data that the user fills in with this change. A consent that was given for another CA
            profile counts only when it is among them.

    Returns:
        The certificate, its module data in the form in which the module writes them.

    Raises:
        InvalidInputError: A value is invalid; the error names the field.
    """
    errors = FieldErrors()
    with errors.collecting():
        refuse_unstorable(certificate.module_data)
    # An import may have more names than a CA allows; with a CA profile it is renewed.
    most = MAX_IMPORTED_NAMES if certificate.authority_id is None else MAX_NAMES
    names: tuple[DnsName, ...] = ()
    with errors.collecting():
        names = certificate_names(certificate.domain, certificate.aliases, wildcard=certificate.wildcard, most=most)
    with contexts.storage.read() as transaction:
        with errors.collecting():
            _check_fallbacks(transaction, certificate)
        authority = _authority(transaction, certificate.authority_id)
    if certificate.authority_id is not None and authority is None:
        errors.add(unknown_authority("authority", certificate.authority_id))
    errors.refuse()
    if certificate.authority_id is None:
        if before is None or certificate.module_data == before.module_data:
            return certificate
        raise InvalidInputError(
            "module_data",
            Message("certificate.settings_without_authority", "the certificate has no CA profile with such a setting."),
        )
    if authority is None:
        raise unknown_authority("authority", certificate.authority_id)
    module, context = contexts.context(authority)
    data = certificate.module_data
    if before is not None and before.authority_id != certificate.authority_id:
        known = {field.name for field in fields_of(module.certificate_type)}
        data = {name: value for name, value in data.items() if name in known or name not in before.module_data}
    settings: object = read_settings(authority.module, module.certificate_type, data)
    context = evolve(context, owner=certificate.owner)
    call_plugin(authority.module, "check_request", module.check_request, context, names, settings, returns=None)
    validated = evolve(certificate, module_data=plain_settings(authority.module, settings))
    if before is not None:
        _refuse_old_consents(module, before, validated, filled_in)
    return validated


def validate_fallbacks(
    contexts: Contexts, certificate: Certificate, *, before: Certificate, filled_in: Mapping[str, Any] | None
) -> None:
    """Validate the fallbacks of a certificate that is otherwise as it was.

    Args:
        contexts: The store's module contexts.
        certificate: The certificate with its changes.
        before: The stored certificate.
        filled_in: The module data that the user fills in with this change.

    Raises:
        InvalidInputError: A fallback is the certificate's own CA profile, or does not exist; or the user has not agreed
            to the terms of a new one.
    """
    with contexts.storage.read() as transaction:
        _check_fallbacks(transaction, certificate)
        authority = _authority(transaction, certificate.authority_id)
    if authority is not None and not set(certificate.fallbacks) <= set(before.fallbacks):
        _refuse_old_consents(contexts.plugins.module(authority.module), before, certificate, filled_in)


def _check_fallbacks(transaction: Transaction, certificate: Certificate) -> None:
    for fallback in certificate.fallbacks:
        if fallback == certificate.authority_id:
            raise InvalidInputError(
                "fallbacks",
                Message("certificate.own_fallback", "name the certificate's own CA profile, which is not a fallback."),
            )
        if _authority(transaction, fallback) is None:
            raise unknown_authority("fallbacks", fallback)


def _refuse_old_consents(
    module: CAModule[Any, Any], before: Certificate, after: Certificate, filled_in: Mapping[str, Any] | None
) -> None:
    old, new = (
        {**certificate.module_data, "authority": certificate.authority_id, "fallbacks": certificate.fallbacks}
        for certificate in (before, after)
    )
    refuse_old_consents(module.certificate_type, old, new, filled_in or {})


def _authority(transaction: Transaction, authority_id: str | None) -> CertificateAuthority | None:
    with suppress(NotFoundError):
        return None if authority_id is None else transaction.authorities.get(authority_id)
    return None


def read_version(version: int | None, stored: Certificate) -> int:
    """The version that a call names, the stored one when it names none.

    Raises:
        InvalidInputError: It is not a version number.
    """
    return stored.version if version is None else whole_number("version", version, 0, MOST_ROWS)


def kept_module_data(contexts: Contexts, certificate: Certificate, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Module data in the form in which the module writes them, to be compared; invalid data are returned unchanged."""
    with contexts.storage.read() as transaction:
        authority = _authority(transaction, certificate.authority_id)
    if authority is None:
        return data
    try:
        settings_type = contexts.plugins.module(authority.module).certificate_type
        return plain_settings(authority.module, read_settings(authority.module, settings_type, data))
    except CertCoreError:
        return data


def certificate_event(
    contexts: Contexts,
    certificate: Certificate,
    kind: EventKind,
    actor: str,
    *,
    from_status: Status | None = None,
    **data: Any,
) -> Event:
    """The event of a user's action, for the timeline."""
    if kind is EventKind.DELETED:
        data["owner"] = certificate.owner  # the policy needs it when the timeline is read later
    return Event(
        certificate_id=certificate.id,
        kind=kind,
        at=contexts.environment.now(),
        owner=certificate.owner,
        actor=actor,
        from_status=from_status,
        to_status=certificate.status,
        data=data,
    )


def changes_between(before: Certificate, after: Certificate) -> dict[str, dict[str, Any]]:
    """The fields of the form that differ, with their old and new values as plain JSON, for events and errors."""
    changes: dict[str, dict[str, Any]] = {}
    for field in INPUTS.values():
        old, new = (field.to_json(getattr(certificate, field.attribute)) for certificate in (before, after))
        if old != new:
            changes[field.name] = {"from": old, "to": new} if field.is_told else {"from": "…", "to": "…"}
    return changes


def conflict(transaction: Transaction, changed: Certificate, stored: Certificate) -> StaleWriteError:
    """The error for a save over a newer version: it names who saved since, and what they changed."""
    edits = [
        event
        for event in transaction.events.of_certificate(stored.id, limit=_LATEST_EVENTS)
        if "changes" in event.data and event.data.get("version", 0) > changed.version
    ]
    changes: dict[str, tuple[object, object]] = {}
    for event in edits:
        for field, change in event.data["changes"].items():
            first = changes[field][0] if field in changes else change["from"]
            changes[field] = (first, change["to"])
    return StaleWriteError(
        "certificate",
        stored.id,
        expected=changed.version,
        found=stored.version,
        changes=changes,
        actors=[event.actor for event in edits],
    )
