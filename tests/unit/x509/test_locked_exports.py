"""Exports that a password locks: private keys and key stores."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.model.keys import KeyType
from certcore.model.secret import Secret
from certcore.x509.chain import parse_certificates
from certcore.x509.keys import private_key_pem
from support.examples import examples
from support.exports import KEYS, PASSWORD, export, exported_shop, key_der, options_of


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("name", ["pem", "der"])
def test_a_locked_key_opens_with_the_password_alone(kind, name):
    """Encrypted PKCS#8 is the same key after it was opened; nothing of it stands in the file."""
    files = export(name, exported_shop(kind), locked=True)
    content = files["privkey.pem" if name == "pem" else "privkey.der"].content
    load = serialization.load_pem_private_key if name == "pem" else serialization.load_der_private_key
    again = load(content, PASSWORD.encode())
    assert private_key_pem(again) == private_key_pem(KEYS[kind])
    with pytest.raises(ValueError):  # noqa: PT011 - of 256 wrong passwords one is refused for the noise that it opens
        load(content, b"another")
    assert key_der(kind)[-20:] not in content
    if name == "pem":
        lines = content.decode().splitlines()
        assert lines[0] == "-----BEGIN ENCRYPTED PRIVATE KEY-----"
        assert {len(line) for line in lines[1:-2]} == {64}


@pytest.mark.slow(reason="runs openssl for each example")
@given(password=st.text(st.characters(min_codepoint=32, exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=40))
@examples(8)
def test_any_password_of_one_line_opens_what_it_locked(password):
    """Also in other scripts: UTF-8, as every reader of PKCS#8 takes it."""
    locked = export("pem", password=Secret(password))["privkey.pem"].content
    again = serialization.load_pem_private_key(locked, password.encode())
    assert private_key_pem(again) == private_key_pem(KEYS[KeyType.EC_P256])


def test_what_is_locked_is_so_with_fresh_salts():
    """Two exports of the same key under the same password share no ciphertext."""
    first, second = (export("der", locked=True)["privkey.der"].content for _ in range(2))
    assert first[-32:] != second[-32:]


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_key_store_holds_key_chain_and_name(kind, legacy):
    """Both forms open with their password, and only with it; the friendly name is the domain unless given."""
    exported = exported_shop(kind)
    given_name, expected = ("Mein Shöp 日本", "Mein Shöp 日本") if kind is KeyType.RSA_2048 else ("", "shop.example")
    (file,) = export("pkcs12", exported, locked=True, legacy=legacy, friendly_name=given_name).values()
    assert file.name == "shop.example.p12"
    store = pkcs12.load_pkcs12(file.content, PASSWORD.encode())
    assert private_key_pem(store.key) == private_key_pem(KEYS[kind])
    assert store.cert.friendly_name == expected.encode()
    held = [store.cert.certificate, *(additional_cert.certificate for additional_cert in store.additional_certs)]
    assert held == parse_certificates(exported.fullchain_pem + exported.root_pem)
    with pytest.raises(ValueError, match="nvalid password"):
        pkcs12.load_pkcs12(file.content, b"another")


@pytest.fixture(scope="module")
def key_store():
    """What a key store holds; it takes a while to make one."""
    return export("pkcs12", locked=True)["shop.example.p12"].content


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.97])
def test_a_changed_key_store_does_not_open(place, key_store):
    """Its MAC covers all of it: one flipped bit is noticed."""
    content = bytearray(key_store)
    content[int(len(content) * place)] ^= 1
    with pytest.raises(ValueError):  # noqa: PT011 - the words differ with the place
        pkcs12.load_pkcs12(bytes(content), PASSWORD.encode())


@pytest.mark.parametrize("length", [1, 31, 32, 130])
def test_key_stores_take_passwords_of_any_length(length):
    """Shorter and longer than the blocks that the key derivation works on."""
    password = ("0123456789" * 13)[:length]
    (file,) = export("pkcs12", password=Secret(password)).values()
    assert pkcs12.load_pkcs12(file.content, password.encode()).cert.certificate.serial_number


@pytest.mark.parametrize(
    "password", ["", "a\nb", "a\0b", "\x7f", "a\u2028b", "x" * 1001, "ü" * 501, b"\xff\xfe canary", b"\xed\xa0\x80"]
)
def test_passwords_that_nobody_can_type_are_refused(password):
    """Empty ones above all: they would be taken for none. The password is not repeated."""
    with pytest.raises(InvalidInputError, match=r"^password: ") as refused:
        options_of(password=Secret(password))
    assert "canary" not in repr(refused.value)


@pytest.mark.parametrize("name", ["pkcs12", "zip"])
def test_key_stores_refuse_passwords_that_java_does_not_take(name):
    """Letters outside of ASCII; the other formats take them."""
    with pytest.raises(InvalidInputError, match=r"^password: .*ASCII") as refused:
        export(name, password=Secret("pässwort"))
    assert "pässwort" not in str(refused.value)
    assert export("pem", password=Secret("pässwort"))
