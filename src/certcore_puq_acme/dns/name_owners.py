"""Bind a name whose label in the tech zone is the domain itself to the first owner who proves it.

Such a label (``shop.example.acme.panel.example``) is the same for every owner. So the CNAME proves that the domain's
owner trusts the panel, but not which of the panel's tenants that owner is. A name is claimed before its order is
placed, and bound when the CA has validated it. From then on every other owner is refused, even after the certificate is
deleted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from attrs import frozen

from certcore.errors import InvalidInputError, PluginError, StaleWriteError
from certcore.model import form
from certcore.model.hints import Message
from certcore.model.names import DnsName
from certcore.ports.documents import Documents
from certcore.ports.module_actions import ProfileAction
from certcore_puq_acme.dns.delegation import Delegation, adopted_target
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.techzone.name_leases import stored_moment

__all__ = ["RELEASE_NAME", "Claim", "NameToRelease", "bind_name", "claim_name", "is_bound_to_another", "release_name"]

_PREFIX: Final = "name-owner/"
#: A claim without a validation within this time expires, and others may claim the name. The previous claimant finalizes
#: no order.
_CLAIM: Final = timedelta(hours=1)
_TRIES: Final = 3


class Claim(StrEnum):
    """The result of claiming a name for an owner."""

    #: It belongs to this owner, or no owner has proved it.
    OURS = "ours"
    #: The panel says that the owner does not control the name.
    REFUSED = "refused"
    #: Another owner has proved it.
    TAKEN = "taken"
    #: Another owner has claimed it and is proving it.
    CLAIMED = "claimed"


@frozen(kw_only=True)
class _Binding:
    """The owner to whom a name is bound, or who has claimed it."""

    #: Exactly as the panel named the owner. None: the document cannot be read; the name belongs to no owner until it is
    #: released.
    owner: str | None
    #: The CA has validated the name for this owner.
    proved: bool = False
    #: When it was claimed.
    at: datetime | None = None

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> _Binding:
        owner = value.get("owner")
        if not isinstance(owner, str):
            return cls(owner=None, proved=True)
        return cls(owner=owner, proved=value.get("proved") is True, at=stored_moment(value.get("at")))

    def to_json(self) -> dict[str, Any]:
        at = None if self.at is None else self.at.isoformat()
        return {"owner": self.owner, "proved": self.proved, "at": at}

    def keeps_others_out(self, now: datetime) -> bool:
        """Whether it is bound, or claimed; a claim from the future was made under a wrong clock."""
        return self.proved or (self.at is not None and timedelta(0) <= now - self.at < _CLAIM)


def _domain(text: str, field: str) -> DnsName:
    return DnsName.parse(text, field=field).base


@frozen(kw_only=True)
class NameToRelease:
    """The form of the action that releases a name."""

    domain: DnsName = form.text("Domain", parse=_domain, help="As in the certificate; leave out the *. of a wildcard.")


#: The action of a CA profile that releases a name.
RELEASE_NAME: Final = ProfileAction(
    name="release_name",
    label=Message("puq_acme.action.release_name", "Release a name"),
    help=Message(
        "puq_acme.action.release_name.help",
        "Removes the binding of a domain to its owner, for a domain that has moved. The next owner who proves control "
        "gets it.",
    ),
    form=NameToRelease,
    confirm=Message(
        "puq_acme.action.release_name.confirm",
        "The first owner who requests a certificate for this domain gets it, as long as its CNAME points here. Release "
        "it?",
    ),
)


def claim_name(context: AcmeContext, delegation: Delegation) -> Claim:
    """Claim a name for the context's owner, before an order is placed.

    Args:
        context: The CA profile and the owner.
        delegation: The name's CNAME.

    Raises:
        PluginError: A plugin failed when it was asked who controls the name; callers treat this as "not this owner".
    """
    base = delegation.base
    if context.controls_name(context.owner, base) is False:
        return Claim.REFUSED
    now, key = context.environment.now(), _key(delegation.target)
    for _ in range(_TRIES):
        binding, version = _read(context.documents, key)
        if binding is not None and binding.owner == context.owner:
            if binding.proved:
                return Claim.OURS
        elif binding is not None and binding.keeps_others_out(now) and not _has_moved(context, binding, base):
            return Claim.TAKEN if binding.proved else Claim.CLAIMED
        if _put(context.documents, key, _Binding(owner=context.owner, at=now), version):
            return Claim.OURS
    return Claim.CLAIMED


def bind_name(context: AcmeContext, delegation: Delegation) -> bool:
    """Bind a name to the context's owner, for whom the CA has validated it.

    Returns:
        False if another owner has claimed or proved the name meanwhile; then nothing may be issued for this owner.
    """
    now, key = context.environment.now(), _key(delegation.target)
    for _ in range(_TRIES):
        binding, version = _read(context.documents, key)
        if binding is not None and binding.owner != context.owner:
            return False
        if binding is not None and binding.proved:
            return True
        if _put(context.documents, key, _Binding(owner=context.owner, proved=True, at=now), version):
            return True
    return False


def is_bound_to_another(context: AcmeContext, base: str) -> bool:
    """Whether another owner than the context's has proved the name and keeps it."""
    if not context.profile.adopt_labels:
        return False
    binding, _ = _read(context.documents, _key(adopted_target(base, context.profile.tech_zone.ascii)))
    if binding is None or not binding.proved or binding.owner == context.owner:
        return False
    try:
        return not _has_moved(context, binding, base)
    except PluginError:
        return True


def release_name(context: AcmeContext, base: str) -> Message:
    """Release a name from its owner; the next owner who proves it gets it.

    Raises:
        InvalidInputError: It has no owner.
    """
    key = _key(adopted_target(base, context.profile.tech_zone.ascii))
    if context.documents.get(key) is None:
        raise InvalidInputError("domain", Message("puq_acme.release_name.unbound", "it is not bound to an owner."))
    context.documents.delete(key)
    text = "{domain} is no longer bound to an owner. The next owner who proves control gets it."
    return Message("puq_acme.done.release_name", text, {"domain": base})


def _has_moved(context: AcmeContext, binding: _Binding, base: str) -> bool:
    """Whether the panel says that a name now belongs to the context's owner, not to the owner to whom it is bound.

    Raises:
        PluginError: A plugin failed.
    """
    if binding.owner is None or context.controls_name(context.owner, base) is not True:
        return False
    return context.controls_name(binding.owner, base) is False


def _read(documents: Documents, key: str) -> tuple[_Binding | None, int]:
    """The stored binding and its document's version; None and 0 if there is no binding."""
    documents.refresh()
    document = documents.get(key)
    return (None, 0) if document is None else (_Binding.read(document.value), document.version)


def _put(documents: Documents, key: str, binding: _Binding, version: int) -> bool:
    """Store a binding if the stored version is the one that was read; returns whether it was."""
    try:
        documents.put(key, binding.to_json(), version=version)
    except StaleWriteError:
        return False
    return True


def _key(target: str) -> str:
    return f"{_PREFIX}{target}"
