"""Output of the command: results on stdout (as text or one JSON document), everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import typer
from attrs import define, field

from certcore import messages
from certcore.cli.errors import InternalError
from certcore.cli.options import FAILED
from certcore.errors import CAError, CertCoreError, FileError
from certcore.model.lifecycle import Status
from certcore.serialization import error_document

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = [
    "Output",
    "cell",
    "console",
    "describe_bug",
    "facts",
    "plain",
    "reporting",
    "shown_moment",
    "status_cell",
    "table",
    "time_left",
]

#: The width of the output in columns when stdout is not a terminal. Table rows then stay on one line, for grep.
_WIDE: Final = 200
_STYLES: Final = MappingProxyType(
    {
        Status.DRAFT: "dim",
        Status.PENDING: "yellow",
        Status.PROCESSING: "cyan",
        Status.ACTIVE: "green",
        Status.EXPIRED: "red",
        Status.ERROR: "red",
        Status.REVOKED: "red",
    }
)


@define
class Output:
    """Prints the results and messages of a command."""

    #: Print one JSON document on stdout instead of text.
    as_json: bool
    _stderr: Console | None = field(default=None, init=False, repr=False)

    def result(self, document: Mapping[str, Any], draw: Callable[[Console], None]) -> None:
        """Print a command's result, once.

        Args:
            document: The result for machines.
            draw: Prints the result as text.
        """
        if self.as_json:
            print(json.dumps(document, indent=2))  # plain ASCII: readable in any locale
        else:
            draw(console())
        sys.stdout.flush()

    def note(self, text: str, style: str = "", *, lines: bool = False) -> None:
        """Print a message on stderr that is not part of the result; with `lines`, line breaks are kept."""
        self.stderr.print(plain(text, lines=lines), style=style, soft_wrap=True)

    @property
    def stderr(self) -> Console:
        """The console on stderr, shared so that a spinner and the lines above it do not mix."""
        if self._stderr is None:
            self._stderr = console(stderr=True)
        return self._stderr

    def error(self, error: CertCoreError) -> None:
        """Print an error with its advice on stderr. With ``--json``, print it as JSON on stdout, too."""
        if self.as_json:
            print(json.dumps(error_document(error), indent=2), flush=True)
        self.note(f"Error: {error.message}", "bold red")
        if isinstance(error, CAError) and error.detail and error.detail not in error.message:
            self.note(f"The CA said: {error.detail}")
        if error.advice:
            self.note(error.advice)


@contextmanager
def reporting(*, as_json: bool) -> Iterator[Output]:
    """Run a command's body. Errors become a message and exit code 1; unexpected exceptions are reported as bugs."""
    output = Output(as_json)
    try:
        yield output
    except (typer.Exit, typer.Abort, typer.BadParameter, BrokenPipeError):
        raise
    except CertCoreError as error:
        output.error(error)
        raise typer.Exit(FAILED) from None
    except OSError as error:  # a file system error that no caller has explained
        subject = f" for {error.filename}" if error.filename else ""
        output.error(FileError(f"The system reported an error{subject}: {error.strerror or type(error).__name__}."))
        raise typer.Exit(FAILED) from None
    except Exception as error:  # boundary: a bug ends the command with a message, not with a traceback
        if os.environ.get("CERTCORE_DEBUG") == "1":
            traceback.print_exc()
        bug = InternalError(describe_bug(error))
        output.error(bug)
        raise typer.Exit(FAILED) from None


def describe_bug(error: BaseException) -> str:
    """The message for an unexpected exception, without the exception's own text, which may contain secrets."""
    return (
        f"This is a bug in certcore or in a plugin ({type(error).__name__}). Please report it with the steps that led "
        "to it; CERTCORE_DEBUG=1 shows the traceback."
    )


def console(*, stderr: bool = False) -> Console:
    """A console that prints text unchanged: no markup, no emoji codes, no highlighting."""
    from rich.console import Console  # noqa: PLC0415 - rich costs a tenth of a second

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)


def plain(text: object, *, lines: bool = False) -> str:
    """Text without control sequences or extra lines, safe to print on a terminal.

    A CA's answer or a plugin's text may contain control characters. They become U+FFFD; line breaks become spaces.

    Args:
        text: The text.
        lines: Keep line breaks. Only for places, such as a table cell, where a new line cannot pass for certcore's own
            output.
    """
    shown = str(text) if lines else " ".join(str(text).splitlines())
    return "".join(
        character if character.isprintable() or (lines and character == "\n") else "\N{REPLACEMENT CHARACTER}"
        for character in shown
    )


def cell(text: object, style: str = "") -> Text:
    """Unformatted text for a table."""
    from rich.text import Text  # noqa: PLC0415 - see console

    return Text(plain(text, lines=True), style=style)


def status_cell(status: Status) -> Text:
    """A status in its colour."""
    return cell(status, _STYLES[status])


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table with a line under its headers; long values are wrapped, never truncated."""
    from rich import box  # noqa: PLC0415 - see console
    from rich.table import Table  # noqa: PLC0415

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for header in headers:
        made.add_column(header, overflow="fold")
    for row in rows:
        made.add_row(*(_as_cell(value) for value in row))
    return made


def facts(rows: Iterable[tuple[str, object]]) -> Table:
    """A table of labels and values, without the rows whose value is empty."""
    from rich.table import Table  # noqa: PLC0415 - see console

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for label, value in rows:
        if str(value):
            made.add_row(plain(label), _as_cell(value))
    return made


def shown_moment(moment: datetime | None) -> str:
    """A time as text in UTC, as certcore shows all times; empty for None."""
    return messages.shown_moment(moment, seconds=True)


def time_left(end: datetime, now: datetime) -> str:
    """How long a leaf is still valid, or how long ago it expired."""
    days = abs(end - now).days
    count = {0: "less than a day", 1: "1 day"}.get(days, f"{days} days")
    return f"{count} remaining" if now < end else f"expired {count} ago"


def _as_cell(value: object) -> Text:
    from rich.text import Text  # noqa: PLC0415 - see console

    return value if isinstance(value, Text) else cell(value)
