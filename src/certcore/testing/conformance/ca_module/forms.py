"""Checks of settings and forms: of a CA profile, and of a certificate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from certcore.errors import CertCoreError, InvalidInputError, PluginError
from certcore.model.form import FieldKind, FormField, fields_of, read_value
from certcore.model.form import secret_fields as secret_fields_of
from certcore.model.names import DnsName
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence, Trial, result_of
from certcore.testing.conformance.values import (
    MissingSetupError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)

__all__ = ["FORMS"]

_check: Final = check_of(Suite.CA_MODULE, needs=("profile",))

#: Words in the name of a setting that holds a secret.
_SECRET_WORDS: Final = re.compile(
    r"(^|_)(password|passwd|passphrase|secret|token|credentials?|api_?key|hmac_?key|private_?key|client_?key)(_|$)"
)
#: Endings that say that it is about a secret and not one itself.
_ABOUT_SECRETS: Final = re.compile(r"_(id|name|url|path|file|type|length|size|days|expires?)$")


def _secret_fields(evidence: ModuleEvidence) -> None:
    for kind in (evidence.module.profile_type, evidence.module.certificate_type):
        for field in fields_of(kind):
            if field.kind in (FieldKind.SECRET, FieldKind.BOOLEAN, FieldKind.INTEGER, FieldKind.CHOICE):
                continue
            looks_secret = _SECRET_WORDS.search(field.name) and not _ABOUT_SECRETS.search(field.name)
            require(
                not looks_secret,
                f"{kind.__name__}.{field.name} is a plain field: it would be stored in the open. Use form.secret.",
            )


def _defaults(evidence: ModuleEvidence) -> None:
    for kind in (evidence.module.profile_type, evidence.module.certificate_type):
        for field in fields_of(kind):
            if field.required or field.kind is FieldKind.SECRET or field.default in (None, "", []):
                continue
            try:
                read_value(kind, field.name, field.default)
            except InvalidInputError as error:
                raise RuleBrokenError(f"The default of {kind.__name__}.{field.name} is refused: {error}") from None


def _profile(evidence: ModuleEvidence) -> None:
    try:
        evidence.trial()
    except InvalidInputError as error:
        raise RuleBrokenError(
            f"The settings of the setup are refused: {error} Give `settings` of a CA profile that works."
        ) from None
    except PluginError as error:
        raise RuleBrokenError(str(error)) from None


def _profile_is_kept(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    profile: object = trial.harness.profile(trial.authority_id)
    trial.core.authorities.edit(trial.authority_id, description="again", settings={})
    again = trial.harness.profile(trial.authority_id)
    require(again == profile, "A CA profile is another one after it was stored and read again.")
    stored = trial.core.authorities.get(trial.authority_id)
    text = f"{stored!r} {profile!r} {json.dumps(dict(stored.settings))}"
    for secret in trial.secrets:
        require(secret not in text, "A secret of the CA profile is in its plain settings, or in its repr.")


def _refusals(evidence: ModuleEvidence) -> None:
    invalid_settings = evidence.setup.invalid_settings
    if not invalid_settings and _works(evidence):
        invalid_settings = tuple(_beyond_limits(evidence.module.profile_type))
    if not invalid_settings:
        raise MissingSetupError(
            "No limit of a field could be tried: the setup has to give `invalid_settings`, each with the field that is "
            "refused."
        )
    trial = evidence.bare_trial()
    for wrong, field in invalid_settings:
        settings = {**evidence.setup.settings, **wrong}
        try:
            trial.core.authorities.create("wrong", module=evidence.module.name, settings=settings)
        except InvalidInputError as error:
            require(error.field == field, f"The refusal of {field} names the field {error.field!r}.")
        except PluginError as error:
            raise RuleBrokenError(f"{error} Raise InvalidInputError({field!r}, …).") from None
        else:
            raise RuleBrokenError(f"A wrong value of {field} is accepted.")


def _works(evidence: ModuleEvidence) -> bool:
    """Whether the settings of the setup are accepted: otherwise another field may be refused first."""
    try:
        evidence.trial()
    except CertCoreError:
        return False
    return True


def _beyond_limits(profile_type: type) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Settings that the limits of fields exclude, each with the name of the field."""
    for field in fields_of(profile_type):
        values: list[Any] = []
        if field.minimum is not None:
            values.append(field.minimum - 1)
        if field.maximum is not None:
            values.append(field.maximum + 1)
        if field.choices:
            values.append("none-of-the-choices")
        if field.longest is not None and field.kind is FieldKind.TEXT:
            values.append("x" * (field.longest + 1))
        for value in values:
            yield {field.name: value}, field.name


def _whole_form(evidence: ModuleEvidence, method: str, kind: type) -> None:
    trial = evidence.trial()
    fields: tuple[FormField, ...] = result_of(trial.call(method, trial.context), tuple[FormField, ...])
    _require_known(method, fields, kind)
    _require_json(method, fields)


def _require_known(method: str, fields: Iterable[FormField], kind: type) -> None:
    names = [field.name for field in fields]
    known = {field.name for field in fields_of(kind)}
    unknown = sorted(set(names) - known)
    require(not unknown, f"{method} has fields that {kind.__name__} does not have: {', '.join(unknown)}.")
    require(len(names) == len(set(names)), f"{method} has a field twice.")
    missing = sorted(field.name for field in fields_of(kind) if field.required and field.name not in names)
    require(not missing, f"{method} lacks the required fields {', '.join(missing)} of {kind.__name__}.")
    hidden = set(secret_fields_of(kind))
    shown = [field.name for field in fields if field.name in hidden and field.kind is not FieldKind.SECRET]
    require(not shown, f"{method} shows the secret {', '.join(shown)} in a field that is not secret.")


def _require_json(method: str, fields: Iterable[FormField]) -> None:
    try:
        json.dumps([field.to_json() for field in fields])
    except (TypeError, ValueError):
        raise RuleBrokenError(f"{method} has a field without a JSON form.") from None


def _profile_form(evidence: ModuleEvidence) -> None:
    _whole_form(evidence, "profile_form", evidence.module.profile_type)


def _certificate_form(evidence: ModuleEvidence) -> None:
    _whole_form(evidence, "certificate_form", evidence.module.certificate_type)


def _request(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    for number in range(len(evidence.setup.domains)):
        try:
            trial.draft(number)
        except InvalidInputError as error:
            raise RuleBrokenError(
                f"{evidence.setup.domains[number]} is refused: {error} Give `domains` that the CA profile may issue."
            ) from None
        except PluginError as error:
            raise RuleBrokenError(str(error)) from None


def _refused_names(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    settings = _certificate_settings(trial)
    for names in (("*.shop.test",), ("xn--mnchen-3ya.test",), tuple(f"n{number}.shop.test" for number in range(100))):
        call = trial.call("check_request", trial.context, [DnsName.parse(name) for name in names], settings)
        is_refusal = isinstance(call.raised, InvalidInputError)
        require(call.raised is None or is_refusal, f"{call.failure}\nA refusal is an InvalidInputError.")
        require(call.returned is None, "check_request returned something; it returns nothing, or raises.")


def _certificate_settings(trial: Trial) -> Any:
    certificate_id = trial.requested()
    return trial.harness.work(certificate_id).settings


#: In the order in which they are run.
FORMS: Final = (
    _check(
        "secret-fields",
        "A setting that holds a password, a token or a key is made with form.secret.",
        "Plain settings are stored in the open, shown on pages and written into exports of the configuration.",
        _secret_fields,
        needs=("loads",),
    ),
    _check(
        "form-defaults",
        "The default of a field is a value that the field accepts.",
        "A form that is saved as it is shown would be refused.",
        _defaults,
        needs=("loads",),
    ),
    _check(
        "profile",
        "A CA profile with the given settings can be created.",
        "Without a CA profile there is nothing to issue with.",
        _profile,
        needs=("loads", "form-defaults"),
    ),
    _check(
        "profile-kept",
        "A CA profile is the same after it was stored and read again, and neither its repr nor its plain settings hold "
        "a secret.",
        "Profiles are read from the store in every process, after every restart.",
        _profile_is_kept,
    ),
    _check(
        "refused-settings",
        "Settings that cannot work are refused with an InvalidInputError that names the field.",
        "The form shows the error beside its field; anything else is a failure of the plugin.",
        _refusals,
        needs=("loads",),
    ),
    _check(
        "profile-form",
        "profile_form returns the fields of profile_type: none that is unknown, all that are required.",
        "What is filled in is stored as profile_type; a field that it does not have is refused.",
        _profile_form,
    ),
    _check(
        "certificate-form",
        "certificate_form returns the fields of certificate_type: none that is unknown, all that are required.",
        "What is filled in is stored as certificate_type; a field that it does not have is refused.",
        _certificate_form,
    ),
    _check(
        "request",
        "The names of the setup can be requested.",
        "check_request is asked before anything is stored; where it fails no certificate can be created.",
        _request,
    ),
    _check(
        "refused-names",
        "check_request refuses with InvalidInputError, and returns nothing: wildcards, internationalised and many "
        "names included.",
        "Owners ask for every kind of name, and the form shows them the refusal.",
        _refused_names,
        needs=("request",),
    ),
)
