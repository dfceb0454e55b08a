"""Find out where a DNSSEC chain of trust breaks (RFC 4035 section 5), and tell the domain's owner in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final

import dns.dnssec
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass

from certcore.messages import Message
from certcore_puq_acme.dns.asking import Asking, QuestionBudget
from certcore_puq_acme.dns.port import Answer, Question
from certcore_puq_acme.dns.zones import FoundZone

__all__ = ["where_it_breaks"]

_UNKNOWN: Final = Message("puq_acme.dns.dnssec.refused", "a resolver that validates refuses it")


def where_it_breaks(path: Sequence[FoundZone], asking: Asking, budget: QuestionBudget, now: datetime) -> Message:
    """Where the chain breaks, from the root downwards, as far as the servers' answers show it.

    Args:
        path: The zones from the root to the one that contains the name.
        asking: Asks the questions.
        budget: How many questions may still be asked for the name.
        now: The current time.
    """
    for parent, zone in pairwise(path):
        signed_by = _answer(parent, Question(name=zone.apex, kind="DS", recursive=False, dnssec=True), asking, budget)
        fingerprints = signed_by.at(zone.apex, "DS")
        keys = _answer(zone, Question(name=zone.apex, kind="DNSKEY", recursive=False, dnssec=True), asking, budget)
        if fingerprints and (trouble := _trouble_of_keys(parent, zone, fingerprints, keys, now)) is not None:
            return trouble
        if not keys.at(zone.apex, "DNSKEY"):
            continue  # the zone is not signed
        start = _answer(zone, Question(name=zone.apex, kind="SOA", recursive=False, dnssec=True), asking, budget)
        if (trouble := _trouble_of_signatures(zone, start, now)) is not None:
            return trouble
    return _UNKNOWN


def _trouble_of_keys(
    parent: FoundZone, zone: FoundZone, fingerprints: Iterable[str], answer: Answer, now: datetime
) -> Message | None:
    params = {"zone": zone.apex, "parent": parent.called}
    keys = answer.at(zone.apex, "DNSKEY")
    if not keys:
        text = "{parent} holds DS records for {zone}, which has no keys (DNSKEY)"
        return Message("puq_acme.dns.dnssec.no_keys", text, params)
    if not any(_fits(zone.apex, fingerprint, key) for fingerprint in fingerprints for key in keys):
        text = "no key (DNSKEY) of {zone} fits the DS records for it in {parent}"
        return Message("puq_acme.dns.dnssec.no_key_fits", text, params)
    return _trouble_of_signatures(zone, answer, now)


def _trouble_of_signatures(zone: FoundZone, answer: Answer, now: datetime) -> Message | None:
    if not answer.answer:
        return None
    signatures = [_read("RRSIG", value) for value in answer.at(zone.apex, "RRSIG")]
    valid = [signature for signature in signatures if signature is not None]
    if not valid:
        text = "the records of {zone} carry no signatures (RRSIG)"
        return Message("puq_acme.dns.dnssec.unsigned", text, {"zone": zone.apex})
    last = max(signature.expiration for signature in valid)
    if last < now.timestamp():
        params = {"zone": zone.apex, "day": f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d}"}
        return Message("puq_acme.dns.dnssec.expired", "the signatures of {zone} expired on {day}", params)
    if min(signature.inception for signature in valid) > now.timestamp():
        text = "the signatures of {zone} are not valid yet"
        return Message("puq_acme.dns.dnssec.not_yet", text, {"zone": zone.apex})
    return None


def _fits(apex: str, fingerprint: str, key: str) -> bool:
    """Whether a DS record belongs to a key."""
    published, public = _read("DS", fingerprint), _read("DNSKEY", key)
    if published is None or public is None:
        return False
    try:
        made: Any = dns.dnssec.make_ds(
            dns.name.from_text(apex), public, published.digest_type, policy=dns.dnssec.allow_all_policy
        )
    except (dns.exception.DNSException, ValueError):
        return False
    return bool(made == published)


def _read(kind: str, text: str) -> Any:
    try:
        return dns.rdata.from_text(dns.rdataclass.IN, kind, text)
    except (dns.exception.DNSException, ValueError):
        return None


def _answer(zone: FoundZone, question: Question, asking: Asking, budget: QuestionBudget) -> Answer:
    for server in zone.servers:
        answer = asking.ask(server.server, question, budget)
        if answer.is_positive:
            return answer
    return Answer()
