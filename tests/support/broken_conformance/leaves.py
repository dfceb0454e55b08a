"""Modules whose leaves cannot be taken."""

import hashlib
from datetime import timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certcore.plugin import (
    Failed,
    Problem,
    Retry,
)
from certcore.testing import LittleAuthority
from support.broken_conformance.table import breaks
from support.conformant_ca import AUTHORITY, NOW, ConformantCA


@cache
def _other_authority():
    return LittleAuthority(NOW)


@cache
def _key():
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _ca_name():
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Conformant CA that signs by itself")])


def _signed(work, *, serial=None, usage=ExtendedKeyUsageOID.SERVER_AUTH, ca=False):
    """A leaf of another CA, which is sloppy where it is told to be."""
    request = x509.load_pem_x509_csr(work.issuance.csr_pem.encode())
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    leaf = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(_ca_name())
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number() if serial is None else serial)
        .not_valid_before(work.environment.now())
        .not_valid_after(work.environment.now() + timedelta(days=30))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(_key(), hashes.SHA256())
    )
    return leaf.public_bytes(Encoding.PEM).decode()


@breaks("leaf-readable")
class Garbage(ConformantCA):
    def chain(self, work):
        return "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"


@breaks("leaf-end-entity")
class LeafOfCA(ConformantCA):
    def chain(self, work):
        return _signed(work, ca=True)


@breaks("leaf-signature")
class ForeignSignature(ConformantCA):
    def chain(self, work):
        leaf = super().chain(work).partition("-----END CERTIFICATE-----\n")
        return "".join(leaf[:2]) + _other_authority().intermediate_pem


@breaks("leaf-key")
class OtherKey(ConformantCA):
    def chain(self, work):
        return AUTHORITY.issue(work.issuance.csr_pem, now=work.environment.now(), public_key=_key().public_key())


@breaks("leaf-names")
class OtherNames(ConformantCA):
    def chain(self, work):
        return AUTHORITY.issue(work.issuance.csr_pem, now=work.environment.now(), names=["elsewhere.test"])


@breaks("leaf-dates")
class Ended(ConformantCA):
    def chain(self, work):
        return AUTHORITY.issue(work.issuance.csr_pem, now=work.environment.now() - timedelta(days=100))


@breaks("leaf-serial")
class SmallSerials(ConformantCA):
    def chain(self, work):
        with self.world.lock:
            self.world.last = (self.world.last or 0) + 1
        return _signed(work, serial=self.world.last % 200)


def _der(tag, content):
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([0x82, size >> 8, size & 0xFF])
    return bytes([tag]) + length + content


def _with_sha1(pem):
    """The same leaf signed with SHA-1, which cryptography does not do: ecdsa-with-SHA1 (RFC 5758 section 3.2)."""
    leaf = x509.load_pem_x509_certificate(pem.encode())
    old, new = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")
    to_be_signed = _der(0x30, leaf.tbs_certificate_bytes[4:].replace(old, new, 1))
    digest = hashlib.sha1(to_be_signed, usedforsecurity=False).digest()
    signature = _key().sign(digest.ljust(32, b"0"), ec.ECDSA(Prehashed(hashes.SHA256())))
    der = _der(0x30, to_be_signed + new + _der(0x03, b"\0" + signature))
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


@breaks("leaf-digest")
class OldDigest(ConformantCA):
    def chain(self, work):
        return _with_sha1(_signed(work))


@breaks("leaf-server")
class ClientLeaf(ConformantCA):
    def chain(self, work):
        return _signed(work, usage=ExtendedKeyUsageOID.CLIENT_AUTH)


@breaks("issues")
class Refuses(ConformantCA):
    def ordered(self, work):
        problem = Problem(title="The CA refuses.", advice="Ask the CA.")
        return Failed(state={}, problem=problem, retry=Retry.NEVER)
