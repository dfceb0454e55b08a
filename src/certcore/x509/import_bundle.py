"""Import an existing certificate: turn what a person pastes or uploads into one checked `Bundle`.

A bundle is accepted if a server can present it, or could before it expired, and if nothing is left over. Everything
less serious becomes a warning. A certificate that is not part of the chain is refused by name instead of being
dropped, because it usually means that the wrong file was chosen. Expired certificates are accepted: people import them
to look at them or to have them renewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certcore.errors import InvalidInputError, KeyMismatchError, UnreadablePemError
from certcore.messages import Message, shown_moment
from certcore.model.keys import KeyType
from certcore.model.leaf import Leaf
from certcore.model.names import MAX_NAMES, Identifier
from certcore.model.secret import Secret
from certcore.x509.chain import certificate_pem
from certcore.x509.chain_path import UNREADABLE, is_ca, is_self_signed
from certcore.x509.csr import alternative_names
from certcore.x509.der import Kind
from certcore.x509.describe import called, last_day, listed
from certcore.x509.import_chain import false_issuers, find_chain, is_plain_root
from certcore.x509.import_input import GivenCertificate, GivenKey, Pasted, read_pasted
from certcore.x509.import_warnings import BundleWarning
from certcore.x509.keys import key_type_of, private_key_pem, spki_sha256
from certcore.x509.leaf import leaf_details
from certcore.x509.rsa_keys import rsa_key_fault
from certcore.x509.weakness import (
    certificate_refusal,
    key_doubts,
    key_refusal,
    usable_names,
    usage_doubts,
    usage_refusal,
)

__all__ = ["Bundle", "BundleWarning", "read_bundle"]

_ADVICE: Final = MappingProxyType(
    {
        Kind.REQUEST: Message(
            "bundle.other_kind.request",
            "A CA issues a certificate for it: give that certificate and the private key of the request.",
        ),
        Kind.REVOCATION_LIST: Message("bundle.other_kind.revocation_list", "Leave it out: a server does not need it."),
        Kind.PUBLIC_KEY: Message(
            "bundle.other_kind.public_key",
            "It is a part of the certificate: give the certificate itself, and the private key.",
        ),
        Kind.SSH: Message("bundle.other_kind.ssh", "SSH keys are for logging in; look for the files that the CA sent."),
        Kind.PGP: Message("bundle.other_kind.pgp", "PGP keys are for mail; look for the files that the CA sent."),
        Kind.KEY_STORE: Message(
            "bundle.other_kind.key_store", "Convert it first: keytool -importkeystore -deststoretype PKCS12"
        ),
        Kind.ARCHIVE: Message("bundle.other_kind.archive", "Unpack it, and give the files in it."),
        Kind.WEB_PAGE: Message(
            "bundle.other_kind.web_page", "Download the certificate again; perhaps your session had expired."
        ),
    }
)


@frozen(kw_only=True)
class Bundle:
    """A checked leaf with its chain and its private key, each in normalized PEM."""

    #: The leaf in PEM.
    leaf_pem: str
    #: The intermediates in PEM, each signed by the next. A root is left out, because servers do not send it.
    chain_pem: str
    #: The details of the leaf.
    leaf: Leaf
    #: The subject alternative names that a certificate here can have, in the leaf's order.
    names: tuple[Identifier, ...]
    #: The leaf's key type; None for types that a renewal cannot generate.
    key_type: KeyType | None
    #: The private key as unencrypted PKCS#8 PEM; None if none was given.
    private_key: Secret | None
    #: What the user should know about the bundle; empty if there is nothing.
    warnings: tuple[BundleWarning, ...]


def read_bundle(
    leaf: str | bytes,
    private_key: str | bytes | None = None,
    ca_bundle: str | bytes | None = None,
    *,
    password: bytes | str | None = None,
    now: datetime,
) -> Bundle:
    """Read and check an existing certificate with its key and chain.

    Each field may contain any mixture: PEM blocks in any order between other text, bare base64, DER, PKCS#7 or PKCS#12.
    The bundle does not depend on how the content is distributed over the fields, except for `BundleWarning.field`.

    Args:
        leaf: The certificate; may contain the chain and the key, too.
        private_key: The private key.
        ca_bundle: The intermediates; a root is ignored.
        password: The password of an encrypted key or of a PKCS#12 file.
        now: The present moment, with its time zone.

    Raises:
        InvalidInputError: Something is damaged, missing, left over, or unfit for a TLS server; ``field`` says where.
        KeyMismatchError: The private key does not belong to the leaf.
    """
    pasted = read_pasted({"leaf": leaf, "private_key": private_key, "ca_bundle": ca_bundle}, password)
    _refuse_other_things(pasted)
    given_leaf = _find_leaf(pasted)
    certificate = given_leaf.certificate
    new_key = Message("bundle.reissue_for_new_key", "Have it reissued for a new key.")
    _refuse(given_leaf, key_refusal(certificate), new_key)
    key = _find_key(pasted, given_leaf)
    reissue = Message("bundle.reissue", "Have it reissued.")
    _refuse(given_leaf, certificate_refusal(certificate) or usage_refusal(certificate), reissue)
    names, unusable = usable_names(certificate)
    if not names:
        raise _nameless(given_leaf, unusable)
    chain, chain_warnings = find_chain(pasted, given_leaf, now)
    warnings = [
        *_key_warnings(key),
        *(BundleWarning(field=given_leaf.field, message=doubt) for doubt in _leaf_doubts(certificate, now)),
        *_name_warnings(given_leaf.field, names, unusable),
        *chain_warnings,
        *(BundleWarning(field=field, message=_passed_over(kind)) for field, kind in pasted.others),
    ]
    return Bundle(
        leaf_pem=certificate_pem(certificate),
        chain_pem="".join(map(certificate_pem, chain)),
        leaf=_details(given_leaf),
        names=names,
        key_type=key_type_of(certificate.public_key()),
        private_key=_private_key(key) if key is not None else None,
        warnings=tuple(warnings),
    )


def _refuse_other_things(pasted: Pasted) -> None:
    for field, kind in pasted.others:
        if field not in pasted.useful:
            raise InvalidInputError(field, _something_else(field, kind), advice=_ADVICE.get(kind, ""))


def _something_else(field: str, kind: Kind) -> Message:
    if field == "private_key":
        return Message("bundle.not_a_key", "this is {kind}, not a private key.", {"kind": kind.label})
    return Message("bundle.not_a_certificate", "this is {kind}, not a certificate.", {"kind": kind.label})


def _passed_over(kind: Kind) -> Message:
    text = "There was also {kind}, which was ignored."
    return Message("bundle.passed_over", text, {"kind": kind.label})


def _find_leaf(pasted: Pasted) -> GivenCertificate:
    certificates = pasted.certificates
    needed = next((piece for piece in pasted.unreadable if not piece.is_root), None)
    if not certificates:
        raise _no_certificate(pasted) if not pasted.unreadable else (needed or pasted.unreadable[0]).refusal()
    ends = [
        item
        for item in certificates
        if not is_ca(item.certificate) and not is_plain_root(item.certificate, certificates)
    ]
    if len(ends) == 1:
        return ends[0]
    if needed and not ends:
        raise needed.refusal()
    if false_issuer := next(false_issuers(ends), None):
        raise false_issuer
    if ends:
        owners = [called(item.certificate) for item in ends if _has_key(pasted, item.certificate)]
        advice = Message("bundle.several_leaves.advice", "Leave out the others, and import them one by one.")
        raise InvalidInputError(ends[1].field, _several_leaves(ends, owners), advice=advice)
    first = certificates[0].certificate
    # `openssl req -x509` marks even a server certificate as a CA. A refused key type, which cannot verify the
    # signature, passes here and is refused by the caller.
    alone = len(certificates) == 1 and (is_self_signed(first) or key_refusal(first))
    if alone and alternative_names(first.extensions):
        return certificates[0]
    shown = listed(called(item.certificate) for item in certificates)
    text = "there is no leaf, only CA certificates, which belong to no server: {names}."
    raise InvalidInputError(
        "leaf",
        Message("bundle.only_cas", text, {"names": shown}),
        advice=Message("bundle.only_cas.advice", "Add the certificate that was issued for the server's name."),
    )


def _several_leaves(ends: Sequence[GivenCertificate], owners: Sequence[str | Message]) -> Message:
    params = {"count": len(ends), "names": listed(_with_end(item.certificate) for item in ends)}
    if not owners:
        return Message("bundle.several_leaves", "there are {count} leaves, but one is needed: {names}.", params)
    text = "there are {count} leaves, but one is needed: {names}. The private key belongs to {owners}."
    return Message("bundle.several_leaves_one_key", text, {**params, "owners": listed(owners)})


def _with_end(certificate: x509.Certificate) -> Message:
    params = {"name": called(certificate), "day": last_day(certificate)}
    return Message("bundle.leaf_with_end", "{name}, which ends on {day}", params)


def _no_certificate(pasted: Pasted) -> InvalidInputError:
    text = "Paste the certificate that the CA issued, or give a PKCS#12 file that holds both."
    advice = Message("bundle.no_certificate.advice", text)
    if any(key.field == "leaf" for key in pasted.keys):
        reason = Message("bundle.key_instead", "there is a private key here, but no certificate.")
    elif pasted.keys:
        reason = Message("bundle.only_a_key", "no certificate was given. There is only a private key.")
    else:
        reason = Message("bundle.no_certificate", "no certificate was given.")
    return InvalidInputError("leaf", reason, advice=advice)


def _find_key(pasted: Pasted, leaf: GivenCertificate) -> GivenKey | None:
    """The private key, which must be the leaf's and the only one; None if there is none."""
    if not pasted.keys:
        if "private_key" in pasted.filled:
            text = "Paste the key, which begins with a BEGIN line that ends in PRIVATE KEY; or leave this empty."
            raise InvalidInputError(
                "private_key",
                Message("bundle.certificate_instead", "there is a certificate here, but no private key."),
                advice=Message("bundle.certificate_instead.advice", text),
            )
        return None
    fingerprint = spki_sha256(leaf.certificate.public_key())
    matching = next((key for key in pasted.keys if key.spki_sha256 == fingerprint), None)
    stray = next((key for key in pasted.keys if key is not matching), None)
    if stray is None:
        return matching
    params = {"leaf": called(leaf.certificate), "prints": _prints(fingerprint, stray.spki_sha256)}
    if len(pasted.keys) > 1:
        reason = _several_keys({**params, "count": len(pasted.keys)}, has_own=matching is not None)
        raise InvalidInputError(
            stray.field, reason, advice=Message("bundle.several_keys.advice", "Give only the private key of the leaf.")
        )
    owners = [item.certificate for item in pasted.certificates if _spki(item.certificate) == stray.spki_sha256]
    text = "Give the key that the leaf was requested with, or have the certificate reissued for this key."
    raise KeyMismatchError(
        _other_key({**params, "field": stray.field}, owners),
        field=stray.field,
        advice=Message("bundle.other_key.advice", text),
    )


def _prints(leaf: str, key: str) -> Message:
    text = "SHA-256 of the public keys: leaf {leaf}, private key {key}."
    return Message("bundle.fingerprints", text, {"leaf": leaf, "key": key})


def _several_keys(params: Mapping[str, object], *, has_own: bool) -> Message:
    if has_own:
        text = "there are {count} private keys, and one of them belongs to the leaf, {leaf}. {prints}"
        return Message("bundle.several_keys", text, params)
    text = "there are {count} private keys, and none of them belongs to the leaf, {leaf}. {prints}"
    return Message("bundle.several_other_keys", text, params)


def _other_key(params: Mapping[str, object], owners: Sequence[x509.Certificate]) -> Message:
    if owners:
        text = "{field}: the private key does not belong to the leaf, {leaf}; it belongs to {owner}. {prints}"
        return Message("bundle.key_of_another", text, {**params, "owner": called(owners[0])})
    text = "{field}: the private key does not belong to the leaf, {leaf}; it belongs to no certificate here. {prints}"
    return Message("bundle.other_key", text, params)


def _key_warnings(key: GivenKey | None) -> Iterator[BundleWarning]:
    if key is None:
        text = "There is no private key: the certificate can be monitored, but not deployed to a server."
        yield BundleWarning(field="private_key", message=Message("bundle.no_private_key", text))


def _leaf_doubts(certificate: x509.Certificate, now: datetime) -> Iterator[Message]:
    if certificate.not_valid_after_utc <= now:
        yield Message("bundle.expired", "The leaf expired on {day}.", {"day": last_day(certificate)})
    if certificate.not_valid_before_utc > now:
        day = shown_moment(certificate.not_valid_before_utc)
        yield Message("bundle.not_yet_valid", "The leaf is not valid before {day}.", {"day": day})
    if is_self_signed(certificate):
        yield Message("bundle.self_signed", "The leaf is self-signed: clients reject it unless they trust it.")
    if is_ca(certificate):
        yield Message(
            "bundle.ca_leaf",
            "The leaf says that it is a CA: clients that trust it trust everything that its key signs.",
        )
    yield from key_doubts(certificate.public_key())
    yield from usage_doubts(certificate)


def _name_warnings(field: str, names: tuple[Identifier, ...], unusable: list[str | Message]) -> Iterator[BundleWarning]:
    if unusable:
        text = "The leaf has names that no public CA certifies; they are left out: {names}."
        yield BundleWarning(field=field, message=Message("bundle.unusable_names", text, {"names": listed(unusable)}))
    if len(names) > MAX_NAMES:
        text = "The leaf has {count} names; a renewal can have at most {most}."
        message = Message("bundle.many_names", text, {"count": len(names), "most": MAX_NAMES})
        yield BundleWarning(field=field, message=message)


def _private_key(given_key: GivenKey) -> Secret:
    """The key in PKCS#8 PEM. The numbers of RSA keys are checked here; those of EC keys were checked when loaded."""
    fault = rsa_key_fault(given_key.key) if isinstance(given_key.key, rsa.RSAPrivateKey) else None
    try:
        if fault is None and isinstance(given_key.key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            return Secret(private_key_pem(given_key.key))
    except UNREADABLE:
        fault = Message("private_key.not_written", "it cannot be written: it is damaged.")
    fault = fault or Message("private_key.neither_ec_nor_rsa", "it is neither an EC nor an RSA key.")
    text = "Copy it again from the file as it was made, or have the certificate reissued for a new key."
    raise InvalidInputError(
        given_key.field,
        Message("bundle.unusable_private_key", "the private key cannot be used: {fault}", {"fault": fault}),
        advice=Message("bundle.unusable_private_key.advice", text),
    )


def _nameless(leaf: GivenCertificate, unusable: list[str | Message]) -> InvalidInputError:
    name = called(leaf.certificate)
    if unusable:
        text = "{name}: none of its names can be used: {names}. Clients do not look at the common name (RFC 9525)."
        reason = Message("bundle.no_usable_name", text, {"name": name, "names": listed(unusable)})
    else:
        text = (
            "{name}: it has no DNS name and no IP address among its subject alternative names. Clients do not look at "
            "the common name (RFC 9525)."
        )
        reason = Message("bundle.nameless", text, {"name": name})
    advice = Message("bundle.nameless.advice", "Have it reissued with the names of the server.")
    return InvalidInputError(leaf.field, reason, advice=advice)


def _details(leaf: GivenCertificate) -> Leaf:
    try:
        return leaf_details(leaf.certificate)
    except UnreadablePemError as error:
        raise InvalidInputError(leaf.field, error.text) from None


def _refuse(leaf: GivenCertificate, fault: Message | None, advice: Message) -> None:
    if fault is not None:
        params = {"name": called(leaf.certificate), "fault": fault}
        raise InvalidInputError(leaf.field, Message("bundle.unfit", "{name}: {fault}", params), advice=advice)


def _has_key(pasted: Pasted, certificate: x509.Certificate) -> bool:
    return _spki(certificate) in {key.spki_sha256 for key in pasted.keys}


def _spki(certificate: x509.Certificate) -> str:
    try:
        return spki_sha256(certificate.public_key())
    except UNREADABLE:
        return ""
