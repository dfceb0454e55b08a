"""What saving a form means: is it valid as a whole, what did it change, and who was faster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import asdict, evolve

from certcore.engine.contexts import Contexts, plain_settings, read_settings
from certcore.errors import CertCoreError, InvalidInput, NotFound, StaleWrite, TransitionNotAllowed
from certcore.model.authority import CertificateAuthority
from certcore.model.bounds import MOST_ROWS, whole_number
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.fields import CERTIFICATE_FIELDS, Way, When, way_to_change
from certcore.model.form import fields_of, refuse_old_consents
from certcore.model.lifecycle import Action, Status, allowed_actions
from certcore.model.names import MAX_IMPORTED_NAMES, MAX_NAMES, certificate_names
from certcore.model.plugin_calls import call_plugin
from certcore.ports.ca_module import CAModule
from certcore.ports.storage import Transaction
from certcore.services.inputs import is_storable, no_profile, refuse_unstorable

__all__ = [
    "certificate_event",
    "changes_between",
    "check_editable",
    "check_fallback_consents",
    "check_fallbacks",
    "checked",
    "conflict",
    "kept_module_data",
    "read_version",
]

#: How far back a conflict is explained.
_EDITS: Final = 50
#: What `certificates.edit` takes as one, and the fields that it is made of.
_PARTS: Final = {"subject": "email", "renewal": "auto"}
_WHEN: Final = {one.name: one.when for one in CERTIFICATE_FIELDS}


def check_editable(certificate: Certificate, given: Iterable[str], *, under_way: bool) -> None:
    """Refuse fields that cannot be saved now.

    Args:
        certificate: As it stands.
        given: The names of the fields that are to change, as `certificates.edit` calls them.
        under_way: Whether an attempt is under way.

    Raises:
        TransitionNotAllowed: An unfinished certificate is taken back to draft first.
        InvalidInput: This field takes a reissue.
    """
    for name in given:
        way = way_to_change(_WHEN[_PARTS.get(name, name)], certificate.status, under_way=under_way)
        if way is Way.EDIT:
            continue
        if way is None:
            raise TransitionNotAllowed(certificate.status, Action.EDIT, allowed_actions(certificate.status))
        why = "an attempt is under way" if _WHEN[_PARTS.get(name, name)] is When.BETWEEN else "the leaf in service has"
        raise InvalidInput(
            name,
            f"cannot be saved now: {why}{'' if why.endswith('way') else ' the old one'}.",
            advice="Have it reissued with the change; what is in service stays until the new leaf is there.",
        )


def checked(
    contexts: Contexts,
    certificate: Certificate,
    *,
    before: Certificate | None = None,
    given: Mapping[str, Any] | None = None,
) -> Certificate:
    """Check a form as a whole against its CA profile; module data comes out normalised.

    Args:
        contexts: Of this store.
        certificate: As it is to be.
        before: As it was. What the module of another CA profile asked then, and this one does not know, is left out.
        given: The module data that the user fills in with this change. What was agreed to for another CA profile
            before counts only when it is said again.

    Raises:
        InvalidInput: Something in it does not fit; the error names the field.
    """
    refuse_unstorable(certificate.module_data)
    # An import may have more names than a CA takes; as soon as it has a CA profile, it is to be renewed.
    most = MAX_IMPORTED_NAMES if certificate.authority_id is None else MAX_NAMES
    names = certificate_names(certificate.domain, certificate.aliases, wildcard=certificate.wildcard, most=most)
    check_fallbacks(contexts, certificate)
    if certificate.authority_id is None:
        if before is None or certificate.module_data == before.module_data:
            return certificate
        raise InvalidInput("module_data", "there is no CA profile that would ask for it.")
    with contexts.storage.read() as transaction:
        authority = _profile(transaction, certificate.authority_id)
    if authority is None:
        raise no_profile("authority", certificate.authority_id)
    module, context = contexts.context(authority)
    data = certificate.module_data
    if before is not None and before.authority_id != certificate.authority_id:
        known = {one.name for one in fields_of(module.certificate_type)}
        data = {name: value for name, value in data.items() if name in known or name not in before.module_data}
    settings: object = read_settings(authority.module, module.certificate_type, data)
    check = module.check_request
    about = evolve(context, owner=certificate.owner)
    call_plugin(authority.module, "check_request", check, about, names, settings, returns=None)
    plain = plain_settings(authority.module, settings)
    if before is not None:
        _refuse_old_consents(module, before, evolve(certificate, module_data=plain), given)
    return evolve(certificate, module_data=plain)


def check_fallback_consents(
    contexts: Contexts, certificate: Certificate, *, before: Certificate, given: Mapping[str, Any] | None
) -> None:
    """Refuse further fallbacks while there is a yes that was not said to them.

    Raises:
        InvalidInput: It has to be said again.
    """
    if certificate.authority_id is None or set(certificate.fallbacks) <= set(before.fallbacks):
        return
    with contexts.storage.read() as transaction:
        authority = transaction.authorities.get(certificate.authority_id)
    _refuse_old_consents(contexts.plugins.module(authority.module), before, certificate, given)


def _refuse_old_consents(
    module: CAModule, before: Certificate, after: Certificate, given: Mapping[str, Any] | None
) -> None:
    was, is_to_be = (
        {**one.module_data, "authority": one.authority_id, "fallbacks": one.fallbacks} for one in (before, after)
    )
    refuse_old_consents(module.certificate_type, was, is_to_be, given or {})


def read_version(version: int | None, stored: Certificate) -> int:
    """The version that a user has read; that of the store when None is given."""
    if version is None:
        return stored.version
    return whole_number("version", version, 0, MOST_ROWS)


def kept_module_data(contexts: Contexts, certificate: Certificate, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Module data as it would be kept, with its values as the module writes them; as it is, where it is not valid."""
    with contexts.storage.read() as transaction:
        authority = None if certificate.authority_id is None else _profile(transaction, certificate.authority_id)
    if authority is None:
        return data
    try:
        settings_type = contexts.plugins.module(authority.module).certificate_type
        return plain_settings(authority.module, read_settings(authority.module, settings_type, data))
    except CertCoreError:
        return data


def check_fallbacks(contexts: Contexts, certificate: Certificate) -> None:
    """Refuse fallbacks that are none.

    Raises:
        InvalidInput: A CA profile is not there, or is the certificate's own.
    """
    with contexts.storage.read() as transaction:
        for one in certificate.fallbacks:
            if one == certificate.authority_id:
                raise InvalidInput("fallbacks", "the certificate's own CA profile is no fallback for itself.")
            if _profile(transaction, one) is None:
                raise no_profile("fallbacks", one)


def _profile(transaction: Transaction, authority_id: str) -> CertificateAuthority | None:
    if not is_storable(authority_id):
        return None
    try:
        return transaction.authorities.get(authority_id)
    except NotFound:
        return None


def certificate_event(
    contexts: Contexts,
    certificate: Certificate,
    kind: EventKind,
    actor: str,
    *,
    from_status: Status | None = None,
    **data: Any,
) -> Event:
    """What a user did, for the record."""
    if kind is EventKind.DELETED:
        data["owner"] = certificate.owner  # nothing else will tell whose record it is
    return Event(
        certificate_id=certificate.id,
        kind=kind,
        at=contexts.environment.now(),
        actor=actor,
        from_status=from_status,
        to_status=certificate.status,
        data=data,
    )


def changes_between(before: Certificate, after: Certificate) -> dict[str, dict[str, Any]]:
    """The fields of the form that differ, as plain JSON; of the CA module's own fields and a CSR only that they do."""
    old, new = _form(before), _form(after)
    found = {field: {"from": old[field], "to": new[field]} for field in old if old[field] != new[field]}
    for field, differs in (
        ("module_data", before.module_data != after.module_data),
        ("csr", before.csr_pem != after.csr_pem),
    ):
        if differs:
            found[field] = {"from": "…", "to": "…"}
    return found


def conflict(transaction: Transaction, mine: Certificate, stored: Certificate) -> StaleWrite:
    """Somebody saved since this version was read: say who, and what."""
    edits = [
        event
        for event in transaction.events.of_certificate(stored.id, limit=_EDITS)
        if "changes" in event.data and event.data.get("version", 0) > mine.version
    ]
    changes: dict[str, tuple[object, object]] = {}
    for event in edits:
        for field, change in event.data["changes"].items():
            first = changes[field][0] if field in changes else change["from"]
            changes[field] = (first, change["to"])
    return StaleWrite(
        "certificate",
        stored.id,
        expected=mine.version,
        found=stored.version,
        changes=changes,
        actors=[event.actor for event in edits],
    )


def _form(certificate: Certificate) -> dict[str, Any]:
    return {
        "domain": certificate.domain.ascii,
        "aliases": [one.ascii for one in certificate.aliases],
        "wildcard": certificate.wildcard,
        "subject": {name: value for name, value in asdict(certificate.subject).items() if value},
        "key_type": certificate.key_type.value,
        "renewal": asdict(certificate.renewal),
        "authority": certificate.authority_id,
        "fallbacks": list(certificate.fallbacks),
    }
