"""The way from a leaf up through its issuers, among the certificates that are at hand (RFC 5280 section 6.1)."""

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
#: What to do about too many certificates.
ONLY_THE_CHAIN: Final = Message(
    "chain.only_the_chain", "Give the leaf and the certificates that lead from it to the root, and no others."
)
#: How many signatures are verified for one path. A chain with all its cross-signed twins needs some ten; twenty
#: certificates of one name would need 380.
_MOST_SIGNATURES: Final = 100
#: Longer RSA keys sign no certificates of public CAs, and take long to verify with.
_LONGEST_RSA: Final = 8192
_A_SECOND: Final = timedelta(seconds=1)
# Where a link leads, the best first: to a root that was given, to an issuer that was not given, to links out of their
# dates only, or it is out of its own dates.
_TO_ROOT, _TO_UNKNOWN, _TO_EXPIRED, _EXPIRED = range(4)


@frozen(kw_only=True)
class Path:
    """The way from a leaf up through those who signed it, among the certificates that were given."""

    #: The leaf, then each issuer, up to a self-signed one or to the last that was given.
    links: tuple[x509.Certificate, ...]
    #: What a server sends behind the leaf: the links up to a root, and up to the first that has expired.
    chain: tuple[x509.Certificate, ...]
    #: The links that are not in `chain` because they, or one below them, have expired.
    expired: tuple[x509.Certificate, ...]
    #: Other certificates that the leaf leads to: a cross-signed intermediate has several, and a server sends one.
    others: tuple[x509.Certificate, ...]
    #: Those that it does not lead to.
    unrelated: tuple[x509.Certificate, ...]


def follow_issuers(
    leaf: x509.Certificate,
    others: Iterable[x509.Certificate],
    *,
    now: datetime | None = None,
    old_digests: bool = False,
) -> Path:
    """Look for the way up from a leaf; the order in which the certificates were given does not matter.

    Where several certificates have signed one, a way without expired links is followed before one with them, and one
    to a root that was given before one that ends at an issuer that was not given. Among equals, a cross-signed
    intermediate is followed before a root of the same name and key, and the one that ends last before its twins, so
    that as much as possible of what was given is used.

    A leaf that has expired is followed as it was at its end: its chain is the one that served it.

    Args:
        leaf: Where to begin.
        others: Where to look.
        now: The present moment, with its time zone; None for the moment at which the leaf's validity begins.
        old_digests: Follow signatures over SHA-1 and MD5 as well. Whoever asks for it has to judge them.

    Raises:
        X509Error: So many certificates have the same name that following them all would take long.
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
        links.append(min(candidates, key=ranks.__getitem__))  # the first of the best: they are sorted by preference
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
    """The issuers of a leaf, in order, up to the first that has expired: clients refuse what stands above it, too.

    A leaf that has expired itself keeps the issuers that it had at its end.
    """
    moment = _moment(leaf, now)
    ended = (number for number, issuer in enumerate(issuers) if issuer.not_valid_after_utc <= moment)
    return tuple(issuers[: next(ended, len(issuers))])


@lru_cache(maxsize=128)
def is_ca(certificate: x509.Certificate) -> bool:
    """Whether it may sign certificates (RFC 5280 section 4.2.1.9).

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
    """The error for a certificate that is read, but has names or extensions that cannot be."""
    return UnreadablePemError(Message("x509.unreadable_contents", "A certificate has contents that cannot be read."))


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether it was signed with its own key; with whatever digest, as nobody relies on a root's signature."""
    return certificate.issuer == certificate.subject and signed_by(certificate, certificate, old_digests=True)


@lru_cache(maxsize=128)
def signed_by(issued: x509.Certificate, issuer: x509.Certificate, *, old_digests: bool = False) -> bool:
    """Whether one certificate names the other as its issuer and was signed with its key.

    Args:
        issued: The one that was signed.
        issuer: The one whose key it should have been.
        old_digests: Take signatures over SHA-1 and MD5 as well.
    """
    try:
        if issued.issuer != issuer.subject or _is_too_long(issuer):
            return False
        issued.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return old_digests and _signed_with_old_digest(issued, issuer)
    return True


def _moment(leaf: x509.Certificate, now: datetime | None) -> datetime:
    """When the chain has to serve: now, or at the end of a leaf that has ended."""
    return min(now or leaf.not_valid_before_utc, leaf.not_valid_after_utc - _A_SECOND)


def _issuers(
    leaf: x509.Certificate, candidates: Sequence[x509.Certificate], *, old_digests: bool
) -> dict[x509.Certificate, list[x509.Certificate]]:
    """For the leaf, and each certificate that it leads to: the others that signed it, each signature verified once."""
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
    """How well each certificate continues a path that has used some of them already."""
    valid = {
        certificate
        for certificate in issuers
        if certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc
    } - used
    ranks = {certificate: _TO_EXPIRED if certificate in valid else _EXPIRED for certificate in issuers}
    roots = {certificate for certificate in valid if is_self_signed(certificate)}
    _spread(ranks, issuers, _TO_UNKNOWN, {certificate for certificate in valid if not issuers[certificate]})
    # Clients that know a root accept what was signed with its key, whichever of its certificates is sent.
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
    """Give a rank to these certificates, and to all valid ones of a lower rank that lead to them."""
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
