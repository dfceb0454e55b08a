"""Validate the results of a module before they are used, so that a bug in a module is reported as the module's."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import evolve

from certcore.model.notes import MOST_NOTES
from certcore.model.plugin_results import UnexpectedResultError, conform, plain_json, with_article
from certcore.model.problem import Problem
from certcore.model.secret import Secret
from certcore.ports.ca_module import Failed, Issued, StepResult, Waiting
from certcore.ports.module_actions import ActionDone, ActionRefused, ActionResult

__all__ = ["MOST_FINDINGS", "MOST_STATE", "PRIVATE_KEY", "SHORTEST_SECRET", "sound_action", "sound_step"]

#: The largest state, and the largest findings, in bytes of JSON. They are written with every step.
MOST_STATE: Final = 256 * 1024
MOST_FINDINGS: Final = 256 * 1024
_MOST_PROBLEM: Final = 64 * 1024
#: A shorter secret may occur in a state or a file by chance.
SHORTEST_SECRET: Final = 8
#: In every private key in PEM.
PRIVATE_KEY: Final = "PRIVATE KEY-----"


def sound_step(returned: object, *, secrets: Iterable[Secret] = ()) -> StepResult:
    """Convert what a module returned for a step to a step that can be stored: a copy in certcore's own classes.

    Args:
        returned: The value that `CAModule.advance` returned.
        secrets: Secrets that must not be in the step, because a state is not sealed.

    Raises:
        UnexpectedResultError: It is not a step, or contains something that cannot or must not be stored. Its text
            continues "it returned".
    """
    if not isinstance(returned, (Waiting, Issued, Failed)):
        raise UnexpectedResultError(f"{with_article(returned)}, which is not a step")
    step: StepResult = conform(returned, StepResult)
    if isinstance(step, Failed):
        # Members of a wrong type are left out, and texts are shortened, as when a problem is read from a store.
        step = evolve(step, problem=Problem.from_json(plain_json(step.problem.to_json())))
        _bounded_text(step, "problem", step.problem.to_json(), _MOST_PROBLEM)
    if len(step.notes) > MOST_NOTES:
        raise UnexpectedResultError(f"{with_article(step)} with {len(step.notes)} notes; {MOST_NOTES} are allowed")
    hidden = [_in_json(secret) for secret in secrets]
    for note in step.notes:
        texts = note.text if isinstance(note.text, str) else [str(note.text), note.text.to_json()]
        _check_open(step, "notes", json.dumps(texts, ensure_ascii=False), hidden)
    parts: list[tuple[str, Mapping[str, Any] | None, int]] = [("state", step.state, MOST_STATE)]
    if not isinstance(step, Issued):
        parts.append(("findings", step.findings, MOST_FINDINGS))
    for name, part, most in parts:
        if part:
            _check_open(step, name, _bounded_text(step, name, part, most), hidden)
    return step


def sound_action(returned: object, *, secrets: Iterable[Secret] = ()) -> ActionResult:
    """Convert what a module returned for an action on a certificate to a result that can be stored.

    Args:
        returned: The value that `SupportsCertificateActions.run_certificate_action` returned.
        secrets: As in `sound_step`, including the secrets of the action's form.

    Raises:
        UnexpectedResultError: As in `sound_step`.
    """
    if not isinstance(returned, (ActionDone, ActionRefused)):
        raise UnexpectedResultError(f"{with_article(returned)}, where ActionDone or ActionRefused belongs")
    result: ActionResult = conform(returned, ActionResult)
    hidden = [_in_json(secret) for secret in secrets]
    text = result.text if isinstance(result, ActionDone) else result.reason
    _check_open(result, "text", json.dumps([str(text), text.to_json()], ensure_ascii=False), hidden)
    if isinstance(result, ActionDone):
        for name, part, most in (("state", result.state, MOST_STATE), ("findings", result.findings, MOST_FINDINGS)):
            if part:
                _check_open(result, name, _bounded_text(result, name, part, most), hidden)
    return result


def _bounded_text(step: StepResult | ActionResult, name: str, part: Mapping[str, Any], most: int) -> str:
    """The part as JSON text."""
    text = json.dumps(part, ensure_ascii=False)
    size = len(text.encode())
    if size > most:
        raise UnexpectedResultError(f"{with_article(step)} whose {name} has {size} bytes; {most} are allowed")
    return text


def _check_open(step: StepResult | ActionResult, name: str, text: str, hidden: Iterable[str]) -> None:
    if PRIVATE_KEY in text or any(len(secret) >= SHORTEST_SECRET and secret in text for secret in hidden):
        raise UnexpectedResultError(
            f"{with_article(step)} whose {name} holds a secret of the profile or a private key; keep secrets with "
            "work.documents.seal"
        )


def _in_json(secret: Secret) -> str:
    try:
        return json.dumps(secret.reveal_text(), ensure_ascii=False)[1:-1]
    except UnicodeDecodeError:  # not a text, so it cannot be in JSON unchanged
        return ""
