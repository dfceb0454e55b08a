"""The translations of this package: ``python texts.py`` brings them up to date, and says what lacks."""

import sys
from pathlib import Path

from certcore.testing import CatalogueFiles
from certcore_local_ca.module import Distrust
from certcore_local_ca.settings import LocalCAProfile

FILES = CatalogueFiles.of_package(
    Path(__file__).parent / "src/certcore_local_ca",
    languages=["de", "uk"],
    forms=[LocalCAProfile, Distrust],
)

if __name__ == "__main__":
    FILES.update()
    faults = FILES.faults()
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)
