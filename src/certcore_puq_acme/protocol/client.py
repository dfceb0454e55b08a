"""A thin, thread-safe ACME client (RFC 8555). Each call sends one request, and no state is lost in a restart.

It does not sleep or poll. It only repeats a request if the server refused its nonce (section 6.5). The caller decides
when to send the next request; ``retry_after`` of values and errors has the server's Retry-After.

`acme.client.ClientV2` is not used, because it sleeps between polls, keeps the order in memory until it is finished, and
connects through requests, which does not limit addresses, sizes and durations as `certcore.net` does.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urljoin

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.net.foreign_text import LONGEST_URL, printable
from certcore.net.http import HttpReply
from certcore_puq_acme.protocol.error_types import BUSY, CLIENT_ERRORS
from certcore_puq_acme.protocol.errors import AcmeProblemError, ProtocolError
from certcore_puq_acme.protocol.http import MAX_REDIRECTS, host_of
from certcore_puq_acme.protocol.http_port import HttpPort
from certcore_puq_acme.protocol.jws import AccountSigner, ExternalAccountBinding, b64url, compact
from certcore_puq_acme.protocol.resources import (
    Account,
    Authorization,
    Challenge,
    Directory,
    Download,
    Fetched,
    Order,
    alternates,
)
from certcore_puq_acme.protocol.server_clock import ClockSight
from certcore_puq_acme.protocol.signed_requests import Exchange, Sending, body_failure

if TYPE_CHECKING:
    from josepy.jwk import JWK

__all__ = ["AcmeClient"]

_T = TypeVar("_T")
_NO_DIRECTORY: Final = Message(
    "puq_acme.transport.no_directory.advice",
    "Check that the URL in the CA profile is that of the CA's ACME directory, with its whole path.",
)
_BOUNDARY: Final = re.compile(rb"-----BEGIN ([^\r\n-]*)-----")


class AcmeClient:
    """A client for one ACME server and one account key. Thread-safe.

    Args:
        directory_url: The server's directory URL.
        key: The account key, from `certcore_puq_acme.protocol.jws.load_account_key`. Without a key, only `directory`
            and `fetch` can be used.
        http: The connections, which may be shared between clients.
        account_url: The account's URL if it is known; otherwise `new_account` finds it.
        now: Returns the present moment, with its time zone; only for a Retry-After date in a reply without a Date.

    All methods may raise an `AcmeProblemError` (the server refused), a `TransportError` (no usable answer) or a
    `ProtocolError` (the answer violates RFC 8555), which are all `certcore.errors.CAError`; and an `InvalidInputError`
    if the client has no key or no account yet.
    """

    def __init__(
        self,
        directory_url: str,
        *,
        key: JWK | None = None,
        http: HttpPort,
        account_url: str = "",
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._directory_url = directory_url
        self._exchange = Exchange(http, now, home=directory_url)
        self._signer = AccountSigner(key) if key is not None else None
        self._directory: Directory | None = None
        self._account_url = account_url

    @property
    def account_url(self) -> str:
        """The account's URL, which is the ``kid`` of all requests after newAccount; empty until it is known."""
        return self._account_url

    @property
    def requests_sent(self) -> int:
        """How many HTTP requests this client has sent, including those repeated for a nonce."""
        return self._exchange.requests_sent

    @property
    def clock(self) -> ClockSight | None:
        """The local clock and the server's clock at the last answer; None before the first, or without ``now``."""
        return self._exchange.clock

    @property
    def thumbprint(self) -> str:
        """The account key's JWK thumbprint (RFC 7638), base64url."""
        return self._key().thumbprint

    def key_authorization(self, token: str) -> str:
        """The key authorization for a challenge's token (RFC 8555 section 8.1)."""
        return f"{token}.{self._key().thumbprint}"

    def dns01_value(self, token: str) -> str:
        """The value of the TXT record for a dns-01 challenge (RFC 8555 section 8.4)."""
        return b64url(hashlib.sha256(self.key_authorization(token).encode()).digest())

    def directory(self, *, refresh: bool = False) -> Directory:
        """The server's directory, fetched once (RFC 8555 section 7.1.1). Up to three redirects are followed.

        Args:
            refresh: Whether to fetch it again, for example before showing the CA's terms of service.
        """
        if self._directory is None or refresh:
            try:
                reply = self._exchange.get(self._directory_url, redirects=MAX_REDIRECTS)
            except AcmeProblemError as error:
                if error.status not in CLIENT_ERRORS or error.status in BUSY:
                    raise
                raise error.with_advice(_NO_DIRECTORY) from None
            self._directory = self._read(reply, "directory", Directory.from_json)
            self._exchange.moved_to(reply.url)
        return self._directory

    def fetch(self, url: str) -> Fetched:
        """A plain GET of a JSON object, such as renewal information (RFC 9773 section 4.1)."""
        reply = self._exchange.get(url)
        return Fetched(self._exchange.json(reply, "document"), self._exchange.retry_after(reply))

    # -- accounts ------------------------------------------------------------------------------------------------

    def new_account(
        self,
        contact: Sequence[str] = (),
        *,
        terms_agreed: bool = False,
        eab: ExternalAccountBinding | None = None,
        only_return_existing: bool = False,
    ) -> Account:
        """Create or find the account of this key (RFC 8555 sections 7.3 and 7.3.1).

        Args:
            contact: E-mail addresses or contact URIs.
            terms_agreed: Whether the user agreed to the CA's terms of service.
            eab: The external account binding, for CAs that require it.
            only_return_existing: Whether to create no account. Then an unknown key raises an AcmeProblemError
                ``accountDoesNotExist``.
        """
        url = self.directory().new_account
        payload: dict[str, Any] = {}
        if contact:
            payload["contact"] = _contacts(contact)
        if terms_agreed:
            payload["termsOfServiceAgreed"] = True
        if only_return_existing:
            payload["onlyReturnExisting"] = True
        elif eab is not None:
            payload["externalAccountBinding"] = self._key().bind(eab, url)
        reply = self._post(url, payload, by_key=True)
        account = self._read(reply, "account", Account.from_json, url=_location(reply, "account"))
        self._account_url = account.url
        return account

    def account(self) -> Account:
        """The account as the server knows it (RFC 8555 section 7.3.2)."""
        return self._update_account(None)

    def update_contact(self, contact: Sequence[str]) -> Account:
        """Replace the account's contacts (RFC 8555 section 7.3.2).

        Args:
            contact: E-mail addresses or contact URIs; empty to remove all.
        """
        return self._update_account({"contact": _contacts(contact)})

    def agree_to_terms(self) -> Account:
        """Agree to changed terms of service of the CA (RFC 8555 section 7.3.3)."""
        return self._update_account({"termsOfServiceAgreed": True})

    def deactivate_account(self) -> Account:
        """Close the account permanently (RFC 8555 section 7.3.6)."""
        return self._update_account({"status": "deactivated"})

    def change_key(self, new_key: JWK) -> None:
        """Change the account's key (RFC 8555 section 7.3.5). Afterwards this client signs with the new key.

        Store the new key before the call. An AcmeProblemError with status 409 means that the new key already has an
        account, whose URL is the error's ``location``.

        Args:
            new_key: The new key.
        """
        new = AccountSigner(new_key)
        url = self._offered(self.directory().key_change, "keyChange")
        inner = new.sign(compact({"account": self._kid(), "oldKey": self._key().jwk}), url=url)
        self._confirmed(self._post(url, json.loads(inner)), "key change")
        self._signer = new

    # -- orders --------------------------------------------------------------------------------------------------

    def new_order(
        self,
        names: Sequence[str],
        *,
        profile: str = "",
        replaces: str = "",
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        sending: Sending | None = None,
    ) -> Order:
        """Place an order (RFC 8555 section 7.4). Save the order's URL before anything else.

        Args:
            names: DNS names, including wildcards, or IP addresses (RFC 8738).
            profile: One of the directory's certificate profiles; empty for the CA's default.
            replaces: The identifier of the leaf that the new one will replace (RFC 9773 section 5).
            not_before: The requested beginning of the validity; None to let the CA choose. Few CAs support this.
            not_after: The requested end of the validity; None to let the CA choose. Few CAs support this.
            sending: Limits how many times the request is repeated for a refused nonce, and records whether it was sent.
        """
        payload: dict[str, Any] = {"identifiers": [_identifier(name) for name in names]}
        if profile:
            payload["profile"] = profile
        if replaces:
            payload["replaces"] = replaces
        for name, moment in (("notBefore", not_before), ("notAfter", not_after)):
            if moment is not None:
                payload[name] = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        reply = self._post(self.directory().new_order, payload, sending=sending)
        return self._read_waiting(reply, "order", Order.from_json, _location(reply, "order"))

    def order(self, url: str) -> Order:
        """The present state of an order (RFC 8555 section 7.4)."""
        return self._read_waiting(self._post(url), "order", Order.from_json, url)

    def finalize(self, order: Order, csr_der: bytes) -> Order:
        """Send the certificate signing request (RFC 8555 section 7.4).

        Args:
            order: The order, which should be ``ready``.
            csr_der: The PKCS#10 request in DER.
        """
        reply = self._post(order.finalize, {"csr": b64url(csr_der)})
        return self._read_waiting(reply, "order", Order.from_json, order.url)

    def certificate(self, url: str) -> Download:
        """Download the leaf with its chain (RFC 8555 section 7.4.2).

        Args:
            url: The order's ``certificate``, or one of a download's ``alternates``.

        Raises:
            ProtocolError: The body contains something other than PEM certificates.
        """
        reply = self._post(url, accept="application/pem-certificate-chain")
        labels = set(_BOUNDARY.findall(reply.body))
        if not labels and (failure := body_failure(reply)).kind != "not_json":
            raise failure
        if labels != {b"CERTIFICATE"}:
            raise ProtocolError("certificate chain", "PEM", host=host_of(reply.url))
        urls = (printable(urljoin(url, link), LONGEST_URL) for link in alternates(list(reply.headers("Link"))))
        return Download(reply.body, tuple(link for link in urls if link != url))

    def revoke(self, leaf_der: bytes, *, reason: int | None = None, by_key: bool = False) -> None:
        """Revoke a certificate that this account may revoke (RFC 8555 section 7.6).

        Args:
            leaf_der: The leaf in DER.
            reason: A CRL reason code (RFC 5280 section 5.3.1); None for no reason.
            by_key: Whether this client's key is the private key of the leaf, which needs no account.
        """
        payload: dict[str, Any] = {"certificate": b64url(leaf_der)}
        if reason is not None:
            payload["reason"] = reason
        url = self._offered(self.directory().revoke_cert, "revokeCert")
        self._confirmed(self._post(url, payload, by_key=by_key), "revocation")

    # -- authorizations and challenges ---------------------------------------------------------------------------

    def authorization(self, url: str) -> Authorization:
        """The present state of an authorization (RFC 8555 section 7.5)."""
        return self._read_waiting(self._post(url), "authorization", Authorization.from_json, url)

    def deactivate_authorization(self, url: str) -> Authorization:
        """Deactivate an authorization, for example a pending one that counts for a limit (RFC 8555 section 7.5.2)."""
        reply = self._post(url, {"status": "deactivated"})
        return self._read_waiting(reply, "authorization", Authorization.from_json, url)

    def challenge(self, url: str) -> Challenge:
        """The present state of a challenge, without responding to it (RFC 8555 section 7.5.1)."""
        return self._read_waiting(self._post(url), "challenge", Challenge.from_json, url)

    def answer(self, challenge_url: str) -> Challenge:
        """Tell the server that the challenge may be checked now (RFC 8555 section 7.5.1)."""
        return self._read_waiting(self._post(challenge_url, {}), "challenge", Challenge.from_json, challenge_url)

    def __repr__(self) -> str:
        return f"AcmeClient({self._directory_url!r}, account_url={self._account_url!r})"

    # -- what they share -----------------------------------------------------------------------------------------

    def _post(
        self,
        url: str,
        payload: Mapping[str, Any] | None = None,
        *,
        by_key: bool = False,
        accept: str = "application/json",
        sending: Sending | None = None,
    ) -> HttpReply:
        return self._exchange.post(
            url,
            b"" if payload is None else compact(payload),
            signer=self._key(),
            kid="" if by_key else self._kid(),
            new_nonce=self.directory().new_nonce,
            accept=accept,
            sending=sending,
        )

    def _update_account(self, payload: Mapping[str, Any] | None) -> Account:
        url = self._kid()
        return self._read(self._post(url, payload), "account", Account.from_json, url=url)

    def _read(self, reply: HttpReply, resource: str, parse: Callable[..., _T], **known: object) -> _T:
        document = self._exchange.json(reply, resource)
        try:
            return parse(document, **known)
        except ProtocolError as error:  # the parser does not know the server
            raise ProtocolError(error.resource, error.field, host=host_of(reply.url)) from None

    def _read_waiting(self, reply: HttpReply, resource: str, parse: Callable[..., _T], url: str) -> _T:
        return self._read(reply, resource, parse, url=url, retry_after=self._exchange.retry_after(reply))

    @staticmethod
    def _confirmed(reply: HttpReply, resource: str) -> None:
        """Check that a successful reply comes from the CA, not from a proxy. Used if the body does not matter.

        The CA's reply to a successful POST has a nonce (RFC 8555 section 6.5).
        """
        failure = body_failure(reply)
        if failure.kind == "html":
            raise failure
        if not reply.header("Replay-Nonce"):
            raise ProtocolError(f"reply to the {resource}", "Replay-Nonce", host=host_of(reply.url))

    def _key(self) -> AccountSigner:
        if self._signer is None:
            raise InvalidInputError(
                "key", Message("puq_acme.client.no_key", "is missing: this client was made without an account key.")
            )
        return self._signer

    def _kid(self) -> str:
        if not self._account_url:
            raise InvalidInputError(
                "account_url", Message("puq_acme.client.no_account", "is missing: call new_account first.")
            )
        return self._account_url

    def _offered(self, url: str, name: str) -> str:
        if not url:
            raise ProtocolError("directory", name, host=host_of(self._directory_url))
        return url


def _location(reply: HttpReply, resource: str) -> str:
    location = reply.header("Location")
    if not location:
        raise ProtocolError(resource, "Location", host=host_of(reply.url))
    return printable(urljoin(reply.url, location), LONGEST_URL)


def _contacts(contact: Sequence[str]) -> list[str]:
    return [address if ":" in address else f"mailto:{address}" for address in contact]


def _identifier(name: str) -> dict[str, str]:
    if ":" in name or name[-1:].isdigit():
        try:
            return {"type": "ip", "value": str(ipaddress.ip_address(name))}
        except ValueError:
            pass
    return {"type": "dns", "value": name}
