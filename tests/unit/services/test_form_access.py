"""Forms of owners and viewers: who gets one, and which fields."""

import json

import pytest

from certcore import CertCore, Role, RolePolicy
from certcore.errors import AccessDeniedError, InvalidInputError, NotFoundError
from certcore.hints import EditMethod, FieldKind
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.posted_forms import whole_post

ROLES = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "ada": Role.ADMINISTRATOR}


@pytest.fixture
def panel():
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    plugins = [ca.plugin(), RolePolicy(ROLES)]
    with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=environment) as core:
        settings = {"note": "canary note"}
        yield core, core.authorities.create("public", module="scripted", settings=settings, actor="ada").id


def test_an_owner_fills_the_form(panel):
    """Under `RolePolicy` an owner sees which CA profiles can be used, and fills the fields; no settings show."""
    core, profile = panel
    assert [(each.id, each.name) for each in core.authorities.usable(owner="anna", actor="anna")] == [
        (profile, "public")
    ]
    form = core.certificates.form(owner="anna", authority=profile, actor="anna")
    assert [choice.value for choice in form["authority"].choices] == [profile]
    assert "canary" not in repr(form) + json.dumps(form.to_json())
    bound = form.bind({"domain": "shop.example", "order_reference": "7", "auto": "on", "rotate_key": "on"})
    saved = core.certificates.save(bound, actor="anna")
    assert (saved.owner, saved.module_data) == ("anna", {"order_reference": "7"})
    assert core.authorities.certificate_form(profile, owner="anna", actor="anna")
    assert core.certificates.form(saved.id, actor="anna")["order_reference"].edit_method is EditMethod.EDIT


def test_forms_ask_the_policy(panel):
    """Strangers get no form, viewers one in which nothing can be changed, and owners none of a CA profile."""
    core, profile = panel
    certificate_id = core.certificates.create("shop.example", authority=profile, owner="anna", actor="anna").id
    for actor in ("mallory", "bert", "vera"):
        with pytest.raises(AccessDeniedError):
            core.certificates.form(owner="anna", actor=actor)
        with pytest.raises(AccessDeniedError):
            core.authorities.usable(owner="anna", actor=actor)
        with pytest.raises(AccessDeniedError):
            core.authorities.form(module="scripted", actor=actor)
    for actor in ("mallory", "bert"):
        with pytest.raises(NotFoundError):
            core.certificates.form(certificate_id, actor=actor)
        with pytest.raises(NotFoundError):
            core.authorities.form(profile, actor=actor)
    with pytest.raises(NotFoundError):
        core.authorities.form(profile, actor="anna")
    for form in (core.certificates.form(certificate_id, actor="vera"), core.authorities.form(profile, actor="vera")):
        assert {field.edit_method for field in form.fields} == {None}
        assert all(field.locked for field in form.fields)
    name = core.authorities.get(profile, actor="ada").name
    with pytest.raises(NotFoundError):
        core.certificates.form(owner="anna", authority=name, actor="anna")


def test_an_owner_has_an_account_of_his_own():
    """Where the profile permits it, the owner types e-mail and consent; elsewhere the form does not ask for them."""
    roles = RolePolicy({"ada": Role.ADMINISTRATOR})
    with CertCore.in_memory(plugins=[roles]) as core:
        settings = {"tech_zone": "acme.panel.example", "own_accounts": True}
        profile = core.authorities.create("public", module="puq_acme", settings=settings, actor="ada").id
        customer = core.acting_as("anna", owner="anna")
        form = customer.certificates.form(authority=profile)
        assert (form["account_email"].kind, form["terms_agreed"].kind) == (FieldKind.TEXT, FieldKind.BOOLEAN)
        assert "separate account" in str(form["account_email"].help)
        posted = {"domain": "shop.example", "account_email": "me@anna.example", "terms_agreed": "on", "auto": "on"}
        saved = customer.certificates.save(form.bind(posted))
        assert dict(saved.module_data)["account_email"] == "me@anna.example"
        core.authorities.edit(profile, settings={"own_accounts": False}, actor="ada")
        names = {field.name for field in customer.certificates.form(authority=profile).fields}
        assert not names & {"account_email", "terms_agreed"}
        form = customer.certificates.form(saved.id)
        bound = form.bind({**whole_post(form), "account_email": "", "terms_agreed": "no"})
        assert not customer.certificates.save(bound).module_data["account_email"]
        assert "account_email" not in {field.name for field in customer.certificates.form(saved.id).fields}
        with pytest.raises(InvalidInputError, match="administrator"):
            customer.certificates.create("b.example", authority=profile, module_data={"account_email": "x@b.example"})
