"""Check whether a leaf is fit for a TLS server: weak keys, weak signatures, wrong usages, missing names.

Functions named ``…_refusal`` return the reason for refusing the leaf as a clause, or None. Functions named ``…_doubts``
return warnings. The weak keys of Debian's OpenSSL until 2008 (CVE-2008-0166) are not detected, because their list is
long.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from math import gcd, isqrt, prod
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, PublicKeyAlgorithmOID

from certcore.errors import InvalidNameError
from certcore.messages import Message
from certcore.model.names import MAX_IMPORTED_NAMES, DnsName, Identifier, IpAddress
from certcore.x509.describe import clean
from certcore.x509.keys import key_type_of

__all__ = [
    "LONGEST_SERIAL",
    "certificate_refusal",
    "key_doubts",
    "key_refusal",
    "may_sign_certificates",
    "old_digest",
    "public_key_refusal",
    "usable_names",
    "usage_doubts",
    "usage_refusal",
]

#: The shortest RSA key (CA/Browser Forum Baseline Requirements, section 6.1.5).
_FEWEST_BITS: Final = 2048
#: The longest RSA key that browsers and Go accept.
_MOST_BITS: Final = 8192
#: The public exponent must be from 2^16 + 1 to 2^256 - 1 (Baseline Requirements, section 6.1.6).
_USUAL_EXPONENT: Final = 65537
_LONGEST_EXPONENT: Final = 256
#: The modulus must have no factor below 752 (Baseline Requirements, section 6.1.6), and 100 rounds of Fermat's method
#: must not factor it (section 6.1.1.3).
_SMALL_FACTORS: Final = 752
_FERMAT_ROUNDS: Final = 100
#: The longest serial number, in bits (RFC 5280 section 4.1.2.2). Python refuses to convert numbers of thousands of
#: digits to text.
LONGEST_SERIAL: Final = 160


def _primes(end: int) -> tuple[int, ...]:
    return tuple(n for n in range(2, end) if all(n % divisor for divisor in range(2, isqrt(n) + 1)))


def _powers(prime: int) -> frozenset[int]:
    return frozenset(pow(_USUAL_EXPONENT, exponent, prime) for exponent in range(prime - 1))


_SMALL_PRODUCT: Final = prod(_primes(_SMALL_FACTORS))
#: CVE-2017-15361 (ROCA): the primes of the flawed library are powers of 65537 modulo each of the first primes.
_POWERS: Final = MappingProxyType({prime: _powers(prime) for prime in _primes(168)[1:]})


def certificate_refusal(certificate: x509.Certificate) -> Message | None:
    """Refuse precertificates, overlong serial numbers, impossible validity dates and weak signatures."""
    extensions = [extension.value for extension in certificate.extensions]
    if any(isinstance(extension, x509.PrecertPoison) for extension in extensions):
        text = "it is a precertificate (RFC 6962 section 3.1), which is for logs only; look for the certificate itself."
        return Message("leaf.precertificate", text)
    if certificate.serial_number.bit_length() > LONGEST_SERIAL:
        text = "its serial number is longer than the 20 bytes that are allowed (RFC 5280 section 4.1.2.2)."
        return Message("leaf.long_serial_number", text)
    if certificate.not_valid_after_utc <= certificate.not_valid_before_utc:
        return Message("leaf.never_valid", "it ends before it begins, so it was never valid.")
    if digest := old_digest(certificate):
        text = "it is signed over {digest}, which can be forged; no browser accepts it."
        return Message("leaf.weak_signature", text, {"digest": digest})
    return None


def old_digest(certificate: x509.Certificate) -> str:
    """``"MD5"`` or ``"SHA-1"`` if the certificate's signature uses it; otherwise an empty string."""
    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return ""
    names = {hashes.MD5: "MD5", hashes.SHA1: "SHA-1"}
    return names.get(type(digest), "") if digest is not None else ""


def key_refusal(certificate: x509.Certificate) -> Message | None:
    """Refuse a certificate whose public key is weak, or of a type or encoding that CAs and browsers do not accept."""
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm:
        text = "its key type or curve is not accepted by CAs; use EC P-256, EC P-384 or RSA."
        return Message("public_key.unknown_kind", text)
    except (ValueError, InternalError):
        text = "its public key cannot be used: its exponent is 1 or even, its point is not on its curve, or similar."
        return Message("public_key.unusable", text)
    if (refused := _kind_refusal(key)) or _is_as_usual(certificate, key):
        return refused or public_key_refusal(key)
    text = "its public key is written in an unusual way (RSA-PSS, a compressed point or a curve spelt out)."
    return Message("public_key.unusual_form", text)


def public_key_refusal(key: PublicKeyTypes) -> Message | None:
    """Refuse a public key that is weak, or of a type that CAs and browsers do not accept."""
    if refused := _kind_refusal(key):
        return refused
    return _rsa_refusal(key.public_numbers()) if isinstance(key, rsa.RSAPublicKey) else None


def key_doubts(key: PublicKeyTypes) -> Iterator[Message]:
    """Warn about a small public exponent and about unusual key types and sizes."""
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        if exponent < _USUAL_EXPONENT:
            yield Message(
                "bundle.small_exponent",
                "The RSA key has the public exponent {exponent}; CAs ask for 65537 or more.",
                {"exponent": exponent},
            )
    if key_type_of(key) is None:
        kind = "RSA" if isinstance(key, rsa.RSAPublicKey) else "EC"
        yield Message(
            "bundle.unusual_key",
            "A key of {kind} with {bits} bits is unusual: not every browser or CA accepts it, and a renewal will use "
            "another key type.",
            {"kind": kind, "bits": getattr(key, "key_size", 0)},
        )


def may_sign_certificates(certificate: x509.Certificate) -> bool:
    """Whether a CA certificate's key usage, if present, allows signing certificates (RFC 5280 section 4.2.1.3)."""
    usage = _key_usage(certificate)
    return usage is None or usage.key_cert_sign


def usage_refusal(certificate: x509.Certificate) -> Message | None:
    """Refuse a leaf whose key usages do not allow a TLS server (RFC 5280 sections 4.2.1.3 and 4.2.1.12)."""
    purposes = _purposes(certificate)
    if purposes and not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & purposes:
        text = "its extended key usage does not include TLS servers (serverAuth)."
        return Message("leaf.other_usage", text)
    usage = _key_usage(certificate)
    if usage is None or usage.digital_signature:
        return None
    if usage.key_encipherment and isinstance(certificate.public_key(), rsa.RSAPublicKey):
        return None
    text = "its key usage allows no signatures (digitalSignature), so a TLS server cannot use it."
    return Message("leaf.no_signatures", text)


def usage_doubts(certificate: x509.Certificate) -> Iterator[Message]:
    """Warn about usages and extensions that some clients refuse."""
    purposes = _purposes(certificate)
    if purposes and ExtendedKeyUsageOID.SERVER_AUTH not in purposes:
        yield Message(
            "bundle.any_purpose",
            "The leaf's extended key usage says any purpose instead of TLS servers (serverAuth); browsers refuse that.",
        )
    usage = _key_usage(certificate)
    if usage is not None and not usage.digital_signature:
        yield Message(
            "bundle.no_signatures",
            "The leaf's key usage allows no signatures (digitalSignature): TLS 1.3 cannot be used with it.",
        )
    for extension in certificate.extensions:
        if extension.critical and isinstance(extension.value, x509.UnrecognizedExtension):
            yield Message(
                "bundle.unknown_extension",
                "The leaf has the critical extension {oid}; clients that do not know it refuse the leaf.",
                {"oid": extension.oid.dotted_string[:100]},
            )


def usable_names(certificate: x509.Certificate) -> tuple[tuple[Identifier, ...], list[str | Message]]:
    """The subject alternative names of a certificate.

    Returns:
        The DNS names and IP addresses that a certificate here can have, in order, and the texts of the unusable names.
    """
    names: dict[Identifier, None] = {}
    unusable: list[str | Message] = []
    try:
        general_names = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return (), []
    if len(general_names) > MAX_IMPORTED_NAMES:
        text = "{count} names, which are more than the {most} that are read"
        params = {"count": len(general_names), "most": MAX_IMPORTED_NAMES}
        return (), [Message("bundle.names_not_read", text, params)]
    for name in general_names:
        try:
            if isinstance(name, x509.DNSName):
                names[DnsName.parse(name.value)] = None
            elif isinstance(name, x509.IPAddress) and isinstance(
                name.value, ipaddress.IPv4Address | ipaddress.IPv6Address
            ):
                names[IpAddress.parse(str(name.value))] = None
        except InvalidNameError:
            unusable.append(clean(str(name.value)))
    return tuple(names), unusable


def _kind_refusal(key: PublicKeyTypes) -> Message | None:
    match key:
        case rsa.RSAPublicKey():
            return None
        case ec.EllipticCurvePublicKey():
            if key.curve.name in {"secp256r1", "secp384r1", "secp521r1"}:
                return None
            text = "its key is on the curve {curve}, which no CA accepts; use P-256 or P-384."
            return Message("public_key.curve", text, {"curve": key.curve.name})
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            text = (
                "its key is an Ed25519 or Ed448 key, which browsers and public CAs do not accept; use EC P-256 or RSA."
            )
            return Message("public_key.edwards", text)
        case dsa.DSAPublicKey():
            text = "its key is a DSA key, which TLS no longer uses; use EC P-256 or RSA."
            return Message("public_key.dsa", text)
        case _:
            return Message("public_key.no_signatures", "its key cannot sign; use EC P-256 or RSA.")


def _is_as_usual(certificate: x509.Certificate, key: PublicKeyTypes) -> bool:
    """Whether the certificate encodes the key as ``cryptography`` and other programs do."""
    written = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    usual = certificate.public_key_algorithm_oid != PublicKeyAlgorithmOID.RSASSA_PSS
    return usual and written in certificate.tbs_certificate_bytes


def _rsa_refusal(numbers: rsa.RSAPublicNumbers) -> Message | None:
    modulus, exponent = numbers.n, numbers.e
    bits = modulus.bit_length()
    if bits < _FEWEST_BITS:
        text = "its RSA key has {bits} bits, which is too weak; at least {fewest} are needed."
        return Message("public_key.too_short", text, {"bits": bits, "fewest": _FEWEST_BITS})
    if bits > _MOST_BITS:
        text = "its RSA key has {bits} bits; TLS programs accept at most {most}."
        return Message("public_key.too_long", text, {"bits": bits, "most": _MOST_BITS})
    if exponent.bit_length() > _LONGEST_EXPONENT:
        text = "its RSA key has a public exponent of more than {count} bits, which no CA accepts."
        return Message("public_key.long_exponent", text, {"count": _LONGEST_EXPONENT})
    if gcd(modulus, _SMALL_PRODUCT) != 1:
        text = "the modulus of its RSA key has a small factor, so anybody can compute the private key."
        return Message("public_key.small_factor", text)
    if _has_close_primes(modulus):
        text = "the primes of its RSA key are too close together, so anybody can compute the private key."
        return Message("public_key.close_primes", text)
    if all(modulus % prime in powers for prime, powers in _POWERS.items()):
        text = (
            "its RSA key was made by a chip with a known flaw (ROCA, CVE-2017-15361): its private key can be computed."
        )
        return Message("public_key.roca", text)
    return None


def _has_close_primes(modulus: int) -> bool:
    """Fermat's method: n = a² - b². If the primes are close together, a is close to the square root of n."""
    root = isqrt(modulus)
    start = root if root * root == modulus else root + 1
    for middle in range(start, start + _FERMAT_ROUNDS):
        square = middle * middle - modulus
        if isqrt(square) ** 2 == square:
            return True
    return False


def _purposes(certificate: x509.Certificate) -> set[x509.ObjectIdentifier]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None
