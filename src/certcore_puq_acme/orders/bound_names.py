"""Let only the owner to whom a name is bound order for it, if the name's label is the same for every owner.

See `certcore_puq_acme.dns.name_owners`.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from certcore.errors import PluginError
from certcore.model.hints import Message
from certcore.model.problem import Problem
from certcore_puq_acme.dns.delegation import Delegation
from certcore_puq_acme.dns.name_owners import Claim, bind_name, claim_name
from certcore_puq_acme.orders.attempt import Attempt
from certcore_puq_acme.orders.hosted_names import seen_hosted
from certcore_puq_acme.orders.state import HostedState, SeenHosted

__all__ = ["bind_names", "claim_names"]

_STATES: Final = MappingProxyType(
    {Claim.REFUSED: HostedState.REFUSED, Claim.TAKEN: HostedState.TAKEN, Claim.CLAIMED: HostedState.CLAIMED}
)


def claim_names(attempt: Attempt) -> tuple[SeenHosted, ...]:
    """Claim the names for the certificate's owner, before an order is placed.

    Returns:
        The reason for each name that belongs to another owner; empty if the labels differ by owner.
    """
    return tuple(_refusals(attempt))


def bind_names(attempt: Attempt) -> Problem | None:
    """Bind the names to the certificate's owner, after the CA has validated them and before it issues.

    Returns:
        The problem if another owner has claimed or proved a name meanwhile, so that nothing may be issued; else None.
    """
    lost = next((each.base for each in _adopted(attempt) if not bind_name(attempt.work, each)), None)
    if lost is None:
        return None
    return Problem(
        type="urn:certcore:name-taken",
        title=Message(
            "puq_acme.problem.name_taken",
            "{name} was validated for another owner meanwhile, so no certificate is issued for it here.",
            {"name": lost},
        ),
        advice=Message(
            "puq_acme.problem.name_taken.advice",
            "If the domain now belongs to this owner, an administrator can release it with an action of the CA "
            "profile.",
        ),
    )


def _refusals(attempt: Attempt) -> Iterator[SeenHosted]:
    for delegation in _adopted(attempt):
        try:
            claim = claim_name(attempt.work, delegation)
        except PluginError as error:
            failed = HostedState.UNANSWERED
            yield seen_hosted(delegation.name, failed, error.text, error.advice_text, is_denied=True)
            continue
        if claim in _STATES:
            yield seen_hosted(delegation.name, _STATES[claim], is_denied=True)


def _adopted(attempt: Attempt) -> Iterator[Delegation]:
    return (delegation for delegation in attempt.delegations if delegation.is_adopted)
