"""Explain a CA's refusal: what happened, whether certcore tries again, and what the user can do.

Two tables are used: `certcore_puq_acme.protocol.error_types.ERROR_TYPES`, by ACME error type, and `CAUSES`, by what CAs
write when they could not see a name's records. The documentation's page of refusals is generated from both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from certcore.messages import Message, as_message
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.links import asks_for_a_visit
from certcore_puq_acme.profile.limits import registered_domain
from certcore_puq_acme.protocol.error_types import (
    ERROR_TYPES,
    NOT_FOUND,
    REPEATED,
    SERVER_ERROR,
    TOO_MANY_REQUESTS,
    ErrorType,
    Outlook,
    error_type,
)
from certcore_puq_acme.protocol.errors import AcmeError, AcmeProblemError, ProtocolError, TransportError
from certcore_puq_acme.protocol.problem_document import ProblemDocument

__all__ = ["CAUSES", "Cause", "Diagnosis", "as_problem", "diagnose", "diagnose_order", "pauses_the_account"]

_PAUSES: Final = (TOO_MANY_REQUESTS, 503)
_RETRY: Final[Mapping[Outlook, Retry]] = MappingProxyType(
    {Outlook.SOON: Retry.SOON, Outlook.LATER: Retry.SLOW, Outlook.NEVER: Retry.NEVER}
)


@frozen(kw_only=True)
class Diagnosis:
    """What a refusal means for the certificate."""

    problem: Problem
    retry: Retry
    #: Whether the CA failed for a reason of its own, so that another CA may succeed.
    of_authority: bool


@frozen(kw_only=True)
class Cause:
    """A cause of a failed validation that is recognised in a CA's text."""

    #: A stable identifier.
    name: str
    #: The pattern in the CA's text.
    pattern: re.Pattern[str]
    #: What happened.
    title: Message
    advice: Message


#: The first one whose pattern is found in the CA's text counts.
CAUSES: Final[Sequence[Cause]] = (
    Cause(
        name="caa_forbids",
        pattern=re.compile(r"caa record.{0,80}prevents issuance|caa.{0,40}forbid", re.IGNORECASE),
        title=Message("puq_acme.cause.caa_forbids", "A CAA record of the domain does not permit this CA."),
        advice=Message(
            "puq_acme.cause.caa_forbids.advice",
            "The owner has to allow this CA in the domain's CAA record, or remove that record.",
        ),
    ),
    Cause(
        name="dnssec",
        pattern=re.compile(r"dnssec|\bbogus\b|dnskey|rrsig", re.IGNORECASE),
        title=Message("puq_acme.cause.dnssec", "The domain's DNSSEC does not validate."),
        advice=Message(
            "puq_acme.cause.dnssec.advice",
            "The owner has to repair the domain's DNSSEC: the DS record at the registrar and the zone's keys must fit.",
        ),
    ),
    Cause(
        name="servfail",
        pattern=re.compile(r"servfail|server failure", re.IGNORECASE),
        title=Message("puq_acme.cause.servfail", "The domain's name servers answer the CA with a failure."),
        advice=Message(
            "puq_acme.cause.servfail.advice",
            "The owner has to look at the domain's name servers and its DNSSEC; then at the tech zone's delegation.",
        ),
    ),
    Cause(
        name="timeout",
        pattern=re.compile(r"timed? ?out|timeout|deadline exceeded|networking error", re.IGNORECASE),
        title=Message("puq_acme.cause.timeout", "The domain's name servers did not answer the CA in time."),
        advice=Message(
            "puq_acme.cause.timeout.advice",
            "Check that the name servers of the domain and of the tech zone can be reached from everywhere.",
        ),
    ),
    Cause(
        name="nxdomain",
        pattern=re.compile(r"nxdomain|no such (host|domain|name)|name does not exist", re.IGNORECASE),
        title=Message("puq_acme.cause.nxdomain", "The CA finds no such name in the DNS."),
        advice=Message(
            "puq_acme.cause.nxdomain.advice",
            "The owner has to set the CNAME; if it is there, the tech zone must be delegated to its servers.",
        ),
    ),
    Cause(
        name="refused",
        pattern=re.compile(r"\brefused\b|\bnotauth\b|\blame\b", re.IGNORECASE),
        title=Message("puq_acme.cause.refused", "A name server refused to answer the CA."),
        advice=Message(
            "puq_acme.cause.refused.advice",
            "Check that the domain, and the tech zone, are delegated to name servers that know them.",
        ),
    ),
    Cause(
        name="other_vantage_point",
        pattern=re.compile(r"secondary validation|remote perspective|multi-?perspective|other vantage", re.IGNORECASE),
        title=Message(
            "puq_acme.cause.other_vantage_point", "The CA sees different records from different places in the world."
        ),
        advice=Message(
            "puq_acme.cause.other_vantage_point.advice",
            "All name servers of the domain must show the same records everywhere; check the secondaries.",
        ),
    ),
    Cause(
        name="no_txt",
        pattern=re.compile(r"no txt record|txt records? (was |were )?not found|could not find a txt", re.IGNORECASE),
        title=Message("puq_acme.cause.no_txt", "The CA finds no TXT value at the end of the CNAME."),
        advice=Message(
            "puq_acme.cause.no_txt.advice",
            "Check that the CNAME points into the tech zone, and that the zone's name server can be reached.",
        ),
    ),
    Cause(
        name="wrong_txt",
        pattern=re.compile(
            r"incorrect txt|correct value not found|does not match|did not match|txt record.{0,60}mismatch",
            re.IGNORECASE,
        ),
        title=Message("puq_acme.cause.wrong_txt", "The CA found other TXT values than the published ones."),
        advice=Message(
            "puq_acme.cause.wrong_txt.advice",
            "Check that nothing else answers for the name, such as an old TXT record or an old tech zone.",
        ),
    ),
)
_PAUSED_TITLE: Final = Message(
    "puq_acme.paused", "The CA accepts no orders for these names until a person has visited its page."
)
_PAUSED_ADVICE: Final = Message(
    "puq_acme.paused.advice",
    "First repair the cause of the failed validations. Then visit the page in the CA's text, and check again.",
)
_BY_TRANSPORT: Final = Message(
    "puq_acme.transport.repeated",
    "It is retried automatically. If it persists, check the directory URL and this server's network.",
)
_NEW_ORDER: Final = Message("puq_acme.order.again_slowly", "It is retried slowly with a new order.")
_ANOTHER_ORDER: Final = Message("puq_acme.order.again", "A new order is placed.")
_LINK: Final = re.compile(r"https?://\S+", re.IGNORECASE)


def diagnose(error: AcmeError) -> Diagnosis:
    """What an error of the ACME client means for the certificate."""
    match error:
        case AcmeProblemError():
            return _diagnose_problem(error)
        case TransportError():
            problem = Problem(type=f"urn:certcore:transport:{error.kind}", title=error.text)
        case ProtocolError():
            problem = Problem(type="urn:certcore:protocol", title=error.text)
        case _:
            problem = Problem(title=error.text)
    advised = evolve(problem, advice=error.advice_text if error.advice else _BY_TRANSPORT)
    return Diagnosis(problem=advised, retry=Retry.SOON, of_authority=True)


def diagnose_order(problems: Mapping[str, Problem], order_problem: Problem | None) -> Diagnosis:
    """What a failed order means for the certificate.

    Args:
        problems: The problems of the names that the CA could not validate, by name.
        order_problem: The problem of the order itself, if any; its sub-problems count as well.
    """
    subproblems_given = order_problem.subproblems if order_problem else ()
    by_name = {subproblem.identifier: subproblem for subproblem in subproblems_given if subproblem.identifier} | dict(
        problems
    )
    subproblems = tuple(
        evolve(_explained(subproblem), identifier=name, subproblems=()) for name, subproblem in by_name.items()
    )
    main = order_problem or (subproblems[0] if subproblems else Problem())
    if by_name:
        names = {"names": ", ".join(by_name)}
        title = Message("puq_acme.order.not_validated", "The CA could not validate {names}.", names)
    else:
        title = Message("puq_acme.order.rejected", "The CA rejected the order.")
    # The most lasting reason decides: a permanent failure of one name is a permanent failure of the order.
    types = [ERROR_TYPES[problem.acme_type] for problem in (*subproblems, main) if problem.acme_type in ERROR_TYPES]
    never = next((known for known in types if known.outlook is Outlook.NEVER), None)
    if never:
        advice = never.advice
    else:
        usual = types[0].advice if types else _NEW_ORDER
        advice = next((problem.advice_text for problem in subproblems if problem.advice), usual)
    problem = evolve(main, title=title, advice=advice, subproblems=subproblems, identifier="")
    refused = never is not None and never.of_authority
    return Diagnosis(problem=problem, retry=Retry.NEVER if never else Retry.SLOW, of_authority=refused or not by_name)


def pauses_the_account(error: AcmeProblemError, names: Iterable[str]) -> bool:
    """Whether a refusal with a Retry-After applies to all requests of the account (RFC 8555 section 6.6).

    Some limits apply to a name, a registered domain or a set of names: these do not affect other orders.

    Args:
        error: The refusal.
        names: The names of the order.
    """
    if error.status not in _PAUSES or error.retry_after is None:
        return False
    text = _LINK.sub(" ", error.detail.lower())  # a link to the CA's own page may contain a requested name
    about = {name.removeprefix("*.").lower() for name in names}
    about |= {registered_domain(name) for name in about}
    of_names = any(re.search(rf"(?<![a-z0-9.-])(?:\*\.)?{re.escape(name)}(?![a-z0-9-])", text) for name in about)
    return not (of_names or "exact set" in text or error.problem.subproblems)


def cause_of(detail: str) -> Cause | None:
    """The first cause whose pattern a CA's text matches; None if there is none."""
    return next((cause for cause in CAUSES if cause.pattern.search(detail)), None)


def as_problem(document: ProblemDocument | None, *, title: Message | None = None) -> Problem | None:
    """Turn a CA's problem document into the form that is stored with a certificate; None for None.

    Args:
        document: The problem document (RFC 7807).
        title: The title to show; None for the CA's own.
    """
    if document is None:
        return None
    return Problem(
        type=document.type,
        title=title or document.title,
        detail=document.detail,
        status=document.status,
        identifier=document.identifier,
        instance=document.instance,
        subproblems=tuple(filter(None, map(as_problem, document.subproblems))),
    )


def _diagnose_problem(error: AcmeProblemError) -> Diagnosis:
    problem = as_problem(evolve(error.problem, status=error.status), title=error.title_text) or Problem()
    known = error_type(error.problem, error.status)
    if known is None:
        retry = Retry.SOON if error.status >= SERVER_ERROR else Retry.SLOW
        advice, of_authority = REPEATED, True
    else:
        retry, advice, of_authority = _RETRY[known.outlook], known.advice, known.of_authority
    if error.status in NOT_FOUND:
        advice = _ANOTHER_ORDER
    advice = as_message(error.own_advice) if str(error.own_advice) else advice
    explained = tuple(_explained(sub) for sub in problem.subproblems)
    if (final := _final_for_a_name(problem)) is not None:
        retry, advice, of_authority = Retry.NEVER, final.advice, final.of_authority
    if error.status == TOO_MANY_REQUESTS and asks_for_a_visit(problem.detail):
        # Let's Encrypt pauses names whose validations have failed for long; waiting does not help.
        problem, advice = problem.worded(_PAUSED_TITLE), _PAUSED_ADVICE
    return Diagnosis(
        problem=evolve(problem, advice=advice, subproblems=explained), retry=retry, of_authority=of_authority
    )


def _final_for_a_name(problem: Problem) -> ErrorType | None:
    """The type of a name's problem that makes a refusal of several names permanent, or None."""
    if problem.acme_type != "compound":
        return None
    types = (ERROR_TYPES.get(sub.acme_type) for sub in problem.subproblems)
    return next((known for known in types if known is not None and known.outlook is Outlook.NEVER), None)


def _explained(problem: Problem) -> Problem:
    """A name's problem, with the title and advice of the cause that the CA's text matches."""
    cause = cause_of(problem.detail)
    if cause is not None:
        return problem.worded(cause.title, cause.advice)
    known = ERROR_TYPES.get(problem.acme_type)
    return evolve(problem, advice=problem.advice_text if problem.advice or known is None else known.advice)
