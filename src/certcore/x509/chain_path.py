"""Build the certification path from a leaf up through its issuers (RFC 5280 section 6.1)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from certcore.errors import UnreadablePemError, X509Error
from certcore.messages import Message
from certcore.x509.keys import spki_sha256

__all__ = [
    "ONLY_THE_CHAIN",
    "UNREADABLE",
    "Path",
    "follow_issuers",
    "is_ca",
    "is_self_signed",
    "signed_by",
    "unexpired",
    "unreadable_contents",
]

#: The exceptions that the package ``cryptography`` raises for certificates and keys that it cannot read.
UNREADABLE: Final = (
    ValueError,
    TypeError,
    InternalError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
#: The advice for input with too many certificates.
ONLY_THE_CHAIN: Final = Message(
    "chain.only_the_chain", "Give the leaf and the certificates that lead from it to the root, and no others."
)
#: The largest number of signatures that is verified for one path. A chain with all its cross-signed variants needs
#: about ten; twenty certificates of one name would need 380.
_MOST_SIGNATURES: Final = 100
#: In bits. No public CA signs with longer RSA keys, and verifying with them takes long.
_LONGEST_RSA: Final = 8192
_A_SECOND: Final = timedelta(seconds=1)
# Where the path above a certificate leads, the best first: to a given root; to an issuer that was not given; only to
# certificates that are not valid now; or the certificate itself is not valid now.
_TO_ROOT, _TO_UNKNOWN, _TO_EXPIRED, _EXPIRED = range(4)


@frozen(kw_only=True)
class Path:
    """The path from a leaf up through its issuers, and which of the given certificates are not on it."""

    #: The leaf, then each issuer, up to a self-signed one or to the last that was given.
    links: tuple[x509.Certificate, ...]
    #: The intermediates that a server sends: the links between the leaf and the root, before the first expired one.
    chain: tuple[x509.Certificate, ...]
    #: The links that are not in `chain` because they, or one below them, have expired.
    expired: tuple[x509.Certificate, ...]
    #: Certificates on alternative paths: a cross-signed intermediate has several issuers, and a server sends one path.
    others: tuple[x509.Certificate, ...]
    #: Certificates that are on no path from the leaf.
    unrelated: tuple[x509.Certificate, ...]


def follow_issuers(
    leaf: x509.Certificate,
    others: Iterable[x509.Certificate],
    *,
    now: datetime | None = None,
    old_digests: bool = False,
) -> Path:
    """Find the best path from a leaf to its root. The order of the given certificates does not matter.

    If several certificates signed the same one, the preferred path is, in this order: a path without expired
    certificates; a path to a root that was given, rather than to an issuer that was not; a cross-signed intermediate
    rather than a root with the same name and key; the certificate that expires last. So as many as possible of the
    given certificates are used.

    The path of an expired leaf is built for the moment at which the leaf expired.

    Args:
        leaf: The leaf.
        others: The possible issuers.
        now: The present moment, with its time zone; None for the moment at which the leaf's validity begins.
        old_digests: Follow signatures over SHA-1 and MD5, too. The caller must check for them.

    Raises:
        X509Error: So many certificates have the same name that verifying all signatures would take long.
        UnreadablePemError: A certificate has contents that cannot be read.
    """
    sorted_others = sorted(others, key=_preference)
    issuers = _issuers(leaf, sorted_others, old_digests=old_digests)
    moment = _moment(leaf, now)
    links = [leaf]
    while not (len(links) > 1 and is_self_signed(links[-1])):
        used = set(links)
        candidates = [issuer for issuer in issuers[links[-1]] if issuer not in used]
        if not candidates:
            break
        ranks = _ranks(issuers, used, moment)
        links.append(min(candidates, key=ranks.__getitem__))  # sorted by preference, so the first of the best rank
    sent = [link for link in links[1:] if not is_self_signed(link)]
    chain = unexpired(leaf, sent, now)
    return Path(
        links=tuple(links),
        chain=chain,
        expired=tuple(sent[len(chain) :]),
        others=tuple(issuer for issuer in sorted_others if issuer in issuers and issuer not in links),
        unrelated=tuple(
            certificate for certificate in sorted_others if certificate not in issuers and certificate != leaf
        ),
    )


def unexpired(
    leaf: x509.Certificate, issuers: Sequence[x509.Certificate], now: datetime | None
) -> tuple[x509.Certificate, ...]:
    """The issuers of a leaf, in order, before the first expired one: clients could not verify what follows it.

    An expired leaf keeps the issuers that were valid when it expired.
    """
    moment = _moment(leaf, now)
    ended = (number for number, issuer in enumerate(issuers) if issuer.not_valid_after_utc <= moment)
    return tuple(issuers[: next(ended, len(issuers))])


@lru_cache(maxsize=128)
def is_ca(certificate: x509.Certificate) -> bool:
    """Whether a certificate's basic constraints say that it is a CA (RFC 5280 section 4.2.1.9).

    Raises:
        UnreadablePemError: Its extensions cannot be read.
    """
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.version is x509.Version.v1 and certificate.issuer == certificate.subject
    except UNREADABLE:
        raise unreadable_contents() from None


def unreadable_contents() -> UnreadablePemError:
    """The error for a certificate whose names or extensions cannot be parsed."""
    return UnreadablePemError(Message("x509.unreadable_contents", "A certificate has contents that cannot be read."))


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether a certificate was signed with its own key. SHA-1 and MD5 are accepted: no client verifies a root."""
    return certificate.issuer == certificate.subject and signed_by(certificate, certificate, old_digests=True)


@lru_cache(maxsize=128)
def signed_by(issued: x509.Certificate, issuer: x509.Certificate, *, old_digests: bool = False) -> bool:
    """Whether a certificate names another one as its issuer and was signed with that one's key.

    Args:
        issued: The signed certificate.
        issuer: The supposed issuer.
        old_digests: Accept signatures over SHA-1 and MD5, too.
    """
    try:
        if issued.issuer != issuer.subject or _is_too_long(issuer):
            return False
        issued.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return old_digests and _signed_with_old_digest(issued, issuer)
    return True


def _moment(leaf: x509.Certificate, now: datetime | None) -> datetime:
    """The moment at which the chain must be valid: now, or the end of an expired leaf."""
    return min(now or leaf.not_valid_before_utc, leaf.not_valid_after_utc - _A_SECOND)


def _issuers(
    leaf: x509.Certificate, candidates: Sequence[x509.Certificate], *, old_digests: bool
) -> dict[x509.Certificate, list[x509.Certificate]]:
    """The issuers of the leaf and of each certificate above it. Each signature is verified once."""
    by_subject: dict[x509.Name, list[x509.Certificate]] = {}
    for certificate in candidates:
        by_subject.setdefault(certificate.subject, []).append(certificate)
    issuers: dict[x509.Certificate, list[x509.Certificate]] = {}
    waiting, verified = [leaf], 0
    while waiting:
        issued = waiting.pop()
        if issued in issuers:
            continue
        namesakes = [candidate for candidate in by_subject.get(issued.issuer, ()) if candidate not in (issued, leaf)]
        verified += len(namesakes)
        if verified > _MOST_SIGNATURES:
            raise X509Error(
                Message("chain.namesakes", "Too many of these certificates have the same name."), advice=ONLY_THE_CHAIN
            )
        issuers[issued] = list(filter(partial(signed_by, issued, old_digests=old_digests), namesakes))
        waiting += issuers[issued]
    return issuers


def _ranks(
    issuers: Mapping[x509.Certificate, Sequence[x509.Certificate]], used: set[x509.Certificate], moment: datetime
) -> dict[x509.Certificate, int]:
    """The rank of each certificate as the next link of a path that already contains the used ones."""
    valid = {
        certificate
        for certificate in issuers
        if certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc
    } - used
    ranks = {certificate: _TO_EXPIRED if certificate in valid else _EXPIRED for certificate in issuers}
    roots = {certificate for certificate in valid if is_self_signed(certificate)}
    _spread(ranks, issuers, _TO_UNKNOWN, {certificate for certificate in valid if not issuers[certificate]})
    # A client that trusts a root accepts everything signed with its key, whichever certificate of that key is sent.
    keys = {(root.subject, _key(root)) for root in roots}
    crossed = {
        certificate
        for certificate in valid
        if ranks[certificate] == _TO_UNKNOWN and (certificate.subject, _key(certificate)) in keys
    }
    _spread(ranks, issuers, _TO_ROOT, roots | crossed)
    return ranks


def _spread(
    ranks: dict[x509.Certificate, int],
    issuers: Mapping[x509.Certificate, Sequence[x509.Certificate]],
    rank: int,
    ends: set[x509.Certificate],
) -> None:
    """Give a rank to the certificates in ``ends``, and to all valid ones with a worse rank that lead to them."""
    reached = ends
    while reached:
        ranks.update(dict.fromkeys(reached, rank))
        reached = {
            certificate
            for certificate, own in ranks.items()
            if rank < own < _EXPIRED and any(up in reached for up in issuers[certificate])
        }


def _key(certificate: x509.Certificate) -> str:
    return spki_sha256(certificate.public_key())


def _preference(certificate: x509.Certificate) -> tuple[bool, float, bytes]:
    ends = certificate.not_valid_after_utc.timestamp()
    return certificate.issuer == certificate.subject, -ends, certificate.fingerprint(hashes.SHA256())


def _is_too_long(issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    return isinstance(key, rsa.RSAPublicKey) and key.key_size > _LONGEST_RSA


def _signed_with_old_digest(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Verify a signature over SHA-1 or MD5, which ``cryptography`` refuses for certificates (RFC 9155, RFC 6151)."""
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
