"""Findings as text for a terminal: the cause, then the remedy as DNS records that are ready to copy."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from certcore.cli.output import plain, shown_moment
from certcore.model.finding import Finding, Severity

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["draw_findings"]

_SIGNS: Final = MappingProxyType(
    {Severity.ERROR: ("✗", "red"), Severity.WARNING: ("!", "yellow"), Severity.INFO: ("·", "dim")}
)


def draw_findings(to: Console, findings: Sequence[Finding], indent: str = "") -> None:
    """Print findings.

    Args:
        to: The console.
        findings: The findings, the most important first.
        indent: Text in front of each line.
    """
    if not findings:
        to.print(f"{indent}✓ Nothing keeps the names from being validated.", style="green", soft_wrap=True)
    for finding in findings:
        sign, style = _SIGNS[finding.severity]
        to.print(f"{indent}{sign} {plain(finding.cause)} ({finding.code})", style=style, soft_wrap=True)
        to.print(f"{indent}  {plain(finding.advice)}", soft_wrap=True)
        for record in finding.remedy:
            shown = plain(f"{record.name} {record.type} {record.value}")
            to.print(f"{indent}  {record.change}:  {shown}", soft_wrap=True)
        if finding.next_look is not None:
            to.print(
                f"{indent}  It is looked at again at {shown_moment(finding.next_look)}.", style="dim", soft_wrap=True
            )
