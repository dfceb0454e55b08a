"""Chains: the leaf found, the order repaired, every signature checked; and is it the leaf that was asked for?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from certcore.errors import LeafRejected, UnreadablePem, X509Error
from certcore.model.leaf import Leaf
from certcore.model.names import Identifier
from certcore.x509.judgement import judge_leaf
from certcore.x509.leaf import leaf_details
from certcore.x509.wording import called, listed

__all__ = [
    "MAX_BYTES",
    "MAX_CERTIFICATES",
    "UNREADABLE",
    "Chain",
    "Path",
    "certificate_pem",
    "check_leaf",
    "follow_issuers",
    "has_whole_signature",
    "is_ca",
    "is_self_signed",
    "parse_certificates",
    "parse_chain",
    "signed_by",
    "verify_chain",
]

#: The longest text that is looked at.
MAX_BYTES: Final = 256 * 1024
#: More than any chain has, with all its roots and cross-signed twins.
MAX_CERTIFICATES: Final = 20
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
#: What the package `cryptography` raises for what it cannot read.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    InternalError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
#: In bits (RFC 5280 section 4.1.2.2). Python refuses to write numbers of many thousand digits.
_LONGEST_SERIAL: Final = 160
#: CAs date certificates back; our clock may run behind the CA's by this much.
_CLOCK_SKEW: Final = timedelta(hours=1)


@frozen(kw_only=True)
class Chain:
    """A leaf with its intermediates in order; a root at the end is left out, as servers do not send it."""

    leaf_pem: str
    #: The intermediates, each signed by the next; empty when the leaf was signed by a root.
    chain_pem: str
    leaf: Leaf


@frozen(kw_only=True)
class Path:
    """The way from a leaf up through those who signed it, among the certificates that were given."""

    #: The leaf, then each issuer.
    links: tuple[x509.Certificate, ...]
    #: Other certificates that the leaf leads to: a cross-signed intermediate has several, and a server sends one.
    others: tuple[x509.Certificate, ...]
    #: Those that it does not lead to.
    unrelated: tuple[x509.Certificate, ...]


def parse_certificates(text: str | bytes) -> list[x509.Certificate]:
    """All certificates of a text, in its order; whatever stands between them is passed over.

    Raises:
        UnreadablePem: There is none, too much, or one that cannot be read.
    """
    plain = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    if len(plain) > MAX_BYTES:
        raise UnreadablePem(f"The text is longer than {MAX_BYTES} bytes, which no certificate chain is.")
    blocks = list(_blocks(plain.replace("\r\n", "\n").replace("\r", "\n")))
    if not blocks:
        raise UnreadablePem("There is no certificate in this text.", advice="Paste the BEGIN and END lines too.")
    if len(blocks) > MAX_CERTIFICATES:
        raise UnreadablePem(f"There are {len(blocks)} certificates; a chain has at most {MAX_CERTIFICATES}.")
    found = []
    for number, block in enumerate(blocks, 1):
        try:
            certificate = x509.load_pem_x509_certificate(block.encode())
        except UNREADABLE:
            raise UnreadablePem(f"Certificate number {number} of {len(blocks)} cannot be read.") from None
        if not has_whole_signature(certificate):
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
    except UNREADABLE:  # names and extensions are parsed when they are looked at
        raise UnreadablePem("A certificate has contents that cannot be read.") from None


def check_leaf(chain: Chain, *, names: Sequence[Identifier], csr_pem: str, now: datetime) -> None:
    """Refuse a leaf that does not serve the request. Names that it has beyond those of the request do no harm.

    Args:
        chain: What the CA returned.
        names: The names of the request.
        csr_pem: The request.
        now: The present moment.

    Raises:
        LeafRejected: The key, the names or the validity are wrong; the message says which. `judge_leaf` tells more.
    """
    judgement = judge_leaf(chain.leaf, names=names, csr_pem=csr_pem, now=now)
    if not judgement.serves:
        raise LeafRejected(judgement.text, advice=judgement.advice)


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
            raise X509Error(f"{called(link)} in the chain is not valid now.")
    for issued, issuer in pairwise(links):
        if not is_ca(issuer) or not signed_by(issued, issuer):
            raise X509Error(f"{called(issued)} was not signed by the next certificate of the chain.")
    for root in roots:
        if is_ca(root) and signed_by(links[-1], root) and now < root.not_valid_after_utc:
            return root
    raise X509Error("The chain does not lead to any of the given roots.")


def follow_issuers(leaf: x509.Certificate, others: Iterable[x509.Certificate], *, old_digests: bool = False) -> Path:
    """Look for the way up from a leaf; the order in which the certificates were given does not matter.

    A cross-signed intermediate is followed before a root of the same name and key, and the one that ends last before
    its twins, so that as much as possible of what was given is used.

    Args:
        leaf: Where to begin.
        others: Where to look.
        old_digests: Follow signatures over SHA-1 and MD5 as well. Whoever asks for it has to judge them.
    """
    rest = sorted(others, key=_preference)
    links = [leaf]
    while issuer := next((one for one in rest if signed_by(links[-1], one, old_digests=old_digests)), None):
        links.append(issuer)
        rest.remove(issuer)
    related, waiting = [], list(links)
    while waiting and rest:
        issued = waiting.pop()
        for one in [one for one in rest if signed_by(issued, one, old_digests=old_digests)]:
            rest.remove(one)
            related.append(one)
            waiting.append(one)
    return Path(links=tuple(links), others=tuple(related), unrelated=tuple(rest))


def has_whole_signature(certificate: x509.Certificate) -> bool:
    """Whether the signature, a BIT STRING of whole bytes, says that it has no unused bits.

    Nothing signs that count, and the library passes over it: the same certificate would have several fingerprints.
    """
    return certificate.public_bytes(serialization.Encoding.DER).endswith(b"\0" + certificate.signature)


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it may sign certificates (RFC 5280 section 4.2.1.9).

    Raises:
        UnreadablePem: Its extensions cannot be read.
    """
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and certificate.issuer == certificate.subject
    except UNREADABLE:
        raise UnreadablePem("A certificate has contents that cannot be read.") from None


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it was signed with its own key; with whatever digest, as nobody relies on a root's signature."""
    return certificate.issuer == certificate.subject and signed_by(certificate, certificate, old_digests=True)


def signed_by(issued: x509.Certificate, issuer: x509.Certificate, *, old_digests: bool = False) -> bool:
    """Whether one certificate names the other as its issuer and was signed with its key.

    Args:
        issued: The one that was signed.
        issuer: The one whose key it should have been.
        old_digests: Take signatures over SHA-1 and MD5 as well.
    """
    try:
        issued.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return old_digests and _signed_with_old_digest(issued, issuer)
    return True


def certificate_pem(certificate: x509.Certificate) -> str:
    """The certificate as PEM (RFC 7468 section 5.1): 64 columns, one line end at the end."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _blocks(text: str) -> Iterator[str]:
    """Each BEGIN line with what follows it up to the next END line. No character is passed over more than once."""
    begin = text.find(_BEGIN)
    while begin >= 0:
        end = text.find(_END, begin)
        if end < 0:
            return
        yield text[begin : end + len(_END)]
        begin = text.find(_BEGIN, end)


def _in_order(certificates: Sequence[x509.Certificate]) -> Chain:
    leaf = _find_leaf(certificates)
    if leaf.serial_number.bit_length() > _LONGEST_SERIAL:
        raise UnreadablePem("The leaf's serial number is longer than 20 bytes (RFC 5280 section 4.1.2.2).")
    path = follow_issuers(leaf, (one for one in certificates if one is not leaf))
    if path.unrelated:
        names = listed(map(called, path.unrelated))
        raise X509Error(
            f"The chain is broken: {names} did not sign any certificate of it.",
            advice="Give the leaf and the certificates that lead from it to the root, and no others.",
        )
    intermediates = [one for one in path.links[1:] if not is_self_signed(one)]
    return Chain(
        leaf_pem=certificate_pem(leaf),
        chain_pem="".join(map(certificate_pem, intermediates)),
        leaf=leaf_details(leaf),
    )


def _find_leaf(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    ends = [one for one in certificates if not is_ca(one)]
    if len(ends) == 1:
        return ends[0]
    if not ends:
        raise X509Error("There is no leaf among these certificates: all of them are CA certificates.")
    names = listed(map(called, ends))
    raise X509Error(
        f"There are {len(ends)} leaves, but one is needed: {names}.", advice="Leave out what is not of this chain."
    )


def _preference(certificate: x509.Certificate) -> tuple[bool, float, bytes]:
    ends = certificate.not_valid_after_utc.timestamp()
    return certificate.issuer == certificate.subject, -ends, certificate.fingerprint(hashes.SHA256())


def _signed_with_old_digest(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    """The package refuses to verify what is signed over SHA-1 or MD5 (RFC 9155, RFC 6151), so this is done by hand."""
    if issued.issuer != issuer.subject:
        return False
    try:
        digest = issued.signature_hash_algorithm
        key = issuer.public_key()
        if not isinstance(digest, (hashes.MD5, hashes.SHA1)):
            return False
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(issued.signature, issued.tbs_certificate_bytes, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(issued.signature, issued.tbs_certificate_bytes, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, *UNREADABLE):
        return False
    return True
