"""The ``certcore`` command. Needs the extra ``cli`` (typer and rich)."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

__all__ = ["main"]

#: What the extra ``cli`` installs.
_EXTRA = frozenset({"annotated_doc", "click", "pydantic", "rich", "shellingham", "typer"})


def main() -> None:
    """Run the command with the arguments of this process, and exit.

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    try:
        _run()
    except KeyboardInterrupt:
        sys.exit(130)


def _run() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            # Characters that the terminal cannot encode are printed as question marks.
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    # Each command prints one line for every unusable plugin itself.
    logging.getLogger("certcore.adapters.plugins.loading").setLevel(logging.CRITICAL)
    try:
        from certcore.cli.app import app  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _EXTRA:
            raise
        print(
            f"Error: the certcore command needs the package {error.name!r}, which is not installed.\n"
            "Install the extra: pip install 'certcore[cli]'",
            file=sys.stderr,
        )
        sys.exit(1)
    from certcore.cli.output import describe_bug  # noqa: PLC0415

    try:
        app(prog_name="certcore")
    except Exception as error:  # boundary: an unexpected exception is reported as a bug
        if os.environ.get("CERTCORE_DEBUG") == "1":
            raise
        print(describe_bug(error), file=sys.stderr)
        sys.exit(1)
