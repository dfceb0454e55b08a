import os
from pathlib import Path

from certcore import CertCore
from certcore.hints import Finding, Message, Severity
from certcore.plugin import CertificateSource, hookimpl


class Plugin:
    def __init__(self, folder: Path):
        self.folder = folder

    @hookimpl
    def certcore_check_targets(self, certificate_id: str, certificates: CertificateSource) -> list[Finding]:
        if os.access(self.folder, os.W_OK):
            return []
        folder = {"folder": str(self.folder)}
        cause = Message("files.not_writable", "The folder {folder} cannot be written to.", folder)
        advice = Message("files.not_writable.advice", "Create it, or correct its permissions.")
        return [Finding(code="not_writable", severity=Severity.ERROR, name="", cause=cause, advice=advice)]


# test
def test_a_folder_that_is_missing_is_found(tmp_path):
    plugin = Plugin(tmp_path / "missing")
    (finding,) = plugin.certcore_check_targets("any", None)
    assert "missing cannot be written to" in str(finding.cause)
    plugin.folder.mkdir()
    assert plugin.certcore_check_targets("any", None) == []
    with CertCore.in_memory(plugins=[plugin], installed_plugins=False) as core:
        assert core.plugin_failures == ()
