"""The right column: what a CA module has to say about a certificate, as typed values with a JSON form and no HTML.

Texts are `Message` values: a key with parameters and an English default, so that a panel can translate them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from attrs import asdict, field, frozen

from certcore.model.form import FormField

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


@frozen
class Message:
    """A text that a panel can translate: ``str()`` gives the English one."""

    #: A stable key, for example ``puq_acme.pending.set_cname``.
    key: str
    #: The English text, with ``{name}`` where a parameter goes.
    text: str
    params: Mapping[str, Any] = field(factory=dict)

    def __str__(self) -> str:
        return self.text.format_map(self.params) if self.params else self.text

    def to_json(self) -> dict[str, Any]:
        """Key, finished English text and parameters."""
        return {"key": self.key, "text": str(self), "params": {name: str(one) for name, one in self.params.items()}}


class Level(StrEnum):
    """How much a notice matters."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class RecordState(StrEnum):
    """What was seen of a DNS record that the owner is to set."""

    #: Not looked at yet.
    UNKNOWN = "unknown"
    MISSING = "missing"
    WRONG = "wrong"
    CORRECT = "correct"
    #: The DNS servers did not give an answer to rely on.
    UNREACHABLE = "unreachable"


class StepState(StrEnum):
    """How far a step of the way is."""

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
    value: str


@frozen
class Facts:
    """A small table of labels and values."""

    rows: tuple[Fact, ...]


@frozen(kw_only=True)
class DnsRecord:
    """A DNS record that the domain's owner sets, with what was seen instead."""

    #: The whole name of the record, without a trailing dot.
    name: str
    type: str
    #: The value to set, copy-ready.
    value: str
    state: RecordState = RecordState.UNKNOWN
    #: What the DNS servers answered, in words or as the value found; empty when nothing was.
    seen: str = ""
    #: When that was.
    checked_at: datetime | None = None


@frozen
class DnsRecords:
    """The records that the owner is to set."""

    rows: tuple[DnsRecord, ...]


@frozen(kw_only=True)
class Step:
    """One step of the way."""

    title: Message
    state: StepState
    detail: str = ""
    at: datetime | None = None


@frozen
class Steps:
    """The way from draft to active, as a timeline."""

    rows: tuple[Step, ...]


@frozen
class Form:
    """Fields that the user fills in while the certificate is a draft (the module's part of the form)."""

    fields: tuple[FormField, ...]


@frozen(kw_only=True)
class ActionButton:
    """Something that the user can do now."""

    #: The action's name, for example ``check_now``.
    name: str
    label: Message
    #: A question to ask first.
    confirm: Message | None = None


@frozen
class Link:
    """A link to a page of the CA."""

    label: Message
    url: str


@frozen
class Refresh:
    """Ask for the hints again after this many seconds."""

    after: float


#: Everything that the right column may hold.
Hint = Notice | Facts | DnsRecords | Steps | Form | ActionButton | Link | Refresh


def hint_to_json(hint: Hint) -> dict[str, Any]:
    """A hint as plain JSON data, with its kind under ``kind``."""
    if isinstance(hint, Form):
        return {"kind": "form", "fields": [one.to_json() for one in hint.fields]}
    kind = {"DnsRecords": "dns_records", "ActionButton": "action"}.get(type(hint).__name__, type(hint).__name__.lower())
    return {"kind": kind, **{name: _plain(getattr(hint, name)) for name in asdict(hint, recurse=False)}}


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return value.to_json()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "__attrs_attrs__"):
        return {name: _plain(one) for name, one in asdict(value, recurse=False).items()}
    return str(value) if isinstance(value, StrEnum) else value
