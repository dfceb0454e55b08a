"""RSA and DSA keys that are read instead of made: making one takes up to a second.

python tests/support/keys.py    makes the files that are missing
"""

from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

FOLDER = Path(__file__).parents[1] / "data" / "keys"

#: Bits and public exponent of each RSA key.
_RSA = [(1024, 65537), (2048, 3), (2048, 65537), (2304, 65537), (3072, 65537), (3200, 65537), (4096, 65537)]


@cache
def rsa_key(bits=2048, exponent=65537):
    """The stored RSA key of this size."""
    return _read(f"rsa-{bits}-{exponent}.pem")


@cache
def dsa_key():
    """The stored DSA key of 1024 bits."""
    return _read("dsa-1024.pem")


def _read(name):
    # Validating costs more than a tenth of a second; the files are our own.
    return load_pem_private_key((FOLDER / name).read_bytes(), None, unsafe_skip_rsa_key_validation=True)


def _make():
    for bits, exponent in _RSA:
        _write(f"rsa-{bits}-{exponent}.pem", rsa.generate_private_key, exponent, bits)
    _write("dsa-1024.pem", dsa.generate_private_key, 1024)


def _write(name, generate, *arguments):
    path = FOLDER / name
    if not path.exists():
        path.write_bytes(generate(*arguments).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


if __name__ == "__main__":
    _make()
