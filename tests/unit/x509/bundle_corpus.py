"""Pasted inputs, good and bad, as people bring them: each made when it is asked for, from a few keys made at the start.

`GOOD` and `BAD` name the inputs; each is a function that takes the `World` and returns the arguments of `read_bundle`.
"""

import base64
import datetime as dt
import functools
import gzip
import hashlib
import html
import ipaddress
import itertools
import json
import math
import random
import shutil
import subprocess
import tempfile
import textwrap
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from certcore.x509.der import read_values

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
        return rsa.generate_private_key(65537, 2048)

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
        general = [one if isinstance(one, x509.GeneralName) else x509.DNSName(one) for one in names]
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
        parts = [tlv(one.tag, one.content) for one in read_values(tbs.content)]
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


# --------------------------------------------------------------------------------------------------------- good: places


@good()
def apart(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.middle))


@good()
def apart_as_files(w):
    return taken(leaf=w.shop.leaf_pem.encode(), private_key=w.shop.key_pem.encode(), ca_bundle=pem(w.middle).encode())


@good()
def with_the_root(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.root) + pem(w.middle))


@good()
def full_chain_and_key(w):
    return taken(leaf=w.shop.leaf_pem + w.shop.chain_pem, private_key=w.shop.key_pem)


@good()
def all_in_one_key_first(w):
    return taken(leaf="".join(w.everything))


@good()
def all_in_one_key_in_the_middle(w):
    key, leaf, middle, root = w.everything
    return taken(leaf=root + middle + key + leaf)


@good()
def all_in_one_key_last(w):
    return taken(leaf="".join(reversed(w.everything)))


@good()
def all_in_the_key_field(w):
    return taken(private_key="".join(w.everything))


@good()
def all_in_the_chain_field(w):
    return taken(leaf=" \r\n", ca_bundle="".join(w.everything))


@good()
def leaf_and_key_swapped(w):
    return taken(leaf=w.shop.key_pem, private_key=w.shop.leaf_pem, ca_bundle=pem(w.middle))


@good()
def everything_twice(w):
    return taken(leaf="".join(w.everything * 2), private_key=w.shop.key_pem, ca_bundle="".join(w.everything))


@good()
def the_key_in_two_forms(w):
    return taken(leaf="".join(w.everything), private_key=key_pem(w.shop_key, PrivateFormat.TraditionalOpenSSL))


@good(key=False)
def without_a_key(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=w.shop.chain_pem)


@good(chain=False)
def without_a_chain(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem)


@good(key=False, chain=False)
def the_leaf_alone(w):
    return taken(leaf=w.shop.leaf_pem)


# --------------------------------------------------------------------------------------- good: what happened on the way


@good()
def windows_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\r\n"))


@good()
def old_mac_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\r"))


@good()
def no_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", ""))


@good()
def spaces_for_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", " "))


@good()
def no_final_line_end(w):
    return taken(leaf=w.shop.leaf_pem.strip(), private_key=w.shop.key_pem.strip(), ca_bundle=pem(w.middle).strip())


@good()
def no_line_end_between_blocks(w):
    return taken(leaf="".join(block.strip() for block in w.everything))


@good()
def indented(w):
    return taken(leaf=textwrap.indent("".join(w.everything), "    \t"))


@good()
def spaces_behind_each_line(w):
    return taken(leaf="".join(w.everything).replace("\n", "  \t\n"))


@good()
def blank_lines_everywhere(w):
    return taken(leaf="\n\n" + "".join(w.everything).replace("\n", "\n\n"))


@good()
def long_lines(w):
    return taken(
        leaf=f"-----BEGIN CERTIFICATE-----\n{b64(der(w.shop.leaf))}\n-----END CERTIFICATE-----",
        private_key=w.shop.key_pem,
        ca_bundle=pem(w.middle),
    )


@good()
def byte_order_mark(w):
    return taken(leaf="\ufeff" + "".join(w.everything))


@good()
def byte_order_mark_of_a_file(w):
    return taken(leaf="".join(w.everything).encode("utf-8-sig"))


@good()
def utf16_of_a_windows_editor(w):
    return taken(leaf="".join(w.everything).replace("\n", "\r\n").encode("utf-16"))


@good()
def utf16_without_a_mark(w):
    return taken(leaf="".join(w.everything).encode("utf-16-le"), private_key=w.shop.key_pem.encode("utf-16-be"))


@good()
def utf16_read_as_latin1(w):
    return taken(leaf="".join(w.everything).encode("utf-16").decode("latin-1"))


@good()
def latin1_around_it(w):
    return taken(leaf="Schlüssel für Müller\n".encode("latin-1") + "".join(w.everything).encode())


@good()
def escaped_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\\n"))


@good()
def escaped_windows_line_ends(w):
    return taken(leaf="".join(w.everything).replace("\n", "\\r\\n"))


@good()
def a_json_document(w):
    return taken(leaf=json.dumps({"cert": w.shop.leaf_pem + w.shop.chain_pem, "key": w.shop.key_pem}, indent=1))


@good()
def json_within_json(w):
    return taken(leaf=json.dumps(json.dumps({"pem": "".join(w.everything)})))


@good()
def json_of_php(w):
    return taken(leaf="".join(w.everything).translate(DOTLESS_PLUS).replace("\n", "\\n"))


@good()
def json_lines(w):
    return taken(leaf=json.dumps("".join(w.everything).splitlines()))


@good()
def html_source(w):
    return taken(leaf="<pre class='c'>" + "".join(w.everything).replace("\n", "<br />\n") + "</pre>")


@good()
def html_entities(w):
    escaped = html.escape("".join(w.everything)).replace("\n", "&#10;").replace("+", "&#x2B;").replace("=", "&equals;")
    return taken(leaf=escaped)


@good()
def quoted_mail(w):
    return taken(leaf="Hi, here it is:\n" + textwrap.indent("".join(w.everything), "> "))


@good()
def python_source(w):
    return taken(leaf="\n".join(f'    "{line}\\n"' for line in "".join(w.everything).splitlines()))


@good()
def dashes_of_a_word_processor(w):
    return taken(leaf="".join(w.everything).replace("-----", "\u2014\u2013-"))


@good()
def last_dashes_not_copied(w):
    return taken(
        leaf=w.shop.leaf_pem.rstrip("-\n"), private_key=w.shop.key_pem.rstrip("-\n") + "--", ca_bundle=pem(w.middle)
    )


@good()
def zero_width_and_no_break_spaces(w):
    return taken(leaf="".join(w.everything).replace("\n", "\u200b\n\u00a0"))


# ---------------------------------------------------------------------------------------------------- good: text around


@good()
def text_of_openssl(w):
    shown = w.openssl("x509", "-text", given=w.shop.leaf_pem)
    key = w.openssl("pkey", "-text", given=w.shop.key_pem)
    return taken(leaf=shown, private_key=key, ca_bundle=w.openssl("x509", "-text", given=pem(w.middle)))


@good()
def bag_attributes(w):
    return taken(leaf=w.openssl("pkcs12", "-nodes", "-passin", f"pass:{PASSWORD}", given=w.pkcs12("-name", "Shop")))


@good()
def comments_around_it(w):
    key, leaf, middle, root = w.everything
    return taken(leaf=f"# --- server -->\n{leaf}# 1 < 2 & 3\n---\nCA\n{middle}{root}; key:{key} end")


@good()
def output_of_s_client(w):
    text = (
        f"CONNECTED(00000003)\n---\nCertificate chain\n 0 s:CN = shop.example\n   i:CN = Corpus CA 1\n{w.shop.leaf_pem}"
    )
    return taken(
        leaf=f"{text} 1 s:CN\n{pem(w.middle)}---\nServer certificate\n{w.shop.leaf_pem}subject=\n",
        private_key=w.shop.key_pem,
    )


@good()
def a_yaml_document(w):
    return taken(leaf="tls:\n  crt: |\n" + textwrap.indent("".join(w.everything), "    "))


@good()
def a_kubernetes_secret(w):
    return taken(leaf=b64((w.shop.leaf_pem + w.shop.chain_pem).encode()), private_key=b64(w.shop.key_pem.encode()))


@good()
def metadata_of_saml(w):
    return taken(
        leaf=f"<ds:X509Certificate>\n{b64(der(w.shop.leaf))}\n</ds:X509Certificate>",
        private_key=w.shop.key_pem,
        ca_bundle=pem(w.middle),
    )


@good()
def a_request_beside_it(w):
    return taken(leaf="".join(w.everything), private_key=w.request.public_bytes(Encoding.PEM).decode() + w.shop.key_pem)


@good()
def parameters_beside_it(w):
    parameters = armour("DH PARAMETERS", tlv(0x30, integer(23), integer(5)))
    return taken(leaf=parameters + "".join(w.everything) + armour("EC PARAMETERS", tlv(6, b"\x2a")))


# --------------------------------------------------------------------------------------------------- good: certificates


@good()
def der_files(w):
    return taken(leaf=der(w.shop.leaf), private_key=key_der(w.shop_key), ca_bundle=der(w.middle))


@good()
def der_files_in_a_row(w):
    return taken(leaf=der(w.shop.leaf) + b"\r\n" + der(w.middle) + der(w.root) + b"\n", private_key=key_der(w.shop_key))


@good()
def bare_base64(w):
    return taken(leaf=b64(der(w.shop.leaf)), private_key=b64(key_der(w.shop_key)), ca_bundle=b64(der(w.middle)))


@good()
def bare_base64_in_lines(w):
    return taken(
        leaf=base64.encodebytes(der(w.shop.leaf)),
        private_key=base64.encodebytes(key_der(w.shop_key)),
        ca_bundle=base64.encodebytes(der(w.middle)),
    )


@good()
def bare_base64_without_padding(w):
    return taken(
        leaf=b64(der(w.shop.leaf)).rstrip("="), private_key=w.shop.key_pem, ca_bundle=b64(der(w.middle)).rstrip("=")
    )


@good()
def bare_base64_in_a_row(w):
    return taken(leaf="\n".join(map(b64, (der(w.shop.leaf), der(w.middle), der(w.root), key_der(w.shop_key)))))


@good()
def trusted_certificate(w):
    trusted = w.openssl("x509", "-trustout", "-addtrust", "serverAuth", "-setalias", "shop", given=w.shop.leaf_pem)
    assert b"TRUSTED" in trusted
    return taken(leaf=trusted, private_key=w.shop.key_pem, ca_bundle=pem(w.middle))


@good()
def x509_certificate(w):
    return taken(
        leaf=w.shop.leaf_pem.replace(" CERT", " X509 CERT"), private_key=w.shop.key_pem, ca_bundle=pem(w.middle)
    )


@good()
def pkcs7_pem(w):
    made = w.openssl("crl2pkcs7", "-nocrl", "-certfile", "{all}", all=w.shop.leaf_pem + pem(w.middle) + pem(w.root))
    return taken(leaf=made, private_key=w.shop.key_pem)


@good()
def pkcs7_der(w):
    made = pkcs7.serialize_certificates([w.root, w.shop.leaf, w.middle], Encoding.DER)
    return taken(leaf=made, private_key=w.shop.key_pem)


@good()
def pkcs7_of_indefinite_length(w):
    made = pkcs7.serialize_certificates([w.root, w.shop.leaf, w.middle], Encoding.DER)
    return taken(leaf=indefinite(made), private_key=w.shop.key_pem)


@good()
def pkcs7_beside_the_leaf(w):
    return taken(
        leaf=w.shop.leaf_pem,
        private_key=w.shop.key_pem,
        ca_bundle=pkcs7.serialize_certificates([w.middle, w.root], Encoding.DER),
    )


@good()
def pkcs7_with_certificate_lines(w):
    made = pkcs7.serialize_certificates([w.shop.leaf, w.middle], Encoding.DER)
    return taken(leaf=armour("CERTIFICATE", made), private_key=w.shop.key_pem)


# -------------------------------------------------------------------------------------------------------- good: PKCS#12


@good()
def pkcs12_file(w):
    return taken(leaf=w.pkcs12(), password=PASSWORD)


@good()
def pkcs12_file_in_the_key_field(w):
    return taken(private_key=w.pkcs12(), password=PASSWORD.encode())


@good()
def pkcs12_base64(w):
    return taken(leaf=base64.encodebytes(w.pkcs12()).decode(), password=PASSWORD)


@good()
def pkcs12_with_certificate_lines(w):
    return taken(leaf=armour("CERTIFICATE", w.pkcs12()), password=PASSWORD)


@good()
def pkcs12_of_old_windows(w):
    return taken(leaf=w.pkcs12("-legacy"), password=PASSWORD)


@good()
def pkcs12_triple_des(w):
    return taken(leaf=w.pkcs12("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES"), password=PASSWORD)


@good()
def pkcs12_without_a_mac(w):
    return taken(leaf=w.pkcs12("-nomac"), password=PASSWORD)


@good()
def pkcs12_with_an_empty_password(w):
    return taken(leaf=w.pkcs12(password=""))


@good()
def pkcs12_with_a_password_that_is_not_needed(w):
    return taken(leaf=w.pkcs12(password=""), password=PASSWORD)


@good()
def pkcs12_without_encryption(w):
    others = [w.middle, w.root]
    return taken(leaf=pkcs12.serialize_key_and_certificates(b"n", w.shop_key, w.shop.leaf, others, NoEncryption()))


@good()
def pkcs12_with_a_name(w):
    return taken(leaf=w.pkcs12("-name", "Shop", "-caname", "One"), password=PASSWORD)


@good()
def pkcs12_of_indefinite_length(w):
    return taken(leaf=indefinite(w.pkcs12()), password=PASSWORD)


@good()
def pkcs12_with_its_contents_in_pieces(w):
    (store,) = read_values(w.pkcs12())
    version, safe, mac = read_values(store.content)
    kind, wrapped = read_values(safe.content)
    (octets,) = read_values(wrapped.content)
    pieces = [tlv(4, octets.content[at : at + 200]) for at in range(0, len(octets.content), 200)]
    contents = b"\x24\x80" + b"".join(pieces) + b"\0\0"
    safe = b"\x30\x80" + tlv(kind.tag, kind.content) + b"\xa0\x80" + contents + b"\0\0\0\0"
    made = b"\x30\x80" + tlv(version.tag, version.content) + safe + tlv(mac.tag, mac.content) + b"\0\0"
    return taken(leaf=made, password=PASSWORD)


@good()
def pkcs12_with_as_many_rounds_as_are_advised(w):
    return taken(leaf=w.pkcs12("-iter", "600000"), password=PASSWORD)


@good()
def pkcs12_with_its_salt_in_pieces(w):
    return taken(leaf=_store_with_mac(w, salt=in_pieces), password=PASSWORD)


def _store_with_mac(w, *, salt=lambda octets: tlv(4, octets), rounds=2048):
    """A PKCS#12 file whose MAC (RFC 7292 section 4) is made by hand."""
    (store,) = read_values(w.pkcs12())
    version, safe, mac = (tlv(one.tag, one.content) for one in read_values(store.content))
    digest, octets, _ = read_values(read_values(mac)[0].content)
    return tlv(0x30, version, safe, tlv(0x30, tlv(0x30, digest.content), salt(octets.content), integer(rounds)))


@good()
def buffers(w):
    return taken(leaf=bytearray(der(w.shop.leaf)), private_key=memoryview(key_der(w.shop_key)), ca_bundle=pem(w.middle))


@good()
def pkcs12_of_the_leaf_and_a_chain_apart(w):
    locked = BestAvailableEncryption(PASSWORD.encode())
    made = pkcs12.serialize_key_and_certificates(None, w.shop_key, w.shop.leaf, None, locked)
    return taken(leaf=made, ca_bundle=pem(w.middle), password=PASSWORD)


# ----------------------------------------------------------------------------------------------------------- good: keys


def _with_key(w, key, who="shop", **more):
    one = getattr(w, who)
    return taken(leaf=one.leaf_pem, private_key=key, ca_bundle=one.chain_pem, **more)


@good()
def sec1(w):
    return _with_key(w, key_pem(w.shop_key, PrivateFormat.TraditionalOpenSSL))


@good()
def sec1_der(w):
    return _with_key(w, key_der(w.shop_key, PrivateFormat.TraditionalOpenSSL))


@good()
def sec1_without_the_public_key(w):
    return _with_key(w, w.openssl("ec", "-no_public", "-outform", "DER", given=w.shop.key_pem))


@good()
def sec1_with_parameters(w):
    parameters = w.openssl("ecparam", "-name", "prime256v1")
    assert b"EC PARAMETERS" in parameters
    return _with_key(w, parameters + key_pem(w.shop_key, PrivateFormat.TraditionalOpenSSL).encode())


@good()
def sec1_with_the_curve_spelt_out(w):
    return _with_key(w, w.openssl("ec", "-param_enc", "explicit", given=w.shop.key_pem))


@good()
def encrypted_pkcs8(w):
    return _with_key(w, key_pem(w.shop_key, encryption=BestAvailableEncryption(PASSWORD.encode())), password=PASSWORD)


@good()
def encrypted_pkcs8_der(w):
    arguments = ("pkcs8", "-topk8", "-outform", "DER", "-passout", f"pass:{PASSWORD}")
    return _with_key(w, w.openssl(*arguments, given=w.shop.key_pem), password=PASSWORD)


@good()
def encrypted_pkcs8_scrypt(w):
    made = w.openssl("pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{PASSWORD}", given=w.shop.key_pem)
    return _with_key(w, made, password=PASSWORD)


@good()
def encrypted_sec1(w):
    made = w.openssl("ec", "-aes256", "-passout", f"pass:{PASSWORD}", given=w.shop.key_pem)
    assert b"Proc-Type" in made
    return _with_key(w, made, password=PASSWORD)


@good("mail")
def pkcs8_rsa(w):
    return _with_key(w, w.mail.key_pem, "mail")


@good("mail")
def pkcs1(w):
    return _with_key(w, key_pem(w.rsa_key, PrivateFormat.TraditionalOpenSSL), "mail")


@good("mail")
def pkcs1_der(w):
    return _with_key(w, key_der(w.rsa_key, PrivateFormat.TraditionalOpenSSL), "mail")


def _old_key(w, cipher):
    made = w.openssl("rsa", cipher, "-traditional", "-passout", f"pass:{PASSWORD}", given=w.mail.key_pem)
    assert b"DEK-Info" in made
    return made.decode()


@good("mail")
def encrypted_pkcs1_aes(w):
    return _with_key(w, _old_key(w, "-aes128"), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_triple_des(w):
    return _with_key(w, _old_key(w, "-des3"), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_in_one_line(w):
    return _with_key(w, _old_key(w, "-aes256").replace("\n", " "), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_without_line_ends(w):
    return _with_key(w, _old_key(w, "-des3").replace("\n", ""), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_in_json(w):
    return _with_key(w, json.dumps(_old_key(w, "-aes256")), "mail", password=PASSWORD)


@good("mail")
def pkcs12_rsa(w):
    return taken(leaf=w.pkcs12("-legacy", who=w.mail), password=PASSWORD)


# ---------------------------------------------------------------------------------------------------- bad: other things


@bad("leaf", "a certificate is needed")
def nothing(w):
    return taken(leaf="")


@bad("leaf", "neither a certificate nor a private key", "BEGIN and END lines")
def a_sentence(w):
    return taken(leaf="my certificate")


@bad("ca_bundle", "neither a certificate nor a private key")
def a_sentence_for_a_chain(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle="see attachment")


@bad("leaf", "certificate signing request", "not a certificate", "A CA makes a certificate from it")
def a_request(w):
    return taken(leaf=w.request.public_bytes(Encoding.PEM), private_key=w.shop.key_pem)


@bad("leaf", "certificate signing request")
def a_request_in_der(w):
    return taken(leaf=w.request.public_bytes(Encoding.DER), private_key=w.shop.key_pem)


@bad("leaf", "certificate signing request")
def a_request_with_certificate_lines(w):
    return taken(leaf=armour("CERTIFICATE", w.request.public_bytes(Encoding.DER)), private_key=w.shop.key_pem)


@bad("private_key", "certificate signing request", "not a private key")
def a_request_for_a_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.request.public_bytes(Encoding.PEM))


@bad("leaf", "a public key", "part of the certificate")
def a_public_key(w):
    return taken(leaf=w.shop_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@bad("private_key", "a public key", "not a private key")
def a_public_key_for_a_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=public_der(w.shop_key.public_key()))


@bad("private_key", "a public key")
def a_pkcs1_public_key(w):
    return taken(
        leaf=w.shop.leaf_pem, private_key=w.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    )


@bad("private_key", "an SSH key", "not a private key")
def an_openssh_private_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=key_pem(w.other_key, PrivateFormat.OpenSSH))


@bad("leaf", "an SSH key")
def an_ssh_public_key(w):
    return taken(leaf=w.shop_key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" me@host")


@bad("private_key", "an SSH key")
def a_putty_key(w):
    return taken(
        leaf=w.shop.leaf_pem, private_key="PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nPrivate-Lines: 14\nAAAA"
    )


@bad("private_key", "a PGP key")
def a_pgp_key(w):
    text = armour("PGP PRIVATE KEY BLOCK", b"x" * 90).replace("-----\n", "-----\nVersion: 1\n\n", 1)
    return taken(leaf=w.shop.leaf_pem, private_key=text)


@bad("ca_bundle", "certificate revocation list", "Leave it out")
def a_revocation_list(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=w.revocations.public_bytes(Encoding.PEM))


@bad("ca_bundle", "certificate revocation list")
def a_revocation_list_in_der(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=w.revocations.public_bytes(Encoding.DER))


@bad("leaf", "Java key store", "keytool")
def a_java_key_store(w):
    return taken(leaf=bytes.fromhex("feedfeed0000000200000001") + bytes(200))


@bad("leaf", "an archive", "Unpack")
def a_zip_archive(w):
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("shop.crt", w.shop.leaf_pem)
    return taken(leaf=made.getvalue(), private_key=w.shop.key_pem)


@bad("leaf", "an archive")
def a_gzip_file(w):
    return taken(leaf=gzip.compress(w.shop.leaf_pem.encode()))


@bad("leaf", "a web page", "logged in")
def a_web_page(w):
    return taken(leaf="<!DOCTYPE html><html><head><title>Log in</title></head></html>")


@bad("leaf", "binary file that was read as text")
def a_binary_file_as_text(w):
    return taken(leaf=der(w.shop.leaf).decode("latin-1"))


@bad("leaf", "longer than 256 KiB")
def too_long(w):
    return taken(leaf=w.shop.leaf_pem + "\n" * 300_000)


@bad("private_key", "longer than 256 KiB")
def too_long_a_file(w):
    return taken(leaf=w.shop.leaf_pem, private_key=bytes(300_000))


@bad("leaf", "must be text or the bytes of a file")
def neither_text_nor_bytes(w):
    return taken(leaf=7)


@bad("password", "must be text or bytes")
def a_password_of_another_type(w):
    return taken(leaf=w.shop.leaf_pem, password=1234)


# ------------------------------------------------------------------------------------------------- bad: what is missing


@bad("leaf", "private key here, but no certificate", "Paste the certificate")
def a_key_for_a_leaf(w):
    return taken(leaf=w.shop.key_pem)


@bad("leaf", "a certificate is needed", "only a private key")
def a_key_only(w):
    return taken(private_key=w.shop.key_pem)


@bad("private_key", "a certificate here, but no private key", "PRIVATE KEY")
def a_certificate_for_a_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=pem(w.middle))


@bad("leaf", "only CA certificates", "Corpus CA 1", "issued for the server's name")
def cas_only(w):
    return taken(leaf=pem(w.middle) + pem(w.root), private_key=w.shop.key_pem)


@bad("leaf", "only CA certificates", "Corpus Root")
def a_root_only(w):
    return taken(ca_bundle=pem(w.root))


@bad("leaf", "2 leaves", "CN=shop.example", "CN=old.example", "private key belongs to CN=shop.example", "Leave out")
def two_leaves(w):
    old = w.issue("old.example", w.other_key)
    return taken(leaf=w.shop.leaf_pem + pem(old), private_key=w.shop.key_pem, ca_bundle=pem(w.middle))


@bad("ca_bundle", "2 leaves", "ends on 2027-02-21", "ends on 2026-11-28")
def the_leaf_and_its_renewal(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.issue(end=5 * DAY)))


@bad("leaf", "no DNS name and no IP address", "common name")
def no_names(w):
    return taken(leaf=pem(w.issue("shop.example", names=())), ca_bundle=pem(w.middle))


@bad("leaf", "no DNS name and no IP address")
def version_1(w):
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: parts[1:7]))


@bad("leaf", "no DNS name and no IP address")
def mail_addresses_only(w):
    names = [x509.RFC822Name("shop@shop.example"), x509.UniformResourceIdentifier("https://shop.example")]
    return taken(leaf=pem(w.issue("shop.example", names=names)), ca_bundle=pem(w.middle))


@bad("leaf", "none of its names can be used", "my_host.example", "localhost")
def unusable_names(w):
    return taken(leaf=pem(w.issue("", names=["my_host.example", "localhost"])), ca_bundle=pem(w.middle))


# ------------------------------------------------------------------------------------------------- bad: what is damaged


@bad("leaf", "END line is missing", "Copy the whole block")
def cut_off(w):
    return taken(leaf=w.shop.leaf_pem[:-200])


@bad("leaf", "a certificate", "stands without its BEGIN line")
def without_a_begin_line(w):
    return taken(leaf=w.shop.leaf_pem.partition("\n")[2])


@bad("private_key", "begins as a private key and ends as a certificate")
def two_halves(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem[:100] + w.shop.leaf_pem[-100:])


@bad("private_key", "private key", "END line is missing")
def two_beginnings(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem[:100] + w.shop.key_pem)


@bad("leaf", "certificate number 1 is cut off", "bytes of it are here")
def lines_missing(w):
    lines = w.shop.leaf_pem.splitlines()
    return taken(leaf="\n".join(lines[:4] + lines[6:]))


@bad("ca_bundle", "certificate number 2 is cut off")
def a_character_missing(w):
    middle = pem(w.middle)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(w.root) + middle[:200] + middle[201:])


@bad("leaf", "certificate number 1", "no base64")
def foreign_characters(w):
    return taken(leaf=w.shop.leaf_pem[:300] + "*~*" + w.shop.leaf_pem[303:])


@bad("leaf", "certificate number 1 is empty")
def empty_block(w):
    return taken(leaf="-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----")


@bad("leaf", "bytes too many", "run into each other")
def blocks_run_together(w):
    both = b64(der(w.shop.leaf) + der(w.middle))
    return taken(leaf=f"-----BEGIN CERTIFICATE-----\n{both}\n-----END CERTIFICATE-----")


@bad("leaf", "certificate number 1 cannot be read", "damaged")
def broken_contents(w):
    data = bytearray(der(w.shop.leaf))
    data[60:80] = bytes(20)
    return taken(leaf=armour("CERTIFICATE", bytes(data)))


@bad("leaf", "signature that is cut off")
def unused_bits(w):
    leaf = next(one for one in (w.issue() for _ in range(1000)) if one.signature[-1] % 2 == 0)
    data = bytearray(der(leaf))
    data[len(data) - len(leaf.signature) - 1] = 1
    return taken(leaf=bytes(data))


@bad("leaf", "DER value number 1 is cut off")
def a_file_cut_off(w):
    return taken(leaf=der(w.shop.leaf)[:-30])


@bad("leaf", "DER value number 2 cannot be read")
def a_file_of_something_else(w):
    return taken(leaf=der(w.shop.leaf) + tlv(0x30, integer(1)))


@bad("private_key", "private key number 1 cannot be read")
def a_key_of_zeros(w):
    return _with_key(w, armour("PRIVATE KEY", key_der(w.shop_key)[:40].ljust(len(key_der(w.shop_key)), b"\0")))


@bad("private_key", "numbers do not fit together", "damaged")
def a_key_whose_numbers_are_wrong(w):
    n = w.rsa_key.private_numbers()
    numbers = (0, n.public_numbers.n, n.public_numbers.e, n.d + 2, n.p, n.q, n.dmp1, n.dmq1, n.iqmp)
    return _with_key(w, tlv(0x30, *map(integer, numbers)), "mail")


@bad("private_key", "cannot be read")
def a_key_with_another_public_key(w):
    mine, other = (key_der(key, PrivateFormat.TraditionalOpenSSL) for key in (w.shop_key, w.other_key))
    return _with_key(w, mine[:40] + other[40:])


@bad("private_key", "longer than CAs take")
def an_enormous_key(w):
    return _with_key(w, tlv(0x30, *[integer(1 << 16000)] * 9))


@bad("private_key", "a private key cannot be read")
def a_key_of_ed25519_cut_short(w):
    key = key_der(ed25519.Ed25519PrivateKey.generate())
    return _with_key(w, tlv(0x30, key[2:12], tlv(4, tlv(4, bytes(7)))))


@bad("private_key", "more than 5 private keys")
def one_key_encrypted_often(w):
    locked = BestAvailableEncryption(PASSWORD.encode())
    return _with_key(w, "".join(key_pem(w.shop_key, encryption=locked) for _ in range(6)), password=PASSWORD)


@bad("private_key", "more than the 2000000 rounds")
def many_rounds_in_all(w):
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050c")), tlv(0x30, tlv(4, b"salt"), integer(3_000_000)))
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, tlv(0x30)))
    return _with_key(w, b"".join(tlv(0x30, scheme, tlv(4, bytes([n] * 64))) for n in (1, 2)), password=PASSWORD)


@bad("ca_bundle", "a PKCS#7 bundle cannot be read")
def pkcs7_damaged(w):
    made = pkcs7.serialize_certificates([w.middle], Encoding.DER)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=made.replace(der(w.middle)[20:40], bytes(20)))


@bad("ca_bundle", "a PKCS#7 bundle holds no certificates")
def pkcs7_without_certificates(w):
    empty = tlv(0x30, integer(1), tlv(0x31), tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010701"))), tlv(0x31))
    return taken(
        leaf=w.shop.leaf_pem, ca_bundle=tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")), tlv(0xA0, empty))
    )


@bad("leaf", "a PKCS#12 file cannot be opened", "damaged")
def pkcs12_damaged(w):
    return taken(leaf=tlv(0x30, integer(3), tlv(0x30)), password=PASSWORD)


@bad("leaf", "a PKCS#12 file is empty")
def pkcs12_empty(w):
    contents = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010701")), tlv(0xA0, tlv(4, tlv(0x30))))
    return taken(leaf=tlv(0x30, integer(3), contents))


# ------------------------------------------------------------------------------------------------------- bad: passwords


@bad("password", "is needed to open private key number 1 in private_key")
def encrypted_pkcs8_without_a_password(w):
    return _with_key(w, key_pem(w.shop_key, encryption=BestAvailableEncryption(PASSWORD.encode())))


@bad("password", "does not open private key number 1 in private_key", "capital letters")
def encrypted_pkcs8_with_a_wrong_password(w):
    return {**encrypted_pkcs8(w), "password": "wrong"}


@bad("password", "is needed")
def encrypted_pkcs1_with_an_empty_password(w):
    return {**encrypted_pkcs1_aes(w), "password": ""}


@bad("password", "does not open", "private_key")
def encrypted_pkcs1_with_a_wrong_password(w):
    return {**encrypted_pkcs1_triple_des(w), "password": b"wrong"}


@bad("password", "is needed to open a PKCS#12 file in leaf")
def pkcs12_without_a_password(w):
    return {**pkcs12_file(w), "password": None}


@bad("password", "does not open a PKCS#12 file in leaf")
def pkcs12_with_a_wrong_password(w):
    return {**pkcs12_of_old_windows(w), "password": PASSWORD.upper()}


@bad("password", "longer than 1000 characters")
def a_password_longer_than_any(w):
    return {**pkcs12_file(w), "password": "x" * 5000}


@bad("password", "NUL")
def a_password_with_nul(w):
    return {**pkcs12_file(w), "password": "x\0y"}


@bad("private_key", "cannot be opened", "encrypted in a way that is not known", "pkcs8 -topk8")
def encrypted_with_an_old_cipher(w):
    return _with_key(w, _old_key(w, "-aes128").replace("AES-128-CBC", "DES-CBC"), "mail", password=PASSWORD)


@bad("private_key", "cannot be opened", "encrypted in a way that is not known")
def encrypted_with_camellia(w):
    arguments = ("pkcs8", "-topk8", "-v2", "camellia-128-cbc", "-passout", f"pass:{PASSWORD}")
    return _with_key(w, w.openssl(*arguments, given=w.shop.key_pem), password=PASSWORD)


@bad("private_key", "headers of private key number 1 are damaged")
def damaged_headers(w):
    return _with_key(w, _old_key(w, "-aes128").replace("AES-128-CBC,", "AES-128-CBC,x"), "mail", password=PASSWORD)


@bad("private_key", "more than the 2000000 rounds")
def too_many_rounds(w):
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050c")), tlv(0x30, tlv(4, b"salt"), integer(10**9)))
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, tlv(0x30)))
    return _with_key(w, tlv(0x30, scheme, tlv(4, bytes(64))), password=PASSWORD)


@bad("private_key", "more than the 2000000 rounds")
def too_much_memory(w):
    parameters = tlv(0x30, tlv(4, b"salt"), integer(2**20), integer(8), integer(1))
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2b06010401da47040b")), parameters)
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, tlv(0x30)))
    return _with_key(w, tlv(0x30, scheme, tlv(4, bytes(64))), password=PASSWORD)


@bad("leaf", "more than the 2000000 rounds")
def too_many_rounds_of_pkcs12(w):
    return taken(leaf=_dear_store(w), password=PASSWORD)


@bad("leaf", "more than the 2000000 rounds")
def too_many_rounds_behind_a_salt_in_pieces(w):
    return taken(leaf=_store_with_mac(w, salt=in_pieces, rounds=20_000_000), password=PASSWORD)


@bad("leaf", "more than the 1000000 rounds")
def too_many_rounds_for_no_password(w):
    return taken(leaf=_store_with_mac(w, rounds=3_000_000))


@bad("password", "does not open a PKCS#12 file in leaf")
def too_many_rounds_to_try_without_the_password_as_well(w):
    return taken(leaf=w.pkcs12("-iter", "650000", password=""), password=PASSWORD)


@bad("leaf", "more than the 2000000 rounds")
def too_many_rounds_inside(w):
    return taken(leaf=_bag_of_a_key(integer(20_000_000)), password=PASSWORD)


@bad("leaf", "a PKCS#12 file cannot be read")
def rounds_that_cannot_be_read(w):
    return taken(leaf=_bag_of_a_key(b"\x1f\x02" + integer(20_000_000)[1:]), password=PASSWORD)


def _bag_of_a_key(rounds):
    """A PKCS#12 file without a MAC, with a key whose salt is in pieces and whose rounds are in octets in octets."""
    data = tlv(6, bytes.fromhex("2a864886f70d010701"))
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050c")), tlv(0x30, in_pieces(bytes(16)), rounds))
    cipher = tlv(0x30, tlv(6, bytes.fromhex("60864801650304012a")), tlv(4, bytes(16)))
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, cipher))
    locked = tlv(0x30, scheme, tlv(4, bytes([7] * 160)))
    bags = tlv(0x30, tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010c0a0102")), tlv(0xA0, locked)))
    safes = tlv(0x30, tlv(0x30, data, tlv(0xA0, in_pieces(bags))))
    return tlv(0x30, integer(3), tlv(0x30, data, tlv(0xA0, tlv(4, safes))))


def _dear_store(w):
    """A PKCS#12 file whose MAC asks for a billion rounds."""
    return _store_with_mac(w, rounds=10**9)


# ------------------------------------------------------------------------------------------------------- bad: belonging


@bad("private_key", "does not belong to the leaf, CN=shop.example", "no certificate here", "reissued")
def the_key_of_nothing(w):
    return _with_key(w, key_pem(w.other_key))


@bad("private_key", "does not belong to the leaf", "it belongs to CN=Corpus CA 1")
def the_key_of_the_ca(w):
    return _with_key(w, key_pem(w.middle_key))


@bad("private_key", "does not belong to the leaf", "it belongs to no certificate here")
def a_key_of_another_kind(w):
    return _with_key(w, w.mail.key_pem)


@bad("leaf", "does not belong to the leaf, CN=shop.example")
def the_wrong_key_in_one_file(w):
    return taken(leaf=w.shop.leaf_pem + key_pem(w.other_key) + pem(w.middle))


@bad("private_key", "2 private keys", "one of them belongs to the leaf", "Give the leaf's key alone")
def two_keys(w):
    return _with_key(w, w.shop.key_pem + key_pem(w.other_key))


@bad("private_key", "2 private keys", "none of them belongs to the leaf")
def two_wrong_keys(w):
    return _with_key(w, key_pem(w.middle_key) + key_pem(w.other_key))


@bad("private_key", "more than 5 private keys")
def many_keys(w):
    return _with_key(w, "".join(key_pem(ec.generate_private_key(ec.SECP256R1())) for _ in range(6)))


@bad("ca_bundle", "gap", "CN=shop.example was issued by CN=Corpus CA 1, which is not here", "CN=Corpus Root")
def the_intermediate_missing(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.root))


@bad("ca_bundle", "no part of the leaf's chain: CN=Strange Root", "Leave that out")
def a_strange_certificate_beside_the_chain(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(w.middle) + pem(w.root) + pem(w.stranger))


@bad("ca_bundle", "gap", "CN=Corpus CA 1 was issued by CN=Corpus Root, which is not here", "CN=Strange Root")
def a_strange_root(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(w.middle) + pem(w.stranger))


@bad("ca_bundle", "gap", "CN=Corpus CA 1 has the name of the issuer of CN=shop.example, but did not sign it")
def an_intermediate_with_another_key(w):
    other = w.certify("Corpus CA 1", w.other_key, issuer=(w.root, w.root_key), ca=True)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(other) + pem(w.root))


@bad("ca_bundle", "no part of the leaf's chain")
def a_chain_beside_a_self_signed_leaf(w):
    return taken(leaf=pem(w.certify("shop.example", w.shop_key, names=["shop.example"])), ca_bundle=pem(w.middle))


@bad("ca_bundle", "more than 20 certificates")
def a_whole_store(w):
    many = [w.certify(f"Root {number}", w.other_key, ca=True) for number in range(21)]
    return taken(leaf=w.shop.leaf_pem, ca_bundle="".join(map(pem, many)))


# ------------------------------------------------------------------------------------------ bad: what no server can use


def _leaf(w, leaf):
    return taken(leaf=pem(leaf), ca_bundle=pem(w.middle))


def _time(moment):
    return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


@bad("leaf", "ends before it begins")
def dates_reversed(w):
    def change(parts):
        return [*parts[:4], tlv(0x30, _time(NOW), _time(NOW - DAY)), *parts[5:]]

    return _leaf(w, w.resigned(w.shop.leaf, change=change))


@bad("leaf", "does not name TLS servers (serverAuth)")
def for_clients_only(w):
    return _leaf(w, w.issue(purposes=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])))


def usage(*allowed):
    names = "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign"
    flags = dict.fromkeys(f"{names} crl_sign encipher_only decipher_only".split(), False)
    return x509.KeyUsage(**{**flags, **dict.fromkeys(allowed, True)})


@bad("leaf", "allows no signatures (digitalSignature)")
def no_signatures(w):
    return _leaf(w, w.issue(extensions=[(usage("key_agreement"), True)]))


@bad("leaf", "precertificate")
def a_precertificate(w):
    return _leaf(w, w.issue(extensions=[(x509.PrecertPoison(), True)]))


@bad("leaf", "only CA certificates", "CN=shop.example")
def a_leaf_that_is_a_ca(w):
    return _leaf(w, w.issue(ca=True))


@bad("leaf", "serial number is longer than the 20 bytes")
def a_long_serial_number(w):
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: [parts[0], integer(1 << 20_000), *parts[2:]]))


@bad("leaf", "serial number is not a positive number")
def a_serial_number_of_zero(w):
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: [parts[0], integer(0), *parts[2:]]))


@bad("leaf", "signed over SHA-1", "reissued")
def sha1(w):
    return _leaf(w, w.resigned(w.shop.leaf, algorithm="ecdsa-sha1"))


@bad("leaf", "signed over MD5")
def md5(w):
    return _leaf(w, w.resigned(w.shop.leaf, algorithm="rsa-md5", key=w.rsa_key))


@bad("ca_bundle", "CN=Corpus CA 1 is signed over MD5")
def md5_in_the_chain(w):
    root = w.certify("Corpus Root", w.rsa_key, ca=True)
    middle = w.resigned(w.middle, algorithm="rsa-md5", key=w.rsa_key)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(middle) + pem(root))


@bad("leaf", "RSA key has 1024 bits", "at least 2048", "new key")
def rsa_1024(w):
    return _leaf(w, w.with_numbers(w.coprime(1024)))


@bad("leaf", "RSA key has 16384 bits", "at most 8192")
def rsa_16384(w):
    return _leaf(w, w.with_numbers(w.coprime(16384)))


@bad("leaf", "public key cannot be used", "exponent is 1 or even")
def exponent_1(w):
    return _leaf(w, w.with_numbers(w.modulus, 1))


@bad("leaf", "public key cannot be used", "exponent is 1 or even")
def exponent_even(w):
    return _leaf(w, w.with_numbers(w.modulus, 65536))


@bad("leaf", "public exponent of more than 256 bits")
def exponent_long(w):
    return _leaf(w, w.with_numbers(w.modulus, (1 << 300) + 1))


@bad("leaf", "small factor")
def small_factor(w):
    return _leaf(w, w.with_numbers(733 * w.coprime(2040)))


@bad("leaf", "too close together")
def close_primes(w):
    first = w.coprime(1024)
    return _leaf(w, w.with_numbers(first * w.coprime(1024, start=first + 2)))


@bad("leaf", "too close together")
def equal_primes(w):
    return _leaf(w, w.with_numbers(w.coprime(1024) ** 2))


@bad("leaf", "ROCA")
def roca(w):
    primes = [number for number in range(2, 702) if all(number % one for one in range(2, number))]
    product = math.prod(primes)
    power = pow(65537, w.random.getrandbits(100), product)
    start = (1 << 2047) // product + w.random.getrandbits(100)
    factors = [number for number in range(702, 760) if all(number % one for one in range(2, number))]
    found = next(
        n for k in itertools.count(start) if all((n := k * product + power) % one for one in factors) and n % 2
    )
    return _leaf(w, w.with_numbers(found))


@bad("leaf", "curve secp256k1", "no CA takes")
def secp256k1(w):
    return _leaf(w, w.issue(key=ec.generate_private_key(ec.SECP256K1())))


@bad("leaf", "curve brainpoolP256r1")
def brainpool(w):
    return _leaf(w, w.issue(key=ec.generate_private_key(ec.BrainpoolP256R1())))


@bad("leaf", "curve secp224r1")
def p224(w):
    return _leaf(w, w.issue(key=ec.generate_private_key(ec.SECP224R1())))


@bad("leaf", "kind or on a curve that CAs do not take")
def a_binary_curve(w):
    key = w.openssl("ecparam", "-name", "sect283k1", "-genkey", "-noout")
    arguments = (
        "req",
        "-x509",
        "-key",
        "{key}",
        "-subj",
        "/CN=shop.example",
        "-addext",
        "subjectAltName=DNS:shop.example",
    )
    return taken(leaf=w.openssl(*arguments, key=key))


@bad("leaf", "public key is written in an unusual way")
def the_curve_spelt_out(w):
    key = w.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit")
    arguments = (
        "req",
        "-x509",
        "-key",
        "{key}",
        "-subj",
        "/CN=shop.example",
        "-addext",
        "subjectAltName=DNS:shop.example",
    )
    return taken(leaf=w.openssl(*arguments, key=key), private_key=key)


@bad("leaf", "public key is written in an unusual way")
def rsa_pss(w):
    key = w.openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")
    arguments = (
        "req",
        "-x509",
        "-key",
        "{key}",
        "-subj",
        "/CN=shop.example",
        "-addext",
        "subjectAltName=DNS:shop.example",
    )
    return taken(leaf=w.openssl(*arguments, key=key), private_key=key)


@bad("leaf", "Ed25519", "browsers and public CAs do not take")
def ed25519_leaf(w):
    key = ed25519.Ed25519PrivateKey.generate()
    return {**_leaf(w, w.issue(key=key)), "private_key": key_pem(key)}


@bad("leaf", "not one that can sign")
def x25519_leaf(w):
    algorithm = tlv(0x30, tlv(6, bytes.fromhex("2b656e")))
    spki = tlv(0x30, algorithm, tlv(3, b"\0" + bytes(31) + b"\x09"))
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: [*parts[:6], spki, *parts[7:]]))


@bad("leaf", "DSA key")
def dsa_leaf(w):
    return _leaf(w, w.issue(key=dsa.generate_private_key(1024)))


@bad("private_key", "does not belong to the leaf")
def an_ed25519_key_for_another_leaf(w):
    return _with_key(w, key_pem(ed25519.Ed25519PrivateKey.generate()))


@bad("private_key", "of a kind or on a curve that CAs do not take")
def a_key_on_a_binary_curve(w):
    return _with_key(w, w.openssl("ecparam", "-name", "sect283k1", "-genkey", "-noout"))


def fingerprint(key):
    """SHA-256 over a key's public half."""
    return hashlib.sha256(public_der(key.public_key())).hexdigest()


def address(text):
    return x509.IPAddress(ipaddress.ip_address(text))


def issuers_at(url):
    where = x509.UniformResourceIdentifier(url)
    return x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)])
