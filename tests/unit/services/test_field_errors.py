"""Several wrong fields come back at once, and text is taken wherever a person may have typed it."""

import json

import pytest

from certcore.errors import InvalidFieldsError, InvalidInputError


def _fields(error):
    return [each.field for each in error.errors]


def test_a_draft_with_several_wrong_fields(bench):
    """`create` names every wrong field, those of subject and renewal policy by their own names."""
    with pytest.raises(InvalidFieldsError) as refused:
        bench.core.certificates.create(
            "a_b.example",
            authority=bench.authority.id,
            aliases="localhost",
            subject={"country": "Germany", "email": "nobody"},
            renewal={"days_before": "soon", "auto": "perhaps"},
            key_type="dsa",
        )
    assert set(_fields(refused.value)) == {
        *("domain", "aliases", "country", "email", "days_before", "auto", "key_type")
    }


def test_what_is_missing_is_named_beside_what_is_wrong(bench):
    """A form without a domain and with a wrong country is answered once."""
    with pytest.raises(InvalidFieldsError) as refused:
        bench.core.certificates.create("", authority="", subject={"country": "Germany"})
    assert set(_fields(refused.value)) == {"domain", "authority", "country"}


def test_fields_that_cannot_be_changed_now_are_all_named(bench):
    """While a first issuance is under way, an edit of several fields names each."""
    pending = bench.draft().id
    bench.core.certificates.generate_csr(pending)
    with pytest.raises(InvalidFieldsError) as refused:
        bench.core.certificates.edit(pending, key_type="rsa-2048", subject={"country": "DE"}, renewal={"auto": False})
    assert _fields(refused.value) == ["key_type", "subject"]


@pytest.mark.parametrize("call", ["create", "edit"])
def test_a_profile_with_several_wrong_fields(bench, call):
    """A CA profile's name, description and settings are judged together."""
    wrong = {"name": "\x07", "settings": {"allow_wildcard": "perhaps", "no_such": 1}, "description": "x" * 3000}
    change = {"create": bench.core.authorities.create, "edit": bench.core.authorities.edit}[call]
    about = {"create": {"module": "scripted"}, "edit": {"authority": bench.authority.id}}[call]
    with pytest.raises(InvalidFieldsError) as refused:
        change(**about, **wrong)
    assert set(_fields(refused.value)) == {"name", "description", "allow_wildcard", "no_such"}


def test_the_json_form_of_several_errors(bench):
    """A page gets each field with code, reason and advice, and one sentence for all; so it does with one error."""
    with pytest.raises(InvalidFieldsError) as refused:
        bench.draft(aliases="localhost", renewal={"days_before": 0})
    told = json.loads(json.dumps(refused.value.as_dict()))
    assert (told["code"], refused.value.http_status) == ("invalid_fields", 422)
    assert [(each["field"], each["code"]) for each in told["errors"]] == [
        ("aliases", "invalid_name"),
        ("days_before", "invalid_input"),
    ]
    assert all(each["reason"] in told["message"] for each in told["errors"])
    with pytest.raises(InvalidInputError) as refused:
        bench.draft(aliases="localhost")
    assert [each["field"] for each in refused.value.as_dict()["errors"]] == ["aliases"]


@pytest.mark.parametrize("by", ["create", "edit"])
def test_text_is_taken_where_a_number_or_a_switch_belongs(bench, by):
    """What a browser posts is text: both calls take it."""
    typed = {"renewal": {"days_before": "7", "auto": "on", "rotate_key": "0"}, "wildcard": "yes", "key_type": ""}
    if by == "create":
        saved = bench.draft(**typed)
    else:
        saved = bench.core.certificates.edit(bench.draft(key_type="rsa-2048").id, **typed)
        assert saved.key_type == "rsa-2048"
    assert (saved.renewal.days_before, saved.renewal.auto, saved.renewal.rotate_key, saved.wildcard) == (
        *(7, True, False, True),
    )
    assert bench.core.certificates.edit(saved.id, renewal={"days_before": ""}).renewal.days_before is None


@pytest.mark.parametrize("by", ["create", "edit"])
def test_the_primary_name_among_the_aliases_is_folded(bench, by):
    """Pasting all the names into the list of aliases is no mistake."""
    typed = {"aliases": "shop.example *.shop.example\nwww.shop.example, WWW.shop.example.", "wildcard": True}
    saved = bench.draft(**typed) if by == "create" else bench.core.certificates.edit(bench.draft().id, **typed)
    assert [name.ascii for name in saved.names] == ["shop.example", "*.shop.example", "www.shop.example"]
    changed = bench.core.certificates.edit(saved.id, domain="www.shop.example")
    assert [name.ascii for name in changed.names] == ["www.shop.example", "*.www.shop.example"]
