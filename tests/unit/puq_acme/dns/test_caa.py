"""CAA records: who may issue, why not, and the record that permits it without undoing what the owner has pinned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.model.finding import Severity
from certcore_puq_acme.dns.caa import CaaAnswer, CaaPolicy, caa_finding, relevant_records
from support.examples import examples

URL = "https://ca.example/acct/1"
OTHER = "https://ca.example/acct/9"
POLICY = CaaPolicy(identities=frozenset({"ca.test", "ca2.test"}), account_uri=URL, method="dns-01")


def judged(records, *, wildcard=False, name="shop.test", at="", asked=""):
    return caa_finding(name, CaaAnswer(name=at or name, asked=asked, records=tuple(records)), POLICY, wildcard=wildcard)


@pytest.mark.parametrize(
    ("records", "wildcard", "refusal"),
    [
        ([], False, ""),
        (['0 issue "ca.test"'], False, ""),
        (['0 issue "CA2.test."'], False, ""),
        (['0 ISSUE "ca.test"'], False, ""),
        (['0 issue "other.test"'], False, "caa_issue"),
        (['0 issue ";"'], False, "caa_issue"),
        (['0 issue ""'], False, "caa_issue"),
        (['0 issue "other.test"', '0 issue "ca.test"'], False, ""),
        (['0 issuewild "other.test"'], False, ""),
        (['0 issuewild "other.test"'], True, "caa_issuewild"),
        (['0 issue "ca.test"', '0 issuewild ";"'], True, "caa_issuewild"),
        (['0 issue "other.test"', '0 issuewild "ca.test"'], True, ""),
        (['0 issue "ca.test"'], True, ""),
        (['0 iodef "mailto:a@b.test"'], False, ""),
        (['128 iodef "mailto:a@b.test"'], False, ""),
        (['128 tbs "x"', '0 issue "ca.test"'], False, "caa_critical"),
        (['0 tbs "x"'], False, ""),
        ([f'0 issue "ca.test; accounturi={URL}"'], False, ""),
        (['0 issue "ca.test; accounturi=https://ca.example/acct/9"'], False, "caa_account"),
        (['0 issue "ca.test; validationmethods=http-01,dns-01"'], False, ""),
        (['0 issue "ca.test; validationmethods=http-01"'], False, "caa_method"),
        (['0 issue "ca.test; validationmethods=http-01"', '0 issue "ca.test"'], False, ""),
    ],
)
def test_caa_records(records, wildcard, refusal):
    """RFC 8659 and RFC 8657: who may issue, for wildcards too, by which account and validation."""
    verdict = judged(records, wildcard=wildcard)
    assert (verdict.code if verdict else "") == refusal


@pytest.mark.parametrize(
    ("records", "wildcard", "remedy"),
    [
        (['0 issue "other.test"'], False, '0 issue "ca.test"'),
        (['0 issue "ca.test"', '0 issuewild ";"'], True, '0 issuewild "ca.test"'),
        ([f'0 issue "ca2.test; accounturi={OTHER}"'], False, f'0 issue "ca2.test; accounturi={URL}"'),
        (
            [f'0 issue "ca.test; accounturi={URL}; validationmethods=http-01"'],
            False,
            f'0 issue "ca.test; accounturi={URL}; validationmethods=dns-01"',
        ),
        (
            [f'0 issue "ca.test; accounturi={OTHER}; validationmethods=dns-01"'],
            False,
            f'0 issue "ca.test; accounturi={URL}; validationmethods=dns-01"',
        ),
        (
            [f'0 issue "ca2.test; accounturi={URL}"', '0 issuewild "other.test"'],
            True,
            f'0 issuewild "ca2.test; accounturi={URL}"',
        ),
    ],
)
def test_the_remedy_permits_us_and_keeps_what_is_pinned(records, wildcard, remedy):
    """The record to add carries the pins of the owner's own record of this CA; nothing has to be removed."""
    (change,) = judged(records, wildcard=wildcard).remedy
    assert (change.change, change.name, change.value) == ("set", "shop.test", remedy)


def test_a_critical_property_has_to_go():
    """No record beside it helps."""
    (change,) = judged(['128 tbs "x"', '0 issue "ca.test"']).remedy
    assert (change.change, change.value) == ("remove", '128 tbs "x"')


def test_where_the_records_stand():
    """Those of a parent, and those at the end of a CNAME, beside which no CAA record can stand."""
    parent = judged(['0 issue "other.test"'], name="eu.shop.test", at="shop.test", asked="shop.test")
    assert (parent.code, parent.remedy[0].name) == ("caa_at_parent", "shop.test")
    alias = judged(['0 issue "other.test"'], name="www.shop.test", at="host.example", asked="www.shop.test")
    assert (alias.code, alias.remedy[0].name) == ("caa_at_alias", "host.example")


def test_a_lookup_that_fails():
    """A failure that lasts is an error, as for a CA; silence is a warning."""
    lasting = CaaAnswer(name="a.test", failure="ns: answered SERVFAIL", is_refusal=True)
    silence = CaaAnswer(name="a.test", failure="ns: no answer in time")
    assert caa_finding("a.test", lasting, POLICY, wildcard=False).severity is Severity.ERROR
    assert caa_finding("a.test", silence, POLICY, wildcard=False).severity is Severity.WARNING


_ISSUER = st.sampled_from(["ca.test", "ca2.test", "other.test", ""])
_PINS = st.lists(
    st.sampled_from(
        [f"accounturi={URL}", f"accounturi={OTHER}", "validationmethods=http-01", "validationmethods=dns-01"]
    ),
    max_size=2,
)
_VALUE = st.builds(lambda issuer, pins: "; ".join((issuer, *pins)), _ISSUER, _PINS)
_RECORD = st.builds(lambda tag, value: f'0 {tag} "{value}"', st.sampled_from(["issue", "issuewild", "iodef"]), _VALUE)


@given(st.lists(_RECORD, max_size=5), st.booleans())
@examples(200)
def test_whoever_follows_the_remedy_is_permitted(records, wildcard):
    """Whatever the records are: with the offered one beside them, nothing forbids the certificate any more."""
    verdict = judged(records, wildcard=wildcard)
    if verdict is not None:
        assert judged([*records, *(one.value for one in verdict.remedy)], wildcard=wildcard) is None


def test_the_nearest_records_count():
    """The records of the name itself, else of the nearest name above; each name is looked up once; failures end it."""
    records = {"shop.test": ('0 issue "a"',), "test": ('0 issue "b"',)}
    asked = []

    def ask(name):
        asked.append(name)
        return CaaAnswer(name=name, records=records.get(name, ()), failure="no answer" if name == "bad.test" else "")

    known = {}
    assert relevant_records("x.www.shop.test", ask, known).name == "shop.test"
    assert relevant_records("y.www.shop.test", ask, known).name == "shop.test"
    assert relevant_records("other.test", ask, known).name == "test"
    assert relevant_records("a.bad.test", ask, known).failure
    assert sorted(asked) == sorted(set(asked))
    assert relevant_records("free.example", ask, {}) == CaaAnswer()
