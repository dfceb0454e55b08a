"""CAA records (RFC 8659, RFC 8657): whether a domain's owner permits this CA, checked before an order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import dns.exception
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from attrs import field, frozen

from certcore.messages import Message
from certcore.model.finding import Change, Finding, RecordChange, Severity
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.findings import finding
from certcore_puq_acme.dns.zones import is_in

__all__ = ["CaaAnswer", "CaaPolicy", "caa_finding", "relevant_records"]

_CRITICAL: Final = 128
_KNOWN: Final = frozenset({"issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"})
_ACCOUNT: Final = "accounturi"
_METHODS: Final = "validationmethods"


@frozen(kw_only=True)
class CaaAnswer:
    """The relevant CAA records of a name (RFC 8659 section 3)."""

    #: The name that has the records, for example the target of a CNAME; empty if there are no records.
    name: str = ""
    #: The name that was looked up: the certificate's name, or one of its ancestors.
    asked: str = ""
    #: The records in text form, for example ``0 issue "ca.example"``.
    records: tuple[str, ...] = ()
    #: Why the lookup failed; empty if it succeeded.
    failure: Message | str = ""
    #: Whether the failure is lasting: the servers answer, but refuse this question.
    is_refusal: bool = False


@frozen(kw_only=True)
class CaaPolicy:
    """The values that a CA compares to CAA records."""

    #: The names of the CA, from its directory.
    identities: frozenset[str]
    #: The account's URL, for records with an ``accounturi`` (RFC 8657 section 3).
    account_uri: str
    #: The validation method, for records with ``validationmethods`` (RFC 8657 section 4).
    method: str

    @classmethod
    def of(cls, identities: Iterable[str], account_uri: str, method: str) -> CaaPolicy:
        """Make a policy from the names in a CA's directory, in any case and with or without a final dot."""
        names = frozenset(identity.lower().removesuffix(".") for identity in identities)
        return cls(identities=names, account_uri=account_uri, method=method)


@frozen(kw_only=True)
class _Issue:
    """The value of an ``issue`` or ``issuewild`` property (RFC 8659 section 4.2)."""

    issuer: str
    parameters: Mapping[str, str] = field(factory=dict)

    @classmethod
    def parse(cls, value: str) -> _Issue:
        issuer, *rest = (part.strip() for part in value.split(";"))
        pairs = (part.partition("=") for part in rest if part)
        return cls(
            issuer=issuer.lower().removesuffix("."),
            parameters={tag.strip().lower(): text.strip() for tag, _, text in pairs},
        )

    def is_for_account(self, policy: CaaPolicy) -> bool:
        """Whether the record permits the account."""
        return self.parameters.get(_ACCOUNT, policy.account_uri) == policy.account_uri

    def is_for_method(self, policy: CaaPolicy) -> bool:
        """Whether the record permits the validation method."""
        methods = self.parameters.get(_METHODS)
        return methods is None or policy.method in {method.strip() for method in methods.split(",")}

    def permitting(self, policy: CaaPolicy) -> _Issue:
        """The same record, changed to permit this account and this validation method."""
        changed = dict(self.parameters)
        if not self.is_for_account(policy):
            changed[_ACCOUNT] = policy.account_uri
        if not self.is_for_method(policy):
            changed[_METHODS] = policy.method
        return _Issue(issuer=self.issuer, parameters=changed)

    def __str__(self) -> str:
        return "; ".join((self.issuer, *(f"{tag}={value}" for tag, value in self.parameters.items())))


def caa_finding(name: str, answer: CaaAnswer, policy: CaaPolicy, *, wildcard: bool) -> Finding | None:
    """Why the CAA records of a name forbid a certificate, with a remedy that keeps the owner's restrictions.

    Args:
        name: The name in A-labels, without ``*.``.
        answer: The relevant records of the name.
        policy: The CA, the account and the validation method.
        wildcard: Whether the certificate is for ``*.name``.

    Returns:
        The finding; None if the records permit the certificate.
    """
    if answer.failure:
        less = None if answer.is_refusal else Severity.WARNING
        return finding(DnsCode.CAA_LOOKUP_FAILS, name=name, seen=answer.failure, severity=less)
    shown = "; ".join(answer.records)
    at = answer.name or name
    read = [(record, *_read(record)) for record in answer.records]
    unknown = [record for record, flags, tag, _ in read if flags & _CRITICAL and tag not in _KNOWN]
    if unknown:
        remedy = [RecordChange(name=at, type="CAA", value=record, change=Change.REMOVE) for record in unknown]
        return finding(DnsCode.CAA_CRITICAL, name=at, seen="; ".join(unknown), remedy=remedy)
    issue = [_Issue.parse(value) for _, _, tag, value in read if tag == "issue"]
    wild = [_Issue.parse(value) for _, _, tag, value in read if tag == "issuewild"]
    is_wild = wildcard and bool(wild)
    counting = wild if is_wild else issue
    ours = [record for record in counting if record.issuer in policy.identities]
    if not counting or any(record.is_for_account(policy) and record.is_for_method(policy) for record in ours):
        return None
    # Of several records for this CA, the closest to permitting the certificate counts.
    nearest = next((record for record in ours if record.is_for_account(policy)), ours[0] if ours else None)
    model = nearest or next((record for record in issue if record.issuer in policy.identities), None)
    permitting_value = (model or _Issue(issuer=min(policy.identities))).permitting(policy)
    remedy = [RecordChange(name=at, type="CAA", value=f'0 {"issuewild" if is_wild else "issue"} "{permitting_value}"')]
    if nearest is not None:
        code = DnsCode.CAA_METHOD if nearest.is_for_account(policy) else DnsCode.CAA_ACCOUNT
        return finding(code, name=at, expected=policy.method, seen=shown, remedy=remedy)
    if is_wild:
        return finding(DnsCode.CAA_ISSUEWILD, name=at, seen=shown, remedy=remedy)
    if at == name:
        return finding(DnsCode.CAA_ISSUE, name=name, seen=shown, remedy=remedy)
    is_alias = bool(answer.asked) and not is_in(answer.asked, at)
    code = DnsCode.CAA_AT_ALIAS if is_alias else DnsCode.CAA_AT_PARENT
    return finding(code, name=answer.asked if is_alias else name, where=at, seen=shown, remedy=remedy)


def relevant_records(name: str, ask: Callable[[str], CaaAnswer], known: dict[str, CaaAnswer]) -> CaaAnswer:
    """The relevant records of a name (RFC 8659 section 3): its own, or those of the nearest ancestor with records.

    Args:
        name: The name in A-labels, without ``*.``.
        ask: Looks up the records of exactly one name.
        known: A cache of lookups; new lookups are added.
    """
    labels = name.split(".")
    for start in range(len(labels)):
        at = ".".join(labels[start:])
        if at not in known:
            known[at] = ask(at)
        if known[at].records or known[at].failure:
            return known[at]
    return CaaAnswer()


def _read(text: str) -> tuple[int, str, str]:
    """Flags, tag and value of a record in text form; a record that cannot be read has no tag."""
    try:
        rdata: Any = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.CAA, text)
    except (dns.exception.DNSException, ValueError):
        return 0, "", ""
    return rdata.flags, rdata.tag.decode("ascii", "replace").lower(), rdata.value.decode("utf-8", "replace")
