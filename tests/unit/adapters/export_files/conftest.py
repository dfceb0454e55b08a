"""What the tests of exported files share."""

import pytest

from support.crashing_exports import crashing_writer


@pytest.fixture
def folder(tmp_path):
    """A folder that is not there yet."""
    return tmp_path / "shop.example"


@pytest.fixture(scope="module")
def order():
    """Gives orders to a process that may be killed while it writes."""
    with crashing_writer() as give:
        yield give
