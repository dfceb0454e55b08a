"""Obtaining a certificate that may be there already: it is used, taken up, or told apart from what is wanted."""

import threading
from datetime import timedelta

import pytest

from certcore import CertCore, Status
from certcore.errors import InvalidInputError, NotObtainedError
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr, csr_spki_sha256
from certcore.x509.keys import generate_key
from support.obtaining import quick_core, stored_count
from support.threads import run_all


def test_what_is_active_is_used_at_once(bench, obtain, waiter):
    """Nothing is waited for, nobody is asked, and nothing is changed."""
    certificate_id = bench.active(aliases="www.shop.example", wildcard=True)
    before, calls = bench.core.certificates.view(certificate_id), bench.ca.calls
    for names in (
        {"domain": "SHOP.example.", "aliases": ["www.shop.example"], "wildcard": True},
        {"domain": "shop.example", "aliases": "*.shop.example, WWW.shop.example"},
    ):
        assert obtain(**names) == before
    assert (bench.ca.calls, waiter.waits) == (calls, [])


def test_what_is_another_is_not_used(bench, obtain):
    """Another tenant's, another CA profile's, or one for another primary name is another; a new one is made."""
    bench.ca.script = (Act.ISSUE,)
    other = bench.core.authorities.create("other", module="scripted")
    certificate_id = bench.active(aliases="www.shop.example", owner="anna")
    for different in (
        {"aliases": "www.shop.example"},
        {"aliases": "www.shop.example", "owner": "bert"},
        {"domain": "other.example", "owner": "anna"},
        {"domain": "third.example", "aliases": "www.shop.example", "owner": "anna"},
        {"aliases": "www.shop.example", "owner": "anna", "authority": other.id},
    ):
        count = stored_count(bench)
        assert obtain(**different).certificate.id != certificate_id
        assert stored_count(bench) == count + 1
    assert obtain(aliases="www.shop.example", owner="anna").certificate.id == certificate_id


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({}, "covers these names"),
        ({"domain": "www.shop.example"}, "covers these names"),
        ({"domain": "www.shop.example", "aliases": "shop.example, more.shop.example"}, "covers these names"),
        ({"aliases": "www.shop.example, b.example"}, "with the same primary name"),
        ({"aliases": "www.shop.example", "wildcard": True}, "with the same primary name"),
    ],
)
def test_no_second_one_is_made_beside_the_one_that_is_meant(bench, obtain, names, message):
    """Without the alias of the first time, say: the two would be deployed to one place. The error names the first."""
    first = bench.active(aliases="www.shop.example, more.shop.example", owner="anna")
    count = stored_count(bench)
    with pytest.raises(InvalidInputError, match=message) as refused:
        obtain(owner="anna", **names)
    assert first in str(refused.value)
    assert stored_count(bench) == count
    # A draft is nothing yet, and another owner is not told of it.
    obtain(owner="bert", **names)
    bench.core.certificates.delete(first)
    obtain(owner="anna", **names)


def test_the_newest_of_several_is_used(bench, obtain):
    """A duplicate that somebody made by hand does not confuse it."""
    bench.active()
    bench.advance(hours=1)
    newest = bench.active()
    assert obtain().certificate.id == newest


@pytest.mark.parametrize("status", ["draft", "pending", "processing", "error", "expired", "revoked", "ended"])
def test_it_is_taken_up_where_it_stands(bench, obtain, status):
    """A draft is requested, an attempt goes on, what failed is taken up, what has ended is renewed: the same one."""
    auto = status not in ("expired", "ended")
    certificate_id = bench.draft(renewal={"auto": auto}).id
    acts = {"pending": Act.WAIT_OWNER, "processing": Act.WORK, "error": Act.FAIL_NEVER}
    if status != "draft":
        bench.ca.script = (acts.get(status, Act.ISSUE),)
        bench.core.certificates.generate_csr(certificate_id)
        for _ in range(3):
            bench.core.reconcile(certificate_id)
    if status == "expired":
        bench.step(certificate_id)
    if status == "ended":  # the engine has not seen it yet
        bench.environment.set(bench.get(certificate_id).not_after + timedelta(hours=1))
    if status == "revoked":
        bench.core.certificates.revoke(certificate_id)
    assert bench.get(certificate_id).status == ("active" if status == "ended" else status)
    issuances = len(bench.core.certificates.issuances(certificate_id))
    bench.ca.script = (Act.WORK, Act.ISSUE)
    view = obtain()
    assert view.certificate.id == certificate_id
    assert view.certificate.status is Status.ACTIVE
    assert view.certificate.not_after > bench.environment.now()
    begun_anew = status in ("draft", "expired", "revoked", "ended")
    assert len(bench.core.certificates.issuances(certificate_id)) == issuances + begun_anew
    assert stored_count(bench) == 1


class Meddling(ScriptedCA):
    """Somebody else is faster, while a user's call looks at the request."""

    meanwhile = None

    def check_request(self, context, names, settings):
        meddle, self.meanwhile = self.meanwhile, None
        if meddle is not None:
            meddle()


def test_another_call_for_the_same_names_may_be_faster():
    """Two scripts at once take the same draft: the one that is too late goes on with the other's request."""
    environment = FrozenEnvironment()
    ca = Meddling([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted")
        certificate_id = core.certificates.create("shop.example", authority=authority.id).id
        ca.meanwhile = lambda: core.certificates.generate_csr(certificate_id)
        view = core.obtain("shop.example", authority="test")
        assert view.certificate.id == certificate_id
        assert len(core.certificates.issuances(certificate_id)) == 1


def test_who_is_a_moment_slower_is_told_what_differs():
    """Two scripts at once want one certificate with different keys: the later one gets no other than it asked for."""
    environment = FrozenEnvironment()
    ca = Meddling([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted")
        ca.meanwhile = lambda: core.certificates.create("shop.example", authority=authority.id, key_type="rsa-2048")
        with pytest.raises(InvalidInputError) as refused:
            core.obtain("shop.example", authority="test", key_type="ec-p256")
        assert refused.value.field == "key_type"
        (one,) = core.certificates.list().items
        assert (one.key_type, one.status) == (KeyType.RSA_2048, Status.DRAFT)


@pytest.mark.parametrize("act", [Act.FAIL_SOON, Act.FAIL_NEVER, Act.WAIT_OWNER])
def test_a_leaf_with_other_names_is_not_what_was_asked_for(bench, obtain, act):
    """A change that is not through is waited for, or its error is told: never the leaf with the old names."""
    certificate_id = bench.active()
    bench.ca.script = (act,)
    bench.core.certificates.reissue(certificate_id, aliases="www.shop.example")
    bench.core.reconcile(certificate_id)
    with pytest.raises(NotObtainedError):
        obtain(aliases="www.shop.example", timeout=30)
    bench.ca.script = (Act.ISSUE,)
    view = obtain(aliases="www.shop.example", timeout=3600)
    assert view.certificate.id == certificate_id
    assert set(view.leaf.names) == {"shop.example", "www.shop.example"}


def test_a_leaf_for_another_csr_is_not_what_was_asked_for(bench, obtain):
    """With a new CSR the old leaf is not returned, because the caller may not have its key."""
    first, second = (
        build_csr(generate_key(KeyType.EC_P256), [DnsName("own.example")], Subject()).decode() for _ in range(2)
    )
    bench.ca.script = (Act.ISSUE,)
    one = obtain(None, csr=first).certificate.id
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, csr=second)
    with pytest.raises(NotObtainedError):
        obtain(None, csr=second, timeout=5)
    bench.ca.script = (Act.ISSUE,)
    assert obtain(None, csr=second).leaf.spki_sha256 == csr_spki_sha256(second)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("key_type", "rsa-2048"),
        ("subject", {"organization": "Shop AG"}),
        ("renewal", {"auto": False}),
        ("module_data", {"order_reference": "7"}),
    ],
)
def test_a_field_that_differs_is_refused(bench, obtain, field, given):
    """What the certificate that is here has not is not passed over in silence; what it has is."""
    certificate_id = bench.active()
    with pytest.raises(InvalidInputError) as refused:
        obtain(**{field: given})
    assert refused.value.field == field
    assert certificate_id in str(refused.value)
    assert obtain(key_type="ec-p256", subject={}, renewal={"auto": True}, module_data={"order_reference": ""})


@pytest.mark.slow(reason="three callers wait for one another in real time")
@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_the_same_at_the_same_moment(storage, tmp_path):
    """Three calls for one certificate that is not here make one, and all of them get it."""
    with quick_core(storage, tmp_path) as core:
        core.authorities.create("test", module="scripted")
        for number in range(3):
            barrier, found = threading.Barrier(3), []

            def obtain(number=number, barrier=barrier, found=found):
                barrier.wait(120)
                found.append(core.obtain(f"d{number}.example", authority="test", timeout=240).certificate.id)

            run_all(obtain, obtain, obtain)
            assert len(found) == 3
            assert len(set(found)) == 1
        assert len(core.certificates.list().items) == 3
