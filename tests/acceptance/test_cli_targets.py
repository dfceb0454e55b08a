"""`certcore run --targets`: what was issued is deployed and told of, and what is wrong with the file is said."""

from datetime import UTC, datetime

import pytest

from certcore import CertCore
from certcore.testing.scripted_ca import Act, ScriptedCA

TARGETS = """
[[deploy]]
name = "web"
folder = "{folder}/ssl/{{name}}"
format = "nginx"
layout = "versioned"
command = ["/bin/sh", "-c", "echo ran >> '{folder}/notes'"]

[[webhook]]
name = "nowhere"
url = "http://127.0.0.1:9/canary-token"
"""


@pytest.fixture(scope="module")
def issued(certcore):
    """A certificate in the command's store; its CA is not there any more."""
    certcore.inside("init")
    ca = ScriptedCA([Act.ISSUE], now=datetime.now(UTC))
    plugins = [ca.plugin()]
    with CertCore.open(f"sqlite:///{certcore.database}", keyring=certcore.keyring, plugins=plugins) as core:
        authority = core.authorities.create("scripted", module="scripted")
        one = core.certificates.create("shop.example.com", authority=authority.id).id
        core.certificates.generate_csr(one)
        for _ in range(3):
            core.reconcile(one)
    return one


def test_targets_are_told_by_the_worker(certcore, issued):
    """The files are there and the command has run; what one target refuses is shown, and holds up nobody else."""
    path = certcore.folder / "targets.toml"
    path.write_text(TARGETS.format(folder=certcore.folder))
    path.chmod(0o600)
    live = certcore.folder / "ssl" / "shop.example.com" / "live"
    certcore("run", "--once")
    assert not live.exists()
    certcore("run", "--once", env={"CERTCORE_TARGETS": str(path)})
    assert sorted(one.name for one in live.iterdir()) == ["fullchain.pem", "nginx-ssl.conf", "privkey.pem"]
    assert (certcore.folder / "notes").read_text() == "ran\n"
    certcore.inside("run", "--once", "--targets", path)
    assert (certcore.folder / "notes").read_text() == "ran\n"
    with CertCore.open(f"sqlite:///{certcore.database}", keyring=certcore.keyring) as core:
        (name, behind), *others = core.certificates.deliveries(issued).behind.items()
    assert (name, others) == ("nowhere", [])
    assert "refused the connection" in behind.reason
    assert "canary" not in behind.reason


def test_a_file_of_targets_that_is_wrong(certcore, issued):
    """Nothing is done; table and key are named."""
    path = certcore.folder / "wrong.toml"
    path.write_text('[[deploy]]\nname = "web"\nfolder = "relative"\n')
    path.chmod(0o600)
    error = certcore.json("run", "--once", "--targets", path, expect=1)["error"]
    assert (error["error"], error["field"]) == ("InvalidInput", "[[deploy]] web, folder")
    assert certcore.json("run", "--once", "--targets", certcore.folder / "missing.toml", expect=1)["error"]


def test_targets_without_a_store(certcore, issued):
    """The store has to be there first, as for every command."""
    path = certcore.folder / "empty.toml"
    path.touch(mode=0o600)
    missing = certcore.folder / "missing.db"
    done = certcore.inside("run", "--once", "--targets", path, "--database", missing, expect=1)
    assert "certcore init" in done.stderr
    assert not missing.exists()
