"""RSA private keys: sizes that CAs take are checked without holding other threads up; others are refused."""

import math

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    pkcs12,
)

from certcore.errors import InvalidInputError, UnreadablePemError
from certcore.x509.import_bundle import read_bundle
from certcore.x509.keys import load_private_key
from certcore.x509.pkcs12_file import StoredKey, parted_store
from certcore.x509.rsa_keys import modulus_bits, rsa_key_fault
from support import bundle_corpus as corpus
from support.keys import rsa_key

NAMES = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")


world, key = corpus.world, rsa_key


def numbers_of(private):
    numbers = private.private_numbers()
    public = numbers.public_numbers
    own = (numbers.d, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
    return dict(zip(NAMES, (public.n, public.e, *own), strict=True))


def der_of(numbers):
    return corpus.tlv(0x30, *(corpus.integer(number) for number in (0, *(numbers[name] for name in NAMES))))


def loaded(numbers):
    return load_der_private_key(der_of(numbers), None, unsafe_skip_rsa_key_validation=True)


def consistent(p, q, e=65537):
    """A key made of these two factors, whether they are prime or not."""
    d = pow(e, -1, math.lcm(p - 1, q - 1))
    return {"n": p * q, "e": e, "d": d, "p": p, "q": q, "dmp1": d % (p - 1), "dmq1": d % (q - 1), "iqmp": pow(q, -1, p)}


@pytest.mark.parametrize("bits", [2048, 3072])
def test_a_good_key_is_taken(bits):
    """As it is, and with its exponent for signing reduced by another multiple than usual (RFC 8017 section 3.2)."""
    private = key(bits)
    assert rsa_key_fault(private) is None
    numbers = numbers_of(private)
    larger = numbers["d"] + math.lcm(numbers["p"] - 1, numbers["q"] - 1)
    if larger < numbers["n"]:
        assert rsa_key_fault(loaded({**numbers, "d": larger})) is None
    assert rsa_key_fault(loaded(consistent(numbers["q"], numbers["p"]))) is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "change", [lambda n: n + 2, lambda n: n - 2, lambda _: 0, lambda _: 1, lambda n: n ^ (1 << 900)]
)
def test_a_damaged_number_is_found(name, change):
    """Whichever of the eight numbers it is; OpenSSL's own check refuses each of these keys, too."""
    numbers = numbers_of(key())
    damaged = der_of({**numbers, name: change(numbers[name])})
    with pytest.raises(ValueError, match=r"."):
        load_der_private_key(damaged, None)
    with pytest.raises(UnreadablePemError):
        load_private_key(corpus.armour("RSA PRIVATE KEY", damaged).encode())


def test_a_factor_that_is_not_prime_is_found():
    """All numbers fit together, but what the key signs does not verify."""
    numbers = numbers_of(key())
    composite = next(
        first * second
        for first in (world().coprime(512) for _ in range(50))
        for second in (world().coprime(512),)
        if math.gcd((first * second - 1) * (numbers["q"] - 1), 65537) == 1
        and (first * second * numbers["q"]).bit_length() == 2048
    )
    assert "do not fit together" in str(rsa_key_fault(loaded(consistent(composite, numbers["q"]))))


@pytest.mark.parametrize("exponent", [0, 1, 2, 65536, (1 << 300) + 1])
def test_an_exponent_that_no_ca_takes_is_refused(exponent):
    """By our own look at it: older packages took 1 and even ones."""
    assert "public exponent" in str(rsa_key_fault(loaded({**numbers_of(key()), "e": exponent})))


def nonsense(bits):
    """What has the form of a key of that size, and whose numbers nobody could check."""
    return {**dict.fromkeys(NAMES, 3), "n": (1 << bits) - 1}


@pytest.mark.parametrize("bits", [1024, 4104, 8192, 16384])
def test_another_size_is_refused_before_anything_is_computed(bits):
    """In PKCS#1 and PKCS#8, by its length: the numbers are nonsense, and nobody complains of them."""
    plain = der_of(nonsense(bits))
    algorithm = corpus.tlv(0x30, corpus.tlv(6, bytes.fromhex("2a864886f70d010101")), corpus.tlv(5))
    wrapped = corpus.tlv(0x30, corpus.integer(0), algorithm, corpus.tlv(4, plain))
    for form, label in ((plain, "RSA PRIVATE KEY"), (wrapped, "PRIVATE KEY")):
        assert modulus_bits(form) == bits
        with pytest.raises(InvalidInputError, match=f"it has {bits} bits") as refused:
            read_bundle(world().mail.leaf_pem, form, now=corpus.NOW)
        assert refused.value.field == "private_key"
        with pytest.raises(UnreadablePemError, match=f"it has {bits} bits"):
            load_private_key(corpus.armour(label, form).encode())


def test_another_size_is_refused_under_a_password_too():
    """An encrypted key and a PKCS#12 file show their size when they are opened; nothing is computed with it either."""
    numbers = numbers_of(key())
    big = loaded(
        {name: number << 3 * number.bit_length() | 1 for name, number in numbers.items() if name != "e"} | {"e": 65537}
    )
    assert big.key_size == 8192
    locked = BestAvailableEncryption(b"password")
    pkcs8 = big.private_bytes(Encoding.DER, PrivateFormat.PKCS8, locked)
    leaf = world().with_numbers(big.public_key().public_numbers().n)
    store = pkcs12.serialize_key_and_certificates(None, big, None, None, locked)
    for given in (pkcs8, store):
        with pytest.raises(InvalidInputError, match="it has 8192 bits") as refused:
            read_bundle(corpus.pem(leaf), given, now=corpus.NOW, password="password")
        assert refused.value.field == "private_key"


def test_what_is_no_rsa_key_has_no_size():
    """EC keys and noise are for others to judge."""
    assert modulus_bits(corpus.key_der(world().shop_key)) is None
    assert modulus_bits(b"\x30\x82\xff\xff") is None
    assert modulus_bits(key().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())) == 2048


def test_only_the_key_that_is_taken_is_looked_at():
    """A PKCS#12 file with a second, enormous key gives its first one; OpenSSL, which would check both, sees neither."""
    first, hidden = (StoredKey(corpus.key_der(one), encrypted=False) for one in (world().shop_key, world().other_key))
    bags = b"".join(_bag(one) for one in (first, hidden))
    data = corpus.tlv(6, bytes.fromhex("2a864886f70d010701"))
    safe = corpus.tlv(0x30, data, corpus.tlv(0xA0, corpus.tlv(4, corpus.tlv(0x30, bags))))
    store = corpus.tlv(
        0x30, corpus.integer(3), corpus.tlv(0x30, data, corpus.tlv(0xA0, corpus.tlv(4, corpus.tlv(0x30, safe))))
    )
    rest, keys = parted_store(store)
    assert keys == [first, hidden]
    assert first.der not in rest
    assert hidden.der not in rest
    opened = pkcs12.load_pkcs12(rest, None).key.public_key()
    assert opened not in (world().shop_key.public_key(), world().other_key.public_key())
    bundle = read_bundle(world().shop.leaf_pem, store, world().shop.chain_pem, now=corpus.NOW)
    assert bundle.private_key is not None


def _bag(key):
    return corpus.tlv(0x30, corpus.tlv(6, bytes.fromhex("2a864886f70d010c0a0101")), corpus.tlv(0xA0, key.der))
