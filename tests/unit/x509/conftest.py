"""The CAs and keys of the corpus."""

import pytest

from support import bundle_corpus as corpus


@pytest.fixture(scope="session")
def world():
    """One for all tests of this process."""
    return corpus.world()
