"""Make a finding about DNS records from its code and the observations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from certcore.messages import Message
from certcore.model.finding import Finding, RecordChange, Severity
from certcore.net.foreign_text import printable
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.finding_codes import FINDING_CODES

__all__ = ["finding"]

#: How many characters of a DNS answer are shown.
_LONGEST_SHOWN: Final = 500


def finding(
    code: DnsCode,
    *,
    name: str,
    severity: Severity | None = None,
    remedy: Iterable[RecordChange] = (),
    **params: Any,
) -> Finding:
    """A finding with the texts of the table.

    Args:
        code: What was found.
        name: The DNS name that the finding is about.
        severity: A lower severity than the usual one.
        remedy: The records to set or remove.
        params: ``server``, ``expected``, ``seen``, and further parameters of the texts. They may be untrusted: they are
            made printable and shortened.
    """
    row = FINDING_CODES[code]
    shown = {key: _printable(value) for key, value in {"name": name, **params}.items()}
    usual = {"server": "", "expected": "", "seen": "", **shown}
    key = f"puq_acme.finding.{code}"
    return Finding(
        code=str(code),
        severity=severity or row.severity,
        name=str(usual["name"]),
        server=str(usual["server"]),
        expected=usual["expected"],
        seen=usual["seen"],
        cause=Message(f"{key}.cause", row.cause, usual),  # text: FINDING_CODES
        advice=Message(f"{key}.advice", row.advice, usual),  # text: FINDING_CODES
        remedy=tuple(remedy),
    )


def _printable(value: object) -> Message | str:
    """A text, or a message with its parameters, as it can be shown."""
    if not isinstance(value, Message):
        return printable(str(value), _LONGEST_SHOWN)
    params = {name: _printable_param(param) for name, param in value.params.items()}
    return Message(value.key, value.text, params, singular=value.singular)  # text: the message itself


def _printable_param(value: object) -> object:
    return tuple(_printable(item) for item in value) if isinstance(value, tuple) else _printable(value)
