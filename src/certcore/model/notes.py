"""Notes of a CA module for a certificate's timeline, beside the events of the engine."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from attrs import frozen

from certcore.messages import Message

__all__ = ["LONGEST_NOTE", "MOST_NOTES", "Note", "NoteSubject"]

#: How many characters of a note's text are kept.
LONGEST_NOTE: Final = 500
#: How many notes a step may have, and how many different ones are kept of an issuance.
MOST_NOTES: Final = 20


class NoteSubject(StrEnum):
    """What a note is about."""

    #: The account at the CA; for example, another account is used than before.
    ACCOUNT = "account"
    #: The CA; for example, it has changed its terms or its offers.
    AUTHORITY = "authority"
    #: The names, or what their owner has set in the DNS.
    NAMES = "names"
    #: The order, or the leaf.
    ORDER = "order"


@frozen(kw_only=True)
class Note:
    """One note, which becomes an event of the kind `EventKind.NOTED` in the transaction that stores the step.

    The same note is kept once for each issuance: a module may return it with every step for which it holds.
    """

    about: NoteSubject
    #: A text for users, without secrets; a message can be translated. No more than `LONGEST_NOTE` characters are kept,
    #: on one line.
    text: str | Message
