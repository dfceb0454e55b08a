"""What a CA writes reaches no log line, page or terminal as it is: printable, on one line, of bounded length."""

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.net.foreign_text import LONGEST_TEXT, LONGEST_URL, decode_json, printable
from certcore_puq_acme.orders.diagnosis import as_problem
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.problem_document import ProblemDocument
from certcore_puq_acme.protocol.resources import Account, Authorization, Challenge, Directory, Order
from support.examples import examples

HOSTILE = "ok\r\nERROR forged\x1b]0;title\x07\x1b[2J\u202eevil\u2066\u200b\x85\u2028end\x00" + "x" * 100_000
URLS = dict.fromkeys(("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange", "renewalInfo"), HOSTILE)
PROBLEM = {
    "type": HOSTILE,
    "title": HOSTILE,
    "detail": HOSTILE,
    "instance": HOSTILE,
    "advice": HOSTILE,
    "identifier": {"type": "dns", "value": HOSTILE},
}
RESOURCES = {
    "directory": lambda: Directory.from_json(
        {
            **URLS,
            "meta": {
                "termsOfService": HOSTILE,
                "website": HOSTILE,
                "caaIdentities": [HOSTILE] * 9,
                "issuerDomainNames": [HOSTILE],
                "accountHashPrefix": HOSTILE,
                "profiles": {f"{number}{HOSTILE}": HOSTILE for number in range(200)},
            },
        }
    ),
    "account": lambda: Account.from_json({"status": HOSTILE, "contact": [HOSTILE], "orders": HOSTILE}, url="u"),
    "order": lambda: Order.from_json(
        {
            "status": HOSTILE,
            "identifiers": [{"type": HOSTILE, "value": HOSTILE}],
            "authorizations": [HOSTILE],
            "finalize": HOSTILE,
            "certificate": HOSTILE,
            "expires": HOSTILE,
            "error": {**PROBLEM, "subproblems": [PROBLEM] * 99},
        },
        url="u",
    ),
    "authorization": lambda: Authorization.from_json(
        {"status": HOSTILE, "identifier": {"value": HOSTILE}, "challenges": [{"type": HOSTILE, "url": HOSTILE}]},
        url="u",
    ),
    "challenge": lambda: Challenge.from_json({"type": HOSTILE, "status": HOSTILE, "token": HOSTILE, "error": PROBLEM}),
    "problem": lambda: as_problem(ProblemDocument.from_json({**PROBLEM, "subproblems": [PROBLEM] * 100})),
    "error": lambda: AcmeProblemError(
        ProblemDocument.from_json(PROBLEM) or ProblemDocument(), status=400, host="ca.test"
    ).as_dict(),
}


def _texts(value):
    """Every text in a value of any shape."""
    if isinstance(value, str):
        yield value
    elif attrs.has(type(value)):
        for field in attrs.fields(type(value)):
            yield from _texts(getattr(value, field.name))
    elif hasattr(value, "items"):
        yield from (text for pair in value.items() for one in pair for text in _texts(one))
    elif isinstance(value, (list, tuple)):
        yield from (text for one in value for text in _texts(one))


@pytest.mark.parametrize("name", RESOURCES)
def test_nothing_that_a_ca_writes_enters_as_it_is(name):
    """No line break, escape sequence, bidirectional control or megabyte gets past the parsers, in any member."""
    texts = list(_texts(RESOURCES[name]()))
    assert any("forged" in text for text in texts)
    for text in texts:
        assert text.isprintable()
        assert len(text) <= LONGEST_URL
    assert sum(map(len, texts)) < 200_000


def test_the_advice_is_never_the_cas():
    """A CA cannot tell our users what to do in our name."""
    found = as_problem(
        ProblemDocument.from_json({"detail": "no", "advice": "Send your key to evil.test.", "subproblems": [PROBLEM]})
    )
    assert found is not None
    assert (found.advice, found.subproblems[0].advice) == ("", "")


def test_plain_texts_stay_as_they_are():
    """A usual text of a CA is kept to the letter; a longer one ends in an ellipsis."""
    text = "Fehler für „shop.test“: 429 — zu viele Aufträge"
    assert printable(text) == text
    assert printable("a\r\n b\tc") == "a  b c"
    assert printable("x" * 3000) == "x" * (LONGEST_TEXT - 1) + "…"
    assert printable(None) == printable(7) == ""


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_any_text_becomes_printable(text, longest):
    """Whatever characters there are, and however many."""
    made = printable(text, longest)
    assert made.isprintable()
    assert len(made) <= longest


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":[', "[[[[{}"])
def test_json_that_is_nested_deeply_is_not_json(opening):
    """A hundred thousand brackets are neither a crash nor a document, closed or not."""
    closing = {"[": "]", '{"a":': "}", '[{"a":[': "]}]"}.get(opening, "")
    for many in (40, 5_000, 100_000):
        assert decode_json((opening * many + "1" + closing * many).encode()) is None


@examples(200)
@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3)))
def test_json_of_usual_depth_is_read(document):
    """What is nested no deeper than ACME needs comes back, except for characters that no database stores."""
    text = json.dumps(document)
    found = decode_json(text.encode())
    if "\\u0000" not in text and "\\ud" not in text and text.count("[") <= 20:
        assert found == document
