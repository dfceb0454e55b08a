"""Hints, the entries of the right column: typed values with a JSON form, without HTML.

Texts are `Message` values with a key, parameters and an English text, so that a panel can translate them.
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
    """A DNS record that the domain's owner has to set, with its present state in the DNS."""

    #: The full name of the record, without a trailing dot.
    name: str
    type: str
    #: The value to set, ready to copy.
    value: str
    state: RecordState = RecordState.UNKNOWN
    #: The answer of the DNS servers, a value or a description; empty if they had none.
    seen: Message | str = ""
    #: When the DNS was queried, UTC; None if it was not queried yet.
    checked_at: datetime | None = None
    #: Why the record is not correct and how to repair it, the most important first. A correct record may have findings,
    #: too.
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
    """The CA module's part of the form, which the user fills in while the certificate is a draft."""

    fields: tuple[FormField, ...]


@frozen(kw_only=True)
class ActionButton:
    """A button for an action of the CA module: `Certificates.run_action` or `Authorities.run_action`.

    A module need not return buttons for its own actions: certcore adds missing buttons, and completes the returned
    ones.
    """

    #: The action's name, for example ``check_now``.
    name: str
    label: Message
    #: A question to ask before the action; None for no question.
    confirm: Message | None = None
    #: What the action does, in one sentence.
    help: Message | None = None
    #: The values that the action needs; may be empty.
    fields: tuple[FormField, ...] = ()


@frozen
class Link:
    """A link to a page of the CA."""

    label: Message
    #: An https URL. If a module returns any other URL, none of its hints are shown.
    url: str


@frozen
class Refresh:
    """The page should load the hints again later."""

    #: Seconds to wait.
    after: float


#: The union of all hints.
Hint = Notice | Facts | DnsRecords | Steps | Form | ActionButton | Link | Refresh


def hint_to_json(hint: Hint) -> dict[str, Any]:
    """A hint as plain JSON data, with its kind under ``kind``."""
    kind = {"DnsRecords": "dns_records", "ActionButton": "action"}.get(type(hint).__name__, type(hint).__name__.lower())
    return {"kind": kind, **json_form(hint)}
