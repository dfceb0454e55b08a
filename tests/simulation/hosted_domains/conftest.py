"""What the tests of hosted domains share."""

import pytest

from support.simulation.hosting import hosted_world, hosting_panel


@pytest.fixture
def panel():
    return hosting_panel()


@pytest.fixture
def world(panel):
    world = hosted_world(panel, plugins=[panel], most_steps_an_hour=400)
    yield world
    world.close()
