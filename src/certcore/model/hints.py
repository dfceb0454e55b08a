"""Hints, the entries of the right column: typed values with a JSON form and no HTML.

Texts are `Message` values: a key with parameters and an English default, so that a panel can translate them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import frozen

from certcore.messages import Message
from certcore.model.finding import Finding
from certcore.model.form import FormField
from certcore.model.json_form import json_form

__all__ = [
    "ActionButton",
    "DnsRecord",
    "DnsRecords",
    "Fact",
    "Facts",
    "Form",
    "Hint",
    "Level",
    "Link",
    "Message",
    "Notice",
    "RecordState",
    "Refresh",
    "Step",
    "StepState",
    "Steps",
    "hint_to_json",
]


class Level(StrEnum):
    """The importance of a notice."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class RecordState(StrEnum):
    """The state of a DNS record that the owner has to set."""

    #: Not checked yet.
    UNKNOWN = "unknown"
    MISSING = "missing"
    WRONG = "wrong"
    CORRECT = "correct"
    #: The DNS servers gave no reliable answer.
    UNREACHABLE = "unreachable"


class StepState(StrEnum):
    """The state of a step of the issuance."""

    DONE = "done"
    CURRENT = "current"
    WAITING = "waiting"
    FAILED = "failed"


@frozen
class Notice:
    """A paragraph."""

    level: Level
    text: Message


@frozen
class Fact:
    """A label and a value."""

    label: Message
    value: Message | str


@frozen
class Facts:
    """A small table of labels and values."""

    rows: tuple[Fact, ...]


@frozen(kw_only=True)
class DnsRecord:
    """A DNS record that the domain's owner has to set, with what the DNS has now."""

    #: The full name of the record, without a trailing dot.
    name: str
    type: str
    #: The value to set, ready to copy.
    value: str
    state: RecordState = RecordState.UNKNOWN
    #: The answer of the DNS servers, a value or a description; empty if they had none.
    seen: Message | str = ""
    #: When the DNS was queried.
    checked_at: datetime | None = None
    #: Why it is not correct, and what repairs it; a correct record may have one, too. The first matters most.
    findings: tuple[Finding, ...] = ()


@frozen
class DnsRecords:
    """The DNS records that the owner has to set."""

    rows: tuple[DnsRecord, ...]


@frozen(kw_only=True)
class Step:
    """One step of the issuance."""

    title: Message
    state: StepState
    detail: Message | str = ""
    at: datetime | None = None


@frozen
class Steps:
    """The steps from draft to active."""

    rows: tuple[Step, ...]


@frozen
class Form:
    """Fields that the user fills in while the certificate is a draft (the module's part of the form)."""

    fields: tuple[FormField, ...]


@frozen(kw_only=True)
class ActionButton:
    """A button for an action that the user can take now: `Certificates.run_action`, or that of a CA profile.

    A module need not return buttons for its own actions: they are added, and those that it returns are completed.
    """

    #: The action's name, for example ``check_now``.
    name: str
    label: Message
    #: The question to confirm it.
    confirm: Message | None = None
    #: What the action does, in a sentence.
    help: Message | None = None
    #: The values that it asks for; empty for an action that asks for none.
    fields: tuple[FormField, ...] = ()


@frozen
class Link:
    """A link to a page of the CA."""

    label: Message
    #: An https URL; the hints of a module with another one are not shown.
    url: str


@frozen
class Refresh:
    """Ask for the hints again after this many seconds."""

    after: float


#: The union of all hints.
Hint = Notice | Facts | DnsRecords | Steps | Form | ActionButton | Link | Refresh


def hint_to_json(hint: Hint) -> dict[str, Any]:
    """A hint as plain JSON data, with its kind under ``kind``."""
    kind = {"DnsRecords": "dns_records", "ActionButton": "action"}.get(type(hint).__name__, type(hint).__name__.lower())
    return {"kind": kind, **json_form(hint)}
