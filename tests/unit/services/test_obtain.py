"""Blocking until a certificate is there: one call for scripts, which uses what there is and ends in a clear word."""

import threading
from datetime import timedelta

import pytest

import certcore
from certcore import CertCore, NoticePolicy, Status
from certcore.adapters.environment import SystemEnvironment
from certcore.errors import AccessDeniedError, InvalidInputError, NotObtainedError
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.ports.ca_module import Issued, Waiting, WaitingFor
from certcore.services.obtain import Obtaining
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import build_csr, csr_spki_sha256
from certcore.x509.keys import generate_key
from support.cores import core_on
from support.inside import inside
from support.threads import run_all


class Waiter:
    """Waiting moves the clock; it remembers how often, and how long at most."""

    def __init__(self, environment):
        self.environment, self.waits = environment, []

    def __call__(self, seconds):
        assert 0 < seconds <= 1
        self.waits.append(seconds)
        self.environment.advance(timedelta(seconds=seconds))


@pytest.fixture
def waiter(bench):
    return Waiter(bench.environment)


@pytest.fixture
def obtain(bench, waiter):
    """As `CertCore.obtain`, on the bench's clock."""
    parts = inside(bench.core)
    obtaining = Obtaining(certificates=bench.core.certificates, engine=parts.engine, access=parts.access, wait=waiter)

    def call(domain="shop.example", *, timeout=600.0, progress=None, owner="", actor="system", authority="", **form):
        values = {"domain": domain, "authority": authority or bench.authority.id, "owner": owner, **form}
        return obtaining.obtain(values, timeout=timeout, progress=progress, actor=actor)

    return call


def _count(bench):
    with inside(bench.core).storage.read() as transaction:
        return len(transaction.certificates.page(limit=100))


# -- from nothing --------------------------------------------------------------------------------------------------


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


# -- what is there ----------------------------------------------------------------------------------------------


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
        count = _count(bench)
        assert obtain(**different).certificate.id != certificate_id
        assert _count(bench) == count + 1
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
    count = _count(bench)
    with pytest.raises(InvalidInputError, match=message) as refused:
        obtain(owner="anna", **names)
    assert first in str(refused.value)
    assert _count(bench) == count
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
    assert _count(bench) == 1


# -- a clear word at the end ------------------------------------------------------------------------------------


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
    assert _count(bench) == 0


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
    assert _count(bench) == 0


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


# -- progress, permissions, and others at work ---------------------------------------------------------------------


def test_progress_is_told_in_order_and_once(bench, obtain):
    """Each time something changed, with what the page would show then; not at every look."""
    bench.ca.script = (Act.WAIT_OWNER, Act.FAIL_SOON, Act.WAIT_TURN, Act.WORK, Act.ISSUE)
    seen = []
    obtain(progress=lambda view: seen.append((view.certificate.status, view.certificate.problem and "problem")))
    assert seen == [
        ("pending", None),
        ("pending", "problem"),
        ("pending", None),
        ("processing", None),
        ("active", None),
    ]


def test_an_error_in_progress_ends_it(bench, obtain):
    """What the caller raises is the caller's: it comes out, and what was begun stays."""

    def progress(view):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(progress=progress)
    assert bench.core.certificates.list(status="pending").items
    assert obtain().certificate.status is Status.ACTIVE


class Policy:
    """Knows one user, who may do everything with the own certificates."""

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        return actor == "system" or owner == actor


def test_permission_is_asked():
    """Who may not create certificates for a tenant obtains none, and gets none that is there."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), Policy()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted").id
        with pytest.raises(AccessDeniedError):
            core.obtain("shop.example", authority="test", owner="anna", actor="bert")
        assert core.certificates.list().items == ()
        with pytest.raises(InvalidInputError, match="there is no CA profile 'test'"):  # she may use it, and not see it
            core.obtain("shop.example", authority="test", owner="anna", actor="anna")
        view = core.obtain("shop.example", authority=authority, owner="anna", actor="anna")
        assert {event.actor for event in view.events} == {"anna", "engine"}
        with pytest.raises(AccessDeniedError):
            core.obtain("shop.example", authority="test", owner="anna", actor="bert")


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


class Quick(ScriptedCA):
    """Needs some steps, some milliseconds apart."""

    def advance(self, work):
        step = int((work.state or {}).get("step", 0))
        if step < 4:
            at = work.environment.now() + timedelta(milliseconds=20)
            return Waiting(state={"step": step + 1}, look_again=at, waiting_for=WaitingFor.AUTHORITY)
        return Issued(state={}, chain_pem=self._authority.issue(work.issuance.csr_pem, now=work.environment.now()))


def _quick_core(storage, tmp_path):
    """A core of each kind, on the true clock."""
    ca = Quick(now=SystemEnvironment().now())
    return core_on(storage, tmp_path, plugins=[ca.plugin()], notices=NoticePolicy(days_before=()))


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_while_a_worker_is_at_work(storage, tmp_path):
    """Whoever takes the steps: each call gets its certificate, each is issued once, and nobody gets in the way."""
    with _quick_core(storage, tmp_path) as core:
        core.authorities.create("test", module="scripted")
        worker = core.worker(threads=2, poll_interval=0.05)
        worker.start()
        found, failed = {}, []

        def obtain(number):
            try:
                found[number] = core.obtain(f"d{number}.example", authority="test", timeout=240)
            except Exception as error:
                failed.append(error)

        threads = [threading.Thread(target=obtain, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(300)
        worker.stop()
        assert failed == []
        assert {number: view.certificate.domain.ascii for number, view in found.items()} == {
            number: f"d{number}.example" for number in range(4)
        }
        for view in found.values():
            assert view.certificate.status is Status.ACTIVE
            assert len(core.certificates.issuances(view.certificate.id)) == 1


# -- with a database of its own ------------------------------------------------------------------------------------


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


# -- what is here is not what is wanted ------------------------------------------------------------------------------


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


def test_the_owner_has_set_the_record(bench, obtain, waiter):
    """One that waits for its owner is looked at when the script is run again, not when its turn has come."""
    bench.ca.script = (Act.WAIT_OWNER, Act.ISSUE)
    with pytest.raises(NotObtainedError):
        obtain(timeout=1)
    waiter.waits.clear()
    assert obtain().certificate.status is Status.ACTIVE
    assert len(waiter.waits) <= 1


@pytest.mark.slow(reason="three callers wait for one another in real time")
@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_the_same_at_the_same_moment(storage, tmp_path):
    """Three calls for one certificate that is not here make one, and all of them get it."""
    with _quick_core(storage, tmp_path) as core:
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


def test_who_may_not_look_does_not_move_it():
    """The engine takes no step for somebody who has no permission."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), Policy()], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        authority = core.authorities.list()[0].id
        certificate_id = core.certificates.create("shop.example", authority=authority, owner="anna").id
        core.certificates.generate_csr(certificate_id)
        with pytest.raises(AccessDeniedError):
            core.obtain("shop.example", authority="test", owner="anna", actor="bert")
        assert ca.calls == 0
        assert core.certificates.get(certificate_id).status is Status.PENDING


class Observer:
    """Remembers what it is told."""

    def __init__(self):
        self.told = []

    @certcore.hookimpl
    def certcore_on_event(self, event):
        self.told.append(event.kind)


def test_observers_are_told_at_the_end():
    """A script without a worker has its targets told before it goes on."""
    environment, observer = FrozenEnvironment(), Observer()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), observer], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        core.obtain("shop.example", authority="test")
        assert "installed" in observer.told


class Looking(ScriptedCA):
    """Sees the same at each look, and says when."""

    def advance(self, work):
        now = work.environment.now()
        findings = {"checked_at": now.isoformat(), "records": []}
        again = now + timedelta(seconds=1)
        return Waiting(state={}, look_again=again, waiting_for=WaitingFor.OWNER, findings=findings)


def test_that_it_was_looked_at_again_is_no_progress():
    """Progress is told when something has changed, not at every look."""
    environment = FrozenEnvironment()
    ca = Looking(now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        core.authorities.create("test", module="scripted")
        seen = []
        parts = inside(core)
        obtaining = Obtaining(
            certificates=core.certificates, engine=parts.engine, access=parts.access, wait=Waiter(environment)
        )
        values = {"domain": "shop.example", "authority": "test"}
        with pytest.raises(NotObtainedError):
            obtaining.obtain(values, timeout=20, progress=seen.append, actor="system")
        assert len(seen) == 1
