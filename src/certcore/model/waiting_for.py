"""Whom an issuance under way waits for."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["WaitingFor"]


class WaitingFor(StrEnum):
    """Whom an attempt waits for: it decides between pending and processing."""

    #: The domain's owner has something to do (set a CNAME).
    OWNER = "owner"
    #: Whoever runs the CA profile has something to do: approve the request, or enter the leaf.
    ADMINISTRATOR = "administrator"
    #: The CA is at work.
    AUTHORITY = "authority"
    #: Nobody has to do anything: its turn has not come, because of a limit of the CA.
    TURN = "turn"
