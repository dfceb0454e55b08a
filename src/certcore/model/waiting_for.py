"""Whom an issuance under way waits for."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["WaitingFor"]


class WaitingFor(StrEnum):
    """Whom an issuance waits for; this decides between pending and processing."""

    #: The domain's owner has something to do (set a CNAME).
    OWNER = "owner"
    #: The operator of the CA profile has to act: approve the request, or enter the leaf.
    ADMINISTRATOR = "administrator"
    #: The CA is at work.
    AUTHORITY = "authority"
    #: No action is needed: its turn has not come, because of a limit of the CA.
    TURN = "turn"
