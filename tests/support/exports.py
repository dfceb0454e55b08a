"""A certificate to export, its formats, and what the files hold."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives import serialization

from certcore.model.export import Exported, ExportOptions
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.chain import parse_certificates, parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.formats import find_format
from certcore.x509.keys import generate_key, private_key_pem
from support.keys import rsa_key

NOW = datetime(2026, 11, 23, 12, 34, 56, tzinfo=UTC)
NAMES = (DnsName("shop.example"), DnsName("*.shop.example"))
CA = LittleAuthority(NOW)
KEYS = {kind: generate_key(kind) for kind in (KeyType.EC_P256, KeyType.EC_P384)} | {KeyType.RSA_2048: rsa_key()}
PASSWORD = "canary password 1!"


def exported_shop(kind=KeyType.EC_P256, names=NAMES, **changes):
    """What is known of a certificate when it is exported."""
    chain = parse_chain(CA.issue(build_csr(KEYS[kind], NAMES, Subject()).decode(), now=NOW))
    known = {"leaf_pem": chain.leaf_pem, "chain_pem": chain.chain_pem, "root_pem": CA.root_pem}
    return Exported(**{"names": names, "private_key": Secret(private_key_pem(KEYS[kind])), **known, **changes})


SHOP = exported_shop()


def options_of(**given):
    """The options of an export; a locked one has the password."""
    return ExportOptions(at=NOW, **{"password": Secret(PASSWORD) if given.pop("locked", False) else None, **given})


def export(name, exported=SHOP, **given):
    """The files of a format, by their names."""
    return {one.name: one for one in find_format(name).export(exported, options_of(**given))}


def der(pem):
    """The certificates of a PEM text in their own encoding."""
    return [parse_certificate.public_bytes(serialization.Encoding.DER) for parse_certificate in parse_certificates(pem)]


ALL_DER = der(SHOP.fullchain_pem + SHOP.root_pem)


def key_der(kind=KeyType.EC_P256):
    """A private key in its own encoding, not encrypted."""
    return KEYS[kind].private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
