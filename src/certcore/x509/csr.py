"""Certificate signing requests (PKCS#10, RFC 2986)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from certcore.errors import UnreadablePemError
from certcore.messages import Message
from certcore.model.names import DnsName, Identifier, IpAddress, common_name
from certcore.model.subject import Subject
from certcore.x509.keys import PrivateKey, spki_sha256

__all__ = ["alternative_names", "build_csr", "csr_der", "csr_names", "csr_spki_sha256"]


def build_csr(key: PrivateKey, names: Sequence[Identifier], subject: Subject) -> bytes:
    """Build a certificate signing request for the names, signed with the key.

    The subject alternative names contain all names (RFC 5280 section 4.2.1.6). The common name is the first DNS name
    if it fits into 64 octets; otherwise there is none.

    Returns:
        The request in PEM.
    """
    attributes = [
        (NameOID.COUNTRY_NAME, subject.country),
        (NameOID.STATE_OR_PROVINCE_NAME, subject.state),
        (NameOID.LOCALITY_NAME, subject.locality),
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, subject.organizational_unit),
        (NameOID.COMMON_NAME, common_name([name for name in names if isinstance(name, DnsName)])),
        (NameOID.EMAIL_ADDRESS, subject.email),
    ]
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes if value])
    p384 = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp384r1"
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(key, hashes.SHA384() if p384 else hashes.SHA256())
    )
    return request.public_bytes(serialization.Encoding.PEM)


def csr_der(pem: str) -> bytes:
    """The request in DER, as ACME expects it (RFC 8555 section 7.4).

    Raises:
        UnreadablePemError: It is not a certificate signing request.
    """
    return _load(pem).public_bytes(serialization.Encoding.DER)


def csr_names(pem: str) -> tuple[str, ...]:
    """The subject alternative names of a request, in the order of the request.

    Raises:
        UnreadablePemError: It is not a certificate signing request.
    """
    return alternative_names(_load(pem).extensions)


def csr_spki_sha256(pem: str) -> str:
    """SHA-256 over the request's public key, computed by `certcore.x509.keys.spki_sha256`.

    Raises:
        UnreadablePemError: It is not a certificate signing request.
    """
    return spki_sha256(_load(pem).public_key())


def alternative_names(extensions: x509.Extensions) -> tuple[str, ...]:
    """The DNS names (lower case) and IP addresses of the subject alternative name extension; empty if it is missing."""
    try:
        extension = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    names = [name.value for name in extension if isinstance(name, (x509.DNSName, x509.IPAddress))]
    return tuple(str(name).lower() for name in names)


def _general_name(name: Identifier) -> x509.GeneralName:
    if isinstance(name, IpAddress):
        return x509.IPAddress(ipaddress.ip_address(name.address))
    return x509.DNSName(name.ascii)


def _load(pem: str) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(pem.encode())
    except (ValueError, x509.InvalidVersion):
        reason = Message("csr.not_pem", "The text is not a certificate signing request in PEM.")
        raise UnreadablePemError(reason) from None
