"""The texts and the severity of every finding about DNS records, in one table.

The classification, the pages and ``docs/reference/findings.md`` all use this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from certcore.model.finding import Severity
from certcore_puq_acme.dns.codes import DnsCode

__all__ = ["FINDING_CODES", "FindingCode"]


@frozen(kw_only=True)
class FindingCode:
    """One row of the table."""

    code: DnsCode
    #: The usual severity; a finding may have a lower one if something compensates for the fault.
    severity: Severity
    #: The cause, in a sentence with the parameters ``name``, ``server``, ``expected``, ``seen`` and its own.
    cause: str
    #: What to do about it, in the same form.
    advice: str
    #: The parameters of the documentation's example, and its records.
    example: Mapping[str, str]


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_NAME: Final = "_acme-challenge.shop.example"
_TARGET: Final = "k3vq.acme.panel.example"
_SERVER: Final = "ns1.hoster.example (192.0.2.53)"
_SET: Final = "Set the CNAME {name} to {expected}."
_ZONE: Final = "acme.panel.example"
_SET_TEXT: Final = "Set the TXT record {name} to {expected}."
_PERSIST: Final = {
    "name": "_validation-persist.shop.example",
    "expected": "ca.example; accounturi=https://ca.example/acct/2",
}


def _table() -> Iterable[tuple[DnsCode, Severity, str, str, Mapping[str, str]]]:
    """Code, severity, cause, advice, and further parameters of the example."""
    code = DnsCode
    yield from (
        (
            code.DOMAIN_NOT_REGISTERED,
            _E,
            "The domain {zone} does not exist: the servers of {parent} do not know it.",
            "Register the domain, or correct its spelling. After a registration it takes minutes to hours.",
            {"zone": "shop.example", "parent": "example"},
        ),
        (
            code.DOMAIN_NOT_DELEGATED,
            _E,
            "The domain {zone} has no name servers: the zone {parent} holds no NS records for it.",
            "Set the name servers of {zone} at its registrar.",
            {"zone": "shop.example", "parent": "example"},
        ),
        (
            code.PUBLIC_SUFFIX,
            _E,
            "{name} is a public suffix, below which anybody may register domains: no CA issues for it.",
            "Request a certificate for a domain below it.",
            {"name": "co.uk"},
        ),
        (
            code.WILDCARD_FORBIDDEN,
            _E,
            "{name} is a wildcard, which this CA profile does not permit.",
            "Leave the wildcard out, or use another CA profile.",
            {"name": "*.shop.example"},
        ),
        (
            code.SERVER_LAME,
            _E,
            "The domain is delegated to {server}, which does not serve the zone {zone} ({seen}).",
            "Add the zone to that server, or take the server out of the domain's NS records at the registrar.",
            {"zone": "shop.example", "seen": "it answered REFUSED"},
        ),
        (
            code.SERVER_SILENT,
            _E,
            "{server}, a name server of the zone {zone}, does not answer ({seen}).",
            "Check that the server runs and that UDP and TCP port 53 are open to everybody.",
            {"zone": "shop.example", "seen": "no answer in time"},
        ),
        (
            code.SERVER_FAILS,
            _E,
            "{server}, a name server of the zone {zone}, fails to answer ({seen}).",
            "Look into the log of that server; perhaps it could not load the zone.",
            {"zone": "shop.example", "seen": "it answered SERVFAIL"},
        ),
        (
            code.SERVER_WITHOUT_ADDRESS,
            _E,
            "The name server {server} of the zone {zone} has no address.",
            "Give that host name an A or AAAA record, or name another server at the registrar.",
            {"zone": "shop.example", "server": "ns1.hoster.example"},
        ),
        (
            code.SERVER_ADDRESS_NOT_PUBLIC,
            _W,
            "The name server {server} of the zone {zone} has a {seen} address, which no public CA can reach.",
            "Give it a public address. If the CA is in the same network, permit such addresses in the CA profile.",
            {"zone": "shop.example", "server": "ns1.hoster.example (10.0.0.53)", "seen": "private"},
        ),
        (
            code.SERVERS_DISAGREE,
            _E,
            "The name servers of {zone} show different records at {name}: {seen}.",
            "Make all name servers of the zone show the same records. " + _SET,
            {
                "zone": "shop.example",
                "seen": "ns1.hoster.example: k3vq.acme.panel.example; ns2.hoster.example: old.example.net",
            },
        ),
        (
            code.SERVERS_IPV6_ONLY,
            _W,
            "The name servers of {zone} have only IPv6 addresses; CAs without IPv6 cannot reach them.",
            "Give at least one of them an IPv4 address.",
            {"zone": "shop.example"},
        ),
        (
            code.DNSSEC_BOGUS,
            _E,
            "The DNSSEC of {zone} does not validate: {seen}.",
            "Repair the signatures, or have the registrar remove the DS records of {zone}.",
            {"zone": "shop.example", "seen": "no key of shop.example fits the DS records at example"},
        ),
        (
            code.CNAME_MISSING,
            _E,
            "{name} has no record, according to {by}.",
            _SET,
            {"by": "all name servers of shop.example"},
        ),
        (
            code.CNAME_WRONG_TARGET,
            _E,
            "The CNAME {name} points to {seen}.",
            _SET,
            {"seen": "somewhere.else.example"},
        ),
        (
            code.CNAME_OLD_TARGET,
            _E,
            "The CNAME {name} points to {seen}, which is not in {zone}: it may be an old tech zone.",
            _SET,
            {"seen": "k3vq.old-acme.panel.example", "zone": _ZONE},
        ),
        (
            code.CNAME_OTHER_LABEL,
            _E,
            "The CNAME {name} points to {seen}, a label of another owner or domain in the tech zone.",
            _SET,
            {"seen": "zzzz.acme.panel.example"},
        ),
        (
            code.CNAME_DOUBLED_SUFFIX,
            _E,
            "The CNAME was set at {seen}: the DNS panel has added the domain to a name that already contained it.",
            "Enter the name without the domain, or with a trailing dot; the full name must be {name}.",
            {"seen": "_acme-challenge.shop.example.shop.example"},
        ),
        (
            code.CNAME_TARGET_NOT_FINAL,
            _E,
            "The CNAME {name} points to {seen}: without a trailing dot, the server has added the zone to the target.",
            "Write the target with a trailing dot: {expected}.",
            {"seen": "k3vq.acme.panel.example.shop.example"},
        ),
        (
            code.CNAME_WITHOUT_UNDERSCORE,
            _E,
            "The CNAME was set at {seen}, without the underscore.",
            "Set it at {name}, with the leading underscore.",
            {"seen": "acme-challenge.shop.example"},
        ),
        (
            code.CNAME_AT_DOMAIN,
            _E,
            "The CNAME was set at {seen} itself.",
            "Remove it there, and set it at {name}.",
            {"seen": "shop.example"},
        ),
        (
            code.TXT_INSTEAD_OF_CNAME,
            _E,
            "{name} has a TXT record instead of the CNAME.",
            "Remove the TXT record, because a CNAME excludes all other records. Then set the CNAME to {expected}.",
            {"seen": "TXT k3vq.acme.panel.example"},
        ),
        (
            code.ADDRESS_INSTEAD_OF_CNAME,
            _E,
            "{name} has an address record instead of the CNAME: {seen}.",
            "Remove it, because a CNAME excludes all other records. Then set the CNAME to {expected}.",
            {"seen": "A 192.0.2.80"},
        ),
        (
            code.NS_INSTEAD_OF_CNAME,
            _E,
            "{name} is delegated with NS records ({seen}) instead of being a CNAME.",
            "Remove the NS records. Then set the CNAME to {expected}.",
            {"seen": "ns1.acme.panel.example"},
        ),
        (
            code.CNAME_BESIDE_RECORDS,
            _W,
            "{name} has other records besides the CNAME ({seen}), which the DNS forbids (RFC 1034 section 3.6.2).",
            "Remove the other records.",
            {"seen": "TXT"},
        ),
        (
            code.CNAME_ON_SOME_SERVERS,
            _E,
            "Only some name servers of {zone} show the CNAME {name}; it is missing at {server}.",
            "Bring that server up to date: check that it copies the zone from the primary.",
            {"zone": "shop.example"},
        ),
        (
            code.CNAME_IN_PARENT_ZONE,
            _E,
            "{name} lies in {zone}, which is delegated to {seen}; records in the zone {parent} have no effect.",
            "Set the CNAME {name} to {expected} at the servers of {zone}.",
            {
                "name": "_acme-challenge.eu.shop.example",
                "zone": "eu.shop.example",
                "parent": "shop.example",
                "seen": "ns1.eu.example",
            },
        ),
        (
            code.CNAME_BEHIND_WILDCARD,
            _E,
            "A wildcard record answers for {name} ({seen}); the name has no explicit record.",
            _SET + " An explicit record takes precedence over the wildcard.",
            {"seen": "CNAME web.hoster.example"},
        ),
        (
            code.CNAME_LOOP,
            _E,
            "The CNAMEs that begin at {name} lead in a circle: {seen}.",
            _SET,
            {"seen": "a.shop.example → _acme-challenge.shop.example"},
        ),
        (
            code.CNAME_CHAIN_TOO_LONG,
            _E,
            "The chain of CNAMEs from {name} is too long: resolvers give up.",
            _SET,
            {"seen": "a.shop.example → b.shop.example → …"},
        ),
        (
            code.CNAME_FLATTENED,
            _E,
            "{name} exists without a CNAME: the DNS host flattens it, or it has a record of another type.",
            "Switch flattening, ALIAS or proxying off for this record: it must be a plain CNAME.",
            {},
        ),
        (
            code.HOST_ANSWERS_TXT,
            _E,
            "{server} shows the CNAME {name}, but answers TXT queries with its own values: {seen}.",
            "Switch off the DNS host's own certificates for this name: its TXT values hide those of the tech zone.",
            {"seen": "ca3-0123456789abcdef"},
        ),
        (
            code.STILL_CACHED,
            _I,
            "All name servers of {zone} show the right record; the resolver {server} has an old answer until {until}.",
            "No action is needed: issuance does not wait for that resolver.",
            {"zone": "shop.example", "server": "192.0.2.1", "until": "2026-11-29 13:00 UTC"},
        ),
        (
            code.SPLIT_VIEW,
            _E,
            "The resolver {server} shows the CNAME {name}, but the name servers do not: it sees another view.",
            "Also set the CNAME {name} to {expected} in the public view.",
            {"server": "192.0.2.1"},
        ),
        (
            code.RESOLVER_REWRITES,
            _W,
            "The resolver {server} invents answers for names that do not exist: {seen}.",
            "Use another resolver in the CA profile, or switch the rewriting off.",
            {"server": "192.0.2.1", "seen": "A 192.0.2.99"},
        ),
        (
            code.RESOLVER_SILENT,
            _W,
            "The resolver {server} does not answer for {name} ({seen}).",
            "Check the DNS servers of the CA profile, or those of this machine.",
            {"server": "192.0.2.1", "seen": "no answer in time"},
        ),
        (
            code.RESOLVER_FAILS,
            _W,
            "The resolver {server} cannot resolve {name}: {seen}.",
            "Check the domain's name servers and its DNSSEC; then that resolver.",
            {"server": "192.0.2.1", "seen": "it answered SERVFAIL (No Reachable Authority)"},
        ),
        (
            code.RESOLVER_DIFFERS,
            _W,
            "The resolver {server} returns another record for {name} than the domain's name servers: {seen}.",
            "It may have cached an older answer; check again later.",
            {"server": "192.0.2.1", "seen": "old.example.net"},
        ),
        (
            code.TECH_ZONE_NOT_DELEGATED,
            _E,
            "The tech zone {zone} is not delegated: the zone {parent} holds no NS records for it.",
            "The operator of the panel has to set NS records for {zone} in the zone {parent}.",
            {"name": _ZONE, "zone": _ZONE, "parent": "panel.example"},
        ),
        (
            code.TECH_ZONE_UNREACHABLE,
            _E,
            "No name server of the tech zone {zone} answers usably: {seen}.",
            "The operator of the panel has to check that its DNS server runs and that port 53, UDP and TCP, is open.",
            {"name": _ZONE, "zone": _ZONE, "seen": "ns1.panel.example (192.0.2.1): no answer in time"},
        ),
        (
            code.TECH_ZONE_OLD_SERVER,
            _E,
            "{server} serves an outdated copy of the tech zone {zone}: it does not show {expected}.",
            "The operator of the panel has to take that server out of the delegation, or bring it up to date.",
            {
                "name": f"_certcore-check.{_ZONE}",
                "zone": _ZONE,
                "server": "ns2.panel.example (192.0.2.2)",
                "expected": "the check value",
            },
        ),
        (
            code.TECH_ZONE_WITHOUT_ADDRESS,
            _E,
            "The name server {server} of the tech zone {zone} has no address.",
            "The operator of the panel has to set an A or AAAA record for it, and name its addresses in the profile.",
            {"name": _ZONE, "zone": _ZONE, "server": "ns.acme.panel.example"},
        ),
        (
            code.TXT_MISSING,
            _E,
            "{server} does not show the TXT values of the order at {name} ({seen}).",
            "If it persists, the operator of the panel has to bring that server of the zone {zone} up to date.",
            {"name": _TARGET, "zone": _ZONE, "seen": "0 of 1 values", "server": "ns2.panel.example (192.0.2.2)"},
        ),
        (
            code.TXT_FOREIGN,
            _W,
            "{server} shows TXT values at {name} that this panel has not published: {seen}.",
            "Stop what else writes to the tech zone {zone}, for example an older panel.",
            {"name": _TARGET, "zone": _ZONE, "seen": "old-value", "server": "ns2.panel.example (192.0.2.2)"},
        ),
        (
            code.PERSIST_MISSING,
            _E,
            "There is no TXT record of this CA at {name}.",
            _SET_TEXT,
            _PERSIST,
        ),
        (
            code.PERSIST_OTHER_ACCOUNT,
            _E,
            "The TXT record {name} is for another account of this CA: {seen}.",
            "Add the TXT record {name} with the value {expected}; the existing one may stay.",
            {**_PERSIST, "seen": "https://ca.example/acct/1"},
        ),
        (
            code.PERSIST_WITHOUT_WILDCARD,
            _E,
            "The TXT record {name} does not cover wildcards: policy=wildcard is missing.",
            _SET_TEXT,
            {**_PERSIST, "expected": f"{_PERSIST['expected']}; policy=wildcard"},
        ),
        (
            code.PERSIST_EXPIRED,
            _E,
            "The TXT record {name} has expired: its persistUntil was {seen}.",
            _SET_TEXT,
            {**_PERSIST, "seen": "2026-11-29 13:00 UTC"},
        ),
        (
            code.PERSIST_ON_SOME_SERVERS,
            _E,
            "Only some name servers show the right TXT record at {name}; {server} does not.",
            "Bring that server up to date: check that it copies the zone from the primary.",
            _PERSIST,
        ),
        (
            code.PERSIST_UNREACHABLE,
            _E,
            "The TXT record {name} cannot be looked up ({seen}).",
            "Check the domain's name servers; the record is looked up again.",
            {**_PERSIST, "seen": "ns1.hoster.example (192.0.2.53): it answered SERVFAIL"},
        ),
        (
            code.CAA_ISSUE,
            _E,
            "The CAA records of {name} permit only other CAs: {seen}.",
            "Add the record below to them.",
            {"name": "shop.example", "seen": '0 issue "other.example"'},
        ),
        (
            code.CAA_ISSUEWILD,
            _E,
            "The CAA records of {name} forbid this CA to issue wildcards: {seen}.",
            "Add the issuewild record below to them.",
            {"name": "shop.example", "seen": '0 issuewild ";"'},
        ),
        (
            code.CAA_ACCOUNT,
            _E,
            "The CAA records of {name} permit only another account of this CA: {seen}.",
            "Add the record below to them: it permits this account and keeps the other restrictions.",
            {"name": "shop.example", "seen": '0 issue "ca.example; accounturi=https://ca.example/acct/1"'},
        ),
        (
            code.CAA_METHOD,
            _E,
            "The CAA records of {name} do not permit the validation by {expected}: {seen}.",
            "Add the record below to them: it permits this validation and keeps the other restrictions.",
            {"name": "shop.example", "seen": '0 issue "ca.example; validationmethods=http-01"', "expected": "dns-01"},
        ),
        (
            code.CAA_CRITICAL,
            _E,
            "The CAA records of {name} have a critical property that no CA understands: {seen}.",
            "Remove the record below.",
            {"name": "shop.example", "seen": '128 tbs "unknown"'},
        ),
        (
            code.CAA_AT_PARENT,
            _E,
            "The CAA records of {where}, which also apply to {name}, permit only other CAs: {seen}.",
            "Add the record below to them, or set it at {name} to permit only that name.",
            {"name": "eu.shop.example", "where": "shop.example", "seen": '0 issue "other.example"'},
        ),
        (
            code.CAA_AT_ALIAS,
            _E,
            "{name} is a CNAME to {where}, whose CAA records permit only other CAs: {seen}.",
            "The operator of {where} has to add the record below: a CNAME such as {name} cannot have CAA records.",
            {"name": "www.shop.example", "where": "shops.hoster.example", "seen": '0 issue "other.example"'},
        ),
        (
            code.CAA_LOOKUP_FAILS,
            _E,
            "The CAA records of {name} cannot be looked up ({seen}); a CA does not issue then (RFC 8659 section 3).",
            "The name servers of {name} must answer CAA queries, with an empty answer if there is no record.",
            {"name": "shop.example", "seen": "ns1.hoster.example (192.0.2.53): it answered SERVFAIL"},
        ),
    )


def _read() -> Mapping[DnsCode, FindingCode]:
    usual = {"name": _NAME, "server": _SERVER, "expected": _TARGET, "seen": ""}
    return MappingProxyType(
        {
            code: FindingCode(
                code=code,
                severity=severity,
                cause=cause,
                advice=advice,
                example=MappingProxyType({**usual, **example}),
            )
            for code, severity, cause, advice, example in _table()
        }
    )


#: The table, by code.
FINDING_CODES: Final = _read()
