"""Inputs that are refused: something else, a part that is missing, or damage."""

import gzip
import zipfile
from io import BytesIO

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
    pkcs7,
)

from support.bundle_corpus.bad_certificates import _leaf
from support.bundle_corpus.good_keys import _with_key
from support.bundle_corpus.world import (
    DAY,
    PASSWORD,
    armour,
    b64,
    bad,
    der,
    integer,
    key_der,
    key_pem,
    pem,
    public_der,
    taken,
    tlv,
)

# -- other things ------------------------------------------------------------------------------------------------------


@bad("leaf", "no certificate was given")
def nothing(w):
    return taken(leaf="")


@bad("leaf", "neither a certificate nor a private key", "BEGIN and END lines")
def a_sentence(w):
    return taken(leaf="my certificate")


@bad("ca_bundle", "neither a certificate nor a private key")
def a_sentence_for_a_chain(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle="see attachment")


@bad("leaf", "certificate signing request", "not a certificate", "A CA issues a certificate for it")
def a_request(w):
    return taken(leaf=w.request.public_bytes(Encoding.PEM), private_key=w.shop.key_pem)


@bad("leaf", "certificate signing request")
def a_request_in_der(w):
    return taken(leaf=w.request.public_bytes(Encoding.DER), private_key=w.shop.key_pem)


@bad("leaf", "certificate signing request")
def a_request_with_certificate_lines(w):
    return taken(leaf=armour("CERTIFICATE", w.request.public_bytes(Encoding.DER)), private_key=w.shop.key_pem)


@bad("private_key", "certificate signing request", "not a private key")
def a_request_for_a_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.request.public_bytes(Encoding.PEM))


@bad("leaf", "a public key", "part of the certificate")
def a_public_key(w):
    return taken(leaf=w.shop_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


@bad("private_key", "a public key", "not a private key")
def a_public_key_for_a_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=public_der(w.shop_key.public_key()))


@bad("private_key", "a public key")
def a_pkcs1_public_key(w):
    return taken(
        leaf=w.shop.leaf_pem, private_key=w.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    )


@bad("private_key", "an SSH key", "not a private key")
def an_openssh_private_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=key_pem(w.other_key, PrivateFormat.OpenSSH))


@bad("leaf", "an SSH key")
def an_ssh_public_key(w):
    return taken(leaf=w.shop_key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) + b" me@host")


@bad("private_key", "an SSH key")
def a_putty_key(w):
    return taken(
        leaf=w.shop.leaf_pem, private_key="PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\nPrivate-Lines: 14\nAAAA"
    )


@bad("private_key", "a PGP key")
def a_pgp_key(w):
    text = armour("PGP PRIVATE KEY BLOCK", b"x" * 90).replace("-----\n", "-----\nVersion: 1\n\n", 1)
    return taken(leaf=w.shop.leaf_pem, private_key=text)


@bad("ca_bundle", "certificate revocation list", "Leave it out")
def a_revocation_list(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=w.revocations.public_bytes(Encoding.PEM))


@bad("ca_bundle", "certificate revocation list")
def a_revocation_list_in_der(w):
    return taken(leaf=w.shop.leaf_pem, ca_bundle=w.revocations.public_bytes(Encoding.DER))


@bad("leaf", "Java key store", "keytool")
def a_java_key_store(w):
    return taken(leaf=bytes.fromhex("feedfeed0000000200000001") + bytes(200))


@bad("leaf", "an archive", "Unpack")
def a_zip_archive(w):
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("shop.crt", w.shop.leaf_pem)
    return taken(leaf=made.getvalue(), private_key=w.shop.key_pem)


@bad("leaf", "an archive")
def a_gzip_file(w):
    return taken(leaf=gzip.compress(w.shop.leaf_pem.encode()))


@bad("leaf", "a web page", "session had expired")
def a_web_page(w):
    return taken(leaf="<!DOCTYPE html><html><head><title>Log in</title></head></html>")


@bad("leaf", "binary file that was read as text")
def a_binary_file_as_text(w):
    return taken(leaf=der(w.shop.leaf).decode("latin-1"))


@bad("leaf", "longer than 256 KiB")
def too_long(w):
    return taken(leaf=w.shop.leaf_pem + "\n" * 300_000)


@bad("private_key", "longer than 256 KiB")
def too_long_a_file(w):
    return taken(leaf=w.shop.leaf_pem, private_key=bytes(300_000))


@bad("leaf", "must be text or the bytes of a file")
def neither_text_nor_bytes(w):
    return taken(leaf=7)


@bad("password", "must be text or bytes")
def a_password_of_another_type(w):
    return taken(leaf=w.shop.leaf_pem, password=1234)


# -- what is missing ---------------------------------------------------------------------------------------------------


@bad("leaf", "private key here, but no certificate", "Paste the certificate")
def a_key_for_a_leaf(w):
    return taken(leaf=w.shop.key_pem)


@bad("leaf", "no certificate was given", "only a private key")
def a_key_only(w):
    return taken(private_key=w.shop.key_pem)


@bad("private_key", "a certificate here, but no private key", "PRIVATE KEY")
def a_certificate_for_a_key(w):
    return taken(leaf=w.shop.leaf_pem, private_key=pem(w.middle))


@bad("leaf", "only CA certificates", "Corpus CA 1", "issued for the server's name")
def cas_only(w):
    return taken(leaf=pem(w.middle) + pem(w.root), private_key=w.shop.key_pem)


@bad("leaf", "only CA certificates", "Corpus Root")
def a_root_only(w):
    return taken(ca_bundle=pem(w.root))


@bad("leaf", "2 leaves", "CN=shop.example", "CN=old.example", "private key belongs to CN=shop.example", "Leave out")
def two_leaves(w):
    old = w.issue("old.example", w.other_key)
    return taken(leaf=w.shop.leaf_pem + pem(old), private_key=w.shop.key_pem, ca_bundle=pem(w.middle))


@bad("ca_bundle", "2 leaves", "ends on 2027-02-21", "ends on 2026-11-28")
def the_leaf_and_its_renewal(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem, ca_bundle=pem(w.issue(end=5 * DAY)))


@bad("leaf", "no DNS name and no IP address", "common name")
def no_names(w):
    return taken(leaf=pem(w.issue("shop.example", names=())), ca_bundle=pem(w.middle))


@bad("leaf", "no DNS name and no IP address")
def version_1(w):
    return _leaf(w, w.resigned(w.shop.leaf, change=lambda parts: parts[1:7]))


@bad("leaf", "no DNS name and no IP address")
def mail_addresses_only(w):
    names = [x509.RFC822Name("shop@shop.example"), x509.UniformResourceIdentifier("https://shop.example")]
    return taken(leaf=pem(w.issue("shop.example", names=names)), ca_bundle=pem(w.middle))


@bad("leaf", "none of its names can be used", "my_host.example", "localhost")
def unusable_names(w):
    return taken(leaf=pem(w.issue("", names=["my_host.example", "localhost"])), ca_bundle=pem(w.middle))


# -- what is damaged ---------------------------------------------------------------------------------------------------


@bad("leaf", "END line is missing", "Copy the whole block")
def cut_off(w):
    return taken(leaf=w.shop.leaf_pem[:-200])


@bad("leaf", "a certificate", "has no BEGIN line before it")
def without_a_begin_line(w):
    return taken(leaf=w.shop.leaf_pem.partition("\n")[2])


@bad("private_key", "begins as a private key and ends as a certificate")
def two_halves(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem[:100] + w.shop.leaf_pem[-100:])


@bad("private_key", "private key", "END line is missing")
def two_beginnings(w):
    return taken(leaf=w.shop.leaf_pem, private_key=w.shop.key_pem[:100] + w.shop.key_pem)


@bad("leaf", "certificate number 1 is cut off", "bytes were found")
def lines_missing(w):
    lines = w.shop.leaf_pem.splitlines()
    return taken(leaf="\n".join(lines[:4] + lines[6:]))


@bad("ca_bundle", "certificate number 2 is cut off")
def a_character_missing(w):
    middle = pem(w.middle)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=pem(w.root) + middle[:200] + middle[201:])


@bad("leaf", "certificate number 1", "not base64")
def foreign_characters(w):
    return taken(leaf=w.shop.leaf_pem[:300] + "*~*" + w.shop.leaf_pem[303:])


@bad("leaf", "certificate number 1 is empty")
def empty_block(w):
    return taken(leaf="-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----")


@bad("leaf", "bytes too many", "had been joined")
def blocks_run_together(w):
    both = b64(der(w.shop.leaf) + der(w.middle))
    return taken(leaf=f"-----BEGIN CERTIFICATE-----\n{both}\n-----END CERTIFICATE-----")


@bad("leaf", "certificate number 1 cannot be read", "damaged")
def broken_contents(w):
    data = bytearray(der(w.shop.leaf))
    data[60:80] = bytes(20)
    return taken(leaf=armour("CERTIFICATE", bytes(data)))


@bad("leaf", "signature that is cut off")
def unused_bits(w):
    leaf = next(one for one in (w.issue() for _ in range(1000)) if one.signature[-1] % 2 == 0)
    data = bytearray(der(leaf))
    data[len(data) - len(leaf.signature) - 1] = 1
    return taken(leaf=bytes(data))


@bad("leaf", "DER value number 1 is cut off")
def a_file_cut_off(w):
    return taken(leaf=der(w.shop.leaf)[:-30])


@bad("leaf", "DER value number 2 cannot be read")
def a_file_of_something_else(w):
    return taken(leaf=der(w.shop.leaf) + tlv(0x30, integer(1)))


@bad("private_key", "private key number 1 cannot be read")
def a_key_of_zeros(w):
    return _with_key(w, armour("PRIVATE KEY", key_der(w.shop_key)[:40].ljust(len(key_der(w.shop_key)), b"\0")))


@bad("private_key", "numbers do not fit together", "damaged")
def a_key_whose_numbers_are_wrong(w):
    n = w.rsa_key.private_numbers()
    numbers = (0, n.public_numbers.n, n.public_numbers.e, n.d + 2, n.p, n.q, n.dmp1, n.dmq1, n.iqmp)
    return _with_key(w, tlv(0x30, *map(integer, numbers)), "mail")


@bad("private_key", "cannot be read")
def a_key_with_another_public_key(w):
    mine, other = (key_der(key, PrivateFormat.TraditionalOpenSSL) for key in (w.shop_key, w.other_key))
    return _with_key(w, mine[:40] + other[40:])


@bad("private_key", "longer than CAs accept")
def an_enormous_key(w):
    return _with_key(w, tlv(0x30, *[integer(1 << 16000)] * 9))


@bad("private_key", "a private key cannot be read")
def a_key_of_ed25519_cut_short(w):
    key = key_der(ed25519.Ed25519PrivateKey.generate())
    return _with_key(w, tlv(0x30, key[2:12], tlv(4, tlv(4, bytes(7)))))


@bad("private_key", "more than 5 private keys")
def one_key_encrypted_often(w):
    locked = BestAvailableEncryption(PASSWORD.encode())
    return _with_key(w, "".join(key_pem(w.shop_key, encryption=locked) for _ in range(6)), password=PASSWORD)


@bad("private_key", "more than the 2000000 rounds")
def many_rounds_in_all(w):
    derivation = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050c")), tlv(0x30, tlv(4, b"salt"), integer(3_000_000)))
    scheme = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d01050d")), tlv(0x30, derivation, tlv(0x30)))
    return _with_key(w, b"".join(tlv(0x30, scheme, tlv(4, bytes([n] * 64))) for n in (1, 2)), password=PASSWORD)


@bad("ca_bundle", "a PKCS#7 bundle cannot be read")
def pkcs7_damaged(w):
    made = pkcs7.serialize_certificates([w.middle], Encoding.DER)
    return taken(leaf=w.shop.leaf_pem, ca_bundle=made.replace(der(w.middle)[20:40], bytes(20)))


@bad("ca_bundle", "a PKCS#7 bundle holds no certificates")
def pkcs7_without_certificates(w):
    empty = tlv(0x30, integer(1), tlv(0x31), tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010701"))), tlv(0x31))
    return taken(
        leaf=w.shop.leaf_pem, ca_bundle=tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010702")), tlv(0xA0, empty))
    )


@bad("leaf", "a PKCS#12 file cannot be opened", "damaged")
def pkcs12_damaged(w):
    return taken(leaf=tlv(0x30, integer(3), tlv(0x30)), password=PASSWORD)


@bad("leaf", "a PKCS#12 file is empty")
def pkcs12_empty(w):
    contents = tlv(0x30, tlv(6, bytes.fromhex("2a864886f70d010701")), tlv(0xA0, tlv(4, tlv(0x30))))
    return taken(leaf=tlv(0x30, integer(3), contents))
