"""Find the chain of an imported certificate among the pasted certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certcore.errors import InvalidInputError, X509Error
from certcore.messages import Message
from certcore.x509.chain_path import UNREADABLE, Path, follow_issuers, is_self_signed, signed_by
from certcore.x509.describe import called, following_source, last_day, listed, shown_name
from certcore.x509.import_input import GivenCertificate, Pasted
from certcore.x509.import_warnings import BundleWarning
from certcore.x509.unreadable import raw_names
from certcore.x509.weakness import key_refusal, may_sign_certificates, old_digest

__all__ = ["false_issuers", "find_chain", "is_plain_root"]


def find_chain(
    pasted: Pasted, leaf: GivenCertificate, now: datetime
) -> tuple[list[x509.Certificate], list[BundleWarning]]:
    """Find the chain of a leaf among the pasted certificates.

    Returns:
        The intermediates in order, and the warnings about the chain.

    Raises:
        InvalidInputError: A certificate is missing, left over or unusable; ``field`` says where.
    """
    fields = {item.certificate: item.field for item in pasted.certificates}
    others = [certificate for certificate in fields if certificate != leaf.certificate]
    try:
        path = follow_issuers(leaf.certificate, others, now=now, old_digests=True)
    except X509Error as error:
        raise InvalidInputError(fields[others[-1]], error.text, advice=error.advice_text) from None
    top = path.links[-1]
    unreadable = list(_left_out(pasted, leaf, top))
    unrelated = tuple(certificate for certificate in path.unrelated if not _is_namesake_of_root(certificate, path))
    if unrelated:
        raise _broken(fields[unrelated[0]], top, unrelated)
    chain, last = list(path.chain), (leaf.certificate, *path.chain)[-1]
    warnings = [
        *unreadable,
        *(
            BundleWarning(field=fields[certificate], message=_other_root(certificate, top))
            for certificate in path.unrelated
        ),
    ]
    warnings += [
        BundleWarning(field=fields[certificate], message=_expired(certificate, last, is_last=not chain))
        for certificate in path.expired[:1]
    ]
    for certificate in chain:
        if old_digest(certificate) == "MD5":
            text = "{name} is signed over MD5, which can be forged; no browser accepts it."
            raise InvalidInputError(
                fields[certificate],
                Message("bundle.chain_md5", text, {"name": called(certificate)}),
                advice=Message("bundle.chain_md5.advice", "Ask the CA for its current intermediate certificate."),
            )
        warnings += [BundleWarning(field=fields[certificate], message=doubt) for doubt in _chain_doubts(certificate)]
    warnings += [
        BundleWarning(field=fields[certificate], message=_other_issuer(certificate))
        for certificate in path.others
        if not is_self_signed(certificate)
    ]
    if len(path.links) == 1 and not is_self_signed(last):
        warnings.append(BundleWarning(field="ca_bundle", message=_missing(last)))
    return chain, warnings


def _other_root(certificate: x509.Certificate, top: x509.Certificate) -> Message:
    text = "{name} has the name of the issuer of {issued}, but did not sign it: it is left out."
    return Message("bundle.other_root", text, {"name": called(certificate), "issued": called(top)})


def _other_issuer(certificate: x509.Certificate) -> Message:
    text = "{name} is another issuer of the same chain, and is left out."
    return Message("bundle.other_issuer", text, {"name": called(certificate)})


def _expired(certificate: x509.Certificate, last: x509.Certificate, *, is_last: bool) -> Message:
    text = "{name} in the chain expired on {day} and is left out; clients must already know {issuer}.{source}"
    params = {"name": called(certificate), "day": last_day(certificate), "issuer": shown_name(last.issuer)}
    return Message("bundle.chain_expired", text, {**params, "source": following_source(last) if is_last else ""})


def _missing(last: x509.Certificate) -> Message:
    text = (
        "The leaf was issued by {issuer}, whose certificate is not here; clients that do not know it will "
        "refuse the leaf.{source}"
    )
    params = {"issuer": shown_name(last.issuer), "source": following_source(last)}
    return Message("bundle.chain_missing", text, params)


def _broken(field: str, last: x509.Certificate, unrelated: tuple[x509.Certificate, ...]) -> InvalidInputError:
    strange = listed(map(called, unrelated))
    if is_self_signed(last):
        return InvalidInputError(
            field,
            Message("bundle.unrelated", "these are not part of the leaf's chain: {names}.", {"names": strange}),
            advice=Message("bundle.unrelated.advice", "Leave them out, or look for the right file."),
        )
    issuer = shown_name(last.issuer)
    namesake = next((certificate for certificate in unrelated if certificate.subject == last.issuer), None)
    if namesake is None:
        text = (
            "the chain has a gap: {name} was issued by {issuer}, which is not here; what is here did not sign it: "
            "{names}."
        )
        reason = Message("bundle.gap", text, {"name": called(last), "issuer": issuer, "names": strange})
        text = "Give the certificate {issuer} that signed it.{source}"
        advice = Message("bundle.gap.advice", text, {"issuer": issuer, "source": following_source(last)})
        return InvalidInputError(field, reason, advice=advice)
    text = "the chain has a gap: {name} has the name of the issuer of {issued}, but did not sign it."
    reason = Message("bundle.gap_by_namesake", text, {"name": called(namesake), "issued": called(last)})
    params = {"issuer": issuer, "which": _by_key(last, namesake), "source": following_source(last)}
    text = "There are several CAs named {issuer}. {which}{source}"
    return InvalidInputError(field, reason, advice=Message("bundle.gap_by_namesake.advice", text, params))


def is_plain_root(certificate: x509.Certificate, others: Iterable[GivenCertificate]) -> bool:
    """Whether a certificate without a CA flag signed itself and another one. Small CAs make such roots."""
    return is_self_signed(certificate) and any(
        signed_by(item.certificate, certificate) for item in others if item.certificate != certificate
    )


def false_issuers(ends: Sequence[GivenCertificate]) -> Iterator[InvalidInputError]:
    """The errors for certificates that signed another one without being a CA. Clients refuse such a chain."""
    for issuer in ends:
        for issued in ends:
            if issued is not issuer and signed_by(issued.certificate, issuer.certificate):
                text = (
                    "{name} signed {issued}, but does not say that it is a CA (basicConstraints, RFC 5280 section "
                    "4.2.1.9); clients refuse that."
                )
                params = {"name": called(issuer.certificate), "issued": called(issued.certificate)}
                advice = "Have that CA's certificate issued again with CA:TRUE, or leave it out."
                yield InvalidInputError(
                    issuer.field,
                    Message("bundle.false_issuer", text, params),
                    advice=Message("bundle.false_issuer.advice", advice),
                )


def _by_key(issued: x509.Certificate, namesake: x509.Certificate) -> Message:
    """Advice on telling the right issuer from its namesake (RFC 5280 sections 4.2.1.1 and 4.2.1.2)."""
    try:
        key_identifier = issued.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        here = namesake.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, *UNREADABLE):
        key_identifier = None
    if not key_identifier:
        text = "Give the one that was in use when the certificate was issued; the CA offers older and newer ones."
        return Message("bundle.namesake.by_time", text)
    text = "Give the one whose subject key identifier is {needed}; the one here has {here}."
    return Message("bundle.namesake.by_key", text, {"needed": key_identifier.hex()[:64], "here": here.hex()[:64]})


def _is_namesake_of_root(certificate: x509.Certificate, path: Path) -> bool:
    """Whether a certificate is a root with the name of the chain's root and another key. Servers send no roots."""
    top = path.links[-1]
    is_next = certificate.subject == top.issuer and not is_self_signed(top)
    return len(path.links) > 1 and is_next and is_self_signed(certificate)


def _left_out(pasted: Pasted, leaf: GivenCertificate, top: x509.Certificate) -> Iterator[BundleWarning]:
    """Warnings about unreadable certificates that are not needed.

    Raises:
        InvalidInputError: An unreadable certificate is needed.
    """
    names = raw_names(top.public_bytes(Encoding.DER))
    for piece in pasted.unreadable:
        is_next = names is not None and piece.names.subject == names.issuer
        if not piece.is_root and not is_self_signed(top) and (is_next or top == leaf.certificate):
            raise piece.refusal()
        text = "{name} is not needed, and is left out; it cannot be read: {reason}"
        reason = piece.reason or Message("bundle.unreadable.damaged", "it is damaged.")
        message = Message("bundle.unreadable", text, {"name": piece.names.text, "reason": reason})
        yield BundleWarning(field=piece.field, message=message)


def _chain_doubts(certificate: x509.Certificate) -> Iterator[Message]:
    name = {"name": called(certificate)}
    if old_digest(certificate):
        yield Message("bundle.chain_sha1", "{name} in the chain is signed over SHA-1, which browsers refuse.", name)
    if not may_sign_certificates(certificate):
        text = "The key usage of {name} in the chain does not allow it to sign certificates; clients refuse that."
        yield Message("bundle.chain_usage", text, name)
    if reason := key_refusal(certificate):
        yield Message("bundle.chain_weak_key", "{name} in the chain: {reason}", {**name, "reason": reason})
