"""What one tenant's domain control has earned at a shared account is of no use to another tenant (DESIGN: tenants)."""

import pytest

from certcore import Status

pytestmark = pytest.mark.pebble


@pytest.fixture
def earned(panel, start_pebble):
    """A CA that reuses every valid authorization, its profile, and A's certificate for shop.test."""
    pebble = start_pebble(authz_reuse=100, nonce_reject=0)
    ca = panel.profile(pebble.directory_url, pebble.roots_pem)
    return ca, panel.issued(ca, "shop.test", owner="A")


def _orders_nothing(panel, certificate_id, steps=8):
    """Whether no order is placed, however often it is looked at."""
    for _ in range(steps):
        done = panel.core.reconcile(certificate_id)
        if done.look_again and done.look_again > panel.environment.now():
            panel.environment.skip(done.look_again - panel.environment.now())
    issuances = panel.core.certificates.issuances(certificate_id)
    return "order" not in (issuances[-1].module_state or {})


def test_a_valid_authorization_serves_its_tenant_only(panel, earned):
    """The same name, the name with a wildcard, a copy, a name below, through a fallback: nothing is ordered for B."""
    ca, one = earned
    certificates = panel.core.certificates
    dead = panel.profile("https://127.0.0.1:1/dir", name="dead")
    asked = [
        panel.request(ca, "shop.test", owner="B"),
        panel.request(ca, "shop.test", owner="B", wildcard=True),
        panel.request(ca, "www.shop.test", owner="B"),
        panel.request(ca, "shop.test", owner="a"),
        panel.request(dead, "shop.test", owner="B", fallbacks=[ca.id]),
        certificates.generate_csr(certificates.clone(one, owner="B").id).id,
    ]
    for other in asked:
        assert _orders_nothing(panel, other)
        assert certificates.get(other).status is Status.PENDING
    panel.until_active(panel.request(ca, "shop.test", owner="A"))  # whose it is needs nothing more


def test_a_reissue_takes_no_name_of_another_tenant(panel, earned):
    """B's own certificate cannot be given A's name, as the domain or as an alias."""
    ca, _ = earned
    own = panel.issued(ca, "b.shop.test", owner="B")
    certificates = panel.core.certificates
    certificates.reissue(own, domain="shop.test")
    assert _orders_nothing(panel, own)
    certificates.cancel_attempt(own)
    certificates.reissue(own, aliases=["shop.test"])
    assert _orders_nothing(panel, own)
    assert certificates.view(own).leaf.names == ("b.shop.test",)


def test_an_imported_leaf_is_not_named_as_replaced(panel, earned):
    """B's row with A's public leaf neither obtains anything for A's name nor speaks to the CA of A's leaf."""
    ca, one = earned
    certificates = panel.core.certificates
    leaf = certificates.view(one).active.leaf_pem
    stolen = certificates.import_certificate(leaf, None, authority=ca.id, owner="B").id
    certificates.renew(stolen)
    assert _orders_nothing(panel, stolen)
    assert certificates.get(one).status is Status.ACTIVE


def test_a_transfer_hands_no_authorization_on(panel, earned):
    """The new owner has A's leaf and key; what renews it is B's own CNAME, which the preview has told."""
    _, one = earned
    certificates = panel.core.certificates
    before = certificates.view(one)
    (record,) = certificates.preview_transfer(one, to="B").records
    certificates.transfer(one, to="B")
    assert certificates.view(one).leaf == before.leaf
    certificates.renew(one)
    assert _orders_nothing(panel, one)
    assert certificates.get(one).status is Status.ACTIVE
    panel.zone.set(record.name, record.type, record.value)
    certificates.check_now(one)
    panel.drive(one, lambda managed: managed.not_after != before.certificate.not_after)
    after = certificates.view(one)
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256
    assert certificates.private_key(one, reason="test")
