"""Forms of certificates and CA profiles: drawn from one value, and stored as they are shown."""

import json

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from certcore import CertCore
from certcore.errors import InvalidInputError
from certcore.hints import FieldKind, InputForm
from certcore.plugin import CAModule, NoSettings, hookimpl
from certcore.plugin import form as form_of
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.examples import examples
from support.posted_forms import whole_post
from support.situations import SITUATIONS, certificate_in

#: Texts that fields take, for fields that do not take just any text.
RIGHT = {
    "domain": ["shop.example", " SHOP.example.\u00a0", "b\u00fccher.example"],
    "aliases": ["a.example", "a.example, b.example;c.example\r\nA.example", ""],
    "email": ["", "me@shop.example"],
    "account_email": ["", "me@shop.example"],
    "challenge": ["", "dns-01"],
    "country": ["", "de"],
    "key_type": ["ec-p256", "rsa-2048"],
    "days_before": ["", "1", " 30 "],
    "csr": [""],
    "fallbacks": [""],
    "tech_zone": ["acme.panel.example"],
    "region": ["eu", "us"],
}
#: Texts that they do not take; other fields are too long, out of range, or no choice.
WRONG = {
    "domain": ["a_b.example", "https://shop.example/x", "localhost"],
    "aliases": ["a_b.example", "a.example me@b.example"],
    "email": ["nobody"],
    "account_email": ["nobody"],
    "challenge": ["http-01"],
    "country": ["Germany"],
    "csr": ["nonsense"],
    "fallbacks": ["no-such-profile"],
    "tech_zone": ["-bad-"],
}
#: Settings of PUQ ACME that do not depend on others.
ALONE = {"name", "description", "tech_zone", "ttl", "zone_ttl", "api_timeout", "allow_wildcard", "max_orders"}
FEW = examples(25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _right(field):
    if field.name in RIGHT:
        return st.sampled_from(RIGHT[field.name])
    match field.kind:
        case FieldKind.BOOLEAN:
            return st.sampled_from(["on", "yes", "1", "no", "", "false"])
        case FieldKind.INTEGER:
            return st.sampled_from([str(field.minimum), f" {field.maximum} "])
        case FieldKind.CHOICE:
            return st.sampled_from([choice.value for choice in field.choices])
        case FieldKind.LINES:
            return st.sampled_from(["", "one", "one\r\ntwo\r\n"])
        case _:
            return st.sampled_from(["Text", " with blanks ", "x" * field.longest])


def _wrong(field):
    if field.name in WRONG:
        return st.sampled_from(WRONG[field.name])
    match field.kind:
        case FieldKind.BOOLEAN:
            return st.sampled_from(["perhaps", "x" * 5000])
        case FieldKind.INTEGER:
            return st.sampled_from([str(field.minimum - 1), str(field.maximum + 1), "soon", "9" * 400])
        case FieldKind.CHOICE:
            return st.just("no such choice")
        case FieldKind.LINES:
            return st.sampled_from(["\n".join(map(str, range(field.most + 1))), "x" * (field.longest + 1)])
        case _:
            return st.just("x" * (field.longest + 1))


@st.composite
def _posts(draw, form, names):
    """What a browser posts, and the names of the fields in which it is wrong."""
    posted, wrong = {}, set()
    for field in form.fields:
        if field.edit_method is None or field.name not in names:
            continue
        kind = draw(st.sampled_from(["right", "right", "right", "left out", "wrong", "repeated"]))
        if kind == "left out":
            if field.required and form.target is None and not field.value:
                wrong.add(field.name)
        elif kind == "wrong":
            posted[field.name] = draw(_wrong(field))
            wrong.add(field.name)
        elif kind == "repeated" and field.kind in (FieldKind.TEXT, FieldKind.INTEGER, FieldKind.CHOICE):
            posted[field.name] = ["one", "another"]
            wrong.add(field.name)
        else:
            posted[field.name] = draw(_right(field))
    if draw(st.booleans()):
        posted["no_such_field"] = "x"
        wrong.add("no_such_field")
    return posted, wrong


def _check(service, form, posted, wrong):
    """What is refused names every wrong field and no other; what is accepted is stored as it was announced."""
    if wrong:
        with pytest.raises(InvalidInputError) as refused:
            form.bind(posted)
        assert {error.field for error in refused.value.errors} == wrong
        return
    bound = form.bind(posted)
    saved = service.save(bound)
    shown = service.form(saved.id)
    assert {name: shown[name].value for name in bound.values} == dict(bound.values)
    for name in form.fields:
        if name.name not in posted and name.kind is not FieldKind.BOOLEAN:
            assert shown[name.name].value == name.value
    assert service.form(saved.id).bind({**whole_post(shown), "version": shown.version}).changed == ()


@FEW
@given(st.data())
@pytest.mark.parametrize("subject", ["new certificate", "draft", "active", "new profile", "profile"])
def test_what_is_posted_is_stored_as_shown_or_refused_by_name(bench, subject, data):
    """For any mixture of right, wrong, repeated, missing and unknown fields."""
    if subject.endswith("profile"):
        service = bench.core.authorities
        number = len(service.list())
        target = None if subject.startswith("new") else service.create(f"p{number}", module="scripted").id
        form = service.form(target, module="" if target else "scripted")
        names = {field.name for field in form.fields}
    else:
        service = bench.core.certificates
        targets = {"new certificate": lambda: None, "draft": lambda: bench.draft().id, "active": bench.active}
        form = service.form(targets[subject](), authority=bench.authority.id)
        # With a leaf, the names are changed by a reissue, for which this CA waits.
        names = {field.name for field in form.fields} - {"authority"}
    posted, wrong = data.draw(_posts(form, names))
    if "name" in posted and "name" not in wrong:
        posted["name"] = f"profile {number}"
    _check(service, form, posted, wrong)


@FEW
@given(st.data())
def test_the_form_of_a_puq_acme_profile(data):
    """The same for the ACME module: settings that do not depend on each other, and a certificate's own account."""
    with CertCore.in_memory() as core:
        form = core.authorities.form(module="puq_acme")
        posted, wrong = data.draw(_posts(form, ALONE))
        _check(core.authorities, form, posted, wrong)
        public = core.authorities.create(
            "public", module="puq_acme", settings={"tech_zone": "acme.panel.example", "own_accounts": True}
        )
        form = core.certificates.form(owner="anna", authority=public.id)
        posted, wrong = data.draw(_posts(form, {"domain", "account_email", "terms_agreed", "challenge", "days_before"}))
        _check(core.certificates, form, posted, wrong)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_an_unchanged_page_is_no_change(bench, situation):
    """Whoever saves a page without a change changes nothing, in every status."""
    certificate_id = certificate_in(bench, situation)
    form = bench.core.certificates.form(certificate_id)
    bound = form.bind(whole_post(form))
    assert (bound.changed, dict(bound.arguments)) == ((), {})
    before = bench.core.certificates.view(certificate_id)
    bench.core.certificates.save(bound)
    assert bench.core.certificates.view(certificate_id) == before


@pytest.mark.parametrize("situation", SITUATIONS)
def test_a_field_says_how_it_can_be_changed(bench, situation):
    """The call that the form names succeeds, and a field that is locked is refused with the reason that is shown."""
    certificate_id = certificate_in(bench, situation)
    for name, text in (("domain", "other.example"), ("country", "DE"), ("days_before", "7"), ("owner", "bert")):
        form = bench.core.certificates.form(certificate_id)
        field, posted = form[name], {**whole_post(form), name: text}
        if field.edit_method is None:
            with pytest.raises(InvalidInputError) as refused:
                form.bind(posted)
            assert [(error.field, error.reason) for error in refused.value.errors] == [(name, str(field.locked))]
        else:
            bound = form.bind(posted)
            assert bound.method is field.edit_method
            assert bound.changed == (name,)
            assert bench.core.certificates.save(bound).version > form.version


def test_secrets_are_never_shown_and_stay(bench):
    """An empty secret leaves the stored one; a box removes it; no text of the form has it."""
    form = bench.core.authorities.form(bench.authority.id)
    assert form["api_key"].is_set
    assert "canary-api-key" not in repr(form) + json.dumps(form.to_json())
    save = bench.core.authorities.save
    assert save(form.bind({**whole_post(form), "api_key": ""})).secrets_set == {"api_key"}
    bound = form.bind({**whole_post(form), "api_key": "canary-two"})
    assert "canary-two" not in repr(bound)
    save(bound)
    assert "canary-two" not in repr(form.refilled({"api_key": "canary-two"}))
    assert save(form.bind({**whole_post(form), form["api_key"].remove_name: "yes"})).secrets_set == frozenset()
    assert not bench.core.authorities.form(bench.authority.id)["api_key"].remove_name


@frozen(kw_only=True)
class Namesakes:
    """Settings that are called like fields of every CA profile."""

    name: str = form_of.text("Name of the reseller", default="")
    description: str = form_of.text("What it sells", default="", maximum=5)


class NamesakeCA(CAModule[Namesakes, NoSettings]):
    """A CA module with such settings."""

    name = "namesake"
    title = "Namesake"

    def advance(self, work):
        raise NotImplementedError

    def hints(self, view, context):
        return ()


class NamesakePlugin:
    """Brings it."""

    @hookimpl
    def certcore_ca_modules(self):
        return [NamesakeCA()]


def test_a_field_of_a_module_with_the_name_of_another_field():
    """A setting that is called like a field of certcore gets a longer name; both are saved, and errors have it."""
    with CertCore.in_memory(plugins=[NamesakePlugin()], installed_plugins=False) as core:
        form = core.authorities.form()
        bound = form.bind({"name": "mine", "settings.name": "theirs", "description": "a description"})
        saved = core.authorities.save(bound)
        assert (saved.name, saved.description, saved.settings["name"]) == ("mine", "a description", "theirs")
        with pytest.raises(InvalidInputError) as refused:
            form.bind({"name": "other", "settings.description": "too long"})
        assert [error.field for error in refused.value.errors] == ["settings.description"]


def test_a_template_reads_a_form(bench):
    """By name, in order, and with the error that templates expect for a name that is not there."""
    form = bench.core.authorities.form(bench.authority.id)
    assert isinstance(form, InputForm)
    assert list(form) == list(form.fields)
    assert "note" in form
    assert "no_such" not in form
    with pytest.raises(KeyError):
        form["no_such"]
    assert [field.name for field in form.fields if field.group == "settings"] == [
        *("lifetime_days", "allow_wildcard", "region", "note", "contacts", "api_key")
    ]
    assert list(form.groups()) == ["profile", "settings"]


class Failing(ScriptedCA):
    """A module whose form cannot be asked for."""

    def certificate_form(self, context):
        raise RuntimeError("the form is broken")


def test_a_certificate_is_changed_while_its_module_is_not_there(tmp_path):
    """An owner can change when it renews, whatever the module does: not installed, or broken."""
    clock, url, keyring = FrozenEnvironment(), f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "keyring.json"
    CertCore.create_keyring(keyring)
    ca = ScriptedCA([Act.ISSUE], now=clock.now())
    with CertCore.open(url, keyring=keyring, environment=clock, plugins=[ca.plugin()]) as core:
        profile = core.authorities.create("test", module="scripted")
        certificate = core.certificates.create("shop.example", authority=profile.id)
    broken = Failing([Act.ISSUE], now=clock.now())
    for days, plugins in ((21, []), (22, [broken.plugin()])):
        with CertCore.open(url, keyring=keyring, environment=clock, plugins=plugins) as core:
            form = core.certificates.form(certificate.id)
            core.certificates.save(form.bind({"days_before": str(days)}, partial=True))
            assert core.certificates.get(certificate.id).renewal.days_before == days
