"""Changing a certificate that has a leaf: the leaf in service stays until the new one is there, whatever is changed."""

import threading
from datetime import timedelta

import pytest
from attrs import asdict, evolve, frozen
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st
from stores import core_on

import certcore
from certcore import CertCore, NoticePolicy, RenewalPolicy, Status
from certcore.engine.decide import Task, decide
from certcore.errors import (
    AccessDenied,
    CertCoreError,
    InvalidInput,
    LeaseLost,
    NotFound,
    StaleWrite,
    TransitionNotAllowed,
)
from certcore.model import form
from certcore.model.events import EventKind
from certcore.model.fields import CERTIFICATE_FIELDS, Way, When, way_to_change
from certcore.model.hints import Notice
from certcore.model.issuance import Outcome, Purpose
from certcore.model.keys import KeyType
from certcore.model.problem import Problem
from certcore.model.renewal import Retry
from certcore.ports.ca_module import Failed, Waiting, WaitingFor
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from certcore.x509.csr import csr_names, csr_spki_sha256
from certcore.x509.keys import generate_key, spki_sha256

DAY = timedelta(days=1)
OWN_KEY = generate_key(KeyType.EC_P384)


def own_csr(*names, key=OWN_KEY):
    """A request whose key never comes here."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _secret_names(bench):
    with bench.core.engine.storage.read() as transaction:
        return {str(one) for one in transaction.secrets.names("certificate-key")}


def _keys_of(bench, one):
    """The attempts of a certificate whose private key is in the store."""
    kept = _secret_names(bench)
    return {issuance.number for issuance in bench.core.certificates.issuances(one) if str(issuance.key_name) in kept}


def _install(bench, one):
    """Let the CA issue, and go on until everything is at rest."""
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.check_now(one)
    for _ in range(6):
        if not bench.core.reconcile(one).stepped:
            break
    assert not bench.ca.held


def _events(bench, one, kind):
    return [event for event in bench.core.certificates.timeline(one) if event.kind is kind]


# -- what a reissue changes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "names", "key"),
    [
        ({}, ["shop.example"], "EC P-256"),
        ({"aliases": "www.shop.example"}, ["shop.example", "www.shop.example"], "EC P-256"),
        ({"wildcard": True}, ["shop.example", "*.shop.example"], "EC P-256"),
        ({"domain": "new.example"}, ["new.example"], "EC P-256"),
        ({"key_type": "ec-p384"}, ["shop.example"], "EC P-384"),
        ({"subject": {"organization": "Shop Ltd."}}, ["shop.example"], "EC P-256"),
        ({"module_data": {"order_reference": "7"}}, ["shop.example"], "EC P-256"),
        ({"csr": own_csr("own.example", "*.own.example")}, ["own.example", "*.own.example"], "EC P-384"),
    ],
)
def test_the_old_leaf_serves_until_the_new_one_is_there(bench, change, names, key):
    """Whatever is changed: during the attempt the old leaf and its key can be taken out, and then the new ones."""
    one = bench.active()
    before = bench.core.certificates.view(one)
    old = bench.core.certificates.export(one, reason="test")
    bench.ca.script = (Act.WAIT_OWNER,)
    saved = bench.core.certificates.reissue(one, **change, actor="anna")
    assert saved.status is Status.ACTIVE
    for _ in range(3):
        bench.step(one)
    during = bench.core.certificates.view(one)
    assert during.active == before.active
    assert during.certificate.not_after == before.certificate.not_after
    assert during.issuance.purpose is Purpose.REISSUE
    assert during.under_way
    assert bench.core.certificates.export(one, reason="test") == old
    assert list(csr_names(during.issuance.csr_pem)) == names
    _install(bench, one)
    after = bench.core.certificates.view(one)
    assert list(after.leaf.names) == names
    assert after.leaf.public_key_algorithm == key
    assert after.leaf.spki_sha256 != before.leaf.spki_sha256
    assert after.certificate.status is Status.ACTIVE
    assert after.certificate.problem is None
    (begun,) = _events(bench, one, EventKind.RENEWAL_STARTED)
    assert begun.actor == "anna"
    assert set(begun.data.get("changes", {})) <= {*change, "domain", "aliases", "wildcard", "key_type"}
    assert (not change) == ("changes" not in begun.data)


def test_another_ca_takes_the_reissue(bench):
    """With another CA profile the next leaf comes from there, and the old one stays known as the first one's."""
    other = bench.core.authorities.create("other", module="scripted", settings={"region": "us"})
    one = bench.active()
    bench.ca.scripts["us"] = (Act.ISSUE,)
    bench.core.certificates.reissue(one, authority=other.id)
    bench.core.reconcile(one)
    issuances = bench.core.certificates.issuances(one)
    assert [issuance.authority_id for issuance in issuances] == [bench.authority.id, other.id]
    assert bench.core.certificates.view(one).active.number == 2
    with pytest.raises(InvalidInput) as caught:
        bench.core.certificates.reissue(one, authority="nobody")
    assert caught.value.field == "authority"


def test_a_kept_key_serves_on(bench):
    """With keep_key the new leaf has the old key, also after the next change; without it never."""
    one = bench.active()
    key = bench.core.certificates.reveal_private_key(one, reason="test")
    bench.core.certificates.reissue(one, keep_key=True, aliases="www.shop.example")
    _install(bench, one)
    assert bench.core.certificates.reveal_private_key(one, reason="test") == key
    bench.core.certificates.reissue(one)
    _install(bench, one)
    assert bench.core.certificates.reveal_private_key(one, reason="test") != key


def test_an_attempt_with_the_key_in_service_leaves_it(bench):
    """When such an attempt is given up, or followed by another, the key of the leaf in service is still there."""
    one = bench.active()
    key = bench.core.certificates.reveal_private_key(one, reason="test")
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, keep_key=True, wildcard=True)
    bench.step(one)
    bench.core.certificates.reissue(one, keep_key=True, wildcard=False)
    bench.step(one)
    bench.core.certificates.cancel_attempt(one)
    assert bench.core.certificates.reveal_private_key(one, reason="test") == key
    assert _keys_of(bench, one) == {1, 2, 3}  # one key, under one name


def test_a_key_cannot_be_kept_and_be_of_another_kind(bench):
    """Asking for both is refused before anything is begun; the form does not tell of a key that the leaf has not."""
    one = bench.active()
    before = bench.core.certificates.view(one)
    with pytest.raises(InvalidInput) as caught:
        bench.core.certificates.reissue(one, keep_key=True, key_type="rsa-2048")
    assert caught.value.field == "key_type"
    assert bench.core.certificates.view(one) == before
    bench.core.certificates.reissue(one, keep_key=True, key_type="ec-p256")


def test_a_change_of_the_key_type_is_a_new_key(bench):
    """A policy that keeps the key keeps no key of the wrong kind: what the form says is what the leaf gets."""
    one = bench.active(renewal=RenewalPolicy(rotate_key=False))
    bench.core.certificates.edit(one, key_type="ec-p384")
    bench.environment.set(bench.core.certificates.view(one).renews_at)
    _install(bench, one)
    view = bench.core.certificates.view(one)
    assert view.active.number == 2
    assert view.leaf.public_key_algorithm == "EC P-384"
    assert view.active.key_type is KeyType.EC_P384
    key = bench.core.certificates.reveal_private_key(one, reason="test")
    for begin in (bench.core.certificates.renew, bench.core.certificates.check_now):
        if begin == bench.core.certificates.check_now:
            bench.environment.set(bench.core.certificates.view(one).renews_at)
        begin(one)
        _install(bench, one)
        assert bench.core.certificates.reveal_private_key(one, reason="test") == key
    assert bench.core.certificates.view(one).active.number == 4


def test_the_users_csr_and_back_to_a_key_of_ours(bench):
    """A CSR of the user's own is used as it is; dropping it makes a key here again."""
    one = bench.active()
    csr = own_csr("shop.example")
    bench.core.certificates.reissue(one, csr=csr)
    _install(bench, one)
    view = bench.core.certificates.view(one)
    assert view.active.is_keyless
    assert view.active.csr_pem == csr
    assert view.leaf.spki_sha256 == spki_sha256(OWN_KEY.public_key())
    with pytest.raises(InvalidInput) as caught:
        bench.core.certificates.reissue(one, aliases="www.shop.example")
    assert caught.value.field == "aliases"
    bench.core.certificates.reissue(one, csr="", aliases="www.shop.example", key_type="ec-p256")
    _install(bench, one)
    after = bench.core.certificates.view(one)
    assert not after.active.is_keyless
    assert after.leaf.public_key_algorithm == "EC P-256"
    assert after.certificate.csr_pem == ""
    assert bench.core.certificates.export(one, reason="test").private_key


# -- what was under way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun_by", ["renew", "reissue", "engine"])
def test_an_attempt_under_way_is_given_up_first(bench, begun_by):
    """Its key is destroyed, what it holds outside is taken back, and history has it as abandoned."""
    one = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    if begun_by == "engine":
        bench.environment.set(bench.core.certificates.view(one).renews_at)
    else:
        getattr(bench.core.certificates, begun_by)(one)
    bench.step(one)
    bench.step(one)
    first = bench.core.certificates.view(one).issuance
    assert first.id in bench.ca.held
    bench.core.certificates.reissue(one, aliases="www.shop.example")
    assert first.id not in {str(name) for name in _secret_names(bench)}
    assert str(first.key_name) not in _secret_names(bench)
    for _ in range(3):
        bench.step(one)
    assert first.id not in bench.ca.held
    given_up, new = bench.core.certificates.issuances(one)[1:]
    assert given_up.outcome is Outcome.ABANDONED
    assert given_up.finished_at
    assert [name.ascii for name in new.names] == ["shop.example", "www.shop.example"]
    _install(bench, one)
    assert _keys_of(bench, one) >= {3}
    assert 2 not in _keys_of(bench, one)


def test_a_step_in_the_middle_of_a_reissue_is_not_stored(bench):
    """A worker that is on the attempt when the user changes the names installs nothing, and leaves nothing outside."""
    one = bench.active()
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(one)
    (schedule,) = bench.core.engine.claim_due(10)
    held = bench.core.engine.load(schedule)
    bench.core.certificates.reissue(one, aliases="www.shop.example")
    with pytest.raises(LeaseLost):
        bench.core.engine.step(held, keep_lease=False)
    assert bench.core.certificates.view(one).active.number == 1
    assert bench.ca.held == set()
    _install(bench, one)
    assert bench.core.certificates.view(one).active.number == 3


def test_the_key_of_a_leaf_that_has_ended_is_destroyed(bench):
    """As soon as the next renewal begins; those of leaves that may still be served somewhere are kept."""
    one = bench.active()
    bench.ca.script = (Act.ISSUE,)
    for _ in range(4):
        bench.environment.set(bench.core.certificates.view(one).renews_at)
        _install(bench, one)
        now = bench.environment.now()
        good = {each.number for each in bench.core.certificates.issuances(one) if each.leaf.not_after > now}
        assert _keys_of(bench, one) == good
        assert len(good) == 2


def test_a_failed_renewal_leaves_no_key_behind(bench):
    """An attempt that failed for good is followed by another with another key: the old key is destroyed then."""
    one = bench.active()
    bench.ca.script = (Act.FAIL_NEVER,)
    bench.environment.set(bench.core.certificates.view(one).renews_at)
    for _ in range(12):
        bench.step(one)
    numbers = [issuance.number for issuance in bench.core.certificates.issuances(one)]
    assert len(numbers) > 3
    assert _keys_of(bench, one) == {1, numbers[-1]}
    bench.core.certificates.renew(one)
    assert _keys_of(bench, one) == {1, numbers[-1] + 1}
    _install(bench, one)
    assert _keys_of(bench, one) == {1, numbers[-1] + 1}


# -- giving up ----------------------------------------------------------------------------------------------------


CHANGES = [
    {"aliases": ["b.example"]},
    {"aliases": []},
    {"wildcard": False},
    {"domain": "new.example", "wildcard": False},
    {"key_type": "ec-p384"},
    {"csr": own_csr("own.example")},
    {"csr": own_csr("www.shop.example", "shop.example", "*.shop.example")},
    {},
]


@pytest.mark.parametrize("change", CHANGES)
def test_giving_up_restores_the_form(bench, change):
    """Names, key type and CSR are those of the leaf in service again; key and what is outside are gone."""
    one = bench.active(aliases="www.shop.example", wildcard=True)
    form = bench.get(one)
    key = bench.core.certificates.reveal_private_key(one, reason="test")
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, **change)
    bench.step(one)
    assert bench.ca.held
    assert bench.core.certificates.view(one).actions >= {"cancel_attempt"}
    back = bench.core.certificates.cancel_attempt(one, actor="anna")
    assert back == bench.get(one)
    unchanged = {"version": 0, "updated_at": form.updated_at, "created_at": form.created_at}
    assert evolve(back, **unchanged) == evolve(form, **unchanged)
    assert _keys_of(bench, one) == {1}
    bench.core.reconcile(one)
    assert bench.ca.held == set()
    assert bench.core.certificates.reveal_private_key(one, reason="test") == key
    (event,) = _events(bench, one, EventKind.ATTEMPT_CANCELLED)
    assert (event.actor, event.data["number"]) == ("anna", 2)
    assert bool(event.data.get("changes")) == bool(change)
    view = bench.core.certificates.view(one)
    assert view.schedule.due_at == view.renews_at
    assert "cancel_attempt" not in view.actions


def test_giving_up_keeps_the_primary_name(bench):
    """Also where the primary name is a wildcard and an alias is none: it does not change its place."""
    one = bench.active("*.shop.example", aliases="other.example")
    bench.ca.script = (Act.WAIT_OWNER,)
    for change in ({"key_type": "ec-p384"}, {"aliases": "b.example"}, {"domain": "new.example"}):
        bench.core.certificates.reissue(one, **change)
        bench.core.certificates.cancel_attempt(one)
        back = bench.get(one)
        assert (back.domain.ascii, [name.ascii for name in back.aliases]) == ("*.shop.example", ["other.example"])


def test_giving_up_a_renewal_changes_no_field(bench):
    """A renewal that is given up leaves the form as it is, and begins again by itself when it is due."""
    one = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.environment.set(bench.core.certificates.view(one).renews_at)
    bench.core.reconcile(one)
    bench.core.reconcile(one)
    bench.core.certificates.cancel_attempt(one)
    bench.step(one)
    bench.step(one)
    view = bench.core.certificates.view(one)
    assert view.issuance.number == 3
    assert view.under_way


def test_there_must_be_something_to_give_up(bench):
    """At rest, or after a failure for good, nothing is under way; before there is a leaf it is back_to_draft."""
    one = bench.active()
    before = bench.core.certificates.view(one)
    with pytest.raises(CertCoreError, match="No attempt is under way"):
        bench.core.certificates.cancel_attempt(one)
    assert bench.core.certificates.view(one) == before
    bench.ca.script = (Act.FAIL_NEVER,)
    bench.core.certificates.reissue(one)
    for _ in range(3):
        bench.core.reconcile(one)
    with pytest.raises(CertCoreError, match="No attempt is under way"):
        bench.core.certificates.cancel_attempt(one)
    pending = bench.requested("new.example")
    with pytest.raises(TransitionNotAllowed) as refused:
        bench.core.certificates.cancel_attempt(pending)
    assert "back_to_draft" in refused.value.advice
    with pytest.raises(NotFound):
        bench.core.certificates.cancel_attempt("nobody")


def test_back_to_draft_is_not_for_what_is_in_service(bench):
    """A certificate with a leaf in service cannot lose it by the button for drafts; the error says what there is."""
    one = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one)
    with pytest.raises(TransitionNotAllowed) as refused:
        bench.core.certificates.back_to_draft(one)
    assert {"cancel_attempt", "reissue"} <= set(refused.value.allowed)
    pending = bench.requested("new.example")
    bench.core.certificates.back_to_draft(pending)
    assert _keys_of(bench, pending) == set()
    assert bench.core.certificates.issuances(pending)[0].outcome is Outcome.ABANDONED


# -- in other statuses --------------------------------------------------------------------------------------------


def test_an_expired_certificate_is_reissued(bench):
    """It stays expired until the new leaf is there, and is active then, with the changed names."""
    one = bench.active(renewal={"auto": False})
    bench.step(one)
    assert bench.get(one).status is Status.EXPIRED
    bench.ca.script = (Act.WAIT_OWNER,)
    assert bench.core.certificates.reissue(one, wildcard=True).status is Status.EXPIRED
    bench.core.certificates.cancel_attempt(one)
    assert not bench.get(one).wildcard
    bench.core.certificates.reissue(one, wildcard=True)
    _install(bench, one)
    view = bench.core.certificates.view(one)
    assert view.certificate.status is Status.ACTIVE
    assert "*.shop.example" in view.leaf.names


def test_a_revoked_certificate_is_reissued_with_a_new_key(bench):
    """It is pending until then, and its key is never the one that was revoked, whatever is asked for."""
    one = bench.active(renewal={"rotate_key": False})
    key = bench.core.certificates.view(one).leaf.spki_sha256
    bench.core.certificates.revoke(one)
    bench.ca.script = (Act.WAIT_OWNER,)
    assert bench.core.certificates.reissue(one, keep_key=True, aliases="b.example").status is Status.PENDING
    with pytest.raises(TransitionNotAllowed):
        bench.core.certificates.cancel_attempt(one)
    _install(bench, one)
    view = bench.core.certificates.view(one)
    assert view.certificate.status is Status.ACTIVE
    assert view.leaf.spki_sha256 != key


@pytest.mark.parametrize("status", ["draft", "pending", "error"])
def test_without_a_leaf_there_is_nothing_to_reissue(bench, status):
    """Before the first leaf the form is edited; the error says how to get there."""
    one = bench.draft().id
    if status != "draft":
        bench.ca.script = (Act.FAIL_NEVER if status == "error" else Act.WAIT_OWNER,)
        bench.core.certificates.generate_csr(one)
        bench.core.reconcile(one)
    assert bench.get(one).status == status
    before = bench.core.certificates.view(one)
    with pytest.raises(TransitionNotAllowed):
        bench.core.certificates.reissue(one, wildcard=True)
    assert bench.core.certificates.view(one) == before


def test_what_cannot_be_is_refused_before_anything_is_given_up(bench):
    """A wrong field, a profile that forbids the names, or no profile at all: the attempt under way goes on."""
    one = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, aliases="b.example")
    bench.step(one)
    before = bench.core.certificates.view(one)
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    for field, change in (
        ("wildcard", {"wildcard": True}),
        ("aliases", {"aliases": "a_b.example"}),
        ("aliases", {"aliases": "shop.example"}),
        ("key_type", {"key_type": "dsa"}),
        ("csr", {"csr": "nonsense"}),
        ("domain", {"csr": own_csr("own.example"), "domain": "other.example"}),
        ("order_reference", {"module_data": {"order_reference": "x" * 41}}),
        ("country", {"subject": {"country": "Germany"}}),
    ):
        with pytest.raises(InvalidInput) as caught:
            bench.core.certificates.reissue(one, **change)
        assert caught.value.field == field
    view = bench.core.certificates.view(one)
    assert (view.certificate, view.issuance) == (before.certificate, before.issuance)
    assert view.schedule == before.schedule


# -- two at once --------------------------------------------------------------------------------------------------


def test_a_reissue_of_an_old_version_is_refused(bench):
    """Who reissues what somebody else has changed meanwhile is told by whom, and nothing is begun."""
    one = bench.active()
    seen = bench.get(one).version
    bench.core.certificates.edit(one, subject={"organization": "Shop"}, actor="anna")
    with pytest.raises(StaleWrite) as conflict:
        bench.core.certificates.reissue(one, wildcard=True, version=seen, actor="bert")
    assert conflict.value.actors == ("anna",)
    assert set(conflict.value.changes) == {"subject"}
    assert len(bench.core.certificates.issuances(one)) == 1
    bench.core.certificates.reissue(one, wildcard=True, actor="carl")
    with pytest.raises(StaleWrite) as conflict:
        bench.core.certificates.reissue(one, wildcard=False, version=seen + 1)
    assert conflict.value.changes == {"wildcard": (False, True)}
    assert conflict.value.actors == ("carl",)
    bench.core.certificates.cancel_attempt(one, actor="dora")
    with pytest.raises(StaleWrite) as conflict:
        bench.core.certificates.edit(one, subject={"country": "DE"}, version=seen + 2)
    assert conflict.value.changes == {"wildcard": (True, False)}


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
def test_two_reissues_at_the_same_moment(storage, tmp_path):
    """Of many threads that reissue at once each wins or is told that it was too late; one attempt is under way."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with _core(storage, tmp_path, ca, environment) as core:
        one = _active(core)
        ca.script = (Act.WAIT_OWNER,)
        start, errors = threading.Barrier(4), []

        def reissue(number):
            start.wait()
            try:
                core.certificates.reissue(one, aliases=f"a{number}.example", version=None)
            except StaleWrite as error:
                errors.append(error)

        threads = [threading.Thread(target=reissue, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        issuances = core.certificates.issuances(one)
        assert len(issuances) == 1 + 4 - len(errors)
        assert [issuance.number for issuance in issuances] == list(range(1, len(issuances) + 1))
        assert sum(issuance.outcome is None for issuance in issuances) == 1
        view = core.certificates.view(one)
        assert view.under_way
        assert set(view.issuance.names) == set(view.certificate.names)
        with core.engine.storage.read() as transaction:
            assert len(transaction.secrets.names("certificate-key")) == 2


class Meddling(ScriptedCA):
    """Something else happens while it looks at a request: between the reading and the writing of a user's call."""

    meanwhile = ()

    def check_request(self, context, names, settings):
        meddle, self.meanwhile = self.meanwhile[:1], self.meanwhile[1:]
        for one in meddle:
            one()


def _core(storage, tmp_path, ca, environment):
    quiet = NoticePolicy(days_before=())
    return core_on(storage, tmp_path, plugins=[ca.plugin()], environment=environment, notices=quiet)


def _active(core, domain="shop.example", **fields):
    authority = next(iter(core.authorities.list()), None) or core.authorities.create("test", module="scripted")
    one = core.certificates.create(domain, authority=authority.id, **fields).id
    core.certificates.generate_csr(one)
    for _ in range(3):
        core.reconcile(one)
    assert core.certificates.get(one).status is Status.ACTIVE
    return one


@pytest.mark.parametrize("storage", ["memory", "sqlite"])
@pytest.mark.parametrize("asked", ["reissue", "renew"])
@pytest.mark.parametrize("other", ["begins", "begins and installs"])
def test_a_user_and_the_engine_begin_at_the_same_moment(storage, tmp_path, asked, other):
    """The engine begins the renewal while the user's call makes its key: one attempt is under way, numbered in turn."""
    environment = FrozenEnvironment()
    ca = Meddling([Act.ISSUE], now=environment.now())
    with _core(storage, tmp_path, ca, environment) as core:
        one = _active(core)
        environment.set(core.certificates.view(one).renews_at)
        if other == "begins":
            ca.script = (Act.WAIT_OWNER,)

        def engine():
            for _ in range(2 if other == "begins" else 4):
                core.reconcile(one)
            assert len(core.certificates.issuances(one)) == 2

        # A reissue looks twice: at the form, and when the key is about to be made.
        ca.meanwhile = (engine,) if asked == "renew" else (lambda: None, engine)
        getattr(core.certificates, asked)(one)
        issuances = core.certificates.issuances(one)
        assert [issuance.number for issuance in issuances] == list(range(1, len(issuances) + 1))
        assert sum(issuance.outcome is None for issuance in issuances) == 1
        assert core.certificates.view(one).under_way
        ca.script = (Act.ISSUE,)
        environment.advance(timedelta(minutes=2))
        for _ in range(6):
            core.reconcile(one)
        view = core.certificates.view(one)
        assert view.active.number == max(issuance.number for issuance in issuances)
        assert view.certificate.status is Status.ACTIVE
        assert ca.held == set()


# -- copies -------------------------------------------------------------------------------------------------------


def test_a_copy_has_the_same_form_and_no_key(bench):
    """Names, CA profile, key type, subject, policy and settings are copied; leaf, key and history are not."""
    other = bench.core.authorities.create("other", module="scripted")
    one = bench.active(
        aliases="www.shop.example",
        wildcard=True,
        owner="anna",
        key_type="ec-p384",
        subject={"organization": "Shop"},
        renewal={"days_before": 9, "rotate_key": False},
        fallbacks=[other.id],
        module_data={"order_reference": "7"},
    )
    original = bench.get(one)
    copy = bench.core.certificates.clone(one, actor="bert")
    assert copy == bench.get(copy.id)
    assert copy.id != one
    same = {"id": "", "status": Status.DRAFT, "active_issuance_id": None, "not_after": None, "version": 1}
    assert evolve(copy, **same) == evolve(original, **same, created_at=copy.created_at, updated_at=copy.updated_at)
    assert bench.core.certificates.issuances(copy.id) == []
    (event,) = bench.core.certificates.timeline(copy.id)
    assert (event.kind, event.actor, event.data["cloned_from"]) == ("created", "bert", one)
    assert bench.core.certificates.view(copy.id).schedule.due_at is None
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.generate_csr(copy.id)
    bench.core.reconcile(copy.id)
    first, second = bench.core.certificates.view(one), bench.core.certificates.view(copy.id)
    assert first.leaf.spki_sha256 != second.leaf.spki_sha256
    assert set(first.leaf.names) == set(second.leaf.names)


def test_a_copy_for_another_name(bench):
    """With another name the aliases stay behind, and so does a CSR; a tenant can be given."""
    one = bench.active(aliases="www.shop.example", wildcard=True)
    copy = bench.core.certificates.clone(one, "b.example", owner="bert")
    assert [name.ascii for name in copy.names] == ["b.example", "*.b.example"]
    assert copy.owner == "bert"
    assert [name.ascii for name in bench.core.certificates.clone(one, "*.b.example").names] == ["*.b.example"]
    mine = bench.draft(None, csr=own_csr("own.example"))
    assert bench.core.certificates.clone(mine.id).csr_pem == mine.csr_pem
    other = bench.core.certificates.clone(mine.id, "b.example")
    assert (other.csr_pem, other.key_type) == ("", KeyType.EC_P384)
    for wrong in ("a_b.example", ""):
        with pytest.raises(InvalidInput):
            bench.core.certificates.clone(one, wrong)
    with pytest.raises(InvalidInput):
        bench.core.certificates.clone(one, owner="x" * 101)
    bench.core.authorities.edit(bench.authority.id, settings={"allow_wildcard": False})
    with pytest.raises(InvalidInput):
        bench.core.certificates.clone(one)


# -- a change that nobody proves ----------------------------------------------------------------------------------


class ProvingCA(ScriptedCA):
    """Issues at once for names that are proven; for others it does what `otherwise` says."""

    def __init__(self, *, now):
        super().__init__((Act.ISSUE,), now=now)
        self.proven = set()
        self.otherwise = Act.WAIT_OWNER
        #: How long it says to wait in that case.
        self.pause = timedelta(minutes=1)

    def advance(self, work):
        if {name.ascii for name in work.issuance.names} <= self.proven:
            return super().advance(work)
        self.held.add(work.issuance.id)
        at = work.environment.now() + self.pause
        if self.otherwise is Act.WAIT_OWNER:
            return Waiting(state={}, look_again=at, waiting_for=WaitingFor.OWNER, needs_clean_up=True)
        problem = Problem(type="about:blank", title="Not proven.")
        kinds = {Act.FAIL_SOON: Retry.SOON, Act.FAIL_SLOW: Retry.SLOW, Act.CA_DOWN: Retry.SOON}
        return Failed(
            state={},
            problem=problem,
            retry=kinds.get(self.otherwise, Retry.NEVER),
            retry_at=at if self.otherwise is Act.FAIL_SLOW else None,
            of_authority=self.otherwise in (Act.CA_DOWN, Act.CA_REFUSES),
            needs_clean_up=True,
        )


def _looks(core, one, environment, until, most=3000):
    """Look whenever it is due, until a moment; the certificate has to be active all the time."""
    for _ in range(most):
        with core.engine.storage.read() as transaction:
            due = transaction.schedules.get(one).due_at
        if due is None or due >= until:
            return
        environment.set(max(due, environment.now()))
        core.reconcile(one)
        certificate = core.certificates.get(one)
        assert certificate.status is Status.ACTIVE, f"{environment.now()} {certificate.status}"
        assert certificate.not_after > environment.now()
    raise AssertionError("it looks too often")


@settings(max_examples=60, deadline=None)
@given(
    lifetime=st.sampled_from([1, 2, 3, 6, 10, 45, 90, 398]),
    days_before=st.none() | st.integers(1, 60),
    at=st.floats(0, 0.97),
    otherwise=st.sampled_from(
        [Act.WAIT_OWNER, Act.FAIL_SOON, Act.FAIL_SLOW, Act.FAIL_NEVER, Act.CA_DOWN, Act.CA_REFUSES]
    ),
    pause=st.sampled_from([0.01, 0.1, 0.4, 3]),
    falls_back=st.booleans(),
    change=st.sampled_from(
        [{"aliases": "unproven.example"}, {"domain": "unproven.example"}, {"csr": own_csr("unproven.example")}]
    ),
    rotate_key=st.booleans(),
)
def test_a_change_that_nobody_proves_lets_no_site_expire(
    lifetime, days_before, at, otherwise, pause, falls_back, change, rotate_key
):
    """Whenever it was wished, and however the CA answers: what is in service is renewed before its end, for ever."""
    if otherwise in (Act.FAIL_SOON, Act.CA_DOWN):
        lifetime = min(lifetime, 3)  # tried within the hour, again and again
    elif otherwise is Act.CA_REFUSES:
        lifetime = min(lifetime, 90)  # both CAs are asked on most days
    environment = FrozenEnvironment()
    ca = ProvingCA(now=environment.now())
    ca.proven = {"shop.example"}
    with CertCore.in_memory(
        plugins=[ca.plugin()], installed_plugins=False, environment=environment, notices=NoticePolicy(days_before=())
    ) as core:
        authorities = [
            core.authorities.create(name, module="scripted", settings={"lifetime_days": lifetime}) for name in "ab"
        ]
        one = core.certificates.create(
            "shop.example",
            authority=authorities[0].id,
            fallbacks=[authorities[1].id] if falls_back else [],
            renewal={"days_before": days_before, "rotate_key": rotate_key},
        ).id
        core.certificates.generate_csr(one)
        for _ in range(3):
            core.reconcile(one)
        view = core.certificates.view(one)
        environment.set(view.now + (view.certificate.not_after - view.now) * at)
        ca.otherwise, ca.pause = otherwise, timedelta(days=lifetime) * pause
        core.certificates.reissue(one, **change)
        _looks(core, one, environment, view.certificate.not_after + timedelta(days=lifetime))
        after = core.certificates.view(one)
        assert after.active.number > 1
        assert after.active.names == view.active.names
        assert "unproven.example" in {name.ascii for name in after.certificate.names}  # the wish stays


def test_a_change_has_its_time(bench):
    """A wish that is proven late, but not too late, is fulfilled; it is not set aside as soon as a renewal is due."""
    one = bench.active()
    view = bench.core.certificates.view(one)
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.environment.set(view.renews_at - DAY)
    bench.core.certificates.reissue(one, aliases="www.shop.example")
    late = view.renews_at + (view.certificate.not_after - view.renews_at) / 2
    while bench.environment.now() < late - 2 * timedelta(hours=1):
        bench.advance(hours=1)
        bench.core.reconcile(one)
    assert bench.core.certificates.view(one).issuance.number == 2
    _install(bench, one)
    assert "www.shop.example" in bench.core.certificates.view(one).leaf.names


def test_a_change_that_was_set_aside_is_on_the_record(bench):
    """The record tells what was set aside, the page that the names of the form are not in service."""
    one = bench.active()
    view = bench.core.certificates.view(one)
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, aliases="www.shop.example")
    bench.core.reconcile(one)
    key_name = str(bench.core.certificates.view(one).issuance.key_name)
    bench.environment.set(view.renews_at + (view.certificate.not_after - view.renews_at) / 2)
    bench.core.reconcile(one)
    assert _events(bench, one, EventKind.RENEWAL_FAILING)
    bench.core.reconcile(one)
    (event,) = _events(bench, one, EventKind.ATTEMPT_CANCELLED)
    assert event.actor == "engine"
    assert event.data == {"number": 2, "names": ["shop.example", "www.shop.example"]}
    assert key_name not in _secret_names(bench)
    during = bench.core.certificates.view(one)
    assert during.issuance.purpose is Purpose.RENEW
    assert [name.ascii for name in during.issuance.names] == ["shop.example"]
    _install(bench, one)
    notes = {hint.text.key for hint in bench.core.certificates.hints(one) if isinstance(hint, Notice)}
    assert "core.change_open" in notes
    assert bench.core.certificates.view(one).under_way is False


def test_without_auto_renewal_a_change_is_never_set_aside(bench):
    """Who switched renewals off is not renewed behind the own back."""
    one = bench.active(renewal={"auto": False})
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, aliases="www.shop.example")
    bench.environment.set(bench.get(one).not_after - timedelta(minutes=1))
    bench.step(one)
    bench.step(one)
    assert bench.get(one).status is Status.EXPIRED
    assert len(bench.core.certificates.issuances(one)) == 2


def test_what_cannot_be_taken_back_lets_no_site_expire(bench):
    """A zone of an attempt that was given up, which nobody can write to any more, does not stop the renewal."""
    other = bench.core.authorities.create("other", module="scripted")
    one = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, authority=other.id)
    bench.core.reconcile(one)
    bench.core.certificates.cancel_attempt(one)
    bench.ca.busy_until = bench.environment.now() + 400 * DAY
    bench.ca.script = (Act.ISSUE,)
    bench.environment.set(bench.core.certificates.view(one).renews_at)
    ends = bench.get(one).not_after
    for _ in range(10):
        if bench.environment.now() < ends:
            bench.step(one)
    assert bench.core.certificates.view(one).active.number > 1


# -- saving beside a leaf -----------------------------------------------------------------------------------------

#: For each field of the table that a call takes: what is given.
GIVEN = {
    "domain": {"domain": "new.example"},
    "wildcard": {"wildcard": True},
    "aliases": {"aliases": "www.new.example"},
    "email": {"subject": {"email": "me@new.example"}},
    "organization": {"subject": {"organization": "New"}},
    "organizational_unit": {"subject": {"organizational_unit": "New"}},
    "country": {"subject": {"country": "AT"}},
    "state": {"subject": {"state": "New"}},
    "locality": {"subject": {"locality": "New"}},
    "key_type": {"key_type": "ec-p384"},
    "csr": {"csr": own_csr("own.example")},
    "auto": {},
    "days_before": {"renewal": {"days_before": 5}},
    "rotate_key": {"renewal": {"rotate_key": False}},
    "authority": {"authority": "other"},
    "fallbacks": {"fallbacks": ["other"]},
    "module_data": {"module_data": {"order_reference": "new"}},
}
SITUATIONS = {
    "draft": (Status.DRAFT, False),
    "pending": (Status.PENDING, True),
    "processing": (Status.PROCESSING, True),
    "error": (Status.ERROR, False),
    "active": (Status.ACTIVE, False),
    "active, renewing": (Status.ACTIVE, True),
    "active, failed": (Status.ACTIVE, False),
    "expired": (Status.EXPIRED, False),
    "expired, renewing": (Status.EXPIRED, True),
    "revoked": (Status.REVOKED, False),
    "revoked, renewing": (Status.PENDING, True),
}


def _situation(bench, name, csr=None):
    domain = "shop.example" if csr is None else None
    one = bench.draft(domain, csr=csr, renewal={"auto": not name.startswith("expired")}).id
    if name == "draft":
        return one
    acts = {"pending": Act.WAIT_OWNER, "processing": Act.WORK, "error": Act.FAIL_NEVER}
    bench.ca.script = (acts.get(name, Act.ISSUE),)
    bench.core.certificates.generate_csr(one)
    for _ in range(3):
        bench.core.reconcile(one)
    if name.startswith("expired"):
        bench.step(one)
    if name.startswith("revoked"):
        bench.core.certificates.revoke(one)
    if name.endswith(("renewing", "failed")):
        bench.ca.script = (Act.FAIL_NEVER if name.endswith("failed") else Act.WAIT_OWNER,)
        bench.core.certificates.renew(one)
        for _ in range(3):
            bench.core.reconcile(one)
    return one


@pytest.mark.parametrize("field", CERTIFICATE_FIELDS, ids=lambda field: field.name)
@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_the_table_says_is_what_can_be_saved(bench, situation, field):
    """For every field and status: saving is accepted exactly where the table says so, and so is a reissue."""
    status, under_way = SITUATIONS[situation]
    one = _situation(bench, situation)
    before = bench.core.certificates.view(one)
    assert (before.certificate.status, before.under_way) == (status, under_way)
    way = way_to_change(field.when, status, under_way=under_way)
    (shown,) = [view for view in before.fields if view.field.name == field.name]
    assert shown.way is way
    if field.when in (When.NEVER, When.CREATE):
        assert way is None
        return
    other = bench.core.authorities.create("other", module="scripted").id
    change = {name: _filled(value, other) for name, value in GIVEN[field.name].items()}
    if field.name == "auto":
        change = {"renewal": {"auto": not before.certificate.renewal.auto}}
    if way is Way.EDIT:
        saved = bench.core.certificates.edit(one, **change)
        assert saved.version == before.certificate.version + 1
        (now,) = [view for view in bench.core.certificates.view(one).fields if view.field.name == field.name]
        assert now.value != shown.value
        after = bench.core.certificates.view(one)
        assert (after.certificate.status, after.issuance, after.active) == (status, before.issuance, before.active)
        assert bench.core.certificates.timeline(one)[-1].kind == "edited"
        return
    with pytest.raises((InvalidInput, TransitionNotAllowed)) as refused:
        bench.core.certificates.edit(one, **change)
    assert bench.core.certificates.view(one) == before
    if way is Way.REISSUE:
        assert isinstance(refused.value, InvalidInput)
        assert refused.value.field in change
        assert "reissue" in refused.value.advice
        words = "an attempt is under way" if field.when is When.BETWEEN else "the leaf in service has the old one"
        assert words in refused.value.reason
        bench.core.certificates.reissue(one, **change)
        assert bench.core.certificates.view(one).under_way
    else:
        assert isinstance(refused.value, TransitionNotAllowed)
        assert refused.value.status == status
        assert {"back_to_draft"} <= set(refused.value.allowed) or status is Status.PROCESSING
        with pytest.raises(TransitionNotAllowed):
            bench.core.certificates.reissue(one, **change)


def _filled(value, other):
    if value == "other":
        return other
    return [other] if value == ["other"] else value


def test_what_is_saved_counts_from_the_next_issuance(bench):
    """The leaf in service stays as it is; the next one has the new key type and subject, from the new CA."""
    other = bench.core.authorities.create("other", module="scripted", settings={"region": "us"})
    one = bench.active(subject={"locality": "Berlin"})
    before = bench.core.certificates.view(one)
    bench.core.certificates.edit(one, key_type="ec-p384", authority=other.id, subject={"organization": "New"})
    after = bench.core.certificates.view(one)
    assert after.active == before.active
    assert after.issuance is None
    bench.core.reconcile(one)
    assert bench.core.certificates.view(one).schedule.due_at == before.renews_at
    bench.environment.set(before.renews_at)
    bench.ca.scripts["us"] = (Act.ISSUE,)
    for _ in range(4):
        bench.core.reconcile(one)
    renewed = bench.core.certificates.view(one)
    assert renewed.active.authority_id == other.id
    assert renewed.leaf.public_key_algorithm == "EC P-384"
    assert "New" in renewed.leaf.subject
    assert "Berlin" in renewed.leaf.subject


def test_an_edit_of_the_policy_moves_the_next_look(bench):
    """A policy that renews earlier is heeded at once, and one that renews no more lets it be."""
    one = bench.active()
    bench.core.certificates.edit(one, renewal={"days_before": 44})
    bench.core.reconcile(one)
    view = bench.core.certificates.view(one)
    assert view.schedule.due_at == view.renews_at < view.certificate.not_after - 40 * DAY
    bench.core.certificates.edit(one, renewal={"auto": False})
    bench.core.reconcile(one)
    assert bench.core.certificates.view(one).schedule.due_at == view.certificate.not_after


# -- what is not given stays --------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["edit", "reissue"])
def test_of_a_mapping_only_what_is_given_changes(bench, by):
    """The other members of subject, policy and settings stay; an empty text clears one."""
    one = bench.draft(
        subject={"organization": "Shop", "country": "DE", "email": "a@b.example"},
        renewal={"days_before": 12, "rotate_key": False},
        module_data={"order_reference": "7"},
    ).id
    if by == "reissue":
        bench.ca.script = (Act.ISSUE,)
        bench.core.certificates.generate_csr(one)
        bench.core.reconcile(one)
    change = getattr(bench.core.certificates, by)
    changed = change(one, subject={"country": "AT", "email": ""})
    assert (changed.subject.organization, changed.subject.country, changed.subject.email) == ("Shop", "AT", "")
    assert change(one, module_data={}).module_data == {"order_reference": "7"}
    assert change(one, module_data={"order_reference": ""}).module_data == {"order_reference": ""}
    if by == "reissue":
        bench.core.certificates.cancel_attempt(one)
    changed = bench.core.certificates.edit(one, renewal={"auto": False})
    assert changed.renewal == RenewalPolicy(auto=False, days_before=12, rotate_key=False)
    changed = bench.core.certificates.edit(one, renewal={"days_before": None})
    assert changed.renewal == RenewalPolicy(auto=False, rotate_key=False)
    assert bench.core.certificates.edit(one, renewal=RenewalPolicy()).renewal == RenewalPolicy()
    for field, wrong in (
        ("auto", {"renewal": {"auto": "no"}}),
        ("rotate_key", {"renewal": {"rotate_key": 1}}),
        ("days_before", {"renewal": {"days_before": 0}}),
        ("days_before", {"renewal": {"days_before": "10"}}),
        ("no_such", {"renewal": {"no_such": 1}}),
        ("no_such", {"subject": {"no_such": "1"}}),
        ("organization", {"subject": {"organization": 7}}),
        ("no_such", {"module_data": {"no_such": "1"}}),
        ("subject", {"subject": 5}),
        ("renewal", {"renewal": "x"}),
        ("module_data", {"module_data": "x"}),
        ("fallbacks", {"fallbacks": 5}),
        ("version", {"version": ""}),
        ("version", {"version": True}),
    ):
        with pytest.raises(InvalidInput) as caught:
            bench.core.certificates.edit(one, **wrong)
        assert caught.value.field == field


@frozen(kw_only=True)
class OtherSettings:
    account: str = form.text("Account", default="")


class OtherCA(ScriptedCA):
    """Asks something else of a certificate than the scripted CA does."""

    name = "other"
    certificate_type = OtherSettings


class Both:
    """A plugin with several CA modules."""

    def __init__(self, *modules):
        self.modules = modules

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return self.modules


@pytest.mark.parametrize("by", ["edit", "reissue"])
def test_a_certificate_moves_to_a_ca_of_another_kind(by):
    """What the old CA's module asked is left behind; what the new one asks can be given with it, and nothing else."""
    environment = FrozenEnvironment()
    modules = [kind([Act.ISSUE], now=environment.now()) for kind in (ScriptedCA, OtherCA)]
    with CertCore.in_memory(plugins=[Both(*modules)], installed_plugins=False, environment=environment) as core:
        one, two = (core.authorities.create(name, module=name).id for name in ("scripted", "other"))
        shop = core.certificates.create("shop.example", authority=one, module_data={"order_reference": "7"}).id
        if by == "reissue":
            core.certificates.generate_csr(shop)
            core.reconcile(shop)
        change = getattr(core.certificates, by)
        with pytest.raises(InvalidInput) as refused:
            change(shop, authority=two, module_data={"no_such": "1"})
        assert refused.value.field == "no_such"
        moved = change(shop, authority=two, module_data={"account": "a"})
        assert moved.module_data == {"account": "a"}
        assert change(shop, authority=one).module_data == {"order_reference": ""}
        assert change(shop, authority=two).module_data == {"account": ""}


def test_nothing_given_changes_nothing(bench):
    """Saving without a change leaves every field; reissuing without one makes a new leaf for the same form."""
    draft = bench.draft(aliases="www.shop.example", wildcard=True)
    same = {"version": 0}
    assert evolve(bench.core.certificates.edit(draft.id), **same) == evolve(draft, **same)
    one = bench.active("b.example", aliases="www.b.example")
    before = bench.get(one)
    bench.core.certificates.reissue(one)
    after = bench.get(one)
    assert (after.names, after.subject, after.renewal, after.key_type) == (
        before.names,
        before.subject,
        before.renewal,
        before.key_type,
    )


def test_the_decision_is_pure_and_names_what_is_in_service(bench):
    """`decide` sets a lost change aside with the leaf in service as what is to be renewed."""
    one = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    bench.core.certificates.reissue(one, aliases="www.shop.example")
    view = bench.core.certificates.view(one)
    issuances = bench.core.certificates.issuances(one)
    late = view.renews_at + (view.certificate.not_after - view.renews_at) / 2
    before = decide(view.certificate, issuances, late - timedelta(seconds=1))
    after = decide(view.certificate, issuances, late)
    assert (before.task, before.issuance) == (Task.ADVANCE, view.issuance)
    assert (after.task, after.issuance) == (Task.SET_CHANGE_ASIDE, view.active)


def test_the_requests_of_a_reissue_and_its_key_belong_together(bench):
    """The CSR of the attempt is signed with the key that is sealed for it."""
    one = bench.active()
    bench.ca.script = (Act.WAIT_OWNER,)
    for keep_key in (False, True):
        bench.core.certificates.reissue(one, keep_key=keep_key, aliases="www.shop.example")
        attempt = bench.core.certificates.view(one).issuance
        with bench.core.engine.storage.read() as transaction:
            sealed = transaction.secrets.get(attempt.key_name)
        from certcore.x509.keys import load_private_key

        key = load_private_key(bench.core.engine.vault.open(sealed, attempt.key_name).reveal())
        assert csr_spki_sha256(attempt.csr_pem) == spki_sha256(key.public_key())


@pytest.mark.parametrize(
    ("situation", "own"), [*((one, False) for one in SITUATIONS), ("draft", True), ("pending", True), ("active", True)]
)
def test_a_form_that_is_posted_whole(bench, situation, own):
    """What is as it was is no change, in every status; what differs beside it is saved, and told on its own."""
    one = _situation(bench, situation, csr=own_csr("shop.example", "b.example") if own else None)
    before = bench.core.certificates.get(one)
    whole = {
        "domain": before.domain.ascii,
        "aliases": [alias.ascii for alias in before.aliases],
        "wildcard": before.wildcard,
        "authority": before.authority_id,
        "fallbacks": before.fallbacks,
        "subject": asdict(before.subject),
        "key_type": before.key_type.value,
        "renewal": asdict(before.renewal),
        "module_data": {name: f" {value} " for name, value in before.module_data.items()},
        "csr": before.csr_pem or None,
    }
    told = bench.core.certificates.timeline(one)
    assert bench.core.certificates.edit(one, **whole, version=before.version) == before
    assert bench.core.certificates.timeline(one) == told
    whole["renewal"] = {**whole["renewal"], "days_before": 7}
    assert bench.core.certificates.edit(one, **whole).version == before.version + 1
    assert bench.core.certificates.timeline(one)[-1].data["fields"] == ["renewal"]
    with pytest.raises(StaleWrite):
        bench.core.certificates.edit(one, **whole, version=before.version)


def _failed_reissue(bench, *, ended=False):
    """A certificate whose reissue for another name, of an RSA key, failed for good beside its leaf."""
    one = bench.active(renewal={"auto": False})
    if ended:
        bench.environment.set(bench.core.certificates.get(one).not_after)
        bench.core.reconcile(one)
    bench.ca.script = (Act.FAIL_NEVER,)
    bench.core.certificates.reissue(one, aliases="www.shop.example", key_type="rsa-2048")
    for _ in range(3):
        bench.core.reconcile(one)
    assert bench.core.certificates.view(one).issuance.outcome is Outcome.FAILED
    return one


@pytest.mark.parametrize("ended", [False, True])
def test_a_check_begins_anew_what_failed_beside_a_leaf(bench, ended):
    """Whoever has removed the cause need not wait until the policy begins another renewal; the form counts as it is."""
    one = _failed_reissue(bench, ended=ended)
    bench.core.certificates.edit(one, key_type="ec-p384")
    _install(bench, one)
    view = bench.core.certificates.view(one)
    assert (view.certificate.status, view.active.number) == (Status.ACTIVE, 3)
    assert view.leaf.names == ("shop.example", "www.shop.example")
    assert view.leaf.public_key_algorithm.startswith("EC")
    assert view.certificate.problem is None
    assert bench.ca.held == set()
    assert _keys_of(bench, one) == {1, 3}


def test_a_check_without_a_ca_profile_is_a_look(bench):
    """There is nobody to ask: nothing is begun, and the leaf stays."""
    one = _failed_reissue(bench)
    bench.core.certificates.edit(one, authority="")
    _install(bench, one)
    view = bench.core.certificates.view(one)
    assert (view.certificate.status, view.active.number, view.issuance.number) == (Status.ACTIVE, 1, 2)
    assert view.schedule.attempts == 0


class Checker:
    """The actor ``looker`` may look and have looked at, and begin nothing."""

    @certcore.hookimpl
    def certcore_authorize(self, actor, action):
        return actor != "looker" or action in ("certificate.view", "certificate.check")


def test_who_may_not_renew_only_has_it_looked_at(bench):
    """Asking for a check is no way round the permission to renew."""
    environment = FrozenEnvironment()
    ca = ScriptedCA([Act.ISSUE], now=environment.now())
    with CertCore.in_memory(plugins=[ca.plugin(), Checker()], installed_plugins=False, environment=environment) as core:
        authority = core.authorities.create("test", module="scripted")
        one = _failed_reissue(evolve(bench, core=core, ca=ca, environment=environment, authority=authority))
        core.certificates.check_now(one, actor="looker")
        core.reconcile(one)
        assert [issuance.number for issuance in core.certificates.issuances(one)] == [1, 2]
        with pytest.raises(AccessDenied):
            core.certificates.renew(one, actor="looker")
        core.certificates.check_now(one, actor="system")
        assert len(core.certificates.issuances(one)) == 3
