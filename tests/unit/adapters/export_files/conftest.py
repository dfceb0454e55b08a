"""What the tests of exported files share."""

import pytest

from support.killed_copies import orders_to


@pytest.fixture
def folder(tmp_path):
    """A folder that is not there yet."""
    return tmp_path / "shop.example"


@pytest.fixture(scope="module")
def order():
    """Gives orders to a process that may be killed while it writes."""
    with orders_to("support.crashing_exports") as give:
        yield give
