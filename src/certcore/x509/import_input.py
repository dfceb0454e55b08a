"""What people paste and upload, opened: the certificates and private keys, and what else was among them."""

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

#: A private key of RSA with 8192 bits takes less than 5 KiB; those of more than 4096 are refused when they are opened.
_LONGEST_KEY: Final = 8 * 1024
#: An RSA key of 4096 bits takes 2400 bytes when it is encrypted.
_LONGEST_LOCKED: Final = 2560
#: Half a second, in which no other thread runs; OpenSSL asks for 2048 rounds, careful programs for 600,000.
_MOST_ROUNDS: Final = 2_000_000
#: An empty password is tried as two: PKCS#12 files are written with either (RFC 7292 appendix B.1).
_WITHOUT: Final = 2
_MOST_KEYS: Final = 5
_DAMAGED: Final = Message("bundle.damaged", "it is damaged, or it is something else.")
_COPY_AGAIN: Final = Message("bundle.copy_again", "Copy it again from the file as it was given to you.")
#: OpenSSL takes no longer ones.
_LONGEST_PASSWORD: Final = 1000
_WITH_KEY: Final = frozenset({Kind.ENCRYPTED_KEY, Kind.OLD_ENCRYPTED_KEY, Kind.PKCS12, Kind.PRIVATE_KEY})
_USEFUL: Final = _WITH_KEY | {Kind.CERTIFICATE, Kind.PKCS7}
_UNREADABLE: Final = (*UNREADABLE, UnreadablePemError)


@attrs.frozen(kw_only=True)
class GivenCertificate:
    """A certificate, and the field that it was found in."""

    field: str
    certificate: x509.Certificate


@attrs.frozen(kw_only=True)
class GivenKey:
    """A private key, and the field that it was found in."""

    field: str
    key: PrivateKeyTypes = attrs.field(repr=False)
    #: SHA-256 over its public key, as `certcore.x509.keys.spki_sha256` gives it.
    spki_sha256: str


@attrs.frozen(kw_only=True)
class UnreadableCertificate:
    """A certificate that cannot be read, though its names can be told."""

    field: str
    #: What it is in a sentence: ``certificate number 2``.
    what: Message = attrs.field(hash=False)
    names: RawNames
    #: Why, as a clause that ends a sentence; None when it is not known.
    reason: Message | None = attrs.field(hash=False)

    @property
    def is_root(self) -> bool:
        """Whether it says that it issued itself: then nobody needs it."""
        return self.names.issuer == self.names.subject

    def refusal(self) -> InvalidInputError:
        """That it is needed, and cannot be read."""
        params = {"what": self.what, "name": self.names.text, "reason": self.reason or _DAMAGED}
        advice = Message("bundle.unreadable_certificate.advice", "Ask the CA for a certificate without that fault.")
        return InvalidInputError(
            self.field,
            Message("bundle.unreadable_certificate", "{what}, {name}, cannot be read: {reason}", params),
            advice=advice if self.reason is not None else _COPY_AGAIN,
        )


@attrs.frozen(kw_only=True)
class Pasted:
    """Everything that was found, each thing once."""

    certificates: tuple[GivenCertificate, ...]
    #: Those that cannot be read.
    unreadable: tuple[UnreadableCertificate, ...]
    keys: tuple[GivenKey, ...]
    #: What is neither: the field, and what it is.
    others: tuple[tuple[str, Kind], ...]
    #: The fields that are not blank.
    filled: frozenset[str]
    #: Those that hold a certificate or a private key.
    useful: frozenset[str]


def read_pasted(fields: Mapping[str, str | bytes | None], password: bytes | str | None) -> Pasted:
    """Read all fields, and open what is encrypted.

    Args:
        fields: What stands in each, by its name.
        password: The password of an encrypted key or of a PKCS#12 file.

    Raises:
        InvalidInputError: Something is damaged or too much, or the password is missing or wrong.
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
    """Each piece once: a key that is there a hundred times is checked once."""
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
    """The certificate, once everything in it has been read that is asked for later: the package reads late."""
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
        # Whether its numbers fit together is checked when it is known to be the one that is wanted.
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
    """Refuse an RSA key by its size, before it is read or before anything is computed with it."""
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
    """The private key of a file, of several the first, and its certificates."""
    problem: Exception = ValueError()
    try:
        data = definite(piece.data)
    except ValueError:
        raise _damaged(piece) from None
    # No password is written as one of no characters, or as none at all; without the MAC nothing says which.
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
        # The package takes no empty password but for a whole file. The check that comes with it takes half a second for
        # the longest key that is let through; such files are rare.
        if len(key.der) > _LONGEST_LOCKED:
            raise ValueError("longer than any key that CAs take")
        opened = pkcs12.load_pkcs12(store_of_key(key), password).key
        if opened is None:
            raise ValueError("no key")
        return opened
    return serialization.load_der_private_key(key.der, secret, unsafe_skip_rsa_key_validation=True)


def _usable(password: bytes | None) -> bytes | None:
    """The password, if a PKCS#12 file can have it: there it is text."""
    return password if password and password.decode("utf-8", "ignore").encode() == password else None


def _passwords_of_stores(password: bytes | None, rounds: int) -> list[bytes | None]:
    """Those to try on PKCS#12 files: people fill in one that is not needed. Not more than the rounds allow."""
    usable = _usable(password)
    if usable is None:
        return [None]
    return [usable, None] if rounds * (1 + _WITHOUT) <= _MOST_ROUNDS else [usable]


def _checked_costs(pieces: list[Piece], password: bytes | None) -> int:
    """Refuse what would take long to open, before any of it is opened; returns the rounds of key derivation."""
    if len(pieces) > _MOST_KEYS:
        reason = Message("bundle.too_many_keys", "there are more than {count} private keys.", {"count": _MOST_KEYS})
        advice = Message("bundle.too_many_keys.advice", "Give the one of the leaf.")
        raise InvalidInputError(pieces[-1].field, reason, advice=advice)
    # Whatever is tried, it stays within the rounds that are made here.
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
    """Why it was not opened, as far as the package tells.

    A wrong password decrypts a key to noise, one time in some hundreds to noise that looks decrypted: the package then
    complains of that. So a key that does not open has a wrong password unless the package says otherwise.
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
