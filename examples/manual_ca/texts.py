"""The translations of this package: ``python texts.py`` brings them up to date, and reports what is missing."""

import sys
from pathlib import Path

from certcore.testing import CatalogueFiles
from certcore_manual_ca.module import ManualCAProfile, Refusal, Upload

FILES = CatalogueFiles.of_package(
    Path(__file__).parent / "src/certcore_manual_ca",
    languages=["de", "uk"],
    forms=[ManualCAProfile, Upload, Refusal],
)

if __name__ == "__main__":
    FILES.update()
    sys.exit("\n".join(FILES.faults()) or 0)
