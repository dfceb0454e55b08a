"""Split pasted text and uploaded files into their blocks, and decode each block.

PEM (RFC 7468) is read more tolerantly than the RFC requires, because pasted text went through mail programs, web
pages, chat windows, JSON and word processors. That is safe: only the DER inside matters, and its signature is verified.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

import attrs

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.x509.chain import MAX_BYTES
from certcore.x509.der import Kind, kind_of, pem_block, read_value

__all__ = ["Piece", "not_a_file", "read_pieces"]


@attrs.frozen(kw_only=True)
class Piece:
    """A PEM block of a text, or a DER value of a binary file."""

    #: The field that contained it.
    field: str
    kind: Kind
    #: DER, or PEM for `Kind.OLD_ENCRYPTED_KEY`; empty for kinds that are not read.
    data: bytes = attrs.field(repr=False)
    #: Its name in a message, for example ``certificate number 2``.
    what: Message


#: The PEM labels of blocks that are decoded, without spaces, and the expected kinds.
_DECODED: Final = MappingProxyType(
    {
        "CERTIFICATE": Kind.CERTIFICATE,
        "CMS": Kind.PKCS7,
        "DSAPRIVATEKEY": Kind.PRIVATE_KEY,
        "ECPRIVATEKEY": Kind.PRIVATE_KEY,
        "ENCRYPTEDPRIVATEKEY": Kind.PRIVATE_KEY,
        "PKCS12": Kind.PKCS12,
        "PKCS7": Kind.PKCS7,
        "PRIVATEKEY": Kind.PRIVATE_KEY,
        "RSAPRIVATEKEY": Kind.PRIVATE_KEY,
        "TRUSTEDCERTIFICATE": Kind.CERTIFICATE,
        "X509CERTIFICATE": Kind.CERTIFICATE,
    }
)
#: The PEM labels of blocks that are recognised but not decoded.
_NAMED: Final = MappingProxyType(
    {
        "CERTIFICATEREQUEST": Kind.REQUEST,
        "NEWCERTIFICATEREQUEST": Kind.REQUEST,
        "OPENSSHPRIVATEKEY": Kind.SSH,
        "PGPMESSAGE": Kind.PGP,
        "PGPPRIVATEKEYBLOCK": Kind.PGP,
        "PGPPUBLICKEYBLOCK": Kind.PGP,
        "PUBLICKEY": Kind.PUBLIC_KEY,
        "RSAPUBLICKEY": Kind.PUBLIC_KEY,
        "SSH2ENCRYPTEDPRIVATEKEY": Kind.SSH,
        "SSH2PUBLICKEY": Kind.SSH,
        "X509CRL": Kind.REVOCATION_LIST,
    }
)
#: The PEM labels of parameters that OpenSSL writes beside a key. The key contains them, too.
_PASSED_OVER: Final = frozenset({"DHPARAMETERS", "DSAPARAMETERS", "ECPARAMETERS", "X942DHPARAMETERS"})
_KNOWN: Final = frozenset(_DECODED) | frozenset(_NAMED) | _PASSED_OVER
#: The PEM labels, with spaces, of keys in OpenSSL's traditional encrypted form.
_OLD_KEYS: Final = MappingProxyType(
    {
        "DSAPRIVATEKEY": "DSA PRIVATE KEY",
        "ECPRIVATEKEY": "EC PRIVATE KEY",
        "RSAPRIVATEKEY": "RSA PRIVATE KEY",
    }
)

# Every repetition that can backtrack is bounded, so that matching takes linear time.
_BOUNDARY: Final = re.compile(r"--\s{0,9}(BEGIN|END)\s{0,9}([A-Z0-9][A-Z0-9\s]{1,60}?)\s{0,9}(?:-|\Z)")
_CIPHER: Final = re.compile(r"DEK-Info\s*:\s*([A-Z0-9-]{3,30})\s*,\s*", re.IGNORECASE)
_HEADER: Final = re.compile(r"^[ \t]*+[A-Z][A-Z0-9-]{0,40}:.*$", re.IGNORECASE | re.MULTILINE)
#: The lengths of the initialisation vectors in hex digits.
_AES_VECTOR: Final = 32
_DES_VECTOR: Final = 16
_HEX: Final = re.compile(r"[0-9A-F]+", re.IGNORECASE)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]*={0,4}")
_BASE64_VALUES: Final = re.compile(r"[A-Za-z0-9+/=]{40,}")
_QUADRUPLE: Final = 4

#: Word processors replace two hyphens by one dash.
_DASHES: Final = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "--")
_INVISIBLE: Final = dict.fromkeys(map(ord, "\0\u00ad\u200b\u200c\u200d\u2060\ufeff"))
_LOOKALIKES: Final = MappingProxyType({**_DASHES, **_INVISIBLE})
#: Characters that quoted mail, lists and source code add around each line.
_AROUND_LINES: Final = dict.fromkeys(map(ord, "\"'`,;>|[]{}()"))
_ESCAPED: Final = re.compile(r"(?<!\\)\\++u00([0-9a-f]{2})", re.IGNORECASE)
_ESCAPED_BREAK: Final = re.compile(r"(?<!\\)\\++[nrt]")
_TAG: Final = re.compile(r"<[/!?A-Za-z](?:(?!-----)[^<>]){0,200}>")
_ENTITY: Final = re.compile(r"&(?:amp;)?(?:#([0-9]{1,3})|#x([0-9a-f]{1,2})|([a-z]{2,8}));", re.IGNORECASE)
_ENTITIES: Final = MappingProxyType({"newline": "\n", "nbsp": " ", "plus": "+", "sol": "/", "equals": "=", "tab": " "})

# The tag of a SEQUENCE is the digit 0; a control character that no text contains follows within a few bytes.
_BINARY: Final = re.compile(rb"0.{0,15}[\x00-\x08\x0e-\x1f]", re.DOTALL)
_BINARY_AS_TEXT: Final = re.compile("0[\x80-\x84\u201a\ufffd]")
_SIGNATURES: Final = (
    (b"\xfe\xed\xfe\xed", Kind.KEY_STORE),
    (b"\xce\xce\xce\xce", Kind.KEY_STORE),
    (b"PK\x03\x04", Kind.ARCHIVE),
    (b"\x1f\x8b", Kind.ARCHIVE),
    (b"Rar!", Kind.ARCHIVE),
    (b"7z\xbc\xaf", Kind.ARCHIVE),
)
_SSH_LINE: Final = re.compile(r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-nistp\d{3})\s+AAAA|PuTTY-User-Key-File-\d")
_HTML: Final = re.compile(r"\s*<(?:!doctype html|html|head|body)\b", re.IGNORECASE)
_FILLING: Final = b"\0\t\n\r \x1a"

_COPY_AGAIN: Final = Message(
    "pem.copy_again",
    "Copy the whole block again, with its BEGIN and END lines, from the file as it was given to you.",
)


def read_pieces(name: str, content: str | bytes) -> list[Piece]:
    """Split the content of a field into pieces.

    Args:
        name: The name of the field, for errors.
        content: Text with PEM blocks or bare base64, or the bytes of a file with such a text, DER, PKCS#7 or PKCS#12.

    Returns:
        The pieces in the order of the content; empty if the field is blank.

    Raises:
        InvalidInputError: The content is too long or damaged, or contains no piece. The message does not repeat it.
    """
    if isinstance(content, bytearray | memoryview):
        content = bytes(content)
    if not isinstance(content, str | bytes):
        raise not_a_file(name)
    if len(content) > MAX_BYTES:
        text = "this is longer than {count} KiB, too long for a certificate with its key and chain."
        advice = "Give only this certificate, its key and its chain, not a store with many certificates."
        raise InvalidInputError(
            name,
            Message("pem.too_long", text, {"count": MAX_BYTES // 1024}),
            advice=Message("pem.too_long.advice", advice),
        )
    return _from_text(name, content) if isinstance(content, str) else _from_bytes(name, content)


def not_a_file(name: str) -> InvalidInputError:
    """The error for a value that is neither text nor bytes."""
    return InvalidInputError(name, Message("input.not_a_file", "must be text or the bytes of a file."))


def _from_bytes(name: str, content: bytes, *, nested: bool = False) -> list[Piece]:
    for beginning, kind in _SIGNATURES:
        if content.startswith(beginning):
            return [Piece(field=name, kind=kind, data=b"", what=kind.label)]
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = content.decode("utf-16", "replace")
    elif content[1:2] == b"\0" and content[3:4] == b"\0":
        text = content.decode("utf-16-le", "replace")
    elif content[:1] == b"\0" and content[2:3] == b"\0":
        text = content.decode("utf-16-be", "replace")
    elif _BINARY.match(content):
        return list(_values(name, content))
    else:
        text = content.decode("utf-8", "replace")
    return _from_text(name, text, nested=nested)


def _from_text(name: str, content: str, *, nested: bool = False) -> list[Piece]:
    text = _plain(content)
    if not text.strip() and not nested:
        return []
    pieces = list(_blocks(name, text))
    if pieces:
        return pieces
    bare = "".join(text.split()).translate(_AROUND_LINES)
    if _BASE64_VALUES.fullmatch(bare) and not nested:
        # Padding ends a value, so the text between two paddings is decoded separately.
        return _from_bytes(name, b"".join(_decoded(part) for part in bare.split("=")), nested=True)
    if _SSH_LINE.search(content):
        return [Piece(field=name, kind=Kind.SSH, data=b"", what=Kind.SSH.label)]
    if _HTML.match(content):
        return [Piece(field=name, kind=Kind.WEB_PAGE, data=b"", what=Kind.WEB_PAGE.label)]
    if _BINARY_AS_TEXT.match(content):
        raise InvalidInputError(
            name,
            Message("pem.binary_as_text", "this is a binary file that was read as text."),
            advice=Message("pem.binary_as_text.advice", "Upload the file as it is, or give its base64."),
        )
    raise InvalidInputError(
        name,
        Message("pem.nothing", "there is neither a certificate nor a private key in this text."),
        advice=Message("pem.nothing.advice", "Paste whole blocks, with their BEGIN and END lines."),
    )


def _plain(text: str) -> str:
    """Undo what other programs did to a text: escapes, HTML markup and typographic characters."""
    text = text.translate(_LOOKALIKES)
    if "\\" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        text = _ESCAPED_BREAK.sub("\n", text).replace("\\", "")
    if "<" in text:
        text = _TAG.sub("\n", text)
    if "&" in text:
        text = _ENTITY.sub(_character, text)
    return text


def _character(entity: re.Match[str]) -> str:
    decimal, hexadecimal, name = entity.groups()
    if name:
        return _ENTITIES.get(name.lower(), " ")
    return chr(int(decimal) if decimal else int(hexadecimal, 16))


def _blocks(name: str, text: str) -> Iterator[Piece]:
    label, start, counts = "", 0, dict[Kind | None, int]()
    for boundary in _BOUNDARY.finditer(text):
        encoded = "".join(boundary[2].split())
        if encoded not in _KNOWN:
            continue
        if boundary[1] == "BEGIN":
            if label:
                raise _without_end(name, label)
            label, start = encoded, boundary.end()
            continue
        if not label:
            text_of_error = "the END line of {kind} has no BEGIN line before it."
            reason = Message("pem.no_begin", text_of_error, {"kind": _noun(encoded)})
            raise InvalidInputError(name, reason, advice=_COPY_AGAIN)
        if encoded != label:
            params = {"begin": _noun(label), "end": _noun(encoded)}
            reason = Message("pem.other_end", "a block begins as {begin} and ends as {end}.", params)
            raise InvalidInputError(name, reason, advice=_COPY_AGAIN)
        kind = _DECODED.get(label)
        counts[kind] = counts.get(kind, 0) + 1
        if piece := _block(name, label, text[start : boundary.start()], counts[kind]):
            yield piece
        label = ""
    if label:
        raise _without_end(name, label)


def _noun(label: str) -> Message:
    kind = _DECODED.get(label) or _NAMED.get(label)
    return Message("pem.parameters", "parameters") if kind is None else kind.label


def _numbered(kind: Kind, number: int) -> Message:
    params = {"number": number}
    match kind:
        case Kind.CERTIFICATE:
            return Message("pem.certificate", "certificate number {number}", params)
        case Kind.PRIVATE_KEY:
            return Message("pem.private_key", "private key number {number}", params)
        case Kind.PKCS7:
            return Message("pem.pkcs7", "PKCS#7 bundle number {number}", params)
        case _:
            return Message("pem.pkcs12", "PKCS#12 file number {number}", params)


def _without_end(name: str, label: str) -> InvalidInputError:
    reason = Message("pem.no_end", "{kind} begins, but its END line is missing.", {"kind": _noun(label)})
    return InvalidInputError(name, reason, advice=_COPY_AGAIN)


def _block(name: str, label: str, body: str, number: int) -> Piece | None:
    if label in _PASSED_OVER:
        return None
    if label in _NAMED:
        return Piece(field=name, kind=_NAMED[label], data=b"", what=_NAMED[label].label)
    label_shown = _numbered(_DECODED[label], number)
    body = body.strip("-")
    if cipher := _CIPHER.search(body):
        return _old_key(name, label, label_shown, body[cipher.end() :], cipher[1].upper())
    data = _body(name, label_shown, _HEADER.sub("", body))
    end = _checked_end(name, label_shown, data)
    if data[end:].strip(_FILLING) and label != "TRUSTEDCERTIFICATE":
        text = "{what} has {count} bytes too many, as if two blocks had been joined."
        reason = Message("pem.run_together", text, {"what": label_shown, "count": len(data) - end})
        raise InvalidInputError(name, reason, advice=_COPY_AGAIN)
    # OpenSSL appends the trusted uses to a TRUSTED CERTIFICATE; they are dropped here.
    return Piece(field=name, kind=kind_of(data[:end]), data=data[:end], what=label_shown)


def _old_key(name: str, label: str, label_shown: Message, body: str, cipher: str) -> Piece:
    """A key with RFC 1421 headers, normalized for the package ``cryptography``."""
    digits = _HEX.match(body)
    length = _AES_VECTOR if cipher.startswith("AES") else _DES_VECTOR
    if digits is None or len(digits[0]) < length or label not in _OLD_KEYS:
        reason = Message("pem.headers", "the headers of {what} are damaged.", {"what": label_shown})
        raise InvalidInputError(name, reason, advice=_COPY_AGAIN)
    headers = ("Proc-Type: 4,ENCRYPTED", f"DEK-Info: {cipher},{body[:length].upper()}", "")
    data = pem_block(_OLD_KEYS[label], _body(name, label_shown, body[length:]), *headers)
    return Piece(field=name, kind=Kind.OLD_ENCRYPTED_KEY, data=data, what=label_shown)


def _body(name: str, label_shown: Message, text: str) -> bytes:
    characters = "".join(text.split()).translate(_AROUND_LINES)
    if not characters.strip("="):
        raise InvalidInputError(
            name, Message("pem.empty", "{what} is empty.", {"what": label_shown}), advice=_COPY_AGAIN
        )
    if not _BASE64.fullmatch(characters):
        changed = "{what} contains characters that are not base64: it was changed in transfer."
        raise InvalidInputError(name, Message("pem.not_base64", changed, {"what": label_shown}), advice=_COPY_AGAIN)
    return _decoded(characters)


def _decoded(characters: str) -> bytes:
    data = characters.rstrip("=")
    if len(data) % _QUADRUPLE == 1:  # a character is missing; reading the value's length detects it
        data = data[:-1]
    return base64.b64decode(data + "=" * (-len(data) % _QUADRUPLE))


def _values(name: str, data: bytes) -> Iterator[Piece]:
    at, number = 0, 0
    while at < len(data):
        if data[at] in _FILLING:
            at += 1
            continue
        number += 1
        label_shown = Message("pem.der_value", "DER value number {number}", {"number": number})
        end = _checked_end(name, label_shown, data, at)
        value = data[at:end]
        kind = kind_of(value)
        yield Piece(field=name, kind=kind, data=value, what=label_shown if kind is Kind.UNKNOWN else kind.label)
        at = end


def _checked_end(name: str, label_shown: Message, data: bytes, at: int = 0) -> int:
    try:
        return read_value(data, at).end
    except ValueError:
        text = "{what} is cut off, or its beginning is damaged; {count} bytes were found."
        reason = Message("pem.cut_off", text, {"what": label_shown, "count": len(data) - at})
        raise InvalidInputError(name, reason, advice=_COPY_AGAIN) from None
