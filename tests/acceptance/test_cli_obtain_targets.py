"""`certcore obtain --targets`: a script has the files when the command ends."""

from datetime import UTC, datetime

from certcore import CertCore
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.targets_file import TARGETS


def test_obtain_tells_the_targets_too(certcore, tmp_path):
    """A script has the files when the command ends; a target that was not told is named, with exit code 1."""
    certcore.inside("init")
    ca = ScriptedCA([Act.ISSUE], now=datetime.now(UTC))
    with CertCore.open(f"sqlite:///{certcore.database}", keyring=certcore.keyring, plugins=[ca.plugin()]) as core:
        authority = core.authorities.create("for scripts", module="scripted")
        draft = core.certificates.create("script.example", authority=authority.id)
        core.certificates.generate_csr(draft.id)
        core.reconcile(draft.id)
    path = tmp_path / "targets.toml"
    path.write_text(TARGETS.format(folder=tmp_path))
    path.chmod(0o600)
    arguments = ("obtain", "script.example", "--authority", "for scripts")
    said = certcore(*arguments, env={"CERTCORE_TARGETS": str(path)}, expect=1)
    assert "The target nowhere did not accept script.example: " in said.stdout
    live = tmp_path / "ssl" / "script.example" / "live"
    assert sorted(path.name for path in live.iterdir()) == ["fullchain.pem", "nginx-ssl.conf", "privkey.pem"]
    # The next process does not try it again yet, and says what the last one met.
    again = certcore(*arguments, env={"CERTCORE_TARGETS": str(path)}, expect=1)
    assert "The target nowhere did not accept script.example: " in again.stdout
