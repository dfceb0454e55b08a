"""What the tests of obtaining certificates share."""

import pytest

from certcore.services.obtain import Obtaining
from support.inside import inside
from support.obtaining import Waiter


@pytest.fixture
def waiter(bench):
    return Waiter(bench.environment)


@pytest.fixture
def obtain(bench, waiter):
    """As `CertCore.obtain`, on the bench's clock."""
    parts = inside(bench.core)
    obtaining = Obtaining(certificates=bench.core.certificates, engine=parts.engine, access=parts.access, wait=waiter)

    def call(domain="shop.example", *, timeout=600.0, progress=None, owner="", actor="system", authority="", **form):
        values = {"domain": domain, "authority": authority or bench.authority.id, "owner": owner, **form}
        return obtaining.obtain(values, timeout=timeout, progress=progress, actor=actor)

    return call
