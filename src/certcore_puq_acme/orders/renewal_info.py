"""Renewal information (RFC 9773): when the CA wants a leaf to be renewed, and the ID of a leaf in such requests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from certcore.model.issuance import Issuance, Purpose
from certcore.model.renewal_info import SuggestedWindow
from certcore_puq_acme.links import page_url
from certcore_puq_acme.orders.state import OrderState
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.protocol.errors import ProtocolError
from certcore_puq_acme.protocol.http import host_of
from certcore_puq_acme.protocol.jws import b64url

if TYPE_CHECKING:
    from certcore_puq_acme.accounts.pool import Accounts

__all__ = ["certificate_id", "is_of_directory", "renewal_window"]

_RESOURCE: Final = "renewalInfo"


def certificate_id(leaf_pem: str) -> str:
    """The ID of a leaf: its authority key identifier and its serial number (RFC 9773 section 4.1).

    Returns:
        The ID; empty if the leaf has no authority key identifier.
    """
    leaf = x509.load_pem_x509_certificate(leaf_pem.encode())
    try:
        key = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError, x509.DuplicateExtension):
        return ""
    serial = leaf.serial_number
    # The content of the DER INTEGER: it has one more byte if the first bit would make the number negative.
    number = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return f"{b64url(key)}.{b64url(number)}" if key else ""


def is_of_directory(issuance: Issuance, directory: str) -> bool:
    """Whether a leaf was issued by the CA with this directory URL."""
    return bool(issuance.leaf_pem) and OrderState.of(issuance).directory == directory


def renewal_window(issuance: Issuance, context: AcmeContext, accounts: Accounts) -> SuggestedWindow | None:
    """Ask the CA for the suggested renewal window of a leaf; no account is needed (RFC 9773 section 4).

    Returns:
        The window; None if the CA offers no renewal information, or did not issue this leaf.

    Raises:
        AcmeError: The CA cannot be reached, or its answer is unusable.
    """
    # An imported leaf may be from this CA; if it is not, the CA says so.
    if issuance.purpose is not Purpose.IMPORT and not is_of_directory(issuance, context.profile.directory):
        return None
    client = accounts.reader(context)
    url = client.directory().renewal_info
    identifier = certificate_id(issuance.leaf_pem or "")
    if not url or not identifier:
        return None
    fetched = client.fetch(f"{url.rstrip('/')}/{identifier}")
    window = fetched.document.get("suggestedWindow")
    start, end = (_moment(window.get(name)) if isinstance(window, dict) else None for name in ("start", "end"))
    if start is None or end is None or end <= start:
        raise ProtocolError(_RESOURCE, "suggestedWindow", host=host_of(url))
    page = page_url(fetched.document.get("explanationURL"))
    return SuggestedWindow(start=start, end=end, explanation_url=page, retry_after=fetched.retry_after)


def _moment(value: Any) -> datetime | None:
    """An RFC 3339 moment; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo is not None else None
