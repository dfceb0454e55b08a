"""Who goes before what other owners wait for."""

from datetime import timedelta

import pytest
from attrs import evolve

from certcore import CertCore
from certcore.model.issuance import Purpose
from certcore.testing.clock import FrozenEnvironment
from certcore_puq_acme.orders.priority import goes_first, is_near_its_end
from support.inside import inside
from support.leaves import bought

DAY = timedelta(days=1)


@pytest.fixture
def renewal():
    """The renewal of an imported leaf of ten days, as its CA module sees it."""
    environment = FrozenEnvironment()
    with CertCore.in_memory(environment=environment) as core:
        chain, key = bought("shop.test", now=environment.now(), lifetime=10 * DAY)
        settings = {"tech_zone": "acme.panel.test", "terms_agreed": True}
        profile = core.authorities.create("acme", module="puq_acme", settings=settings)
        certificate_id = core.certificates.import_certificate(chain, key, authority=profile.id, owner="B").id

        def work():
            view = core.certificates.view(core.certificates.renew(certificate_id).id)
            return inside(core).contexts.work(view.authority, view.certificate, view.issuance, active=view.active)[1]

        work.environment = environment
        yield work


def test_an_imported_leaf_near_its_end_goes_before_nobody(renewal):
    """Anybody can import leaves that end tomorrow; one that was issued here is as near its end, and goes first."""
    renewal.environment.advance(9.5 * DAY)
    work = renewal()
    assert is_near_its_end(work)
    assert not goes_first(work)
    assert goes_first(evolve(work, active=evolve(work.active, purpose=Purpose.RENEW)))


def test_a_leaf_with_time_left_goes_before_nobody(renewal):
    """Nor does a certificate without a leaf."""
    work = renewal()
    assert not goes_first(evolve(work, active=evolve(work.active, purpose=Purpose.RENEW)))
    assert not goes_first(evolve(work, active=None))
