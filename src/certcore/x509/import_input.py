"""Read pasted text and uploaded files: decrypt them, and extract the certificates and private keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12

from certcore.errors import InvalidInputError, UnreadablePemError
from certcore.messages import Message
from certcore.x509.chain import MAX_CERTIFICATES, has_whole_signature
from certcore.x509.chain_path import ONLY_THE_CHAIN, UNREADABLE, is_ca
from certcore.x509.der import Kind, definite, opening_cost, signed_certificates
from certcore.x509.keys import USE_ANOTHER_KEY, spki_sha256
from certcore.x509.pem_reader import Piece, read_pieces
from certcore.x509.pkcs12_file import StoredKey, parted_store, store_of_key
from certcore.x509.rsa_keys import modulus_bits, size_fault
from certcore.x509.unreadable import RawNames, raw_names, what_is_wrong

__all__ = ["GivenCertificate", "GivenKey", "Pasted", "UnreadableCertificate", "read_pasted"]

#: In bytes. An RSA key of 8192 bits takes less than 5 KiB; keys of more than 4096 bits are refused after decryption.
_LONGEST_KEY: Final = 8 * 1024
#: In bytes. An encrypted RSA key of 4096 bits takes 2400 bytes.
_LONGEST_LOCKED: Final = 2560
#: The largest number of key derivation rounds for all fields together: half a second in which no other thread runs.
#: OpenSSL uses 2048 rounds, careful programs 600,000.
_MOST_ROUNDS: Final = 2_000_000
#: How many attempts a missing password takes: PKCS#12 files are written with an empty one, or with none (RFC 7292
#: appendix B.1).
_WITHOUT: Final = 2
_MOST_KEYS: Final = 5
_DAMAGED: Final = Message("bundle.damaged", "it is damaged, or it is something else.")
_COPY_AGAIN: Final = Message("bundle.copy_again", "Copy it again from the file as it was given to you.")
#: In bytes. OpenSSL accepts no longer passwords.
_LONGEST_PASSWORD: Final = 1000
_WITH_KEY: Final = frozenset({Kind.ENCRYPTED_KEY, Kind.OLD_ENCRYPTED_KEY, Kind.PKCS12, Kind.PRIVATE_KEY})
_USEFUL: Final = _WITH_KEY | {Kind.CERTIFICATE, Kind.PKCS7}
_UNREADABLE: Final = (*UNREADABLE, UnreadablePemError)


@attrs.frozen(kw_only=True)
class GivenCertificate:
    """A certificate and the field that contained it."""

    field: str
    certificate: x509.Certificate


@attrs.frozen(kw_only=True)
class GivenKey:
    """A private key and the field that contained it."""

    field: str
    key: PrivateKeyTypes = attrs.field(repr=False)
    #: SHA-256 over its public key, computed by `certcore.x509.keys.spki_sha256`.
    spki_sha256: str


@attrs.frozen(kw_only=True)
class UnreadableCertificate:
    """A certificate of which only the names can be read."""

    field: str
    #: Its name in a message, for example ``certificate number 2``.
    what: Message = attrs.field(hash=False)
    names: RawNames
    #: Why it cannot be read, as the last clause of a sentence; None if the reason is unknown.
    reason: Message | None = attrs.field(hash=False)

    @property
    def is_root(self) -> bool:
        """Whether it names itself as its issuer. Such a certificate is not needed."""
        return self.names.issuer == self.names.subject

    def refusal(self) -> InvalidInputError:
        """The error that is raised if the certificate is needed."""
        params = {"what": self.what, "name": self.names.text, "reason": self.reason or _DAMAGED}
        advice = Message("bundle.unreadable_certificate.advice", "Ask the CA for a certificate without that fault.")
        return InvalidInputError(
            self.field,
            Message("bundle.unreadable_certificate", "{what}, {name}, cannot be read: {reason}", params),
            advice=advice if self.reason is not None else _COPY_AGAIN,
        )


@attrs.frozen(kw_only=True)
class Pasted:
    """The contents of all fields, without duplicates."""

    #: The certificates that can be read.
    certificates: tuple[GivenCertificate, ...]
    #: The certificates that cannot be read.
    unreadable: tuple[UnreadableCertificate, ...]
    #: The private keys.
    keys: tuple[GivenKey, ...]
    #: Everything else: pairs of a field and the kind of its content.
    others: tuple[tuple[str, Kind], ...]
    #: The fields that are not blank.
    filled: frozenset[str]
    #: The fields that contain a certificate or a private key.
    useful: frozenset[str]


def read_pasted(fields: Mapping[str, str | bytes | None], password: bytes | str | None) -> Pasted:
    """Read all fields and decrypt what is encrypted.

    Args:
        fields: The content of each field, by the field's name.
        password: The password of an encrypted key or of a PKCS#12 file.

    Raises:
        InvalidInputError: The content is damaged or too large, or the password is missing or wrong.
    """
    secret = _password(password)
    certificates: dict[x509.Certificate, GivenCertificate] = {}
    keys: dict[str, GivenKey] = {}
    unreadable: dict[UnreadableCertificate, None] = {}
    others: dict[tuple[str, Kind], None] = {}
    pieces = [piece for name, content in fields.items() if content is not None for piece in read_pieces(name, content)]
    distinct = list(_distinct(pieces))
    stores = _passwords_of_stores(
        secret, _checked_costs([piece for piece in distinct if piece.kind in _WITH_KEY], secret)
    )
    for piece in distinct:
        for value in _open(piece, secret, stores):
            if isinstance(value, Kind):
                others[piece.field, value] = None
            elif isinstance(value, UnreadableCertificate):
                unreadable[value] = None
            elif isinstance(value, x509.Certificate):
                certificates.setdefault(value, GivenCertificate(field=piece.field, certificate=value))
            else:
                _check_size(piece, value.key_size if isinstance(value, rsa.RSAPrivateKey) else None)
                given_key = GivenKey(field=piece.field, key=value, spki_sha256=_key_fingerprint(piece, value))
                keys.setdefault(given_key.spki_sha256, given_key)
        if len(certificates) + len(unreadable) > MAX_CERTIFICATES:
            text = "there are more than {count} certificates, and no chain has as many."
            reason = Message("bundle.too_many_certificates", text, {"count": MAX_CERTIFICATES})
            raise InvalidInputError(piece.field, reason, advice=ONLY_THE_CHAIN)
    return Pasted(
        certificates=tuple(certificates.values()),
        unreadable=tuple(unreadable),
        keys=tuple(keys.values()),
        others=tuple(others),
        filled=frozenset(piece.field for piece in pieces),
        useful=frozenset(piece.field for piece in pieces if piece.kind in _USEFUL),
    )


def _distinct(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """The pieces without duplicates, so that a key that was pasted a hundred times is checked once."""
    read = set()
    for piece in pieces:
        if not piece.data or piece.data not in read:
            yield piece
        read.add(piece.data)


def _open(
    piece: Piece, password: bytes | None, stores: Sequence[bytes | None]
) -> Iterator[x509.Certificate | UnreadableCertificate | PrivateKeyTypes | Kind]:
    match piece.kind:
        case Kind.CERTIFICATE:
            yield _certificate(piece, piece.data)
        case Kind.PRIVATE_KEY | Kind.ENCRYPTED_KEY | Kind.OLD_ENCRYPTED_KEY:
            yield _private_key(piece, password)
        case Kind.PKCS7:
            for der in _pkcs7(piece):
                yield _certificate(piece, der)
        case Kind.PKCS12:
            key, inside = _pkcs12(piece, stores, has_password=bool(password))
            if key is None and not inside:
                reason = Message("bundle.empty_file", "{what} is empty.", {"what": piece.what})
                advice = Message("bundle.empty_file.advice", "Export it again, with the key.")
                raise InvalidInputError(piece.field, reason, advice=advice)
            if key is not None:
                yield key
            for certificate in inside:
                yield _certificate(piece, certificate.public_bytes(serialization.Encoding.DER))
        case Kind.UNKNOWN:
            raise _damaged(piece)
        case other:
            yield other


def _certificate(piece: Piece, der: bytes) -> x509.Certificate | UnreadableCertificate:
    try:
        return _checked(piece, x509.load_der_x509_certificate(der))
    except _UNREADABLE:
        names = raw_names(der)
        if names is None:
            raise _damaged(piece) from None
        return UnreadableCertificate(field=piece.field, what=piece.what, names=names, reason=what_is_wrong(der))


def _checked(piece: Piece, certificate: x509.Certificate) -> x509.Certificate:
    """Parse all parts of a certificate that are used later, because ``cryptography`` parses them on first access."""
    is_ca(certificate)
    for name in (certificate.subject, certificate.issuer):
        name.rfc4514_string()
    readable = certificate.not_valid_before_utc.tzinfo == certificate.not_valid_after_utc.tzinfo
    whole = has_whole_signature(certificate)
    if not (whole and readable):
        reason = Message("bundle.cut_off", "{what} has a signature that is cut off.", {"what": piece.what})
        advice = Message("bundle.cut_off.advice", "Download the certificate again.")
        raise InvalidInputError(piece.field, reason, advice=advice)
    return certificate


def _private_key(piece: Piece, password: bytes | None) -> PrivateKeyTypes:
    encrypted = piece.kind is not Kind.PRIVATE_KEY
    if encrypted and not password:
        advice = Message("bundle.password.of_key", "Give the password that the key was encrypted with.")
        raise InvalidInputError("password", _needs_password(piece), advice=advice)
    load = (
        serialization.load_pem_private_key
        if piece.kind is Kind.OLD_ENCRYPTED_KEY
        else serialization.load_der_private_key
    )
    if piece.kind is Kind.PRIVATE_KEY:
        _check_size(piece, modulus_bits(piece.data))
    try:
        # The numbers of an RSA key are checked later, and only for the key that is imported.
        return load(piece.data, password if encrypted else None, unsafe_skip_rsa_key_validation=True)
    except _UNREADABLE as error:
        if encrypted:
            raise _not_opened(piece, error, has_password=True) from None
        if isinstance(error, UnsupportedAlgorithm):
            text = "{what} has a type or a curve that CAs do not accept."
            raise InvalidInputError(
                piece.field,
                Message("bundle.kind_of_key", text, {"what": piece.what}),
                advice=Message("bundle.kind_of_key.advice", "Use an EC or RSA key."),
            ) from None
        raise _damaged(piece) from None


def _check_size(piece: Piece, bits: int | None) -> None:
    """Refuse an RSA key by its size, before anything is computed with it."""
    if bits is not None and (fault := size_fault(bits)):
        params = {"what": piece.what, "fault": fault}
        reason = Message("bundle.unusable_key", "{what} cannot be used: {fault}", params)
        raise InvalidInputError(piece.field, reason, advice=USE_ANOTHER_KEY)


def _key_fingerprint(piece: Piece, key: PrivateKeyTypes) -> str:
    try:
        return spki_sha256(key.public_key())
    except _UNREADABLE:
        raise _damaged(piece) from None


def _pkcs7(piece: Piece) -> list[bytes]:
    try:
        certificates = signed_certificates(piece.data)
    except ValueError:
        raise _damaged(piece) from None
    if not certificates:
        text = "Give the file that holds the certificate with its chain, not a signature alone."
        raise InvalidInputError(
            piece.field,
            Message("bundle.no_certificates", "{what} holds no certificates.", {"what": piece.what}),
            advice=Message("bundle.no_certificates.advice", text),
        )
    return certificates


def _pkcs12(
    piece: Piece, passwords: Sequence[bytes | None], *, has_password: bool
) -> tuple[PrivateKeyTypes | None, list[x509.Certificate]]:
    """The first private key of a PKCS#12 file, and its certificates."""
    problem: Exception = ValueError()
    try:
        data = definite(piece.data)
    except ValueError:
        raise _damaged(piece) from None
    # A missing password is encoded as an empty one or as none. Without the MAC, only trying tells which.
    for password in (*passwords, b"") if None in passwords else passwords:
        try:
            rest, keys = parted_store(data)
            store = pkcs12.load_pkcs12(rest, password)
            key = _stored_key(keys[0], password) if keys else None
            entries = (store.cert, *store.additional_certs)
            return key, [entry.certificate for entry in entries if entry is not None]
        except _UNREADABLE as error:
            problem = problem if str(problem) else error
    raise _not_opened(piece, problem, has_password=has_password) from None


def _stored_key(key: StoredKey, password: bytes | None) -> PrivateKeyTypes:
    secret = password if key.encrypted else None
    if key.encrypted and not password:
        # cryptography accepts an empty password only for a whole file. Loading one also checks the RSA key, which takes
        # half a second for the longest key that is accepted here. Such files are rare.
        if len(key.der) > _LONGEST_LOCKED:
            raise ValueError("longer than any key that CAs take")
        opened = pkcs12.load_pkcs12(store_of_key(key), password).key
        if opened is None:
            raise ValueError("no key")
        return opened
    return serialization.load_der_private_key(key.der, secret, unsafe_skip_rsa_key_validation=True)


def _usable(password: bytes | None) -> bytes | None:
    """The password, if it can be one of a PKCS#12 file, where passwords are text; otherwise None."""
    return password if password and password.decode("utf-8", "ignore").encode() == password else None


def _passwords_of_stores(password: bytes | None, rounds: int) -> list[bytes | None]:
    """The passwords to try on PKCS#12 files.

    People enter passwords that are not needed, so None is tried, too, if the limit of rounds allows it.
    """
    usable = _usable(password)
    if usable is None:
        return [None]
    return [usable, None] if rounds * (1 + _WITHOUT) <= _MOST_ROUNDS else [usable]


def _checked_costs(pieces: list[Piece], password: bytes | None) -> int:
    """Refuse input that would take long to decrypt, before anything is decrypted.

    Returns:
        The number of key derivation rounds of all pieces together.
    """
    if len(pieces) > _MOST_KEYS:
        reason = Message("bundle.too_many_keys", "there are more than {count} private keys.", {"count": _MOST_KEYS})
        advice = Message("bundle.too_many_keys.advice", "Give the one of the leaf.")
        raise InvalidInputError(pieces[-1].field, reason, advice=advice)
    # All attempts together stay within the limit.
    most = _MOST_ROUNDS if _usable(password) else _MOST_ROUNDS // _WITHOUT
    rounds = 0
    for piece in pieces:
        more, longest = 0, len(piece.data)
        if piece.kind in {Kind.ENCRYPTED_KEY, Kind.PKCS12}:
            try:
                more, longest = opening_cost(piece.data)
            except ValueError:
                raise _damaged(piece) from None
        rounds += more
        if rounds > most:
            text = "{what} asks for more than the {count} rounds of key derivation that are supported here."
            raise InvalidInputError(
                piece.field,
                Message("bundle.too_many_rounds", text, {"what": piece.what, "count": most}),
                advice=Message(
                    "bundle.too_many_rounds.advice", "Write it again with fewer rounds, for example 600000."
                ),
            )
        if longest > _LONGEST_KEY:
            text = "{what} holds a private key of {count} bytes, which is longer than CAs accept."
            reason = Message("bundle.long_key", text, {"what": piece.what, "count": longest})
            raise InvalidInputError(piece.field, reason, advice=USE_ANOTHER_KEY)
    return rounds


def _not_opened(piece: Piece, problem: Exception, *, has_password: bool) -> InvalidInputError:
    """The error for a piece that could not be decrypted.

    Decrypting a key with a wrong password gives noise. About once in several hundred times the noise has valid padding,
    and ``cryptography`` reports a parse error. So a key that cannot be loaded counts as having a wrong password, unless
    the package reports an unknown algorithm.
    """
    text = str(problem).lower()
    strange = "unknown" in text or isinstance(problem, UnsupportedAlgorithm)
    if strange or (piece.kind is Kind.PKCS12 and "password" not in text):
        reason = "{what} cannot be opened: it is damaged, or of a kind or encrypted in a way that is not known here."
        advice = "Write it again with AES, for example with openssl pkcs8 -topk8 or openssl pkcs12 -export."
        return InvalidInputError(
            piece.field,
            Message("bundle.not_opened", reason, {"what": piece.what}),
            advice=Message("bundle.not_opened.advice", advice),
        )
    if has_password:
        params = {"what": piece.what, "field": piece.field}
        advice = "Mind capital letters and spaces; or the file is damaged."
        return InvalidInputError(
            "password",
            Message("bundle.password.wrong", "it does not open {what} in {field}.", params),
            advice=Message("bundle.password.wrong.advice", advice),
        )
    advice = "Give the password that was chosen when the file was made. If there was none, the file is damaged."
    return InvalidInputError("password", _needs_password(piece), advice=Message("bundle.password.of_file", advice))


def _needs_password(piece: Piece) -> Message:
    params = {"what": piece.what, "field": piece.field}
    return Message("bundle.password.needed", "it is needed to open {what} in {field}.", params)


def _damaged(piece: Piece) -> InvalidInputError:
    params = {"what": piece.what, "reason": _DAMAGED}
    reason = Message("bundle.cannot_be_read", "{what} cannot be read: {reason}", params)
    return InvalidInputError(piece.field, reason, advice=_COPY_AGAIN)


def _password(value: bytes | str | None) -> bytes | None:
    if value is not None and not isinstance(value, str | bytes):
        raise InvalidInputError("password", Message("bundle.password.not_text", "must be text or bytes."))
    if value and len(value) > _LONGEST_PASSWORD:
        text = "is longer than {count} characters, which no program takes."
        reason = Message("bundle.password.too_long", text, {"count": _LONGEST_PASSWORD})
        raise InvalidInputError("password", reason)
    try:
        password = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError:
        reason = Message("bundle.password.no_text", "it contains invalid characters.")
        raise InvalidInputError("password", reason) from None
    if password and b"\0" in password:
        reason = Message("bundle.password.nul", "it contains a NUL character.")
        raise InvalidInputError("password", reason)
    return password
