"""dns-persist-01 at a real ACME server: one TXT record of the owner, for good; and it is for one tenant alone."""

from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import InvalidInput
from certcore.model.hints import DnsRecords, Level, Notice, RecordState
from certcore_puq_acme.account_records import records_of


@pytest.fixture
def persisting(panel, start_acme2certifier):
    """Makes profiles at a server with dns-persist-01."""
    server = start_acme2certifier(dns_persist=True)
    return lambda **settings: panel.profile(
        server.directory_url, server.roots_pem, **{"challenges": "dns-persist-01", **settings}
    )


def _rows(panel, one):
    tables = [hint for hint in panel.core.certificates.hints(one) if isinstance(hint, DnsRecords)]
    return [row for table in tables for row in table.rows]


def _notices(panel, one, level=None):
    hints = [hint for hint in panel.core.certificates.hints(one) if isinstance(hint, Notice)]
    return " ".join(str(hint.text) for hint in hints if level in (None, hint.level))


def _set_records(panel, one):
    """What the owner does: for each name exactly what the page says."""
    panel.core.reconcile(one)
    for row in _rows(panel, one):
        panel.zone.add(row.name, row.type, row.value)
    panel.core.certificates.check_now(one)


def test_one_record_for_issuance_and_renewal(panel, persisting):
    """The page shows the record as soon as the account is there; nothing is ever written into the tech zone."""
    one = panel.request(persisting(), "shop.test", aliases=["www.shop.test"])
    assert "one lasting TXT record" in _notices(panel, one)
    panel.core.reconcile(one)
    rows = _rows(panel, one)
    assert [(row.name, row.type, row.state) for row in rows] == [
        ("_validation-persist.shop.test", "TXT", RecordState.MISSING),
        ("_validation-persist.www.shop.test", "TXT", RecordState.MISSING),
    ]
    _, context = panel.core.engine.contexts.context(panel.core.certificates.view(one).authority)
    (account,) = records_of(context.documents, context.authority_id)
    assert rows[0].value == f"ca.test; accounturi={account.url}"
    assert panel.core.certificates.get(one).status is Status.PENDING
    _set_records(panel, one)
    written = []
    panel.drive(one, lambda found: written.extend(panel.txt_values()) or found.status is Status.ACTIVE)
    serial = panel.core.certificates.view(one).leaf.serial_hex
    panel.core.certificates.renew(one)
    panel.drive(one, lambda _: panel.core.certificates.view(one).leaf.serial_hex != serial)
    assert written == panel.txt_values() == []


def test_a_wildcard_needs_its_policy(panel, persisting):
    """The record of a wildcard says so; one without the policy is told to be wrong."""
    one = panel.request(persisting(), "shop.test", wildcard=True)
    panel.core.reconcile(one)
    (row,) = _rows(panel, one)
    assert row.value.endswith("; policy=wildcard")
    panel.zone.set(row.name, "TXT", row.value.removesuffix("; policy=wildcard"))
    panel.core.certificates.check_now(one)
    panel.core.reconcile(one)
    (row,) = _rows(panel, one)
    assert (row.state, row.seen) == (RecordState.WRONG, "policy=wildcard is missing")
    panel.zone.set(row.name, "TXT", row.value)
    panel.core.certificates.check_now(one)
    panel.until_active(one)
    assert set(panel.core.certificates.view(one).leaf.names) == {"shop.test", "*.shop.test"}


def test_one_tenants_record_is_of_no_use_to_another(panel, persisting):
    """Each tenant has an account of its own at the CA: what anna set does not get bob a certificate for her name."""
    profile = persisting()
    anna = panel.request(profile, "shop.test", owner="anna")
    _set_records(panel, anna)
    panel.until_active(anna)
    bob = panel.request(profile, "shop.test", owner="bob")
    for _ in range(3):
        panel.core.reconcile(bob)
        panel.environment.skip(timedelta(minutes=10))
    (row,) = _rows(panel, bob)
    assert row.state is RecordState.WRONG
    assert "another account" in row.seen
    assert panel.core.certificates.get(bob).status is Status.PENDING
    assert "order" not in panel.issuance(bob).module_state
    again = panel.request(profile, "shop.test", owner="anna")
    panel.until_active(again)  # hers needs nothing more


def test_records_with_an_end_are_warned_of(panel, persisting):
    """The record says until when it lasts; the page warns before that day, and tells when it is over."""
    one = panel.request(persisting(persist_days=100), "shop.test")
    panel.core.reconcile(one)
    (row,) = _rows(panel, one)
    assert "; persistUntil=" in row.value
    _set_records(panel, one)
    panel.until_active(one)
    assert _notices(panel, one, Level.WARNING) == ""
    assert _rows(panel, one) == []
    panel.environment.skip(timedelta(days=75))
    assert "has to set it anew" in _notices(panel, one, Level.WARNING)
    panel.environment.skip(timedelta(days=30))
    assert "has to set it anew" in _notices(panel, one, Level.ERROR)


def test_a_record_that_ends_soon_is_shown_and_looked_for(panel, persisting):
    """Beside the warning stands the record to be set next; the warning goes as soon as it is there."""
    one = panel.request(persisting(persist_days=100), "shop.test", wildcard=True)
    panel.core.reconcile(one)
    (first,) = _rows(panel, one)
    _set_records(panel, one)
    panel.until_active(one)
    panel.environment.skip(timedelta(days=75))
    (row,) = _rows(panel, one)
    assert (row.name, row.state, row.seen) == (first.name, RecordState.MISSING, first.value)
    until = [int(each.value.rpartition("persistUntil=")[2]) for each in (first, row)]
    assert timedelta(seconds=until[1] - until[0]) == timedelta(days=100)
    assert "policy=wildcard" in row.value
    panel.zone.add(row.name, row.type, row.value)
    panel.core.certificates.check_now(one)
    assert "set it anew" not in _notices(panel, one, Level.WARNING)  # that the renewal is late by now, is said as well
    assert _rows(panel, one) == []
    panel.zone.set(row.name, row.type, first.value)
    assert len(_rows(panel, one)) == 1
    panel.dns.close()  # a server that is silent changes nothing
    assert len(_rows(panel, one)) == 1


def test_the_profile_says_what_is_allowed(panel, persisting):
    """A certificate may choose among what its profile allows, and the form offers nothing else."""
    only_dns = persisting(name="dns", challenges="dns-01")
    with pytest.raises(InvalidInput) as caught:
        panel.core.certificates.create(
            "a.shop.test", authority=only_dns.id, module_data={"challenge": "dns-persist-01"}
        )
    assert caught.value.field == "challenge"
    both = persisting(name="both", challenges="both")
    (field,) = (one for one in panel.core.authorities.certificate_form(both.id) if one.name == "challenge")
    assert [choice.value for choice in field.choices] == ["", "dns-01", "dns-persist-01"]
    by_cname = panel.request(both, "a.shop.test")
    panel.set_cnames(by_cname)
    panel.until_active(by_cname)
    by_record = panel.request(both, "b.shop.test", module_data={"challenge": "dns-persist-01"})
    _set_records(panel, by_record)
    panel.until_active(by_record)


@pytest.mark.pebble
def test_a_ca_without_dns_persist_01(panel, start_pebble):
    """The error says that the CA does not offer it, and what to do."""
    pebble = start_pebble()
    profile = panel.profile(pebble.directory_url, pebble.roots_pem, challenges="dns-persist-01")
    one = panel.request(profile, "shop.test")
    failed = panel.drive(one, lambda certificate: certificate.problem is not None)
    assert failed.status is Status.ERROR
    assert "dns-persist-01" in str(failed.problem)
    assert "dns-01" in failed.problem.advice
