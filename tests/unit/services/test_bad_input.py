"""Bad input is refused at the door: with the field's name, in words, and with nothing stored."""

import pytest

from certcore import CertCore
from certcore.errors import InvalidInputError, UnknownModuleError
from support.inside import inside

LONG = ".".join(["a" * 60] * 5)


def _stored(core):
    with inside(core).storage.read() as transaction:
        return (
            transaction.certificates.page(),
            transaction.authorities.list(),
            transaction.events.after(0),
            transaction.secrets.names("authority-setting"),
            transaction.secrets.names("certificate-key"),
        )


@pytest.mark.parametrize(
    ("field", "domain", "fields"),
    [
        ("domain", "", {}),
        ("domain", "   ", {}),
        ("domain", LONG, {}),
        ("domain", "a" * 64 + ".example", {}),
        ("domain", "sh*p.example", {}),
        ("domain", "shop.*.example", {}),
        ("domain", "a_b.example", {}),
        ("domain", "_acme-challenge.example.com", {}),
        ("domain", "8.8.8.8", {}),
        ("domain", "2001:db8::1", {}),
        ("domain", "[2001:db8::1]", {}),
        ("domain", "https://shop.example/", {}),
        ("domain", "shop.example:443", {}),
        ("domain", "me@shop.example", {}),
        ("domain", "localhost", {}),
        ("domain", "shop..example", {}),
        ("domain", "-shop.example", {}),
        ("domain", "xn--zzzzzz---.example", {}),
        ("domain", None, {}),
        ("aliases", "shop.example", {"aliases": ["10.0.0.1"]}),
        ("aliases", "shop.example", {"aliases": [f"a{number}.example" for number in range(100)]}),
        ("wildcard", "shop.example", {"wildcard": "yes please"}),
        ("key_type", "shop.example", {"key_type": "rsa-1024"}),
        ("country", "shop.example", {"subject": {"country": "Germany"}}),
        ("email", "shop.example", {"subject": {"email": "nobody"}}),
        ("organization", "shop.example", {"subject": {"organization": "x" * 65}}),
        *((one, "shop.example", {"subject": {one: None}}) for one in ("organization", "country", "email")),
        *((one, "shop.example", {"subject": {one: 5}}) for one in ("state", "country", "email")),
        ("no_such_field", "shop.example", {"subject": {"no_such_field": "x"}}),
        ("owner", "shop.example", {"owner": "x" * 101}),
        ("no_such_setting", "shop.example", {"module_data": {"no_such_setting": "x"}}),
        ("order_reference", "shop.example", {"module_data": {"order_reference": "x" * 41}}),
        ("authority", "shop.example", {"authority": "no-such-profile"}),
    ],
)
def test_a_draft_that_cannot_be(bench, field, domain, fields):
    """Every field of the form refuses what no CA would certify, before anything is stored."""
    before = _stored(bench.core)
    with pytest.raises(InvalidInputError) as caught:
        bench.core.certificates.create(domain, **{"authority": bench.authority.id, **fields})
    assert caught.value.field == field
    assert caught.value.reason
    assert caught.value.as_dict()["params"]["field"] == field
    assert _stored(bench.core) == before


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("domain", {"domain": "a_b.example"}),
        ("aliases", {"aliases": "a_b.example"}),
        ("key_type", {"key_type": "dsa"}),
        ("authority", {"authority": "no-such-profile"}),
    ],
)
def test_an_edit_that_cannot_be(bench, field, change):
    """Editing refuses what creating refuses, and leaves the draft as it was."""
    draft = bench.draft()
    before = _stored(bench.core)
    with pytest.raises(InvalidInputError) as caught:
        bench.core.certificates.edit(draft.id, **change)
    assert caught.value.field == field
    assert _stored(bench.core) == before


def test_a_wildcard_that_the_profile_forbids(bench):
    """A profile without wildcards refuses them by switch and by name, and also when it is switched off later."""
    strict = bench.core.authorities.create("strict", module="scripted", settings={"allow_wildcard": False})
    with pytest.raises(InvalidInputError) as caught:
        bench.core.certificates.create("shop.example", wildcard=True, authority=strict.id)
    assert caught.value.field == "wildcard"
    draft = bench.draft(wildcard=True)
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    with pytest.raises(InvalidInputError):
        bench.core.certificates.generate_csr(draft.id)
    assert bench.get(draft.id).status == "draft"
    assert bench.core.certificates.issuances(draft.id) == []


@pytest.fixture
def puq():
    with CertCore.in_memory() as core:
        yield core


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("ttl", {"ttl": 29}),
        ("ttl", {"ttl": 86401}),
        ("ttl", {"ttl": "soon"}),
        ("api_timeout", {"api_timeout": 0}),
        ("api_timeout", {"api_timeout": 301}),
        ("directory_url", {"ca": "custom", "directory_url": "http://acme.example/directory"}),
        ("directory_url", {"ca": "custom", "directory_url": "http://127.0.0.1.evil.example/directory"}),
        ("directory_url", {"ca": "custom"}),
        ("tech_zone", {"tech_zone": ""}),
        ("tech_zone", {"tech_zone": "*.acme.example"}),
        ("ca", {"ca": "nobody"}),
        ("eab_hmac_key", {"eab_kid": "kid"}),
        ("trusted_roots", {"trusted_roots": "not PEM"}),
        ("dns_servers", {"dns_servers": ["ns1.example"]}),
        ("no_such_field", {"no_such_field": 1}),
    ],
)
def test_a_profile_that_cannot_be(puq, field, settings):
    """A PUQ ACME profile refuses what could not work, with the field's name, and stores nothing."""
    before = _stored(puq)
    with pytest.raises(InvalidInputError) as caught:
        puq.authorities.create("ca", module="puq_acme", settings={"tech_zone": "acme.panel.example", **settings})
    assert caught.value.field == field
    assert _stored(puq) == before


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "tab\there"])
def test_a_profile_needs_a_name(puq, name):
    """A profile's name is printable text of a sane length."""
    with pytest.raises(InvalidInputError) as caught:
        puq.authorities.create(name, module="puq_acme", settings={"tech_zone": "acme.panel.example"})
    assert caught.value.field == "name"
    assert puq.authorities.list() == []


def test_an_unknown_module_is_named_with_those_that_are_there(puq):
    """A CA module that is not installed is refused, and the error lists what is."""
    with pytest.raises(UnknownModuleError) as caught:
        puq.authorities.create("ca", module="nobody")
    assert caught.value.field == "module"
    assert "puq_acme" in caught.value.advice


def test_nothing_is_half_saved(bench):
    """An edit with one good and one bad field changes neither."""
    with pytest.raises(InvalidInputError):
        bench.core.authorities.edit(bench.authority.id, name="new name", settings={"lifetime_days": 0})
    assert bench.core.authorities.get(bench.authority.id).name == "test"
    draft = bench.draft()
    with pytest.raises(InvalidInputError):
        bench.core.certificates.edit(draft.id, wildcard=True, domain="a_b.example")
    assert bench.get(draft.id) == draft
