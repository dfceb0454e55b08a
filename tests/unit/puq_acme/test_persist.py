"""dns-persist-01 records: written, read, and judged; and CAA records, which are read alike."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.model.hints import RecordState
from certcore_puq_acme.account_records import AccountRecord
from certcore_puq_acme.caa import CaaAnswer, CaaPolicy, relevant_records, suggestion
from certcore_puq_acme.directory_records import KnownDirectory
from certcore_puq_acme.persist import PersistRecord, account_uris, expected_record, judge, until_for

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
    """Whatever stands in a TXT record: it is a record, or it is none."""
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
    return judge(values, issuers=["ca.test"], uris=[URL], wildcard=wildcard, now=NOW)[:2]


def test_judging():
    """What is there is told: nothing, another CA's, another account's, one that does not cover, or has ended."""
    good = f"ca.test; accounturi={URL}"
    assert _judged() == (RecordState.MISSING, "")
    assert _judged("v=spf1") == (RecordState.MISSING, "")
    assert _judged(f"other.test; accounturi={URL}") == (RecordState.MISSING, "records of other CAs only")
    state, seen = _judged("ca.test; accounturi=https://ca.example/acct/9")
    assert (state, "another account" in seen) == (RecordState.WRONG, True)
    assert _judged(good, wildcard=True) == (RecordState.WRONG, "policy=wildcard is missing")
    assert _judged(f"{good}; persistUntil=1893455999") == (RecordState.WRONG, "its persistUntil has passed")
    assert _judged("junk", good)[0] is RecordState.CORRECT
    assert _judged(f"{good}; policy=wildcard", wildcard=True)[0] is RecordState.CORRECT


def test_of_several_good_records_the_longest_counts():
    """One without an end beats one with an end."""
    short, long = f"ca.test; accounturi={URL}; persistUntil=1900000000", f"ca.test; accounturi={URL}"
    for values in ((short, long), (long, short)):
        assert judge(values, issuers=["ca.test"], uris=[URL], wildcard=False, now=NOW)[2] is None


@given(st.integers(1, 3650), st.integers(0, 5000))
def test_the_end_stays_the_same_until_half_of_its_time_is_over(days, later):
    """What the owner is told to write does not change from look to look, and always lasts for half of its time."""
    now = NOW + timedelta(days=later)
    until = until_for(days, NOW, now)
    assert timedelta(days=days) / 2 <= until - now <= timedelta(days=days) * 1.5
    assert until_for(days, NOW, now + timedelta(hours=1)) in (until, until + timedelta(days=days))
    assert until_for(0, NOW, now) is None


# -- CAA ----------------------------------------------------------------------------------------------------------

POLICY = CaaPolicy(identities=frozenset({"ca.test", "ca2.test"}), account_uri=URL, method="dns-01")


@pytest.mark.parametrize(
    ("records", "wildcard", "refusal"),
    [
        ([], False, ""),
        (['0 issue "ca.test"'], False, ""),
        (['0 issue "CA2.test."'], False, ""),
        (['0 ISSUE "ca.test"'], False, ""),
        (['0 issue "other.test"'], False, "other CAs only"),
        (['0 issue ";"'], False, "other CAs only"),
        (['0 issue ""'], False, "other CAs only"),
        (['0 issue "other.test"', '0 issue "ca.test"'], False, ""),
        (['0 issuewild "other.test"'], False, ""),
        (['0 issuewild "other.test"'], True, "other CAs only"),
        (['0 issue "ca.test"', '0 issuewild ";"'], True, "other CAs only"),
        (['0 issue "other.test"', '0 issuewild "ca.test"'], True, ""),
        (['0 issue "ca.test"'], True, ""),
        (['0 iodef "mailto:a@b.test"'], False, ""),
        (['128 iodef "mailto:a@b.test"'], False, ""),
        (['128 tbs "x"', '0 issue "ca.test"'], False, "critical"),
        (['0 tbs "x"'], False, ""),
        ([f'0 issue "ca.test; accounturi={URL}"'], False, ""),
        (['0 issue "ca.test; accounturi=https://ca.example/acct/9"'], False, "another account"),
        (['0 issue "ca.test; validationmethods=http-01,dns-01"'], False, ""),
        (['0 issue "ca.test; validationmethods=http-01"'], False, "dns-01"),
        (['0 issue "ca.test; validationmethods=http-01"', '0 issue "ca.test"'], False, ""),
    ],
)
def test_caa_records(records, wildcard, refusal):
    """RFC 8659 and RFC 8657: who may issue, for wildcards too, by which account and validation."""
    found = POLICY.refusal(records, wildcard=wildcard)
    assert bool(found) == bool(refusal)
    assert refusal in found


def test_the_nearest_records_count():
    """The records of the name itself, else of the nearest name above; each name is looked up once; failures end it."""
    records = {"shop.test": ('0 issue "a"',), "test": ('0 issue "b"',)}
    asked = []

    def ask(name):
        asked.append(name)
        return CaaAnswer(name=name, records=records.get(name, ()), failure="no answer" if name == "bad.test" else "")

    known = {}
    assert relevant_records("x.www.shop.test", ask, known).name == "shop.test"
    assert relevant_records("y.www.shop.test", ask, known).name == "shop.test"
    assert relevant_records("other.test", ask, known).name == "test"
    assert relevant_records("a.bad.test", ask, known).failure
    assert sorted(asked) == sorted(set(asked))
    assert relevant_records("free.example", ask, {}) == CaaAnswer()
    assert suggestion(["b.test", "a.test"]) == '0 issue "a.test"'
