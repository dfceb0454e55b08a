"""Check that the numbers of an RSA private key belong together, without blocking other threads.

OpenSSL's check tests both primes with many rounds and holds Python's interpreter lock meanwhile: 0.1 seconds for 2048
bits, 0.5 seconds for 4096, several seconds for 8192. This module checks instead:

- The size is 2048 to 4096 bits, and the public exponent is odd and from 3 to 2^256, as CAs require (Baseline
  Requirements, section 6.1.6). Other sizes are refused before anything is computed.
- n = p·q, e·d = 1 modulo p-1 and q-1, and the numbers for the Chinese remainder theorem follow from d, p and q
  (RFC 8017 section 3.2). So a TLS program gets the same result whichever numbers it uses.
- p and q pass a Miller-Rabin test to the base 2. Accidental damage does not pass it. A composite that passes must be
  constructed on purpose, and harms only its owner.
- A signature by the private key verifies with the public key, as in a TLS server.

`certcore.x509.weakness` checks the public key in the certificate: small factors, close primes and ROCA.
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

#: The sizes of RSA private keys that are accepted, in bits.
FEWEST_BITS: Final = 2048
MOST_BITS: Final = 4096
_SMALLEST_EXPONENT: Final = 3
_EXPONENT_BITS: Final = 256
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30
#: The text that is signed. Any text will do, because its digest is padded to the size of the key.
_MESSAGE: Final = b"certcore: does this key sign?"


def modulus_bits(der: bytes) -> int | None:
    """The size of an unencrypted RSA private key in bits, read from its DER without loading the key.

    The DER is RSAPrivateKey (RFC 8017 appendix A.1.2) or PKCS#8 (RFC 5958 section 2). None for everything else.
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
    """Why an RSA private key of this size, in bits, is refused, as a clause; None if it is accepted."""
    if bits > MOST_BITS:
        text = "it has {bits} bits; CAs accept RSA keys of at most {most} bits."
        return Message("private_key.too_long", text, {"bits": bits, "most": MOST_BITS})
    if bits < FEWEST_BITS:
        text = "it has {bits} bits, which is too weak; at least {fewest} are needed."
        return Message("private_key.too_short", text, {"bits": bits, "fewest": FEWEST_BITS})
    return None


def rsa_key_fault(key: rsa.RSAPrivateKey) -> Message | None:
    """Why an RSA private key must not be used, as a clause that follows a colon; None if it may be used.

    Args:
        key: The key. It may have been loaded without OpenSSL's check.
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
    """Whether a number is a strong probable prime to the base 2 (Miller-Rabin).

    The exponentiation is a loop, because `pow` holds the interpreter lock for all of it: 30 ms for a prime of 2048
    bits. Each step of the loop takes a few microseconds, and other threads run in between.
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
