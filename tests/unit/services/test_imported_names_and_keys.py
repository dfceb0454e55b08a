"""The names and keys of certificates that are imported, also of kinds that no CA of ours would issue for."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from certcore import RenewalPolicy
from certcore.errors import InvalidInputError
from certcore.model.keys import KeyType
from certcore.model.names import DnsName, IpAddress
from certcore.model.subject import Subject
from certcore.testing.scripted_ca import Act
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem
from support.imported_leaves import CA, DAY, KEY, KEY_PEM, NOW, leaf_of, rest, stored
from support.keys import rsa_key


@pytest.mark.parametrize(
    ("names", "domain", "aliases", "wildcard"),
    [
        (["shop.example"], "shop.example", [], False),
        (["*.shop.example", "shop.example"], "shop.example", [], True),
        (["www.shop.example", "shop.example"], "www.shop.example", ["shop.example"], False),
        (["*.b.example", "*.a.example"], "*.b.example", ["*.a.example"], False),
        (["*.a.example", "b.example", "*.b.example"], "b.example", ["*.a.example"], True),
        (["*.a.example", "b.example", "a.example"], "b.example", ["*.a.example", "a.example"], False),
        (["SHOP.example", "shop.EXAMPLE"], "shop.example", [], False),
        (["xn--gre-6ka8i.example"], "xn--gre-6ka8i.example", [], False),
        ([f"d{number}.example" for number in range(100)], "d0.example", None, False),
    ],
)
def test_names(bench, names, domain, aliases, wildcard):
    """All names of the leaf are in the form, each once, and a renewal asks for exactly these."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    request = request.add_extension(alternative, critical=False).sign(KEY, hashes.SHA256())
    leaf = CA.issue(request.public_bytes(Encoding.PEM).decode(), now=NOW)
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id)
    assert (certificate.domain.ascii, certificate.wildcard) == (domain, wildcard)
    assert aliases is None or [name.ascii for name in certificate.aliases] == aliases
    assert {name.ascii for name in certificate.names} == {name.lower() for name in names}
    assert bench.core.certificates.view(certificate.id).active.names == certificate.names
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate.id)
    rest(bench, certificate.id)
    view = bench.core.certificates.view(certificate.id)
    assert view.active.number == 2
    assert set(view.leaf.names) == {name.lower() for name in names}


def test_addresses_beside_names_are_told_of(bench):
    """A renewal will be without them, which the check, and the record, say."""
    leaf = leaf_of("shop.example", "10.0.0.1", "2001:db8::1")
    checked = bench.core.certificates.check_import(leaf, KEY_PEM)
    assert IpAddress("10.0.0.1") in checked.names
    certificate = bench.core.certificates.import_certificate(leaf, KEY_PEM)
    assert [name.ascii for name in certificate.names] == ["shop.example"]
    (event,) = bench.core.certificates.timeline(certificate.id)
    assert event.data["warnings"] == [warning.text for warning in checked.warnings]
    assert any("10.0.0.1, 2001:db8::1" in text for text in event.data["warnings"])
    assert event.data["names"] == ["shop.example", "10.0.0.1", "2001:db8::1"]
    assert ipaddress.ip_address("10.0.0.1")


RSA_2304 = rsa_key(2304)
RSA_3200 = rsa_key(3200)


@pytest.mark.parametrize(
    ("key", "shown", "size", "renewed"),
    [
        (KEY, "EC P-256", 256, KeyType.EC_P256),
        (generate_key(KeyType.EC_P384), "EC P-384", 384, KeyType.EC_P384),
        (ec.generate_private_key(ec.SECP521R1()), "EC P-521", 521, KeyType.EC_P384),
        (rsa_key(), "RSA", 2048, KeyType.RSA_2048),
        (RSA_2304, "RSA", 2304, KeyType.RSA_2048),
        (RSA_3200, "RSA", 3200, KeyType.RSA_3072),
    ],
)
def test_kinds_of_key(bench, key, shown, size, renewed):
    """Any key that servers use is taken and given back; where we make none of its kind, the page says what comes."""
    pem = private_key_pem(key).decode()
    certificate = bench.core.certificates.import_certificate(leaf_of(key=key), pem, authority=bench.authority.id)
    view = bench.core.certificates.view(certificate.id)
    assert (view.leaf.public_key_algorithm, view.leaf.key_size) == (shown, size)
    assert certificate.key_type is renewed
    assert bench.core.certificates.private_key(certificate.id, reason="test").reveal_text() == pem
    unusual = [text for text in view.events[0].data["warnings"] if "unusual" in text]
    assert bool(unusual) is (size not in (256, 384, 2048))
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.reissue(certificate.id, keep_key=True)
    rest(bench, certificate.id)
    assert bench.core.certificates.view(certificate.id).leaf.spki_sha256 == view.leaf.spki_sha256


@pytest.mark.parametrize(
    ("key", "shown", "size"),
    [
        (ec.generate_private_key(ec.SECP521R1()), "EC P-384", 384),
        (RSA_2304, "RSA", 2048),
        (rsa_key(2048, exponent=3), "RSA", 2048),
    ],
    ids=["P-521", "2304", "exponent"],
)
def test_a_policy_keeps_no_key_that_cas_refuse(bench, key, shown, size):
    """Where the key is kept at renewals, one that we would not make gives way to one of the kind that was told of."""
    policy = RenewalPolicy(rotate_key=False)
    leaf, pem = leaf_of(key=key), private_key_pem(key).decode()
    certificate_id = bench.core.certificates.import_certificate(
        leaf, pem, authority=bench.authority.id, renewal=policy
    ).id
    bench.ca.script = (Act.ISSUE,)
    bench.environment.set(bench.core.certificates.view(certificate_id).renews_at)
    rest(bench, certificate_id)
    view = bench.core.certificates.view(certificate_id)
    assert (view.leaf.public_key_algorithm, view.leaf.key_size) == (shown, size)
    usual = view.leaf.spki_sha256
    bench.core.certificates.renew(certificate_id)
    rest(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).leaf.spki_sha256 == usual


def test_keys_that_no_browser_takes(bench):
    """They are refused with the reason, and nothing is stored."""
    for key, words in (
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
        (rsa_key(1024), "1024"),
    ):
        pem = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        with pytest.raises(InvalidInputError, match=words):
            bench.core.certificates.import_certificate(leaf_of(key=key), pem)
    assert stored(bench.core)[0] == []


def test_an_import_may_have_more_names_than_a_ca_takes(bench):
    """It is watched, found and exported; what is limited is its renewal, and that is said where it is asked for."""
    leaf = leaf_of(*(f"d{number}.example" for number in range(150)))
    warnings = {warning.key: warning.text for warning in bench.core.certificates.check_import(leaf, KEY_PEM).warnings}
    assert "a renewal can have at most 100" in warnings["bundle.many_names"]
    certificate_id = bench.core.certificates.import_certificate(leaf, KEY_PEM).id
    assert len(bench.get(certificate_id).names) == 150
    assert bench.core.certificates.export(certificate_id, reason="a test").leaf_pem in leaf
    assert [certificate.id for certificate in bench.core.certificates.search("d149.example")] == [certificate_id]
    assert bench.core.certificates.view(certificate_id).fields
    with pytest.raises(InvalidInputError, match="at most 100"):
        bench.core.certificates.edit(certificate_id, authority=bench.authority.id)
    with pytest.raises(InvalidInputError, match="a renewal can have at most 100") as refused:
        bench.core.certificates.import_certificate(leaf, KEY_PEM, authority=bench.authority.id, owner="anna")
    assert refused.value.field == "authority"
    fewer = bench.core.certificates.reissue(certificate_id, aliases=["d1.example"], authority=bench.authority.id)
    assert len(fewer.names) == 2


def test_an_emoji_name_is_imported(bench):
    """A CA has certified it, so that it is one."""
    name = DnsName.parse("xn--ls8h.la")
    request = build_csr(KEY, [name], Subject()).decode()
    issued = CA.issue(request, now=NOW, lifetime=DAY)
    assert bench.core.certificates.import_certificate(issued, KEY_PEM).domain == name
