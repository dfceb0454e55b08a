"""What a module may return for a step: looked at before anything is made of it, so that its bug gets its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Issued, Waiting, WaitingFor

__all__ = ["flaw_of"]


def flaw_of(step: object) -> str:
    """What is wrong with what a module returned for a step; empty when it is a step that can be stored."""
    if not isinstance(step, (Waiting, Issued, Failed)):
        return f"a {type(step).__name__}, which is not a step"
    return next(_flaws(step), "")


def _flaws(step: Waiting | Issued | Failed) -> Iterator[str]:
    name = type(step).__name__
    if not _can_be_stored(step.state):
        yield f"a {name} whose state is not plain JSON"
    match step:
        case Waiting():
            yield from _no_moment(name, "look_again", step.look_again)
            if not isinstance(step.waiting_for, WaitingFor):
                yield f"a {name} whose waiting_for is none"
        case Issued():
            if not isinstance(step.chain_pem, str):
                yield f"an {name} whose chain_pem is a {type(step.chain_pem).__name__}"
            return
        case Failed():
            if not isinstance(step.retry, Retry):
                yield f"a {name} whose retry is none"
            if step.retry_at is not None:
                yield from _no_moment(name, "retry_at", step.retry_at)
            if not isinstance(step.problem, Problem) or not _can_be_stored(step.problem.to_json()):
                yield f"a {name} whose problem cannot be stored"
    if step.findings is not None and not _can_be_stored(step.findings):
        yield f"a {name} whose findings are not plain JSON"


def _no_moment(name: str, field: str, value: object) -> Iterator[str]:
    if not isinstance(value, datetime) or value.utcoffset() is None:
        yield f"a {name} whose {field} is no moment with a time zone"


def _can_be_stored(value: object) -> bool:
    try:
        plain = dict(value)  # type: ignore[call-overload] # whatever a module has put there
        json.dumps(plain, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):  # a UnicodeEncodeError, too
        return False
    return True
