"""CAA records (RFC 8659, RFC 8657): whether a domain's owner lets this CA issue, seen before the CA is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import dns.rdata
import dns.rdataclass
import dns.rdatatype
from attrs import frozen

__all__ = ["CaaAnswer", "CaaPolicy", "relevant_records", "suggestion"]

_CRITICAL: Final = 128
_KNOWN: Final = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"})


@frozen(kw_only=True)
class CaaAnswer:
    """The CAA records that count for a name (RFC 8659 section 3)."""

    #: Where they stand; empty when there are none.
    name: str = ""
    #: In text form: ``0 issue "ca.example"``.
    records: tuple[str, ...] = ()
    #: Why they could not be looked up; then they say nothing.
    failure: str = ""


@frozen(kw_only=True)
class CaaPolicy:
    """What a CA recognises as meant for it."""

    #: The names of the CA, from its directory.
    identities: frozenset[str]
    #: The account's URL, for records that name one (RFC 8657 section 3).
    account_uri: str
    #: The way of validation, for records that name some (RFC 8657 section 4).
    method: str

    def refusal(self, records: Sequence[str], *, wildcard: bool) -> str:
        """Why these records forbid a certificate, in words; empty when they permit it.

        Args:
            records: The records that count for the name, in text form.
            wildcard: Whether the certificate is for ``*.name``.
        """
        read = [_read(one) for one in records]
        unknown = [tag for flags, tag, _ in read if flags & _CRITICAL and tag not in _KNOWN]
        if unknown:
            return f"it has a critical property that no CA understands: {unknown[0]}"
        issue = [value for _, tag, value in read if tag == "issue"]
        wild = [value for _, tag, value in read if tag == "issuewild"]
        counting = wild if wildcard and wild else issue
        if not counting:
            return ""
        reasons = [self._against(value) for value in counting]
        if "" in reasons:
            return ""
        return next((reason for reason in reasons if reason != _OTHER), _OTHER)

    def _against(self, value: str) -> str:
        """Why one ``issue`` or ``issuewild`` value does not permit us; empty when it does."""
        issuer, *rest = (part.strip() for part in value.split(";"))
        if issuer.lower().removesuffix(".") not in self.identities:
            return _OTHER
        parameters = [part.partition("=") for part in rest if part]
        accounts = [given.strip() for tag, _, given in parameters if tag.strip().lower() == "accounturi"]
        if accounts and self.account_uri not in accounts:
            return "it permits another account of this CA only"
        methods = [given for tag, _, given in parameters if tag.strip().lower() == "validationmethods"]
        if methods and self.method not in {one.strip() for given in methods for one in given.split(",")}:
            return f"it does not permit the validation by {self.method}"
        return ""


_OTHER: Final = "it permits other CAs only"


def relevant_records(name: str, ask: Callable[[str], CaaAnswer], known: dict[str, CaaAnswer]) -> CaaAnswer:
    """The records that count for a name: its own, else those of the nearest name above it that has some.

    Args:
        name: A-labels, without ``*.``.
        ask: Looks the records of exactly one name up.
        known: What was looked up already; what is looked up is added.
    """
    labels = name.split(".")
    for start in range(len(labels)):
        at = ".".join(labels[start:])
        if at not in known:
            known[at] = ask(at)
        if known[at].records or known[at].failure:
            return known[at]
    return CaaAnswer()


def suggestion(identities: Iterable[str]) -> str:
    """The record that permits the CA."""
    return f'0 issue "{min(identities)}"'


def _read(text: str) -> tuple[int, str, str]:
    """Flags, tag and value of a record in text form."""
    rdata: Any = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.CAA, text)
    return rdata.flags, rdata.tag.decode("ascii", "replace").lower(), rdata.value.decode("utf-8", "replace")
