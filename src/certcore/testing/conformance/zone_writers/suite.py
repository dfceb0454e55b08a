"""All checks of zone writers, in order."""

from __future__ import annotations

from typing import Final

from certcore.testing.conformance.zone_writers.cnames import CNAMES
from certcore.testing.conformance.zone_writers.operation import OPERATION
from certcore.testing.conformance.zone_writers.refusals import REFUSALS
from certcore.testing.conformance.zone_writers.txt_values import TXT_VALUES

__all__ = ["CNAME_CHECKS", "TXT_CHECKS", "WRITER_CHECKS"]

#: For every writer.
TXT_CHECKS: Final = (*TXT_VALUES, *OPERATION, *REFUSALS)
#: For writers that set CNAMEs, too.
CNAME_CHECKS: Final = CNAMES
#: In the order in which they are run: each after those that it needs.
WRITER_CHECKS: Final = (*TXT_VALUES, *OPERATION, *CNAMES, *REFUSALS)
