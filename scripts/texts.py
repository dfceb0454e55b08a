"""Keep the translations of certcore's own texts up to date.

scripts/texts.py update    write the catalogues anew with the texts of the code, and compile them: `make texts`
scripts/texts.py check     say what is wrong; the tests ask the same
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from certcore.testing.catalogues import CatalogueFiles
from certcore.testing.texts import Text
from certcore_puq_acme.accounts.actions import AccountKey, WhichAccount
from certcore_puq_acme.dns.finding_codes import FINDING_CODES
from certcore_puq_acme.dns.name_owners import NameToRelease
from certcore_puq_acme.module import PuqAcme

LANGUAGES = ("de", "fr", "pl", "uk")
#: The command speaks English, the test kit and the deployments speak to people who write scripts.
LEFT_OUT = ("cli", "contrib", "testing")
#: The forms of the ACME module.
_FORMS = (PuqAcme.profile_type, PuqAcme.certificate_type, WhichAccount, AccountKey, NameToRelease)


def catalogues(root: Path) -> list[CatalogueFiles]:
    """The catalogues of both packages."""
    packages = root / "src"
    return [
        CatalogueFiles.of_package(packages / "certcore", languages=LANGUAGES, leave_out=LEFT_OUT),
        CatalogueFiles.of_package(
            packages / "certcore_puq_acme", languages=LANGUAGES, forms=_FORMS, more=tuple(_findings())
        ),
    ]


def _findings() -> Iterator[Text]:
    """The texts of the table of findings."""
    for code, row in FINDING_CODES.items():
        for part, english in (("cause", row.cause), ("advice", row.advice)):
            if english:
                yield Text(f"puq_acme.finding.{code}.{part}", english, "", "certcore_puq_acme/dns/finding_codes.py")


if __name__ == "__main__":
    faults = []
    for files in catalogues(Path(__file__).parents[1]):
        if sys.argv[1:] == ["update"]:
            files.update()
        faults += files.faults()
    sys.exit("\n".join(faults) or 0)
