"""The buttons of a certificate's page: actions with their texts and methods."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, field, frozen

from certcore.messages import Message
from certcore.model.lifecycle import Action, Status
from certcore.model.read_only import read_only

__all__ = ["OFFERS", "Offer", "in_order"]


@frozen(kw_only=True)
class Offer:
    """A button for an action that the actor can take now."""

    action: Action
    label: Message
    #: What the action does, in one sentence.
    help: Message
    #: The method of `CertCore.certificates` that runs the action. Its first argument is the certificate's ID.
    method: str
    #: Further fixed arguments of the method.
    arguments: Mapping[str, Any] = field(factory=dict, converter=read_only)
    #: The names of arguments that the user must enter: the ``reason`` of an export or a revocation, or the
    #: ``authority`` of a reissue if the certificate has no CA profile. Changes of fields come from the form.
    asks: tuple[str, ...] = ()
    #: A question to ask before the action; None for no question.
    confirm: Message | None = None
    #: Whether the action destroys something permanently.
    is_destructive: bool = False
    #: Whether this is the usual next action; at most one offer is.
    is_primary: bool = False


#: The offers for users' actions, in the order of the page.
OFFERS: Final[Mapping[Action, Offer]] = MappingProxyType(
    {
        Action.GENERATE_CSR: Offer(
            action=Action.GENERATE_CSR,
            label=Message("offer.generate_csr", "Generate CSR"),
            help=Message("offer.generate_csr.help", "Makes the private key and the CSR, and begins the issuance."),
            method="generate_csr",
        ),
        Action.CHECK_NOW: Offer(
            action=Action.CHECK_NOW,
            label=Message("offer.check_now", "Check now"),
            help=Message("offer.check_now.help", "Takes the next step now instead of waiting for the next check."),
            method="check_now",
        ),
        Action.RENEW: Offer(
            action=Action.RENEW,
            label=Message("offer.renew", "Renew now"),
            help=Message("offer.renew.help", "Requests a new leaf; the current one stays in service until then."),
            method="renew",
        ),
        Action.EDIT: Offer(
            action=Action.EDIT,
            label=Message("offer.edit", "Save"),
            help=Message("offer.edit.help", "Saves the fields, without contacting the CA."),
            method="edit",
        ),
        Action.REISSUE: Offer(
            action=Action.REISSUE,
            label=Message("offer.reissue", "Reissue"),
            help=Message("offer.reissue.help", "Requests a new leaf with the changed fields."),
            method="reissue",
            confirm=Message(
                "offer.reissue.confirm", "Request a new certificate? An issuance that is under way is cancelled."
            ),
        ),
        Action.CANCEL_ATTEMPT: Offer(
            action=Action.CANCEL_ATTEMPT,
            label=Message("offer.cancel_attempt", "Cancel the issuance"),
            help=Message("offer.cancel_attempt.help", "Cancels the issuance; the leaf stays in service."),
            method="cancel_attempt",
            confirm=Message("offer.cancel_attempt.confirm", "Cancel the issuance? Its private key is destroyed."),
            is_destructive=True,
        ),
        Action.BACK_TO_DRAFT: Offer(
            action=Action.BACK_TO_DRAFT,
            label=Message("offer.back_to_draft", "Back to draft"),
            help=Message("offer.back_to_draft.help", "Cancels the issuance, so that all fields can be changed."),
            method="back_to_draft",
            confirm=Message("offer.back_to_draft.confirm", "Cancel the issuance? Its private key is destroyed."),
            is_destructive=True,
        ),
        Action.EXPORT: Offer(
            action=Action.EXPORT,
            label=Message("offer.export", "Export"),
            help=Message("offer.export.help", "The certificate, its chain and its private key, as files."),
            method="export",
            asks=("format", "reason"),
        ),
        Action.REVOKE: Offer(
            action=Action.REVOKE,
            label=Message("offer.revoke", "Revoke"),
            help=Message("offer.revoke.help", "Asks the CA to declare the certificate in service invalid."),
            method="revoke",
            asks=("reason",),
            confirm=Message(
                "offer.revoke.confirm",
                "Revoke the certificate? Clients reject servers that use it, and this cannot be undone.",
            ),
            is_destructive=True,
        ),
        Action.DELETE: Offer(
            action=Action.DELETE,
            label=Message("offer.delete", "Delete"),
            help=Message("offer.delete.help", "Deletes the certificate with its private keys; its timeline stays."),
            method="delete",
            confirm=Message(
                "offer.delete.confirm", "Delete the certificate and its private keys? This cannot be undone."
            ),
            is_destructive=True,
        ),
    }
)
#: An export without the private key: the actor may not have the key, or it is not stored.
_WITHOUT_KEY: Final = evolve(
    OFFERS[Action.EXPORT],
    label=Message("offer.export_public", "Download"),
    help=Message("offer.export_public.help", "The certificate and its chain, without the private key."),
    arguments={"with_key": False},
    asks=("format",),
)
#: A reissue of a certificate without a CA profile, for example an imported one. The user must choose a CA profile.
_WITH_PROFILE: Final = evolve(OFFERS[Action.REISSUE], asks=("authority",))
#: The usual next action in a status.
_PRIMARY: Final[Mapping[Status, Action]] = MappingProxyType(
    {
        Status.DRAFT: Action.GENERATE_CSR,
        Status.PENDING: Action.CHECK_NOW,
        Status.PROCESSING: Action.CHECK_NOW,
        Status.ACTIVE: Action.EXPORT,
        Status.EXPIRED: Action.RENEW,
        Status.ERROR: Action.CHECK_NOW,
        Status.REVOKED: Action.RENEW,
    }
)


def in_order(actions: frozenset[Action], status: Status, *, exports_key: bool, has_profile: bool) -> tuple[Offer, ...]:
    """The offers for some actions, in the order of the page.

    Args:
        actions: The actions that can be taken.
        status: The certificate's status, which determines the primary offer.
        exports_key: Whether an export contains the private key.
        has_profile: Whether the certificate has a CA profile.
    """
    special: dict[Action, Offer] = {}
    if not exports_key:
        special[Action.EXPORT] = _WITHOUT_KEY
    if not has_profile:
        special[Action.REISSUE] = _WITH_PROFILE
    chosen = (special.get(action, offer) for action, offer in OFFERS.items() if action in actions)
    return tuple(evolve(offer, is_primary=_PRIMARY.get(status) is offer.action) for offer in chosen)
