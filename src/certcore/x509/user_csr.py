"""Read, check and normalize a certificate signing request that a user supplies."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from certcore.errors import InvalidInputError, InvalidNameError
from certcore.messages import Message
from certcore.model.keys import KeyType
from certcore.model.names import MAX_NAMES, DnsName
from certcore.model.user_csr import UserCsr
from certcore.x509.chain import MAX_BYTES
from certcore.x509.chain_path import UNREADABLE
from certcore.x509.der import Kind
from certcore.x509.keys import key_type_of
from certcore.x509.pem_reader import not_a_file, read_pieces
from certcore.x509.weakness import public_key_refusal

__all__ = ["read_csr"]

_FIELD: Final = "csr"
_BLOCK: Final = re.compile(
    r"-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)-----(?P<body>[^-]*)-----END (?P=label)-----"
)
_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
#: The byte order marks of UTF-16 text, which Windows writes.
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
#: The first byte of a request in DER, the tag of a SEQUENCE.
_SEQUENCE: Final = b"\x30"
#: The largest number of subject alternative names that is read, duplicates included.
_MOST_ENTRIES: Final = 2 * MAX_NAMES
_KEYS: Final = frozenset({Kind.PRIVATE_KEY, Kind.ENCRYPTED_KEY, Kind.OLD_ENCRYPTED_KEY})
_MAKE_ONE: Final = Message(
    "csr.make_one",
    "Make one where the server is: openssl req -new -key privkey.pem -subj / -addext subjectAltName=DNS:shop.example",
)
_DAMAGED: Final = Message("csr.damaged", "it is damaged.")


def read_csr(content: str | bytes) -> UserCsr:
    """Read a request in PEM or DER, and check that a CA can accept it.

    The request must be signed with its own key (RFC 2986 section 4.2), its key type must be one that CAs accept, and
    all its names must be DNS names.

    Raises:
        InvalidInputError: It is not such a request; the field is ``csr``. The message contains nothing of the text, so
            no private key that was pasted by mistake.
    """
    request = _loaded(content)
    try:
        key = request.public_key()
        whole = request.is_signature_valid
        digest = request.signature_hash_algorithm
        extensions = list(request.extensions)
        common = [attribute.value for attribute in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    except UnsupportedAlgorithm:
        text = "its key type is not accepted by CAs; use EC P-256, P-384 or RSA."
        raise InvalidInputError(_FIELD, Message("csr.kind_of_key", text)) from None
    except UNREADABLE:
        raise InvalidInputError(_FIELD, _DAMAGED, advice=_MAKE_ONE) from None
    if refused := public_key_refusal(key):
        raise InvalidInputError(_FIELD, refused)
    key_type = key_type_of(key)
    if key_type is None:
        params = {"key_types": ", ".join(KeyType)}
        raise InvalidInputError(_FIELD, Message("csr.key_type", "its key is not one of: {key_types}.", params))
    if isinstance(digest, (hashes.MD5, hashes.SHA1)):
        text = "it is signed over {digest}, which CAs do not accept; use SHA-256."
        raise InvalidInputError(_FIELD, Message("csr.digest", text, {"digest": digest.name.upper()}))
    if not whole:
        reason = Message("csr.signature", "its signature does not match its key: it was changed or damaged.")
        raise InvalidInputError(_FIELD, reason, advice=_MAKE_ONE)
    names = tuple(dict.fromkeys(_names(common, extensions)))
    if not names:
        raise InvalidInputError(_FIELD, Message("csr.no_name", "it asks for no name."), advice=_MAKE_ONE)
    if len(names) > MAX_NAMES:
        raise _too_many_names(len(names))
    return UserCsr(pem=request.public_bytes(serialization.Encoding.PEM).decode(), names=names, key_type=key_type)


def _loaded(content: str | bytes) -> x509.CertificateSigningRequest:
    if not isinstance(content, (str, bytes)):
        raise not_a_file(_FIELD)
    if len(content) > MAX_BYTES:
        text = "this is longer than {count} KiB, too long for a request."
        raise InvalidInputError(_FIELD, Message("csr.too_long", text, {"count": MAX_BYTES // 1024}))
    text = (
        content
        if isinstance(content, str)
        else content.decode("utf-16" if content[:2] in _UTF_16 else "utf-8", "replace")
    )
    if _PRIVATE_KEY.search(text):
        raise _has_key()
    blocks = _BLOCK.findall(text)
    if len(blocks) == 1:
        return _decoded("".join(blocks[0][1].split()))
    try:
        pieces = read_pieces(_FIELD, content)
    except InvalidInputError:
        if "-----" in text or (isinstance(content, bytes) and content[:1] == _SEQUENCE):
            raise  # the error says what is damaged
        reason = Message("csr.none", "there is no certificate signing request in it.")
        raise InvalidInputError(_FIELD, reason, advice=_MAKE_ONE) from None
    if any(piece.kind in _KEYS for piece in pieces):
        raise _has_key()
    if len(blocks) > 1 or [piece.kind for piece in pieces].count(Kind.REQUEST) > 1:
        reason = Message("csr.several", "there are several requests in it.")
        raise InvalidInputError(_FIELD, reason, advice=Message("csr.several.advice", "Give one."))
    if pieces and pieces[0].kind is Kind.REQUEST:
        # DER, or base64 without its BEGIN and END lines.
        return _decoded(base64.b64encode(pieces[0].data).decode())
    if not pieces:
        reason = Message("csr.empty", "this is empty, not a certificate signing request.")
        raise InvalidInputError(_FIELD, reason, advice=_MAKE_ONE)
    text = "this is {kind}, not a certificate signing request."
    raise InvalidInputError(_FIELD, Message("csr.other", text, {"kind": pieces[0].kind.label}), advice=_MAKE_ONE)


def _decoded(body: str) -> x509.CertificateSigningRequest:
    try:
        block = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
        return x509.load_pem_x509_csr(block.encode("ascii", "replace"))
    except UNREADABLE:
        advice = Message("csr.damaged.advice", "Copy the whole block again, with BEGIN and END.")
        raise InvalidInputError(_FIELD, _DAMAGED, advice=advice) from None


def _has_key() -> InvalidInputError:
    advice = "Give only the request. If you sent the key to anybody, make a new key."
    return InvalidInputError(
        _FIELD,
        Message("csr.private_key", "it contains a private key, which only its server should have."),
        advice=Message("csr.private_key.advice", advice),
    )


def _too_many_names(count: int) -> InvalidInputError:
    text = "it asks for {count} names; a certificate carries at most {most}."
    return InvalidInputError(_FIELD, Message("csr.too_many_names", text, {"count": count, "most": MAX_NAMES}))


def _names(
    common: Iterable[str | bytes], extensions: Iterable[x509.Extension[x509.ExtensionType]]
) -> Iterator[DnsName]:
    alternative = next(
        (extension.value for extension in extensions if isinstance(extension.value, x509.SubjectAlternativeName)),
        x509.SubjectAlternativeName([]),
    )
    count = len(list(alternative))
    if count > _MOST_ENTRIES:
        raise _too_many_names(count)
    known = {name.value.lower() for name in alternative if isinstance(name, x509.DNSName)}
    for name in common:
        # A CA treats the common name as an additional identifier (RFC 8555 section 7.4).
        if isinstance(name, str) and name.lower() not in known:
            yield _name(name)
    for general_name in alternative:
        if not isinstance(general_name, x509.DNSName):
            text = "it contains names other than DNS names, which cannot be validated by DNS."
            raise InvalidInputError(_FIELD, Message("csr.other_names", text))
        yield _name(general_name.value)


def _name(text: str) -> DnsName:
    try:
        return DnsName.parse(text, field=_FIELD)
    except InvalidNameError as error:
        text = "it asks for a name that no CA certifies: {reason}"
        raise InvalidInputError(_FIELD, Message("csr.name", text, {"reason": error.reason_text})) from None
