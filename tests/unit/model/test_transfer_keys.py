"""The files with keys that secondaries sign with."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore.model.secret import Secret
from certcore.model.transfer_keys import TransferKey, parse_transfer_keys

SECRET = base64.b64encode(b"0123456789abcdef").decode()


def test_keys_as_tsig_keygen_writes_them():
    """Several, with comments, with and without quotes; names are compared in lower case."""
    text = f"""
    # for ns2
    key "Ns2.Example" {{
        algorithm hmac-sha256;
        secret "{SECRET}"; // 16 bytes
    }};
    /* key "old" {{ }}; */
    key ns3 {{ secret {SECRET}; algorithm "HMAC-SHA512"; }};
    """
    assert parse_transfer_keys(text) == (
        TransferKey("ns2.example", "hmac-sha256", Secret(b"0123456789abcdef")),
        TransferKey("ns3", "hmac-sha512", Secret(b"0123456789abcdef")),
    )
    assert parse_transfer_keys("") == ()
    assert "0123" not in repr(parse_transfer_keys(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key", "expected"),
        (SECRET, "expected"),
        (f'key "a" {{ algorithm hmac-sha256; secret "{SECRET}"; }}; key', "expected"),
        ('key "a" { algorithm hmac-sha256; };', "an algorithm and a secret"),
        (f'key "a" {{ algorithm hmac-sha256; secret "{SECRET}"; port 1; }};', "an algorithm and a secret"),
        (f'key "a" {{ algorithm hmac-md5; secret "{SECRET}"; }};', "the algorithm"),
        ('key "a" { algorithm hmac-sha256; secret "c2hvcnQ="; };', "fewer than 16 bytes"),
        ('key "a" { algorithm hmac-sha256; secret "hunter2!"; };', "not base64"),
        (f'key "a..b" {{ algorithm hmac-sha256; secret "{SECRET}"; }};', "name of a key"),
        (f'key a {{ algorithm hmac-sha256; secret "{SECRET}"; }};' * 2, "twice"),
    ],
)
def test_what_is_wrong_is_said_without_the_secret(text, message):
    """Whoever reads the error learns the key's name at most."""
    with pytest.raises(InvalidInputError, match=message) as refused:
        parse_transfer_keys(text)
    assert SECRET not in str(refused.value)
    assert "hunter2" not in str(refused.value)


@given(st.text(alphabet='key "{};ab=\n/*#', max_size=200))
def test_any_text_is_read_or_refused(text):
    """And takes no time."""
    with contextlib.suppress(InvalidInputError):
        parse_transfer_keys(text)
