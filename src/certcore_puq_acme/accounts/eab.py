"""Credentials for external account binding: the profile's own, or those that a CA issues for an e-mail address."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

from certcore.messages import Message
from certcore.net.foreign_text import LONGEST_WORD, decode_json, printable
from certcore_puq_acme.accounts.records import AccountRef
from certcore_puq_acme.profile.settings import AcmeContext
from certcore_puq_acme.protocol.error_types import BUSY, SERVER_ERROR
from certcore_puq_acme.protocol.errors import AcmeProblemError, ProtocolError
from certcore_puq_acme.protocol.http import host_of
from certcore_puq_acme.protocol.http_port import HttpPort
from certcore_puq_acme.protocol.jws import ExternalAccountBinding
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn
from certcore_puq_acme.protocol.resources import parse_retry_after

__all__ = ["credentials", "forget_credentials"]

_SUCCESS: Final = range(200, 300)
_FORBIDDEN: Final = 403
#: The longest key ID or HMAC key, in characters.
_MAX_CREDENTIAL: Final = 1000
_EAB_REQUIRED: Final = error_urn("externalAccountRequired")


def credentials(
    context: AcmeContext, ref: AccountRef, http: HttpPort, *, required: bool
) -> ExternalAccountBinding | None:
    """The external account binding for a new account (RFC 8555 section 7.3.4); None if none is needed.

    Fetched credentials are sealed and stored before they are used, so that they survive a crash.

    Args:
        context: The CA profile.
        ref: The account to open.
        http: Connections to the CA.
        required: Whether the CA's directory requires a binding.

    Raises:
        AcmeError: The CA issues no credentials for this e-mail address, or cannot be reached.
    """
    profile = context.profile
    if profile.eab_hmac_key:
        return ExternalAccountBinding(kid=profile.eab_kid, hmac_key=profile.eab_hmac_key.reveal_text())
    if not required or not profile.eab_by_email:
        return None
    name = _name(ref)
    sealed = context.documents.unseal(name)
    if sealed is None:
        context.documents.seal(name, json.dumps(_fetched(profile.eab_by_email, ref.contact, http, context)).encode())
        sealed = context.documents.unseal(name)  # the credentials of this process, or of a faster one
    document = json.loads(sealed or b"{}")
    return ExternalAccountBinding(kid=document["kid"], hmac_key=document["hmac_key"])


def forget_credentials(context: AcmeContext, ref: AccountRef) -> None:
    """Delete fetched credentials, if there are any."""
    context.documents.delete_secret(_name(ref))


def _name(ref: AccountRef) -> str:
    return f"{ref.key}/eab"


def _fetched(url: str, email: str, http: HttpPort, context: AcmeContext) -> dict[str, str]:
    host = host_of(url)
    if not email:
        raise AcmeProblemError(
            ProblemDocument(type=_EAB_REQUIRED),
            status=_FORBIDDEN,
            host=host,
            title=Message(
                "puq_acme.eab.no_email", "This CA issues EAB credentials for an account e-mail, which is not set."
            ),
            advice=Message(
                "puq_acme.eab.no_email.advice",
                "Set the account e-mail in the CA profile, or create the EAB key id and HMAC key on the CA's site.",
            ),
        )
    body = urlencode({"email": email}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    reply = http.request("POST", url, body=body, headers=headers)
    document = decode_json(reply.body)
    if reply.status in BUSY or reply.status >= SERVER_ERROR:
        retry_after = reply.header("Retry-After")
        wait = (
            parse_retry_after(retry_after, date=reply.header("Date"), now=context.environment.now())
            if retry_after
            else None
        )
        text = "EAB credentials for {email} are not available at the moment."
        raise AcmeProblemError(
            ProblemDocument(),
            status=reply.status,
            host=host,
            retry_after=wait,
            title=Message("puq_acme.eab.busy", text, {"email": email}),
        )
    if not isinstance(document, dict):
        raise ProtocolError("EAB reply", host=host)
    if reply.status not in _SUCCESS or document.get("success") in (False, 0):
        error = document.get("error")
        detail = printable(error.get("type"), LONGEST_WORD) if isinstance(error, dict) else ""
        raise AcmeProblemError(
            ProblemDocument(type=_EAB_REQUIRED, detail=detail),
            status=reply.status,
            host=host,
            title=Message("puq_acme.eab.refused", "The CA refused EAB credentials for {email}.", {"email": email}),
            advice=Message(
                "puq_acme.eab.refused.advice",
                "Check the account e-mail, or create the EAB key id and HMAC key on the CA's site.",
            ),
        )
    kid, key = document.get("eab_kid"), document.get("eab_hmac_key")
    return {
        "kid": _credential(kid, "eab_kid", host),
        "hmac_key": _credential(key, "eab_hmac_key", host),
    }


def _credential(value: object, field: str, host: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _MAX_CREDENTIAL or not value.isprintable():
        raise ProtocolError("EAB reply", field, host=host)
    return value
