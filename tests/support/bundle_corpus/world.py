"""The keys and certificates of the corpus, helpers that write them in many forms, and the registry of inputs."""

import base64
import datetime as dt
import functools
import hashlib
import ipaddress
import math
import random
import shutil
import subprocess
import tempfile
import textwrap
from pathlib import Path

import pytest
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from certcore.x509.der import read_values
from support.keys import rsa_key

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


DAY = dt.timedelta(days=1)


PASSWORD = "correct Horse 7 ü"


SERVER = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


DOTLESS_PLUS = str.maketrans({"+": "\\u002b", "/": "\\/", "=": "\\u003d"})


#: Signatures, some of which the package does not make any more.
OIDS = {
    "ecdsa-sha1": "2a8648ce3d0401",
    "ecdsa-sha256": "2a8648ce3d040302",
    "rsa-md5": "2a864886f70d010104",
    "rsa-sha1": "2a864886f70d010105",
}


def name(common):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else [])


def pem(certificate):
    """PEM as RFC 7468 has it, written by hand."""
    return armour("CERTIFICATE", der(certificate))


def armour(label, data):
    lines = textwrap.wrap(base64.b64encode(data).decode(), 64)
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def der(certificate):
    return certificate.public_bytes(Encoding.DER)


def b64(data):
    return base64.b64encode(data).decode()


def tlv(tag, *contents):
    content = b"".join(contents)
    length = len(content)
    head = (
        bytes([length])
        if length < 128
        else (n := length.to_bytes(4, "big").lstrip(b"\0")) and bytes([128 | len(n)]) + n
    )
    return bytes([tag]) + head + content


def integer(number):
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def public_der(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_der(key, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.DER, form, NoEncryption())


def key_pem(key, form=PrivateFormat.PKCS8, encryption=None):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption()).decode()


def indefinite(data):
    """The same value with its outermost length left open, as BER allows."""
    (value,) = read_values(data)
    return bytes([value.tag, 0x80]) + value.content + b"\0\0"


def in_pieces(octets):
    """As BER allows octet strings to be written: in pieces, and these in pieces."""
    return tlv(0x24, tlv(4, octets[:3]), b"\x24\x80" + tlv(4, octets[3:]) + b"\0\0")


@frozen
class Identity:
    """A leaf with its key, and who issued it."""

    key: object
    leaf: object
    chain: tuple

    @property
    def leaf_pem(self):
        return pem(self.leaf)

    @property
    def chain_pem(self):
        return "".join(map(pem, self.chain))

    @property
    def key_pem(self):
        return armour("PRIVATE KEY", key_der(self.key))


class World:
    """Two CAs and a few keys; what is dear is made on first use."""

    def __init__(self):
        self.random = random.Random(7)
        self.root_key, self.middle_key, self.shop_key, self.other_key = (
            ec.generate_private_key(ec.SECP256R1()) for _ in range(4)
        )
        self.root = self.certify("Corpus Root", self.root_key, ca=True)
        self.middle = self.certify("Corpus CA 1", self.middle_key, issuer=(self.root, self.root_key), ca=True)
        self.shop = Identity(self.shop_key, self.issue("shop.example", self.shop_key), (self.middle,))
        self.stranger = self.certify("Strange Root", self.other_key, ca=True)

    @functools.cached_property
    def rsa_key(self):
        return rsa_key()

    @functools.cached_property
    def mail(self):
        """The same with RSA, for the forms that only RSA keys have."""
        return Identity(self.rsa_key, self.issue("mail.example", self.rsa_key), (self.middle,))

    @functools.cached_property
    def everything(self):
        """Key, leaf, intermediate and root of the shop, one after the other."""
        return [self.shop.key_pem, self.shop.leaf_pem, pem(self.middle), pem(self.root)]

    @functools.cached_property
    def modulus(self):
        """A modulus of 2048 bits that nobody minds."""
        return self.rsa_key.public_key().public_numbers().n

    def issue(self, common="shop.example", key=None, *, names=None, **options):
        """A leaf from the intermediate."""
        names = [common, f"www.{common}"] if names is None else names
        issuer = options.pop("issuer", (self.middle, self.middle_key))
        return self.certify(common, key or self.shop_key, issuer=issuer, names=names, **options)

    def certify(
        self,
        common,
        key,
        *,
        issuer=None,
        ca=False,
        names=(),
        start=-DAY,
        end=90 * DAY,
        extensions=(),
        purposes=SERVER,
        digest=None,
    ):
        public = key.public_key() if hasattr(key, "public_key") else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(issuer[0].subject if issuer else name(common))
            .public_key(public)
            .serial_number(self.random.getrandbits(120) | 1)
            .not_valid_before(NOW + (start if not ca else min(start, -900 * DAY)))
            .not_valid_after(NOW + (end if not ca or end <= dt.timedelta() else max(end, 900 * DAY)))
        )
        added = [(x509.BasicConstraints(ca=ca, path_length=None), True)]
        general = [name if isinstance(name, x509.GeneralName) else x509.DNSName(name) for name in names]
        if general:
            added.append((x509.SubjectAlternativeName(general), False))
        if purposes is not None and not ca:
            added.append((purposes, False))
        for value, critical in [*added, *extensions]:
            builder = builder.add_extension(value, critical)
        return builder.sign(issuer[1] if issuer else key, digest or hashes.SHA256())

    def resigned(self, certificate, *, change=lambda parts: parts, algorithm="ecdsa-sha256", key=None):
        """A certificate with some of its contents changed by hand, signed again."""
        (whole,) = read_values(der(certificate))
        tbs = read_values(whole.content)[0]
        parts = [tlv(value.tag, value.content) for value in read_values(tbs.content)]
        scheme = tlv(0x30, tlv(6, bytes.fromhex(OIDS[algorithm])), *([tlv(5)] if algorithm.startswith("rsa") else []))
        parts[2] = scheme
        body = tlv(0x30, *change(parts))
        digest = {"sha1": hashes.SHA1, "md5": hashes.MD5, "sha256": hashes.SHA256}[algorithm.rpartition("-")[2]]()
        signer = key or self.middle_key
        signature = (
            signer.sign(body, padding.PKCS1v15(), digest)
            if isinstance(signer, rsa.RSAPrivateKey)
            else signer.sign(body, ec.ECDSA(digest))
        )
        return x509.load_der_x509_certificate(tlv(0x30, body, scheme, tlv(3, b"\0", signature)))

    def with_numbers(self, modulus, exponent=65537):
        """A leaf whose RSA key has these numbers, possible or not."""
        algorithm = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010101")), tlv(5))
        spki = tlv(0x30, algorithm, tlv(3, b"\0", tlv(0x30, integer(modulus), integer(exponent))))
        return self.resigned(self.shop.leaf, change=lambda parts: [*parts[:6], spki, *parts[7:]])

    def coprime(self, bits, *, start=None):
        """An odd number of that size without small factors; it need not be prime, as nobody looks."""
        number = start or self.random.getrandbits(bits) | 1 | 3 << bits - 2
        while math.gcd(number, math.prod(range(3, 760, 2))) != 1:
            number += 2
        return number

    def openssl(self, *arguments, given=b"", **files):
        """What openssl writes; the files are put where the arguments have their names in braces."""
        if shutil.which("openssl") is None:
            pytest.skip("openssl is not installed")
        with tempfile.TemporaryDirectory() as folder:
            paths = {}
            for title, content in files.items():
                paths[title] = Path(folder, title)
                paths[title].write_bytes(content if isinstance(content, bytes) else content.encode())
            command = ["openssl", *(argument.format_map(paths) for argument in arguments)]
            given = given if isinstance(given, bytes) else given.encode()
            done = subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def pkcs12(self, *options, who=None, password=PASSWORD):
        who = who or self.shop
        return self.openssl(
            *("pkcs12", "-export", "-inkey", "{key}", "-in", "{leaf}", "-certfile", "{chain}"),
            *("-passout", f"pass:{password}", *options),
            key=who.key_pem,
            leaf=who.leaf_pem,
            chain=who.chain_pem + pem(self.root),
        )

    @functools.cached_property
    def request(self):
        builder = x509.CertificateSigningRequestBuilder().subject_name(name("shop.example"))
        return builder.sign(self.shop_key, hashes.SHA256())

    @functools.cached_property
    def revocations(self):
        return (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.middle.subject)
            .last_update(NOW)
            .next_update(NOW + DAY)
            .sign(self.middle_key, hashes.SHA256())
        )


@functools.cache
def world():
    """The world of all tests of this process."""
    return World()


@frozen
class Good:
    """An input that is taken."""

    make: object
    #: ``shop`` or ``mail``.
    who: str
    key: bool
    chain: bool


@frozen
class Bad:
    """An input that is refused: in which field, and which words the person needs."""

    make: object
    field: str
    words: tuple


GOOD, BAD = {}, {}


def good(who="shop", *, key=True, chain=True):
    def enter(make):
        GOOD[make.__name__] = Good(make, who, key, chain)
        return make

    return enter


def bad(field, *words):
    def enter(make):
        BAD[make.__name__] = Bad(make, field, words)
        return make

    return enter


def taken(**fields):
    """The arguments of `read_bundle`."""
    return {"leaf": "", **fields}


def usage(*allowed):
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    flags = dict.fromkeys(f"{names} crl_sign encipher_only decipher_only".split(), False)
    return x509.KeyUsage(**{**flags, **dict.fromkeys(allowed, True)})


def fingerprint(key):
    """SHA-256 over a key's public half."""
    return hashlib.sha256(public_der(key.public_key())).hexdigest()


def address(text):
    return x509.IPAddress(ipaddress.ip_address(text))


def issuers_at(url):
    where = x509.UniformResourceIdentifier(url)
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)])
