"""The CA profile and the CNAME labels: every setting's limits, and whose CNAME is whose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.model import form
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.ports.dns import SecondaryServer
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.dns.delegation import delegation_key, delegations
from certcore_puq_acme.profile.combinations import check_profile
from certcore_puq_acme.profile.presets import PRESETS
from certcore_puq_acme.profile.settings import NameServer, PuqAcmeProfile, ZoneServerName
from certcore_puq_acme.techzone.writers.lexicon import provider_options

GOOD = {"tech_zone": "acme.panel.example"}
CUSTOM = {**GOOD, "ca": "custom", "directory_url": "https://ca.example/dir"}


def profile(**values):
    made = form.structure(PuqAcmeProfile, {**GOOD, **values})
    check_profile(made)
    return made


def test_the_defaults():
    """Only the tech zone has to be given; what is not is what most people want."""
    made = profile()
    assert made.directory == PRESETS["letsencrypt"].url
    assert (made.ttl, made.api_timeout, made.allow_wildcard, made.terms_agreed) == (30, 10, True, False)
    assert made.zone_servers == (ZoneServerName("ns.acme.panel.example"),)
    assert made.dns_servers == ()


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("tech_zone", {"tech_zone": ""}),
        ("tech_zone", {"tech_zone": "*.acme.panel.example"}),
        ("tech_zone", {"tech_zone": "not a zone"}),
        ("ttl", {"ttl": 29}),
        ("ttl", {"ttl": 86401}),
        ("api_timeout", {"api_timeout": 0}),
        ("api_timeout", {"api_timeout": 301}),
        ("email", {"email": "nobody"}),
        ("ca", {"ca": "nobody"}),
        ("directory_url", {"ca": "custom"}),
        ("directory_url", {"directory_url": "https://ca.example/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "http://ca.example/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "http://127.0.0.1.example/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "http://10.0.0.1/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "ca.example/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "ftp://ca.example/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "https://"}),
        ("directory_url", {**CUSTOM, "directory_url": "https://[::1/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "https://ca.example:port/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "https://user:pass@ca.example/dir"}),
        ("directory_url", {**CUSTOM, "directory_url": "https://ca.example/dir#part"}),
        ("eab_hmac_key", {"eab_kid": "kid"}),
        ("eab_kid", {"eab_hmac_key": "AAAA"}),
        ("eab_hmac_key", {"eab_kid": "kid", "eab_hmac_key": "not/base64+url!"}),
        ("email", {"ca": "zerossl"}),
        ("eab_kid", {"ca": "google"}),
        ("eab_url", {"eab_url": "https://x.example/eab"}),
        ("email", {**CUSTOM, "eab_url": "https://x.example/eab"}),
        ("limits", {"limits": ["orders 3 per 1h", "none"]}),
        ("limits", {"limits": ["orders many"]}),
        ("certificate_profile", {"certificate_profile": "two words"}),
        ("chain_roots", {"chain_roots": "no certificate"}),
        ("dns_servers", {"dns_servers": ["resolver.example"]}),
        ("dns_servers", {"dns_servers": ["192.0.2.1:0"]}),
        ("dns_servers", {"dns_servers": ["192.0.2.1:65536"]}),
        ("dns_servers", {"dns_servers": ["192.0.2.1:999999999"]}),
        ("dns_servers", {"dns_servers": [f"192.0.2.{number}" for number in range(9)]}),
        ("tech_zone_nameservers", {"tech_zone_nameservers": ["ns1.panel.example 192.0.2.300"]}),
        ("tech_zone_nameservers", {"tech_zone_nameservers": ["ns1.acme.panel.example"]}),
        ("tech_zone_secondaries", {"tech_zone_secondaries": ["ns2.panel.example"]}),
        ("tech_zone_secondaries", {"tech_zone_secondaries": ["192.0.2.1:0"]}),
        ("tech_zone_secondaries", {"tech_zone_secondaries": ["192.0.2.1 a key"]}),
        ("tech_zone_secondaries", {"tech_zone_secondaries": ["192.0.2.1 a..b"]}),
        ("tech_zone_mailbox", {"tech_zone_mailbox": "nobody"}),
        ("tech_zone_mailbox", {"tech_zone_mailbox": f"{'x' * 64}@panel.example"}),
        ("tech_zone_mailbox", {"tech_zone_mailbox": "dns@-.example"}),
        ("zone_ttl", {"zone_ttl": 29}),
        ("trusted_roots", {"trusted_roots": "nonsense"}),
    ],
)
def test_a_setting_that_cannot_be(field, values):
    """Refused with the name of the field; a secret is never repeated."""
    with pytest.raises(InvalidInputError) as caught:
        profile(**values)
    assert caught.value.field == field
    assert "not/base64+url!" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://ca.example/dir", "http://127.0.0.1:14000/dir", "http://[::1]:14000/dir", "http://localhost/dir"]
)
def test_directory_urls(url):
    """Encrypted, or on this machine."""
    assert profile(ca="custom", directory_url=url).directory == url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", NameServer("192.0.2.1")),
        ("192.0.2.1:5353", NameServer("192.0.2.1", 5353)),
        ("2001:DB8::1", NameServer("2001:db8::1")),
        ("[2001:db8::1]", NameServer("2001:db8::1")),
        ("[2001:db8::1]:5353", NameServer("2001:db8::1", 5353)),
    ],
)
def test_dns_servers_as_people_write_them(text, expected):
    """IPv4 and IPv6, with and without a port; the text form leads back to the same server."""
    made = profile(dns_servers=text)
    assert made.dns_servers == (expected,)
    assert profile(dns_servers=[str(expected)]) == made


def test_name_servers_with_their_addresses():
    """A name server inside the zone brings its addresses."""
    made = profile(tech_zone_nameservers="ns1.acme.panel.example 192.0.2.1 2001:DB8::1\nns2.panel.example")
    assert made.zone_servers == (
        ZoneServerName("ns1.acme.panel.example", ("192.0.2.1", "2001:db8::1")),
        ZoneServerName("ns2.panel.example"),
    )


def test_a_stored_profile_is_the_same_profile():
    """What is stored as plain JSON, its secrets beside it, makes the same settings again."""
    made = profile(
        **CUSTOM, eab_kid="kid", eab_hmac_key="c2VjcmV0", dns_servers="192.0.2.1:5353", email="a@b.example", ttl="60"
    )
    plain = form.unstructure(made)
    assert "c2VjcmV0" not in repr(plain) + repr(made)
    assert profile(**plain, eab_hmac_key=Secret("c2VjcmV0")) == made


MADE = profile(**CUSTOM)
LABELS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=20)
NAMES = st.builds(lambda label: DnsName(f"{label}.example"), LABELS)


@given(st.binary(min_size=32, max_size=32), st.lists(NAMES, min_size=1, max_size=5), st.text(max_size=20))
def test_a_label_stays_the_same_for_ever(key, names, owner):
    """The same owner and name lead to the same CNAME, whatever else is in the certificate; a wildcard shares it."""
    wild = [DnsName(f"*.{name}") for name in names]
    documents = MemoryDocuments()
    documents.seal("delegation-key", key)
    both = delegations(MADE, documents, owner, [*names, *wild])
    assert both == delegations(MADE, documents, owner, [*wild, *names])
    assert [one.base for one in both] == list(dict.fromkeys(name.ascii for name in names))
    for one in both:
        assert delegations(MADE, documents, owner, [DnsName(one.base)]) == (one,)
        assert not one.is_adopted
        assert one.zone == "acme.panel.example"
        assert one.name == f"_acme-challenge.{one.base}"
        assert DnsName.parse(one.target).ascii == one.target
        assert one.target.removesuffix(".acme.panel.example").isalnum()


@given(st.binary(min_size=32, max_size=32), NAMES, st.text(max_size=20), st.text(max_size=20))
def test_nobody_shares_anybody_elses_label(key, name, owner, other):
    """Another tenant, and another installation, get other labels for the same name."""

    def target(key, owner):
        documents = MemoryDocuments()
        documents.seal("delegation-key", key)
        return delegations(MADE, documents, owner, [name])[0].target

    assert (target(key, owner) == target(key, other)) == (owner == other)
    assert target(key, owner) != target(bytes(byte ^ 1 for byte in key), owner)


def test_the_key_of_the_labels_is_made_once():
    """It is sealed, 256 bits, and the same at every later use; another store has another one."""
    documents = MemoryDocuments()
    key = delegation_key(documents)
    assert len(key) == 32
    assert delegation_key(documents) == key
    assert documents.list() == []
    assert delegation_key(MemoryDocuments()) != key


def test_secondaries_are_addresses_with_port_and_key():
    """Both are optional; the key's name is compared in lower case, as DNS names are."""
    made = profile(tech_zone_secondaries="192.0.2.54\n[2001:DB8::54]:5353 Transfer-Key.")
    assert made.tech_zone_secondaries == (
        SecondaryServer(address="192.0.2.54"),
        SecondaryServer(address="2001:db8::54", port=5353, key="transfer-key"),
    )


LEXICON = {"zone_writer": "lexicon", "zone_provider": "gandi", "zone_provider_options": "auth_token = s3cr3t"}


def test_the_options_of_a_provider():
    """One a line, as dns-lexicon's documentation has them; the values are secret."""
    made = profile(**LEXICON)
    assert provider_options(made.zone_provider_options) == {"auth_token": "s3cr3t"}
    assert provider_options(Secret("a=b=c\n\n  auth-username:  x y \n")) == {"a": "b=c", "auth-username": "x y"}
    assert provider_options(None) == {}
    assert "s3cr3t" not in repr(made)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"zone_provider": ""}, "zone_provider"),
        ({"zone_provider": "auto"}, "zone_provider"),
        ({"zone_provider": "../gandi"}, "zone_provider"),
        ({"zone_provider_options": ""}, "zone_provider_options"),
        ({"zone_provider_options": "s3cr3t"}, "zone_provider_options"),
        ({"zone_provider_options": "a=1\nb"}, "zone_provider_options"),
        ({"zone_provider_options": "\n".join(f"a{number}=1" for number in range(21))}, "zone_provider_options"),
        ({"set_cnames": "yes"}, "set_cnames"),
    ],
)
def test_settings_of_a_provider_that_cannot_work(changed, field):
    """They are refused with the field, and without the secret."""
    with pytest.raises(InvalidInputError) as refused:
        profile(**{**LEXICON, **changed})
    assert refused.value.field == field
    assert "s3cr3t" not in str(refused.value.as_dict())
