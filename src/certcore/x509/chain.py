"""Certificate chains (RFC 5280 section 6.1): find the leaf, order its intermediates, verify every signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certcore.errors import LeafRejectedError, UnreadablePemError, X509Error
from certcore.messages import Message
from certcore.model.leaf import Leaf
from certcore.model.names import Identifier
from certcore.x509.chain_path import UNREADABLE, Path, follow_issuers, is_ca, signed_by, unexpired, unreadable_contents
from certcore.x509.describe import called, listed, shown_name
from certcore.x509.leaf import leaf_details
from certcore.x509.leaf_checks import judge_leaf
from certcore.x509.weakness import LONGEST_SERIAL, old_digest

__all__ = [
    "MAX_BYTES",
    "MAX_CERTIFICATES",
    "Chain",
    "certificate_pem",
    "check_leaf",
    "has_whole_signature",
    "parse_certificates",
    "parse_chain",
    "presentable_chain",
    "verify_chain",
]

#: The longest text that is read, in bytes.
MAX_BYTES: Final = 256 * 1024
#: The largest number of certificates that is read: more than any chain has, roots and cross-signed variants included.
MAX_CERTIFICATES: Final = 20
_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
#: How far this machine's clock may be behind the CA's when a certificate's start is checked.
_CLOCK_SKEW: Final = timedelta(hours=1)


@frozen(kw_only=True)
class Chain:
    """A leaf with its intermediates in order. A root is left out, because servers do not send it."""

    #: The leaf in PEM.
    leaf_pem: str
    #: The intermediates in PEM, each signed by the next; empty when a root signed the leaf or no issuer was given.
    chain_pem: str
    #: The details of the leaf.
    leaf: Leaf


def parse_certificates(text: str | bytes) -> list[x509.Certificate]:
    """Read all certificates of a PEM text, in the order of the text. Text between the blocks is ignored.

    Raises:
        UnreadablePemError: The text is longer than `MAX_BYTES`, has no certificate or more than `MAX_CERTIFICATES`, or
            a certificate cannot be read.
    """
    plain = text.decode("ascii", "replace") if isinstance(text, bytes) else text
    if len(plain) > MAX_BYTES:
        text = "The text is longer than {count} bytes, too long for a certificate chain."
        raise UnreadablePemError(Message("chain.too_long", text, {"count": MAX_BYTES}))
    blocks = list(_blocks(plain.replace("\r\n", "\n").replace("\r", "\n")))
    if not blocks:
        raise UnreadablePemError(
            Message("chain.none", "There is no certificate in this text."),
            advice=Message("chain.none.advice", "Paste the BEGIN and END lines too."),
        )
    if len(blocks) > MAX_CERTIFICATES:
        text = "There are {count} certificates; a chain has at most {most}."
        params = {"count": len(blocks), "most": MAX_CERTIFICATES}
        raise UnreadablePemError(Message("chain.too_many", text, params))
    parsed = []
    for number, block in enumerate(blocks, 1):
        place = {"number": number, "all": len(blocks)}
        try:
            certificate, is_whole = _load(block)
        except UNREADABLE:
            text = "Certificate number {number} of {all} cannot be read."
            raise UnreadablePemError(Message("chain.unreadable", text, place)) from None
        if not is_whole:
            text = "Certificate number {number} of {all} has a signature that is cut off."
            raise UnreadablePemError(Message("chain.cut_off", text, place))
        parsed.append(certificate)
    return parsed


def parse_chain(text: str | bytes, *, now: datetime | None = None) -> Chain:
    """Read a leaf with its chain as a CA returns them. The certificates may come in any order and more than once.

    Certificates that are not needed to present the leaf are left out: roots, expired intermediates with everything
    above them, and certificates that signed nothing in the chain. The chain is empty if the CA has omitted the issuer.

    Args:
        text: PEM. If several certificates are leaves, the first certificate must be the leaf that is wanted (RFC 8555
            section 9.1).
        now: The present moment, with its time zone; None for the moment at which the leaf's validity begins.

    Raises:
        UnreadablePemError: A certificate cannot be read.
        X509Error: There is no leaf; there are several and the first certificate is not one of them; the leaf's
            signature uses MD5 or SHA-1; or a certificate with the name of the leaf's issuer did not sign the leaf.
    """
    certificates = list(dict.fromkeys(parse_certificates(text)))
    try:
        return _in_order(certificates, now)
    except UNREADABLE:  # cryptography parses names and extensions on first access
        raise unreadable_contents() from None


def check_leaf(chain: Chain, *, names: Sequence[Identifier], csr_pem: str, now: datetime) -> None:
    """Refuse a leaf that does not match the request it was issued for. Additional names are accepted.

    Use `certcore.x509.leaf_checks.judge_leaf` to get every fault instead of the first one.

    Args:
        chain: The chain that the CA returned.
        names: The names of the request.
        csr_pem: The CSR in PEM.
        now: The present moment, with its time zone.

    Raises:
        LeafRejectedError: The key, the names or the validity dates are wrong; the message says which.
        UnreadablePemError: The CSR cannot be read.
    """
    judgement = judge_leaf(chain.leaf, names=names, csr_pem=csr_pem, now=now)
    if not judgement.serves:
        raise LeafRejectedError(judgement.text, advice=judgement.advice)


def verify_chain(chain: Chain, roots_pem: str | bytes, now: datetime) -> x509.Certificate:
    """Verify a chain up to one of the given roots: the signature, validity dates and CA flag of every certificate.

    Args:
        chain: The chain, in order.
        roots_pem: The trusted roots in PEM.
        now: The present moment, with its time zone.

    Returns:
        The root that the chain leads to.

    Raises:
        UnreadablePemError: A certificate cannot be read.
        X509Error: The chain leads to none of the roots, is broken, or has a certificate that is not valid now.
    """
    roots = parse_certificates(roots_pem)
    links = parse_certificates(chain.leaf_pem + chain.chain_pem)
    for link in links:
        if not link.not_valid_before_utc - _CLOCK_SKEW <= now < link.not_valid_after_utc:
            params = {"name": called(link)}
            raise X509Error(Message("chain.not_valid_now", "{name} in the chain is not valid now.", params))
    for issued, issuer in pairwise(links):
        if not is_ca(issuer) or not signed_by(issued, issuer):
            text = "{name} was not signed by the next certificate of the chain."
            raise X509Error(Message("chain.not_signed_by_next", text, {"name": called(issued)}))
    for root in roots:
        if is_ca(root) and signed_by(links[-1], root) and now < root.not_valid_after_utc:
            return root
    raise X509Error(Message("chain.no_root", "The chain does not lead to any of the given roots."))


def presentable_chain(leaf_pem: str, chain_pem: str, now: datetime) -> str:
    """The part of a stored chain that a server presents now: the intermediates before the first expired one.

    Args:
        leaf_pem: The leaf in PEM. An expired leaf keeps the intermediates that were valid when it expired.
        chain_pem: The intermediates in PEM, as in `Chain.chain_pem`.
        now: The present moment, with its time zone.

    Returns:
        The intermediates in PEM.

    Raises:
        UnreadablePemError: A certificate cannot be read.
    """
    if not chain_pem:
        return ""
    leaf, *issuers = parse_certificates(leaf_pem + chain_pem)
    return "".join(map(certificate_pem, unexpired(leaf, issuers, now)))


def has_whole_signature(certificate: x509.Certificate) -> bool:
    """Whether the signature's BIT STRING declares zero unused bits.

    The signature does not cover that count, and ``cryptography`` ignores it. Without this check, one certificate could
    be written with several fingerprints.
    """
    return certificate.public_bytes(serialization.Encoding.DER).endswith(b"\0" + certificate.signature)


def certificate_pem(certificate: x509.Certificate) -> str:
    """The certificate as PEM (RFC 7468 section 5.1): 64 columns, one line end at the end."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@lru_cache(maxsize=32)
def _load(block: str) -> tuple[x509.Certificate, bool]:
    """A certificate, and whether its signature is whole. Cached: one step reads the same chain several times."""
    certificate = x509.load_pem_x509_certificate(block.encode())
    return certificate, has_whole_signature(certificate)


def _blocks(text: str) -> Iterator[str]:
    """Each BEGIN line with the text up to the next END line, in linear time."""
    begin = text.find(_BEGIN)
    while begin >= 0:
        end = text.find(_END, begin)
        if end < 0:
            return
        yield text[begin : end + len(_END)]
        begin = text.find(_BEGIN, end)


def _in_order(certificates: Sequence[x509.Certificate], now: datetime | None) -> Chain:
    leaf = _find_leaf(certificates)
    if leaf.serial_number.bit_length() > LONGEST_SERIAL:
        text = "The leaf's serial number is longer than 20 bytes (RFC 5280 section 4.1.2.2)."
        raise UnreadablePemError(Message("chain.long_serial_number", text))
    if digest := old_digest(leaf):
        text = "The leaf is signed over {digest}, which can be forged; no browser accepts it."
        raise X509Error(Message("chain.weak_signature", text, {"digest": digest}))
    others = [certificate for certificate in certificates if certificate is not leaf]
    # The BasicConstraints of a root are ignored: clients trust it by configuration (RFC 5280 section 6.1.1 (d)).
    path = follow_issuers(leaf, (other for other in others if is_ca(other) or other.issuer == other.subject), now=now)
    _refuse_false_issuer(leaf, path, others)
    return Chain(
        leaf_pem=certificate_pem(leaf),
        chain_pem="".join(map(certificate_pem, path.chain)),
        leaf=leaf_details(leaf),
    )


def _find_leaf(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    ends = [certificate for certificate in certificates if not is_ca(certificate)]
    if len(ends) == 1 or ends[:1] == list(certificates[:1]):
        return ends[0]
    if not ends:
        text = "There is no leaf among these certificates: all of them are CA certificates."
        raise X509Error(Message("chain.no_leaf", text))
    text = "There are {count} leaves, but one is needed: {names}."
    raise X509Error(
        Message("chain.several_leaves", text, {"count": len(ends), "names": listed(map(called, ends))}),
        advice=Message("chain.several_leaves.advice", "Remove the certificates that do not belong to this chain."),
    )


def _refuse_false_issuer(leaf: x509.Certificate, path: Path, others: Sequence[x509.Certificate]) -> None:
    """Refuse a leaf whose signature does not verify with the given certificate that has the name of its issuer.

    One of the two is damaged then. Certificates with other names are only left out of the chain.
    """
    if len(path.links) > 1:
        return
    for other in others:
        if other.subject == leaf.issuer:
            text = "The certificate of {issuer} that signed the leaf is needed."
            advice = Message("chain.broken.advice", text, {"issuer": shown_name(leaf.issuer)})
            raise X509Error(_broken(leaf, other), advice=advice)


def _broken(leaf: x509.Certificate, other: x509.Certificate) -> Message:
    params = {"name": called(other), "leaf": called(leaf)}
    if is_ca(other):
        text = "The chain is broken: {name} has the name of the issuer of {leaf}, but did not sign it."
        return Message("chain.broken", text, params)
    text = "The chain is broken: {name} has the name of the issuer of {leaf}, but is not a CA certificate."
    return Message("chain.broken_by_leaf", text, params)
