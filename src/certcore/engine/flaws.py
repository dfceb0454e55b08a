"""What a module may return for a step: looked at before anything is made of it, so that its bug gets its name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import evolve

from certcore.model.conform import Misfit, conform, plain_json, with_article
from certcore.model.problem import Problem
from certcore.model.secret import Secret
from certcore.ports.ca_module import Failed, Issued, Step, Waiting

__all__ = ["MOST_FINDINGS", "MOST_STATE", "sound_step"]

#: How large a state, and findings, may be, in bytes of JSON: they are written with every step.
MOST_STATE: Final = 256 * 1024
MOST_FINDINGS: Final = 256 * 1024
_MOST_PROBLEM: Final = 64 * 1024
#: A shorter secret may be in a state by chance.
_SHORTEST_SECRET: Final = 8
_PRIVATE_KEY: Final = "PRIVATE KEY-----"


def sound_step(returned: object, *, secrets: Iterable[Secret] = ()) -> Step:
    """What a module returned for a step, as a step that can be stored: a copy, in certcore's own classes.

    Args:
        returned: What `CAModule.advance` returned.
        secrets: What must not be in it: a state is not sealed.

    Raises:
        Misfit: It is no step, or holds something that cannot, or must not, be stored. The text continues "it returned".
    """
    if not isinstance(returned, (Waiting, Issued, Failed)):
        raise Misfit(f"{with_article(returned)}, which is not a step")
    step: Step = conform(returned, Step)
    if isinstance(step, Failed):
        # As a store keeps it: members of a wrong type are left out, and texts are cut.
        step = evolve(step, problem=Problem.from_json(plain_json(step.problem.to_json())))
        _check_size(step, "problem", step.problem.to_json(), _MOST_PROBLEM)
    hidden = [_in_json(secret) for secret in secrets]
    parts: list[tuple[str, Mapping[str, Any] | None, int]] = [("state", step.state, MOST_STATE)]
    if not isinstance(step, Issued):
        parts.append(("findings", step.findings, MOST_FINDINGS))
    for name, part, most in parts:
        if part:
            _check_size(step, name, part, most)
            _check_open(step, name, part, hidden)
    return step


def _check_size(step: Step, name: str, part: Mapping[str, Any], most: int) -> None:
    size = len(json.dumps(part, ensure_ascii=False).encode())
    if size > most:
        raise Misfit(f"{with_article(step)} whose {name} has {size} bytes; {most} are allowed")


def _check_open(step: Step, name: str, part: Mapping[str, Any], hidden: Iterable[str]) -> None:
    text = json.dumps(part, ensure_ascii=False)
    if _PRIVATE_KEY in text or any(len(secret) >= _SHORTEST_SECRET and secret in text for secret in hidden):
        raise Misfit(
            f"{with_article(step)} whose {name} holds a secret of the profile or a private key; keep secrets with "
            "work.documents.seal"
        )


def _in_json(secret: Secret) -> str:
    try:
        return json.dumps(secret.reveal_text(), ensure_ascii=False)[1:-1]
    except UnicodeDecodeError:  # no text, so it cannot be in JSON as it is
        return ""
