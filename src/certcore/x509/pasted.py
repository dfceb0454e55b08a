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

from certcore.errors import InvalidInput, UnreadablePem
from certcore.x509.chain import MAX_CERTIFICATES, has_whole_signature
from certcore.x509.der import Kind, definite, opening_cost, signed_certificates
from certcore.x509.keys import spki_sha256
from certcore.x509.path import UNREADABLE, is_ca
from certcore.x509.pem import Piece, read_pieces
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
_DAMAGED: Final = "it is damaged, or it is something else."
_COPY_AGAIN: Final = "Copy it again from the file as it was given to you."
_USE_ANOTHER: Final = "Use an EC key, or an RSA key of 2048 to 4096 bits."
#: OpenSSL takes no longer ones.
_LONGEST_PASSWORD: Final = 1000
_WITH_KEY: Final = frozenset({Kind.ENCRYPTED_KEY, Kind.OLD_ENCRYPTED_KEY, Kind.PKCS12, Kind.PRIVATE_KEY})
_USEFUL: Final = _WITH_KEY | {Kind.CERTIFICATE, Kind.PKCS7}
_UNREADABLE: Final = (*UNREADABLE, UnreadablePem)


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
    what: str
    names: RawNames
    #: Why, as a clause that ends a sentence.
    reason: str

    @property
    def is_root(self) -> bool:
        """Whether it says that it issued itself: then nobody needs it."""
        return self.names.issuer == self.names.subject

    def refusal(self) -> InvalidInput:
        """That it is needed, and cannot be read."""
        return InvalidInput(
            self.field,
            f"{self.what}, {self.names.text}, cannot be read: {self.reason or _DAMAGED}",
            advice="Ask the CA for a certificate without that fault." if self.reason else _COPY_AGAIN,
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
        InvalidInput: Something is damaged or too much, or the password is missing or wrong.
    """
    secret = _password(password)
    certificates: dict[x509.Certificate, GivenCertificate] = {}
    keys: dict[str, GivenKey] = {}
    unreadable: dict[UnreadableCertificate, None] = {}
    others: dict[tuple[str, Kind], None] = {}
    pieces = [piece for name, given in fields.items() if given is not None for piece in read_pieces(name, given)]
    distinct = list(_distinct(pieces))
    stores = _passwords_of_stores(secret, _checked_costs([one for one in distinct if one.kind in _WITH_KEY], secret))
    for piece in distinct:
        for thing in _open(piece, secret, stores):
            if isinstance(thing, Kind):
                others[piece.field, thing] = None
            elif isinstance(thing, UnreadableCertificate):
                unreadable[thing] = None
            elif isinstance(thing, x509.Certificate):
                certificates.setdefault(thing, GivenCertificate(field=piece.field, certificate=thing))
            else:
                _check_size(piece, thing.key_size if isinstance(thing, rsa.RSAPrivateKey) else None)
                given = GivenKey(field=piece.field, key=thing, spki_sha256=_key_fingerprint(piece, thing))
                keys.setdefault(given.spki_sha256, given)
        if len(certificates) + len(unreadable) > MAX_CERTIFICATES:
            raise InvalidInput(
                piece.field,
                f"there are more than {MAX_CERTIFICATES} certificates, and no chain has as many.",
                advice="Give the leaf and the certificates that lead from it to the root, and no others.",
            )
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
    seen = set()
    for piece in pieces:
        if not piece.data or piece.data not in seen:
            yield piece
        seen.add(piece.data)


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
            key, inside = _pkcs12(piece, stores, given=bool(password))
            if key is None and not inside:
                raise InvalidInput(piece.field, f"{piece.what} is empty.", advice="Export it again, with the key.")
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
        raise InvalidInput(
            piece.field, f"{piece.what} has a signature that is cut off.", advice="Download the certificate again."
        )
    return certificate


def _private_key(piece: Piece, password: bytes | None) -> PrivateKeyTypes:
    encrypted = piece.kind is not Kind.PRIVATE_KEY
    if encrypted and not password:
        raise InvalidInput(
            "password",
            f"it is needed to open {piece.what} in {piece.field}.",
            advice="Give the password that the key was encrypted with.",
        )
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
            raise _not_opened(piece, error, given=True) from None
        if isinstance(error, UnsupportedAlgorithm):
            raise InvalidInput(
                piece.field,
                f"{piece.what} is of a kind or on a curve that CAs do not take.",
                advice="Use an EC or RSA key.",
            ) from None
        raise _damaged(piece) from None


def _check_size(piece: Piece, bits: int | None) -> None:
    """Refuse an RSA key by its size, before it is read or before anything is computed with it."""
    if bits is not None and (fault := size_fault(bits)):
        raise InvalidInput(piece.field, f"{piece.what} cannot be used: {fault}", advice=_USE_ANOTHER)


def _key_fingerprint(piece: Piece, key: PrivateKeyTypes) -> str:
    try:
        return spki_sha256(key.public_key())
    except _UNREADABLE:
        raise _damaged(piece) from None


def _pkcs7(piece: Piece) -> list[bytes]:
    try:
        found = signed_certificates(piece.data)
    except ValueError:
        raise _damaged(piece) from None
    if not found:
        raise InvalidInput(
            piece.field,
            f"{piece.what} holds no certificates.",
            advice="Give the file that holds the certificate with its chain, not a signature alone.",
        )
    return found


def _pkcs12(
    piece: Piece, passwords: Sequence[bytes | None], *, given: bool
) -> tuple[PrivateKeyTypes | None, list[x509.Certificate]]:
    """The private key of a file, of several the first, and its certificates."""
    problem: Exception = ValueError()
    try:
        data = definite(piece.data)
    except ValueError:
        raise _damaged(piece) from None
    # No password is written as one of no characters, or as none at all; without the MAC nothing says which.
    for one in (*passwords, b"") if None in passwords else passwords:
        try:
            rest, keys = parted_store(data)
            store = pkcs12.load_pkcs12(rest, one)
            key = _stored_key(keys[0], one) if keys else None
            entries = (store.cert, *store.additional_certs)
            return key, [entry.certificate for entry in entries if entry is not None]
        except _UNREADABLE as error:
            problem = problem if str(problem) else error
    raise _not_opened(piece, problem, given=given) from None


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
        raise InvalidInput(
            pieces[-1].field, f"there are more than {_MOST_KEYS} private keys.", advice="Give the one of the leaf."
        )
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
            raise InvalidInput(
                piece.field,
                f"{piece.what} asks for more than the {most} rounds of key derivation that are made here.",
                advice="Write it again with fewer rounds, for example 600000.",
            )
        if longest > _LONGEST_KEY:
            raise InvalidInput(
                piece.field,
                f"{piece.what} holds a private key of {longest} bytes, which is longer than CAs take.",
                advice=_USE_ANOTHER,
            )
    return rounds


def _not_opened(piece: Piece, problem: Exception, *, given: bool) -> InvalidInput:
    """Why it was not opened, as far as the package tells.

    A wrong password decrypts a key to noise, one time in some hundreds to noise that looks decrypted: the package then
    complains of that. So a key that does not open has a wrong password unless the package says otherwise.
    """
    text = str(problem).lower()
    strange = "unknown" in text or isinstance(problem, UnsupportedAlgorithm)
    if strange or (piece.kind is Kind.PKCS12 and "password" not in text):
        return InvalidInput(
            piece.field,
            f"{piece.what} cannot be opened: it is damaged, or of a kind or encrypted in a way that is not known here.",
            advice="Write it again with AES, for example with openssl pkcs8 -topk8 or openssl pkcs12 -export.",
        )
    if given:
        return InvalidInput(
            "password",
            f"it does not open {piece.what} in {piece.field}.",
            advice="Mind capital letters and spaces; or the file is damaged.",
        )
    return InvalidInput(
        "password",
        f"it is needed to open {piece.what} in {piece.field}.",
        advice="Give the password that was chosen when the file was made. If there was none, the file is damaged.",
    )


def _damaged(piece: Piece) -> InvalidInput:
    return InvalidInput(
        piece.field,
        f"{piece.what} cannot be read: {_DAMAGED}",
        advice=_COPY_AGAIN,
    )


def _password(given: bytes | str | None) -> bytes | None:
    if given is not None and not isinstance(given, str | bytes):
        raise InvalidInput("password", "must be text or bytes.")
    if given and len(given) > _LONGEST_PASSWORD:
        raise InvalidInput("password", f"is longer than {_LONGEST_PASSWORD} characters, which no program takes.")
    try:
        password = given.encode() if isinstance(given, str) else given
    except UnicodeEncodeError:
        raise InvalidInput("password", "it holds characters that do not exist.") from None
    if password and b"\0" in password:
        raise InvalidInput("password", "it holds a NUL character, which no password has.")
    return password
