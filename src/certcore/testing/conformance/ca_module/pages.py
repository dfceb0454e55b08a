"""Checks of a module's pages: hints, texts, actions and files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve

from certcore.engine.module_context import secrets_in
from certcore.errors import CertCoreError
from certcore.messages import Message
from certcore.model.form import fields_of
from certcore.model.hints import ActionButton, Hint, Link, hint_to_json
from certcore.model.lifecycle import Action, Status, allowed_actions
from certcore.model.views import CertificateView
from certcore.model.web_pages import is_web_page
from certcore.ports.module_actions import SupportsActions, SupportsCertificateActions
from certcore.ports.module_budgets import SupportsBudgets
from certcore.ports.module_files import SupportsFiles
from certcore.services.module_actions import sound_certificate_actions, sound_profile_actions
from certcore.services.module_files import sound_files
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence, Trial, result_of
from certcore.testing.conformance.recording import PAGE_METHODS
from certcore.testing.conformance.values import (
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)
from certcore.translations import OWN_CATALOGUE, Translator, translator

__all__ = ["PAGES"]

_check: Final = check_of(Suite.CA_MODULE, needs=("issues",))

_MOST_HINTS: Final = 200
_MOST_HINT_TEXT: Final = 256 * 1024
_Hints = tuple[Hint, ...]


def _views(trial: Trial, certificate_id: str) -> Iterator[tuple[str, CertificateView]]:
    """The certificate's page under every status, with and without an issuance, before and after it has a leaf."""
    view = trial.core.certificates.view(certificate_id)
    for status in Status:
        changed = evolve(view.certificate, status=status)
        for issuance in (view.issuance or view.active, None):
            for active in (view.active, None):
                shown = evolve(view, certificate=changed, issuance=issuance, active=active)
                parts = [
                    str(status),
                    "with" if issuance else "without",
                    "an issuance,",
                    "with" if active else "without",
                ]
                yield f"{' '.join(parts)} a leaf", shown


def _pages(evidence: ModuleEvidence) -> Iterator[tuple[str, Trial, CertificateView]]:
    first = evidence.first
    for name, view in _views(first.trial, first.certificate.id):
        yield name, first.trial, view


def _hints_of(evidence: ModuleEvidence) -> Iterator[tuple[str, _Hints]]:
    """The hints of each page, those of the CA profile included; a page that fails is left to its own check."""
    for name, trial, view in _pages(evidence):
        call = trial.call("hints", view, trial.context)
        try:
            yield name, result_of(call, _Hints)
        except (RuleBrokenError, NotApplicableError):
            continue
    trial = evidence.first.trial
    try:
        yield "the CA profile", result_of(trial.call("profile_hints", trial.context), _Hints)
    except (RuleBrokenError, NotApplicableError):
        return


def _hints(evidence: ModuleEvidence) -> None:
    for name, trial, view in _pages(evidence):
        try:
            hints: _Hints = result_of(trial.call("hints", view, trial.context), _Hints)
        except RuleBrokenError as error:
            raise RuleBrokenError(f"On a page that is {name}: {error}") from None
        json.dumps([hint_to_json(hint) for hint in hints], default=str)


def _profile_hints(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    hints: _Hints = result_of(trial.call("profile_hints", trial.context), _Hints)
    json.dumps([hint_to_json(hint) for hint in hints], default=str)


def _size(evidence: ModuleEvidence) -> None:
    for name, hints in _hints_of(evidence):
        size = sum(len(json.dumps(hint_to_json(hint), default=str)) for hint in hints)
        text = f"{name}: {len(hints)} hints of {size} characters; {_MOST_HINTS} of {_MOST_HINT_TEXT} are shown."
        require(len(hints) <= _MOST_HINTS and size <= _MOST_HINT_TEXT, text)


def _links(evidence: ModuleEvidence) -> None:
    for name, hints in _hints_of(evidence):
        for hint in hints:
            is_open = not isinstance(hint, Link) or is_web_page(hint.url)
            require(is_open, f"{name}: a Link to {getattr(hint, 'url', '')[:60]!r}, where an https URL belongs.")


def _secrets(evidence: ModuleEvidence) -> None:
    first = evidence.first
    key = ""
    if first.certificate.status is Status.ACTIVE:
        pem = first.trial.core.certificates.private_key(first.certificate.id, reason="conformance").reveal_text()
        key = pem.splitlines()[1]
    for name, hints in _hints_of(evidence):
        text = json.dumps([hint_to_json(hint) for hint in hints], default=str, ensure_ascii=False)
        is_open = "PRIVATE KEY" in text or (key and key in text) or any(part in text for part in first.trial.secrets)
        require(not is_open, f"{name}: the hints hold a secret of the CA profile or a private key.")


def _buttons(evidence: ModuleEvidence) -> None:
    trial = evidence.first.trial
    for name, _, view in _pages(evidence):
        call = trial.call("hints", view, trial.context)
        own = set()
        if trial.has(SupportsCertificateActions):
            actions = trial.call("certificate_actions", view, trial.context)
            own = {action.name for action in actions.returned or ()} if actions.raised is None else set()
        if call.raised is not None:
            continue
        possible = {str(action) for action in allowed_actions(view.certificate.status)} | own
        for hint in call.returned:
            if isinstance(hint, ActionButton):
                text = f"On a page that is {name}: the button {hint.name} cannot be pressed in this status."
                require(hint.name in possible, text)


def _offline(evidence: ModuleEvidence) -> None:
    trial = evidence.first.trial
    for _ in _hints_of(evidence):
        continue
    view = trial.core.certificates.view(evidence.first.certificate.id)
    arguments: Mapping[str, tuple[Any, ...]] = {
        "certificate_form": (trial.context,),
        "profile_form": (trial.context,),
        "profile_actions": (trial.context,),
        "budgets": (trial.context,),
        "wants_preflights": (trial.context,),
        "profile_files": (trial.context,),
        "certificate_actions": (view, trial.context),
        "certificate_files": (view, trial.context),
    }
    for method, call_arguments in arguments.items():
        if hasattr(trial.module, method):
            trial.call(method, *call_arguments)
    for call in trial.recorder.calls:
        if call.method in PAGE_METHODS:
            text = f"{call.method} tried to reach {', '.join(call.reached)}: show what the last step has found."
            require(not call.reached, text)


def _profile_actions(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsActions)
    result_of(trial.call("profile_actions", trial.context), sound_profile_actions)


def _run_profile_actions(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsActions)
    runnable = [
        action
        for action in result_of(trial.call("profile_actions", trial.context), sound_profile_actions)
        if action.confirm is None and not any(field.required for field in fields_of(action.form))
    ]
    if not runnable:
        raise NotApplicableError("No action of the CA profile can be run without a question or values.")
    for action in runnable:
        call = trial.call("run_action", action.name, action.form(), trial.context, actor="conformance")
        if not isinstance(call.raised, CertCoreError):
            result_of(call, Message)


def _certificate_actions(evidence: ModuleEvidence) -> None:
    evidence.first.trial.need(SupportsCertificateActions)
    for name, trial, view in _pages(evidence):
        try:
            actions = result_of(trial.call("certificate_actions", view, trial.context), sound_certificate_actions)
        except RuleBrokenError as error:
            raise RuleBrokenError(f"On a page that is {name}: {error}") from None
        for action in actions:
            require(action.name not in set(Action), f"certcore has an action {action.name} of its own.")


def _budgets(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsBudgets)
    try:
        trial.core.authorities.budgets(trial.authority_id)
    except CertCoreError as error:
        raise RuleBrokenError(error.message) from None


def _files(evidence: ModuleEvidence) -> None:
    trial = evidence.first.trial
    trial.need(SupportsFiles)

    def sound(returned: object) -> object:
        return sound_files(returned, secrets=secrets_in(trial.context.profile))

    result_of(trial.call("profile_files", trial.context), sound)
    for name, _, view in _pages(evidence):
        try:
            result_of(trial.call("certificate_files", view, trial.context), sound)
        except RuleBrokenError as error:
            raise RuleBrokenError(f"On a page that is {name}: {error}") from None


def _translations(evidence: ModuleEvidence) -> None:
    catalogues = evidence.loaded.catalogues()
    languages = sorted({language for catalogue in catalogues for language in catalogue.languages})
    if not languages:
        raise NotApplicableError("The plugin brings no translations.")
    messages = {message.key: message for _, hints in _hints_of(evidence) for message in _messages(hints)}
    own = [translator(language, [OWN_CATALOGUE]) for language in OWN_CATALOGUE.languages]
    for language in languages:
        translate = translator(language, catalogues)
        for key, message in messages.items():
            is_own = any(_is_translated(each, message) for each in own)
            require(is_own or _is_translated(translate, message), f"{language} has no translation of {key}.")


def _is_translated(translate: Translator, message: Message) -> bool:
    return translate._find(message, translate) is not None  # noqa: SLF001 - of certcore, too


def _messages(value: object) -> Iterator[Message]:
    """The messages in a value, those with a key."""
    if isinstance(value, Message):
        if value.key:
            yield value
        for param in value.params.values():
            yield from _messages(param)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _messages(item)
    else:
        attributes: Any = getattr(type(value), "__attrs_attrs__", ())
        for attribute in attributes:
            yield from _messages(getattr(value, attribute.name))


#: In the order in which they are run.
PAGES: Final = (
    _check(
        "pages-offline",
        "Hints, forms, actions, budgets and files are made without the network.",
        "A page would hang while the CA does not answer.",
        _offline,
    ),
    _check(
        "hints",
        "hints returns values of certcore.hints for every status, with and without an issuance and a leaf.",
        "A certificate whose right column fails cannot be understood by its owner.",
        _hints,
        needs=("issues",),
    ),
    _check(
        "profile-hints",
        "profile_hints returns values of certcore.hints.",
        "The page of the CA profile would show a failure instead.",
        _profile_hints,
        needs=("profile",),
    ),
    _check(
        "hints-size",
        "A page has at most 200 hints of 256 KiB as JSON.",
        "The hints of a module that returns more are not shown at all.",
        _size,
        needs=("hints", "profile-hints"),
    ),
    _check(
        "hints-links",
        "A Link leads to an https page.",
        "The hints of a module with another link are not shown at all.",
        _links,
        needs=("hints", "profile-hints"),
    ),
    _check(
        "hints-secrets",
        "Hints hold neither a secret of the CA profile nor a private key.",
        "Every owner of a certificate sees them.",
        _secrets,
        needs=("hints", "profile-hints"),
    ),
    _check(
        "hints-buttons",
        "A button that is shown can be pressed in this status.",
        "Whoever presses it would get an error.",
        _buttons,
        needs=("hints",),
    ),
    _check(
        "translations",
        "Every text of the module's own that it shows is translated into every language that the plugin brings.",
        "A page would be in two languages.",
        _translations,
        needs=("hints", "profile-hints"),
    ),
    _check(
        "profile-actions",
        "profile_actions returns at most 30 actions with names of their own, each with a form of certcore.plugin.form.",
        "The page of the CA profile would show a failure instead.",
        _profile_actions,
        needs=("profile",),
    ),
    _check(
        "run-profile-actions",
        "run_action does an action that asks for nothing, and returns a Message or raises an error of certcore.errors.",
        "The administrator is told what was done.",
        _run_profile_actions,
        needs=("profile-actions",),
    ),
    _check(
        "certificate-actions",
        "certificate_actions returns at most 30 actions for every status, with names of their own and a permission of "
        "actions on certificates.",
        "The certificate's page would show a failure instead.",
        _certificate_actions,
    ),
    _check(
        "budgets",
        "budgets returns at most 20 limits, each with a name of its own: lower-case letters, digits and underscores.",
        "Metrics ask for them, and would have gaps.",
        _budgets,
        needs=("profile",),
    ),
    _check(
        "files",
        "Files have safe names and media types, and hold neither secrets nor private keys.",
        "They are handed out to whoever sees the page.",
        _files,
    ),
)
