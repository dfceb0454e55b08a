"""Credentials for external account binding: the profile's own, or those that a CA gives for an e-mail address."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

from certcore.model.problem import Problem
from certcore.ports.ca_module import ModuleContext
from certcore_puq_acme.account_records import AccountRef
from certcore_puq_acme.acme_errors import BUSY, AcmeProblem, ProtocolError
from certcore_puq_acme.foreign_text import LONGEST_WORD, decode_json, printable
from certcore_puq_acme.jose import ExternalAccountBinding
from certcore_puq_acme.meanings import SERVER_ERROR
from certcore_puq_acme.messages import parse_retry_after
from certcore_puq_acme.network import HttpPort
from certcore_puq_acme.settings import PuqAcmeProfile
from certcore_puq_acme.transport import host_of

__all__ = ["credentials", "forget_credentials"]

_OK: Final = range(200, 300)
_FORBIDDEN: Final = 403
#: The longest key id or HMAC key, in characters.
_LONGEST_CREDENTIAL: Final = 1000
_REFUSED: Final = "urn:ietf:params:acme:error:externalAccountRequired"


def credentials(
    context: ModuleContext, ref: AccountRef, http: HttpPort, *, required: bool
) -> ExternalAccountBinding | None:
    """The binding for a new account; None where none is needed.

    Credentials that are fetched are sealed before they are used, so that a crash in between costs nothing.

    Args:
        context: The CA profile.
        ref: The account that is to be opened.
        http: Connections to the CA.
        required: Whether the CA's directory demands a binding.

    Raises:
        AcmeError: The CA gives none for this e-mail address, or cannot be asked.
    """
    profile: PuqAcmeProfile = context.profile
    if profile.eab_hmac_key:
        return ExternalAccountBinding(kid=profile.eab_kid, hmac_key=profile.eab_hmac_key.reveal_text())
    if not required or not profile.eab_by_email:
        return None
    name = _name(ref)
    sealed = context.documents.unseal(name)
    if sealed is None:
        context.documents.seal(name, json.dumps(_fetched(profile.eab_by_email, ref.contact, http, context)).encode())
        sealed = context.documents.unseal(name)  # ours, or that of another process that was faster
    found = json.loads(sealed or b"{}")
    return ExternalAccountBinding(kid=found["kid"], hmac_key=found["hmac_key"])


def forget_credentials(context: ModuleContext, ref: AccountRef) -> None:
    """Delete credentials that were fetched; there need not be any."""
    context.documents.delete_secret(_name(ref))


def _name(ref: AccountRef) -> str:
    return f"{ref.key}/eab"


def _fetched(url: str, email: str, http: HttpPort, context: ModuleContext) -> dict[str, str]:
    host = host_of(url)
    if not email:
        problem = Problem(
            type=_REFUSED,
            detail="This CA gives EAB credentials for an account e-mail, and there is none.",
            advice="Set the account e-mail in the CA profile, or create the EAB key id and HMAC key on the CA's site.",
        )
        raise AcmeProblem(problem, status=_FORBIDDEN, host=host)
    body = urlencode({"email": email}).encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    reply = http.request("POST", url, body=body, headers=headers)
    document = decode_json(reply.body)
    if reply.status in BUSY or reply.status >= SERVER_ERROR:
        given = reply.header("Retry-After")
        wait = parse_retry_after(given, date=reply.header("Date"), now=context.environment.now()) if given else None
        problem = Problem(detail=f"EAB credentials for {email} cannot be had at this moment.")
        raise AcmeProblem(problem, status=reply.status, host=host, retry_after=wait)
    if not isinstance(document, dict):
        raise ProtocolError("EAB reply", host=host)
    if reply.status not in _OK or document.get("success") in (False, 0):
        error = document.get("error")
        detail = printable(error.get("type"), LONGEST_WORD) if isinstance(error, dict) else ""
        problem = Problem(
            type=_REFUSED,
            detail=f"No EAB credentials for {email}: {detail or 'no reason given'}",
            advice="Check the account e-mail, or create the EAB key id and HMAC key on the CA's site.",
        )
        raise AcmeProblem(problem, status=reply.status, host=host)
    kid, key = document.get("eab_kid"), document.get("eab_hmac_key")
    return {
        "kid": _credential(kid, "eab_kid", host),
        "hmac_key": _credential(key, "eab_hmac_key", host),
    }


def _credential(value: object, field: str, host: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_CREDENTIAL or not value.isprintable():
        raise ProtocolError("EAB reply", field, host=host)
    return value
