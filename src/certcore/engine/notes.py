"""Turn the notes of a CA module into events: each note once per issuance, in the transaction that stores the step."""

from __future__ import annotations

import hashlib
import unicodedata
from datetime import datetime
from typing import Any

from attrs import evolve

from certcore.engine.apply_step import LeasedCertificate
from certcore.messages import Message
from certcore.model.events import Event, EventKind
from certcore.model.issuance import Issuance
from certcore.model.notes import LONGEST_NOTE, MOST_NOTES, Note
from certcore.model.stored_messages import message_document
from certcore.ports.ca_module import StepResult

__all__ = ["on_one_line", "with_notes"]


def with_notes(
    leased: LeasedCertificate, issuance: Issuance, step: StepResult, now: datetime
) -> tuple[LeasedCertificate, Issuance]:
    """The state with the events of a step's notes, and the issuance that remembers them.

    Args:
        leased: The state before the step.
        issuance: The issuance that the step was about.
        step: What the module returned.
        now: The present moment.
    """
    noted, events = issuance.engine_state.noted, leased.events
    for note in step.notes:
        text = on_one_line(str(note.text))
        mark = _fingerprint(note, text)
        if not text or mark in noted or len(noted) >= MOST_NOTES:
            continue
        noted = (*noted, mark)
        event = Event(
            certificate_id=leased.certificate.id,
            kind=EventKind.NOTED,
            at=now,
            owner=leased.certificate.owner,
            from_status=leased.certificate.status,
            to_status=leased.certificate.status,
            data={"about": str(note.about), "text": text, **_message(note.text, text)},
        )
        events = (*events, event)
    if noted == issuance.engine_state.noted:
        return leased, issuance
    changed = evolve(issuance, engine_state=evolve(issuance.engine_state, noted=noted))
    return evolve(leased, events=events), changed


def _message(note_text: str | Message, kept: str) -> dict[str, Any]:
    """The message of a note, for the event's data; empty for plain text, and for a text that was shortened."""
    return {"message": message_document(note_text)} if isinstance(note_text, Message) and str(note_text) == kept else {}


def on_one_line(text: str) -> str:
    """The text on one line, without unprintable characters, shortened."""
    plain = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    line = " ".join(plain.split())
    return line if len(line) <= LONGEST_NOTE else f"{line[: LONGEST_NOTE - 1]}…"


def _fingerprint(note: Note, text: str) -> str:
    return hashlib.sha256(f"{note.about}\0{text}".encode()).hexdigest()[:16]
