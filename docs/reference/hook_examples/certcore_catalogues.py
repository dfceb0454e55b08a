from pathlib import Path

from certcore import CertCore
from certcore.plugin import Catalogue, hookimpl


class Plugin:
    def __init__(self, folder: Path):
        self.folder = folder

    @hookimpl
    def certcore_catalogues(self) -> list[Catalogue]:
        # The folder has LANGUAGE/LC_MESSAGES/house_ca.mo, made from house_ca.po with msgfmt.
        return [Catalogue(self.folder, "house_ca")]


# test
def test_a_folder_without_catalogues_is_reported(tmp_path):
    with CertCore.in_memory(plugins=[Plugin(tmp_path)], installed_plugins=False) as core:
        (failure,) = core.plugin_failures
        assert "house_ca.mo" in failure.reason
