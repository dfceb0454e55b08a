"""The resources of RFC 8555 as frozen values, read as leniently as a client safely can.

Unknown statuses, identifier types and challenge types are kept as they are; members that are unknown or of the wrong
type are left out. Only a member that the next request cannot do without is missed: :class:`ProtocolError` names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from attrs import evolve, field, frozen

from certcore.model.problem import Problem
from certcore_puq_acme.acme_errors import ProtocolError
from certcore_puq_acme.foreign_text import LONGEST_TEXT, LONGEST_URL, LONGEST_WORD, printable

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
    "parse_problem",
    "parse_retry_after",
]

#: The longest wait that a server can ask of us, in seconds: one day.
MAX_RETRY_AFTER: Final = 86400.0

_LINK = re.compile(r"<([^<>]*)>([^<]*)")
_ALTERNATE = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?alternate(?:\s[^"]*)?"|alternate(?=[\s;,]|$))', re.IGNORECASE)
_HTTP_STATUSES: Final = range(100, 600)
#: How many members of a list are kept: more than any order has names.
_LONGEST_LIST: Final = 1000
#: How many certificate profiles, and sub-problems, are kept, and the longest text of each.
_MOST_SHOWN: Final = 100
_BRIEF: Final = 300


def _read_only(found: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType(dict(found))


@frozen(kw_only=True)
class Directory:
    """What the server can do, and where (RFC 8555 section 7.1.1)."""

    new_nonce: str
    new_account: str
    new_order: str
    #: Empty where the server offers no revocation.
    revoke_cert: str = ""
    #: Empty where the server offers no key change.
    key_change: str = ""
    #: The renewal information URL (RFC 9773 section 4.1), empty where there is none.
    renewal_info: str = ""
    terms_of_service: str = ""
    website: str = ""
    #: The names that a CAA record may hold to allow this CA (RFC 8659).
    caa_identities: tuple[str, ...] = ()
    #: The names of which a dns-persist-01 record begins with one (draft-ietf-acme-dns-persist-02 section 3.2).
    issuer_names: tuple[str, ...] = ()
    #: What the hashed account URI of a dns-persist-01 record begins with (section 4.1); empty in earlier drafts.
    account_hash_prefix: str = ""
    #: Whether a new account needs external account binding (RFC 8555 section 7.3.4).
    external_account_required: bool = False
    #: Certificate profile names and what the CA says about them (draft-ietf-acme-profiles).
    profiles: Mapping[str, str] = field(factory=dict, converter=_read_only, hash=False)

    @classmethod
    def from_json(cls, document: object) -> Directory:
        """Read a directory object.

        Raises:
            ProtocolError: No object, or no newNonce, newAccount or newOrder.
        """
        found = _object(document, "directory")
        meta = _mapping(found.get("meta"))
        return cls(
            new_nonce=_need(found, "newNonce", "directory"),
            new_account=_need(found, "newAccount", "directory"),
            new_order=_need(found, "newOrder", "directory"),
            revoke_cert=_text(found, "revokeCert"),
            key_change=_text(found, "keyChange"),
            renewal_info=_text(found, "renewalInfo"),
            terms_of_service=_text(meta, "termsOfService"),
            website=_text(meta, "website"),
            caa_identities=_texts(meta, "caaIdentities"),
            issuer_names=_texts(meta, "issuerDomainNames"),
            account_hash_prefix=_text(meta, "accountHashPrefix"),
            external_account_required=meta.get("externalAccountRequired") is True,
            profiles={
                printable(name, LONGEST_WORD): printable(text, _BRIEF)
                for name, text in islice(_mapping(meta.get("profiles")).items(), _MOST_SHOWN)
            },
        )


@frozen(kw_only=True)
class Account:
    """An account at the CA (RFC 8555 section 7.1.2)."""

    #: The account URL, which is the ``kid`` of every later request.
    url: str
    #: ``valid``, ``deactivated``, ``revoked``, or whatever the server says.
    status: str = "valid"
    #: Contact URIs; many CAs do not return them.
    contact: tuple[str, ...] = ()
    #: The URL of the orders list; empty at most CAs.
    orders: str = ""

    @classmethod
    def from_json(cls, document: object, *, url: str) -> Account:
        """Read an account object; a missing status is taken as ``valid``.

        Raises:
            ProtocolError: No object.
        """
        found = _object(document, "account")
        return cls(
            url=url,
            status=_word(found, "status") or "valid",
            contact=_texts(found, "contact"),
            orders=_text(found, "orders"),
        )


@frozen(kw_only=True)
class Order:
    """A request for one certificate (RFC 8555 section 7.1.3)."""

    #: The order URL; save it before anything else is asked.
    url: str
    #: ``pending``, ``ready``, ``processing``, ``valid``, ``invalid``, or whatever the server says.
    status: str
    #: The names, in the server's order.
    identifiers: tuple[str, ...] = ()
    #: The authorization URLs.
    authorizations: tuple[str, ...] = ()
    #: Where the CSR goes; never empty while the order is pending or ready.
    finalize: str = ""
    #: Where the certificate is; never empty once the order is valid.
    certificate: str = ""
    #: Why the order failed, with a sub-problem per identifier where the CA gave them.
    problem: Problem | None = None
    #: RFC 3339 text as the server sent it, empty when it did not.
    expires: str = ""
    #: Seconds that the server asks to wait before it is asked again, None when it did not say.
    retry_after: float | None = None

    @classmethod
    def from_json(cls, document: object, *, url: str, retry_after: float | None = None) -> Order:
        """Read an order object.

        Raises:
            ProtocolError: No object, no status, or a status without what it promises: authorizations and finalize
                while pending, finalize when ready, certificate when valid.
        """
        found = _object(document, "order")
        order = cls(
            url=url,
            status=_need(found, "status", "order")[:LONGEST_WORD],
            identifiers=tuple(name for one in _list(found, "identifiers") if (name := _text(_mapping(one), "value"))),
            authorizations=_texts(found, "authorizations"),
            finalize=_text(found, "finalize"),
            certificate=_text(found, "certificate"),
            problem=parse_problem(found.get("error")),
            expires=_text(found, "expires"),
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

    #: ``dns-01`` and so on; types that nobody here knows are kept.
    type: str
    #: Where the answer goes; empty for types that have none.
    url: str = ""
    #: ``pending``, ``processing``, ``valid``, ``invalid``, or whatever the server says.
    status: str = ""
    #: The token of token challenges, empty for others.
    token: str = ""
    #: The names of which a dns-persist-01 record may begin with one.
    issuer_names: tuple[str, ...] = ()
    #: The account URI that a dns-persist-01 record has to hold, where the server tells it (early drafts).
    account_uri: str = ""
    #: What the CA saw when it failed.
    problem: Problem | None = None
    #: Seconds that the server asks to wait, None when it did not say.
    retry_after: float | None = None

    @classmethod
    def from_json(cls, document: object, *, url: str = "", retry_after: float | None = None) -> Challenge:
        """Read a challenge object; every member may be missing.

        Raises:
            ProtocolError: No object.
        """
        found = _object(document, "challenge")
        return cls(
            type=_word(found, "type"),
            url=_text(found, "url") or url,
            status=_word(found, "status"),
            token=_text(found, "token"),
            issuer_names=_texts(found, "issuerDomainNames") or _texts(found, "issuer-domain-names"),
            account_uri=_text(found, "accounturi"),
            problem=parse_problem(found.get("error")),
            retry_after=retry_after,
        )


@frozen(kw_only=True)
class Authorization:
    """What the CA knows about our control of one identifier (RFC 8555 section 7.1.4).

    The status is what counts: an authorization may be ``invalid`` without any challenge that says why.
    """

    url: str
    #: The name without ``*.``; empty when the server did not say (never while pending).
    identifier: str
    #: Whether it covers ``*.identifier``.
    wildcard: bool
    #: ``pending``, ``valid``, ``invalid``, ``deactivated``, ``expired``, ``revoked``, or whatever the server says.
    status: str
    challenges: tuple[Challenge, ...] = ()
    #: RFC 3339 text as the server sent it, empty when it did not.
    expires: str = ""
    #: Seconds that the server asks to wait before it is asked again, None when it did not say.
    retry_after: float | None = None

    def challenge(self, kind: str) -> Challenge | None:
        """The first challenge of this type that can be answered, or None."""
        return next((one for one in self.challenges if one.type == kind and one.url), None)

    @property
    def problem(self) -> Problem | None:
        """The first problem that any of the challenges tells of."""
        return next((one.problem for one in self.challenges if one.problem is not None), None)

    @classmethod
    def from_json(cls, document: object, *, url: str, retry_after: float | None = None) -> Authorization:
        """Read an authorization object; challenges that are no objects or have no type are skipped.

        Raises:
            ProtocolError: No object, no status, or no identifier while pending.
        """
        found = _object(document, "authorization")
        status = _need(found, "status", "authorization")[:LONGEST_WORD]
        identifier = _text(_mapping(found.get("identifier")), "value")
        if not identifier and status == "pending":
            raise ProtocolError("authorization", "identifier")
        return cls(
            url=url,
            identifier=identifier.removeprefix("*."),
            wildcard=found.get("wildcard") is True or identifier.startswith("*."),
            status=status,
            challenges=tuple(
                Challenge.from_json(one)
                for one in _list(found, "challenges")
                if isinstance(one, Mapping) and _text(one, "type")
            ),
            expires=_text(found, "expires"),
            retry_after=retry_after,
        )


class Download(NamedTuple):
    """An issued certificate as it came (RFC 8555 section 7.4.2)."""

    #: The leaf and its chain, PEM.
    chain_pem: bytes
    #: URLs of the same leaf with other chains (``Link: rel="alternate"``).
    alternates: tuple[str, ...]


class Fetched(NamedTuple):
    """A JSON object that was read with a plain GET."""

    document: dict[str, Any]
    #: Seconds that the server asks to wait before it is asked again, None when it did not say.
    retry_after: float | None


def parse_problem(document: object) -> Problem | None:
    """A problem document inside another resource, its texts printable and bounded; None where there is no object.

    Advice is ours alone: that of a CA is left out.
    """
    if not isinstance(document, Mapping):
        return None
    problem = Problem.from_json(document)
    subproblems = tuple(_plausible(one, _BRIEF) for one in problem.subproblems[:_MOST_SHOWN])
    return evolve(_plausible(problem, LONGEST_TEXT), subproblems=subproblems)


def parse_retry_after(value: str, *, date: str = "", now: datetime | None = None) -> float | None:
    """The seconds in a Retry-After header (RFC 9110 section 10.2.3), between 0 and :data:`MAX_RETRY_AFTER`.

    Args:
        value: The header: delta-seconds or an HTTP-date.
        date: The same reply's Date header, which an HTTP-date counts from: the server's clock on both ends.
        now: What an HTTP-date counts from where there is no usable Date header.

    Returns:
        None for no header, an unreadable one, or an HTTP-date that there is nothing to count from.
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
    found = (
        match[1].strip() for header in link_headers for match in _LINK.finditer(header) if _ALTERNATE.search(match[2])
    )
    return tuple(dict.fromkeys(found))


def http_date(value: str) -> datetime | None:
    """The moment of an HTTP-date (RFC 9110 section 5.6.7); None for what is none."""
    if not value:
        return None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)  # an HTTP-date is always in GMT


def _plausible(problem: Problem, longest: int) -> Problem:
    return evolve(
        problem,
        type=printable(problem.type, _BRIEF),
        title=printable(problem.title, longest),
        detail=printable(problem.detail, longest),
        instance=printable(problem.instance, longest),
        identifier=printable(problem.identifier, _BRIEF),
        advice="",
        status=problem.status if problem.status in _HTTP_STATUSES else None,
    )


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
    return value[:_LONGEST_LIST] if isinstance(value, list) else []


def _texts(document: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(printable(one, LONGEST_URL) for one in _list(document, name) if isinstance(one, str))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
