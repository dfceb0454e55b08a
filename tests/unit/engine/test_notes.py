"""A CA module's notes are in the certificate's timeline: once each, bounded, in plain text, together with the step."""

from datetime import timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from certcore.engine.step_validation import sound_step
from certcore.messages import Message
from certcore.model.notes import LONGEST_NOTE, MOST_NOTES, Note, NoteSubject
from certcore.model.plugin_results import UnexpectedResultError
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.model.secret import Secret
from certcore.model.stored_messages import read_message
from certcore.ports.ca_module import Failed, Waiting, WaitingFor
from support.examples import examples
from support.own_clock import HOUR, Looping, Machine

MOVED = Note(about=NoteSubject.ACCOUNT, text="The account was moved, because the CA said so.")


def _waiting(work, *notes):
    return Waiting(
        state={"n": 1},
        look_again=work.environment.now() + timedelta(minutes=10),
        waiting_for=WaitingFor.AUTHORITY,
        notes=notes,
    )


def _noted(machine, certificate):
    events = machine.core.certificates.timeline(certificate, limit=1000)
    return [(event.data["about"], event.data["text"]) for event in events if event.kind == "noted"]


def test_a_note_is_told_once_for_each_issuance():
    """A module may say it with every step; the timeline has it once, and another text beside it."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: _waiting(work, MOVED)
    certificate = machine.requested()
    machine.run(3 * HOUR)
    assert _noted(machine, certificate) == [("account", MOVED.text)]
    other = evolve(MOVED, about=NoteSubject.AUTHORITY)
    machine.ca.answer = lambda work: _waiting(work, MOVED, other)
    machine.run(3 * HOUR)
    assert sorted(_noted(machine, certificate)) == [("account", MOVED.text), ("authority", MOVED.text)]
    assert machine.core.certificates.verify_timeline(certificate).intact


def test_a_note_can_be_translated():
    """The event of a note that is a message has the message, and its English text as before."""
    machine = Machine(Looping)
    text = Message("desk.moved", "The account was moved to {desk}.", {"desk": "the front desk"})
    machine.ca.answer = lambda work: _waiting(work, evolve(MOVED, text=text))
    certificate = machine.requested()
    machine.run(HOUR)
    (event,) = (event for event in machine.core.certificates.timeline(certificate) if event.kind == "noted")
    assert event.data["text"] == "The account was moved to the front desk."
    assert read_message(event.data["message"]) == text
    assert machine.core.certificates.verify_timeline(certificate).intact


def test_a_step_that_fails_has_its_notes_too():
    """What is noted with a failure is in the timeline beside it."""
    machine = Machine(Looping)
    problem = Problem(title="No.", advice="Wait.")
    machine.ca.answer = lambda work: Failed(state={}, problem=problem, retry=Retry.SLOW, notes=(MOVED,))
    certificate = machine.requested()
    machine.work()
    kinds = [event.kind for event in machine.core.certificates.timeline(certificate)]
    assert {"noted", "attempt_failed"} <= set(kinds)


def test_an_issuance_has_a_bounded_number_of_notes():
    """A module that says something new with every step fills no timeline."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: _waiting(work, evolve(MOVED, text=f"Look {len(machine.ca.looks)}."))
    certificate = machine.requested()
    machine.run(24 * HOUR)
    assert len(machine.ca.looks) > MOST_NOTES
    assert len(_noted(machine, certificate)) == MOST_NOTES


@examples(30, deadline=None)
@given(text=st.text(max_size=2 * LONGEST_NOTE))
def test_a_note_is_plain_text_on_one_line(text):
    """Control characters, line breaks and what is too long do not reach a timeline."""
    machine = Machine(Looping)
    machine.ca.answer = lambda work: _waiting(work, evolve(MOVED, text=text))
    certificate = machine.requested()
    machine.core.reconcile(certificate)
    told = [text for _, text in _noted(machine, certificate)]
    assert len(told) == 1 or not any(character.isprintable() for character in text.replace(" ", ""))
    for line in told:
        assert line.isprintable()
        assert 0 < len(line) <= LONGEST_NOTE


def test_notes_are_looked_at_before_they_are_stored():
    """Too many, another type, or a secret of the profile: the module's bug has its name."""
    now = Machine().environment.now()
    step = Waiting(state={}, look_again=now, waiting_for=WaitingFor.AUTHORITY, notes=(MOVED,))
    assert sound_step(step) == step
    many = tuple(evolve(MOVED, text=str(number)) for number in range(MOST_NOTES + 1))
    for notes in (many, ("text",), (evolve(MOVED, text="It is hunter2hunter2."),)):
        with pytest.raises(UnexpectedResultError):
            sound_step(evolve(step, notes=notes), secrets=[Secret(b"hunter2hunter2")])


def test_a_note_is_stored_with_its_step_or_not_at_all():
    """A step whose outcome is refused leaves no note; when it is repeated, the note is told."""
    machine = Machine(Looping)

    def overtaken(work):
        machine.core.certificates.back_to_draft(certificate)
        return _waiting(work, MOVED)

    machine.ca.answer = overtaken
    certificate = machine.requested()
    machine.core.reconcile(certificate)
    assert _noted(machine, certificate) == []
    machine.ca.answer = lambda work: _waiting(work, MOVED)
    machine.core.certificates.generate_csr(certificate)
    machine.work()
    assert _noted(machine, certificate) == [("account", MOVED.text)]
