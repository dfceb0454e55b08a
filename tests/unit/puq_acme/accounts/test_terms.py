"""Who agreed to the terms of one CA did not agree to those of another."""

import pytest

from certcore import CertCore
from certcore.errors import InvalidInputError
from certcore.model.form import fields_of
from certcore.testing.clock import FrozenEnvironment
from certcore_puq_acme import plugin
from certcore_puq_acme.accounts.known_directory import directory_key
from certcore_puq_acme.profile.settings import PuqAcmeProfile, PuqAcmeSettings
from support.inside import inside
from support.leaves import bought

PRESET = {"ca": "letsencrypt", "directory_url": ""}
CUSTOM = {"ca": "custom", "directory_url": "https://ca.example/dir"}
OWN = {"account_email": "owner@shop.test", "terms_agreed": "yes"}


@pytest.fixture
def core():
    with CertCore.in_memory(plugins=[plugin], installed_plugins=False, environment=FrozenEnvironment()) as core:
        yield core


def _profile(core, name="acme", **settings):
    agreed = {"tech_zone": "acme.panel.test", "terms_agreed": True, "own_accounts": True}
    return core.authorities.create(name, module="puq_acme", settings={**agreed, **settings})


@pytest.mark.parametrize("answer", ["no", True])
@pytest.mark.parametrize(
    ("before", "change"),
    [
        (PRESET, {"ca": "letsencrypt_staging"}),
        (PRESET, CUSTOM),
        (CUSTOM, PRESET),
        (CUSTOM, {"directory_url": "https://other.example/dir"}),
    ],
)
def test_a_profile_that_is_set_to_another_ca_asks_again(core, before, change, answer):
    """The change alone is refused, naming the field, and nothing is saved. With a word on the terms it goes through."""
    profile = _profile(core, **before)
    with pytest.raises(InvalidInputError, match="you agreed while") as refused:
        core.authorities.edit(profile.id, settings=change, name="renamed")
    assert refused.value.field == "terms_agreed"
    assert core.authorities.get(profile.id) == profile
    saved = core.authorities.edit(profile.id, settings={**change, "terms_agreed": answer})
    assert saved.settings["terms_agreed"] is (answer is True)


def test_what_else_is_changed_asks_nothing(core):
    """Also when the form is posted whole with the CA as it was, and where nothing was agreed to."""
    profile = _profile(core)
    assert core.authorities.edit(profile.id, settings={"ttl": 60, **PRESET}).settings["terms_agreed"]
    unsaid = _profile(core, "unsaid", terms_agreed=False)
    assert not core.authorities.edit(unsaid.id, settings=CUSTOM).settings["terms_agreed"]


def _draft(core, authority):
    return core.certificates.create("shop.test", authority=authority, module_data=OWN).id


def _active(core, authority):
    chain, _ = bought("shop.test", now=core.now())
    certificate = core.certificates.import_certificate(chain, authority=authority)
    return core.certificates.edit(certificate.id, module_data=OWN).id


@pytest.mark.parametrize(("made", "change"), [(_draft, "edit"), (_active, "edit"), (_active, "reissue")])
def test_the_yes_for_an_account_of_its_own_is_for_its_ca_profile(core, made, change):
    """A certificate that gets another CA profile takes the address along, and no yes that is not said again."""
    one = made(core, _profile(core).id)
    second = _profile(core, "second", **CUSTOM).id
    with pytest.raises(InvalidInputError, match="you agreed while authority was") as refused:
        getattr(core.certificates, change)(one, authority=second)
    assert refused.value.field == "terms_agreed"
    moved = getattr(core.certificates, change)(one, authority=second, module_data={"terms_agreed": "yes"})
    assert (moved.authority_id, moved.module_data["terms_agreed"]) == (second, True)
    assert moved.module_data["account_email"] == "owner@shop.test"


@pytest.mark.parametrize("made", [_draft, _active])
def test_a_further_fallback_is_another_ca(core, made):
    """The agreement to the terms does not count for a new fallback's CA; removing a fallback needs none."""
    one = made(core, _profile(core).id)
    second, third = (_profile(core, name, **CUSTOM).id for name in ("second", "third"))
    with pytest.raises(InvalidInputError, match="you agreed while fallbacks was nothing") as refused:
        core.certificates.edit(one, fallbacks=[second])
    assert refused.value.field == "terms_agreed"
    core.certificates.edit(one, fallbacks=[second, third], module_data={"terms_agreed": True})
    assert core.certificates.edit(one, fallbacks=[third]).fallbacks == (third,)
    assert core.certificates.edit(one, fallbacks=[second], module_data={"terms_agreed": "no"}).fallbacks == (second,)


def test_a_panel_is_told_what_a_consent_is_to():
    """So that it can take the tick away when one of these is changed."""
    for form, to in ((PuqAcmeProfile, ["ca", "directory_url"]), (PuqAcmeSettings, ["authority", "fallbacks"])):
        (field,) = (one.to_json() for one in fields_of(form) if one.name == "terms_agreed")
        assert list(field["consent_to"]) == to


def test_known_terms_are_agreed_to_before_an_account_is_asked_for(core):
    """The form shows the address of the terms, and an e-mail without the consent is refused by the field's name."""
    profile = _profile(core, terms_agreed=False)
    contexts = inside(core).contexts
    _, context = contexts.context(profile)
    known = {"url": context.profile.directory, "terms_of_service": "https://ca.example/terms"}
    context.documents.put(directory_key(context), known)
    form = core.certificates.form(authority=profile.id)
    assert "https://ca.example/terms" in str(form["terms_agreed"].help)
    posted = {"domain": "shop.test", "account_email": "owner@shop.test"}
    with pytest.raises(InvalidInputError) as refused:
        form.bind(posted)
    assert [error.field for error in refused.value.errors] == ["terms_agreed"]
    assert "https://ca.example/terms" in refused.value.advice
    assert core.certificates.save(form.bind({**posted, "terms_agreed": "on"})).module_data["terms_agreed"]
    core.authorities.edit(profile.id, settings={"terms_agreed": True})
    assert core.certificates.form(authority=profile.id).bind(posted)  # the profile has agreed for all
