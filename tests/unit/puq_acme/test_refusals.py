"""What a CA's refusal means: whether it is tried again, and what a person reads."""

import pytest

from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.acme_errors import AcmeError, AcmeProblem, ProtocolError, TransportFailed
from certcore_puq_acme.diagnosis import diagnose, diagnose_order

#: RFC 8555 section 6.7 (without subproblem-only "compound"), and whether time, a person, or nobody heals it.
TYPES = {
    "accountDoesNotExist": Retry.SOON,
    "badCSR": Retry.NEVER,
    "badNonce": Retry.SOON,
    "caa": Retry.SLOW,
    "connection": Retry.SLOW,
    "dns": Retry.SLOW,
    "externalAccountRequired": Retry.NEVER,
    "incorrectResponse": Retry.SLOW,
    "invalidContact": Retry.NEVER,
    "malformed": Retry.SLOW,
    "orderNotReady": Retry.SOON,
    "rateLimited": Retry.SLOW,
    "rejectedIdentifier": Retry.NEVER,
    "serverInternal": Retry.SOON,
    "tls": Retry.SLOW,
    "unauthorized": Retry.SLOW,
    "unsupportedContact": Retry.NEVER,
    "unsupportedIdentifier": Retry.NEVER,
    "userActionRequired": Retry.NEVER,
}


def _problem(name, **members):
    return Problem(type=f"urn:ietf:params:acme:error:{name}", **members)


@pytest.mark.parametrize(("name", "retry"), TYPES.items())
def test_every_error_type_of_rfc_8555(name, retry):
    """Each has a retry class and an advice, and keeps the CA's own text."""
    error = AcmeProblem(_problem(name, detail="The CA's own words."), status=403, host="ca.example")
    found = diagnose(error)
    assert found.retry is retry
    assert found.problem.advice
    assert found.problem.detail == "The CA's own words."
    assert found.problem.acme_type == name


@pytest.mark.parametrize(
    ("status", "retry"), [(500, Retry.SOON), (503, Retry.SOON), (403, Retry.SLOW), (429, Retry.SLOW)]
)
def test_types_that_nobody_knows(status, retry):
    """A server's own trouble is tried again soon, a refusal slowly."""
    found = diagnose(AcmeProblem(Problem(type="urn:example:new"), status=status, host="ca.example"))
    assert found.retry is retry
    assert found.problem.advice


def test_too_many_requests_slow_down_whatever_the_type():
    """Status 429 wins over the problem's type."""
    found = diagnose(AcmeProblem(_problem("serverInternal"), status=429, host="ca.example"))
    assert found.retry is Retry.SLOW


@pytest.mark.parametrize(
    "error",
    [
        TransportFailed("timeout", "The CA's server at ca.example did not answer.", host="ca.example"),
        ProtocolError("order", "finalize", host="ca.example"),
        AcmeError("Something else."),
    ],
)
def test_a_ca_that_cannot_be_talked_to_is_tried_again_soon(error):
    """The sentence is kept, and an advice is there."""
    found = diagnose(error)
    assert found.retry is Retry.SOON
    assert found.problem.title == error.message
    assert found.problem.advice


def test_an_invalid_order_names_its_names():
    """Each name with its own reason; the reason that heals slowest decides."""
    problems = {"a.example": _problem("dns", detail="SERVFAIL"), "b.example": _problem("caa", detail="CAA says no")}
    found = diagnose_order(problems, None)
    assert found.retry is Retry.SLOW
    assert found.problem.title == "The CA could not validate a.example, b.example."
    assert {one.identifier: one.detail for one in found.problem.subproblems} == {
        "a.example": "SERVFAIL",
        "b.example": "CAA says no",
    }
    text = str(found.problem)
    assert "a.example: SERVFAIL" in text
    final = diagnose_order({**problems, "c.example": _problem("rejectedIdentifier")}, None)
    assert final.retry is Retry.NEVER
    assert "Remove the name" in final.problem.advice


def test_an_order_that_is_invalid_without_saying_why():
    """It is tried again slowly, and a person reads at least that."""
    found = diagnose_order({}, None)
    assert found.retry is Retry.SLOW
    assert found.problem.title == "The CA rejected the order."
    assert found.problem.advice
    own = diagnose_order({}, _problem("badCSR", detail="weak key"))
    assert own.retry is Retry.NEVER
    assert own.problem.detail == "weak key"
