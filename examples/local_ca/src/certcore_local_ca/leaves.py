"""Leaves: the certificates that are signed for requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from certcore.hints import Message
from certcore_local_ca.authority import Authority, distribution_point, issuer_identifier

__all__ = ["LeafUsage", "Publication", "UnsuitableRequestError", "make_leaf"]

#: The upper bound of a common name in characters (RFC 5280 appendix A.1).
_LONGEST_COMMON_NAME: Final = 64
_SMALLEST_RSA: Final = 2048
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class LeafUsage(StrEnum):
    """What leaves are for: their extended key usage (RFC 5280 section 4.2.1.12)."""

    SERVER = "server"
    CLIENT = "client"
    BOTH = "both"


_PURPOSES: Final = {
    LeafUsage.SERVER: (ExtendedKeyUsageOID.SERVER_AUTH,),
    LeafUsage.CLIENT: (ExtendedKeyUsageOID.CLIENT_AUTH,),
    LeafUsage.BOTH: (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
}


class UnsuitableRequestError(Exception):
    """A certificate signing request that this CA does not sign.

    Args:
        reason: A sentence for a person.
    """

    def __init__(self, reason: Message) -> None:
        super().__init__(str(reason))
        self.reason = reason


@frozen(kw_only=True)
class Publication:
    """Where clients find the CRL and the issuer's certificate; empty where they are not published."""

    crl_url: str = ""
    issuer_url: str = ""


def make_leaf(
    issuer: Authority,
    request: x509.CertificateSigningRequest,
    names: Sequence[str],
    *,
    serial_number: int,
    validity: tuple[datetime, datetime],
    usage: LeafUsage,
    publication: Publication,
) -> x509.Certificate:
    """Sign a leaf (RFC 5280 section 4.2). Only the public key of the request is used.

    Args:
        issuer: The CA that signs it; the leaf does not outlive it.
        request: The certificate signing request.
        names: The DNS names, A-labels; the first becomes the common name if it is not too long.
        serial_number: A positive number of at most 20 octets, unique among the certificates of the issuer.
        validity: The first and the last moment of its validity.
        usage: What the leaf is for.
        publication: URLs for the CRL distribution point and for the issuer's certificate.

    Raises:
        UnsuitableRequestError: The request is not signed with its key, or the key is weak or of an unknown type.
    """
    key = _public_key(request)
    not_before, end = validity[0], min(validity[1], issuer.certificate.not_valid_after_utc)
    common_name = [
        x509.NameAttribute(NameOID.COMMON_NAME, name) for name in names[:1] if len(name) <= _LONGEST_COMMON_NAME
    ]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(common_name))
        .issuer_name(issuer.certificate.subject)
        .public_key(key)
        .serial_number(serial_number)
        .not_valid_before(not_before)
        .not_valid_after(end)
        # Without a subject, the alternative names are critical (RFC 5280 section 4.2.1.6).
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=not common_name)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(is_rsa=isinstance(key, rsa.RSAPublicKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage(_PURPOSES[usage]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(issuer_identifier(issuer), critical=False)
    )
    if publication.crl_url:
        builder = builder.add_extension(distribution_point(publication.crl_url), critical=False)
    if publication.issuer_url:
        location = x509.UniformResourceIdentifier(publication.issuer_url)
        description = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        builder = builder.add_extension(x509.AuthorityInformationAccess([description]), critical=False)
    return builder.sign(issuer.key, issuer.digest)


def _public_key(
    request: x509.CertificateSigningRequest,
) -> ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey:
    if not request.is_signature_valid:
        raise UnsuitableRequestError(
            Message("local_ca.unsuitable.signature", "The signing request is not signed with its own key.")
        )
    key = request.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _SMALLEST_RSA:
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    text = "The key of the request is too weak, or of a type that this CA does not certify."
    raise UnsuitableRequestError(Message("local_ca.unsuitable.key", text))


def _key_usage(*, is_rsa: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        # RSA keys may also receive the session key, which TLS 1.2 clients without forward secrecy send.
        key_encipherment=is_rsa,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
