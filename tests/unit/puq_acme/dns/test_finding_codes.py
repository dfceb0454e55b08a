"""The table of findings: complete, and every text can be said."""

import json

import pytest

from certcore.model.finding import RecordChange, Severity, most_severe
from certcore.serialization import finding_document
from certcore_puq_acme.dns.codes import DnsCode
from certcore_puq_acme.dns.finding_codes import FINDING_CODES
from certcore_puq_acme.dns.findings import finding


def test_every_code_is_in_the_table():
    """And the other way round."""
    assert set(FINDING_CODES) == set(DnsCode)


@pytest.mark.parametrize("code", DnsCode)
def test_the_example_of_a_code_fills_its_texts(code):
    """Cause and advice are sentences that end with a full stop; none of their parameters is missing."""
    params = dict(FINDING_CODES[code].example)
    example = finding(code, **params)
    for text in (str(example.cause), str(example.advice)):
        assert text.endswith(".")
        assert "{" not in text
    assert example.severity is FINDING_CODES[code].severity


def test_a_finding_has_a_json_form():
    """Everything that a panel shows: code, severity, texts with their keys, records; no next look is null."""
    record = RecordChange(name="_acme-challenge.shop.test", type="CNAME", value="x.acme.test")
    found = finding(DnsCode.CNAME_MISSING, name=record.name, expected=record.value, by="all", remedy=[record])
    document = json.loads(json.dumps(finding_document(found)))
    assert document["code"] == "cname_missing"
    assert document["severity"] == "error"
    assert document["cause"]["key"] == "puq_acme.finding.cname_missing.cause"
    assert document["remedy"] == [{"change": "set", "name": record.name, "type": "CNAME", "value": "x.acme.test"}]
    assert document["next_look"] is None


def test_foreign_text_in_a_finding_is_bounded():
    """What a tenant's server sends can neither forge lines nor flood a page, nor be taken for a template."""
    found = finding(DnsCode.CNAME_WRONG_TARGET, name="a.test", expected="b.test", seen="\x1b[2J{name}\n" + "x" * 5000)
    assert str(found).isprintable()
    assert len(str(found)) < 1500
    assert "{name}" in str(found.cause)


def test_what_matters_most_comes_first():
    """Errors before warnings before what nobody has to act on; the order stays within each."""
    first, second = (finding(DnsCode.CNAME_MISSING, name=name, by="all") for name in ("a.test", "b.test"))
    cached = finding(DnsCode.STILL_CACHED, name="a.test", zone="test", server="x", until="now")
    lame = finding(DnsCode.SERVER_LAME, name="a.test", zone="test", severity=Severity.WARNING)
    assert most_severe([cached, lame, first, second]) == (first, second, lame, cached)
