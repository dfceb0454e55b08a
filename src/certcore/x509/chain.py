"""Chains: the leaf found, the order repaired, every signature checked; and is it the leaf that was asked for?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from certcore.errors import LeafRejected, UnreadablePem, X509Error
from certcore.model.leaf import Leaf
from certcore.model.names import Identifier
from certcore.x509.csr import csr_spki_sha256
from certcore.x509.leaf import leaf_details

__all__ = ["Chain", "check_leaf", "parse_certificates", "parse_chain", "verify_chain"]

_MAX_BYTES: Final = 256 * 1024
_MAX_CERTIFICATES: Final = 20
_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
#: CAs date certificates back; our clock may run behind the CA's by this much.
_CLOCK_SKEW: Final = timedelta(hours=1)


@frozen(kw_only=True)
class Chain:
    """A leaf with its intermediates in order; a root at the end is left out, as servers do not send it."""

    leaf_pem: str
    #: The intermediates, each signed by the next; empty when the leaf was signed by a root.
    chain_pem: str
    leaf: Leaf


def parse_certificates(text: str | bytes) -> list[x509.Certificate]:
    """All certificates of a text, in its order; whatever stands between them is passed over.

    Raises:
        UnreadablePem: There is none, too much, or one that cannot be read.
    """
    plain = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    if len(plain) > _MAX_BYTES:
        raise UnreadablePem(f"The text is longer than {_MAX_BYTES} bytes, which no certificate chain is.")
    blocks = _BLOCK.findall(plain.replace("\r\n", "\n").replace("\r", "\n"))
    if not blocks:
        raise UnreadablePem("There is no certificate in this text.", advice="Paste the BEGIN and END lines too.")
    if len(blocks) > _MAX_CERTIFICATES:
        raise UnreadablePem(f"There are {len(blocks)} certificates; a chain has at most {_MAX_CERTIFICATES}.")
    found = []
    for number, block in enumerate(blocks, 1):
        try:
            certificate = x509.load_pem_x509_certificate(block.encode())
        except (ValueError, TypeError, x509.InvalidVersion):
            raise UnreadablePem(f"Certificate number {number} of {len(blocks)} cannot be read.") from None
        if not _has_whole_signature(certificate):
            raise UnreadablePem(f"Certificate number {number} of {len(blocks)} has a signature that is cut off.")
        found.append(certificate)
    return found


def parse_chain(text: str | bytes) -> Chain:
    """Read a leaf with its chain, in whatever order and however often the certificates come.

    Raises:
        UnreadablePem: A certificate cannot be read.
        X509Error: There is no leaf, more than one, or a certificate that does not belong to the chain.
    """
    certificates = list(dict.fromkeys(parse_certificates(text)))
    try:
        return _in_order(certificates)
    except ValueError:  # names are parsed when they are looked at
        raise UnreadablePem("A certificate has contents that cannot be read.") from None


def check_leaf(chain: Chain, *, names: Sequence[Identifier], csr_pem: str, now: datetime) -> None:
    """Refuse a leaf that is not the one that was asked for.

    Args:
        chain: What the CA returned.
        names: The names of the request.
        csr_pem: The request.
        now: The present moment.

    Raises:
        LeafRejected: The key, the names or the validity are wrong; the message says which.
    """
    leaf = chain.leaf
    if leaf.spki_sha256 != csr_spki_sha256(csr_pem):
        raise LeafRejected("The certificate is for another key than the one in the request.")
    wanted = {str(name) for name in names}
    missing = sorted(wanted - set(leaf.names))
    if missing:
        raise LeafRejected(f"The certificate lacks the name {', '.join(missing[:5])}.")
    extra = sorted(set(leaf.names) - wanted)
    if extra:
        raise LeafRejected(f"The certificate holds names that were not asked for: {', '.join(extra[:5])}.")
    if leaf.not_after <= leaf.not_before:
        raise LeafRejected("The certificate ends before it begins.")
    if leaf.not_after <= now:
        raise LeafRejected(f"The certificate has expired already, on {leaf.not_after:%Y-%m-%d %H:%M} UTC.")
    if leaf.not_before > now + _CLOCK_SKEW:
        raise LeafRejected(
            f"The certificate is not valid before {leaf.not_before:%Y-%m-%d %H:%M} UTC.",
            advice="Check the clock of this machine.",
        )


def verify_chain(chain: Chain, roots_pem: str | bytes, now: datetime) -> x509.Certificate:
    """Follow a chain up to one of the given roots; every link's signature, dates and CA flag are checked.

    Returns:
        The root that it leads to.

    Raises:
        X509Error: It leads to none of them, or a link is not valid now.
    """
    roots = parse_certificates(roots_pem)
    links = parse_certificates(chain.leaf_pem + chain.chain_pem)
    for link in links:
        if not link.not_valid_before_utc - _CLOCK_SKEW <= now < link.not_valid_after_utc:
            raise X509Error(f"{link.subject.rfc4514_string()} in the chain is not valid now.")
    for issued, issuer in pairwise(links):
        if not _is_ca(issuer) or not _signed_by(issued, issuer):
            raise X509Error(f"{issued.subject.rfc4514_string()} was not signed by the next certificate of the chain.")
    for root in roots:
        if _is_ca(root) and _signed_by(links[-1], root) and now < root.not_valid_after_utc:
            return root
    raise X509Error("The chain does not lead to any of the given roots.")


def _in_order(certificates: Sequence[x509.Certificate]) -> Chain:
    leaf = _find_leaf(certificates)
    ordered = [leaf]
    rest = [one for one in certificates if one is not leaf]
    while rest:
        issuer = next((one for one in rest if _signed_by(ordered[-1], one)), None)
        if issuer is None:
            break
        ordered.append(issuer)
        rest.remove(issuer)
    if rest:
        names = "; ".join(one.subject.rfc4514_string() or "(no subject)" for one in rest[:3])
        raise X509Error(
            f"The chain is broken: {names} did not sign any certificate of it.",
            advice="Give the leaf and the certificates that lead from it to the root, and no others.",
        )
    intermediates = [one for one in ordered[1:] if not _is_self_signed(one)]
    return Chain(leaf_pem=_pem(leaf), chain_pem="".join(map(_pem, intermediates)), leaf=leaf_details(leaf))


def _find_leaf(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    ends = [one for one in certificates if not _is_ca(one)]
    if len(ends) == 1:
        return ends[0]
    if not ends:
        raise X509Error("There is no leaf among these certificates: all of them are CA certificates.")
    names = "; ".join(one.subject.rfc4514_string() or "(no subject)" for one in ends[:3])
    raise X509Error(
        f"There are {len(ends)} leaves, but one is needed: {names}.", advice="Leave out what is not of this chain."
    )


def _has_whole_signature(certificate: x509.Certificate) -> bool:
    """Whether the signature, a BIT STRING of whole bytes, says that it has no unused bits.

    Nothing signs that count, and the library passes over it: the same certificate would have several fingerprints.
    """
    return certificate.public_bytes(serialization.Encoding.DER).endswith(b"\0" + certificate.signature)


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and certificate.issuer == certificate.subject
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        raise UnreadablePem("A certificate has contents that cannot be read.") from None


def _is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject and _signed_by(certificate, certificate)


def _signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
