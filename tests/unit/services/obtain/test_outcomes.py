"""Blocking until a certificate is there: one call for scripts, which ends in a clear word."""

from datetime import timedelta

import pytest

import certcore
from certcore import CertCore, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.errors import InvalidInputError, NotObtainedError
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from support.obtaining import stored_count


def test_from_nothing_to_a_leaf_in_service(bench, obtain, waiter):
    """Draft, key, CSR, waiting for the owner and for the CA: all in one call, which gives the active certificate."""
    seen = []
    view = obtain(aliases="www.shop.example", wildcard=True, key_type="ec-p384", owner="anna", progress=seen.append)
    assert view.certificate.status is Status.ACTIVE
    assert set(view.leaf.names) == {"shop.example", "*.shop.example", "www.shop.example"}
    assert view.leaf.public_key_algorithm == "EC P-384"
    assert view.certificate.owner == "anna"
    assert view == bench.core.certificates.view(view.certificate.id)
    assert [one.certificate.status for one in seen] == ["pending", "processing", "active"]
    assert [one.now for one in seen] == sorted(one.now for one in seen)
    assert seen[-1] == view
    assert 100 < len(waiter.waits) < 200  # two minutes, in looks of a second
    assert bench.core.certificates.export(view.certificate.id, reason="test").private_key


def test_the_core_does_it_in_one_line(bench):
    """With a CA that issues at once nothing is waited for; the CA profile can be given by its name."""
    bench.ca.script = (Act.ISSUE,)
    by_name = bench.core.obtain("shop.example", authority="test")
    by_id = bench.core.obtain("b.example", authority=bench.authority.id, aliases=["c.example"])
    assert by_name.certificate.status == by_id.certificate.status == "active"
    assert by_name.certificate.authority_id == bench.authority.id


def test_names_from_anything(bench, obtain):
    """Aliases may come from a generator, which can be read only once: all of them are in the leaf."""
    bench.ca.script = (Act.ISSUE,)
    view = obtain(aliases=(f"{label}.shop.example" for label in ("www", "mail")))
    assert set(view.leaf.names) == {"shop.example", "www.shop.example", "mail.shop.example"}
    again = obtain(aliases=(f"{label}.shop.example" for label in ("mail", "www")))
    assert again.certificate.id == view.certificate.id


def test_a_csr_of_the_users_own(bench, obtain):
    """The names are the request's; the same request finds the same certificate, another one does not."""
    bench.ca.script = (Act.ISSUE,)
    csr, other = (
        build_csr(generate_key(KeyType.EC_P256), [DnsName("own.example")], Subject()).decode() for _ in range(2)
    )
    view = obtain(None, csr=csr)
    assert view.active.is_keyless
    assert obtain(None, csr=csr.replace("\n", "\r\n")).certificate.id == view.certificate.id
    assert obtain(None, csr=other).certificate.id != view.certificate.id
    assert obtain("own.example").certificate.id != view.certificate.id


def test_a_refusal_for_good_is_told_at_once(bench, obtain, waiter):
    """With the CA's reason, what helps, and the certificate's id; what was begun stays, and the next call goes on."""
    bench.ca.script = (Act.FAIL_NEVER,)
    with pytest.raises(NotObtainedError) as failed:
        obtain()
    error = failed.value
    assert error.domain == "shop.example"
    assert "fail_never" in error.reason
    assert error.advice == "Wait."
    assert error.as_dict()["params"]["certificate_id"] == error.certificate_id
    assert "seconds" not in error.message
    assert waiter.waits == []
    assert bench.get(error.certificate_id).status is Status.ERROR
    bench.ca.script = (Act.ISSUE,)
    assert obtain().certificate.id == error.certificate_id


@pytest.mark.parametrize("before", ["expired", "revoked"])
def test_a_refusal_of_a_renewal_is_told_at_once(bench, obtain, waiter, before):
    """Also where the status stays what it was: a refusal for good is not waited out."""
    certificate_id = bench.active(renewal={"auto": False})
    bench.step(certificate_id) if before == "expired" else bench.core.certificates.revoke(certificate_id)
    assert bench.get(certificate_id).status == before
    bench.ca.script = (Act.FAIL_NEVER,)
    for _ in range(2):
        with pytest.raises(NotObtainedError) as failed:
            obtain()
        assert "fail_never" in failed.value.reason
        assert "seconds" not in failed.value.message
    assert len(waiter.waits) < 5
    bench.ca.script = (Act.ISSUE,)
    assert obtain().certificate.id == certificate_id


@pytest.mark.parametrize("act", [Act.WAIT_OWNER, Act.WORK, Act.FAIL_SOON, Act.FAIL_SLOW, Act.RAISE])
def test_the_time_is_over(bench, obtain, act):
    """It ends when it said it would, with the reason if there is one, else with where to look for what to do."""
    bench.ca.script = (act,)
    began = bench.environment.now()
    with pytest.raises(NotObtainedError) as failed:
        obtain(timeout=90)
    assert bench.environment.now() == began + timedelta(seconds=90)
    error = failed.value
    assert "within 90 seconds" in error.message
    if act in (Act.WAIT_OWNER, Act.WORK):
        assert error.reason == ""
        assert "hints" in error.advice
        assert error.certificate_id in error.advice
    else:
        assert error.reason
    assert "canary" not in str(error)
    bench.ca.script = (Act.ISSUE,)
    assert obtain(timeout=86_400).certificate.id == error.certificate_id


def test_a_short_time(bench, obtain):
    """With less than a second there is one look at least; a CA that issues at once is quick enough."""
    bench.ca.script = (Act.ISSUE,)
    assert obtain(timeout=0.001).certificate.status is Status.ACTIVE
    bench.ca.script = (Act.WORK,)
    began = bench.environment.now()
    with pytest.raises(NotObtainedError, match=r"within 0\.25 seconds"):
        obtain("b.example", timeout=0.25)
    assert bench.environment.now() == began + timedelta(seconds=0.25)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "600", None, True])
def test_a_time_that_is_none(bench, obtain, timeout):
    """It is refused before anything is begun."""
    with pytest.raises(InvalidInputError) as refused:
        obtain(timeout=timeout)
    assert refused.value.field == "timeout"
    assert stored_count(bench) == 0


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 10**30])
def test_for_ever(bench, obtain, timeout):
    """Who wants to wait as long as it takes can say so."""
    assert obtain(timeout=timeout).certificate.status is Status.ACTIVE


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("domain", {"domain": "a_b.example"}),
        ("domain", {"domain": None}),
        ("aliases", {"aliases": "a_b.example"}),
        ("key_type", {"key_type": "dsa"}),
        ("authority", {"authority": "nobody"}),
        ("owner", {"owner": "x" * 101}),
        ("csr", {"domain": None, "csr": "nonsense"}),
        ("domain", {"csr": build_csr(generate_key(KeyType.EC_P256), [], certcore.Subject()).decode()}),
    ],
)
def test_what_cannot_be_is_refused(bench, obtain, field, given):
    """As at the creation of a draft; nothing is stored."""
    with pytest.raises(InvalidInputError) as refused:
        obtain(**given)
    assert refused.value.field == field
    assert stored_count(bench) == 0


@pytest.mark.parametrize("known", [True, False])
def test_a_field_that_there_is_not_is_refused(bench, known):
    """A misspelt one is not passed over in silence, whether the certificate is here or not."""
    if known:
        bench.active()
    with pytest.raises(InvalidInputError, match="no such field") as refused:
        bench.core.obtain("shop.example", authority="test", key_typ="ec-p384")
    assert refused.value.field == "key_typ"
    assert "key_type" in refused.value.advice


def test_an_empty_kind_of_key_is_the_usual_one(obtain):
    """As a form has it in which nothing was chosen."""
    assert obtain(key_type="").certificate.key_type is KeyType.EC_P256


def test_fallbacks_by_name(bench, obtain):
    """As the CA profile itself."""
    other = bench.core.authorities.create("other", module="scripted").id
    assert obtain(fallbacks=["other"]).certificate.fallbacks == (other,)
    assert obtain(fallbacks=[other]).certificate.fallbacks == (other,)


def test_a_script_with_a_database_file(tmp_path):
    """`certcore.obtain` opens the store, gives what is there, and closes it again; the next call finds the same."""
    CertCore.create_keyring(tmp_path / "keyring.json")
    store = {"database": f"sqlite:///{tmp_path}/certcore.db", "keyring": tmp_path / "keyring.json"}
    ca = ScriptedCA([Act.ISSUE], now=SystemEnvironment().now())
    with CertCore.open(store["database"], keyring=store["keyring"], plugins=[ca.plugin()]) as core:
        core.authorities.create("test", module="scripted")
        issued = core.obtain("shop.example", authority="test", owner="anna")
    seen = []
    for _ in range(2):
        view = certcore.obtain("shop.example", authority="test", owner="anna", progress=seen.append, timeout=5, **store)
        assert view.certificate == issued.certificate
        assert view.leaf == issued.leaf
    assert seen[-1].certificate == issued.certificate
    with pytest.raises(InvalidInputError) as refused:
        certcore.obtain("new.example", authority="test", **store)
    assert refused.value.field == "module"  # the plugin is not installed here
    with pytest.raises(InvalidInputError):
        certcore.obtain("shop.example", authority="nobody", **store)


def test_a_keyring_that_is_missing(tmp_path):
    """A script that forgot the keyring is told so, and no database is made."""
    with pytest.raises(certcore.errors.KeyringError):
        certcore.obtain(
            "shop.example",
            authority="test",
            database=f"sqlite:///{tmp_path}/certcore.db",
            keyring=tmp_path / "keyring.json",
        )
    assert list(tmp_path.iterdir()) == []
