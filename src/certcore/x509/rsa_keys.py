"""Whether the numbers of an RSA private key belong together, without holding up other threads.

OpenSSL's own check proves both primes with many rounds and keeps Python's interpreter lock for all of that time: a
tenth of a second for 2048 bits, half a second for 4096, some seconds for 8192. What replaces it, and why it is enough:

- Sizes from 2048 to 4096 bits, an odd public exponent from 3 to 2^256: what CAs take (Baseline Requirements, section
  6.1.6). Other sizes are refused before anything is computed.
- n = p·q, e·d = 1 modulo p-1 and q-1, and the numbers for the Chinese remainder theorem follow from d, p and q
  (RFC 8017 section 3.2): whatever of the numbers a TLS program uses, it computes the same.
- p and q pass a strong test for the base 2 (Miller and Rabin). It finds every damage; a composite that was made to
  pass it takes intent, and who gives the key harms only himself.
- A random message, signed with the private key, verifies with the public key: what a TLS server does with it.

Whether the public key is weak (small factors, primes that are close together, ROCA) is judged with the certificate,
see `certcore.x509.weakness`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cryptography.exceptions import InternalError, InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from certcore.messages import Message
from certcore.x509.der import read_value, read_values

__all__ = ["FEWEST_BITS", "MOST_BITS", "modulus_bits", "rsa_key_fault", "size_fault"]

FEWEST_BITS: Final = 2048
MOST_BITS: Final = 4096
_SMALLEST_EXPONENT: Final = 3
_EXPONENT_BITS: Final = 256
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
#: What is signed: any text does, as its digest is padded to the size of the key.
_MESSAGE: Final = b"certcore: does this key sign?"


def modulus_bits(der: bytes) -> int | None:
    """The size of an unencrypted RSA private key, read from its DER (RFC 8017 appendix A.1.2, RFC 5958 section 2).

    Nothing is computed. None for other keys, and for what cannot be read.
    """
    try:
        parts = read_values(read_value(der).content)
        if [part.tag for part in parts[:3]] == [_INTEGER, _SEQUENCE, _OCTETS]:
            parts = read_values(read_value(parts[2].content).content)
    except ValueError:
        return None
    if [part.tag for part in parts[:4]] != [_INTEGER] * 4:
        return None
    return int.from_bytes(parts[1].content, "big").bit_length()


def size_fault(bits: int) -> Message | None:
    """Why a private key of so many bits is not taken, as a clause; None when it is."""
    if bits > MOST_BITS:
        text = "it has {bits} bits; CAs accept RSA keys of at most {most} bits."
        return Message("private_key.too_long", text, {"bits": bits, "most": MOST_BITS})
    if bits < FEWEST_BITS:
        text = "it has {bits} bits, which is too weak; at least {fewest} are needed."
        return Message("private_key.too_short", text, {"bits": bits, "fewest": FEWEST_BITS})
    return None


def rsa_key_fault(key: rsa.RSAPrivateKey) -> Message | None:
    """Why a private key must not be used, as a clause that follows "the key:"; None when it may.

    Args:
        key: Loaded without a check.
    """
    if fault := size_fault(key.key_size):
        return fault
    return next(_faults(key), None)


def _faults(key: rsa.RSAPrivateKey) -> Iterator[Message]:
    damaged = Message("private_key.damaged", "its numbers do not fit together: it is damaged.")
    try:
        numbers = key.private_numbers()
        public = numbers.public_numbers
        if public.e < _SMALLEST_EXPONENT or public.e % 2 == 0 or public.e.bit_length() > _EXPONENT_BITS:
            text = "its public exponent is even, or outside of the range that CAs accept."
            yield Message("private_key.exponent", text)
        if not _fits_together(numbers) or not (_is_probable_prime(numbers.p) and _is_probable_prime(numbers.q)):
            yield damaged
        signature = key.sign(_MESSAGE, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, _MESSAGE, padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InternalError, InvalidSignature):
        yield damaged


def _fits_together(numbers: rsa.RSAPrivateNumbers) -> bool:
    p, q, d = numbers.p, numbers.q, numbers.d
    public = numbers.public_numbers
    smallest = 1 << FEWEST_BITS // 4
    return (
        min(p, q) > smallest
        and p != q
        and p * q == public.n
        and 1 < d < public.n
        and d * public.e % (p - 1) == 1
        and d * public.e % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and 0 < numbers.iqmp < p
        and numbers.iqmp * q % p == 1
    )


def _is_probable_prime(number: int) -> bool:
    """A strong probable prime for the base 2.

    Written out, as `pow` keeps the interpreter lock for the whole exponentiation: 30 ms for a prime of 2048 bits. Here
    each step takes some microseconds, and other threads run in between.
    """
    if number < FEWEST_BITS or number % 2 == 0:
        return False
    last = number - 1
    twos = (last & -last).bit_length() - 1
    power = 1
    for bit in f"{last >> twos:b}":
        power = power * power % number
        if bit == "1":
            power = (power << 1) % number
    if power in (1, last):
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == last:
            return True
    return False
