"""What the tests of lists share."""

import pytest

from support.listed_certificates import all_pages, listed_store


@pytest.fixture(params=["memory", "sqlite"], scope="module")
def world(request, tmp_path_factory):
    """A store with certificates of all kinds: only read by the tests here."""
    with listed_store(request.param, tmp_path_factory.mktemp("lists")) as core:
        yield core


@pytest.fixture(scope="module")
def views(world):
    """The view of each certificate, taken once: nothing changes."""
    return [world.certificates.view(certificate.id) for certificate in all_pages(world)]
