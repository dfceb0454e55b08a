"""Hints as text for a terminal, with DNS records ready to copy."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from certcore.cli.output import facts, plain, shown_moment
from certcore.model.hints import (
    ActionButton,
    DnsRecord,
    DnsRecords,
    Facts,
    Form,
    Hint,
    Level,
    Link,
    Notice,
    RecordState,
    Refresh,
    Steps,
    StepState,
)

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["draw_hints", "draw_records"]

_LEVELS: Final = MappingProxyType(
    {Level.INFO: "", Level.SUCCESS: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}
)
_RECORDS: Final = MappingProxyType(
    {
        RecordState.UNKNOWN: ("·", "dim", "not checked yet"),
        RecordState.MISSING: ("✗", "yellow", "not finding yet"),
        RecordState.WRONG: ("✗", "red", "has another value"),
        RecordState.CORRECT: ("✓", "green", "correct"),
        RecordState.UNREACHABLE: ("?", "yellow", "the DNS servers gave no usable answer"),
    }
)
_STEPS: Final = MappingProxyType(
    {
        StepState.DONE: ("✓", "green"),
        StepState.CURRENT: ("→", "cyan"),
        StepState.WAITING: ("·", "dim"),
        StepState.FAILED: ("✗", "red"),
    }
)
#: The commands for the actions that a panel shows as buttons.
_COMMANDS: Final = MappingProxyType(
    {"generate_csr": "csr", "check_now": "check", "preflight": "preflight", "renew": "renew"}
)


def draw_hints(to: Console, hints: Sequence[Hint], certificate: str) -> None:
    """Print hints.

    Args:
        to: The console.
        hints: The hints.
        certificate: The certificate's reference in the suggested commands.
    """
    for hint in hints:
        match hint:
            case Notice():
                to.print(plain(hint.text), style=_LEVELS[hint.level])
            case Facts():
                to.print(facts((str(row.label), row.value) for row in hint.rows))
            case DnsRecords():
                draw_records(to, hint.rows)
            case Steps():
                _draw_steps(to, hint)
            case ActionButton():
                if hint.name in _COMMANDS:
                    to.print(f"{plain(hint.label)}: certcore cert {_COMMANDS[hint.name]} {certificate}", style="cyan")
                elif hint.help is not None and certificate:  # an action of the CA module
                    to.print(f"{plain(hint.label)}: certcore cert run {certificate} {hint.name}", style="cyan")
            case Link():
                to.print(f"{plain(hint.label)}: {plain(hint.url)}", soft_wrap=True)
            case Form() | Refresh():
                pass  # for web pages: the command line has options, and the user repeats the command


def draw_records(to: Console, rows: Sequence[DnsRecord]) -> None:
    """Print the DNS records that the owner has to set: each on a line that is ready to copy, with its state below."""
    if not rows:
        return
    name, kind = max(len(row.name) for row in rows), max(len(row.type) for row in rows)
    to.print(f"  {'NAME':{name}}  {'TYPE':{kind}}  VALUE", style="dim", soft_wrap=True)
    for row in rows:
        # soft_wrap: rich must not break lines, because users copy them.
        to.print(f"  {plain(row.name):{name}}  {row.type:{kind}}  {plain(row.value)}", soft_wrap=True)
        sign, style, words = _RECORDS[row.state]
        shown = f": {plain(row.seen)}" if row.seen and row.state is not RecordState.CORRECT else ""
        when = f" (checked {shown_moment(row.checked_at)})" if row.checked_at else ""
        to.print(f"  {'':{name}}  {sign} {words}{shown}{when}", style=style, soft_wrap=True)
        for finding in row.findings:
            to.print(f"  {'':{name}}    {plain(finding.cause)} {plain(finding.advice)}", style=style, soft_wrap=True)


def _draw_steps(to: Console, steps: Steps) -> None:
    for row in steps.rows:
        sign, style = _STEPS[row.state]
        when = f"  {shown_moment(row.at)}" if row.at else ""
        detail = f"  {plain(row.detail)}" if row.detail else ""
        to.print(f"  {sign} {plain(row.title)}{when}{detail}", style=style, soft_wrap=True)
