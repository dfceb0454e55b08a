"""The texts of this package in other languages."""

import runpy
from pathlib import Path

from certcore.testing import CatalogueFiles


def test_every_text_is_translated():
    """Complete, up to date with the code and compiled: ``python texts.py`` reports what is missing."""
    files = runpy.run_path(str(Path(__file__).parents[1] / "texts.py"))["FILES"]
    assert isinstance(files, CatalogueFiles)
    assert files.faults() == []
