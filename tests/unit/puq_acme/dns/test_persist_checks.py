"""Lasting TXT records at the authoritative servers: each fault has its code, and the exact record to set."""

from datetime import UTC, datetime

import pytest

from certcore.model.hints import RecordState
from certcore_puq_acme.accounts.known_directory import KnownDirectory
from certcore_puq_acme.accounts.records import AccountRecord
from certcore_puq_acme.dns.persist_checks import check_lasting_records
from certcore_puq_acme.dns.persist_records import PersistRecord
from support.internet import customer

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
NAME = "_validation-persist.shop.test"
URL = "https://ca.test/acct/2"
EXPECTED = PersistRecord(issuer="ca.test", account_uri=URL, wildcard=True)
GOOD = str(EXPECTED)


def checked(net):
    (one,) = check_lasting_records(
        [("shop.test", EXPECTED)],
        net.checks(),
        account=AccountRecord(document="account", url=URL),
        directory=KnownDirectory(issuer_names=("ca.test",)),
        now=NOW,
    )
    return one


@pytest.mark.parametrize(
    ("code", "state", "values"),
    [
        ("persist_missing", "missing", []),
        ("persist_missing", "missing", ["v=spf1 -all"]),
        ("persist_missing", "missing", ["other.test; accounturi=https://other.test/1"]),
        ("persist_other_account", "wrong", ["ca.test; accounturi=https://ca.test/acct/1; policy=wildcard"]),
        ("persist_without_wildcard", "wrong", [f"ca.test; accounturi={URL}"]),
        ("persist_expired", "wrong", [f"{GOOD}; persistUntil=1700000000"]),
    ],
)
def test_each_fault_has_its_code_and_its_remedy(code, state, values):
    """Told once, though both servers show it, with the record as it has to be."""
    net = customer()
    if values:
        net.set(NAME, "TXT", *values)
    one = checked(net)
    (finding,) = one.record.findings
    assert (finding.code, one.record.state, finding.expected) == (code, state, GOOD)
    assert [(change.name, change.type, change.value) for change in finding.remedy] == [(NAME, "TXT", f'"{GOOD}"')]


def test_a_good_record_has_no_finding():
    """Of good ones that differ between the servers, that which ends first counts."""
    net = customer()
    net.set(NAME, "TXT", "v=spf1 -all", GOOD)
    net.set(NAME, "TXT", f"{GOOD}; persistUntil=1900000000", at="8.0.1.2")
    one = checked(net)
    assert (one.record.state, one.record.findings) == (RecordState.CORRECT, ())
    assert one.until == datetime.fromtimestamp(1900000000, UTC)


def test_the_server_that_lacks_the_record_is_named():
    """The CA may ask any of them, so that the record is not correct."""
    net = customer()
    net.set(NAME, "TXT", GOOD, at="8.0.1.1")
    one = checked(net)
    (finding,) = one.record.findings
    assert (finding.code, finding.server) == ("persist_on_some_servers", "ns2.shop.test (8.0.1.2)")
    assert one.record.state is RecordState.MISSING


def test_servers_that_do_not_answer_are_no_missing_record():
    """An owner whose DNS is down is not told to set a record."""
    net = customer()
    for address in ("8.0.1.1", "8.0.1.2"):
        net.servers[address].behaviour = "SERVFAIL"
    one = checked(net)
    (finding,) = one.record.findings
    assert (finding.code, one.record.state) == ("persist_unreachable", RecordState.UNREACHABLE)
    assert "SERVFAIL" in str(finding.seen)
    assert finding.remedy == ()
