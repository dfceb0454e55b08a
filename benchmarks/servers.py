"""The database servers that the tests start, for benchmarks, which are started as scripts."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from certcore.testing.databases import MariaDB, PostgreSQL

__all__ = ["MariaDB", "PostgreSQL"]
