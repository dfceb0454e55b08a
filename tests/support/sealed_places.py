"""Keyring files and databases with a secret of every purpose."""

import json
from pathlib import Path

from attrs import frozen

from certcore import CertCore
from certcore.adapters.environment import SystemEnvironment
from certcore.testing.scripted_ca import ScriptedCA
from support.inside import inside


@frozen(eq=False)
class Place:
    """A keyring file, a database, and what is opened on them."""

    folder: Path
    database: str

    @property
    def keyring(self):
        return self.folder / "keyring.json"

    def open(self, **changes):
        ca = ScriptedCA(now=SystemEnvironment().now())
        options = {"keyring": self.keyring, "plugins": [ca.plugin()]}
        return CertCore.open(self.database, **(options | {"installed_plugins": False} | changes))

    def contents(self):
        return json.loads(self.keyring.read_text(encoding="utf-8"))


def fill_core(core):
    """A secret of every purpose besides the keyring's own check."""
    authority = core.authorities.create("test", module="scripted", settings={"api_key": "canary-api-key"})
    for number in range(3):
        draft = core.certificates.create(f"shop{number}.example", authority=authority.id)
        core.certificates.generate_csr(draft.id)
    inside(core).contexts.documents(inside(core).plugins.module("scripted")).seal("account", b"canary-account")


def sealed_secrets(core):
    """Every sealed secret, by name."""
    with inside(core).storage.read() as transaction:
        return dict(transaction.secrets.sealed_otherwise("no such key", limit=100_000))


def opened_secrets(core):
    """Every secret, opened, by name."""
    return {name: inside(core).vault.open(sealed, name) for name, sealed in sealed_secrets(core).items()}


def rewrap_all(core, limit=100):
    """One pass through everything; bounded, because each call begins where the one before ended."""
    after, done = None, 0
    while True:
        progress = core.sealing_keys.rewrap(limit=limit, after=after)
        done += progress.done
        if (after := progress.next) is None:
            return done, progress
