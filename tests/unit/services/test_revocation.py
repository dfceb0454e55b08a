"""Revoking: only what the CA has confirmed counts, and nothing is issued with the old key afterwards."""

import pytest
from attrs import define, evolve
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

import certcore
from certcore import CertCore, RenewalPolicy, Status
from certcore.errors import (
    AccessDeniedError,
    CAError,
    CertCoreError,
    InvalidInputError,
    NotFoundError,
    TransitionNotAllowedError,
)
from certcore.model.issuance import Outcome
from certcore.model.lifecycle import allowed_actions
from certcore.model.revocation import RevocationReason
from certcore.ports.ca_module import Issued
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.inside import inside


def _events(bench, certificate_id):
    return [event for event in bench.core.certificates.timeline(certificate_id) if event.kind == "revoked"]


def test_a_leaf_is_revoked_and_on_the_record(bench):
    """The CA gets leaf and reason; the certificate is revoked, and the record says who did it, why, and which leaf."""
    certificate_id = bench.active()
    before = bench.core.certificates.view(certificate_id)
    assert "revoke" in before.actions
    done = bench.core.certificates.revoke(certificate_id, reason="key_compromise", actor="anna")
    assert (done.status, bench.get(certificate_id).status) == (Status.REVOKED, Status.REVOKED)
    assert bench.ca.revoked == {before.active.leaf_pem: RevocationReason.KEY_COMPROMISE}
    (event,) = _events(bench, certificate_id)
    assert (event.actor, event.from_status, event.to_status) == ("anna", "active", "revoked")
    assert event.data == {"reason": "key_compromise", "serial": before.leaf.serial_hex}
    assert bench.core.certificates.verify_timeline(certificate_id).intact


def test_it_stays_active_until_the_ca_has_confirmed(bench):
    """A refusal, or no answer, changes nothing; the call can be repeated."""
    certificate_id = bench.active()
    bench.ca.refuses_revocation = True
    with pytest.raises(CAError, match="does not revoke now"):
        bench.core.certificates.revoke(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    assert _events(bench, certificate_id) == []
    bench.ca.refuses_revocation = False
    assert bench.core.certificates.revoke(certificate_id).status is Status.REVOKED


def test_a_new_one_gets_a_new_key_always(bench):
    """Also where the policy keeps the key at renewals: a key that was revoked is not used again."""
    certificate_id = bench.active(renewal=RenewalPolicy(rotate_key=False))
    old = bench.core.certificates.view(certificate_id).active
    bench.core.certificates.revoke(certificate_id, reason=RevocationReason.SUPERSEDED)
    bench.ca.script = (Act.ISSUE,)
    assert bench.core.certificates.renew(certificate_id).status is Status.PENDING
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    new = bench.core.certificates.view(certificate_id).active
    assert new.leaf.spki_sha256 != old.leaf.spki_sha256
    assert new.key_name != old.key_name


@pytest.mark.parametrize("rotate_key", [True, False])
def test_a_renewal_under_way_is_given_up(bench, rotate_key):
    """It is not installed afterwards, its key goes, and what the CA module holds for it is taken back."""
    certificate_id = bench.active(renewal=RenewalPolicy(rotate_key=rotate_key))
    bench.ca.script = (Act.WORK, Act.ISSUE)
    bench.core.certificates.renew(certificate_id)
    bench.core.reconcile(certificate_id)
    active, attempt = bench.core.certificates.issuances(certificate_id)
    assert attempt.id in bench.ca.held
    bench.core.certificates.revoke(certificate_id)
    for _ in range(4):
        bench.step(certificate_id)
    assert bench.ca.held == set()
    assert bench.get(certificate_id).status is Status.REVOKED
    assert bench.core.certificates.issuances(certificate_id)[1].outcome is Outcome.ABANDONED
    with inside(bench.core).storage.read() as transaction:
        assert transaction.secrets.get(active.key_name) is not None
        assert (transaction.secrets.get(attempt.key_name) is None) is rotate_key


def test_a_worker_in_the_middle_of_a_renewal_is_overtaken(bench):
    """What it stores after the revocation is refused: the revoked certificate is not active again behind our back."""
    certificate_id = bench.active()
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    (schedule,) = inside(bench.core).engine.claim_due(10)
    leased = inside(bench.core).engine.load(schedule)
    bench.core.certificates.revoke(certificate_id)
    with pytest.raises(certcore.CertCoreError, match="took over"):
        inside(bench.core).engine.step(leased, keep_lease=False)
    assert bench.get(certificate_id).status is Status.REVOKED


def test_a_leaf_that_was_replaced_meanwhile_is_on_the_record_only(bench):
    """While the CA was asked a renewal came through: its leaf stays in service."""
    certificate_id = bench.active()
    certificates, revoke = bench.core.certificates, bench.ca.revoke

    class Slow(ScriptedCA):
        def revoke(self, leaf_pem, *others):
            bench.ca.script = (Act.ISSUE,)
            certificates.renew(certificate_id)
            bench.step(certificate_id)
            revoke(leaf_pem, *others)

    bench.ca.__class__ = Slow
    old = certificates.view(certificate_id).active
    assert certificates.revoke(certificate_id).status is Status.ACTIVE
    assert list(bench.ca.revoked) == [old.leaf_pem]
    assert certificates.view(certificate_id).active.id != old.id
    (event,) = _events(bench, certificate_id)
    assert (event.to_status, event.data["serial"]) == ("active", old.leaf.serial_hex)


def test_where_there_is_no_leaf_in_service_nothing_is_asked(bench):
    """Drafts, requests and revoked ones are refused in words, unknown ones and reasons too; the CA hears of none."""
    draft, pending, gone = bench.draft().id, bench.requested("a.example"), bench.active("b.example")
    bench.core.certificates.revoke(gone)
    bench.ca.revoked.clear()
    for one in (draft, pending, gone):
        assert "revoke" not in allowed_actions(bench.get(one).status)
        with pytest.raises(TransitionNotAllowedError, match="the action 'Revoke'"):
            bench.core.certificates.revoke(one)
    with pytest.raises(NotFoundError):
        bench.core.certificates.revoke("nobody")
    with pytest.raises(InvalidInputError, match="superseded"):
        bench.core.certificates.revoke(bench.active("c.example"), reason="because")
    assert bench.ca.revoked == {}


def test_a_module_that_cannot_revoke_says_so(bench):
    """The certificate stays active, and the advice says where it can be revoked."""
    certificate_id = bench.active()

    class Without(ScriptedCA):
        revoke = None

    bench.ca.__class__ = Without
    with pytest.raises(CertCoreError, match="cannot revoke") as refused:
        bench.core.certificates.revoke(certificate_id)
    assert "CA's own page" in refused.value.advice
    assert bench.get(certificate_id).status is Status.ACTIVE


# -- leaves that others have, too ---------------------------------------------------------------------------------


def _leaf_and_key(bench, certificate_id):
    exported = bench.core.certificates.export(certificate_id, reason="a test")
    return exported.leaf_pem, exported.private_key.reveal_text()


def _import(bench, leaf, key, owner, **fields):
    return bench.core.certificates.import_certificate(leaf, key, authority=bench.authority.id, owner=owner, **fields).id


@pytest.mark.parametrize("through", [None, "the profile"])
def test_a_public_leaf_gives_no_right_to_revoke(bench, through):
    """Anybody can have a leaf from a handshake: imported without its key it is not revoked, under any CA profile."""
    certificate_id = bench.active(owner="A")
    stolen = _import(bench, bench.core.certificates.view(certificate_id).active.leaf_pem, None, "mallory")
    assert "revoke" not in bench.core.certificates.view(stolen).actions
    with pytest.raises(CertCoreError, match="imported without its private key") as refused:
        bench.core.certificates.revoke(stolen, authority=through and bench.authority.id)
    assert "private key" in refused.value.advice
    assert bench.ca.revoked == {}
    assert bench.get(certificate_id).status is bench.get(stolen).status is Status.ACTIVE
    assert _events(bench, stolen) == []


def test_everybody_who_has_the_leaf_learns_of_it(bench):
    """Whoever had it revoked: others that have it in service are revoked, too, and do not learn who asked."""
    certificate_id = bench.active(owner="A", renewal=RenewalPolicy(rotate_key=False))
    leaf, key = _leaf_and_key(bench, certificate_id)
    proven, watched = _import(bench, leaf, key, "B"), _import(bench, leaf, None, "C")
    other = bench.active("other.example", owner="A")
    bench.ca.script = (Act.WORK, Act.ISSUE)
    bench.core.certificates.renew(certificate_id)  # with the key that is about to be known to be out
    bench.core.reconcile(certificate_id)
    bench.core.certificates.revoke(proven, reason="key_compromise", actor="bert")
    assert {bench.get(each).status for each in (certificate_id, proven, watched)} == {Status.REVOKED}
    assert bench.get(other).status is Status.ACTIVE
    for each in (certificate_id, watched):
        (event,) = _events(bench, each)
        assert (event.actor, event.from_status, event.to_status) == ("engine", "active", "revoked")
        assert event.data["reason"] == "key_compromise"
        assert "bert" not in repr(event)
        assert "B" not in event.data.values()
        assert "core.revoked_elsewhere" in repr(bench.core.certificates.hints(each))
        assert bench.core.certificates.verify_timeline(each).intact
    assert "core.revoked_elsewhere" not in repr(bench.core.certificates.hints(proven))
    for _ in range(4):
        bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.REVOKED
    old = bench.core.certificates.view(certificate_id).leaf.spki_sha256
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    bench.step(certificate_id)
    assert bench.core.certificates.view(certificate_id).leaf.spki_sha256 != old


def test_an_earlier_leaf_that_is_revoked_elsewhere_changes_nothing(bench):
    """What has been replaced is out of service already."""
    certificate_id = bench.active(owner="A")
    leaf, key = _leaf_and_key(bench, certificate_id)
    bench.ca.script = (Act.ISSUE,)
    bench.core.certificates.renew(certificate_id)
    bench.step(certificate_id)
    bench.core.certificates.revoke(_import(bench, leaf, key, "B"))
    assert bench.get(certificate_id).status is Status.ACTIVE
    assert _events(bench, certificate_id) == []


@pytest.mark.parametrize("with_key", [True, False])
def test_a_revoked_leaf_is_not_taken_in(bench, with_key):
    """Also by somebody who never had it: that it was revoked is public."""
    certificate_id = bench.active(owner="A")
    leaf, key = _leaf_and_key(bench, certificate_id)
    bench.core.certificates.revoke(certificate_id)
    for call in (bench.core.certificates.check_import, bench.core.certificates.import_certificate):
        with pytest.raises(InvalidInputError, match="its CA has revoked it") as refused:
            call(leaf, key if with_key else None, owner="B")
        assert certificate_id not in str(refused.value)


class Forger(ScriptedCA):
    """A tenant's own CA: it hands out whatever leaf it likes, and confirms every revocation."""

    name = "forger"
    forged = ""

    def advance(self, work):
        return Issued(state={}, chain_pem=self.forged) if self.forged else super().advance(work)

    def plugin(self):
        return Forgery(self)


@define(eq=False)
class Forgery:
    """What brings that CA."""

    ca: Forger
    name = "forgery"

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [self.ca]


@pytest.fixture
def forger(bench):
    ca = Forger((Act.ISSUE,), now=bench.environment.now())
    with CertCore.in_memory(
        plugins=[bench.ca.plugin(), ca.plugin()], installed_plugins=False, environment=bench.environment
    ) as core:
        authority = core.authorities.create("test", module="scripted")
        own = core.authorities.create("mallory's own", module="forger").id
        yield evolve(bench, core=core, authority=authority), ca, own


def test_a_tenants_own_ca_revokes_nothing_of_others(forger):
    """A forged issuer and serial number, or the very leaf under its public request: nobody else believes that CA."""
    bench, ca, own = forger
    certificates = bench.core.certificates
    certificate_id = bench.active(owner="A")
    view = certificates.view(certificate_id)
    for csr, forged in (
        (None, lambda csr: _forged_leaf(view.active.leaf_pem, csr)),
        (view.active.csr_pem, lambda csr: view.active.leaf_pem),
    ):
        domain = {"csr": csr} if csr else {"domain": "shop.example"}
        theirs = certificates.create(**domain, authority=own, owner="mallory").id
        certificates.generate_csr(theirs)
        ca.forged = forged(certificates.view(theirs).issuance.csr_pem)
        bench.core.reconcile(theirs)
        forged_view = certificates.view(theirs)
        assert (forged_view.leaf.issuer, forged_view.leaf.serial_hex) == (view.leaf.issuer, view.leaf.serial_hex)
        assert certificates.revoke(theirs).status is Status.REVOKED
        assert bench.get(certificate_id).status is Status.ACTIVE
        assert _events(bench, certificate_id) == []
    assert certificates.check_import(view.active.leaf_pem, owner="C").leaf == view.leaf


def _forged_leaf(leaf_pem, csr_pem):
    """A leaf with the issuer, serial number and names of another one, for the key of a request."""
    real = x509.load_pem_x509_certificate(leaf_pem.encode())
    builder = x509.CertificateBuilder().subject_name(real.subject).issuer_name(real.issuer)
    builder = builder.serial_number(real.serial_number).not_valid_before(real.not_valid_before_utc)
    builder = builder.not_valid_after(real.not_valid_after_utc)
    builder = builder.public_key(x509.load_pem_x509_csr(csr_pem.encode()).public_key())
    names = real.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    signed = builder.add_extension(names, critical=False).sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


class Nobody:
    """A policy that lets only root revoke."""

    @certcore.hookimpl
    def certcore_authorize(self, actor, action):
        return actor == "root" if action == "certificate.revoke" else None


def test_the_policy_is_asked_first(bench):
    """Who may not revoke does not reach the CA."""
    with CertCore.in_memory(
        plugins=[bench.ca.plugin(), Nobody()], installed_plugins=False, environment=bench.environment
    ) as core:
        authority = core.authorities.create("test", module="scripted")
        certificate_id = core.certificates.create("shop.example", authority=authority.id).id
        core.certificates.generate_csr(certificate_id)
        bench.ca.script = (Act.ISSUE,)
        core.reconcile(certificate_id)
        with pytest.raises(AccessDeniedError):
            core.certificates.revoke(certificate_id, actor="eve")
        assert bench.ca.revoked == {}
        assert core.certificates.revoke(certificate_id, actor="root").status is Status.REVOKED


@given(st.sampled_from(RevocationReason), st.sampled_from(["_", "-", " ", ""]), st.booleans())
def test_reasons_are_read_as_people_write_them(reason, between, upper):
    """key_compromise, key-compromise, keyCompromise, KEY COMPROMISE."""
    text = reason.replace("_", between)
    assert RevocationReason.parse(text.upper() if upper else text) is reason
