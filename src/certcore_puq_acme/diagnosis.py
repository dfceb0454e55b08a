"""A CA's refusal in words: what happened, whether we try again, and what somebody can do about it."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.acme_errors import AcmeError, AcmeProblem, ProtocolError, TransportFailed

__all__ = ["Diagnosis", "diagnose", "diagnose_order"]

_SERVER_ERROR: Final = 500
_TOO_MANY: Final = 429


@frozen
class Diagnosis:
    """What a refusal means."""

    problem: Problem
    retry: Retry


@frozen
class _Meaning:
    retry: Retry
    advice: str


_BY_TYPE: Final = MappingProxyType(
    {
        "accountDoesNotExist": _Meaning(Retry.SOON, "A new account is opened at the next attempt."),
        "badCSR": _Meaning(Retry.NEVER, "Choose another key type or other names, and generate a new CSR."),
        "badNonce": _Meaning(Retry.SOON, "It is tried again by itself."),
        "caa": _Meaning(
            Retry.SLOW, "The owner has to allow this CA in the domain's CAA record, or remove that record."
        ),
        "connection": _Meaning(Retry.SLOW, "Check that the tech zone's name servers can be reached from the Internet."),
        "dns": _Meaning(Retry.SLOW, "Check the domain's name servers, its DNSSEC, and the tech zone's delegation."),
        "externalAccountRequired": _Meaning(Retry.NEVER, "Put the CA's EAB key id and HMAC key into the CA profile."),
        "incorrectResponse": _Meaning(Retry.SLOW, "Check that the CNAME still points into the tech zone."),
        "invalidContact": _Meaning(Retry.NEVER, "Correct the account e-mail in the CA profile."),
        "malformed": _Meaning(Retry.SLOW, "It is tried again slowly. If it stays, report it with the CA's text."),
        "orderNotReady": _Meaning(Retry.SOON, "It is tried again by itself."),
        "rateLimited": _Meaning(Retry.SLOW, "It is tried again when the CA permits; until then nothing is to be done."),
        "rejectedIdentifier": _Meaning(Retry.NEVER, "Remove the name from the certificate, or use another CA."),
        "serverInternal": _Meaning(Retry.SOON, "It is tried again by itself."),
        "unauthorized": _Meaning(Retry.SLOW, "Check that the CNAME still points into the tech zone."),
        "unsupportedContact": _Meaning(Retry.NEVER, "Correct the account e-mail in the CA profile."),
        "unsupportedIdentifier": _Meaning(Retry.NEVER, "Remove the name from the certificate, or use another CA."),
        "userActionRequired": _Meaning(Retry.NEVER, "Visit the CA's page, then check again."),
    }
)
_BY_TRANSPORT: Final = "It is tried again by itself. If it stays, check the directory URL and this server's network."


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
    return Diagnosis(evolve(problem, advice=error.advice or _BY_TRANSPORT), Retry.SOON)


def diagnose_order(problems: dict[str, Problem], order_problem: Problem | None) -> Diagnosis:
    """What an invalid order means: its own problem, and one for each name that the CA could not validate."""
    subproblems = tuple(evolve(one, identifier=name, subproblems=()) for name, one in problems.items())
    main = order_problem or (subproblems[0] if subproblems else Problem())
    names = ", ".join(problems) or "this order"
    title = f"The CA could not validate {names}." if problems else "The CA rejected the order."
    # The slowest of the reasons decides: what cannot heal for one name cannot heal for the order.
    meanings = [_BY_TYPE.get(one.acme_type) for one in (*subproblems, main)]
    known = [one for one in meanings if one is not None]
    never = next((one for one in known if one.retry is Retry.NEVER), None)
    chosen = never or (known[0] if known else _Meaning(Retry.SLOW, "It is tried again slowly with a new order."))
    retry = Retry.NEVER if never else Retry.SLOW
    problem = evolve(
        main, title=title, advice=chosen.advice, subproblems=main.subproblems or subproblems, identifier=""
    )
    return Diagnosis(problem, retry)


def _diagnose_problem(error: AcmeProblem) -> Diagnosis:
    meaning = _BY_TYPE.get(error.acme_type)
    if meaning is None:
        soon = error.status >= _SERVER_ERROR
        meaning = _Meaning(Retry.SOON if soon else Retry.SLOW, "It is tried again by itself.")
    if error.status == _TOO_MANY:
        meaning = _BY_TYPE["rateLimited"]
    return Diagnosis(evolve(error.problem, advice=error.problem.advice or meaning.advice), meaning.retry)
