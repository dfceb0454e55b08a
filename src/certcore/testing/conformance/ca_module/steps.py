"""Checks of the steps that `CAModule.advance` returns, on the first certificate that was driven through it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve

from certcore.engine.step_validation import MOST_FINDINGS, MOST_STATE, PRIVATE_KEY
from certcore.errors import CertCoreError
from certcore.model.events import EventKind
from certcore.model.notes import LONGEST_NOTE, MOST_NOTES
from certcore.model.plugin_results import UnexpectedResultError, conform, plain_json, with_article
from certcore.ports.ca_module import Failed, Issued, StepResult, SupportsCleanUp, Waiting
from certcore.testing.conformance.ca_module.evidence import FirstIssuance, ModuleEvidence
from certcore.testing.conformance.values import ConformanceCheck, RuleBrokenError, Suite, check_of, require

__all__ = ["STEPS", "issues"]

_check: Final = check_of(Suite.CA_MODULE, always=("request",))

#: How far ahead a step may ask to be looked at again.
_FURTHEST: Final = timedelta(days=366)
#: How often in a row a module may ask for an immediate next look without a change of its state.
_MOST_AT_ONCE: Final = 10


def _returns(evidence: ModuleEvidence) -> None:
    first = evidence.first
    for call in first.calls:
        if call.raised is not None and not isinstance(call.raised, CertCoreError) and not call.slept:
            raise RuleBrokenError(call.failure)


def _is_step(evidence: ModuleEvidence) -> None:
    for call in evidence.first.calls:
        if call.raised is not None:
            continue
        text = f"advance returned {with_article(call.returned)}, which is not a Waiting, Issued or Failed."
        require(isinstance(call.returned, (Waiting, Issued, Failed)), text)
        now = evidence.first.trial.environment.now()
        try:
            conform(_without_documents(call.returned, now), StepResult)
        except UnexpectedResultError as error:
            raise RuleBrokenError(f"advance returned {error}.") from None


def _without_documents(step: Waiting | Issued | Failed, now: datetime) -> Waiting | Issued | Failed:
    """The step without what other checks look at: state, findings and moments."""
    match step:
        case Waiting():
            moment = now if isinstance(step.look_again, datetime) else step.look_again
            return evolve(step, state={}, findings=None, look_again=moment)
        case Failed():
            at = now if isinstance(step.retry_at, datetime) else step.retry_at
            return evolve(step, state={}, findings=None, retry_at=at)
        case _:
            return evolve(step, state={})


def _documents(first: FirstIssuance) -> Iterator[tuple[str, Mapping[str, Any], int]]:
    for step in first.steps:
        yield "state", step.state, MOST_STATE
        if not isinstance(step, Issued) and step.findings is not None:
            yield "findings", step.findings, MOST_FINDINGS


def _json(evidence: ModuleEvidence) -> None:
    for name, document, _ in _documents(evidence.first):
        try:
            plain = plain_json(document)
        except UnexpectedResultError as error:
            raise RuleBrokenError(f"The {name} of a step is {error}.") from None
        except Exception as error:  # isolation: an object of the plugin's own
            raise RuleBrokenError(f"The {name} of a step raised {type(error).__name__}.") from None
        require(plain == document, f"The {name} of a step is not the same after it was stored as JSON: {plain}.")


def _size(evidence: ModuleEvidence) -> None:
    for name, document, most in _documents(evidence.first):
        size = len(json.dumps(document, ensure_ascii=False).encode())
        require(size <= most, f"The {name} of a step has {size} bytes; {most} are allowed.")


def _secrets(evidence: ModuleEvidence) -> None:
    secrets = evidence.first.trial.secrets
    texts = [(name, json.dumps(document, ensure_ascii=False)) for name, document, _ in _documents(evidence.first)]
    texts += [("a note", str(note.text)) for step in evidence.first.steps for note in step.notes]
    texts += [
        ("the problem", json.dumps(step.problem.to_json(), ensure_ascii=False))
        for step in evidence.first.steps
        if isinstance(step, Failed)
    ]
    for name, text in texts:
        is_open = PRIVATE_KEY in text or any(secret in text for secret in secrets)
        require(not is_open, f"{name} of a step holds a secret of the CA profile or a private key: use documents.seal.")


def _moments(first: FirstIssuance) -> Iterator[tuple[str, datetime]]:
    for step in first.steps:
        if isinstance(step, Waiting):
            yield "look_again", step.look_again
        elif isinstance(step, Failed) and step.retry_at is not None:
            yield "retry_at", step.retry_at


def _aware(evidence: ModuleEvidence) -> None:
    for name, moment in _moments(evidence.first):
        require(moment.utcoffset() is not None, f"{name} is {moment}, without a time zone: use environment.now().")


def _near(evidence: ModuleEvidence) -> None:
    begun = evidence.first.certificate.created_at
    for name, moment in _moments(evidence.first):
        offset = moment.utcoffset() or timedelta(0)
        plain = moment.replace(tzinfo=None)
        ahead = plain - begun.replace(tzinfo=None)
        allowed = _FURTHEST + evidence.setup.patience + offset
        require(ahead <= allowed, f"{name} is {moment}: nobody would look at the certificate again before that.")


def _at_once(evidence: ModuleEvidence) -> None:
    count, before = 0, None
    for step, call in zip(evidence.first.steps, evidence.first.calls, strict=False):
        asked_at_once = isinstance(step, Waiting) and step.look_again <= call.now
        same = before is not None and step.state == before
        count = count + 1 if asked_at_once and same else 0
        before = step.state
        text = f"advance asked {count} times in a row to be called again at once, with the same state."
        require(count < _MOST_AT_ONCE, text)


def _no_sleep(evidence: ModuleEvidence) -> None:
    for call in evidence.first.calls:
        require(not call.slept, f"advance wanted to sleep for {call.slept:g} seconds: return Waiting with look_again.")
        longest = evidence.setup.longest_call
        require(call.seconds <= longest, f"advance took {call.seconds:.1f} seconds; {longest:g} are allowed.")


def _input_kept(evidence: ModuleEvidence) -> None:
    for call in evidence.first.calls:
        text = "advance changed the state that it was handed; return a new one instead."
        require(not call.changed_input, text)


def _can_clean_up(evidence: ModuleEvidence) -> None:
    can = evidence.first.trial.has(SupportsCleanUp)
    for step in evidence.first.steps:
        text = "advance returned needs_clean_up=True, and the module has no method clean_up."
        require(can or not step.needs_clean_up, text)


def _problems(evidence: ModuleEvidence) -> None:
    for step in evidence.first.steps:
        if isinstance(step, Failed):
            require(str(step.problem.title).strip(), "A Failed step has a problem without a title.")


def _notes(evidence: ModuleEvidence) -> None:
    first = evidence.first
    texts = [str(note.text) for step in first.steps for note in step.notes]
    for text in texts:
        require(text == " ".join(text.split()), f"A note has line breaks or blanks too many: {text[:80]!r}.")
        require(0 < len(text) <= LONGEST_NOTE, f"A note has {len(text)} characters; {LONGEST_NOTE} are kept.")
    for step in first.steps:
        require(len(step.notes) <= MOST_NOTES, f"A step has {len(step.notes)} notes; {MOST_NOTES} are allowed.")
    events = first.trial.core.certificates.timeline(first.certificate.id, limit=1000)
    kept = [(event.data["about"], event.data["text"]) for event in events if event.kind is EventKind.NOTED]
    require(len(set(kept)) <= MOST_NOTES, f"An issuance has {len(kept)} different notes; {MOST_NOTES} are kept.")


def _quiet(evidence: ModuleEvidence) -> None:
    for call in evidence.first.trial.recorder.calls:
        text = f"{call.method} printed {call.printed[:80]!r}. Use logging."
        require(not call.printed, text)


def _log(evidence: ModuleEvidence) -> None:
    secrets = evidence.first.trial.secrets
    for text in evidence.first.log:
        is_open = PRIVATE_KEY in text or any(secret in text for secret in secrets)
        require(not is_open, "A secret of the CA profile or a private key is in the log.")


def _issues(evidence: ModuleEvidence) -> None:
    first = evidence.first
    first.trial.require_active(first.certificate)


_SOUND: Final = ("step-returns", "step-type")

#: In the order in which they are run.
STEPS: Final = (
    _check(
        "step-sleep",
        "advance returns at once: it neither sleeps nor polls in a loop.",
        "A thread that sleeps in one module takes the time of the certificates of all others.",
        _no_sleep,
    ),
    _check(
        "step-returns",
        "advance returns a step, and raises nothing but errors of certcore.errors.",
        "Anything else that is raised is shown as a failure of the plugin, without its text.",
        _returns,
        needs=("step-sleep",),
    ),
    _check(
        "step-type",
        "advance returns a Waiting, an Issued or a Failed, with values of the declared types.",
        "certcore stores nothing of what it cannot read, so the certificate would stay where it is.",
        _is_step,
        needs=("step-returns",),
    ),
    _check(
        "step-json",
        "State and findings are plain JSON: objects with text keys, lists, texts, numbers, truth values and null.",
        "They are stored as JSON, and handed to another process.",
        _json,
        needs=_SOUND,
    ),
    _check(
        "step-size",
        "State and findings have at most 256 KiB each as JSON.",
        "They are written with every step, of every certificate.",
        _size,
        needs=(*_SOUND, "step-json"),
    ),
    _check(
        "step-secrets",
        "State, findings, problems and notes hold neither a secret of the CA profile nor a private key.",
        "They are stored in the open, and shown on pages.",
        _secrets,
        needs=(*_SOUND, "step-json"),
    ),
    _check(
        "aware-moments",
        "look_again and retry_at have a time zone.",
        "A moment without one means another time on every machine.",
        _aware,
        needs=_SOUND,
    ),
    _check(
        "near-moments",
        "look_again and retry_at are at most a year ahead.",
        "A certificate that nobody looks at until the year 9999 expires.",
        _near,
        needs=_SOUND,
    ),
    _check(
        "pauses",
        "advance does not ask again and again to be called at once while its state stays the same.",
        "certcore puts a brake on it, and the certificate waits for longer than it has to.",
        _at_once,
        needs=(*_SOUND, "aware-moments", "near-moments", "step-json"),
    ),
    _check(
        "input-kept",
        "advance does not change the state that it is handed.",
        "It works on a copy: what it changes there is lost, or worse, kept by chance.",
        _input_kept,
        needs=_SOUND,
    ),
    _check(
        "clean-up-there",
        "A module that returns needs_clean_up=True has the method clean_up.",
        "What is held outside (DNS records, places in a queue) would stay there for ever.",
        _can_clean_up,
        needs=_SOUND,
    ),
    _check(
        "problems",
        "The problem of a Failed step has a title.",
        "It is all that the owner is told.",
        _problems,
        needs=_SOUND,
    ),
    _check(
        "notes",
        "Notes are single lines of at most 500 characters, at most 20 different ones for an issuance.",
        "What is longer is cut, and what is more is left out of the timeline.",
        _notes,
        needs=_SOUND,
    ),
    _check(
        "quiet-calls",
        "No method prints anything.",
        "What is printed ends up in the output of every command, and breaks its JSON.",
        _quiet,
        needs=("step-returns",),
    ),
    _check(
        "log-secrets",
        "Neither a secret of the CA profile nor a private key is logged, not even in debug messages.",
        "Logs are read by more people than the store, and kept for longer.",
        _log,
        needs=("step-returns",),
    ),
)


def issues(needs: tuple[str, ...]) -> ConformanceCheck:
    """The check of the issuance as a whole.

    Args:
        needs: The checks of its steps and its leaf.
    """
    return _check(
        "issues",
        "A request becomes an active certificate, within the patience of the setup in simulated time.",
        "This is what a CA module is for.",
        _issues,
        needs=needs,
    )
