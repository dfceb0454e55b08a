"""What a CA's refusal means: whether it is tried again, and what a person reads."""

import pytest
from acme import messages

from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore_puq_acme.orders.diagnosis import CAUSES, as_problem, diagnose, diagnose_order, pauses_the_account
from certcore_puq_acme.protocol.error_types import ERROR_TYPES
from certcore_puq_acme.protocol.errors import AcmeError, AcmeProblemError, ProtocolError, TransportError
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn

#: RFC 8555 section 6.7, RFC 9773 and the profiles draft, and whether time, a person, or nobody heals it.
TYPES = {
    "accountDoesNotExist": Retry.SOON,
    "alreadyReplaced": Retry.SOON,
    "alreadyRevoked": Retry.NEVER,
    "badPublicKey": Retry.NEVER,
    "badRevocationReason": Retry.NEVER,
    "badSignatureAlgorithm": Retry.NEVER,
    "compound": Retry.SLOW,
    "invalidProfile": Retry.NEVER,
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


def _document(name, **members):
    return ProblemDocument(type=error_urn(name), **members)


def _problem(name, **members):
    return as_problem(_document(name, **members))


@pytest.mark.parametrize(("name", "retry"), TYPES.items())
def test_every_error_type_of_rfc_8555(name, retry):
    """Each has a retry class and an advice, and keeps the CA's own text."""
    error = AcmeProblemError(_document(name, detail="The CA's own words."), status=403, host="ca.example")
    diagnosis = diagnose(error)
    assert diagnosis.retry is retry
    assert diagnosis.problem.advice
    assert diagnosis.problem.detail == "The CA's own words."
    assert diagnosis.problem.acme_type == name


@pytest.mark.parametrize(
    ("status", "retry"), [(500, Retry.SOON), (503, Retry.SOON), (403, Retry.SLOW), (429, Retry.SLOW)]
)
def test_types_that_nobody_knows(status, retry):
    """A server's own trouble is tried again soon, a refusal slowly."""
    diagnosis = diagnose(AcmeProblemError(ProblemDocument(type="urn:example:new"), status=status, host="ca.example"))
    assert diagnosis.retry is retry
    assert diagnosis.problem.advice


def test_too_many_requests_slow_down_whatever_the_type():
    """Status 429 wins over the problem's type."""
    diagnosis = diagnose(AcmeProblemError(_document("serverInternal"), status=429, host="ca.example"))
    assert diagnosis.retry is Retry.SLOW


@pytest.mark.parametrize(
    "error",
    [
        TransportError("timeout", "The CA's server at ca.example did not answer.", host="ca.example"),
        ProtocolError("order", "finalize", host="ca.example"),
        AcmeError("Something else."),
    ],
)
def test_a_ca_that_cannot_be_talked_to_is_tried_again_soon(error):
    """The sentence is kept, and an advice is there."""
    diagnosis = diagnose(error)
    assert diagnosis.retry is Retry.SOON
    assert diagnosis.problem.title == error.message
    assert diagnosis.problem.advice


def test_an_invalid_order_names_its_names():
    """Each name with its own reason; the reason that heals slowest decides."""
    problems = {"a.example": _problem("dns", detail="SERVFAIL"), "b.example": _problem("caa", detail="CAA says no")}
    found = diagnose_order(problems, None)
    assert found.retry is Retry.SLOW
    assert found.problem.title == "The CA could not validate a.example, b.example."
    assert {subproblem.identifier: subproblem.detail for subproblem in found.problem.subproblems} == {
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


@pytest.mark.parametrize(("name", "status"), [*((name, 403) for name in TYPES), ("", 404), ("", 500), ("caa", 429)])
def test_whoever_asks_by_hand_reads_the_cas_text_and_what_to_do(name, status):
    """The error itself has both, and promises no further attempt; an advice of its own comes first."""
    problem = ProblemDocument(type=error_urn(name) if name else "about:blank", detail="In our words.")
    error = AcmeProblemError(problem, status=status, host="ca.example")
    assert error.message.endswith("The CA said: In our words.")
    assert error.advice
    assert "tried again" not in error.advice
    own = error.with_advice("Ask Anna.")
    assert own.advice == diagnose(own).problem.advice == "Ask Anna."


def test_the_table_has_every_type():
    """No type is without a meaning, and none is in the table that the tests do not know."""
    assert set(ERROR_TYPES) == set(TYPES)


def test_the_table_has_the_registry_of_the_acme_package():
    """Every error type of RFC 8555 that certbot's library knows is known here, under the same namespace."""
    before_rfc_8555 = {"dnssec", "invalidEmail", "unknownHost"}  # of drafts
    assert set(messages.ERROR_CODES) - before_rfc_8555 <= set(ERROR_TYPES)
    assert error_urn("") == messages.ERROR_PREFIX


#: What CAs write, as their users have quoted it, and the cause that we tell of.
SAID = {
    "DNS problem: NXDOMAIN looking up TXT for _acme-challenge.a.example - check that a DNS record exists": "nxdomain",
    "DNS problem: SERVFAIL looking up TXT for a.example - the domain's nameservers may be malfunctioning": "servfail",
    "DNS problem: query timed out looking up TXT for _acme-challenge.a.example": "timeout",
    "DNS problem: networking error looking up CAA for a.example": "timeout",
    "DNS problem: REFUSED looking up TXT for _acme-challenge.a.example": "refused",
    "No TXT record found at _acme-challenge.a.example": "no_txt",
    'Incorrect TXT record "x" found at _acme-challenge.a.example': "wrong_txt",
    'Incorrect TXT record "x" (and 1 more) found at _acme-challenge.a.example': "wrong_txt",
    "CAA record for a.example prevents issuance": "caa_forbids",
    "While processing CAA for a.example: CAA record for a.example prevents issuance": "caa_forbids",
    "DNS problem: looking up TXT for a.example: DNSSEC: Bogus": "dnssec",
    "DNS problem: looking up A for a.example: DNSSEC: DNSKEY Missing": "dnssec",
    "During secondary validation: something odd": "other_vantage_point",
    "Correct value not found for DNS challenge": "wrong_txt",
    "The token is blamed": None,
    "": None,
}


@pytest.mark.parametrize(("detail", "cause"), SAID.items())
def test_causes_in_the_cas_own_words(detail, cause):
    """A name's problem is told in our words where the text tells the cause; the CA's text stays beside them."""
    found = diagnose_order({"a.example": _problem("dns", detail=detail)}, None)
    (problem,) = found.problem.subproblems
    known = {cause.name: cause for cause in CAUSES}
    assert problem.detail == detail
    assert problem.title == (str(known[cause].title) if cause else "")
    assert problem.advice == str(known[cause].advice if cause else ERROR_TYPES["dns"].advice)
    assert not found.of_authority


def test_whose_matter_it_is():
    """A CA that is down, or will not issue for the name, is left for another one; the owner's records are not."""
    assert diagnose(TransportError("refused", "It is down.")).of_authority
    assert diagnose(AcmeProblemError(_document("rejectedIdentifier"), status=403, host="ca.example")).of_authority
    assert not diagnose(AcmeProblemError(_document("caa"), status=403, host="ca.example")).of_authority
    assert diagnose_order({"a.example": _problem("rejectedIdentifier")}, None).of_authority
    assert diagnose_order({}, _problem("badCSR")).of_authority
    assert not diagnose_order({"a.example": Problem()}, None).of_authority


@pytest.mark.parametrize(
    ("status", "retry_after", "detail", "pauses"),
    [
        (429, 60, "too many new orders (300) from this account in the last 3h0m0s", True),
        (503, 60, "Service busy; retry later.", True),
        (429, None, "too many new orders", False),
        (500, 60, "internal error", False),
        (429, 60, 'too many certificates (50) already issued for "example.com" in the last 168h0m0s', False),
        (429, 60, "too many certificates (5) already issued for this exact set of identifiers", False),
        (429, 60, 'too many failed authorizations (5) for "www.example.com" in the last 1h0m0s', False),
        (429, 60, "too many certificates already issued for: example.com: see https://ca.example/limits", False),
        (429, 60, "too many failed validations for [www.example.com]", False),
        (429, 60, "too many new orders for example.com, retry later", False),
        (429, 60, "too many certificates for *.shop.example.com.", False),
        (429, 60, "Rate limit for EXAMPLE.COM exceeded", False),
        (429, 60, "too many new orders, see https://example.com/limits", True),
        (429, 60, "too many new orders for my-example.com", True),
        (429, 60, "too many new orders for other.www.example.community", True),
    ],
)
def test_whom_a_retry_after_holds_up(status, retry_after, detail, pauses):
    """The account, unless the text is about a name, its registered domain or a set of names."""
    problem = AcmeProblemError(
        _document("rateLimited", detail=detail), status=status, host="ca.example", retry_after=retry_after
    )
    assert pauses_the_account(problem, ["www.example.com", "*.shop.example.com"]) is pauses


def test_a_ca_that_wants_a_contact():
    """A CA that says malformed for a missing contact gets the advice to enter an e-mail."""
    problem = _document("malformed", detail="Contact information is missing")
    assert "e-mail" in diagnose(AcmeProblemError(problem, status=400, host="ca.example")).problem.advice


@pytest.mark.parametrize(
    ("kinds", "retry", "of_authority", "advice"),
    [
        (["rejectedIdentifier", "rejectedIdentifier"], Retry.NEVER, True, "another CA"),
        (["caa", "rejectedIdentifier"], Retry.NEVER, True, "another CA"),
        (["caa", "dns"], Retry.SLOW, False, "each name"),
        ([], Retry.SLOW, False, "each name"),
    ],
)
def test_several_names_that_are_refused_for_good(kinds, retry, of_authority, advice):
    """One name for which this CA never issues makes the refusal final, so that another CA can be tried."""
    names = tuple(_document(kind, identifier=f"{number}.example") for number, kind in enumerate(kinds))
    diagnosis = diagnose(AcmeProblemError(_document("compound", subproblems=names), status=403, host="ca.example"))
    assert (diagnosis.retry, diagnosis.of_authority) == (retry, of_authority)
    assert advice in diagnosis.problem.advice


def test_names_that_a_ca_has_paused():
    """Waiting does not help: a person is told to visit the CA's page."""
    detail = (
        "Your account is temporarily prevented from requesting certificates for www.example.com and possibly others. "
        "Please visit: https://portal.ca.example/unpause?jwt=abc"
    )
    diagnosis = diagnose(AcmeProblemError(_document("rateLimited", detail=detail), status=429, host="ca.example"))
    assert diagnosis.retry is Retry.SLOW
    assert "person has visited" in diagnosis.problem.title
    assert "visit the page" in diagnosis.problem.advice
    assert diagnosis.problem.detail == detail
    usual = _document("rateLimited", detail="too many new orders: see https://ca.example/limits")
    assert "visit" not in diagnose(AcmeProblemError(usual, status=429, host="ca.example")).problem.advice
