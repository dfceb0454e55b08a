"""The JSON form of values: one rule for everything that leaves as JSON."""

import json
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType

from attrs import frozen

from certcore.model.finding import Finding, RecordChange, Severity
from certcore.model.hints import DnsRecord, DnsRecords, Message, hint_to_json
from certcore.model.json_form import json_form, moment
from certcore.model.problem import Problem
from certcore.serialization import finding_document


@frozen
class Outer:
    severity: Severity
    at: datetime
    inner: tuple[Problem, ...]
    more: MappingProxyType


def test_moments_are_in_utc_to_the_second():
    """RFC 3339 with Z, whatever the time zone; None stays None."""
    summer = datetime(2030, 6, 1, 14, 30, 15, 999999, tzinfo=timezone(timedelta(hours=2)))
    assert moment(summer) == "2030-06-01T12:30:15Z"
    assert moment(None) is None


def test_values_become_plain_json():
    """attrs values, read-only mappings, tuples and enumerations become what JSON has."""
    problem = Problem(type="urn:test", title="It failed.")
    value = Outer(Severity.ERROR, datetime(2030, 1, 1, tzinfo=UTC), (problem,), MappingProxyType({"a": (1, None)}))
    assert json.loads(json.dumps(json_form(value))) == {
        "severity": "error",
        "at": "2030-01-01T00:00:00Z",
        "inner": [problem.to_json()],
        "more": {"a": [1, None]},
    }


def test_a_finding_has_the_same_form_everywhere():
    """Within the hint about DNS records and by itself."""
    finding = Finding(
        code="cname_missing",
        severity=Severity.ERROR,
        name="shop.example",
        cause=Message("cause", "There is no CNAME."),
        advice=Message("advice", "Set it."),
        remedy=(RecordChange(name="_acme-challenge.shop.example", type="CNAME", value="x.acme.example"),),
        next_look=datetime(2030, 1, 1, tzinfo=UTC),
    )
    document = finding_document(finding)
    assert document["next_look"] == "2030-01-01T00:00:00Z"
    assert document["remedy"] == [
        {"name": "_acme-challenge.shop.example", "type": "CNAME", "value": "x.acme.example", "change": "set"}
    ]
    record = DnsRecord(name="shop.example", type="CNAME", value="x.acme.example", findings=(finding,))
    (inside,) = hint_to_json(DnsRecords((record,)))["rows"][0]["findings"]
    assert document == {"schema": document["schema"], **inside}
