"""What an administrator uploads is checked before it is stored, so that the form can say what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from certcore.hints import Message
from certcore.plugin import InvalidInputError

__all__ = ["complete_chain", "read_certificates"]


def read_certificates(text: str, field: str) -> list[x509.Certificate]:
    """The certificates of a text, in its order.

    Args:
        text: PEM.
        field: The field of the form, for the error.

    Raises:
        InvalidInputError: There is no certificate, or one that cannot be read.
    """
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        reason = Message("manual_ca.unreadable", "has no certificate, or one that cannot be read.")
        advice = Message("manual_ca.unreadable.advice", "Paste the CA's answer as PEM, with the BEGIN and END lines.")
        raise InvalidInputError(field, reason, advice=advice) from None


def complete_chain(
    uploaded: str, known: Sequence[x509.Certificate], *, csr_pem: str, names: Sequence[str], now: datetime
) -> str:
    """The leaf for a request with its intermediates, from what was uploaded and from what the CA profile knows.

    certcore itself checks the result once more when it installs it.

    Args:
        uploaded: PEM; the certificates may come in any order.
        known: The CA's own certificates, which it often leaves out of its answer.
        csr_pem: The request.
        names: The names that were requested, A-labels.
        now: The present moment.

    Returns:
        PEM, the leaf first, without the root.

    Raises:
        InvalidInputError: No certificate is for this request, names are missing, it has expired, or no known
            certificate has signed it. The error names the field ``chain``.
    """
    certificates = read_certificates(uploaded, "chain")
    key = x509.load_pem_x509_csr(csr_pem.encode()).public_key()
    leaf = next((certificate for certificate in certificates if certificate.public_key() == key), None)
    if leaf is None:
        reason = Message("manual_ca.other_key", "has no certificate for the key of this request.")
        advice = Message(
            "manual_ca.other_key.advice", "Download the CSR of this certificate, and give that one to the CA."
        )
        raise InvalidInputError("chain", reason, advice=advice)
    issued = _names(leaf)
    # A wildcard covers the names one label below its domain (RFC 9525 section 6.3).
    if missing := [name for name in names if not issued & {name, f"*.{name.partition('.')[2]}"}]:
        params = {"names": ", ".join(missing)}
        raise InvalidInputError("chain", Message("manual_ca.names", "is not for all names; missing: {names}.", params))
    if leaf.not_valid_after_utc <= now:
        params = {"day": leaf.not_valid_after_utc.date().isoformat()}
        raise InvalidInputError("chain", Message("manual_ca.ended", "has ended on {day}.", params))
    chain = _chain(leaf, [*certificates, *known])
    if len(chain) == 1 and known and not _is_known(leaf, known):
        reason = Message("manual_ca.other_ca", "was not issued by the CA of this CA profile.")
        advice = Message(
            "manual_ca.other_ca.advice", "Upload the intermediate certificates, too, or add them to the CA profile."
        )
        raise InvalidInputError("chain", reason, advice=advice)
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in chain)


def _names(leaf: x509.Certificate) -> frozenset[str]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _chain(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """The leaf, its issuer, and so on; a root is left out, because servers do not send it."""
    chain = [leaf]
    while issuer := next((other for other in others if other not in chain and _signed(chain[-1], other)), None):
        if issuer.issuer == issuer.subject:
            break
        chain.append(issuer)
    return chain


def _is_known(leaf: x509.Certificate, known: Sequence[x509.Certificate]) -> bool:
    return any(_signed(leaf, each) for each in known)


def _signed(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
