"""Notes, which CA modules add to the timeline of a certificate."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from certcore.messages import Message

__all__ = ["LONGEST_NOTE", "MOST_NOTES", "Note", "NoteSubject"]

#: The largest number of characters of a note's text that are kept.
LONGEST_NOTE: Final = 500
#: The largest number of notes of a step, and of different notes that are kept for an issuance.
MOST_NOTES: Final = 20


class NoteSubject(StrEnum):
    """The subject of a note."""

    #: The account at the CA; for example, another account is used than before.
    ACCOUNT = "account"
    #: The CA; for example, it has changed its terms or its offers.
    AUTHORITY = "authority"
    #: The names, or their DNS records.
    NAMES = "names"
    #: The order, or the leaf.
    ORDER = "order"


@frozen(kw_only=True)
class Note:
    """A note. It is stored with the step that returned it, as an event of the kind `EventKind.NOTED`.

    Each issuance keeps the same note only once, so a module may return a note with every step for which it is true.
    """

    #: The subject of the note.
    about: NoteSubject
    #: A text or translatable message for users, without secrets. It is kept on one line, at most `LONGEST_NOTE`
    #: characters.
    text: str | Message
