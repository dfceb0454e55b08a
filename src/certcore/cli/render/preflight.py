"""A preflight as text for a terminal: whether a renewal would succeed, who has to act, and the obstacles."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from certcore.cli.output import plain, shown_moment
from certcore.cli.render.findings import draw_findings
from certcore.model.preflight import Preflight
from certcore.model.readiness import WhoseTurn

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["draw_preflight"]

_TURNS: Final = MappingProxyType(
    {
        WhoseTurn.OWNER: "The owner of the domain has to repair this:",
        WhoseTurn.ADMINISTRATOR: "The administrator has to repair this:",
        WhoseTurn.NOBODY: "Nobody has to do anything about this:",
    }
)


def draw_preflight(to: Console, domain: str, preflight: Preflight) -> None:
    """Print the result of a preflight.

    Args:
        to: The console.
        domain: The certificate's domain, as text.
        preflight: The result.
    """
    readiness = preflight.readiness
    if readiness is None:
        text = "there is nothing to check. It needs a leaf in service and a CA profile, and no issuance under way."
        to.print(f"{plain(domain)}: {text}", soft_wrap=True)
        return
    if readiness.is_ready:
        to.print(f"✓ {plain(domain)} could be renewed now.", style="green", soft_wrap=True)
    else:
        to.print(f"✗ {plain(domain)} could not be renewed now.", style="red", soft_wrap=True)
    for whose_turn, heading in _TURNS.items():
        obstacles = [obstacle for obstacle in readiness.obstacles if obstacle.whose_turn is whose_turn]
        if obstacles:
            to.print(heading)
            draw_findings(to, [obstacle.finding for obstacle in obstacles], "  ")
    if preflight.version:  # version 0: the preflight is not stored, and not repeated automatically
        to.print(f"The next automatic check is at {shown_moment(preflight.due_at)}.", style="dim", soft_wrap=True)
