"""Chains as CAs send them and as people paste them: order, belonging, signatures, and the leaf that was asked for."""

import base64
import itertools
import random
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import LeafRejectedError, UnreadablePemError, X509Error
from certcore.model.keys import KeyType
from certcore.model.names import DnsName, IpAddress
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.chain import MAX_BYTES, check_leaf, parse_certificates, parse_chain, verify_chain
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from support.examples import examples

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
NAMES = (DnsName("shop.example"), DnsName("*.shop.example"))
CA = LittleAuthority(NOW)
OTHER_CA = LittleAuthority(NOW, name="Other CA")
KEY = generate_key(KeyType.EC_P256)
CSR = build_csr(KEY, NAMES, Subject()).decode()
CHAIN_PEM = CA.issue(CSR, now=NOW)
LEAF_PEM = CHAIN_PEM[: CHAIN_PEM.index("-----BEGIN", 10)]
OTHER_LEAF_PEM = CA.issue(build_csr(KEY, [DnsName("b.example")], Subject()).decode(), now=NOW)
BAG = "Bag Attributes\n    friendlyName: shop\nsubject=CN = shop.example\n"


def _rejected(chain_pem, *, names=NAMES, csr=CSR, now=NOW):
    with pytest.raises(LeafRejectedError) as refused:
        check_leaf(parse_chain(chain_pem), names=names, csr_pem=csr, now=now)
    return str(refused.value)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_any_order_becomes_the_right_one(order, line_end):
    """Leaf, intermediate and root in any order, with comments and foreign line ends: leaf first, root left out."""
    parts = [LEAF_PEM, CA.intermediate_pem, CA.root_pem]
    pasted = BAG + BAG.join(parts[number] for number in order)
    chain = parse_chain(pasted.replace("\n", line_end))
    assert chain.leaf_pem == LEAF_PEM
    assert chain.chain_pem == CA.intermediate_pem
    assert parse_chain(chain.leaf_pem + chain.chain_pem) == chain
    assert parse_chain(pasted.encode()) == chain
    assert verify_chain(chain, CA.root_pem, NOW).subject.rfc4514_string() == "CN=Little CA Root"


def test_repeated_certificates_count_once():
    """Some CAs, and many people, send one twice."""
    assert parse_chain(CHAIN_PEM + CHAIN_PEM) == parse_chain(CHAIN_PEM)


def test_the_details_of_a_leaf():
    """As openssl says them."""
    leaf = parse_chain(CHAIN_PEM).leaf
    assert set(leaf.names) == {"shop.example", "*.shop.example"}
    assert leaf.issuer == "CN=Little CA Intermediate"
    assert (leaf.public_key_algorithm, leaf.key_size) == ("EC P-256", 256)
    assert leaf.lifetime == timedelta(days=90, hours=1)
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    asked = ["openssl", "x509", "-noout", "-serial", "-fingerprint", "-sha256", "-enddate"]
    shown = subprocess.run(asked, input=CHAIN_PEM, capture_output=True, text=True, check=True, timeout=120).stdout
    told = dict(line.split("=", 1) for line in shown.splitlines())
    assert told["serial"].lstrip("0").lower() == leaf.serial_hex
    assert int(told["serial"], 16) == int(leaf.serial_decimal)
    assert told["sha256 Fingerprint"].replace(":", "").lower() == leaf.fingerprint_sha256
    assert datetime.strptime(told["notAfter"], "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC) == leaf.not_after


def test_the_leaf_that_was_asked_for_is_accepted():
    """Key, names and dates are those of the request."""
    check_leaf(parse_chain(CHAIN_PEM), names=NAMES, csr_pem=CSR, now=NOW)


def test_a_leaf_for_another_key_is_refused():
    """The one mistake that would take a site down at the next reload."""
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    assert "another key" in _rejected(CA.issue(CSR, now=NOW, public_key=other))


@pytest.mark.parametrize(
    ("issued", "says"),
    [
        (["shop.example"], r"lacks the name *.shop.example"),
        (["other.example"], "lacks the name"),
    ],
)
def test_a_leaf_for_other_names_is_refused(issued, says):
    """One name too few is not the certificate that was asked for."""
    assert says in _rejected(CA.issue(CSR, now=NOW, names=issued))


def test_names_of_a_leaf_are_compared_without_case():
    """DNS names have no case (RFC 4343)."""
    upper = CA.issue(CSR, now=NOW, names=["SHOP.example", "*.Shop.Example"])
    check_leaf(parse_chain(upper), names=NAMES, csr_pem=CSR, now=NOW)


def test_a_leaf_outside_of_its_dates_is_refused():
    """Expired, or not valid yet by more than clocks differ."""
    assert "expired already" in _rejected(CHAIN_PEM, now=NOW + timedelta(days=91))
    assert "not valid before" in _rejected(CHAIN_PEM, now=NOW - timedelta(hours=1, minutes=5, seconds=1))
    check_leaf(parse_chain(CHAIN_PEM), names=NAMES, csr_pem=CSR, now=NOW - timedelta(hours=1, minutes=5))


def test_addresses_in_a_leaf():
    """IP identifiers are compared as addresses."""
    names = (IpAddress("192.0.2.7"), IpAddress("2001:db8::7"))
    csr = build_csr(KEY, names, Subject()).decode()
    check_leaf(parse_chain(CA.issue(csr, now=NOW)), names=names, csr_pem=csr, now=NOW)


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        (CA.root_pem + CA.intermediate_pem, "no leaf"),
        (LEAF_PEM + LittleAuthority(NOW).intermediate_pem, "did not sign"),
        (CA.intermediate_pem + LEAF_PEM + OTHER_LEAF_PEM, "2 leaves"),
        ("", "no certificate"),
        (CSR, "no certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "number 1 of 1"),
        (LEAF_PEM + "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "number 2 of 2"),
        (LEAF_PEM * 21, "21 certificates"),
        ("x" * 300_000, "longer than"),
    ],
    # The keys in the texts are new in each process.
    ids=str.split("no-leaf not-signed two-leaves empty csr unreadable half-unreadable too-many too-long"),
)
def test_what_is_no_chain_is_said_so(pasted, says):
    """The sentence names what does not belong."""
    with pytest.raises(X509Error, match=says):
        parse_chain(pasted)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize("part", ["leaf", "intermediate"])
@given(data=st.data())
@examples(300)
def test_one_changed_bit_is_never_accepted(part, data):
    """A leaf or an intermediate with one bit flipped is unreadable or does not verify; it never passes."""
    parts = {"leaf": LEAF_PEM, "intermediate": CA.intermediate_pem}
    der = bytearray(x509.load_pem_x509_certificate(parts[part].encode()).public_bytes(Encoding.DER))
    place = data.draw(st.integers(0, len(der) * 8 - 1))
    der[place // 8] ^= 1 << place % 8
    parts[part] = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    with pytest.raises(X509Error):
        verify_chain(parse_chain("".join(parts.values())), CA.root_pem, NOW)


def test_unused_bits_of_a_signature_are_refused():
    """Their count is not signed, so that a certificate which says another one would pass with another fingerprint."""
    request = build_csr(KEY, NAMES, Subject()).decode()
    issued = (CA.issue(request, now=NOW) for _ in range(1000))
    leaves = (x509.load_pem_x509_certificate(pem.encode()) for pem in issued)
    leaf = next(leaf for leaf in leaves if leaf.signature[-1] % 2 == 0)
    der = bytearray(leaf.public_bytes(Encoding.DER))
    count = len(der) - len(leaf.signature) - 1
    assert der[count] == 0
    der[count] = 1
    pem = f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(der).decode()}-----END CERTIFICATE-----\n"
    x509.load_pem_x509_certificate(pem.encode())
    with pytest.raises(UnreadablePemError, match="cut off"):
        parse_chain(pem + CA.intermediate_pem)


@given(
    st.text() | st.binary() | st.text().map(lambda text: f"-----BEGIN CERTIFICATE-----{text}-----END CERTIFICATE-----")
)
def test_no_paste_breaks_the_parser(pasted):
    """Whatever is pasted, the only errors are those of certcore."""
    with pytest.raises(UnreadablePemError):
        parse_certificates(pasted)


def test_a_chain_to_somebody_elses_root_does_not_verify():
    """Nor one whose links are out of their dates, or whose issuer is no CA."""
    chain = parse_chain(CHAIN_PEM)
    with pytest.raises(X509Error, match="does not lead"):
        verify_chain(chain, OTHER_CA.root_pem, NOW)
    with pytest.raises(X509Error, match="not valid now"):
        verify_chain(chain, CA.root_pem, NOW + timedelta(days=91))
    assert verify_chain(chain, OTHER_CA.root_pem + CA.root_pem, NOW)


def test_a_leaf_cannot_sign():
    """A leaf that plays CA is not followed, although its signature is right (RFC 5280 section 4.2.1.9)."""
    false_ca = x509.load_pem_x509_certificate(LEAF_PEM.encode())
    victim_key = generate_key(KeyType.EC_P256)
    victim = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(false_ca.subject)
        .public_key(victim_key.public_key())
        .serial_number(random.getrandbits(64) | 1)
        .not_valid_before(NOW - timedelta(hours=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("victim.example")]), critical=False)
        .sign(KEY, false_ca.signature_hash_algorithm)
        .public_bytes(Encoding.PEM)
        .decode()
    )
    with pytest.raises(X509Error, match="is not a CA certificate"):
        parse_chain(victim + CHAIN_PEM)
    with pytest.raises(X509Error, match="2 leaves"):
        parse_chain(CA.intermediate_pem + victim + LEAF_PEM)


def test_what_a_ca_adds_to_a_chain_is_left_out():
    """Another CA's certificates and a second leaf behind the first do not keep a good leaf from being installed."""
    for extra in (OTHER_CA.root_pem, OTHER_CA.intermediate_pem, OTHER_LEAF_PEM):
        assert parse_chain(CHAIN_PEM + extra) == parse_chain(CHAIN_PEM)
    assert parse_chain(LEAF_PEM + OTHER_CA.intermediate_pem) == parse_chain(LEAF_PEM)
    assert parse_chain(LEAF_PEM + CA.root_pem).chain_pem == ""


@pytest.mark.timeout(5)  # where the search began anew at each BEGIN line it took longer
def test_beginnings_without_an_end_are_passed_over_once():
    """As many as fit; and between others that have one, each certificate is found."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    with pytest.raises(UnreadablePemError, match="no certificate in this text"):
        parse_certificates(begin * (MAX_BYTES // len(begin)))
    with pytest.raises(UnreadablePemError, match="no certificate in this text"):
        parse_certificates(end * (MAX_BYTES // len(end)))
    assert parse_certificates(end + CHAIN_PEM + end + begin) == parse_certificates(CHAIN_PEM)
    with pytest.raises(UnreadablePemError, match="number 1 of 2 cannot be read"):
        parse_certificates(begin + CHAIN_PEM)
