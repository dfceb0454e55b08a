"""Every line of the document that describes the section holds: one walk through a real panel, one test for each line.

The walk is an owner's: from the draft to an active certificate of a real Pebble, its export, an import, a renewal ahead
of expiry. It keeps every page; the checks of the lines, in `support.document`, look at them.
"""

import shutil
from contextlib import closing

import pytest

from support.document import creation, life, overview  # noqa: F401 - they register the checks of the lines
from support.document.lines import CHECKS, LINES
from support.document_walk import USERS, DocumentWalk
from support.panel_site import open_panel_site

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed"),
]


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """The walk, taken once."""
    with open_panel_site(tmp_path_factory.mktemp("site"), USERS) as site, closing(DocumentWalk(site)) as walk:
        walk.take()
        yield walk


@pytest.mark.parametrize("line", LINES)
def test_the_line_holds(line, walk):
    """What this line of the document says is so."""
    CHECKS[line](walk)


def test_every_line_is_tested_or_a_heading():
    """No line of the document is left out."""
    assert set(LINES) - set(CHECKS) == set()
    assert len(LINES) > 70
