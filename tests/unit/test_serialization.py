"""JSON documents: each fits its schema, in every language; a schema that changes has another version."""

import functools
import hashlib
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from certcore import CertCoreError, Event, EventKind, Status, errors, serialization
from certcore.hints import (
    ActionButton,
    Choice,
    DnsRecord,
    DnsRecords,
    Fact,
    Facts,
    FieldKind,
    Finding,
    Form,
    FormField,
    Level,
    Link,
    Message,
    Notice,
    RecordChange,
    RecordState,
    Refresh,
    Severity,
    Step,
    Steps,
    StepState,
)
from certcore.model.problem import Problem
from certcore.plugin import CheckItem, CheckReport
from support.examples import examples
from support.situations import SITUATIONS, certificate_in

LANGUAGES = ["en", "de", "fr", "pl", "uk"]
#: The fingerprint of each schema, by name and version.
FINGERPRINTS = Path(__file__).parents[1] / "data" / "json_schemas.json"


def fits(document, name=None):
    """Refuse a document that does not fit its schema, or has a member that the schema does not name."""
    document = json.loads(json.dumps(document, allow_nan=False))
    kind = document["schema"].split(":")[3]
    assert name in (None, kind)
    _validator(kind).validate(document)
    return document


@functools.cache
def _validator(kind):
    """What judges documents of a kind, made once: it keeps what it looked up in its schema."""
    return Draft202012Validator(closed(serialization.json_schema(kind)))


def closed(schema):
    """A schema that refuses members which it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {name: closed(value) for name, value in schema.items()}
    return {"additionalProperties": False, **shut} if "properties" in shut and "required" in shut else shut


def fingerprint(schema):
    return hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


# ------------------------------------------------------------------------------------------------- schemas


@pytest.mark.parametrize("name", serialization.schema_names())
def test_a_schema_is_one(name):
    """Each is a JSON Schema 2020-12 that needs no other document, and names its version."""
    schema = serialization.json_schema(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$id"] == schema["properties"]["schema"]["const"]
    references = set(_references(schema))
    assert references == {f"#/$defs/{name}" for name in schema.get("$defs", {})}


def test_a_schema_that_changes_gets_another_version():
    """Readers rely on a version: run this file as a program to note a new version, never a change of a released one."""
    noted = json.loads(FINGERPRINTS.read_text(encoding="utf-8"))
    for name in serialization.schema_names():
        schema = serialization.json_schema(name)
        version = schema["$id"].rpartition(":")[2]
        assert noted[name].get(version) == fingerprint(schema), f"the schema of {name} changed: give it a new version"
    assert noted.keys() == set(serialization.schema_names())


def test_a_changed_schema_is_noticed():
    """The fingerprint tells of a new member, another type, and a member that is no longer required."""
    schema = serialization.json_schema("view")
    before = fingerprint(schema)
    for change in (
        lambda schema: schema["properties"].update(more={}),
        lambda schema: schema["properties"]["domain"].update(type="integer"),
        lambda schema: schema["required"].remove("domain"),
        lambda schema: schema["$defs"]["Leaf"]["properties"].pop("names"),
    ):
        changed = serialization.json_schema("view")
        change(changed)
        assert fingerprint(changed) != before
    assert fingerprint(serialization.json_schema("view")) == before


def test_components_of_an_openapi_description():
    """Every reference leads to a component, and each kind of document is one."""
    components = serialization.component_schemas()
    for reference in _references(components):
        assert reference.removeprefix("#/components/schemas/") in components
    for name in serialization.schema_names():
        assert components[f"{name.capitalize()}Document"]["$id"] == serialization.json_schema(name)["$id"]


def test_an_unknown_kind_is_refused():
    """With the names that there are."""
    with pytest.raises(errors.InvalidInputError, match="view"):
        serialization.json_schema("vew")


def _references(schema):
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


# ----------------------------------------------------------------------------------------------- documents


@pytest.mark.parametrize("situation", SITUATIONS)
def test_documents_of_a_certificate_fit_in_every_language(bench, situation):
    """Its page, row, hints, timeline and events fit their schemas, and so do their translations."""
    core, certificate_id = bench.core, certificate_in(bench, situation)
    view = core.certificates.view(certificate_id)
    documents = {
        "view": serialization.view_document(view),
        "certificate": serialization.certificate_document(view.certificate, "test"),
        "rows": serialization.rows_document(core.certificates.rows(limit=1)),
        "row": serialization.row_document(core.certificates.rows().items[0]),
        "hints": serialization.hints_document(core.certificates.hints(certificate_id)),
        "timeline": serialization.timeline_document(certificate_id, view.events),
        "events": serialization.events_document(core.events()),
        "event": serialization.event_document(view.events[-1]),
        "webhook": serialization.webhook_document(view.events[-1], domain="shop.example", owner=""),
        "counts": serialization.counts_document(core.certificates.counts(max_age=0)),
    }
    if view.leaf is not None:
        documents["leaf"] = serialization.leaf_document(view.leaf)
    for name, document in documents.items():
        fits(document, name)
        for language in LANGUAGES:
            fits(core.translator(language).document(document), name)


def test_documents_of_a_profile_fit(bench):
    """A CA profile alone and in a list, its form, and without its secrets."""
    authority = bench.authority
    fits(serialization.authority_document(authority), "authority")
    document = fits(serialization.authorities_document(bench.core.authorities.list()), "authorities")
    assert "canary" not in json.dumps(document)
    fits(serialization.fields_document(bench.core.authorities.module_form("scripted")), "fields")
    for form in (bench.core.authorities.form(module="scripted"), bench.core.authorities.form(authority.id)):
        assert "canary" not in json.dumps(fits(serialization.form_document(form), "form"))


@pytest.mark.parametrize("situation", SITUATIONS)
def test_forms_of_a_certificate_fit(bench, situation):
    """Its form in each situation, that of a new one, and their translations."""
    certificate_id = certificate_in(bench, situation)
    for form in (bench.core.certificates.form(certificate_id), bench.core.certificates.form()):
        document = serialization.form_document(form)
        fits(document, "form")
        for language in LANGUAGES:
            fits(bench.core.translator(language).document(document), "form")


def test_pages_have_their_cursors(bench):
    """A page of rows, and one of events, has what the next call needs."""
    for number in range(3):
        bench.draft(f"d{number}.example")
    page = serialization.rows_document(bench.core.certificates.rows(limit=2))
    assert [row["domain"] for row in page["certificates"]] == ["d0.example", "d1.example"]
    following = bench.core.certificates.rows(limit=2, after=page["next_cursor"])
    assert [row["domain"] for row in serialization.rows_document(following)["certificates"]] == ["d2.example"]
    events = serialization.events_document(bench.core.events(limit=2))
    more = serialization.events_document(bench.core.events(after=events["next_cursor"]))
    assert [event["domain"] for event in more["events"]] == ["d2.example"]
    assert more["events"][0]["position"] == 3


def test_errors_fit(bench):
    """Every refused field has an entry; the texts can be translated."""
    caught = []
    for call in (
        lambda: bench.core.certificates.create("x y", authority="nobody", aliases=["a b"]),
        lambda: bench.core.certificates.view("nothing"),
        lambda: bench.core.certificates.renew(bench.draft().id),
        lambda: bench.core.certificates.edit(bench.draft("a.example").id, domain="b.example", version=7),
    ):
        with pytest.raises(CertCoreError) as error:
            call()
        caught.append(fits(serialization.error_document(error.value), "error")["error"])
    assert {entry["field"] for entry in caught[0]["errors"]} >= {"domain", "aliases"}
    assert [each["http_status"] for each in caught] == [422, 404, 409, 409]
    for language in LANGUAGES:
        fits(bench.core.translator(language).document(serialization.error_document(error.value)), "error")


# ------------------------------------------------------------------------------------- any value that there can be

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN_MESSAGES = st.builds(Message, TEXTS, st.just("{a}"), st.fixed_dictionaries({"a": TEXTS | st.integers()}))
MESSAGES = st.builds(
    Message,
    TEXTS,
    st.just("{a} {b}"),
    st.fixed_dictionaries({"a": PLAIN_MESSAGES, "b": st.tuples(PLAIN_MESSAGES, TEXTS)}),
)
#: As far as they can be converted to UTC.
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones(no_cache=True))  # noqa: DTZ001
FINDINGS = st.builds(
    Finding,
    code=TEXTS,
    severity=st.sampled_from(Severity),
    name=TEXTS,
    server=TEXTS,
    expected=TEXTS | MESSAGES,
    cause=MESSAGES,
    advice=MESSAGES,
    remedy=st.just(()) | st.tuples(st.builds(RecordChange, name=TEXTS, type=TEXTS, value=TEXTS)),
    next_look=st.none() | MOMENTS,
)
FIELDS = st.builds(
    FormField,
    name=TEXTS.filter(bool),
    label=MESSAGES,
    help=st.none() | MESSAGES,
    kind=st.sampled_from(FieldKind),
    default=st.none() | TEXTS | st.integers() | st.booleans() | st.lists(TEXTS),
    choices=st.lists(st.builds(Choice, TEXTS, MESSAGES), max_size=2).map(tuple),
    unit=st.none() | MESSAGES,
    minimum=st.none() | st.integers(),
)
RECORDS = st.builds(
    DnsRecord,
    name=TEXTS,
    type=TEXTS,
    value=TEXTS,
    state=st.sampled_from(RecordState),
    checked_at=st.none() | MOMENTS,
    findings=st.tuples(FINDINGS),
)
STEPS = st.builds(
    Step, title=MESSAGES, state=st.sampled_from(StepState), detail=TEXTS | MESSAGES, at=st.none() | MOMENTS
)
HINTS = st.one_of(
    st.builds(Notice, st.sampled_from(Level), MESSAGES),
    st.builds(Facts, st.tuples(st.builds(Fact, MESSAGES, TEXTS))),
    st.builds(DnsRecords, st.tuples(RECORDS)),
    st.builds(Steps, st.tuples(STEPS)),
    st.builds(Form, st.tuples(FIELDS)),
    st.builds(ActionButton, name=TEXTS, label=MESSAGES, confirm=st.none() | MESSAGES),
    st.builds(Link, MESSAGES, st.just("https://ca.example/")),
    st.builds(Refresh, st.floats(0, 1e6)),
)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXTS, lambda inner: st.dictionaries(TEXTS, inner))
PROBLEMS = st.dictionaries(
    st.sampled_from(["type", "title", "detail", "status", "identifier", "subproblems", "instance", "advice", "texts"]),
    TEXTS | st.integers(90, 700) | st.lists(st.dictionaries(st.sampled_from(["type", "identifier"]), TEXTS)),
).map(Problem.from_json) | st.builds(Problem, title=TEXTS | MESSAGES, advice=MESSAGES)


@given(HINTS)
@examples(100)
def test_any_hint_fits(hint):
    """Whatever a CA module or another plugin returns."""
    fits(serialization.hint_document(hint), "hint")
    fits(serialization.hints_document([hint, hint]), "hints")


@given(st.lists(FINDINGS, max_size=2), st.booleans(), TEXTS | MESSAGES)
@examples(50)
def test_any_finding_and_check_fits(findings, ok, detail):
    """Whatever a check has found."""
    fits(serialization.findings_document(findings), "findings")
    for finding in findings:
        fits(serialization.finding_document(finding), "finding")
    item = CheckItem(title=Message("k", "t"), ok=ok, detail=detail, findings=tuple(findings))
    fits(serialization.check_document(CheckReport(items=(item,))), "check")


EVENTS = st.builds(
    Event,
    certificate_id=TEXTS,
    kind=st.sampled_from(EventKind),
    at=MOMENTS,
    actor=TEXTS,
    to_status=st.none() | st.sampled_from(Status),
    data=st.dictionaries(TEXTS, JSON, max_size=3),
    problem=st.none() | PROBLEMS,
)


@given(EVENTS)
@examples(100)
def test_any_event_fits(event):
    """Whatever a plugin's notes or a CA's problem document put into it."""
    fits(serialization.event_document(event), "event")


@given(st.lists(FIELDS, max_size=3))
@examples(50)
def test_any_form_fits(fields):
    """Whatever fields a CA module's settings have."""
    fits(serialization.fields_document(fields), "fields")


def note_versions():
    """Note the fingerprints of new versions; a noted one is not changed."""
    noted = json.loads(FINGERPRINTS.read_text(encoding="utf-8")) if FINGERPRINTS.exists() else {}
    for name in serialization.schema_names():
        schema = serialization.json_schema(name)
        noted.setdefault(name, {}).setdefault(schema["$id"].rpartition(":")[2], fingerprint(schema))
    FINGERPRINTS.write_text(json.dumps(noted, indent=2, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    note_versions()
