"""Requests that users bring: read in every form that they come in, refused in words, and never a word of a key."""

import base64
import ipaddress
import re
import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.model.keys import KeyType
from certcore.model.names import MAX_NAMES
from certcore.x509.csr import csr_names, csr_spki_sha256
from certcore.x509.der import read_values
from certcore.x509.keys import spki_sha256
from certcore.x509.user_csr import read_csr
from support.examples import examples
from support.keys import dsa_key, rsa_key

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
KEY = ec.generate_private_key(ec.SECP256R1())
KEY_PEM = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
KEY_DER = KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
WEAK_KEY = rsa_key(1024)
_ECDSA_SHA1, _ECDSA_SHA256 = bytes.fromhex("06072a8648ce3d0401"), bytes.fromhex("06082a8648ce3d040302")
_EXTENSIONS = bytes.fromhex("06092a864886f70d01090e")  # 1.2.840.113549.1.9.14 (RFC 2985 section 5.4.2)
_ALTERNATIVE, _COMMON = bytes.fromhex("0603551d11"), bytes.fromhex("0603550403")


def request(*names, common=None, key=KEY):
    """A request, made by the package that everybody uses."""
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(subject))
    if names:
        general = [x509.DNSName(name) if isinstance(name, str) else name for name in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    return builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def pem(*names, **more):
    return request(*names, **more).public_bytes(Encoding.PEM).decode()


GOOD = request("shop.example", "*.shop.example")
PEM, DER = GOOD.public_bytes(Encoding.PEM).decode(), GOOD.public_bytes(Encoding.DER)
SECRETS = tuple(line for line in KEY_PEM.splitlines() if "-" not in line)


def refusal(text):
    """The error; it is about the CSR, short, and gives no private key away."""
    with pytest.raises(InvalidInputError) as caught:
        read_csr(text)
    error = caught.value
    assert error.field == "csr"
    assert len(error.reason) < 300
    shown = f"{error} {error.as_dict()} {error.__cause__} {error!r}"
    assert not any(secret in shown for secret in SECRETS)
    return error


def value(tag, *parts):
    """A value of DER."""
    content = b"".join(parts)
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag]) + (bytes([size]) if size < 128 else bytes([0x80 | len(octets)]) + octets) + content


def signed(information, *, digest=hashes.SHA256, algorithm=_ECDSA_SHA256):
    """A request with these bytes in it, signed so that the signature fits, whatever they are."""
    signature = KEY.sign(information, ec.ECDSA(digest()))
    return value(0x30, information, value(0x30, algorithm), value(0x03, b"\0", signature))


def taken_apart():
    """Version, subject, key and attributes of the good request."""
    (whole,) = read_values(DER)
    information = read_values(whole.content)[0]
    parts, at = [], 0
    for value in read_values(information.content):
        parts.append(information.content[at : value.end])
        at = value.end
    return parts


VERSION, SUBJECT, SPKI, ATTRIBUTES = taken_apart()


def with_subject(*attributes):
    name = value(0x30, *(value(0x31, value(0x30, _COMMON, attribute)) for attribute in attributes))
    return signed(value(0x30, VERSION, name, SPKI, ATTRIBUTES))


def with_alternatives(content):
    extension = value(0x30, _ALTERNATIVE, value(0x04, content))
    attribute = value(0x30, _EXTENSIONS, value(0x31, value(0x30, extension)))
    return signed(value(0x30, VERSION, SUBJECT, SPKI, value(0xA0, attribute)))


# -- what is read --------------------------------------------------------------------------------------------------


def _lines(prefix="", end="\n"):
    return "".join(f"{prefix}{line}{end}" for line in PEM.splitlines())


FORMS = {
    "pem": PEM,
    "pem as bytes": PEM.encode(),
    "der": DER,
    "windows lines": _lines(end="\r\n"),
    "indented": _lines("    "),
    "blank lines": _lines(end="\n\n"),
    "one long line": PEM.replace("\n", "")
    .replace("REQUEST-----", "REQUEST-----\n", 1)
    .replace("-----END", "\n-----END"),
    "NEW CERTIFICATE REQUEST": PEM.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
    "text around": f"Dear CA,\nhere is it (see -- below):\n{PEM}\nThanks, a@b.example -- the -----web----- team\n",
    "after openssl req -text": f"Certificate Request:\n    Data:\n        Version: 1 (0x0)\n{PEM}",
    "byte order mark": "\ufeff" + PEM,
    "utf-8 with mark": PEM.encode("utf-8-sig"),
    "utf-16, as PowerShell writes": PEM.encode("utf-16"),
    "base64 alone": base64.encodebytes(DER).decode(),
    "the certificate of another beside it": PEM
    + "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_request_is_read_in_every_form(form):
    """However it was copied, the same request comes out, in one way of writing it."""
    own = read_csr(FORMS[form])
    assert own.pem == PEM
    assert [name.ascii for name in own.names] == ["shop.example", "*.shop.example"]
    assert own.key_type is KeyType.EC_P256
    assert csr_spki_sha256(own.pem) == spki_sha256(KEY.public_key())


@pytest.mark.parametrize(
    ("names", "common", "expected"),
    [
        (["shop.example"], None, ["shop.example"]),
        ([], "shop.example", ["shop.example"]),
        (["shop.example"], "shop.example", ["shop.example"]),
        (["shop.example"], "SHOP.example", ["shop.example"]),
        (["Shop.Example", "www.shop.example"], "www.shop.example", ["shop.example", "www.shop.example"]),
        (["www.shop.example"], "shop.example", ["shop.example", "www.shop.example"]),
        (["*.shop.example"], None, ["*.shop.example"]),
        (["a.example", "a.example", "A.example"], None, ["a.example"]),
        (["xn--gre-6ka8i.example"], None, ["xn--gre-6ka8i.example"]),
        ([f"d{number}.example" for number in range(MAX_NAMES)], None, [f"d{number}.example" for number in range(100)]),
    ],
)
def test_the_names_are_those_of_the_request(names, common, expected):
    """In its order and normal form, each once; a common name that is not among them is one more, in front."""
    assert [name.ascii for name in read_csr(pem(*names, common=common)).names] == expected


@needs_openssl
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (KeyType.EC_P256, ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        (KeyType.EC_P384, ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        (KeyType.RSA_2048, ["rsa:2048"]),
        (KeyType.RSA_3072, ["rsa:3072"]),
    ],
)
def test_requests_of_openssl(tmp_path, kind, options):
    """The command that the error's advice names makes what is taken, in PEM and DER, with any subject."""
    command = ["openssl", "req", "-new", "-newkey", *options, "-nodes", "-subj", "/C=DE/O=Größe GmbH/CN=shop.example"]
    names = ["-utf8", "-addext", "subjectAltName=DNS:shop.example,DNS:b.example"]
    files = ["-keyout", tmp_path / "key.pem", "-out", tmp_path / "csr.pem"]
    done = subprocess.run([*command, *names, *files], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    own = read_csr((tmp_path / "csr.pem").read_text())
    assert own.key_type is kind
    assert csr_names(own.pem) == ("shop.example", "b.example")
    binary = subprocess.run(
        ["openssl", "req", "-in", tmp_path / "csr.pem", "-outform", "DER"], capture_output=True, check=True, timeout=60
    )
    assert read_csr(binary.stdout) == own


# -- what is refused -----------------------------------------------------------------------------------------------

_DSA = dsa_key()
_X25519 = x25519.X25519PrivateKey.generate().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
_LOCKED = KEY_PEM.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")

REFUSED = {
    "none": (None, "text or the bytes"),
    "a list": ([PEM], "text or the bytes"),
    "empty": ("", "empty"),
    "blank": (" \n\t", "empty"),
    "no bytes": (b"", "empty"),
    "words": ("please make me a certificate", "no certificate signing request"),
    "a domain": ("shop.example", "no certificate signing request"),
    "garbage": (bytes(range(256)) * 4, "no certificate signing request"),
    "huge": ("A" * 300_000, "longer than"),
    "huge bytes": (b"\x30" + b"A" * 300_000, "longer than"),
    "no end": (PEM.partition("-----END")[0], "END line is missing"),
    "no beginning": (PEM.partition("REQUEST-----")[2], "no BEGIN line"),
    "a line is missing": ("".join(PEM.splitlines(keepends=True)[:2] + PEM.splitlines(keepends=True)[3:]), "damaged"),
    "a changed letter in the base64": (PEM.replace("M", "~", 1).replace("\n~", "\n*", 1), "damaged"),
    "cut off der": (DER[:-3], "cut off"),
    "der and more": (DER + b"more", "cut off|damaged"),
    "two": (PEM + pem("b.example"), "several"),
    "two in one file": (DER + DER, "several"),
    "a private key": (KEY_PEM, "private key"),
    "a private key in old form": (KEY_PEM.replace("PRIVATE KEY", "EC PRIVATE KEY"), "private key"),
    "an encrypted key": (_LOCKED, "private key"),
    "a private key in DER": (KEY_DER, "private key"),
    "a private key in base64": (base64.encodebytes(KEY_DER).decode(), "private key"),
    "a private key in utf-16": (KEY_PEM.encode("utf-16"), "private key"),
    "a private key beside it": (PEM + KEY_PEM, "private key"),
    "a private key in front of it": (KEY_PEM.encode() + PEM.encode(), "private key"),
    "a public key": (
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "public key",
    ),
    "no names": (pem(), "no name"),
    "an address": (pem(x509.IPAddress(ipaddress.ip_address("10.0.0.1"))), "DNS names"),
    "an address beside a name": (pem("a.example", x509.IPAddress(ipaddress.ip_address("2001:db8::1"))), "DNS names"),
    "an address as common name": (pem("a.example", common="10.0.0.1"), "IP address"),
    "mail": (pem("a.example", x509.RFC822Name("me@shop.example")), "DNS names"),
    "a URL": (pem(x509.UniformResourceIdentifier("https://shop.example/")), "DNS names"),
    "something else": (pem(x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")), "DNS names"),
    "an underscore": (pem("_dmarc.shop.example"), "underscore"),
    "one label": (pem("localhost"), "no dot"),
    "a company as common name": (pem("shop.example", common="Shop Ltd."), "white space"),
    "a star in the middle": (pem("www.*.example"), r"\*"),
    "too many names": (pem(*(f"d{number}.example" for number in range(MAX_NAMES + 1))), "101 names"),
    "too many with the common name": (
        pem(*(f"d{number}.example" for number in range(MAX_NAMES)), common="e.example"),
        "101 names",
    ),
    "RSA with 1024 bits": (pem("shop.example", key=WEAK_KEY), "1024 bits"),
    "RSA with 2304 bits": (pem("shop.example", key=rsa_key(2304)), "rsa-2048"),
    "Ed25519": (pem("shop.example", key=ed25519.Ed25519PrivateKey.generate()), "Ed25519"),
    "P-521": (pem("shop.example", key=ec.generate_private_key(ec.SECP521R1())), "ec-p384"),
    "secp256k1": (pem("shop.example", key=ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
    "DSA": (pem("shop.example", key=_DSA), "DSA"),
    "a key that cannot sign": (signed(value(0x30, VERSION, SUBJECT, _X25519, ATTRIBUTES)), "its key cannot sign"),
    "SHA-1": (
        signed(value(0x30, VERSION, SUBJECT, SPKI, ATTRIBUTES), digest=hashes.SHA1, algorithm=_ECDSA_SHA1),
        "SHA1",
    ),
    "signed by another key": (
        DER[:-8] + bytes(byte ^ 1 for byte in DER[-8:]),
        "signature does not match its key|damaged",
    ),
    "a common name that is no text": (with_subject(value(0x03, b"\0", b"shop.example")), "damaged"),
    "a common name in broken UTF-8": (with_subject(value(0x0C, b"\xff.example")), "damaged"),
    "a common name in T.61": (with_subject(value(0x14, b"\xe4.example")), "damaged"),
    "a common name that is a number": (with_subject(value(0x02, b"\x01")), "damaged"),
    "a common name with a NUL": (with_subject(value(0x0C, b"shop.example\0.evil.example")), "name that no CA"),
    "an empty part of the subject": (
        signed(value(0x30, VERSION, value(0x30, value(0x31)), SPKI, ATTRIBUTES)),
        "damaged",
    ),
    "alternative names that are none": (with_alternatives(b"\x01\x02"), "damaged"),
    "an alternative name with a NUL": (
        with_alternatives(value(0x30, value(0x82, b"shop.example\0.evil.example"))),
        "name that no CA",
    ),
    "an alternative name in Latin 1": (with_alternatives(value(0x30, value(0x82, b"gr\xfcn.example"))), "damaged"),
    "an empty alternative name": (with_alternatives(value(0x30, value(0x82))), "empty"),
    "no alternative names at all": (with_alternatives(value(0x30)), "no name"),
    "an X.400 address": (with_alternatives(value(0x30, value(0xA3))), "damaged"),
    "a version of the future": (signed(value(0x30, b"\x02\x01\x09", SUBJECT, SPKI, ATTRIBUTES)), "damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_request_is_refused_in_words(case):
    """The error for the field ``csr`` says what is wrong, and shows nothing of a private key."""
    given, words = REFUSED[case]
    assert re.search(words, refusal(given).message)


def test_a_certificate_is_called_by_its_name():
    """The error for a wrong file says what kind of file it is."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))
        .public_key(GOOD.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2030, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2031, 1, 1, tzinfo=UTC))
    )
    certificate = builder.sign(KEY, hashes.SHA256())
    for form in (Encoding.PEM, Encoding.DER):
        assert refusal(certificate.public_bytes(form)).reason.startswith("this is a certificate, not")


# -- whatever is given ---------------------------------------------------------------------------------------------


def attempt(given):
    """A request for names that a CA certifies, or an error about the CSR."""
    refused = None
    try:
        own = read_csr(given)
    except InvalidInputError as error:
        refused = error
    if refused is not None:
        assert refused.field == "csr"
        assert not any(secret in str(refused) for secret in SECRETS)
        return
    assert own.names
    assert x509.load_pem_x509_csr(own.pem.encode()).is_signature_valid


# The package warns of fields that are too long or empty; a request with such is no reason to stop.
FUZZ = pytest.mark.filterwarnings("ignore:Attribute's length")
CHANGES = st.lists(st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255)), min_size=1, max_size=4)


def _changed(data, changes):
    changed = bytearray(data)
    for at, byte in changes:
        changed[at % len(changed)] = byte
    return bytes(changed)


@FUZZ
@examples(300, deadline=None)
@given(CHANGES)
def test_a_damaged_request_never_breaks_anything(changes):
    """With any of its bytes changed, in DER and in PEM: read, or refused as every other."""
    damaged = _changed(DER, changes)
    attempt(damaged)
    body = base64.encodebytes(damaged).decode()
    attempt(f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n")


@FUZZ
@examples(300, deadline=None)
@given(CHANGES)
def test_a_strange_request_with_a_good_signature_never_breaks_anything(changes):
    """What its own key has signed may still be nonsense: it is refused as every other."""
    attempt(signed(_changed(value(0x30, VERSION, SUBJECT, SPKI, ATTRIBUTES), changes)))


@FUZZ
@examples(200, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_strange_names_never_break_anything(common, alternative):
    """Whatever stands where the names should be, signed."""
    name = value(0x30, value(0x31, value(0x30, _COMMON, common)))
    extension = value(0x30, _ALTERNATIVE, value(0x04, value(0x30, alternative)))
    attribute = value(0x30, _EXTENSIONS, value(0x31, value(0x30, extension)))
    attempt(signed(value(0x30, VERSION, name, SPKI, value(0xA0, attribute))))
    attempt(with_subject(value(0x0C, common)))
    attempt(with_alternatives(value(0x30, value(0x82, alternative))))


PARTS = st.sampled_from(
    [
        PEM,
        KEY_PEM,
        *PEM.splitlines(keepends=True)[:2],
        *KEY_PEM.splitlines(keepends=True),
        "-----END CERTIFICATE REQUEST-----\n",
        "-----BEGIN NEW CERTIFICATE REQUEST-----\n",
        "-----BEGIN X509 CRL-----",
        "DEK-Info: AES-256-CBC,00",
        "-----",
        "\0",
        "\\n",
        "<br>",
        "=",
    ]
)


@examples(300, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=300), st.lists(PARTS | st.text(max_size=8)).map("".join)))
def test_no_paste_breaks_anything(pasted):
    """Any bytes, any text, and pieces of requests and keys in any order."""
    attempt(pasted)
    if isinstance(pasted, str):
        attempt(pasted.encode("utf-8", "surrogatepass"))
    else:
        attempt(b"\x30" + pasted)
