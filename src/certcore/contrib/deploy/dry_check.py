"""Check whether a deployment could succeed now, without changing anything: the folder, its owner, and the command."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from certcore.adapters.secure_directory import Owner, examine_folder
from certcore.contrib.deploy.record import explained
from certcore.errors import CertCoreError
from certcore.messages import Message
from certcore.model.finding import Finding, Severity

__all__ = ["check_deployment"]


def check_deployment(
    folder: Path, *, owner: str | int | None, group: str | int | None, command: Sequence[str]
) -> Iterator[Finding]:
    """What would prevent the files from being written or the command from being started.

    Args:
        folder: The directory of the files.
        owner: The owner of files and new directories.
        group: Their group.
        command: The program and its arguments; empty for none.
    """
    try:
        with explained(folder):
            examine_folder(folder, Owner.find(owner, group))
    except CertCoreError as error:
        yield Finding(
            code="target_not_writable",
            severity=Severity.ERROR,
            name="",
            seen=str(folder),
            cause=Message(
                "deploy.target_not_writable.cause", "The next deployment would fail: {reason}", {"reason": error.text}
            ),
            advice=Message("deploy.target_not_writable.advice", "{advice}", {"advice": error.advice_text}),
        )
    if command and not _can_run(command[0]):
        params = {"program": command[0]}
        yield Finding(
            code="command_not_executable",
            severity=Severity.ERROR,
            name="",
            seen=command[0],
            cause=Message("deploy.command_not_executable.cause", "The command {program} could not be started.", params),
            advice=Message(
                "deploy.command_not_executable.advice",
                "Check that {program} is there, and that the user that certcore runs as may execute it.",
                params,
            ),
        )


def _can_run(program: str) -> bool:
    may = os.access(program, os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    return may and Path(program).is_file()
