"""Findings of checks: certain and possible obstacles to an issuance, and how to remove them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from attrs import frozen

from certcore.messages import Message

__all__ = ["Change", "Finding", "RecordChange", "Severity", "most_severe"]


class Severity(StrEnum):
    """The severity of a finding."""

    #: No certificate can be issued until it is repaired.
    ERROR = "error"
    #: An issuance may fail, now or later.
    WARNING = "warning"
    #: No action is needed.
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the most severe."""
        return list(Severity).index(self)


class Change(StrEnum):
    """The change of a DNS record."""

    SET = "set"
    REMOVE = "remove"


@frozen(kw_only=True)
class RecordChange:
    """A DNS record that has to be set or removed, ready to copy."""

    #: The full name of the record, A-labels without a trailing dot.
    name: str
    #: CNAME, TXT, CAA, NS, DS, A or AAAA.
    type: str
    #: The value in presentation format; empty for all records of this type.
    value: str
    change: Change = Change.SET

    def __str__(self) -> str:
        return f"{self.change} {self.name} {self.type} {self.value}".strip()


@frozen(kw_only=True)
class Finding:
    """One finding of a check."""

    #: A stable identifier in snake_case.
    code: str
    severity: Severity
    #: The DNS name that the finding is about, as A-labels without a trailing dot.
    name: str
    #: The DNS server that the finding is about, with its address; empty if it is not about a single server.
    server: str = ""
    #: The expected value, or a description.
    expected: Message | str = ""
    #: The observed value, or a description.
    seen: Message | str = ""
    #: The cause, in a sentence.
    cause: Message
    #: What to do about it, in a sentence.
    advice: Message
    #: The exact records to set or to remove; empty if the remedy is something else.
    remedy: tuple[RecordChange, ...] = ()
    #: When the next automatic check runs, UTC; None if there is none.
    next_look: datetime | None = None

    def __str__(self) -> str:
        return f"{self.cause} {self.advice}".strip()


def most_severe(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings by severity, the most severe first. Findings of equal severity keep their order."""
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))
