"""Keys and certificate signing requests, read back by openssl."""

import shutil
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import UnreadablePemError
from certcore.model.keys import KeyType
from certcore.model.names import DnsName, IpAddress
from certcore.model.subject import Subject
from certcore.x509.csr import build_csr, csr_der, csr_names, csr_spki_sha256
from certcore.x509.keys import (
    generate_key,
    key_type_of,
    load_private_key,
    private_key_pem,
    public_key_pem,
    spki_sha256,
)
from support.examples import examples
from support.keys import rsa_key

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
NAMES = (DnsName("shop.example"), DnsName("*.shop.example"), DnsName("xn--bcher-kva.example"))
KEY = generate_key(KeyType.EC_P256)
LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=30)


def openssl(*arguments, given=b""):
    done = subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


@needs_openssl
@pytest.mark.parametrize("kind", KeyType)
def test_every_key_type_makes_a_request_that_openssl_verifies(kind):
    """Key and request are of the type that was asked for, belong together, and survive being written and read."""
    key = generate_key(kind)
    assert key_type_of(key) is kind
    assert key_type_of(key.public_key()) is kind
    pem = private_key_pem(key)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    again = load_private_key(pem)
    assert private_key_pem(again) == pem
    assert private_key_pem(load_private_key(pem, trusted=True)) == pem
    assert openssl("pkey", "-pubout", given=pem).strip() == public_key_pem(key.public_key()).strip()
    request = build_csr(key, NAMES, Subject())
    shown = openssl("req", "-verify", "-noout", "-text", given=request)
    assert "verify OK" in shown
    bits = kind.value.rpartition("-")[2].lstrip("p")
    assert f"({bits} bit)" in shown
    digest = "SHA384" if kind is KeyType.EC_P384 else "SHA256"
    assert digest in shown.upper()
    assert csr_spki_sha256(request.decode()) == spki_sha256(again.public_key())


@needs_openssl
def test_every_subject_field_is_in_the_request():
    """In their usual order; the names are in the extension, IP addresses as addresses."""
    subject = Subject(
        organization="Bücher & Söhne, Inc.",
        organizational_unit="Web",
        country="de",
        state="Bayern",
        locality="München",
        email="hostmaster@shop.example",
    )
    request = build_csr(KEY, [*NAMES, IpAddress("192.0.2.7"), IpAddress("2001:db8::7")], subject)
    shown = openssl("req", "-noout", "-text", "-nameopt", "utf8,sep_comma_plus_space,sname", given=request)
    for part in ("C=DE", "ST=Bayern", "L=München", "Bücher & Söhne", "OU=Web", "CN=shop.example", "hostmaster@shop"):
        assert part in shown
    for name in ("DNS:shop.example", "DNS:*.shop.example", "IP Address:192.0.2.7", "IP Address:2001:DB8:0:0:0:0:0:7"):
        assert name in shown
    assert csr_names(request.decode()) == (*map(str, NAMES), "192.0.2.7", "2001:db8::7")


def test_a_long_first_name_leaves_the_common_name_out():
    """The request is still good: the names that count are in the extension."""
    long = DnsName(f"{'a' * 60}.example")
    request = x509.load_pem_x509_csr(build_csr(KEY, [long], Subject()))
    assert request.is_signature_valid
    assert list(request.subject) == []


@given(st.lists(st.builds(lambda a, b: f"{a}.{b}.example", LABEL, LABEL), unique=True, min_size=1, max_size=100))
@examples(40)
def test_names_come_back_in_their_order(names):
    """What goes into a request is what is read from it, up to a hundred names; PEM and DER are the same request."""
    pem = build_csr(KEY, [DnsName(name) for name in names], Subject()).decode()
    assert list(csr_names(pem)) == names
    assert x509.load_der_x509_csr(csr_der(pem)) == x509.load_pem_x509_csr(pem.encode())


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda body: b"-----BEGIN PRIVATE KEY-----\n" + body))
def test_what_is_no_key_is_said_so_without_being_repeated(data):
    """A pasted text that is no key raises one clear error that does not hold the text."""
    with pytest.raises(UnreadablePemError) as refused:
        load_private_key(data)
    assert len(str(refused.value)) < 200


@given(st.text(max_size=200))
def test_what_is_no_request_is_said_so(text):
    """The same for requests."""
    for read in (csr_der, csr_names, csr_spki_sha256):
        with pytest.raises(UnreadablePemError, match="signing request"):
            read(text)


def test_keys_that_cannot_be_used():
    """An encrypted key and a key of another kind are told apart."""
    locked = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pass"),
    )
    with pytest.raises(UnreadablePemError, match="encrypted"):
        load_private_key(locked)
    other = ed25519.Ed25519PrivateKey.generate()
    with pytest.raises(UnreadablePemError, match="a type that CAs do not accept"):
        load_private_key(private_key_pem(other))
    assert key_type_of(other.public_key()) is None
    assert key_type_of(ec.generate_private_key(ec.SECP521R1())) is None
    assert key_type_of(rsa_key(1024)) is None


def test_old_forms_of_a_key_are_read():
    """PKCS#1 and SEC1, as openssl and other clients write them."""
    traditional = serialization.PrivateFormat.TraditionalOpenSSL
    for key in (KEY, generate_key(KeyType.RSA_2048)):
        pem = key.private_bytes(serialization.Encoding.PEM, traditional, serialization.NoEncryption())
        assert private_key_pem(load_private_key(pem)) == private_key_pem(key)
