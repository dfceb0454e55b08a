"""How moments are shown: one way for texts, pages and the command."""

import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from certcore.messages import shown_moment

SOURCES = Path(__file__).parents[2] / "src"


@pytest.mark.parametrize("hours", [0, 2, -9])
def test_a_moment_is_shown_in_utc(hours):
    """Whatever time zone the value has, the text is the same, and names its zone."""
    moment = datetime(2026, 11, 30, 23, 5, 9, tzinfo=UTC).astimezone(timezone(timedelta(hours=hours)))
    assert shown_moment(moment) == "2026-11-30 23:05 UTC"
    assert shown_moment(moment, seconds=True) == "2026-11-30 23:05:09 UTC"


def test_no_moment_is_an_empty_text():
    """A page shows nothing where nothing is planned."""
    assert shown_moment(None) == ""


def test_no_other_code_writes_moments_for_people():
    """A second format on the same page would make readers compare two notations."""
    own = re.compile(r"%Y-%m-%d %H:%M|SHORT_DATE|[|]date:\"(?!Y-m-d)")
    files = [path for kind in ("*.py", "*.html") for path in SOURCES.rglob(kind) if path.name != "messages.py"]
    assert [str(path) for path in files if own.search(path.read_text(encoding="utf-8"))] == []
