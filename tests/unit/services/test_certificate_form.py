"""Every field that a user fills in is described once, and every place that has to know it does."""

import json
from typing import get_type_hints

import attrs
import pytest

from certcore.cli.field_options import CREATABLE, EDITABLE
from certcore.errors import InvalidInputError
from certcore.model.certificate import Certificate
from certcore.model.certificate_fields import CERTIFICATE_FIELDS
from certcore.model.certificate_form import (
    INPUTS,
    UNSET,
    CertificateChanges,
    CertificateForm,
    CertificateOptions,
)
from certcore.model.edit_rules import EditRule
from certcore.model.form import FormField
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.serialization import certificate_document, view_document
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from support.cores import core_on

CSR = build_csr(generate_key(KeyType.EC_P384), [DnsName("csr.example"), DnsName("www.csr.example")], Subject()).decode()
#: For each field, a value that is not the default; the names of CA profiles stand for their ids.
SAMPLES = {
    "owner": "anna",
    "domain": "shop.example",
    "wildcard": True,
    "aliases": ["www.shop.test", "shop.test"],
    "subject": {"organization": "Shop", "country": "DE"},
    "key_type": "rsa-2048",
    "csr": CSR,
    "renewal": {"auto": False, "days_before": 12},
    "authority": "second",
    "fallbacks": ["third", "second"],
    "module_data": {"order_reference": "7"},
}


@pytest.fixture
def core(tmp_path):
    """A core on SQLite with three CA profiles."""
    environment = FrozenEnvironment()
    ca = ScriptedCA(now=environment.now())
    with core_on("sqlite", tmp_path, plugins=[ca.plugin()], environment=environment) as core:
        for name in ("first", "second", "third"):
            core.authorities.create(name, module="scripted")
        yield core


def _values(name):
    """The keywords of a certificate with the sample of one field; a CSR excludes the names."""
    if name == "csr":
        return {"authority": "first", "csr": CSR}
    return {"domain": "plain.example", "authority": "first", name: SAMPLES[name]}


def _expected(core, name):
    """The sample as plain JSON, with the ids of CA profiles."""
    ids = {profile.name: profile.id for profile in core.authorities.list()}
    if name == "authority":
        return ids[SAMPLES[name]]
    return [ids[profile] for profile in SAMPLES[name]] if name == "fallbacks" else SAMPLES[name]


def _covers(stored, expected):
    return stored | expected == stored if isinstance(expected, dict) else stored == expected


def test_every_field_is_described_and_has_a_sample():
    """The form, its description, its keywords and the samples here name the same fields."""
    assert list(INPUTS) == [attribute.name for attribute in attrs.fields(CertificateForm)]
    assert set(INPUTS) == set(SAMPLES)
    options, changes = get_type_hints(CertificateOptions), get_type_hints(CertificateChanges)
    created = {name for name, field in INPUTS.items() if field.edit_rule is EditRule.CREATE}
    assert set(changes) == set(INPUTS) - created
    assert set(options) == set(changes) - {"domain", "authority"}  # they are arguments of their own
    stored = {attribute.name for attribute in attrs.fields(Certificate)}
    assert {field.attribute for field in INPUTS.values()} < stored
    assert all(field.edit_rule is not EditRule.NEVER for field in INPUTS.values())


@pytest.mark.parametrize("name", INPUTS)
def test_every_consumer_knows_a_field(core, name):
    """A value is created, stored, shown, written as JSON, typed in the command, edited or cloned, and told."""
    field, expected = INPUTS[name], _expected(core, name)
    plain = core.certificates.create("plain.example", authority="first")
    made = core.certificates.get(core.certificates.create(**_values(name)).id)

    def value_of(certificate):
        return field.to_json(getattr(certificate, field.attribute))

    assert value_of(made) != value_of(plain)
    assert _covers(value_of(made), expected)
    view = core.certificates.view(made.id)
    columns = {column.name for column in field.columns}
    assert columns <= {shown.field.name for shown in view.fields if shown.field.keyword == name}
    assert columns <= {shown.name for shown in CERTIFICATE_FIELDS}
    document = json.loads(json.dumps(certificate_document(made, "second")))
    assert name in document
    assert _covers(document[name], SAMPLES[name] if name == "authority" else expected)
    assert set(view_document(view)["fields"]) >= columns
    if name != "module_data":  # is typed by the names of the module's own fields
        assert columns <= set(CREATABLE)
        assert columns <= set(EDITABLE) or field.edit_rule is EditRule.CREATE
    assert value_of(core.certificates.clone(made.id)) == value_of(made)
    if field.edit_rule is EditRule.CREATE:
        with pytest.raises(InvalidInputError) as refused:
            core.certificates.edit(plain.id, **{name: SAMPLES[name]})
        assert refused.value.field == name
        return
    edited = core.certificates.edit(plain.id, **{name: SAMPLES[name]})
    assert _covers(value_of(core.certificates.get(edited.id)), expected)
    event = core.certificates.timeline(plain.id)[-1]
    assert event.data["fields"] == [name]
    assert name in event.data["changes"]
    assert (event.data["changes"][name]["to"] == value_of(edited)) is field.is_told


@pytest.mark.parametrize("name", INPUTS)
def test_a_field_that_is_not_given_is_unset(name):
    """None and nothing are the same: the field does not change."""
    form = CertificateForm.parse({name: None}, read_csr=None)
    assert getattr(form, name) is UNSET
    assert not form.filled_in
    assert form.attributes() == {}


@pytest.mark.parametrize("call", ["create", "edit", "reissue", "obtain"])
def test_an_unknown_field_is_refused_by_name(core, call):
    """A misspelt keyword is an error with the known fields, and not ignored."""
    certificate_id = core.certificates.create("plain.example", authority="first").id
    calls = {
        "create": lambda: core.certificates.create("x.example", authority="first", alias="y.example"),
        "edit": lambda: core.certificates.edit(certificate_id, alias="y.example"),
        "reissue": lambda: core.certificates.reissue(certificate_id, alias="y.example"),
        "obtain": lambda: core.obtain("x.example", authority="first", alias="y.example"),
    }
    with pytest.raises(InvalidInputError) as refused:
        calls[call]()
    assert refused.value.field == "alias"
    assert "aliases" in refused.value.advice


def test_the_columns_of_the_page_come_from_the_form():
    """What can be typed on the page is exactly what the form has, and each column belongs to one field."""
    typed = {field.name: field.keyword for field in CERTIFICATE_FIELDS if field.kind is not None}
    columns = {column.name: name for name, field in INPUTS.items() for column in field.columns}
    assert typed == columns
    assert all(isinstance(column, FormField) for field in INPUTS.values() for column in field.columns)
    assert sum(len(field.columns) for field in INPUTS.values()) == len(columns)
