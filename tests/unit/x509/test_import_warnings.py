"""What a bundle is taken with: the warnings, and the decisions between taking and refusing."""

import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from certcore.errors import CertCoreError, InvalidInputError, UnreadablePemError, X509Error
from certcore.model.keys import KeyType
from certcore.model.names import DnsName, IpAddress
from certcore.x509.chain import parse_chain
from certcore.x509.chain_path import follow_issuers, is_self_signed
from certcore.x509.import_bundle import read_bundle
from support import bundle_corpus as corpus
from support.keys import rsa_key

NOW, DAY, pem = corpus.NOW, corpus.DAY, corpus.pem


def read(leaf, *chain, now=NOW, **fields):
    return read_bundle(pem(leaf), ca_bundle="".join(map(pem, chain)), now=now, **fields)


def warned(leaf, *chain, now=NOW):
    """The warnings by their keys, without the one that no key was given."""
    return {
        warning.key: warning
        for warning in read(leaf, *chain, now=now).warnings
        if warning.key != "bundle.no_private_key"
    }


def test_a_bundle_does_not_show_its_key(world):
    """Not in repr, and not in text."""
    bundle = read_bundle("".join(world.everything), now=NOW)
    shown = repr(bundle) + str(bundle)
    assert world.shop.key_pem.splitlines()[1] not in shown
    assert "Secret(…)" in shown


def test_a_bundle_in_order_has_no_warnings(world):
    """Nothing is said when there is nothing to say."""
    assert read_bundle("".join(world.everything), now=NOW).warnings == ()


def test_a_missing_key_is_a_warning(world):
    """A certificate can be imported to be watched."""
    bundle = read(world.shop.leaf, world.middle)
    assert [(warning.key, warning.field) for warning in bundle.warnings] == [("bundle.no_private_key", "private_key")]
    assert bundle.private_key is None


@pytest.mark.parametrize(("moment", "key"), [(90, "bundle.expired"), (-1.1, "bundle.not_yet_valid")])
def test_dates_that_have_passed_or_are_to_come_are_warnings(world, moment, key):
    """An expired certificate is imported to be looked at or renewed; the sentence says the day."""
    warnings = warned(world.shop.leaf, world.middle, now=NOW + moment * DAY)
    assert set(warnings) == {key}
    assert warnings[key].field == "leaf"
    assert ("2027-02-21" if moment > 0 else "2026-11-22") in warnings[key].text
    assert warned(world.shop.leaf, world.middle, now=NOW + timedelta(days=89, hours=23)) == {}


def test_a_missing_chain_is_a_warning_that_says_where_to_get_it(world):
    """The leaf says where its issuer's certificate is (RFC 5280 section 4.2.2.1)."""
    warning = warned(world.shop.leaf)["bundle.chain_missing"]
    assert warning.field == "ca_bundle"
    assert "issued by CN=Corpus CA 1" in warning.text
    leaf = world.issue(extensions=[(corpus.issuers_at("http://ca.example/1.crt"), False)])
    assert "It can be had from http://ca.example/1.crt" in warned(leaf)["bundle.chain_missing"].text
    with pytest.raises(InvalidInputError, match=r"gap.*http://ca.example/1.crt"):
        read(leaf, world.root)


def test_a_leaf_of_a_root_needs_no_chain(world):
    """The root that signed it is left out, and nothing is missing."""
    leaf = world.issue(issuer=(world.root, world.root_key))
    bundle = read(leaf, world.root)
    assert bundle.chain_pem == ""
    assert warned(leaf, world.root) == {}


def test_a_self_signed_leaf_is_a_warning(world):
    """For a server inside; nobody outside trusts it."""
    leaf = world.certify("shop.example", world.shop_key, names=["shop.example"])
    assert set(warned(leaf)) == {"bundle.self_signed"}
    bundle = read_bundle(pem(leaf), world.shop.key_pem, now=NOW)
    assert (bundle.leaf_pem, bundle.chain_pem) == (pem(leaf), "")


def test_what_openssl_makes_in_one_command_is_taken(world):
    """`openssl req -x509` says CA:TRUE; alone, self-signed and with names it is a server's certificate all the same."""
    made = world.openssl(
        *("req", "-x509", "-key", "{key}", "-subj", "/CN=shop.example", "-days", "9"),
        *("-addext", "subjectAltName=DNS:shop.example,IP:192.0.2.1"),
        key=world.shop.key_pem,
    )
    leaf = x509.load_pem_x509_certificate(made)
    warnings = warned(leaf, now=leaf.not_valid_before_utc)
    assert set(warnings) == {"bundle.self_signed", "bundle.ca_leaf"}
    bundle = read_bundle(made, world.shop.key_pem, now=leaf.not_valid_before_utc)
    assert bundle.names == (DnsName("shop.example"), IpAddress("192.0.2.1"))
    with pytest.raises(InvalidInputError, match="only CA certificates"):
        read(leaf, world.root, now=NOW)


def test_names_keep_their_order_and_count_once(world):
    """DNS names are in lower case, addresses are addresses, and a DNS name that looks like an address is left out."""
    names = ["B.example", "a.example", "b.example", corpus.address("2001:db8::1"), "192.0.2.9"]
    bundle = read(world.issue("", names=names), world.middle)
    assert bundle.names == (DnsName("b.example"), DnsName("a.example"), IpAddress("2001:db8::1"))
    (warning,) = [warning for warning in bundle.warnings if warning.key == "bundle.unusable_names"]
    assert warning.text.endswith("left out: 192.0.2.9.")


def test_more_names_than_a_renewal_can_have_are_a_warning(world):
    """Some CAs sell certificates with 250 names."""
    names = [f"n{number}.example" for number in range(101)]
    assert "101 names" in warned(world.issue("", names=names), world.middle)["bundle.many_names"].text
    assert warned(world.issue("", names=names[:100]), world.middle) == {}


def test_keys_that_are_not_ours_are_warnings(world):
    """P-521 and odd sizes of RSA are taken, but a renewal will have another kind of key."""
    bundle = read(world.issue(key=ec.generate_private_key(ec.SECP521R1())), world.middle)
    assert bundle.key_type is None
    assert [warning.key for warning in bundle.warnings] == ["bundle.no_private_key", "bundle.unusual_key"]
    assert "EC with 521 bits" in bundle.warnings[1].text
    odd = world.with_numbers(world.coprime(2304))
    assert "RSA with 2304 bits" in warned(odd, world.middle)["bundle.unusual_key"].text


def test_a_small_exponent_is_a_warning(world):
    """3 is no danger with proper padding, but no CA takes it."""
    warnings = warned(world.with_numbers(world.modulus, 3), world.middle)
    assert "public exponent 3;" in warnings["bundle.small_exponent"].text
    assert set(warnings) == {"bundle.small_exponent"}


def test_usages_that_some_clients_refuse_are_warnings(world):
    """Any purpose is not serverAuth; RSA key exchange works without signatures, but not in TLS 1.3."""
    anything = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    assert set(warned(world.issue(purposes=anything), world.middle)) == {"bundle.any_purpose"}
    assert warned(world.issue(purposes=None), world.middle) == {}
    exchange = world.issue(key=world.rsa_key, extensions=[(corpus.usage("key_encipherment"), True)])
    assert set(warned(exchange, world.middle)) == {"bundle.no_signatures"}
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert "1.2.3.4" in warned(world.issue(extensions=[(unknown, True)]), world.middle)["bundle.unknown_extension"].text
    assert warned(world.issue(extensions=[(unknown, False)]), world.middle) == {}


def test_a_chain_that_has_expired_is_a_warning(world):
    """The leaf may outlive what signed it."""
    old = world.certify("Corpus CA 1", world.middle_key, issuer=(world.root, world.root_key), ca=True, end=timedelta(0))
    warning = warned(world.shop.leaf, old)["bundle.chain_expired"]
    assert warning.field == "ca_bundle"
    assert warning.text.startswith("CN=Corpus CA 1 in the chain expired on 2026-11-23")


def test_a_chain_with_weak_parts_is_a_warning(world):
    """SHA-1 signatures and weak keys of CAs are for the CA to mend."""
    old = world.resigned(world.middle, algorithm="ecdsa-sha1", key=world.root_key)
    assert set(warned(world.shop.leaf, old, world.root)) == {"bundle.chain_sha1"}
    weak_key = rsa_key(1024)
    weak = world.certify("Weak CA", weak_key, issuer=(world.root, world.root_key), ca=True)
    warning = warned(world.issue(issuer=(weak, weak_key)), weak)["bundle.chain_weak_key"]
    assert "CN=Weak CA in the chain: its RSA key has 1024 bits" in warning.text


def test_a_ca_that_may_not_sign_is_a_warning(world):
    """Clients look at its key usage, and so does the import."""
    usage = [(corpus.usage("digital_signature"), True)]
    issuer = (world.root, world.root_key)
    middle = world.certify("Corpus CA 1", world.middle_key, issuer=issuer, ca=True, extensions=usage)
    assert set(warned(world.shop.leaf, middle)) == {"bundle.chain_usage"}
    usage = [(corpus.usage("key_cert_sign", "crl_sign"), True)]
    middle = world.certify("Corpus CA 1", world.middle_key, issuer=issuer, ca=True, extensions=usage)
    assert warned(world.shop.leaf, middle) == {}


def test_an_old_root_is_left_out_like_any_other(world):
    """Many roots are still signed over SHA-1, which is no weakness: nobody relies on a root's signature."""
    for algorithm, key in [("ecdsa-sha1", world.root_key), ("rsa-md5", world.rsa_key)]:
        root = world.certify("Old Root", key, ca=True)
        old = world.resigned(root, algorithm=algorithm, key=key)
        assert is_self_signed(old)
        middle = world.certify("Old CA", world.middle_key, issuer=(root, key), ca=True)
        leaf = world.issue(issuer=(middle, world.middle_key))
        assert warned(leaf, middle, old) == {}
        assert read(leaf, old, middle).chain_pem == pem(middle)
        assert parse_chain(pem(leaf) + pem(old) + pem(middle)).chain_pem == pem(middle)


@pytest.fixture(scope="session")
def crossed(world):
    """A root that an older root has cross-signed: leaf, intermediate, both certificates of the root, the older root."""
    older = world.certify("Older Root", world.other_key, ca=True)
    cross = world.certify("Corpus Root", world.root_key, issuer=(older, world.other_key), ca=True)
    return world.shop.leaf, [world.middle, world.root, cross, older]


def test_cross_signed_roots_do_not_break_a_chain(world, crossed):
    """The longer way is taken, whatever the order; the twin that is left over is no stranger."""
    leaf, (middle, root, cross, older) = crossed
    for others in (
        [middle, root, cross, older],
        [older, cross, root, middle],
        [cross, middle, root],
        [root, cross, middle],
    ):
        bundle = read(leaf, *others)
        assert bundle.chain_pem == pem(middle) + pem(cross)
        assert [warning.key for warning in bundle.warnings] == ["bundle.no_private_key"]
        assert parse_chain("".join(map(pem, [leaf, *others]))).chain_pem == bundle.chain_pem


def test_a_second_way_to_a_root_is_named(world):
    """A server sends one way; which certificate was left out is said."""
    second = world.certify("Second Root", world.other_key, ca=True)
    twin = world.certify("Corpus CA 1", world.middle_key, issuer=(second, world.other_key), ca=True, end=950 * DAY)
    bundle = read(world.shop.leaf, world.middle, world.root, twin, second)
    assert bundle.chain_pem == pem(twin)
    assert {warning.key for warning in bundle.warnings} == {"bundle.no_private_key", "bundle.other_issuer"}
    path = follow_issuers(world.shop.leaf, [world.middle, world.root, twin, second, world.stranger])
    assert path.links == (world.shop.leaf, twin, second)
    assert set(path.others) == {world.middle, world.root}
    assert path.unrelated == (world.stranger,)


def test_a_leaf_signed_over_sha1_is_no_chain_that_a_ca_may_return(world):
    """Following old digests is asked for by the import only."""
    old = world.resigned(world.shop.leaf, algorithm="ecdsa-sha1")
    with pytest.raises(X509Error, match="signed over SHA-1"):
        parse_chain(pem(old) + pem(world.middle))


def test_the_fingerprints_of_a_mismatch_are_those_that_openssl_says(world):
    """So that a person can look for the right key on the server."""
    with pytest.raises(CertCoreError) as refused:
        read_bundle(world.shop.leaf_pem, corpus.key_pem(world.other_key), now=NOW)
    for key in (world.shop_key, world.other_key):
        public = world.openssl("pkey", "-pubout", "-outform", "DER", given=corpus.key_pem(key))
        digest = world.openssl("dgst", "-sha256", "-r", given=public).split()[0].decode()
        assert digest == corpus.fingerprint(key)
        assert digest in str(refused.value)


def test_the_text_of_a_certificate_does_not_run_wild(world):
    """A subject may hold line breaks, braces and a novel: a sentence stays one line, and short."""
    strange = world.certify("{evil}\n\x1b[31m" + "x" * 40, world.other_key, ca=True)
    with pytest.raises(InvalidInputError) as refused:
        read(world.shop.leaf, world.middle, world.root, strange)
    assert str(refused.value).isprintable()
    leaf = world.certify("{evil}\n" + "y" * 50, world.shop_key, names=["a.example"], purposes=None)
    for warning in read(leaf).warnings:
        assert warning.text.isprintable()


def test_a_real_ec_key_type_is_told(world):
    """What a renewal will make again."""
    p384 = ec.generate_private_key(ec.SECP384R1())
    assert read(world.issue(key=p384), world.middle).key_type is KeyType.EC_P384


def test_a_name_of_another_type_is_unreadable(world):
    """Found by fuzzing: a BIT STRING where a name has text raises a TypeError in the package, and late."""
    strange = corpus.tlv(
        0x30, corpus.tlv(0x31, corpus.tlv(0x30, corpus.tlv(6, b"\x55\x04\x03"), corpus.tlv(3, b"\0x")))
    )
    middle = world.resigned(world.middle, change=lambda parts: [*parts[:5], strange, *parts[6:]], key=world.root_key)
    with pytest.raises(UnreadablePemError):
        parse_chain(world.shop.leaf_pem + pem(middle))
    with pytest.raises(InvalidInputError, match=r"certificate number 1, .* cannot be read"):
        read(world.shop.leaf, middle)


def test_a_version_that_does_not_exist_is_unreadable(world):
    """Found by fuzzing: inside a PKCS#12 file the package raises an error of its own for it."""
    version = corpus.tlv(0xA0, corpus.integer(52))
    made = world.pkcs12("-nomac", "-keypbe", "NONE", "-certpbe", "NONE")
    damaged = made.replace(corpus.tlv(0xA0, corpus.integer(2)), version)
    assert damaged != made
    with pytest.raises(InvalidInputError, match="cannot be opened"):
        read_bundle(damaged, now=NOW)


def test_a_chain_with_an_endless_serial_number_is_refused(world):
    """Found by fuzzing: Python does not write numbers of so many digits, so that showing it would have failed."""
    leaf = world.resigned(world.shop.leaf, change=lambda parts: [parts[0], corpus.integer(1 << 16_000), *parts[2:]])
    with pytest.raises(UnreadablePemError, match="longer than 20 bytes"):
        parse_chain(pem(leaf))


def test_a_broken_chain_is_told_on_one_line(world):
    """Found by fuzzing: the name of a certificate may hold control characters."""
    strange = world.certify("C\x7frpus\nCA", world.other_key, ca=True)
    twin = world.certify("C\x7frpus\nCA", world.middle_key, ca=True)
    leaf = world.issue(issuer=(strange, world.other_key))
    with pytest.raises(X509Error, match=r"C\?rpus\?CA") as refused:
        parse_chain(pem(leaf) + pem(twin))
    assert str(refused.value).isprintable()


def test_refusals_and_warnings_can_be_translated(world):
    """Each sentence has a key, and those inside of it, such as the kind of a file, have theirs."""
    with pytest.raises(InvalidInputError) as refused:
        read_bundle("-----BEGIN PUBLIC KEY-----\nMAo=\n-----END PUBLIC KEY-----\n", now=NOW)
    assert refused.value.reason_text.key == "bundle.not_a_certificate"
    assert refused.value.reason_text.params["kind"].key == "x509.kind.public_key"
    assert refused.value.advice_text.key == "bundle.other_kind.public_key"
    message = read_bundle(world.shop.leaf_pem, now=NOW).warnings[0].message
    assert json.loads(json.dumps(message.to_json()))["text"] == str(message)
