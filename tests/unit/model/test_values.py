"""Problems, secrets, subjects, key types and hints: values that cross the borders of the library."""

import copy
import json
import logging
import pickle
from datetime import UTC, datetime

import pytest
from attrs import frozen
from hypothesis import assume, given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.model import form
from certcore.model.hints import (
    ActionButton,
    DnsRecord,
    DnsRecords,
    Fact,
    Facts,
    Form,
    Level,
    Link,
    Message,
    Notice,
    RecordState,
    Refresh,
    Step,
    Steps,
    StepState,
    hint_to_json,
)
from certcore.model.keys import KeyType
from certcore.model.problem import Problem
from certcore.model.secret import Secret, SecretName
from certcore.model.subject import Subject, parse_email

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = st.sampled_from(["type", "title", "detail", "status", "identifier", "instance", "subproblems", "advice"])
PROBLEMS = st.builds(
    Problem,
    type=st.text(min_size=1, max_size=30),
    title=st.text(max_size=30),
    detail=st.text(max_size=30),
    status=st.none() | st.integers(400, 599),
    identifier=st.sampled_from(["", "a.example", "192.0.2.1", "2001:db8::1"]),
    advice=st.text(max_size=30),
)


@given(JSON | st.dictionaries(MEMBERS, JSON, max_size=8))
def test_no_problem_document_becomes_a_second_problem(document):
    """Unknown members and wrong types are left out (RFC 9457 section 3.1), and the rest can be stored and shown."""
    problem = Problem.from_json(document)
    assert Problem.from_json(json.loads(json.dumps(problem.to_json()))) == problem
    assert str(problem)


@given(PROBLEMS, st.lists(PROBLEMS, max_size=3))
def test_a_problem_survives_its_json_form(problem, subproblems):
    """Sub-problems and identifiers included."""
    whole = Problem(**{**_members(problem), "subproblems": tuple(subproblems)})
    assert Problem.from_json(whole.to_json()) == whole


def _members(problem):
    return {name: getattr(problem, name) for name in ("type", "title", "detail", "status", "identifier", "advice")}


def test_an_acme_problem_in_words():
    """The short ACME type, our words first, the CA's own beside them, and one line per name."""
    problem = Problem.from_json(
        {
            "type": "urn:ietf:params:acme:error:malformed",
            "detail": "Some of the identifiers requested were rejected",
            "subproblems": [
                {
                    "type": "urn:ietf:params:acme:error:rejectedIdentifier",
                    "detail": "Not on our list",
                    "identifier": {"type": "dns", "value": "a.example"},
                    "subproblems": [{"detail": "too deep"}],
                }
            ],
        },
        status=403,
    )
    assert problem.acme_type == "malformed"
    assert problem.status == 403
    assert problem.subproblems[0].subproblems == ()
    text = str(problem.worded("The CA refused the order.", "Leave that name out."))
    assert text.startswith("The CA refused the order. The CA said: Some of the identifiers")
    assert "a.example: Not on our list" in text
    assert Problem(type="https://example.com/other").acme_type == ""


@given(st.binary() | st.text())
def test_a_secret_does_not_show_itself(value):
    """Not in repr, str, format, logs, pickles and copies; taken out on purpose, it is whole."""
    secret = Secret(value)
    plain = value if isinstance(value, bytes) else value.encode()
    assert secret.reveal() == plain
    assert bool(secret) == bool(plain)
    assert secret == Secret(plain)
    assert hash(secret) == hash(Secret(plain))
    record = logging.LogRecord("x", logging.INFO, "x", 1, "%s %r", (secret, secret), None)
    shown = {str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{[secret]}"[1:-1], record.getMessage()}
    assert shown == {"Secret(…)", "Secret(…) Secret(…)"}
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled"):
            leak(secret)


def test_a_secret_is_not_its_text():
    """Comparing with plain text is false, not a hint."""
    assert Secret("x") != "x"
    assert Secret("x") != b"x"
    assert Secret("grün").reveal_text() == "grün"
    assert str(SecretName("certificate-key", "1")) == "certificate-key/1"


@pytest.mark.parametrize("good", ["a@b.example", "first.last+tag@sub.example.com", " a@b.example "])
def test_addresses_that_cas_take(good):
    """A plain address, trimmed."""
    assert parse_email(good) == good.strip()


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "@b.example",
        "a@",
        "a@b",
        "a@b.",
        "a b@c.example",
        "a@b@c.example",
        "ä@b.example",
        "<a@b.example>",
        "a@b.example,c@d.example",
        "mailto:a@b.example",
        "a" * 250 + "@b.example",
        "a@b.example\nX: y",
    ],
)
def test_addresses_that_no_ca_takes(bad):
    """One ASCII address and nothing else (RFC 8555 section 7.3); the field is named."""
    with pytest.raises(InvalidInputError) as caught:
        parse_email(bad, field="account_email")
    assert caught.value.field == "account_email"


def test_no_address_is_fine():
    """The e-mail is optional."""
    assert parse_email("  ") == ""


@pytest.mark.parametrize(
    ("field", "limit"), [("organization", 64), ("organizational_unit", 64), ("state", 128), ("locality", 128)]
)
def test_subject_fields_have_the_limits_of_rfc_5280(field, limit):
    """At the limit it fits, one more is refused; control characters and other types too."""
    assert getattr(Subject(**{field: f" {'x' * limit} "}), field) == "x" * limit
    for wrong in ("x" * (limit + 1), "a\nb", 7):
        with pytest.raises(InvalidInputError) as caught:
            Subject(**{field: wrong})
        assert caught.value.field == field


def test_countries():
    """Two letters, upper-cased."""
    assert Subject(country=" de ").country == "DE"
    for wrong in ("DEU", "D", "1E", "ÄÖ"):
        with pytest.raises(InvalidInputError, match="country"):
            Subject(country=wrong)


@pytest.mark.parametrize("kind", KeyType)
def test_key_types_as_people_write_them(kind):
    """Case, underscores and spaces make no difference."""
    for written in (kind.value, kind.value.upper(), kind.value.replace("-", "_"), kind.value.replace("-", " ")):
        assert KeyType.parse(written) is kind


@given(st.text())
def test_other_key_types_are_refused(text):
    """The refusal lists what there is."""
    assume(text.strip().lower().replace("_", "-").replace(" ", "-") not in list(KeyType))
    with pytest.raises(InvalidInputError, match="ec-p256") as refused:
        KeyType.parse(text)
    assert refused.value.field == "key_type"


MOMENT = datetime(2026, 11, 23, 12, tzinfo=UTC)
TEXT = Message("some.key", "Set {name}", {"name": "x"})


@pytest.mark.parametrize(
    ("hint", "kind"),
    [
        (Notice(Level.WARNING, TEXT), "notice"),
        (Facts((Fact(TEXT, "value"),)), "facts"),
        (
            DnsRecords((DnsRecord(name="_acme-challenge.a.example", type="CNAME", value="b", checked_at=MOMENT),)),
            "dns_records",
        ),
        (Steps((Step(title=TEXT, state=StepState.DONE, at=MOMENT),)), "steps"),
        (Form(()), "form"),
        (ActionButton(name="check_now", label=TEXT), "action"),
        (Link(TEXT, "https://ca.example/terms"), "link"),
        (Refresh(2.0), "refresh"),
    ],
)
def test_every_hint_has_a_json_form(hint, kind):
    """Plain data with its kind, texts with their key and finished sentence, moments as RFC 3339 has them."""
    document = json.loads(json.dumps(hint_to_json(hint)))
    assert document["kind"] == kind
    written = json.dumps(document)
    assert "object at" not in written
    if "TEXT" in repr(hint) or "some.key" in repr(hint):
        assert {"key": "some.key", "text": "Set x", "params": {"name": "x"}} in _dictionaries(document)
    if repr(MOMENT) in repr(hint):
        assert '"2026-11-23T12:00:00Z"' in written


def _dictionaries(value):
    found = [value] if isinstance(value, dict) else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found + [dictionary for each in inner for dictionary in _dictionaries(each)]


def test_states_of_a_record_are_words():
    """A panel gets ``missing``, not the number of an enumeration."""
    row = DnsRecord(name="a", type="CNAME", value="b", state=RecordState.MISSING)
    assert hint_to_json(DnsRecords((row,)))["rows"][0]["state"] == "missing"


@frozen(kw_only=True)
class Settings:
    """A plugin's settings with one field of each kind."""

    name: str = form.text("Name", help="Who?", placeholder="me")
    note: str = form.text("Note", default="", multiline=True)
    number: int = form.integer("Number", minimum=1, maximum=9, default=3, unit="seconds")
    flag: bool = form.boolean("Flag", default=False)
    pick: str = form.choice("Pick", [form.Choice("a", "A"), form.Choice("b", "B")], default="a")
    servers: tuple[str, ...] = form.lines("Servers", maximum=2)
    token: Secret = form.secret("Token", default=Secret(""))


def test_a_form_describes_itself():
    """A panel can draw every field from its JSON form."""
    fields = {field.name: field.to_json() for field in form.fields_of(Settings)}
    assert list(fields) == ["name", "note", "number", "flag", "pick", "servers", "token"]
    assert fields["name"] == {
        "name": "name",
        "label": {"key": "tests.Settings.name.label", "text": "Name", "params": {}},
        "kind": "text",
        "help": {"key": "tests.Settings.name.help", "text": "Who?", "params": {}},
        "required": True,
        "placeholder": "me",
        "longest": 4096,
    }
    assert (fields["servers"]["most"], fields["servers"]["longest"]) == (2, 1024)
    assert fields["number"]["minimum"] == 1
    assert fields["number"]["unit"]["text"] == "seconds"
    assert [choice["value"] for choice in fields["pick"]["choices"]] == ["a", "b"]
    assert "default" not in fields["token"]
    json.dumps(list(fields.values()))


def test_a_form_reads_text_and_json():
    """The command's texts and a panel's JSON lead to the same value; secrets do not come back."""
    typed = {"name": " me ", "number": "7", "flag": "yes", "servers": "a, b", "token": "hush", "note": "1\n2"}
    posted = {"name": "me", "number": 7, "flag": True, "servers": ["a", "b"], "token": Secret("hush"), "note": "1\n2"}
    settings = form.structure(Settings, typed)
    assert settings == form.structure(Settings, posted)
    assert "hush" not in repr(settings)
    plain = form.unstructure(settings)
    assert "token" not in plain
    assert form.structure(Settings, {**plain, "token": "hush"}) == settings


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", {}),
        ("name", {"name": "  "}),
        ("name", {"name": 7}),
        ("name", {"name": "a\nb"}),
        ("name", {"name": "x" * 4097}),
        ("number", {"number": "0"}),
        ("number", {"number": 10}),
        ("number", {"number": True}),
        ("number", {"number": 2.5}),
        ("number", {"number": "many"}),
        ("flag", {"flag": "maybe"}),
        ("pick", {"pick": "c"}),
        ("pick", {"pick": ["a"]}),
        ("servers", {"servers": ["a", "b", "c"]}),
        ("servers", {"servers": [1]}),
        ("servers", {"servers": {"a": 1}}),
        ("token", {"token": 7}),
        ("nope", {"nope": 1}),
    ],
)
def test_a_form_names_the_field_that_is_wrong(field, values):
    """And says what it should be."""
    with pytest.raises(InvalidInputError) as caught:
        form.structure(Settings, values if field == "name" else {"name": "me", **values})
    assert caught.value.field == field
    assert caught.value.reason


@given(st.dictionaries(st.sampled_from([one.name for one in form.fields_of(Settings)]) | st.text(max_size=5), JSON))
def test_no_values_break_a_form(values):
    """Whatever a panel posts is taken or refused in words."""
    try:
        settings = form.structure(Settings, values)
    except InvalidInputError:
        return
    assert 1 <= settings.number <= 9


def test_a_field_that_is_not_of_the_form():
    """An author who forgets to use the form's functions learns it at once."""

    @frozen
    class Wrong:
        plain: str = ""

    with pytest.raises(TypeError, match="'plain'"):
        form.fields_of(Wrong)
