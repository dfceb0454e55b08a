"""Certificates that OpenSSL reads and the package does not, and issuers that are not what they seem: told in words."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.x509.der import read_values
from certcore.x509.import_bundle import read_bundle
from certcore.x509.unreadable import raw_names, what_is_wrong
from support import bundle_corpus as corpus

NOW, armour, tlv = corpus.NOW, corpus.armour, corpus.tlv


def named(tag, text):
    return tlv(0x30, tlv(0x31, tlv(0x30, tlv(6, b"\x55\x04\x03"), tlv(tag, text))))


def signed(world, certificate, key, *, subject=None, issuer=None, serial=None):
    """A certificate with parts changed that the package would refuse to write; as DER, for it may refuse to read it."""
    (whole,) = read_values(corpus.der(certificate))
    parts = [tlv(value.tag, value.content) for value in read_values(read_values(whole.content)[0].content)]
    parts[1] = serial or parts[1]
    parts[3] = issuer or parts[3]
    parts[5] = subject or parts[5]
    body = tlv(0x30, *parts)
    scheme = tlv(0x30, tlv(6, bytes.fromhex(corpus.OIDS["ecdsa-sha256"])))
    signature = key.sign(body, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, body, scheme, tlv(3, b"\0", signature))


FAULTS = {
    "a star in PrintableString": ({"subject": named(0x13, b"*.shop.example")}, "PrintableString, which has no *"),
    "an ampersand in PrintableString": ({"subject": named(0x13, b"Black & White")}, "PrintableString, which has no &"),
    "an at sign in PrintableString": ({"subject": named(0x13, b"a@b.example")}, "PrintableString, which has no @"),
    "T61String": ({"subject": named(0x14, b"Compa\xf1ia")}, "T61String, which is outdated"),
    "Latin-1 in UTF8String": ({"subject": named(0x0C, b"Compa\xf1ia")}, "UTF8String, but is not UTF-8"),
    "a padded serial number": ({"serial": tlv(2, b"\0\x11\x22")}, "padded with a zero byte"),
}


def is_read(data):
    try:
        certificate = x509.load_der_x509_certificate(data)
        certificate.subject.rfc4514_string()
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("fault", FAULTS)
def test_a_leaf_that_cannot_be_read_is_named_for_what_it_is(world, fault):
    """Which certificate, which part, which rule; and not that it is damaged and should be copied again."""
    change, words = FAULTS[fault]
    leaf = signed(world, world.shop.leaf, world.middle_key, **change)
    assert words in str(what_is_wrong(leaf))
    if is_read(leaf):
        pytest.skip("this package reads it")
    with pytest.raises(InvalidInputError) as refused:
        read_bundle(armour("CERTIFICATE", leaf) + corpus.pem(world.middle), now=NOW)
    assert refused.value.field == "leaf"
    said = str(refused.value)
    assert words in said
    assert "certificate number 1, CN=" in said
    assert "Copy it again" not in said


@pytest.mark.parametrize("fault", FAULTS)
def test_one_that_nobody_needs_is_left_out_with_a_warning(world, fault):
    """An unreadable root, or stranger beside a complete chain, is left out with a warning that says why."""
    change, words = FAULTS[fault]
    serial = {"serial": change["serial"]} if "serial" in change else {}
    name = change.get("subject")
    root = signed(world, world.root, world.root_key, **serial, **({"subject": name, "issuer": name} if name else {}))
    if is_read(root):
        pytest.skip("this package reads it")
    given = [world.shop.leaf_pem, corpus.pem(world.middle), corpus.pem(world.root), armour("CERTIFICATE", root)]
    bundle = read_bundle("".join(given), world.shop.key_pem, now=NOW)
    assert bundle.chain_pem == corpus.pem(world.middle)
    (warning,) = bundle.warnings
    assert warning.key == "bundle.unreadable"
    assert words in warning.text


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_negative_serial_number_is_told_or_does_no_harm(world):
    """In a leaf it is refused for what it is; in a root it keeps nothing out."""
    leaf = signed(world, world.shop.leaf, world.middle_key, serial=tlv(2, b"\xff\x22\x33"))
    root = signed(world, world.root, world.root_key, serial=tlv(2, b"\xff\x22\x33"))
    assert "negative" in str(what_is_wrong(leaf))
    with pytest.raises(InvalidInputError, match=r"serial number is (not a positive number|negative)"):
        read_bundle(armour("CERTIFICATE", leaf) + corpus.pem(world.middle), now=NOW)
    pasted = world.shop.leaf_pem + corpus.pem(world.middle) + armour("CERTIFICATE", root)
    assert read_bundle(pasted, world.shop.key_pem, now=NOW).chain_pem == corpus.pem(world.middle)


def test_an_intermediate_that_is_needed_is_named(world):
    """The leaf names it as its issuer: nobody could make the chain without it."""
    padded = signed(world, world.middle, world.root_key, serial=tlv(2, b"\0\x11\x22"))
    with pytest.raises(
        InvalidInputError, match="CN=Corpus CA 1, cannot be read: its serial number is padded"
    ) as refused:
        read_bundle(world.shop.leaf_pem, None, armour("CERTIFICATE", padded), now=NOW)
    assert refused.value.field == "ca_bundle"


@given(st.binary(max_size=200))
def test_noise_has_no_names(data):
    """Whatever the bytes are, nothing is raised."""
    names = raw_names(data)
    assert names is None or isinstance(names.text, str)
    assert str(what_is_wrong(data)).isprintable()


@given(st.data())
def test_a_changed_byte_never_breaks_the_words(world_der, data):
    """Each byte of a certificate may be another one."""
    changed = bytearray(world_der)
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    names = raw_names(bytes(changed))
    assert names is None or names.text.isprintable()
    assert str(what_is_wrong(bytes(changed))).isprintable()


@pytest.fixture(scope="module")
def world_der(world):
    return corpus.der(world.shop.leaf)


def bare(world, common, key, issuer=None, issuer_key=None):
    """A CA certificate of version 3 without BasicConstraints, as small CAs make them."""
    return (
        x509.CertificateBuilder()
        .subject_name(corpus.name(common))
        .issuer_name(corpus.name(issuer or common))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOW - 900 * corpus.DAY)
        .not_valid_after(NOW + 900 * corpus.DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(issuer_key or key, hashes.SHA256())
    )


def test_a_root_that_does_not_say_that_it_is_one_is_still_a_root(world):
    """It is not taken for a second leaf; it is left out like any root."""
    root = bare(world, "Office CA", world.other_key)
    leaf = world.issue(issuer=(root, world.other_key))
    for pasted in (corpus.pem(leaf) + corpus.pem(root), corpus.pem(root) + corpus.pem(leaf)):
        bundle = read_bundle(pasted, world.shop.key_pem, now=NOW)
        assert (bundle.leaf_pem, bundle.chain_pem, bundle.warnings) == (corpus.pem(leaf), "", ())


def test_an_intermediate_that_may_not_sign_is_named(world):
    """Clients refuse it: the words are about it, not about two leaves."""
    middle = bare(world, "Office Sub CA", world.other_key, "Corpus Root", world.root_key)
    leaf = world.issue(issuer=(middle, world.other_key))
    with pytest.raises(InvalidInputError, match=r"CN=Office Sub CA signed .*, but does not say"):
        read_bundle(corpus.pem(leaf), world.shop.key_pem, corpus.pem(middle), now=NOW)


def test_a_root_of_the_same_name_and_another_key_is_left_out(world):
    """Servers send no root, so the wrong one is reported, and the chain is imported."""
    sibling = world.certify("Corpus Root", world.other_key, ca=True)
    bundle = read_bundle(
        world.shop.leaf_pem, world.shop.key_pem, corpus.pem(world.middle) + corpus.pem(sibling), now=NOW
    )
    assert bundle.chain_pem == corpus.pem(world.middle)
    assert [warning.key for warning in bundle.warnings] == ["bundle.other_root"]


def test_an_intermediate_of_the_same_name_is_told_apart_by_its_key(world):
    """The advice does not ask for a certificate of the name that is there, but says how the right one differs."""
    middle = bare(world, "Twin CA", world.other_key, "Corpus Root", world.root_key)
    twin = world.certify("Twin CA", world.shop_key, issuer=(world.root, world.root_key), ca=True)
    key = x509.AuthorityKeyIdentifier.from_issuer_public_key(world.other_key.public_key())
    leaf = world.issue(issuer=(middle, world.other_key), extensions=[(key, False)])
    with pytest.raises(InvalidInputError, match="There are several CAs named CN=Twin CA"):
        read_bundle(corpus.pem(leaf), None, corpus.pem(twin), now=NOW)
    identified = bare(world, "Twin CA", world.shop_key)
    own = x509.SubjectKeyIdentifier.from_public_key(world.shop_key.public_key()).digest.hex()
    sibling = world.certify(
        "Twin CA",
        world.shop_key,
        issuer=(world.root, world.root_key),
        ca=True,
        extensions=[(x509.SubjectKeyIdentifier.from_public_key(identified.public_key()), False)],
    )
    with pytest.raises(InvalidInputError, match=f"subject key identifier is {key.key_identifier.hex()}.*has {own}"):
        read_bundle(corpus.pem(leaf), None, corpus.pem(sibling), now=NOW)
