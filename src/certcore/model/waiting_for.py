"""Whom an issuance under way waits for."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["WaitingFor"]


class WaitingFor(StrEnum):
    """Whom an issuance waits for. With `AUTHORITY` the certificate is processing, otherwise pending."""

    #: The domain's owner has to act, for example set a CNAME.
    OWNER = "owner"
    #: The operator of the CA profile has to act: approve the request, or enter the leaf.
    ADMINISTRATOR = "administrator"
    #: The CA is working on the order.
    AUTHORITY = "authority"
    #: Nobody has to act: the issuance waits for its turn because of a rate limit of the CA.
    TURN = "turn"
