"""A certificate signing request that the user brings: read, checked, and written in one way."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from certcore.errors import InvalidInput, InvalidName
from certcore.model.keys import KeyType
from certcore.model.names import MAX_NAMES, DnsName
from certcore.x509.chain import MAX_BYTES
from certcore.x509.der import Kind
from certcore.x509.keys import key_type_of
from certcore.x509.path import UNREADABLE
from certcore.x509.pem import read_pieces
from certcore.x509.weakness import public_key_refusal

__all__ = ["OwnCsr", "read_csr"]

_FIELD: Final = "csr"
_BLOCK: Final = re.compile(
    r"-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)-----(?P<body>[^-]*)-----END (?P=label)-----"
)
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
#: How text in UTF-16 begins, as Windows writes it.
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
#: How every value of DER here begins.
_SEQUENCE: Final = b"\x30"
#: Entries that are read before those that are there twice are counted once.
_MOST_ENTRIES: Final = 2 * MAX_NAMES
_KEYS: Final = frozenset({Kind.PRIVATE_KEY, Kind.ENCRYPTED_KEY, Kind.OLD_ENCRYPTED_KEY})
_MAKE_ONE: Final = (
    "Make one where the server is: openssl req -new -key privkey.pem -subj / -addext subjectAltName=DNS:shop.example"
)


@frozen(kw_only=True)
class OwnCsr:
    """A request whose private key stays with the user."""

    #: As PEM.
    pem: str
    #: The names that it asks for, in its order; a common name that is not among them comes first.
    names: tuple[DnsName, ...]
    key_type: KeyType


def read_csr(given: str | bytes) -> OwnCsr:
    """Read a request in PEM or DER, and check that a CA can take it.

    Its signature has to be its own key's (RFC 2986 section 4.2), its key of a type that CAs take, its names DNS names.

    Raises:
        InvalidInput: It is not such a request; the field is ``csr``. A private key in it is not repeated.
    """
    request = _loaded(given)
    try:
        key = request.public_key()
        whole = request.is_signature_valid
        digest = request.signature_hash_algorithm
        extensions = list(request.extensions)
        common = [one.value for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except UnsupportedAlgorithm:
        raise InvalidInput(_FIELD, "its key is of a kind that CAs do not take; use EC P-256, P-384 or RSA.") from None
    except UNREADABLE:
        raise InvalidInput(_FIELD, "it is damaged.", advice=_MAKE_ONE) from None
    if refused := public_key_refusal(key):
        raise InvalidInput(_FIELD, refused)
    key_type = key_type_of(key)
    if key_type is None:
        raise InvalidInput(_FIELD, f"its key is not one of: {', '.join(KeyType)}.")
    if isinstance(digest, (hashes.MD5, hashes.SHA1)):
        raise InvalidInput(_FIELD, f"it is signed over {digest.name.upper()}, which CAs do not take; use SHA-256.")
    if not whole:
        raise InvalidInput(_FIELD, "it was not signed with its own key: it was changed, or damaged.", advice=_MAKE_ONE)
    names = tuple(dict.fromkeys(_names(common, extensions)))
    if not names:
        raise InvalidInput(_FIELD, "it asks for no name.", advice=_MAKE_ONE)
    if len(names) > MAX_NAMES:
        raise InvalidInput(_FIELD, f"it asks for {len(names)} names; a certificate carries at most {MAX_NAMES}.")
    return OwnCsr(pem=request.public_bytes(serialization.Encoding.PEM).decode(), names=names, key_type=key_type)


def _loaded(given: str | bytes) -> x509.CertificateSigningRequest:
    if not isinstance(given, (str, bytes)):
        raise InvalidInput(_FIELD, "must be text or the bytes of a file.")
    if len(given) > MAX_BYTES:
        raise InvalidInput(_FIELD, f"this is longer than {MAX_BYTES // 1024} KiB, which no request is.")
    text = given if isinstance(given, str) else given.decode("utf-16" if given[:2] in _UTF_16 else "utf-8", "replace")
    if _PRIVATE_KEY.search(text):
        raise _has_key()
    found = _BLOCK.findall(text)
    if len(found) == 1:
        return _decoded("".join(found[0][1].split()))
    try:
        pieces = read_pieces(_FIELD, given)
    except InvalidInput:
        if "-----" in text or (isinstance(given, bytes) and given[:1] == _SEQUENCE):
            raise  # it says what is missing
        raise InvalidInput(_FIELD, "there is no certificate signing request in it.", advice=_MAKE_ONE) from None
    if any(one.kind in _KEYS for one in pieces):
        raise _has_key()
    if len(found) > 1 or [one.kind for one in pieces].count(Kind.REQUEST) > 1:
        raise InvalidInput(_FIELD, "there are several requests in it.", advice="Give one.")
    if pieces and pieces[0].kind is Kind.REQUEST:
        # DER, or base64 without its BEGIN and END lines.
        return _decoded(base64.b64encode(pieces[0].data).decode())
    what = str(pieces[0].kind) if pieces else "empty"
    raise InvalidInput(_FIELD, f"this is {what}, not a certificate signing request.", advice=_MAKE_ONE)


def _decoded(body: str) -> x509.CertificateSigningRequest:
    try:
        block = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
        return x509.load_pem_x509_csr(block.encode("ascii", "replace"))
    except UNREADABLE:
        raise InvalidInput(_FIELD, "it is damaged.", advice="Copy the whole block again, with BEGIN and END.") from None


def _has_key() -> InvalidInput:
    return InvalidInput(
        _FIELD,
        "there is a private key in it, which nobody but its server should have.",
        advice="Give the request alone; if you sent the key to somebody, make a new one.",
    )


def _names(
    common: Iterable[str | bytes], extensions: Iterable[x509.Extension[x509.ExtensionType]]
) -> Iterator[DnsName]:
    alternative = next(
        (one.value for one in extensions if isinstance(one.value, x509.SubjectAlternativeName)),
        x509.SubjectAlternativeName([]),
    )
    count = len(list(alternative))
    if count > _MOST_ENTRIES:
        raise InvalidInput(_FIELD, f"it asks for {count} names; a certificate carries at most {MAX_NAMES}.")
    known = {one.value.lower() for one in alternative if isinstance(one, x509.DNSName)}
    for name in common:
        # A CA takes it for one more name (RFC 8555 section 7.4), so it is one.
        if isinstance(name, str) and name.lower() not in known:
            yield _name(name)
    for one in alternative:
        if not isinstance(one, x509.DNSName):
            raise InvalidInput(_FIELD, "it asks for something else than DNS names, which cannot be validated by DNS.")
        yield _name(one.value)


def _name(text: str) -> DnsName:
    try:
        return DnsName.parse(text, field=_FIELD)
    except InvalidName as error:
        raise InvalidInput(_FIELD, f"it asks for a name that no CA certifies: {error.reason}") from None
