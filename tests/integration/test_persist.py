"""dns-persist-01 at a real ACME server: one TXT record of the owner, for good; and it is for one tenant alone."""

from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import InvalidInputError
from certcore.model.hints import DnsRecords, Level, RecordState
from certcore_puq_acme.accounts.records import records_of
from support.hint_texts import notices
from support.inside import inside


@pytest.fixture
def persisting(panel, start_acme2certifier):
    """Makes profiles at a server with dns-persist-01."""
    server = start_acme2certifier(dns_persist=True)
    return lambda **settings: panel.profile(
        server.directory_url, server.roots_pem, **{"challenges": "dns-persist-01", **settings}
    )


def _rows(panel, certificate_id):
    tables = [hint for hint in panel.core.certificates.hints(certificate_id) if isinstance(hint, DnsRecords)]
    return [row for table in tables for row in table.rows]


def _set_records(panel, certificate_id):
    """What the owner does: for each name exactly what the page says."""
    panel.core.reconcile(certificate_id)
    for row in _rows(panel, certificate_id):
        panel.zone.add(row.name, row.type, row.value)
    panel.core.certificates.check_now(certificate_id)


def test_one_record_for_issuance_and_renewal(panel, persisting):
    """The page shows the record as soon as the account is there; nothing is ever written into the tech zone."""
    certificate_id = panel.request(persisting(), "shop.test", aliases=["www.shop.test"])
    assert "one lasting TXT record" in notices(panel, certificate_id)
    panel.core.reconcile(certificate_id)
    rows = _rows(panel, certificate_id)
    assert [(row.name, row.type, row.state) for row in rows] == [
        ("_validation-persist.shop.test", "TXT", RecordState.MISSING),
        ("_validation-persist.www.shop.test", "TXT", RecordState.MISSING),
    ]
    _, context = inside(panel.core).contexts.context(panel.core.certificates.view(certificate_id).authority)
    (account,) = records_of(context.documents, context.authority_id)
    assert rows[0].value == f"ca.test; accounturi={account.url}"
    assert panel.core.certificates.get(certificate_id).status is Status.PENDING
    _set_records(panel, certificate_id)
    written = []
    panel.drive(certificate_id, lambda found: written.extend(panel.txt_values()) or found.status is Status.ACTIVE)
    serial = panel.core.certificates.view(certificate_id).leaf.serial_hex
    panel.core.certificates.renew(certificate_id)
    panel.drive(certificate_id, lambda _: panel.core.certificates.view(certificate_id).leaf.serial_hex != serial)
    assert written == panel.txt_values() == []


def test_a_wildcard_needs_its_policy(panel, persisting):
    """The record for a wildcard has a policy; a record without it is shown as wrong."""
    certificate_id = panel.request(persisting(), "shop.test", wildcard=True)
    panel.core.reconcile(certificate_id)
    (row,) = _rows(panel, certificate_id)
    assert row.value.endswith("; policy=wildcard")
    panel.zone.set(row.name, "TXT", row.value.removesuffix("; policy=wildcard"))
    panel.core.certificates.check_now(certificate_id)
    panel.core.reconcile(certificate_id)
    (row,) = _rows(panel, certificate_id)
    assert (row.state, row.findings[0].code) == (RecordState.WRONG, "persist_without_wildcard")
    panel.zone.set(row.name, "TXT", row.value)
    panel.core.certificates.check_now(certificate_id)
    panel.until_active(certificate_id)
    assert set(panel.core.certificates.view(certificate_id).leaf.names) == {"shop.test", "*.shop.test"}


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
    assert row.findings[0].code == "persist_other_account"
    assert panel.core.certificates.get(bob).status is Status.PENDING
    assert "order" not in panel.issuance(bob).module_state
    again = panel.request(profile, "shop.test", owner="anna")
    panel.until_active(again)  # hers needs nothing more


def test_records_with_an_end_are_warned_of(panel, persisting):
    """The page shows until when a record lasts, warns before that day, and says when it has ended."""
    certificate_id = panel.request(persisting(persist_days=100), "shop.test")
    panel.core.reconcile(certificate_id)
    (row,) = _rows(panel, certificate_id)
    assert "; persistUntil=" in row.value
    _set_records(panel, certificate_id)
    panel.until_active(certificate_id)
    assert notices(panel, certificate_id, Level.WARNING) == ""
    assert _rows(panel, certificate_id) == []
    panel.environment.skip(timedelta(days=75))
    assert "has to set it again" in notices(panel, certificate_id, Level.WARNING)
    panel.environment.skip(timedelta(days=30))
    assert "has to set it again" in notices(panel, certificate_id, Level.ERROR)


def test_a_record_that_ends_soon_is_shown_and_looked_for(panel, persisting):
    """Beside the warning stands the record to be set next; the warning goes as soon as it is there."""
    certificate_id = panel.request(persisting(persist_days=100), "shop.test", wildcard=True)
    panel.core.reconcile(certificate_id)
    (first,) = _rows(panel, certificate_id)
    _set_records(panel, certificate_id)
    panel.until_active(certificate_id)
    panel.environment.skip(timedelta(days=75))
    (row,) = _rows(panel, certificate_id)
    assert (row.name, row.state, row.seen) == (first.name, RecordState.MISSING, first.value)
    until = [int(each.value.rpartition("persistUntil=")[2]) for each in (first, row)]
    assert timedelta(seconds=until[1] - until[0]) == timedelta(days=100)
    assert "policy=wildcard" in row.value
    panel.zone.add(row.name, row.type, row.value)
    panel.core.certificates.check_now(certificate_id)
    assert "set it again" not in notices(
        panel, certificate_id, Level.WARNING
    )  # that the renewal is late by now, is said as well
    assert _rows(panel, certificate_id) == []
    panel.zone.set(row.name, row.type, first.value)
    assert _rows(panel, certificate_id) == []  # all viewers of a page cause one look a minute
    panel.environment.skip(timedelta(minutes=1))
    assert len(_rows(panel, certificate_id)) == 1
    panel.dns.close()  # a server that is silent changes nothing
    panel.environment.skip(timedelta(minutes=1))
    assert len(_rows(panel, certificate_id)) == 1


def test_the_profile_says_what_is_allowed(panel, persisting):
    """A certificate may choose among what its profile allows, and the form offers nothing else."""
    only_dns = persisting(name="dns", challenges="dns-01")
    with pytest.raises(InvalidInputError) as caught:
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
    certificate_id = panel.request(profile, "shop.test")
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert failed.status is Status.ERROR
    assert "dns-persist-01" in str(failed.problem)
    assert "dns-01" in failed.problem.advice


def test_records_are_checked_for_a_challenge_type_that_was_changed_meanwhile(panel, persisting):
    """An order that waits for a place is not placed because the CNAME of the former challenge type was correct."""
    profile = persisting(challenges="dns-01", max_orders=1)
    first, second = (panel.request(profile, name) for name in ("a.shop.test", "b.shop.test"))
    for certificate_id in (first, second):
        panel.set_cnames(certificate_id)
    panel.drive(first, lambda _: "order" in (panel.issuance(first).module_state or {}))
    panel.drive(second, lambda _: "its turn" in notices(panel, second))
    panel.core.authorities.edit(profile.id, settings={"challenges": "dns-persist-01"})
    panel.core.certificates.delete(first)
    panel.drive(second, lambda _: "its turn" not in notices(panel, second))
    assert [(row.type, row.state) for row in _rows(panel, second)] == [("TXT", RecordState.MISSING)]
    assert "order" not in panel.issuance(second).module_state
    _set_records(panel, second)
    panel.until_active(second)
