"""Inputs that are accepted: PKCS#12 files, and private keys in every form."""

import base64
import json

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from certcore.x509.der import read_values
from support.bundle_corpus.world import (
    PASSWORD,
    armour,
    der,
    good,
    in_pieces,
    indefinite,
    integer,
    key_der,
    key_pem,
    pem,
    taken,
    tlv,
)

# -- PKCS#12 -----------------------------------------------------------------------------------------------------------


@good()
def pkcs12_file(w):
    return taken(leaf=w.pkcs12(), password=PASSWORD)


@good()
def pkcs12_file_in_the_key_field(w):
    return taken(private_key=w.pkcs12(), password=PASSWORD.encode())


@good()
def pkcs12_base64(w):
    return taken(leaf=base64.encodebytes(w.pkcs12()).decode(), password=PASSWORD)


@good()
def pkcs12_with_certificate_lines(w):
    return taken(leaf=armour("CERTIFICATE", w.pkcs12()), password=PASSWORD)


@good()
def pkcs12_of_old_windows(w):
    return taken(leaf=w.pkcs12("-legacy"), password=PASSWORD)


@good()
def pkcs12_triple_des(w):
    return taken(leaf=w.pkcs12("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES"), password=PASSWORD)


@good()
def pkcs12_without_a_mac(w):
    return taken(leaf=w.pkcs12("-nomac"), password=PASSWORD)


@good()
def pkcs12_with_an_empty_password(w):
    return taken(leaf=w.pkcs12(password=""))


@good()
def pkcs12_with_a_password_that_is_not_needed(w):
    return taken(leaf=w.pkcs12(password=""), password=PASSWORD)


@good()
def pkcs12_without_encryption(w):
    others = [w.middle, w.root]
    return taken(leaf=pkcs12.serialize_key_and_certificates(b"n", w.shop_key, w.shop.leaf, others, NoEncryption()))


@good()
def pkcs12_with_a_name(w):
    return taken(leaf=w.pkcs12("-name", "Shop", "-caname", "One"), password=PASSWORD)


@good()
def pkcs12_of_indefinite_length(w):
    return taken(leaf=indefinite(w.pkcs12()), password=PASSWORD)


@good()
def pkcs12_with_its_contents_in_pieces(w):
    (store,) = read_values(w.pkcs12())
    version, safe, mac = read_values(store.content)
    kind, wrapped = read_values(safe.content)
    (octets,) = read_values(wrapped.content)
    pieces = [tlv(4, octets.content[at : at + 200]) for at in range(0, len(octets.content), 200)]
    contents = b"\x24\x80" + b"".join(pieces) + b"\0\0"
    safe = b"\x30\x80" + tlv(kind.tag, kind.content) + b"\xa0\x80" + contents + b"\0\0\0\0"
    made = b"\x30\x80" + tlv(version.tag, version.content) + safe + tlv(mac.tag, mac.content) + b"\0\0"
    return taken(leaf=made, password=PASSWORD)


@good()
def pkcs12_with_as_many_rounds_as_are_advised(w):
    return taken(leaf=w.pkcs12("-iter", "600000"), password=PASSWORD)


@good()
def pkcs12_with_its_salt_in_pieces(w):
    return taken(leaf=_store_with_mac(w, salt=in_pieces), password=PASSWORD)


def _store_with_mac(w, *, salt=lambda octets: tlv(4, octets), rounds=2048):
    """A PKCS#12 file whose MAC (RFC 7292 section 4) is made by hand."""
    (store,) = read_values(w.pkcs12())
    version, safe, mac = (tlv(value.tag, value.content) for value in read_values(store.content))
    digest, octets, _ = read_values(read_values(mac)[0].content)
    return tlv(0x30, version, safe, tlv(0x30, tlv(0x30, digest.content), salt(octets.content), integer(rounds)))


@good()
def buffers(w):
    return taken(leaf=bytearray(der(w.shop.leaf)), private_key=memoryview(key_der(w.shop_key)), ca_bundle=pem(w.middle))


@good()
def pkcs12_of_the_leaf_and_a_chain_apart(w):
    locked = BestAvailableEncryption(PASSWORD.encode())
    made = pkcs12.serialize_key_and_certificates(None, w.shop_key, w.shop.leaf, None, locked)
    return taken(leaf=made, ca_bundle=pem(w.middle), password=PASSWORD)


# -- keys --------------------------------------------------------------------------------------------------------------


def _with_key(w, key, who="shop", **more):
    one = getattr(w, who)
    return taken(leaf=one.leaf_pem, private_key=key, ca_bundle=one.chain_pem, **more)


@good()
def sec1(w):
    return _with_key(w, key_pem(w.shop_key, PrivateFormat.TraditionalOpenSSL))


@good()
def sec1_der(w):
    return _with_key(w, key_der(w.shop_key, PrivateFormat.TraditionalOpenSSL))


@good()
def sec1_without_the_public_key(w):
    return _with_key(w, w.openssl("ec", "-no_public", "-outform", "DER", given=w.shop.key_pem))


@good()
def sec1_with_parameters(w):
    parameters = w.openssl("ecparam", "-name", "prime256v1")
    assert b"EC PARAMETERS" in parameters
    return _with_key(w, parameters + key_pem(w.shop_key, PrivateFormat.TraditionalOpenSSL).encode())


@good()
def sec1_with_the_curve_spelt_out(w):
    return _with_key(w, w.openssl("ec", "-param_enc", "explicit", given=w.shop.key_pem))


@good()
def encrypted_pkcs8(w):
    return _with_key(w, key_pem(w.shop_key, encryption=BestAvailableEncryption(PASSWORD.encode())), password=PASSWORD)


@good()
def encrypted_pkcs8_der(w):
    arguments = ("pkcs8", "-topk8", "-outform", "DER", "-passout", f"pass:{PASSWORD}")
    return _with_key(w, w.openssl(*arguments, given=w.shop.key_pem), password=PASSWORD)


@good()
def encrypted_pkcs8_scrypt(w):
    made = w.openssl("pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{PASSWORD}", given=w.shop.key_pem)
    return _with_key(w, made, password=PASSWORD)


@good()
def encrypted_sec1(w):
    made = w.openssl("ec", "-aes256", "-passout", f"pass:{PASSWORD}", given=w.shop.key_pem)
    assert b"Proc-Type" in made
    return _with_key(w, made, password=PASSWORD)


@good("mail")
def pkcs8_rsa(w):
    return _with_key(w, w.mail.key_pem, "mail")


@good("mail")
def pkcs1(w):
    return _with_key(w, key_pem(w.rsa_key, PrivateFormat.TraditionalOpenSSL), "mail")


@good("mail")
def pkcs1_der(w):
    return _with_key(w, key_der(w.rsa_key, PrivateFormat.TraditionalOpenSSL), "mail")


def _old_key(w, cipher):
    made = w.openssl("rsa", cipher, "-traditional", "-passout", f"pass:{PASSWORD}", given=w.mail.key_pem)
    assert b"DEK-Info" in made
    return made.decode()


@good("mail")
def encrypted_pkcs1_aes(w):
    return _with_key(w, _old_key(w, "-aes128"), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_triple_des(w):
    return _with_key(w, _old_key(w, "-des3"), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_in_one_line(w):
    return _with_key(w, _old_key(w, "-aes256").replace("\n", " "), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_without_line_ends(w):
    return _with_key(w, _old_key(w, "-des3").replace("\n", ""), "mail", password=PASSWORD)


@good("mail")
def encrypted_pkcs1_in_json(w):
    return _with_key(w, json.dumps(_old_key(w, "-aes256")), "mail", password=PASSWORD)


@good("mail")
def pkcs12_rsa(w):
    return taken(leaf=w.pkcs12("-legacy", who=w.mail), password=PASSWORD)
