"""CAs that sign at once: one method to write, and a panel sees a CA module like any other."""

from datetime import timedelta

import pytest
from attrs import frozen
from cryptography import x509

import certcore
from certcore import CertCore, RevocationReason, Status
from certcore.engine.issued_leaf import LEAF_KEPT
from certcore.engine.look_again import STALLED
from certcore.engine.order_limit import ORDER_LIMIT
from certcore.hints import ActionButton, Level, Notice
from certcore.messages import Message
from certcore.model.usual_hints import SHOWN_ELSEWHERE
from certcore.plugin import (
    CAError,
    CAModule,
    NoSettings,
    SigningCA,
    SigningPendingError,
    SigningRefusedError,
    Waiting,
    WaitingFor,
    form,
)
from certcore.testing import FrozenEnvironment, LittleAuthority


@frozen(kw_only=True)
class DeskProfile:
    """The settings of its CA profiles."""

    days: int = form.integer("Lifetime", minimum=1, maximum=90, default=30, unit="days")


@frozen(kw_only=True)
class DeskSettings:
    """What a certificate is asked besides."""

    reference: str = form.text("Reference", default="")


class DeskCA(SigningCA[DeskProfile, DeskSettings]):
    """Signs with a little authority, or raises what the test has put into `raises`."""

    name = "desk"
    title = "The desk"

    def __init__(self, now):
        self.authority = LittleAuthority(now)
        self.raises = []
        self.contexts = []
        self.revoked = []
        self.answer = lambda chain: chain

    def sign(self, csr, context):
        self.contexts.append(context)
        if self.raises:
            raise self.raises.pop(0)
        lifetime = timedelta(days=context.profile.days)
        return self.answer(self.authority.issue(context.issuance.csr_pem, now=context.now, lifetime=lifetime))

    def revoke(self, issuance, reason, private_key, context):
        self.revoked.append((issuance.leaf_pem, reason))


class Desk:
    """The plugin."""

    def __init__(self, ca):
        self.ca = ca

    @certcore.hookimpl
    def certcore_ca_modules(self):
        return [self.ca]


@pytest.fixture
def clock():
    return FrozenEnvironment()


@pytest.fixture
def ca(clock):
    return DeskCA(clock.now())


@pytest.fixture
def core(ca, clock):
    with CertCore.in_memory(plugins=[Desk(ca)], installed_plugins=False, environment=clock) as core:
        assert core.plugin_failures == ()
        yield core


@pytest.fixture
def certificate_id(core):
    profile = core.authorities.create("desk", module="desk", settings={"days": "7"})
    certificate = core.certificates.create(
        "shop.example", authority=profile.id, wildcard=True, owner="anna", module_data={"reference": "A-17"}
    )
    return core.certificates.generate_csr(certificate.id).id


def test_it_is_issued_with_the_first_step(core, ca, certificate_id):
    """One step makes a certificate active; sign has the names, both settings, the owner, the store and the clock."""
    assert core.reconcile(certificate_id).status is Status.ACTIVE
    (context,) = ca.contexts
    assert [name.ascii for name in context.names] == ["shop.example", "*.shop.example"]
    assert (context.profile, context.settings) == (DeskProfile(days=7), DeskSettings(reference="A-17"))
    assert (context.owner, context.now, context.state) == ("anna", core.now(), {})
    assert context.issuance.certificate_id == certificate_id
    assert context.documents.seal("key", b"a key of the CA")
    assert context.documents.unseal("key") == b"a key of the CA"
    assert core.certificates.view(certificate_id).days_remaining == 7


def test_the_csr_asks_for_the_names(core, ca, certificate_id):
    """What sign gets as the CSR is the request of the issuance, with the names of the context."""
    seen = []
    ca.sign = lambda csr, context: seen.append((csr, context)) or DeskCA.sign(ca, csr, context)
    core.reconcile(certificate_id)
    ((csr, context),) = seen
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [name.ascii for name in context.names]
    assert csr.is_signature_valid


def test_a_chain_may_be_text_or_objects(core, ca, certificate_id):
    """The chain may be PEM, a list or a tuple of certificates in any order."""
    for answer in (
        lambda chain: x509.load_pem_x509_certificates(chain.encode()),
        lambda chain: tuple(reversed(x509.load_pem_x509_certificates(chain.encode()))),
    ):
        ca.answer = answer
        core.reconcile(certificate_id)
        assert core.certificates.get(certificate_id).status is Status.ACTIVE
        assert core.certificates.get(certificate_id).problem is None
        core.certificates.renew(certificate_id)
    assert len({issuance.leaf_pem for issuance in core.certificates.issuances(certificate_id)}) == 3


@pytest.mark.parametrize("wrong", [None, b"-----BEGIN", 7, [b"bytes"], {}])
def test_another_answer_is_the_plugins_fault(core, ca, certificate_id, wrong):
    """What is neither text nor certificates is reported as the plugin's failure, naming the method."""
    ca.answer = lambda _: wrong
    core.reconcile(certificate_id)
    problem = core.certificates.get(certificate_id).problem
    assert problem.type == "urn:certcore:plugin-error"
    assert "from sign" in problem.title


def test_a_pending_request_is_asked_about_again(core, ca, clock, certificate_id):
    """The owner reads what it waits for; the next call is at the moment asked for, and has the state that was left."""
    waits = Message("desk.waits", "Request {number} waits for approval.", {"number": "A-17"})
    ca.raises = [
        SigningPendingError(
            waits, look_again=timedelta(hours=2), waiting_for=WaitingFor.ADMINISTRATOR, state={"number": "A-17"}
        ),
        SigningPendingError("It still waits.", look_again=clock.now() + timedelta(hours=5)),
    ]
    done = core.reconcile(certificate_id)
    assert (done.status, done.look_again) == (Status.PENDING, clock.now() + timedelta(hours=2))
    notices = [hint.text for hint in core.certificates.hints(certificate_id) if isinstance(hint, Notice)]
    assert ("desk.waits", "Request A-17 waits for approval.") in [(text.key, str(text)) for text in notices]
    clock.advance(timedelta(hours=2))
    assert core.reconcile(certificate_id).status is Status.PROCESSING
    assert ca.contexts[-1].state == {"number": "A-17"}
    clock.advance(timedelta(hours=3))
    assert core.reconcile(certificate_id).status is Status.ACTIVE
    assert ca.contexts[-1].state == {"number": "A-17"}, "it stays as it was left"
    assert len({context.issuance.id for context in ca.contexts}) == 1


def test_a_refusal_is_for_good(core, ca, clock, certificate_id):
    """A refusal ends the issuance with the CA's own words, which the owner reads and can retry."""
    reason = Message("desk.refused", "{name} is not ours.", {"name": "shop.example"})
    ca.raises = [SigningRefusedError(reason, advice="Use a name of the house.")]
    done = core.reconcile(certificate_id)
    assert (done.status, done.look_again) == (Status.ERROR, None)
    problem = core.certificates.get(certificate_id).problem
    assert (problem.title_text.key, problem.title) == ("desk.refused", "shop.example is not ours.")
    (notice,) = [hint for hint in core.certificates.hints(certificate_id) if isinstance(hint, Notice)]
    assert notice.level is Level.ERROR
    assert str(notice.text) == "shop.example is not ours. Use a name of the house."
    core.certificates.check_now(certificate_id)
    assert core.reconcile(certificate_id).status is Status.ACTIVE


def test_a_ca_that_is_down_is_asked_again(core, ca, clock, certificate_id):
    """A CAError is retried, at the moment that the CA asks for, and is the CA's own failure."""
    ca.raises = [CAError("The desk is closed.", detail="back at nine", retry_after=7200)]
    done = core.reconcile(certificate_id)
    assert (done.status, done.look_again) == (Status.PENDING, clock.now() + timedelta(hours=2))
    view = core.certificates.view(certificate_id)
    assert view.certificate.problem.detail == "back at nine"
    assert view.issuance.authority_failures > 0
    clock.advance(timedelta(hours=2))
    assert core.reconcile(certificate_id).status is Status.ACTIVE


def test_a_refusal_of_the_ca_itself_falls_back(core, ca, certificate_id):
    """A refusal for a reason of the CA's own moves a certificate with fallbacks to the next CA profile."""
    second = core.authorities.create("second", module="desk")
    core.certificates.edit(certificate_id, fallbacks=[second.id])
    ca.raises = [SigningRefusedError("The desk is gone.", of_authority=True)]
    for _ in range(3):
        core.reconcile(certificate_id)
    assert core.certificates.get(certificate_id).status is Status.ACTIVE
    assert ca.contexts[-1].authority_id == second.id


def test_a_renewal_knows_the_leaf_in_service(core, ca, clock, certificate_id):
    """A renewal calls sign with a new CSR; the context has the leaf in service."""
    core.reconcile(certificate_id)
    first = core.certificates.view(certificate_id)
    clock.set(first.renews_at)
    for _ in range(3):
        core.reconcile(certificate_id)
    assert ca.contexts[-1].active.leaf == first.leaf
    assert core.certificates.view(certificate_id).leaf.not_after > first.leaf.not_after


def test_it_may_have_powers(core, ca, certificate_id):
    """A signing CA with the method revoke revokes, as every module does."""
    core.reconcile(certificate_id)
    leaf_pem = core.certificates.view(certificate_id).active.leaf_pem
    assert core.certificates.revoke(certificate_id, reason=RevocationReason.SUPERSEDED).status is Status.REVOKED
    assert ca.revoked == [(leaf_pem, RevocationReason.SUPERSEDED)]


def test_the_validity_is_dated_back_and_within_the_issuer(core, ca, certificate_id):
    """`validity` begins an hour ago, and ends with the lifetime or with the CA's own certificate, in whole seconds."""
    core.reconcile(certificate_id)
    context, now = ca.contexts[-1], core.now()
    assert context.validity(timedelta(days=7)) == (now - timedelta(hours=1), now + timedelta(days=7))
    end = now + timedelta(days=3, microseconds=500)
    assert context.validity(timedelta(days=7), not_after=end)[1] == now + timedelta(days=3)


def test_the_types_of_the_settings_are_taken_from_the_brackets():
    """``SigningCA[Profile, Settings]`` sets both types; without them a certificate is asked nothing."""
    assert (DeskCA.profile_type, DeskCA.certificate_type) == (DeskProfile, DeskSettings)

    class Plain(SigningCA):
        profile_type = DeskProfile

    assert Plain.certificate_type is NoSettings


async def _async(self, csr, context):
    """Never runs."""


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"sign": _async}, "sign of the module 'desk' is a coroutine function"),
        ({"sign": lambda self, csr: ""}, "sign of the module 'desk' does not fit"),
        ({"sing": lambda self, csr, context: "", "sign": DeskCA.sign}, ""),
        ({"needs_clean_up": True}, "needs_clean_up = True, but no method clean_up"),
        ({"needs_clean_up": "yes"}, "must be True or False"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_loaded(clock, members, words):
    """A coroutine, a wrong signature and resources that nobody takes back are refused by name."""
    ca = type("Changed", (DeskCA,), members)(clock.now())
    with CertCore.in_memory(plugins=[Desk(ca)], installed_plugins=False) as core:
        reasons = " ".join(failure.reason for failure in core.plugin_failures)
        assert words in reasons
        assert bool(words) is bool(reasons)


# -- things outside that are held from the first step on -------------------------------------------------------------


class HoldingCA(DeskCA):
    """Takes hold of something outside within its only step."""

    needs_clean_up = True

    def __init__(self, now):
        super().__init__(now)
        self.held = set()

    def sign(self, csr, context):
        self.held.add(context.issuance.id)
        return super().sign(csr, context)

    def clean_up(self, work):
        self.held.discard(work.issuance.id)


@pytest.fixture
def holding(clock):
    ca = HoldingCA(clock.now())
    with CertCore.in_memory(plugins=[Desk(ca)], installed_plugins=False, environment=clock) as core:
        profile = core.authorities.create("desk", module="desk")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        yield core, ca, core.certificates.generate_csr(certificate.id).id


def test_what_the_first_step_holds_is_taken_back(holding):
    """The first step issues and nothing stays outside, without a step that only announces."""
    core, ca, certificate_id = holding
    assert core.reconcile(certificate_id).status is Status.ACTIVE
    assert len(ca.contexts) == 1
    for _ in range(3):
        core.reconcile(certificate_id)
    assert ca.held == set()
    assert not any(issuance.needs_clean_up for issuance in core.certificates.issuances(certificate_id))


def test_what_a_lost_step_holds_is_taken_back(holding):
    """A step whose result was never stored, as after a crash, leaves nothing outside after a deletion."""
    core, ca, certificate_id = holding
    ca.held.add(core.certificates.view(certificate_id).issuance.id)
    core.certificates.delete(certificate_id)
    assert ca.held == set()


def test_a_refused_request_is_cleaned_up_and_repeated(holding):
    """After a refusal everything is taken back; a retry of the same issuance holds, and gives back, again."""
    core, ca, certificate_id = holding
    ca.raises = [SigningRefusedError("No.")]
    for _ in range(3):
        core.reconcile(certificate_id)
    assert (core.certificates.get(certificate_id).status, ca.held) == (Status.ERROR, set())
    core.certificates.check_now(certificate_id)
    for _ in range(4):
        core.reconcile(certificate_id)
    assert (core.certificates.get(certificate_id).status, ca.held) == (Status.ACTIVE, set())


# -- hints for modules that have none --------------------------------------------------------------------------------


class WaitingCA(CAModule[DeskProfile, NoSettings]):
    """Waits for whomever the test says, and has no hints of its own."""

    name = "waits"
    title = "A CA that waits"
    waiting_for = WaitingFor.OWNER

    def advance(self, work):
        again = work.environment.now() + timedelta(hours=1)
        return Waiting(state={}, look_again=again, waiting_for=self.waiting_for)


@pytest.mark.parametrize("waiting_for", WaitingFor)
def test_every_module_has_hints(clock, waiting_for):
    """A module without hints shows whom it waits for, when it is looked at again, and a button to look now."""
    ca = WaitingCA()
    ca.waiting_for = waiting_for
    with CertCore.in_memory(plugins=[Desk(ca)], installed_plugins=False, environment=clock) as core:
        profile = core.authorities.create("waits", module="waits")
        certificate = core.certificates.create("shop.example", authority=profile.id)
        (draft,) = core.certificates.hints(certificate.id)
        assert draft.text.key == "usual_hints.draft"
        core.certificates.generate_csr(certificate.id)
        assert core.certificates.hints(certificate.id)[0].text.key == "usual_hints.begins"
        core.reconcile(certificate.id)
        hints = core.certificates.hints(certificate.id)
        assert hints[0].text.key == f"usual_hints.{waiting_for}"
        assert "2030-01-01 01:00 UTC" in [row.value for hint in hints for row in getattr(hint, "rows", ())]
        assert [hint.name for hint in hints if isinstance(hint, ActionButton)] == ["check_now"]


def test_problems_that_certcore_shows_are_not_shown_twice():
    """The problems that the engine finds are left to certcore's own hints."""
    assert {LEAF_KEPT, STALLED, ORDER_LIMIT} == SHOWN_ELSEWHERE
