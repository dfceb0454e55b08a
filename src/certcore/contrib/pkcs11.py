"""A keyring in a PKCS#11 token (HSM, smart card, SoftHSM): its keys are made there and never leave it.

It is opened by a URL as in RFC 7512, on one line::

    pkcs11:token=certcore;object=certcore-1
        ?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/certcore/pin

``object`` names the current key: it wraps new data keys. A key's id is its label, so never rename a key. To unwrap, a
key is looked up by the id that was kept with the secret, whatever ``object`` says: after a rotation the old key only
has to stay where it is.

It needs the PyPI package python-pkcs11, which is imported when the first such keyring is opened.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from certcore.contrib.pkcs11_url import Pkcs11Address, is_pkcs11_url, parse_pkcs11_url
from certcore.errors import KeyringRefused, UnsealFailed
from certcore.hookspecs import hookimpl

__all__ = ["Pkcs11Keyring", "certcore_open_keyring", "create_pkcs11_key"]

#: Nonce and tag of AES-GCM: shorter than this is nothing that was wrapped.
_LEAST_BYTES: Final = 12 + 16


@frozen(kw_only=True, eq=False)
class Pkcs11Keyring:
    """A keyring whose keys are in a token. Thread-safe, one call at a time; a lost session is opened again once."""

    _address: Pkcs11Address = field(repr=False)

    @property
    def current_key_id(self) -> str:
        """The label of the key that wraps new data keys."""
        return self._address.key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """The labels of all AES keys of the token that may decrypt.

        Raises:
            KeyringRefused: The token cannot be used.
        """
        from certcore.contrib import pkcs11_token  # noqa: PLC0415 - needs python-pkcs11

        return pkcs11_token.labels(self._address)

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key.

        Raises:
            KeyringRefused: The token cannot be used.
        """
        from certcore.contrib import pkcs11_token  # noqa: PLC0415 - needs python-pkcs11

        key_id = self.current_key_id
        return key_id, pkcs11_token.encrypt(self._address, data_key, _wrapping(key_id, bound_to))

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKey: The token holds no such key.
            UnsealFailed: The wrapped bytes or what they are bound to changed.
            KeyringRefused: The token cannot be used.
        """
        from certcore.contrib import pkcs11_token  # noqa: PLC0415 - needs python-pkcs11

        if len(wrapped_key) < _LEAST_BYTES:
            raise UnsealFailed("data key")
        return pkcs11_token.decrypt(self._address, key_id, wrapped_key, _wrapping(key_id, bound_to))


@hookimpl
def certcore_open_keyring(url: str) -> Pkcs11Keyring | None:
    """Open a keyring of the kind ``pkcs11:``; None for any other.

    Raises:
        KeyringRefused: The URL, the library, the token, its PIN or its key is not as it should be.
    """
    if not is_pkcs11_url(url):
        return None
    address = parse_pkcs11_url(url)
    _require_package()
    from certcore.contrib import pkcs11_token  # noqa: PLC0415 - needs python-pkcs11

    pkcs11_token.check(address)
    return Pkcs11Keyring(address=address)


def create_pkcs11_key(url: str) -> str:
    """Make a new AES-256 key in the token, under the name that the URL's ``object`` gives.

    It can encrypt and decrypt, and nothing else: it cannot be read, taken out, or used to take others out.

    Args:
        url: As for opening the keyring.

    Returns:
        The key's id, which is its label.

    Raises:
        KeyringRefused: The URL, the library, the token or its PIN is not as it should be, or there is a key of that
            name already.
    """
    address = parse_pkcs11_url(url)
    _require_package()
    from certcore.contrib import pkcs11_token  # noqa: PLC0415 - needs python-pkcs11

    pkcs11_token.create(address)
    return address.key_id


def _require_package() -> None:
    try:
        import pkcs11  # noqa: F401, PLC0415 - only here it may be missing
    except ImportError:
        raise KeyringRefused(
            "A PKCS#11 keyring needs the package python-pkcs11, which is not installed.",
            advice="Run: pip install 'certcore[pkcs11]'",
        ) from None


def _wrapping(key_id: str, bound_to: bytes) -> bytes:
    """What a wrapped key is bound to; the length in front, so that no two give the same bytes."""
    label = key_id.encode("utf-8", "surrogatepass")
    return b"".join((len(label).to_bytes(4), label, bound_to))
