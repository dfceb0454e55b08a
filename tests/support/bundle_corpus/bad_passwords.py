"""Inputs that are refused: passwords that are missing or wrong, and encryption that costs too much."""

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
)

from support.bundle_corpus.good_keys import (
    _old_key,
    _store_with_mac,
    _with_key,
    encrypted_pkcs1_aes,
    encrypted_pkcs1_triple_des,
    encrypted_pkcs8,
    pkcs12_file,
    pkcs12_of_old_windows,
)
from support.bundle_corpus.world import PASSWORD, bad, in_pieces, integer, key_pem, taken, tlv


@bad("password", "is needed to open private key number 1 in private_key")
def encrypted_pkcs8_without_a_password(w):
    return _with_key(w, key_pem(w.shop_key, encryption=BestAvailableEncryption(PASSWORD.encode())))


@bad("password", "does not open private key number 1 in private_key", "capital letters")
def encrypted_pkcs8_with_a_wrong_password(w):
    return {**encrypted_pkcs8(w), "password": "wrong"}


@bad("password", "is needed")
def encrypted_pkcs1_with_an_empty_password(w):
    return {**encrypted_pkcs1_aes(w), "password": ""}


@bad("password", "does not open", "private_key")
def encrypted_pkcs1_with_a_wrong_password(w):
    return {**encrypted_pkcs1_triple_des(w), "password": b"wrong"}


@bad("password", "is needed to open a PKCS#12 file in leaf")
def pkcs12_without_a_password(w):
    return {**pkcs12_file(w), "password": None}


@bad("password", "does not open a PKCS#12 file in leaf")
def pkcs12_with_a_wrong_password(w):
    return {**pkcs12_of_old_windows(w), "password": PASSWORD.upper()}


@bad("password", "longer than 1000 characters")
def a_password_longer_than_any(w):
    return {**pkcs12_file(w), "password": "x" * 5000}


@bad("password", "NUL")
def a_password_with_nul(w):
    return {**pkcs12_file(w), "password": "x\0y"}


@bad("private_key", "cannot be opened", "encrypted in a way that is not known", "pkcs8 -topk8")
def encrypted_with_an_old_cipher(w):
    return _with_key(w, _old_key(w, "-aes128").replace("AES-128-CBC", "DES-CBC"), "mail", password=PASSWORD)


@bad("private_key", "cannot be opened", "encrypted in a way that is not known")
def encrypted_with_camellia(w):
    arguments = ("pkcs8", "-topk8", "-v2", "camellia-128-cbc", "-passout", f"pass:{PASSWORD}")
    return _with_key(w, w.openssl(*arguments, given=w.shop.key_pem), password=PASSWORD)


@bad("private_key", "headers of private key number 1 are damaged")
def damaged_headers(w):
    return _with_key(w, _old_key(w, "-aes128").replace("AES-128-CBC,", "AES-128-CBC,x"), "mail", password=PASSWORD)


@bad("private_key", "more than the 2000000 rounds")
def too_many_rounds(w):
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050c")), tlv(0x30, tlv(4, b"salt"), integer(10**9)))
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, tlv(0x30)))
    return _with_key(w, tlv(0x30, scheme, tlv(4, bytes(64))), password=PASSWORD)


@bad("private_key", "more than the 2000000 rounds")
def too_much_memory(w):
    parameters = tlv(0x30, tlv(4, b"salt"), integer(2**20), integer(8), integer(1))
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2b06010401da47040b")), parameters)
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, tlv(0x30)))
    return _with_key(w, tlv(0x30, scheme, tlv(4, bytes(64))), password=PASSWORD)


@bad("leaf", "more than the 2000000 rounds")
def too_many_rounds_of_pkcs12(w):
    return taken(leaf=_dear_store(w), password=PASSWORD)


@bad("leaf", "more than the 2000000 rounds")
def too_many_rounds_behind_a_salt_in_pieces(w):
    return taken(leaf=_store_with_mac(w, salt=in_pieces, rounds=20_000_000), password=PASSWORD)


@bad("leaf", "more than the 1000000 rounds")
def too_many_rounds_for_no_password(w):
    return taken(leaf=_store_with_mac(w, rounds=3_000_000))


@bad("password", "does not open a PKCS#12 file in leaf")
def too_many_rounds_to_try_without_the_password_as_well(w):
    return taken(leaf=w.pkcs12("-iter", "650000", password=""), password=PASSWORD)


@bad("leaf", "more than the 2000000 rounds")
def too_many_rounds_inside(w):
    return taken(leaf=_bag_of_a_key(integer(20_000_000)), password=PASSWORD)


@bad("leaf", "a PKCS#12 file cannot be read")
def rounds_that_cannot_be_read(w):
    return taken(leaf=_bag_of_a_key(b"\x1f\x02" + integer(20_000_000)[1:]), password=PASSWORD)


def _bag_of_a_key(rounds):
    """A PKCS#12 file without a MAC, with a key whose salt is in pieces and whose rounds are in octets in octets."""
    data = tlv(6, bytes.fromhex("2a864886f70d010701"))
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050c")), tlv(0x30, in_pieces(bytes(16)), rounds))
    cipher = tlv(0x30, tlv(6, bytes.fromhex("60864801650304012a")), tlv(4, bytes(16)))
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, cipher))
    locked = tlv(0x30, scheme, tlv(4, bytes([7] * 160)))
    bags = tlv(0x30, tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010c0a0102")), tlv(0xA0, locked)))
    safes = tlv(0x30, tlv(0x30, data, tlv(0xA0, in_pieces(bags))))
    return tlv(0x30, integer(3), tlv(0x30, data, tlv(0xA0, tlv(4, safes))))


def _dear_store(w):
    """A PKCS#12 file whose MAC asks for a billion rounds."""
    return _store_with_mac(w, rounds=10**9)
