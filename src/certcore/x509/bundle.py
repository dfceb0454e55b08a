"""An existing certificate that is to be imported: from whatever a person pastes or uploads to one checked value.

What is refused, and what is taken with a warning, follows one rule: a bundle is taken when a server can present it, or
could until it expired, and when nothing is left over that the person may have meant. So a certificate that is no part
of the chain is refused by its name and not dropped in silence: as a rule it shows that the wrong file was taken. An
expired certificate is taken, because people import one to look at it, or to have it renewed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from types import MappingProxyType
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certcore.errors import InvalidInput, KeyMismatch, UnreadablePem
from certcore.model.hints import Message
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.names import MAX_NAMES, Identifier
from certcore.model.secret import Secret
from certcore.x509.bundle_chain import false_issuers, find_chain, is_plain_root
from certcore.x509.bundle_warning import BundleWarning, bundle_warning
from certcore.x509.chain import certificate_pem
from certcore.x509.csr import alternative_names
from certcore.x509.der import Kind
from certcore.x509.keys import key_type_of, private_key_pem, spki_sha256
from certcore.x509.leaf import leaf_details
from certcore.x509.pasted import GivenCertificate, GivenKey, Pasted, read_pasted
from certcore.x509.path import UNREADABLE, is_ca, is_self_signed
from certcore.x509.rsa_keys import rsa_key_fault
from certcore.x509.weakness import (
    certificate_refusal,
    key_doubts,
    key_refusal,
    usable_names,
    usage_doubts,
    usage_refusal,
)
from certcore.x509.wording import called, last_day, listed

__all__ = ["Bundle", "BundleWarning", "read_bundle"]

_ADVICE: Final = MappingProxyType(
    {
        Kind.REQUEST: "A CA makes a certificate from it: give that certificate, and the private key of the request.",
        Kind.REVOCATION_LIST: "Leave it out: a server does not need it.",
        Kind.PUBLIC_KEY: "It is a part of the certificate: give the certificate itself, and the private key.",
        Kind.SSH: "Keys of SSH are for logging in; look for the files that came from the CA.",
        Kind.PGP: "Keys of PGP are for mail; look for the files that came from the CA.",
        Kind.KEY_STORE: "Convert it first: keytool -importkeystore -deststoretype PKCS12",
        Kind.ARCHIVE: "Unpack it, and give the files in it.",
        Kind.WEB_PAGE: "Download the certificate again; perhaps you were not logged in any more.",
    }
)


@frozen(kw_only=True)
class Bundle:
    """A leaf with its chain and its private key: checked, belonging together, and written in one way."""

    leaf_pem: str
    #: The intermediates in order, each signed by the next; a root is left out, as servers do not send it.
    chain_pem: str
    leaf: Leaf
    #: The usable subject alternative names, in the leaf's order.
    names: tuple[Identifier, ...]
    #: None for kinds of key that a renewal cannot make again.
    key_type: KeyType | None
    #: Unencrypted PKCS#8 PEM; None when there was none.
    private_key: Secret | None
    warnings: tuple[BundleWarning, ...]


def read_bundle(
    leaf: str | bytes,
    private_key: str | bytes | None = None,
    ca_bundle: str | bytes | None = None,
    *,
    password: bytes | str | None = None,
    now: datetime,
) -> Bundle:
    """Read and check an existing certificate, with its key and chain.

    Any field may hold anything: PEM blocks in any order among other text, bare base64, DER, PKCS#7 or PKCS#12. The same
    things always make the same bundle, up to the field that a warning names.

    Args:
        leaf: The certificate, or all in one.
        private_key: The private key.
        ca_bundle: The intermediates; a root does no harm.
        password: The password of an encrypted key or of a PKCS#12 file.
        now: The present moment, with its time zone.

    Raises:
        InvalidInput: Something is damaged, missing, left over, or unfit for a TLS server; ``field`` says where.
        KeyMismatch: The private key is not the leaf's.
    """
    pasted = read_pasted({"leaf": leaf, "private_key": private_key, "ca_bundle": ca_bundle}, password)
    _refuse_other_things(pasted)
    given = _find_leaf(pasted)
    certificate = given.certificate
    _refuse(given, key_refusal(certificate), "Have it reissued for a new key.")
    key = _find_key(pasted, given)
    _refuse(given, certificate_refusal(certificate) or usage_refusal(certificate), "Have it reissued.")
    names, unusable = usable_names(certificate)
    if not names:
        raise _nameless(given, unusable)
    chain, chain_warnings = find_chain(pasted, given, now)
    warnings = [
        *_key_warnings(key),
        *(BundleWarning(field=given.field, message=one) for one in _leaf_doubts(certificate, now)),
        *_name_warnings(given.field, names, unusable),
        *chain_warnings,
        *(
            bundle_warning(field, "bundle.passed_over", "There was also {kind}, which was passed over.", kind=str(kind))
            for field, kind in pasted.others
        ),
    ]
    return Bundle(
        leaf_pem=certificate_pem(certificate),
        chain_pem="".join(map(certificate_pem, chain)),
        leaf=_details(given),
        names=names,
        key_type=key_type_of(certificate.public_key()),
        private_key=_private_key(key) if key is not None else None,
        warnings=tuple(warnings),
    )


def _refuse_other_things(pasted: Pasted) -> None:
    for field, kind in pasted.others:
        if field not in pasted.useful:
            wanted = "a private key" if field == "private_key" else "a certificate"
            raise InvalidInput(field, f"this is {kind}, not {wanted}.", advice=_ADVICE.get(kind, ""))


def _find_leaf(pasted: Pasted) -> GivenCertificate:
    given = pasted.certificates
    needed = next((one for one in pasted.unreadable if not one.is_root), None)
    if not given:
        raise _no_certificate(pasted) if not pasted.unreadable else (needed or pasted.unreadable[0]).refusal()
    ends = [one for one in given if not is_ca(one.certificate) and not is_plain_root(one.certificate, given)]
    if len(ends) == 1:
        return ends[0]
    if needed and not ends:
        raise needed.refusal()
    if false_issuer := next(false_issuers(ends), None):
        raise false_issuer
    if ends:
        owners = [called(one.certificate) for one in ends if _has_key(pasted, one.certificate)]
        belongs = f" The private key belongs to {listed(owners)}." if owners else ""
        shown = listed(f"{called(one.certificate)}, which ends on {last_day(one.certificate)}" for one in ends)
        raise InvalidInput(
            ends[1].field,
            f"there are {len(ends)} leaves, but one is needed: {shown}.{belongs}",
            advice="Leave out the others, and import them one by one.",
        )
    first = given[0].certificate
    # What `openssl req -x509` makes for one server says that it is a CA. A strange key cannot verify it and comes next.
    alone = len(given) == 1 and (is_self_signed(first) or key_refusal(first))
    if alone and alternative_names(first.extensions):
        return given[0]
    shown = listed(called(one.certificate) for one in given)
    raise InvalidInput(
        "leaf",
        f"there is no leaf, only CA certificates, which belong to no server: {shown}.",
        advice="Add the certificate that was issued for the server's name.",
    )


def _no_certificate(pasted: Pasted) -> InvalidInput:
    advice = "Paste the certificate that the CA issued, or give a PKCS#12 file that holds both."
    if any(key.field == "leaf" for key in pasted.keys):
        return InvalidInput("leaf", "there is a private key here, but no certificate.", advice=advice)
    only = " There is only a private key." if pasted.keys else ""
    return InvalidInput("leaf", f"a certificate is needed, and there is none.{only}", advice=advice)


def _find_key(pasted: Pasted, leaf: GivenCertificate) -> GivenKey | None:
    """The leaf's key, the only one that is there."""
    if not pasted.keys:
        if "private_key" in pasted.filled:
            raise InvalidInput(
                "private_key",
                "there is a certificate here, but no private key.",
                advice="Paste the key, which begins with a BEGIN line that ends in PRIVATE KEY; or leave this empty.",
            )
        return None
    wanted = spki_sha256(leaf.certificate.public_key())
    matching = next((key for key in pasted.keys if key.spki_sha256 == wanted), None)
    stray = next((key for key in pasted.keys if key is not matching), None)
    if stray is None:
        return matching
    ours = called(leaf.certificate)
    prints = f"SHA-256 of the public keys: leaf {wanted}, private key {stray.spki_sha256}."
    if len(pasted.keys) > 1:
        belongs = "one of them belongs" if matching is not None else "none of them belongs"
        raise InvalidInput(
            stray.field,
            f"there are {len(pasted.keys)} private keys, and {belongs} to the leaf, {ours}. {prints}",
            advice="Give the leaf's key alone.",
        )
    owners = [one.certificate for one in pasted.certificates if _spki(one.certificate) == stray.spki_sha256]
    owner = f"it belongs to {called(owners[0])}" if owners else "it belongs to no certificate here"
    raise KeyMismatch(
        f"{stray.field}: the private key does not belong to the leaf, {ours}; {owner}. {prints}",
        field=stray.field,
        advice="Give the key that the leaf was requested with, or have the certificate reissued for this key.",
    )


def _key_warnings(key: GivenKey | None) -> Iterator[BundleWarning]:
    if key is None:
        yield bundle_warning(
            "private_key",
            "bundle.no_private_key",
            "There is no private key: the certificate can be watched, but no server can be given it.",
        )


def _leaf_doubts(certificate: x509.Certificate, now: datetime) -> Iterator[Message]:
    if certificate.not_valid_after_utc <= now:
        yield Message("bundle.expired", "The leaf expired on {day}.", {"day": last_day(certificate)})
    if certificate.not_valid_before_utc > now:
        day = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        yield Message("bundle.not_yet_valid", "The leaf is not valid before {day}.", {"day": day})
    if is_self_signed(certificate):
        yield Message("bundle.self_signed", "The leaf is self-signed: clients refuse it unless they were told of it.")
    if is_ca(certificate):
        yield Message(
            "bundle.ca_leaf", "The leaf says that it is a CA: whoever trusts it trusts all that its key signs."
        )
    yield from key_doubts(certificate.public_key())
    yield from usage_doubts(certificate)


def _name_warnings(field: str, names: tuple[Identifier, ...], unusable: list[str]) -> Iterator[BundleWarning]:
    if unusable:
        text = "The leaf has names that no public CA certifies, and that are left out: {names}."
        yield bundle_warning(field, "bundle.unusable_names", text, names=listed(unusable))
    if len(names) > MAX_NAMES:
        text = "The leaf has {count} names; a renewal can have at most {most}."
        yield bundle_warning(field, "bundle.many_names", text, count=str(len(names)), most=str(MAX_NAMES))


def _private_key(given: GivenKey) -> Secret:
    """The key in the one form, once its numbers were seen to fit together; those of EC keys were when it was read."""
    fault = rsa_key_fault(given.key) if isinstance(given.key, rsa.RSAPrivateKey) else ""
    try:
        if not fault and isinstance(given.key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            return Secret(private_key_pem(given.key))
    except UNREADABLE:
        fault = "it cannot be written: it is damaged."
    raise InvalidInput(
        given.field,
        f"the private key cannot be used: {fault or 'it is neither an EC nor an RSA key.'}",
        advice="Copy it again from the file as it was made, or have the certificate reissued for a new key.",
    )


def _nameless(leaf: GivenCertificate, unusable: list[str]) -> InvalidInput:
    reason = "it has no DNS name and no IP address among its subject alternative names."
    if unusable:
        reason = f"none of its names can be used: {listed(unusable)}."
    return InvalidInput(
        leaf.field,
        f"{called(leaf.certificate)}: {reason} Clients do not look at the common name (RFC 9525).",
        advice="Have it reissued with the server's names.",
    )


def _details(leaf: GivenCertificate) -> Leaf:
    try:
        return leaf_details(leaf.certificate)
    except UnreadablePem as error:
        raise InvalidInput(leaf.field, error.message) from None


def _refuse(leaf: GivenCertificate, reason: str, advice: str) -> None:
    if reason:
        raise InvalidInput(leaf.field, f"{called(leaf.certificate)}: {reason}", advice=advice)


def _has_key(pasted: Pasted, certificate: x509.Certificate) -> bool:
    return _spki(certificate) in {key.spki_sha256 for key in pasted.keys}


def _spki(certificate: x509.Certificate) -> str:
    try:
        return spki_sha256(certificate.public_key())
    except UNREADABLE:
        return ""
