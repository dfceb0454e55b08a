"""List the actions that CA modules offer, and run one of them after its confirmation question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from certcore.cli.arguments import confirmed, values_of
from certcore.cli.options import FAILED
from certcore.cli.output import plain, table
from certcore.model.form import fields_of
from certcore.ports.module_actions import CertificateAction, ProfileAction

if TYPE_CHECKING:
    from rich.console import Console

    from certcore.cli.session import Session
    from certcore.services.authorities import Authorities
    from certcore.services.certificates import Certificates

__all__ = ["report_actions", "run_offered"]


def report_actions(
    session: Session, offered: Sequence[ProfileAction] | Sequence[CertificateAction], command: str
) -> None:
    """Print the offered actions, and the settings of each.

    Args:
        session: The open store.
        offered: The actions.
        command: The command that runs an action, without ``certcore`` and without the action's name.
    """
    documents = [
        {
            "name": action.name,
            "label": str(action.label),
            "help": str(action.help),
            "fields": [field.to_json() for field in fields_of(action.form)],
        }
        for action in offered
    ]

    def draw(to: Console) -> None:
        if not offered:
            to.print("There are no actions now.")
            return
        rows = [
            (action.name, ", ".join(field.name for field in fields_of(action.form)), str(action.help))
            for action in offered
        ]
        to.print(table(("ACTION", "SETTINGS", "DESCRIPTION"), rows))
        to.print(f"Run one: certcore {command} ACTION")

    session.output.result({"actions": documents}, draw)


def run_offered(
    session: Session,
    calls: Authorities | Certificates,
    target: str,
    action: str,
    pairs: Sequence[tuple[str, str]],
    *,
    yes: bool,
) -> None:
    """Run an action of a CA profile or a certificate, after its confirmation question, and print the result.

    Args:
        session: The open store.
        calls: ``core.authorities`` or ``core.certificates``.
        target: The ID of the CA profile or the certificate.
        action: The action's name. If it is not offered, the call raises an error with the names of the offered actions.
        pairs: Name and text of each ``--set`` option.
        yes: Whether to run the action without asking.

    Raises:
        typer.Exit: The user did not confirm.
    """
    offered: Sequence[ProfileAction | CertificateAction] = calls.actions(target, actor=session.actor)
    chosen = next((each for each in offered if each.name == action), None)
    question = None if chosen is None else chosen.confirm
    if question is not None and not yes and not confirmed(str(question)):
        session.output.note("Nothing was done.")
        raise typer.Exit(FAILED)
    values = values_of(pairs, () if chosen is None else fields_of(chosen.form))
    done = calls.run_action(target, action, values, actor=session.actor)
    session.output.result({"done": done.to_json()}, lambda to: to.print(plain(done), style="green"))
