"""Checks of the leaf that was issued for the first certificate, each of one property (RFC 5280 section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

from certcore.errors import X509Error
from certcore.ports.ca_module import Issued
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence
from certcore.testing.conformance.values import (
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)
from certcore.x509.chain import Chain, parse_certificates, parse_chain
from certcore.x509.chain_path import is_ca
from certcore.x509.leaf_checks import LeafFault, LeafJudgement, judge_leaf
from certcore.x509.weakness import LONGEST_SERIAL

__all__ = ["LEAVES"]

_check: Final = check_of(Suite.CA_MODULE, always=("step-type",))

_OLD_DIGESTS: Final = frozenset({"md5", "sha1"})


def _issued(evidence: ModuleEvidence) -> Iterator[tuple[str, str]]:
    """The chains that were issued, each with the request that it was issued for."""
    calls = evidence.first.calls
    chains = [(call.returned.chain_pem, call) for call in calls if isinstance(call.returned, Issued)]
    if not chains:
        raise NotApplicableError("Nothing was issued.")
    for chain, call in chains:
        yield chain, call.arguments[0].issuance.csr_pem


def _certificates(chain: str) -> list[x509.Certificate]:
    try:
        return list(parse_certificates(chain))
    except X509Error as error:
        raise RuleBrokenError(f"What was issued cannot be read: {error.message}") from None


def _leaf_of(chain: str) -> x509.Certificate:
    certificates = [certificate for certificate in _certificates(chain) if not is_ca(certificate)]
    return certificates[0] if certificates else _certificates(chain)[0]


def _readable(evidence: ModuleEvidence) -> None:
    for chain, _ in _issued(evidence):
        _certificates(chain)


def _end_entity(evidence: ModuleEvidence) -> None:
    for chain, _ in _issued(evidence):
        leaves = [certificate for certificate in _certificates(chain) if not is_ca(certificate)]
        require(leaves, "What was issued has no leaf: every certificate of it is one of a CA.")


def _parsed(chain: str) -> Chain:
    try:
        return parse_chain(chain)
    except X509Error as error:
        raise RuleBrokenError(error.message) from None


def _chain(evidence: ModuleEvidence) -> None:
    for chain, _ in _issued(evidence):
        _parsed(chain)
        leaf = _leaf_of(chain)
        issuers = [each for each in _certificates(chain) if each.subject == leaf.issuer and each != leaf]
        signed = any(_signed(leaf, issuer) for issuer in issuers)
        require(not issuers or signed, "The leaf is not signed by the certificate of its issuer in the chain.")


def _signed(leaf: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        leaf.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _judgements(evidence: ModuleEvidence) -> Iterator[LeafJudgement]:
    names = evidence.first.certificate.names
    for call in evidence.first.calls:
        if isinstance(call.returned, Issued):
            csr = call.arguments[0].issuance.csr_pem
            yield judge_leaf(_parsed(call.returned.chain_pem).leaf, names=names, csr_pem=csr, now=call.now)


def _without(faults: frozenset[LeafFault], evidence: ModuleEvidence) -> None:
    next(_issued(evidence))
    for judgement in _judgements(evidence):
        if faults & set(judgement.faults):
            raise RuleBrokenError(f"{judgement.text} {judgement.advice}")


def _serial(evidence: ModuleEvidence) -> None:
    for chain, _ in _issued(evidence):
        serial = _leaf_of(chain).serial_number
        text = f"The serial number has {serial.bit_length()} bits: a positive number of at most 20 octets is needed."
        require(serial > 0 and serial.bit_length() < LONGEST_SERIAL, text)
        require(serial.bit_length() > 8, "The serial number is a small one: use 64 bits of random and more.")  # noqa: PLR2004 - one octet


def _digest(evidence: ModuleEvidence) -> None:
    for chain, _ in _issued(evidence):
        digest = _leaf_of(chain).signature_hash_algorithm
        name = "" if digest is None else digest.name
        require(name not in _OLD_DIGESTS, f"The leaf is signed with {name}, which clients refuse.")


def _server_auth(evidence: ModuleEvidence) -> None:
    for chain, _ in _issued(evidence):
        try:
            usage = _leaf_of(chain).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        text = "The leaf's extended key usage lacks serverAuth, so clients refuse it for a TLS server."
        require(ExtendedKeyUsageOID.SERVER_AUTH in usage, text)


#: In the order in which they are run.
LEAVES: Final = (
    _check(
        "leaf-readable",
        "What is issued is PEM of certificates that can be read.",
        "A chain that cannot be read is refused, and the order was for nothing.",
        _readable,
    ),
    _check(
        "leaf-end-entity",
        "What is issued has a leaf, which is no certificate of a CA (RFC 5280 section 4.2.1.9).",
        "A leaf that may sign others makes everybody a CA who holds its key.",
        _end_entity,
        needs=("leaf-readable",),
    ),
    _check(
        "leaf-digest",
        "The leaf is not signed with MD5 or SHA-1.",
        "Clients refuse such signatures.",
        _digest,
        needs=("leaf-readable",),
    ),
    _check(
        "leaf-signature",
        "The leaf is signed by the certificate of its issuer that comes with it.",
        "No client would accept it.",
        _chain,
        needs=("leaf-readable", "leaf-end-entity", "leaf-digest"),
    ),
    _check(
        "leaf-key",
        "The leaf is for the public key of the request.",
        "The server has no private key for it.",
        partial(_without, frozenset({LeafFault.OTHER_KEY})),
        needs=("leaf-readable", "leaf-end-entity", "leaf-signature"),
    ),
    _check(
        "leaf-names",
        "The leaf has every name of the request in its subjectAltName (RFC 5280 section 4.2.1.6).",
        "Clients refuse it for the name that is missing.",
        partial(_without, frozenset({LeafFault.MISSING_NAMES})),
        needs=("leaf-readable", "leaf-end-entity", "leaf-signature"),
    ),
    _check(
        "leaf-dates",
        "The leaf is valid at the moment at which it is issued, by the clock of work.environment.",
        "A leaf that has expired, or is not valid yet, cannot be put into service.",
        partial(_without, frozenset({LeafFault.NO_VALIDITY, LeafFault.NOT_YET_VALID, LeafFault.EXPIRED})),
        needs=("leaf-readable", "leaf-end-entity", "leaf-signature"),
    ),
    _check(
        "leaf-serial",
        "The serial number is positive, has at most 20 octets and is no small number (RFC 5280 section 4.1.2.2).",
        "Serial numbers that can be guessed, or are too long, are refused by clients and by revocation lists.",
        _serial,
        needs=("leaf-readable",),
    ),
    _check(
        "leaf-server",
        "If the leaf has an extended key usage, it has serverAuth (RFC 5280 section 4.2.1.12).",
        "Clients refuse the leaf for a TLS server otherwise.",
        _server_auth,
        needs=("leaf-readable",),
    ),
)
