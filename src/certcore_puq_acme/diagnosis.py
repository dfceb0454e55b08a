"""A CA's refusal in words: what happened, whether we try again, and what somebody can do about it.

Two tables: `certcore_puq_acme.meanings.MEANINGS` by the ACME error type, and `CAUSES` by what CAs write when they could
not see a name's records. The documentation's page of refusals is made from both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.acme_errors import AcmeError, AcmeProblem, ProtocolError, TransportFailed
from certcore_puq_acme.limits import registered_domain
from certcore_puq_acme.meanings import BY_ITSELF, GONE, MEANINGS, SERVER_ERROR, TOO_MANY, Meaning, meaning_of
from certcore_puq_acme.pages import asks_for_a_visit

__all__ = ["CAUSES", "Cause", "Diagnosis", "diagnose", "diagnose_order", "pauses_the_account"]

_PAUSES: Final = (TOO_MANY, 503)


@frozen(kw_only=True)
class Diagnosis:
    """What a refusal means for the certificate."""

    problem: Problem
    retry: Retry
    #: The CA failed for a reason of its own; another one may do better.
    of_authority: bool


@frozen(kw_only=True)
class Cause:
    """A cause that a CA tells of in its own words."""

    #: A stable word.
    name: str
    #: What the CA's text is recognised by.
    pattern: re.Pattern[str]
    #: What happened.
    title: str
    advice: str


#: The first one whose pattern is found in the CA's text counts.
CAUSES: Final[Sequence[Cause]] = tuple(
    Cause(name=name, pattern=re.compile(pattern, re.IGNORECASE), title=title, advice=advice)
    for name, pattern, title, advice in (
        (
            "caa_forbids",
            r"caa record.{0,80}prevents issuance|caa.{0,40}forbid",
            "A CAA record of the domain does not permit this CA.",
            "The owner has to allow this CA in the domain's CAA record, or remove that record.",
        ),
        (
            "dnssec",
            r"dnssec|\bbogus\b|dnskey|rrsig",
            "The domain's DNSSEC does not validate.",
            "The owner has to repair the domain's DNSSEC: the DS record at the registrar and the zone's keys must fit.",
        ),
        (
            "servfail",
            r"servfail|server failure",
            "The domain's name servers answer the CA with a failure.",
            "The owner has to look at the domain's name servers and its DNSSEC; then at the tech zone's delegation.",
        ),
        (
            "timeout",
            r"timed? ?out|timeout|deadline exceeded|networking error",
            "The domain's name servers did not answer the CA in time.",
            "Check that the name servers of the domain and of the tech zone can be reached from everywhere.",
        ),
        (
            "nxdomain",
            r"nxdomain|no such (host|domain|name)|name does not exist",
            "The CA finds no such name in the DNS.",
            "The owner has to set the CNAME; if it is there, the tech zone must be delegated to our name server.",
        ),
        (
            "refused",
            r"\brefused\b|\bnotauth\b|\blame\b",
            "A name server refused to answer the CA.",
            "Check that the domain, and the tech zone, are delegated to name servers that know them.",
        ),
        (
            "other_vantage_point",
            r"secondary validation|remote perspective|multi-?perspective|other vantage",
            "The CA sees other records from other places of the world.",
            "All name servers of the domain have to show the same records, everywhere; check the secondary ones.",
        ),
        (
            "no_txt",
            r"no txt record|txt records? (was |were )?not found|could not find a txt",
            "The CA finds no TXT value at the end of the CNAME.",
            "Check that the CNAME points into the tech zone, and that the zone's name server can be reached.",
        ),
        (
            "wrong_txt",
            r"incorrect txt|correct value not found|does not match|did not match|txt record.{0,60}mismatch",
            "The CA finds other TXT values than the published ones.",
            "Check that nothing else answers for the name: an old TXT record beside the CNAME, or an old tech zone.",
        ),
    )
)
_PAUSED_TITLE: Final = "The CA takes no orders for these names until a person has visited its page."
_PAUSED_ADVICE: Final = (
    "Somebody has to visit the page that the CA's text names, after what made the validations fail is repaired. "
    "Then check again."
)
_BY_TRANSPORT: Final = "It is tried again by itself. If it stays, check the directory URL and this server's network."
_SLOWLY: Final = Meaning(Retry.SLOW, "It is tried again slowly with a new order.")
_LINK: Final = re.compile(r"https?://\S+", re.IGNORECASE)


def diagnose(error: AcmeError) -> Diagnosis:
    """What an error of the ACME client means for the certificate."""
    match error:
        case AcmeProblem():
            return _diagnose_problem(error)
        case TransportFailed():
            problem = Problem(type=f"urn:certcore:transport:{error.kind}", title=error.message)
        case ProtocolError():
            problem = Problem(type="urn:certcore:protocol", title=error.message)
        case _:
            problem = Problem(title=error.message)
    advised = evolve(problem, advice=error.advice or _BY_TRANSPORT)
    return Diagnosis(problem=advised, retry=Retry.SOON, of_authority=True)


def diagnose_order(problems: Mapping[str, Problem], order_problem: Problem | None) -> Diagnosis:
    """What a lost order means: its own problem, and one for each name that the CA could not validate.

    Args:
        problems: By name.
        order_problem: That of the order itself; its sub-problems count as well.
    """
    given = order_problem.subproblems if order_problem else ()
    by_name = {one.identifier: one for one in given if one.identifier} | dict(problems)
    subproblems = tuple(evolve(_explained(one), identifier=name, subproblems=()) for name, one in by_name.items())
    main = order_problem or (subproblems[0] if subproblems else Problem())
    names = ", ".join(by_name) or "this order"
    title = f"The CA could not validate {names}." if by_name else "The CA rejected the order."
    # The slowest of the reasons decides: what cannot heal for one name cannot heal for the order.
    meanings = [MEANINGS.get(one.acme_type) for one in (*subproblems, main)]
    known = [one for one in meanings if one is not None]
    never = next((one for one in known if one.retry is Retry.NEVER), None)
    chosen = never or (known[0] if known else _SLOWLY)
    advice = chosen.advice if never else next((one.advice for one in subproblems if one.advice), chosen.advice)
    problem = evolve(main, title=title, advice=advice, subproblems=subproblems, identifier="")
    refused = never is not None and never.of_authority
    return Diagnosis(problem=problem, retry=Retry.NEVER if never else Retry.SLOW, of_authority=refused or not by_name)


def pauses_the_account(error: AcmeProblem, names: Iterable[str]) -> bool:
    """Whether a refusal with a Retry-After concerns everything that the account does (RFC 8555 section 6.6).

    Some limits are about a name, a registered domain or a set of names: those hold up nobody else.

    Args:
        error: The refusal.
        names: What was asked for.
    """
    if error.status not in _PAUSES or error.retry_after is None:
        return False
    text = _LINK.sub(" ", error.detail.lower())  # the CA's own page, for one who has asked for a name of the CA's
    about = {one.removeprefix("*.").lower() for one in names}
    about |= {registered_domain(one) for one in about}
    of_names = any(re.search(rf"(?<![a-z0-9.-])(?:\*\.)?{re.escape(one)}(?![a-z0-9-])", text) for one in about)
    return not (of_names or "exact set" in text or error.problem.subproblems)


def cause_of(detail: str) -> Cause | None:
    """The cause that a CA's text tells of."""
    return next((one for one in CAUSES if one.pattern.search(detail)), None)


def _diagnose_problem(error: AcmeProblem) -> Diagnosis:
    problem = error.problem
    meaning = meaning_of(problem, error.status)
    if meaning is None:
        soon = error.status >= SERVER_ERROR
        meaning = Meaning(Retry.SOON if soon else Retry.SLOW, BY_ITSELF)
    advice = problem.advice or ("A new order is placed." if error.status in GONE else meaning.advice)
    explained = tuple(_explained(one) for one in problem.subproblems)
    if (final := _final_for_a_name(problem)) is not None:
        meaning, advice = final, final.advice
    if error.status == TOO_MANY and asks_for_a_visit(problem.detail):
        # Let's Encrypt pauses names whose validations have failed for long; waiting does not help.
        problem, advice = problem.worded(_PAUSED_TITLE), _PAUSED_ADVICE
    return Diagnosis(
        problem=evolve(problem, advice=advice, subproblems=explained),
        retry=meaning.retry,
        of_authority=meaning.of_authority,
    )


def _final_for_a_name(problem: Problem) -> Meaning | None:
    """What a refusal of several names means where one of them is refused for good: the order cannot heal either."""
    if problem.acme_type != "compound":
        return None
    found = (MEANINGS.get(one.acme_type) for one in problem.subproblems)
    return next((one for one in found if one is not None and one.retry is Retry.NEVER), None)


def _explained(problem: Problem) -> Problem:
    """A name's problem with our words for what the CA's text tells of."""
    cause = cause_of(problem.detail)
    if cause is not None:
        return problem.worded(cause.title, cause.advice)
    meaning = MEANINGS.get(problem.acme_type)
    return evolve(problem, advice=problem.advice or (meaning.advice if meaning else ""))
