"""Orders: validity, CAA, many names, and two certificates for the same names."""

import json
from datetime import timedelta

import pytest

from certcore import Status
from certcore.model.hints import DnsRecords, RecordState


@pytest.mark.pebble
def test_a_validity_of_the_customers_choice(panel, start_pebble):
    """Where the CA lets the customer choose, the certificate ends when it was asked for."""
    pebble = start_pebble()
    certificate_id = panel.issued(
        panel.profile(pebble.directory_url, pebble.roots_pem, validity_days=20), "a.shop.test"
    )
    left = panel.core.certificates.view(certificate_id).leaf.not_after - panel.environment.now()
    assert timedelta(days=19) < left <= timedelta(days=20)


@pytest.mark.pebble
def test_a_validity_that_the_ca_does_not_like(panel, trouble):
    """The advice names the setting."""
    plan, proxy = trouble
    problem = {"type": "urn:ietf:params:acme:error:malformed", "detail": "NotBefore and NotAfter are not supported"}

    def rewrite(path, status, body, headers):
        if path == "/order-plz":
            return 400, json.dumps(problem).encode(), {"replay-nonce": headers["replay-nonce"]}
        return status, body, headers

    plan.rewrite = rewrite
    certificate_id = panel.request(panel.profile(**proxy, validity_days=30), "a.shop.test")
    panel.set_cnames(certificate_id)
    refused = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert "validity_days" in refused.problem.advice


def test_a_caa_record_that_forbids_the_ca(panel, start_acme2certifier):
    """No order is placed; the owner sees the record that stands there and the one to add; then it goes on at once."""
    server = start_acme2certifier(caa_identities=["ca.test"])
    profile = panel.profile(server.directory_url, server.roots_pem)
    panel.zone.set("shop.test", "CAA", '0 issue "other.test"')
    certificate_id = panel.request(profile, "www.shop.test")
    panel.set_cnames(certificate_id)
    panel.core.reconcile(certificate_id)
    assert panel.core.certificates.get(certificate_id).status is Status.PENDING
    assert "order" not in (panel.issuance(certificate_id).module_state or {})
    tables = [hint for hint in panel.core.certificates.hints(certificate_id) if isinstance(hint, DnsRecords)]
    (row,) = tables[-1].rows
    assert (row.name, row.type, row.value, row.state) == ("shop.test", "CAA", '0 issue "ca.test"', RecordState.WRONG)
    assert "other.test" in row.seen
    panel.zone.add("shop.test", "CAA", '0 issue "ca.test; validationmethods=dns-01"')
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
    panel.zone.set("shop.test", "CAA", '0 issue "other.test"')
    panel.core.authorities.edit(profile.id, settings={"check_caa": False})
    panel.issued(profile, "b.shop.test")  # this CA does not look at CAA records itself


@pytest.mark.pebble
@pytest.mark.slow(reason="issues for hundreds of names")
@pytest.mark.timeout(900)
# Four are already more than are in flight at once; ten show more of the same.
@pytest.mark.parametrize("count", [4, pytest.param(10, marks=pytest.mark.soak)])
def test_certificates_of_a_hundred_names(panel, start_pebble, count):
    """Apex, wildcard and 98 aliases each: all active, all authorizations at once, at most 4 requests a name and 8."""
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    said_before = len(_log(pebble))
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    ids = []
    for number in range(count):
        domain = f"z{number}.shop.test"
        aliases = [f"a{alias}.{domain}" for alias in range(98)]
        ids.append(panel.request(profile, domain, aliases=aliases, wildcard=True))
        panel.set_cnames(ids[-1])
    worker = panel.core.worker(threads=2, in_flight=3, poll_interval=0.05)
    worker.start()
    try:
        assert worker.wait_until_idle(timeout=800)
    finally:
        assert worker.stop(timeout=120)
    assert [panel.core.certificates.get(certificate_id).status for certificate_id in ids] == [Status.ACTIVE] * count
    for one in ids:
        assert len(panel.core.certificates.view(one).leaf.names) == 100
    assert panel.txt_values() == []
    requests = sum(
        " /" in line and ("POST" in line or "GET" in line or "HEAD" in line) for line in _log(pebble)[said_before:]
    )
    assert count * 100 < requests <= count * (4 * 100 + 8)


def _log(pebble):
    return pebble.log_path.read_text(errors="replace").splitlines()


@pytest.mark.pebble
def test_two_certificates_for_the_same_names_at_once(panel, start_pebble):
    """Both get their own leaf for their own key, also where the CA reuses authorizations."""
    pebble = start_pebble(authz_reuse=100)
    profile = panel.profile(pebble.directory_url, pebble.roots_pem)
    ids = [panel.request(profile, "a.shop.test") for _ in range(2)]
    panel.set_cnames(ids[0])
    for _ in range(60):
        for one in ids:
            panel.core.reconcile(one)
        panel.environment.skip(timedelta(seconds=1))
    leaves = {panel.core.certificates.view(certificate_id).leaf.serial_hex for certificate_id in ids}
    assert len(leaves) == 2
    assert panel.txt_values() == []
