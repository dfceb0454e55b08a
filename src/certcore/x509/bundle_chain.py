"""The chain of a certificate that is to be imported: found among what was pasted, or refused in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certcore.errors import InvalidInput, X509Error
from certcore.model.hints import Message
from certcore.x509.bundle_warning import BundleWarning, bundle_warning
from certcore.x509.pasted import GivenCertificate, Pasted
from certcore.x509.path import UNREADABLE, Path, follow_issuers, is_self_signed, signed_by
from certcore.x509.unreadable import raw_names
from certcore.x509.weakness import key_refusal, may_sign_certificates, old_digest
from certcore.x509.wording import called, issuer_source, last_day, listed, shown_name

__all__ = ["false_issuers", "find_chain", "is_plain_root"]


def find_chain(
    pasted: Pasted, leaf: GivenCertificate, now: datetime
) -> tuple[list[x509.Certificate], list[BundleWarning]]:
    """The chain of a leaf among the certificates that were given, with what a person should know about it.

    Raises:
        InvalidInput: A certificate is missing or left over, or cannot be used; ``field`` says where.
    """
    fields = {one.certificate: one.field for one in pasted.certificates}
    others = [one for one in fields if one != leaf.certificate]
    try:
        path = follow_issuers(leaf.certificate, others, now=now, old_digests=True)
    except X509Error as error:
        raise InvalidInput(fields[others[-1]], error.message, advice=error.advice) from None
    top = path.links[-1]
    unreadable = list(_left_out(pasted, leaf, top))
    unrelated = tuple(one for one in path.unrelated if not _is_namesake_of_root(one, path))
    if unrelated:
        raise _broken(fields[unrelated[0]], top, unrelated)
    chain, last = list(path.chain), (leaf.certificate, *path.chain)[-1]
    warnings = [
        *unreadable,
        *(
            bundle_warning(
                fields[one],
                "bundle.other_root",
                "{name} has the name of the issuer of {issued}, but did not sign it: it is left out.",
                name=called(one),
                issued=called(top),
            )
            for one in path.unrelated
        ),
    ]
    warnings += [
        bundle_warning(
            fields[one],
            "bundle.chain_expired",
            "{name} in the chain expired on {day}, and is left out; clients have to know {issuer} already.{source}",
            name=called(one),
            day=last_day(one),
            issuer=shown_name(last.issuer),
            source="" if chain else issuer_source(last),
        )
        for one in path.expired[:1]
    ]
    for one in chain:
        if old_digest(one) == "MD5":
            raise InvalidInput(
                fields[one],
                f"{called(one)} is signed over MD5, which can be forged; no browser takes it.",
                advice="Ask the CA for its present intermediate certificate.",
            )
        warnings += [BundleWarning(field=fields[one], message=doubt) for doubt in _chain_doubts(one)]
    warnings += [
        bundle_warning(
            fields[one],
            "bundle.other_issuer",
            "{name} is another issuer of the same chain, and is left out.",
            name=called(one),
        )
        for one in path.others
        if not is_self_signed(one)
    ]
    if len(path.links) == 1 and not is_self_signed(last):
        warnings.append(
            bundle_warning(
                "ca_bundle",
                "bundle.chain_missing",
                "The leaf was issued by {issuer}, whose certificate is not here; clients that do not know it will "
                "refuse the leaf.{source}",
                issuer=shown_name(last.issuer),
                source=issuer_source(last),
            )
        )
    return chain, warnings


def _broken(field: str, last: x509.Certificate, unrelated: tuple[x509.Certificate, ...]) -> InvalidInput:
    strange = listed(map(called, unrelated))
    if is_self_signed(last):
        return InvalidInput(
            field, f"no part of the leaf's chain: {strange}.", advice="Leave that out, or look for the right file."
        )
    issuer = shown_name(last.issuer)
    advice = f"Give the certificate {issuer} that signed it.{issuer_source(last)}"
    namesake = next((one for one in unrelated if one.subject == last.issuer), None)
    if namesake is not None:
        reason = f"{called(namesake)} has the name of the issuer of {called(last)}, but did not sign it."
        advice = f"There are several CAs named {issuer}. {_by_key(last, namesake)}{issuer_source(last)}"
    else:
        reason = f"{called(last)} was issued by {issuer}, which is not here; what is here did not sign it: {strange}."
    return InvalidInput(field, f"the chain has a gap: {reason}", advice=advice)


def is_plain_root(certificate: x509.Certificate, given: Iterable[GivenCertificate]) -> bool:
    """Whether it is a root that does not say that it is a CA, as small CAs make them: it signed itself and another."""
    return is_self_signed(certificate) and any(
        signed_by(one.certificate, certificate) for one in given if one.certificate != certificate
    )


def false_issuers(ends: Sequence[GivenCertificate]) -> Iterator[InvalidInput]:
    """Refusals of certificates that signed another one, and may not: clients refuse a leaf with them."""
    for issuer in ends:
        for issued in ends:
            if issued is not issuer and signed_by(issued.certificate, issuer.certificate):
                yield InvalidInput(
                    issuer.field,
                    f"{called(issuer.certificate)} signed {called(issued.certificate)}, but does not say that it is a "
                    "CA (basicConstraints, RFC 5280 section 4.2.1.9); clients refuse that.",
                    advice="Have the certificate of that CA made anew, with CA:TRUE; or leave it out.",
                )


def _by_key(issued: x509.Certificate, namesake: x509.Certificate) -> str:
    """How to tell the right issuer from its namesake (RFC 5280 sections 4.2.1.1 and 4.2.1.2)."""
    try:
        wanted = issued.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        here = namesake.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except (x509.ExtensionNotFound, *UNREADABLE):
        wanted = None
    if not wanted:
        return "Give the one that was in use when the certificate was issued; the CA offers older and newer ones."
    return f"Give the one whose subject key identifier is {wanted.hex()[:64]}; the one here has {here.hex()[:64]}."


def _is_namesake_of_root(certificate: x509.Certificate, path: Path) -> bool:
    """Whether it is a root of the name that the chain leads to, with another key: servers send no roots anyway."""
    top = path.links[-1]
    is_next = certificate.subject == top.issuer and not is_self_signed(top)
    return len(path.links) > 1 and is_next and is_self_signed(certificate)


def _left_out(pasted: Pasted, leaf: GivenCertificate, top: x509.Certificate) -> Iterator[BundleWarning]:
    """Certificates that cannot be read, and that nobody needs.

    Raises:
        InvalidInput: One is needed.
    """
    names = raw_names(top.public_bytes(Encoding.DER))
    for one in pasted.unreadable:
        is_next = names is not None and one.names.subject == names.issuer
        if not one.is_root and not is_self_signed(top) and (is_next or top == leaf.certificate):
            raise one.refusal()
        yield bundle_warning(
            one.field,
            "bundle.unreadable",
            "{name} is not needed, and is left out; it cannot be read: {reason}",
            name=one.names.text,
            reason=one.reason or "it is damaged.",
        )


def _chain_doubts(certificate: x509.Certificate) -> Iterator[Message]:
    name = {"name": called(certificate)}
    if old_digest(certificate):
        yield Message("bundle.chain_sha1", "{name} in the chain is signed over SHA-1, which browsers refuse.", name)
    if not may_sign_certificates(certificate):
        text = "The key usage of {name} in the chain does not allow it to sign certificates; clients refuse that."
        yield Message("bundle.chain_usage", text, name)
    if reason := key_refusal(certificate):
        yield Message("bundle.chain_weak_key", "{name} in the chain: {reason}", {**name, "reason": reason})
