"""Findings of a check: obstacles to an issuance, certain or possible, and how to remove them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from certcore.messages import Message

__all__ = ["Change", "Finding", "RecordChange", "Severity", "most_severe"]


class Severity(StrEnum):
    """How much a finding matters."""

    #: No certificate is issued until it is repaired.
    ERROR = "error"
    #: Issuance can succeed, but it may fail, now or later.
    WARNING = "warning"
    #: No action is needed.
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


class Change(StrEnum):
    """What to do with a DNS record."""

    SET = "set"
    REMOVE = "remove"


@frozen(kw_only=True)
class RecordChange:
    """A DNS record that has to be set or removed, ready to copy."""

    #: The full name of the record, A-labels without a trailing dot.
    name: str
    #: CNAME, TXT, CAA, NS, DS, A or AAAA.
    type: str
    #: In presentation form; empty where every record of that type is meant.
    value: str
    change: Change = Change.SET

    def __str__(self) -> str:
        return f"{self.change} {self.name} {self.type} {self.value}".strip()


@frozen(kw_only=True)
class Finding:
    """One finding of a check."""

    #: Stable, in snake_case; for programs.
    code: str
    severity: Severity
    #: The DNS name that it is about, A-labels without a trailing dot.
    name: str
    #: The DNS server that showed it, with its address; empty where it is about no single server.
    server: str = ""
    #: The expected and the observed value, or a description.
    expected: Message | str = ""
    seen: Message | str = ""
    #: The cause, in a sentence.
    cause: Message
    #: What to do about it, in a sentence.
    advice: Message
    #: The exact records to set or to remove; empty where the remedy is no record.
    remedy: tuple[RecordChange, ...] = ()
    #: When it is checked again; None when it is not checked automatically.
    next_look: datetime | None = None

    def __str__(self) -> str:
        return f"{self.cause} {self.advice}".strip()


def most_severe(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings by severity, the most severe first; otherwise in the given order."""
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))
