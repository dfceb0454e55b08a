"""CA certificates with their keys: a root, and the intermediates that it signs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from certcore.hints import Message
from certcore_local_ca.name_constraints import NameConstraints

__all__ = [
    "Authority",
    "CAKeyType",
    "UnusableAuthorityError",
    "ca_name",
    "distribution_point",
    "is_signed_by",
    "issuer_identifier",
    "make_intermediate",
    "make_root",
    "pem_of",
    "read_given",
]

#: What a CA key is.
CAKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_SMALLEST_RSA: Final = 2048
_KEY_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class CAKeyType(StrEnum):
    """The key types of keys that this CA creates for itself."""

    EC_P256 = "ec_p256"
    EC_P384 = "ec_p384"
    RSA_3072 = "rsa_3072"


class UnusableAuthorityError(Exception):
    """A given CA certificate or key cannot be used.

    Args:
        reason: A sentence for a person, without secrets.
    """

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


@frozen(kw_only=True)
class Authority:
    """A CA certificate with its key."""

    certificate: x509.Certificate
    key: CAKey = field(repr=False)

    @property
    def digest(self) -> hashes.SHA256 | hashes.SHA384:
        """The hash for signatures of this key: SHA-384 if the key is stronger than 128 bits (RFC 5480 section 4)."""
        is_p384 = (
            isinstance(self.key, ec.EllipticCurvePrivateKey)
            and self.key.curve.key_size > hashes.SHA256().digest_size * 8
        )
        return hashes.SHA384() if is_p384 else hashes.SHA256()

    def to_pem(self) -> bytes:
        """The unencrypted private key, then the certificate: to be sealed."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + self.certificate.public_bytes(Encoding.PEM)

    @classmethod
    def from_pem(cls, text: bytes) -> Authority:
        """Read what `to_pem` has written.

        Raises:
            UnusableAuthorityError: There is no such pair in the text.
        """
        return cls(certificate=_certificates(text)[0], key=_key(text))


def make_root(*, subject: x509.Name, key_type: CAKeyType, validity: tuple[datetime, datetime]) -> Authority:
    """A self-signed root (RFC 5280 section 4.2.1.9: without a limit for the length of paths).

    Args:
        subject: Its name, see `ca_name`.
        key_type: What key it gets.
        validity: The first and the last moment of its validity.
    """
    key = _generate(key_type)
    builder = (
        _builder(subject, subject, key, validity)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_identifier(key), critical=False)
    )
    return _signed(builder, key, key)


def make_intermediate(
    root: Authority,
    *,
    subject: x509.Name,
    key_type: CAKeyType,
    constraints: NameConstraints,
    validity: tuple[datetime, datetime],
    crl_url: str = "",
) -> Authority:
    """A CA certificate that signs leaves, and no other CA.

    Args:
        root: The CA that signs it; the result does not outlive the root.
        subject: Its name, see `ca_name`.
        key_type: What key it gets.
        constraints: The names that it may certify; empty for all names.
        validity: The first and the last moment of its validity.
        crl_url: Where clients find the CRL of the root; empty where it is not published.
    """
    key = _generate(key_type)
    end = min(validity[1], root.certificate.not_valid_after_utc)
    builder = (
        _builder(subject, root.certificate.subject, key, (validity[0], end))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_identifier(key), critical=False)
        .add_extension(issuer_identifier(root), critical=False)
    )
    if constraints:
        builder = builder.add_extension(constraints.extension(), critical=True)
    if crl_url:
        builder = builder.add_extension(distribution_point(crl_url), critical=False)
    return _signed(builder, key, root.key, root.digest)


def ca_name(common_name: str, organization: str) -> x509.Name:
    """The subject of a CA.

    Args:
        common_name: At most 64 characters.
        organization: At most 64 characters; empty for none.
    """
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(attributes)


def distribution_point(crl_url: str) -> x509.CRLDistributionPoints:
    """Where clients find the CRL that may list this certificate (RFC 5280 section 4.2.1.13)."""
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
    return x509.CRLDistributionPoints([point])


def issuer_identifier(issuer: Authority) -> x509.AuthorityKeyIdentifier:
    """The authority key identifier of what ``issuer`` signs: its own subject key identifier (RFC 5280 4.2.1.1)."""
    try:
        own = issuer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def read_given(certificates_pem: str, key_pem: bytes) -> tuple[Authority, tuple[x509.Certificate, ...]]:
    """Read a CA that somebody else has created, from its certificate chain and its key.

    Args:
        certificates_pem: The issuing CA, then each next issuer; the root may be left out.
        key_pem: The unencrypted private key of the first certificate.

    Returns:
        The issuing CA, and the certificates above it in order.

    Raises:
        UnusableAuthorityError: They cannot be read, do not belong together, or may not sign leaves and CRLs.
    """
    first, *above = _certificates(certificates_pem.encode())
    key = _key(key_pem)
    if key.public_key() != first.public_key():
        raise UnusableAuthorityError(
            Message("local_ca.given.other_key", "The private key does not belong to the first certificate.")
        )
    if not _may_sign(first):
        sentence = "The first certificate is not that of a CA that may sign certificates and CRLs."
        raise UnusableAuthorityError(Message("local_ca.given.no_ca", sentence))
    for issued, issuer in zip((first, *above), above, strict=False):
        if not is_signed_by(issued, issuer):
            raise UnusableAuthorityError(
                Message("local_ca.given.order", "Each certificate must be signed by the next one.")
            )
    return Authority(certificate=first, key=key), tuple(above)


def is_signed_by(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the certificate names this issuer, and the issuer's key verifies its signature."""
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def pem_of(certificates: Sequence[x509.Certificate]) -> str:
    """The certificates as PEM, in order."""
    return "".join(certificate.public_bytes(Encoding.PEM).decode("ascii") for certificate in certificates)


def _may_sign(certificate: x509.Certificate) -> bool:
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return is_ca and usage.key_cert_sign and usage.crl_sign


def _certificates(text: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        sentence = "There is no certificate in this text, or one that cannot be read."
        raise UnusableAuthorityError(Message("local_ca.given.no_certificate", sentence)) from None


def _key(text: bytes) -> CAKey:
    try:
        key = load_pem_private_key(text, None)
    except (ValueError, TypeError):
        sentence = "The private key cannot be read, or it is encrypted."
        raise UnusableAuthorityError(Message("local_ca.given.unreadable_key", sentence)) from None
    if isinstance(key, ec.EllipticCurvePrivateKey) or (
        isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SMALLEST_RSA
    ):
        return key
    sentence = "The private key must be an EC key, or an RSA key of at least 2048 bits."
    raise UnusableAuthorityError(Message("local_ca.given.key_type", sentence))


def _generate(key_type: CAKeyType) -> CAKey:
    if key_type is CAKeyType.RSA_3072:
        return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return ec.generate_private_key(ec.SECP384R1() if key_type is CAKeyType.EC_P384 else ec.SECP256R1())


def _key_identifier(key: CAKey) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(key.public_key())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CAKey, validity: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
        .add_extension(_KEY_USAGE, critical=True)
    )


def _signed(
    builder: x509.CertificateBuilder, key: CAKey, issuer_key: CAKey, digest: hashes.SHA256 | hashes.SHA384 | None = None
) -> Authority:
    certificate = builder.sign(issuer_key, digest or hashes.SHA256())
    return Authority(certificate=certificate, key=key)
