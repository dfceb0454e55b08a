"""Certificates and account keys for folders of other ACME clients, in the forms that those clients write."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define, field
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certcore.testing.local_ca import LittleAuthority
from support.keys import rsa_key

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@define
class Issued:
    """A leaf with its key."""

    key: object
    leaf: str
    chain: str

    @property
    def key_pem(self):
        """As OpenSSL and Go write it: EC PRIVATE KEY, or RSA PRIVATE KEY."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()

    @property
    def pkcs8(self):
        """As it comes out of a bundle."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@define
class World:
    """A CA, and what it issued."""

    now: datetime = NOW
    ca: LittleAuthority = field(factory=lambda: LittleAuthority(NOW))
    #: One is enough: they take a while to make.
    rsa_key: object = field(factory=rsa_key)

    def issue(self, *names, age=10, days=90, key=None):
        """A certificate that is `age` days old, and was made for `days` days."""
        key = key or self.ec_key()
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in names or ["shop.test"]])
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, False)
        csr = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        at = self.now - timedelta(days=age)
        pem = self.ca.issue(csr, now=at, lifetime=timedelta(days=days))
        end = pem.index("-----END") + len("-----END CERTIFICATE-----\n")
        return Issued(key, pem[:end], pem[end:])

    @staticmethod
    def ec_key(curve=None):
        return ec.generate_private_key(curve or ec.SECP256R1())

    @staticmethod
    def pem(key, form=PrivateFormat.TraditionalOpenSSL):
        return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()

    @staticmethod
    def pkcs8(key):
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @staticmethod
    def jwk(key):
        """The private key as RFC 7517 writes it."""

        def b64(number, size=None):
            data = number.to_bytes(size or (number.bit_length() + 7) // 8)
            return urlsafe_b64encode(data).rstrip(b"=").decode()

        numbers = key.private_numbers()
        if isinstance(key, ec.EllipticCurvePrivateKey):
            size = (key.key_size + 7) // 8
            public = numbers.public_numbers
            members = {"kty": "EC", "crv": f"P-{key.key_size}", "x": b64(public.x, size), "y": b64(public.y, size)}
            return {**members, "d": b64(numbers.private_value, size)}
        public = numbers.public_numbers
        members = {"n": public.n, "e": public.e, "d": numbers.d, "p": numbers.p, "q": numbers.q}
        members |= {"dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        return {"kty": "RSA", **{name: b64(number) for name, number in members.items()}}


@pytest.fixture(scope="session")
def world():
    """One CA for all tests of this folder."""
    return World()


@pytest.fixture
def write(tmp_path):
    """Writes files below the folder of the test: text, bytes, or a JSON document."""

    def write(path, content):
        place = tmp_path / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    return write
