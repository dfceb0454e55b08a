"""dns-persist-01 records: written, read, and judged."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore_puq_acme.accounts.known_directory import KnownDirectory
from certcore_puq_acme.accounts.records import AccountRecord
from certcore_puq_acme.dns.persist_records import PersistRecord, account_uris, expected_record, judge, until_for

NOW = datetime(2030, 1, 1, tzinfo=UTC)
URL = "https://ca.example/acct/123"
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
ACCOUNT = AccountRecord(document="x", url=URL, thumbprints=(THUMBPRINT,))
PREFIX = "https://ca.example/account-hash/"
HASHED = KnownDirectory(account_hash_prefix=PREFIX, issuer_names=("authority.example",))


def test_the_hashed_uri_of_the_draft():
    """The test vectors of draft-ietf-acme-dns-persist-02 section 10.2: for the domain, and for any domain."""
    assert account_uris("example.com", ACCOUNT, HASHED) == (
        f"{PREFIX}sha-256/5SQm7n6tPh2-PlLbCKGnViTXX5z19SCN4cPGQHSk-kw",
        f"{PREFIX}sha-256/NpDnSwUthQK8zCgFdefYxAdAVPnygMLbs9US6oO-5ug",
    )


def test_records_made_before_a_rollover_count():
    """Every key that the account has had gives a good record; the newest is the one to be set."""
    later = AccountRecord(document="x", url=URL, thumbprints=("newer" * 8 + "abc", THUMBPRINT))
    uris = account_uris("example.com", later, HASHED)
    assert set(account_uris("example.com", ACCOUNT, HASHED)) < set(uris)
    assert uris[0] not in account_uris("example.com", ACCOUNT, HASHED)


def test_a_ca_of_an_earlier_draft_wants_the_account_url():
    """Without a prefix in the directory the account's URL stands in the record."""
    assert account_uris("example.com", ACCOUNT, KnownDirectory()) == (URL,)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        (f"ca.test; accounturi={URL}", PersistRecord(issuer="ca.test", account_uri=URL)),
        (f" CA.test. ;AccountURI = {URL} ;", PersistRecord(issuer="ca.test", account_uri=URL)),
        (
            f"ca.test; accounturi={URL}; policy=WildCard; persistUntil=1893456000; new=thing",
            PersistRecord(issuer="ca.test", account_uri=URL, wildcard=True, until=NOW),
        ),
        (f"ca.test; accounturi={URL}; policy=other", PersistRecord(issuer="ca.test", account_uri=URL)),
        ("ca.test", None),
        (f"; accounturi={URL}", None),
        (f"ca.test; accounturi={URL}; accounturi={URL}", None),
        (f"ca.test; accounturi={URL}; policy", None),
        (f"ca.test; accounturi={URL}; persistUntil=soon", None),
        (f"ca.test; accounturi={URL}; persistUntil=-1", None),
        ("v=spf1 -all", None),
        ("", None),
    ],
)
def test_reading(text, record):
    """Case and blanks do not matter; what is no such record is none, however odd."""
    assert PersistRecord.parse(text) == record


@given(st.text(max_size=300))
def test_any_text_can_be_read(text):
    """Any text in a TXT record is either parsed or ignored; nothing raises."""
    found = PersistRecord.parse(text)
    assert found is None or found.issuer


@given(
    st.sampled_from(["ca.test", "a.b.example"]),
    st.booleans(),
    st.none() | st.integers(0, 4_000_000_000).map(lambda one: datetime.fromtimestamp(one, UTC)),
)
def test_what_is_written_reads_back(issuer, wildcard, until):
    """A record that the owner is told to set is read as what it was made from."""
    record = expected_record(
        "example.com", issuer=issuer, account=ACCOUNT, directory=KnownDirectory(), wildcard=wildcard, until=until
    )
    assert PersistRecord.parse(str(record)) == record


def _judged(*values, wildcard=False):
    verdict = judge(values, issuers=["ca.test"], uris=[URL], wildcard=wildcard, now=NOW)
    return verdict.code, str(verdict.seen)


def test_judging():
    """What is there is told: nothing, another CA's, another account's, one that does not cover, or has ended."""
    good = f"ca.test; accounturi={URL}"
    assert _judged() == ("persist_missing", "")
    assert _judged("v=spf1") == ("persist_missing", "")
    assert _judged(f"other.test; accounturi={URL}") == ("persist_missing", "records of other CAs only")
    other = "https://ca.example/acct/9"
    assert _judged(f"ca.test; accounturi={other}") == ("persist_other_account", other)
    assert _judged(good, wildcard=True) == ("persist_without_wildcard", good)
    assert _judged(f"{good}; persistUntil=1893455999") == ("persist_expired", "2029-12-31 23:59 UTC")
    assert _judged("junk", good) == (None, good)
    assert _judged(f"{good}; policy=wildcard", wildcard=True)[0] is None


def test_of_several_good_records_the_longest_counts():
    """One without an end beats one with an end."""
    short, long = f"ca.test; accounturi={URL}; persistUntil=1900000000", f"ca.test; accounturi={URL}"
    for values in ((short, long), (long, short)):
        assert judge(values, issuers=["ca.test"], uris=[URL], wildcard=False, now=NOW).until is None


@given(st.integers(1, 3650), st.integers(0, 5000))
def test_the_end_stays_the_same_until_half_of_its_time_is_over(days, later):
    """What the owner is told to write does not change from look to look, and always lasts for half of its time."""
    now = NOW + timedelta(days=later)
    until = until_for(days, NOW, now)
    assert timedelta(days=days) / 2 <= until - now <= timedelta(days=days) * 1.5
    assert until_for(days, NOW, now + timedelta(hours=1)) in (until, until + timedelta(days=days))
    assert until_for(0, NOW, now) is None
