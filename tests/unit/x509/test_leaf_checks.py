"""A leaf beside its request: what serves, what serves later, and what never does."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from certcore.errors import LeafRejectedError
from certcore.model.keys import KeyType
from certcore.model.names import DnsName, IpAddress
from certcore.model.subject import Subject
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.chain import check_leaf, parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from certcore.x509.leaf_checks import CLOCK_TOLERANCE, LeafFault, judge_leaf

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
NAMES = (DnsName("shop.example"), DnsName("www.shop.example"))
CA = LittleAuthority(NOW)
KEY = generate_key(KeyType.EC_P256)
CSR = build_csr(KEY, NAMES, Subject()).decode()


def judged(*, now=NOW, wanted=NAMES, **options):
    chain = parse_chain(CA.issue(CSR, now=NOW, **options))
    return judge_leaf(chain.leaf, names=wanted, csr_pem=CSR, now=now)


def test_a_leaf_as_it_was_asked_for_serves():
    """No fault, nothing to say, and its dates are there."""
    judgement = judged()
    assert judgement.serves
    assert (judgement.faults, judgement.extra_names, str(judgement.text), str(judgement.advice)) == ((), (), "", "")
    assert judgement.not_before < NOW < judgement.not_after


@pytest.mark.parametrize("extra", [["ftp.shop.example"], ["*.shop.example"], ["other.example", "third.example"]])
def test_names_that_the_ca_adds_do_no_harm(extra):
    """Some CAs add www or the apex; such a leaf serves, and the extra names are told."""
    issued = [*(str(name) for name in NAMES), *extra]
    judgement = judged(names=issued)
    assert judgement.serves
    assert judgement.extra_names == tuple(sorted(extra))
    check_leaf(parse_chain(CA.issue(CSR, now=NOW, names=issued)), names=NAMES, csr_pem=CSR, now=NOW)


def test_a_wildcard_stands_for_the_names_that_it_covers():
    """A CA that leaves out what *.shop.example covers has issued what was needed; one label deeper is not covered."""
    assert judged(names=["shop.example", "*.shop.example"]).serves
    deeper = (*NAMES, DnsName("a.b.shop.example"))
    judgement = judged(names=["shop.example", "*.shop.example"], wanted=deeper)
    assert (judgement.faults, judgement.missing_names) == ((LeafFault.MISSING_NAMES,), ("a.b.shop.example",))


def test_a_host_does_not_stand_for_a_wildcard():
    """A leaf without the wildcard that was asked for lacks it."""
    assert judged(wanted=(DnsName("*.shop.example"),)).missing_names == ("*.shop.example",)


def test_addresses_are_compared_as_addresses():
    """A missing address is missing, whatever names there are."""
    assert judged(wanted=(*NAMES, IpAddress("192.0.2.1"))).missing_names == ("192.0.2.1",)


def test_many_missing_names_are_counted():
    """Five are shown, and how many more there are."""
    wanted = tuple(DnsName(f"n{number}.example") for number in range(8))
    judgement = judged(wanted=wanted)
    assert "the names n0.example, n1.example" in str(judgement.text)
    assert "and 3 more" in str(judgement.text)
    assert str(judgement.advice)


def test_not_yet_valid_and_expired_are_told_apart():
    """With the dates; the first serves later, and both may be a wrong clock's doing."""
    leaf = judged()
    early = judged(now=leaf.not_before - CLOCK_TOLERANCE - SECOND)
    assert (early.faults, early.serves_later, early.is_only_about_dates) == ((LeafFault.NOT_YET_VALID,), True, True)
    assert f"{leaf.not_before:%Y-%m-%d %H:%M}" in str(early.text)
    assert "clock" in str(early.advice)
    late = judged(now=leaf.not_after)
    assert (late.faults, late.serves_later, late.is_only_about_dates) == ((LeafFault.EXPIRED,), False, True)
    assert f"{leaf.not_after:%Y-%m-%d %H:%M}" in str(late.text)
    assert "clock" in str(late.advice)
    assert judged(now=leaf.not_before - CLOCK_TOLERANCE).serves
    assert judged(now=leaf.not_after - SECOND).serves


def test_every_fault_is_told_and_the_worst_comes_first():
    """Another key, a missing name and wrong dates at once: it serves neither now nor later."""
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    judgement = judged(public_key=other, names=["shop.example"], now=NOW + timedelta(days=400))
    assert judgement.faults == (LeafFault.OTHER_KEY, LeafFault.MISSING_NAMES, LeafFault.EXPIRED)
    assert not judgement.is_only_about_dates
    assert "another key" in str(judgement.text)
    early = judged(public_key=other, now=NOW - timedelta(days=1))
    assert not early.serves_later


def test_the_refusal_brings_the_advice():
    """`check_leaf` says what to do, not only what is wrong."""
    chain = parse_chain(CA.issue(CSR, now=NOW, names=["shop.example"]))
    with pytest.raises(LeafRejectedError, match=r"lacks the name www\.shop\.example") as refused:
        check_leaf(chain, names=NAMES, csr_pem=CSR, now=NOW)
    assert refused.value.advice
