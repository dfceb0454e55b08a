import os
from base64 import b64decode
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from certcore import CertCore
from certcore.plugin import Keyring, KeyringError, UnknownSealingKeyError, UnsealError, hookimpl
from certcore.testing import FrozenEnvironment, ScriptedCA, conformance


class OneKey:
    def __init__(self, key: bytes):
        self._cipher = AESGCM(key)
        self.current_key_id = sha256(key).hexdigest()[:16]
        self.key_ids = frozenset({self.current_key_id})

    def wrap(self, data_key: bytes, *, bound_to: bytes) -> tuple[str, bytes]:
        nonce = os.urandom(12)
        return self.current_key_id, nonce + self._cipher.encrypt(nonce, data_key, bound_to)

    def unwrap(self, key_id: str, wrapped_key: bytes, *, bound_to: bytes) -> bytes:
        if key_id != self.current_key_id:
            raise UnknownSealingKeyError(key_id)
        try:
            return self._cipher.decrypt(wrapped_key[:12], wrapped_key[12:], bound_to)
        except (InvalidTag, ValueError):
            raise UnsealError("data key") from None


class Plugin:
    @hookimpl
    def certcore_open_keyring(self, url: str) -> Keyring | None:
        scheme, _, variable = url.partition(":")
        if scheme != "one-key":
            return None
        if variable not in os.environ:
            raise KeyringError(f"The environment variable {variable} is not set.")
        return OneKey(b64decode(os.environ[variable]))


# test
def test_a_store_is_opened_with_it(tmp_path, monkeypatch):
    monkeypatch.setenv("A_KEY", "q" * 43 + "=")
    plugins = [ScriptedCA(now=FrozenEnvironment().now()).plugin(), Plugin()]
    url = f"sqlite:///{tmp_path}/certcore.db"
    for _ in range(2):
        with CertCore.open(url, keyring="one-key:A_KEY", plugins=plugins, installed_plugins=False) as core:
            if not core.authorities.list():
                core.authorities.create("test", module="scripted", settings={"api_key": "a key of the CA"})
            assert core.authorities.check("test").ok


def test_it_keeps_every_rule():
    report = conformance.run(OneKey(bytes(range(32))))
    assert report.ok, report.text()
