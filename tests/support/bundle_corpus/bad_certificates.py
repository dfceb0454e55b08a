"""Inputs that are refused: parts that do not belong together, and leaves that no server can use."""

import itertools
import math

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.bundle_corpus.good_keys import _with_key
from support.bundle_corpus.world import DAY, NOW, bad, integer, key_pem, pem, taken, tlv, usage
from support.keys import dsa_key

# -- belonging ---------------------------------------------------------------------------------------------------------


@bad("private_key", "does not belong to the leaf, CN=shop.example", "no certificate here", "reissued")
def the_key_of_nothing(w):
    return _with_key(w, key_pem(w.other_key))


@bad("private_key", "does not belong to the leaf", "it belongs to CN=Corpus CA 1")
def the_key_of_the_ca(w):
    return _with_key(w, key_pem(w.middle_key))


@bad("private_key", "does not belong to the leaf", "it belongs to no certificate here")
def a_key_of_another_kind(w):
    return _with_key(w, w.mail.key_pem)


@bad("leaf", "does not belong to the leaf, CN=shop.example")
def the_wrong_key_in_one_file(w):
    return taken(leaf=w.shop.leaf_pem + key_pem(w.other_key) + pem(w.middle))


@bad("private_key", "2 private keys", "one of them belongs to the leaf", "Give only the private key of the leaf")
def two_keys(w):
    return _with_key(w, w.shop.key_pem + key_pem(w.other_key))


@bad("private_key", "2 private keys", "none of them belongs to the leaf")
def two_wrong_keys(w):
    return _with_key(w, key_pem(w.middle_key) + key_pem(w.other_key))


@bad("private_key", "more than 5 private keys")
def many_keys(w):
    return _with_key(w, "".join(key_pem(ec.generate_private_key(ec.SECP256R1())) for _ in range(6)))


@bad("ca_bundle", "gap", "CN=shop.example was issued by CN=Corpus CA 1, which is not here", "CN=Corpus Root")
def the_intermediate_missing(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.root))


@bad("ca_bundle", "not part of the leaf's chain: CN=Strange Root", "Leave them out")
def a_strange_certificate_beside_the_chain(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(w.middle) + pem(w.root) + pem(w.stranger))


@bad("ca_bundle", "gap", "CN=Corpus CA 1 was issued by CN=Corpus Root, which is not here", "CN=Strange Root")
def a_strange_root(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(w.middle) + pem(w.stranger))


@bad("ca_bundle", "gap", "CN=Corpus CA 1 has the name of the issuer of CN=shop.example, but did not sign it")
def an_intermediate_with_another_key(w):
    other = w.certify("Corpus CA 1", w.other_key, issuer=(w.root, w.root_key), ca=True)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(other) + pem(w.root))


@bad("ca_bundle", "not part of the leaf's chain")
def a_chain_beside_a_self_signed_leaf(w):
    return taken(leaf=pem(w.certify("shop.example", w.shop_key, names=["shop.example"])), ca_bundle=pem(w.middle))


@bad("ca_bundle", "more than 20 certificates")
def a_whole_store(w):
    many = [w.certify(f"Root {number}", w.other_key, ca=True) for number in range(21)]
    return taken(leaf=w.shop.leaf_pem, ca_bundle="".join(map(pem, many)))


# -- what no server can use --------------------------------------------------------------------------------------------


def _leaf(w, leaf):
    return taken(leaf=pem(leaf), ca_bundle=pem(w.middle))


def _time(moment):
    return tlv(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())


@bad("leaf", "ends before it begins")
def dates_reversed(w):
    def change(parts):
        return [*parts[:4], tlv(0x30, _time(NOW), _time(NOW - DAY)), *parts[5:]]

    return _leaf(w, w.resigned(w.shop.leaf, change=change))


@bad("leaf", "does not include TLS servers (serverAuth)")
def for_clients_only(w):
    return _leaf(w, w.issue(purposes=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])))


@bad("leaf", "allows no signatures (digitalSignature)")
def no_signatures(w):
    return _leaf(w, w.issue(extensions=[(usage("key_agreement"), True)]))


@bad("leaf", "precertificate")
def a_precertificate(w):
    return _leaf(w, w.issue(extensions=[(x509.PrecertPoison(), True)]))


@bad("leaf", "only CA certificates", "CN=shop.example")
def a_leaf_that_is_a_ca(w):
    return _leaf(w, w.issue(ca=True))


@bad("leaf", "serial number is longer than the 20 bytes")
def a_long_serial_number(w):
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: [parts[0], integer(1 << 20_000), *parts[2:]]))


@bad("leaf", "serial number is not a positive number")
def a_serial_number_of_zero(w):
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: [parts[0], integer(0), *parts[2:]]))


@bad("leaf", "signed over SHA-1", "reissued")
def sha1(w):
    return _leaf(w, w.resigned(w.shop.leaf, algorithm="ecdsa-sha1"))


@bad("leaf", "signed over MD5")
def md5(w):
    return _leaf(w, w.resigned(w.shop.leaf, algorithm="rsa-md5", key=w.rsa_key))


@bad("ca_bundle", "CN=Corpus CA 1 is signed over MD5")
def md5_in_the_chain(w):
    root = w.certify("Corpus Root", w.rsa_key, ca=True)
    middle = w.resigned(w.middle, algorithm="rsa-md5", key=w.rsa_key)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(middle) + pem(root))


@bad("leaf", "RSA key has 1024 bits", "at least 2048", "new key")
def rsa_1024(w):
    return _leaf(w, w.with_numbers(w.coprime(1024)))


@bad("leaf", "RSA key has 16384 bits", "at most 8192")
def rsa_16384(w):
    return _leaf(w, w.with_numbers(w.coprime(16384)))


@bad("leaf", "public key cannot be used", "exponent is 1 or even")
def exponent_1(w):
    return _leaf(w, w.with_numbers(w.modulus, 1))


@bad("leaf", "public key cannot be used", "exponent is 1 or even")
def exponent_even(w):
    return _leaf(w, w.with_numbers(w.modulus, 65536))


@bad("leaf", "public exponent of more than 256 bits")
def exponent_long(w):
    return _leaf(w, w.with_numbers(w.modulus, (1 << 300) + 1))


@bad("leaf", "small factor")
def small_factor(w):
    return _leaf(w, w.with_numbers(733 * w.coprime(2040)))


@bad("leaf", "too close together")
def close_primes(w):
    first = w.coprime(1024)
    return _leaf(w, w.with_numbers(first * w.coprime(1024, start=first + 2)))


@bad("leaf", "too close together")
def equal_primes(w):
    return _leaf(w, w.with_numbers(w.coprime(1024) ** 2))


@bad("leaf", "ROCA")
def roca(w):
    primes = [number for number in range(2, 702) if all(number % one for one in range(2, number))]
    product = math.prod(primes)
    power = pow(65537, w.random.getrandbits(100), product)
    start = (1 << 2047) // product + w.random.getrandbits(100)
    factors = [number for number in range(702, 760) if all(number % one for one in range(2, number))]
    found = next(
        n for k in itertools.count(start) if all((n := k * product + power) % factor for factor in factors) and n % 2
    )
    return _leaf(w, w.with_numbers(found))


@bad("leaf", "curve secp256k1", "no CA accepts")
def secp256k1(w):
    return _leaf(w, w.issue(key=ec.generate_private_key(ec.SECP256K1())))


@bad("leaf", "curve brainpoolP256r1")
def brainpool(w):
    return _leaf(w, w.issue(key=ec.generate_private_key(ec.BrainpoolP256R1())))


@bad("leaf", "curve secp224r1")
def p224(w):
    return _leaf(w, w.issue(key=ec.generate_private_key(ec.SECP224R1())))


@bad("leaf", "key type or curve is not accepted by CAs")
def a_binary_curve(w):
    key = w.openssl("ecparam", "-name", "sect283k1", "-genkey", "-noout")
    arguments = (
        "req",
        "-x509",
        "-key",
        "{key}",
        "-subj",
        "/CN=shop.example",
        "-addext",
        "subjectAltName=DNS:shop.example",
    )
    return taken(leaf=w.openssl(*arguments, key=key))


@bad("leaf", "public key is written in an unusual way")
def the_curve_spelt_out(w):
    key = w.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-param_enc", "explicit")
    arguments = (
        "req",
        "-x509",
        "-key",
        "{key}",
        "-subj",
        "/CN=shop.example",
        "-addext",
        "subjectAltName=DNS:shop.example",
    )
    return taken(leaf=w.openssl(*arguments, key=key), private_key=key)


@bad("leaf", "public key is written in an unusual way")
def rsa_pss(w):
    key = w.openssl("genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048")
    arguments = (
        "req",
        "-x509",
        "-key",
        "{key}",
        "-subj",
        "/CN=shop.example",
        "-addext",
        "subjectAltName=DNS:shop.example",
    )
    return taken(leaf=w.openssl(*arguments, key=key), private_key=key)


@bad("leaf", "Ed25519", "browsers and public CAs do not accept")
def ed25519_leaf(w):
    key = ed25519.Ed25519PrivateKey.generate()
    return {**_leaf(w, w.issue(key=key)), "private_key": key_pem(key)}


@bad("leaf", "its key cannot sign")
def x25519_leaf(w):
    algorithm = tlv(0x30, tlv(6, bytes.fromhex("2b656e")))
    spki = tlv(0x30, algorithm, tlv(3, b"\0" + bytes(31) + b"\x09"))
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: [*parts[:6], spki, *parts[7:]]))


@bad("leaf", "DSA key")
def dsa_leaf(w):
    return _leaf(w, w.issue(key=dsa_key()))


@bad("private_key", "does not belong to the leaf")
def an_ed25519_key_for_another_leaf(w):
    return _with_key(w, key_pem(ed25519.Ed25519PrivateKey.generate()))


@bad("private_key", "has a type or a curve that CAs do not accept")
def a_key_on_a_binary_curve(w):
    return _with_key(w, w.openssl("ecparam", "-name", "sect283k1", "-genkey", "-noout"))
