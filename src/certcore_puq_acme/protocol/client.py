"""A thin, thread-safe ACME client (RFC 8555): one request per call, nothing is remembered that a restart would miss.

It never sleeps or polls, and repeats a request for one reason only: the server refused its nonce (section 6.5). The
caller decides when to ask again; ``retry_after`` of values and errors has the server's wish.

`acme.client.ClientV2` sleeps between polls, holds the order in memory until it is finished, and connects through
requests, where neither the addresses nor the size and the whole time of an answer are bounded as in `certcore.net`.
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
    """One ACME server, one account key. Any number of threads may share it.

    Args:
        directory_url: The server's directory URL.
        key: The account key, from :func:`certcore_puq_acme.protocol.jws.load_account_key`. Without one only
            :meth:`directory` and :meth:`fetch` can be used.
        http: The connections; may be shared between clients.
        account_url: The account's URL if it is known already; :meth:`new_account` finds it otherwise.
        now: The current time, aware; only for a Retry-After that is a date in a reply that has no Date.

    Every method may raise ``AcmeProblemError`` (the server said no), ``TransportError`` (no usable answer) and
    ``ProtocolError`` (an answer that lacks what RFC 8555 requires); all are :class:`certcore.errors.CAError`.
    ``InvalidInputError`` says that the client was made without a key, or has no account yet.
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
        """The account's URL, empty until it is known. It is the ``kid`` of all requests after newAccount."""
        return self._account_url

    @property
    def requests_sent(self) -> int:
        """How many HTTP requests this client has made, those repeated for a nonce included."""
        return self._exchange.requests_sent

    @property
    def clock(self) -> ClockSight | None:
        """Our clock and the server's at the last answer; None before one, and without a clock of ours."""
        return self._exchange.clock

    @property
    def thumbprint(self) -> str:
        """The account key's JWK thumbprint (RFC 7638), base64url."""
        return self._key().thumbprint

    def key_authorization(self, token: str) -> str:
        """The key authorization for a challenge's token (RFC 8555 section 8.1)."""
        return f"{token}.{self._key().thumbprint}"

    def dns01_value(self, token: str) -> str:
        """What the TXT record of a dns-01 challenge holds (RFC 8555 section 8.4)."""
        return b64url(hashlib.sha256(self.key_authorization(token).encode()).digest())

    def directory(self, *, refresh: bool = False) -> Directory:
        """The server's directory, fetched once (RFC 8555 section 7.1.1). Up to three redirects are followed.

        Args:
            refresh: Fetch it again, for instance before telling a user about the CA's terms of service.
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
        """Create the account of this key, or find it: both give the same URL (RFC 8555 sections 7.3 and 7.3.1).

        Args:
            contact: E-mail addresses or contact URIs.
            terms_agreed: Whether the user agreed to the CA's terms of service.
            eab: External account binding, for CAs that require it.
            only_return_existing: Create nothing; an unknown key is an AcmeProblemError ``accountDoesNotExist``.
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
            contact: E-mail addresses or contact URIs; none removes them all.
        """
        return self._update_account({"contact": _contacts(contact)})

    def agree_to_terms(self) -> Account:
        """Agree to the CA's terms of service anew (RFC 8555 section 7.3.3)."""
        return self._update_account({"termsOfServiceAgreed": True})

    def deactivate_account(self) -> Account:
        """Close the account permanently (RFC 8555 section 7.3.6)."""
        return self._update_account({"status": "deactivated"})

    def change_key(self, new_key: JWK) -> None:
        """Move the account to a new key (RFC 8555 section 7.3.5). Afterwards this client signs with the new key.

        Seal the new key before you call this. A 409 AcmeProblemError says that the new key has an account already,
        whose URL is the error's ``location``.

        Args:
            new_key: The key that the account shall have.
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
            names: DNS names, wildcards included, or IP addresses (RFC 8738).
            profile: One of the directory's certificate profiles, empty for the CA's default.
            replaces: The identifier of the certificate that this one will replace (RFC 9773 section 5).
            not_before: When it is to begin; the CA's choice when None. Few CAs let the customer choose.
            not_after: When it is to end, likewise.
            sending: Bounds how often the request is repeated because its nonce was refused, and notes whether it was
                sent at all.
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
        """The order as it stands (RFC 8555 section 7.4)."""
        return self._read_waiting(self._post(url), "order", Order.from_json, url)

    def finalize(self, order: Order, csr_der: bytes) -> Order:
        """Hand in the certificate signing request (RFC 8555 section 7.4).

        Args:
            order: The order, which should be ``ready``.
            csr_der: The PKCS#10 request, DER.
        """
        reply = self._post(order.finalize, {"csr": b64url(csr_der)})
        return self._read_waiting(reply, "order", Order.from_json, order.url)

    def certificate(self, url: str) -> Download:
        """Download the leaf with its chain (RFC 8555 section 7.4.2).

        Args:
            url: The order's ``certificate``, or one of a download's ``alternates``.

        Raises:
            ProtocolError: The body is not PEM certificates and nothing but certificates.
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
            leaf_der: The certificate, DER.
            reason: A CRL reason code (RFC 5280 section 5.3.1); left out when None.
            by_key: This client's key is that of the certificate, and stands for itself: no account is needed.
        """
        payload: dict[str, Any] = {"certificate": b64url(leaf_der)}
        if reason is not None:
            payload["reason"] = reason
        url = self._offered(self.directory().revoke_cert, "revokeCert")
        self._confirmed(self._post(url, payload, by_key=by_key), "revocation")

    # -- authorizations and challenges ---------------------------------------------------------------------------

    def authorization(self, url: str) -> Authorization:
        """The authorization as it stands (RFC 8555 section 7.5)."""
        return self._read_waiting(self._post(url), "authorization", Authorization.from_json, url)

    def deactivate_authorization(self, url: str) -> Authorization:
        """Give an authorization up, also a pending one that counts against a limit (RFC 8555 section 7.5.2)."""
        reply = self._post(url, {"status": "deactivated"})
        return self._read_waiting(reply, "authorization", Authorization.from_json, url)

    def challenge(self, url: str) -> Challenge:
        """The challenge as it stands; nothing is answered (RFC 8555 section 7.5.1)."""
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
        except ProtocolError as error:  # the parser does not know which server it was
            raise ProtocolError(error.resource, error.field, host=host_of(reply.url)) from None

    def _read_waiting(self, reply: HttpReply, resource: str, parse: Callable[..., _T], url: str) -> _T:
        return self._read(reply, resource, parse, url=url, retry_after=self._exchange.retry_after(reply))

    @staticmethod
    def _confirmed(reply: HttpReply, resource: str) -> None:
        """For answers where only the status matters: whether it comes from the CA, and not from a proxy on the way.

        Every success of a POST has a nonce (RFC 8555 section 6.5).
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
