"""A keyring in a PKCS#11 token (HSM, smart card, SoftHSM). This package is the plugin that the entry point names."""

from certcore.contrib.pkcs11.keyring import Pkcs11Keyring, certcore_open_keyring, create_pkcs11_key

__all__ = ["Pkcs11Keyring", "certcore_open_keyring", "create_pkcs11_key"]
