"""The resources of RFC 8555 as frozen values, read leniently. Quotations are from RFC 8555.

Unknown statuses, identifier types and challenge types are kept. Members that are unknown or of the wrong type are
ignored. A missing member is an error (:class:`ProtocolError`) only if the next request needs it.

`acme.messages` is not used, because its classes refuse a whole resource for one unknown status or identifier type.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from attrs import field, frozen

from certcore.net.foreign_text import LONGEST_URL, LONGEST_WORD, printable
from certcore_puq_acme.protocol.errors import ProtocolError
from certcore_puq_acme.protocol.problem_document import ProblemDocument

__all__ = [
    "MAX_RETRY_AFTER",
    "Account",
    "Authorization",
    "Challenge",
    "Directory",
    "Download",
    "Fetched",
    "Order",
    "alternates",
    "http_date",
    "parse_retry_after",
]

#: The longest wait that a server can ask for, in seconds: one day.
MAX_RETRY_AFTER: Final = 86400.0

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_ALTERNATE = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?alternate(?:\s[^"]*)?"|alternate(?=[\s;,]|$))', re.IGNORECASE)
#: How many items of a list are kept: more than any order has names.
_MAX_LIST: Final = 1000
#: How many certificate profiles are kept, and how many characters of the CA's text about each.
_MAX_PROFILES: Final = 100
_MAX_PROFILE_TEXT: Final = 300


def _read_only(mapping: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(mapping))


@frozen(kw_only=True)
class Directory:
    """The directory: the URLs and properties of an ACME server (RFC 8555 section 7.1.1)."""

    #: newNonce (section 7.2).
    new_nonce: str
    #: newAccount (section 7.3).
    new_account: str
    #: newOrder (section 7.4).
    new_order: str
    #: revokeCert (section 7.6); empty if the server offers no revocation.
    revoke_cert: str = ""
    #: keyChange (section 7.3.5); empty if the server offers no key change.
    key_change: str = ""
    #: renewalInfo (RFC 9773 section 4.1); empty if the server offers no renewal information.
    renewal_info: str = ""
    #: "A URL identifying the current terms of service"; empty if there is none.
    terms_of_service: str = ""
    #: "An HTTP or HTTPS URL locating a website providing more information about the ACME server"; may be empty.
    website: str = ""
    #: "The hostnames that the ACME server recognizes as referring to itself for the purposes of CAA record validation".
    caa_identities: tuple[str, ...] = ()
    #: The issuer names. A dns-persist-01 record begins with one of them (draft-ietf-acme-dns-persist-02 section 3.2).
    issuer_names: tuple[str, ...] = ()
    #: The prefix of the hashed account URI in a dns-persist-01 record (section 4.1); empty in earlier drafts.
    account_hash_prefix: str = ""
    #: "If this field is present and set to "true", then the CA requires that all newAccount requests include an
    #: "externalAccountBinding" field" (section 7.3.4).
    external_account_required: bool = False
    #: The names of the certificate profiles, each with the CA's description (draft-ietf-acme-profiles).
    profiles: Mapping[str, str] = field(factory=dict, converter=_read_only, hash=False)

    @classmethod
    def from_json(cls, document: object) -> Directory:
        """Read a directory object.

        Raises:
            ProtocolError: It is not an object, or has no newNonce, newAccount or newOrder.
        """
        fields = _object(document, "directory")
        meta = _mapping(fields.get("meta"))
        return cls(
            new_nonce=_need(fields, "newNonce", "directory"),
            new_account=_need(fields, "newAccount", "directory"),
            new_order=_need(fields, "newOrder", "directory"),
            revoke_cert=_text(fields, "revokeCert"),
            key_change=_text(fields, "keyChange"),
            renewal_info=_text(fields, "renewalInfo"),
            terms_of_service=_text(meta, "termsOfService"),
            website=_text(meta, "website"),
            caa_identities=_texts(meta, "caaIdentities"),
            issuer_names=_texts(meta, "issuerDomainNames"),
            account_hash_prefix=_text(meta, "accountHashPrefix"),
            external_account_required=meta.get("externalAccountRequired") is True,
            profiles={
                printable(name, LONGEST_WORD): printable(text, _MAX_PROFILE_TEXT)
                for name, text in islice(_mapping(meta.get("profiles")).items(), _MAX_PROFILES)
            },
        )


@frozen(kw_only=True)
class Account:
    """An account at the CA (RFC 8555 section 7.1.2)."""

    #: The account URL, which is the ``kid`` of every later request.
    url: str
    #: "Possible values are "valid", "deactivated", and "revoked""; others are kept.
    status: str = "valid"
    #: "An array of URLs that the server can use to contact the client"; many CAs do not return them.
    contact: tuple[str, ...] = ()
    #: "A URL from which a list of orders submitted by this account can be fetched" (section 7.1.2.1); usually empty.
    orders: str = ""

    @classmethod
    def from_json(cls, document: object, *, url: str) -> Account:
        """Read an account object; a missing status is taken as ``valid``.

        Raises:
            ProtocolError: It is not an object.
        """
        fields = _object(document, "account")
        return cls(
            url=url,
            status=_word(fields, "status") or "valid",
            contact=_texts(fields, "contact"),
            orders=_text(fields, "orders"),
        )


@frozen(kw_only=True)
class Order:
    """A request for one certificate (RFC 8555 section 7.1.3)."""

    #: The order URL, from the Location header. Save it before the next request.
    url: str
    #: "Possible values are "pending", "ready", "processing", "valid", and "invalid"" (section 7.1.6); others are kept.
    status: str
    #: "An array of identifier objects that the order pertains to": their values, in the server's order.
    identifiers: tuple[str, ...] = ()
    #: The authorizations "that the client needs to complete before the requested certificate can be issued": URLs.
    authorizations: tuple[str, ...] = ()
    #: "A URL that a CSR must be POSTed to once all of the order's authorizations are satisfied"; never empty while the
    #: order is pending or ready.
    finalize: str = ""
    #: "A URL for the certificate that has been issued in response to this order"; never empty once the order is valid.
    certificate: str = ""
    #: "The error that occurred while processing the order, if any"; it may have a subproblem per identifier.
    problem: ProblemDocument | None = None
    #: RFC 3339 text as the server sent it; empty if it sent none.
    expires: str = ""
    #: Seconds from Retry-After (RFC 9110 section 10.2.3); None if there was none.
    retry_after: float | None = None

    @classmethod
    def from_json(cls, document: object, *, url: str, retry_after: float | None = None) -> Order:
        """Read an order object.

        Raises:
            ProtocolError: It is not an object, has no status, or lacks a member that its status requires: if pending,
                authorizations and finalize; if ready, finalize; if valid, certificate.
        """
        fields = _object(document, "order")
        order = cls(
            url=url,
            status=_need(fields, "status", "order")[:LONGEST_WORD],
            identifiers=tuple(
                name for identifier in _list(fields, "identifiers") if (name := _text(_mapping(identifier), "value"))
            ),
            authorizations=_texts(fields, "authorizations"),
            finalize=_text(fields, "finalize"),
            certificate=_text(fields, "certificate"),
            problem=ProblemDocument.from_json(fields.get("error")),
            expires=_text(fields, "expires"),
            retry_after=retry_after,
        )
        needed = {"pending": ("authorizations", "finalize"), "ready": ("finalize",), "valid": ("certificate",)}
        for name in needed.get(order.status, ()):
            if not getattr(order, name):
                raise ProtocolError("order", name)
        return order


@frozen(kw_only=True)
class Challenge:
    """One way to prove control of an identifier (RFC 8555 section 8)."""

    #: "The type of challenge encoded in the object", such as ``dns-01``; unknown types are kept.
    type: str
    #: "The URL to which a response can be posted"; empty for types without a response.
    url: str = ""
    #: "Possible values are "pending", "processing", "valid", and "invalid"" (section 7.1.6); others are kept.
    status: str = ""
    #: Section 8.4: "A random value that uniquely identifies the challenge"; empty for types without a token.
    token: str = ""
    #: The issuer names. A dns-persist-01 record may begin with any of them.
    issuer_names: tuple[str, ...] = ()
    #: The account URI that a dns-persist-01 record must contain, if the server sends it (early drafts).
    account_uri: str = ""
    #: "Error that occurred while the server was validating the challenge, if any".
    problem: ProblemDocument | None = None
    #: Seconds from Retry-After; None if there was none.
    retry_after: float | None = None

    @classmethod
    def from_json(cls, document: object, *, url: str = "", retry_after: float | None = None) -> Challenge:
        """Read a challenge object; every member may be missing.

        Raises:
            ProtocolError: It is not an object.
        """
        fields = _object(document, "challenge")
        return cls(
            type=_word(fields, "type"),
            url=_text(fields, "url") or url,
            status=_word(fields, "status"),
            token=_text(fields, "token"),
            issuer_names=_texts(fields, "issuerDomainNames") or _texts(fields, "issuer-domain-names"),
            account_uri=_text(fields, "accounturi"),
            problem=ProblemDocument.from_json(fields.get("error")),
            retry_after=retry_after,
        )


@frozen(kw_only=True)
class Authorization:
    """The account's authorization to act for one identifier (RFC 8555 section 7.1.4).

    An authorization may be ``invalid`` although none of its challenges has an error.
    """

    #: The authorization URL.
    url: str
    #: The identifier's value without ``*.``; empty when the server left it out (never while pending).
    identifier: str
    #: "This field MUST be present and true for authorizations created as a result of a newOrder request containing a
    #: DNS identifier with a value that was a wildcard domain name".
    wildcard: bool
    #: "Possible values are "pending", "valid", "invalid", "deactivated", "expired", and "revoked"" (section 7.1.6).
    status: str
    challenges: tuple[Challenge, ...] = ()
    #: RFC 3339 text as the server sent it; empty if it sent none.
    expires: str = ""
    #: Seconds from Retry-After (RFC 9110 section 10.2.3); None if there was none.
    retry_after: float | None = None

    def challenge(self, kind: str) -> Challenge | None:
        """The first challenge of this type that can be answered, or None."""
        return next((challenge for challenge in self.challenges if challenge.type == kind and challenge.url), None)

    @property
    def problem(self) -> ProblemDocument | None:
        """The problem of the first challenge that has one."""
        return next((challenge.problem for challenge in self.challenges if challenge.problem is not None), None)

    @classmethod
    def from_json(cls, document: object, *, url: str, retry_after: float | None = None) -> Authorization:
        """Read an authorization object. Challenges that are not objects, or have no type, are ignored.

        Raises:
            ProtocolError: It is not an object, has no status, or is pending and has no identifier.
        """
        fields = _object(document, "authorization")
        status = _need(fields, "status", "authorization")[:LONGEST_WORD]
        identifier = _text(_mapping(fields.get("identifier")), "value")
        if not identifier and status == "pending":
            raise ProtocolError("authorization", "identifier")
        return cls(
            url=url,
            identifier=identifier.removeprefix("*."),
            wildcard=fields.get("wildcard") is True or identifier.startswith("*."),
            status=status,
            challenges=tuple(
                Challenge.from_json(challenge)
                for challenge in _list(fields, "challenges")
                if isinstance(challenge, Mapping) and _text(challenge, "type")
            ),
            expires=_text(fields, "expires"),
            retry_after=retry_after,
        )


class Download(NamedTuple):
    """An issued certificate as downloaded (RFC 8555 section 7.4.2)."""

    #: The leaf and its chain, PEM.
    chain_pem: bytes
    #: URLs of the same leaf with other chains (``Link: rel="alternate"``).
    alternates: tuple[str, ...]


class Fetched(NamedTuple):
    """A JSON object that was read with a plain GET."""

    document: dict[str, Any]
    #: Seconds from Retry-After (RFC 9110 section 10.2.3); None if there was none.
    retry_after: float | None


def parse_retry_after(value: str, *, date: str = "", now: datetime | None = None) -> float | None:
    """The seconds in a Retry-After header (RFC 9110 section 10.2.3), between 0 and :data:`MAX_RETRY_AFTER`.

    Args:
        value: The header: delta-seconds or an HTTP-date.
        date: The same reply's Date header. If ``value`` is an HTTP-date, the seconds are counted from this one, so that
            both are of the server's clock.
        now: The current time, used if there is no usable Date header.

    Returns:
        The seconds; None if there is no readable header, or if ``value`` is an HTTP-date and both ``date`` and ``now``
        are missing.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        digits = value.lstrip("0")[:6] or "0"  # six digits are more than a day already
        return min(float(digits), MAX_RETRY_AFTER)
    until, start = http_date(value), http_date(date) or now
    if until is None or start is None:
        return None
    return min(max((until - start).total_seconds(), 0.0), MAX_RETRY_AFTER)


def alternates(link_headers: list[str]) -> tuple[str, ...]:
    """The URLs of ``rel="alternate"`` links (RFC 8288), each once."""
    targets = (
        match[1].strip() for header in link_headers for match in _LINK.finditer(header) if _ALTERNATE.search(match[2])
    )
    return tuple(dict.fromkeys(targets))


@lru_cache(maxsize=16)  # the replies of one second have one date
def http_date(value: str) -> datetime | None:
    """Read an HTTP-date (RFC 9110 section 5.6.7); None if it is malformed."""
    if not value:
        return None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)  # an HTTP-date is always in GMT


def _object(document: object, resource: str) -> Mapping[str, Any]:
    if not isinstance(document, Mapping):
        raise ProtocolError(resource)
    return document


def _need(document: Mapping[str, Any], name: str, resource: str) -> str:
    value = _text(document, name)
    if not value:
        raise ProtocolError(resource, name)
    return value


def _text(document: Mapping[str, Any], name: str) -> str:
    return printable(document.get(name), LONGEST_URL)


def _word(document: Mapping[str, Any], name: str) -> str:
    return printable(document.get(name), LONGEST_WORD)


def _list(document: Mapping[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    return value[:_MAX_LIST] if isinstance(value, list) else []


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(printable(text, LONGEST_URL) for text in _list(document, name) if isinstance(text, str))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
