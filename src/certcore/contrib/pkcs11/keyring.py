"""A keyring in a PKCS#11 token (HSM, smart card, SoftHSM): keys are generated in the token and never leave it.

It is opened by a URL (RFC 7512), on one line::

    pkcs11:token=certcore;object=certcore-1
        ?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/certcore/pin

``object`` names the current key, which wraps new data keys. A key's ID is its label, so never rename a key. To unwrap a
data key, the key is looked up by the ID that is stored with the secret, not by ``object``. Keep the old key in the
token after a rotation.

Needs the PyPI package python-pkcs11, which is imported when the first such keyring is opened.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from certcore.contrib.pkcs11.url import Pkcs11Address, is_pkcs11_url, parse_pkcs11_url
from certcore.errors import KeyringError, UnsealError
from certcore.hookspecs import hookimpl

__all__ = ["Pkcs11Keyring", "certcore_open_keyring", "create_pkcs11_key"]

#: The minimum length of a wrapped key in bytes: the nonce and the tag of AES-GCM.
_MIN_BYTES: Final = 12 + 16


@frozen(kw_only=True, eq=False)
class Pkcs11Keyring:
    """A keyring whose keys are in a token. Thread-safe; calls are serialised, and a lost session is reopened once."""

    _address: Pkcs11Address = field(repr=False)

    @property
    def current_key_id(self) -> str:
        """The label of the key that wraps new data keys."""
        return self._address.key_id

    @property
    def key_ids(self) -> frozenset[str]:
        """The labels of all AES keys of the token that may decrypt.

        Raises:
            KeyringError: The token cannot be used.
        """
        from certcore.contrib.pkcs11 import token  # noqa: PLC0415 - needs python-pkcs11

        return token.labels(self._address)

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        """Wrap a data key with the current key.

        Raises:
            KeyringError: The token cannot be used.
        """
        from certcore.contrib.pkcs11 import token  # noqa: PLC0415 - needs python-pkcs11

        key_id = self.current_key_id
        return key_id, token.encrypt(self._address, data_key, _wrapping(key_id, bound_to))

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        """Unwrap a data key.

        Raises:
            UnknownSealingKeyError: The token holds no such key.
            UnsealError: The wrapped bytes or their binding were changed.
            KeyringError: The token cannot be used.
        """
        from certcore.contrib.pkcs11 import token  # noqa: PLC0415 - needs python-pkcs11

        if len(wrapped_key) < _MIN_BYTES:
            raise UnsealError("data key")
        return token.decrypt(self._address, key_id, wrapped_key, _wrapping(key_id, bound_to))


@hookimpl
def certcore_open_keyring(url: str) -> Pkcs11Keyring | None:
    """Open a ``pkcs11:`` keyring; None for other URLs.

    Raises:
        KeyringError: The URL, the library, the token, its PIN or its key is unusable.
    """
    if not is_pkcs11_url(url):
        return None
    address = parse_pkcs11_url(url)
    _require_package()
    from certcore.contrib.pkcs11 import token  # noqa: PLC0415 - needs python-pkcs11

    token.check(address)
    return Pkcs11Keyring(address=address)


def create_pkcs11_key(url: str) -> str:
    """Generate an AES-256 key in the token, labelled as the URL's ``object`` says.

    The key can only encrypt and decrypt: it is sensitive, not extractable, and cannot wrap other keys.

    Args:
        url: The URL of the keyring.

    Returns:
        The key's ID, which is its label.

    Raises:
        KeyringError: The URL, the library, the token or its PIN is unusable, or a key with this label exists.
    """
    address = parse_pkcs11_url(url)
    _require_package()
    from certcore.contrib.pkcs11 import token  # noqa: PLC0415 - needs python-pkcs11

    token.create(address)
    return address.key_id


def _require_package() -> None:
    try:
        import pkcs11  # noqa: F401, PLC0415 - an optional package
    except ImportError:
        raise KeyringError(
            "A PKCS#11 keyring needs the package python-pkcs11, which is not installed.",
            advice="Run: pip install 'certcore[pkcs11]'",
        ) from None


def _wrapping(key_id: str, bound_to: bytes) -> bytes:
    """The associated data of a wrapped key: label and binding, with a length prefix that keeps them apart."""
    label = key_id.encode("utf-8", "surrogatepass")
    return b"".join((len(label).to_bytes(4), label, bound_to))
