"""Actions of a CA module on a certificate's page: offered, permitted, validated, run, recorded, and contained."""

import threading
from datetime import timedelta

import pytest
from attrs import evolve, frozen

from certcore import CertCore, Role, RolePolicy, Status
from certcore.errors import (
    AccessDeniedError,
    ActionRefusedError,
    CAError,
    CertificateBusyError,
    InvalidInputError,
    NotFoundError,
    PluginError,
    TransitionNotAllowedError,
)
from certcore.hints import ActionButton, Message, hint_to_json
from certcore.model.lifecycle import Action
from certcore.plugin import ActionDone, ActionRefused, CertificateAction, Permission, form
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.module_harness import ModuleHarness
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.cores import core_on
from support.inside import inside

PIN = "canary-pin-4711"


@frozen(kw_only=True)
class Approval:
    reference: str = form.text("Reference", maximum=20)
    copies: int = form.integer("Copies", minimum=1, maximum=3)
    pin: object = form.secret("PIN")


APPROVE = CertificateAction(
    name="approve",
    label=Message("desk.approve", "Approve"),
    help=Message("desk.approve.help", "Has the desk issue the leaf."),
    form=Approval,
    confirm=Message("desk.approve.confirm", "Approve the request?"),
    permission=Permission.CERTIFICATE_APPROVE,
)
REMIND = CertificateAction(
    name="remind", label=Message("desk.remind", "Remind"), help=Message("desk.remind.help", "Sends a reminder.")
)
GOOD = {"reference": "A-17", "copies": "2", "pin": PIN}


class DeskCA(ScriptedCA):
    """Waits until somebody approves."""

    def __init__(self, *, now):
        super().__init__([Act.WAIT_OWNER], now=now)
        self.offers = [APPROVE, REMIND]
        self.runs = []
        self.answer = None
        self.issued = threading.Event()

    def advance(self, work):
        if (work.state or {}).get("approved_by"):
            self.issued.set()
            return self._act(Act.ISSUE, work, dict(work.state))
        return super().advance(work)

    def certificate_actions(self, view, context):
        approved = view.issuance is not None and "approved_by" in (view.issuance.module_state or {})
        return [action for action in self.offers if action.name != "approve" or (view.under_way and not approved)]

    def run_certificate_action(self, name, values, work, *, actor):
        self.runs.append((name, values, work, actor))
        if self.answer is not None:
            return self.answer(work)
        if name == "remind":
            return ActionDone(text=Message("desk.reminded", "Reminded {actor}.", {"actor": actor}))
        text = Message(
            "desk.approved", "{actor} approved {reference}.", {"actor": actor, "reference": values.reference}
        )
        work.documents.with_outcome.put(f"approved/{work.certificate.id}", {"by": actor})
        return ActionDone(text=text, state={**(work.state or {}), "approved_by": actor})


ROLES = {"vera": Role.VIEWER, "otto": Role.OPERATOR, "system": Role.ADMINISTRATOR}


@pytest.fixture(params=["memory", "sqlite"])
def desk(request, tmp_path):
    environment = FrozenEnvironment()
    ca = DeskCA(now=environment.now())
    with core_on(request.param, tmp_path, plugins=[ca.plugin(), RolePolicy(ROLES)], environment=environment) as core:
        yield core, ca


def _waiting(core, owner="anna"):
    profile = core.authorities.create(f"desk of {owner}", module="scripted", settings={"api_key": "canary-api-key"})
    certificate_id = core.certificates.create("shop.example", authority=profile.id, owner=owner).id
    core.certificates.generate_csr(certificate_id)
    core.reconcile(certificate_id)
    return certificate_id


def _buttons(core, certificate_id, actor):
    return {
        hint.name: hint
        for hint in core.certificates.hints(certificate_id, actor=actor)
        if isinstance(hint, ActionButton)
    }


def test_an_action_is_run_recorded_and_wakes_the_certificate(desk):
    """The operator approves: the next step sees the new state and issues; the timeline says who and what."""
    core, ca = desk
    certificate_id = _waiting(core)
    assert core.reconcile(certificate_id).stepped is False
    done = core.certificates.run_action(certificate_id, "approve", GOOD, actor="otto")
    assert str(done) == "otto approved A-17."
    (event,) = [event for event in core.certificates.timeline(certificate_id) if event.kind == "acted"]
    assert (event.actor, dict(event.data)) == ("otto", {"action": "approve", "text": "otto approved A-17."})
    _, values, work, _ = ca.runs[0]
    assert (values.copies, values.pin.reveal_text(), work.owner) == (2, PIN, "anna")
    assert core.due() == [certificate_id]
    assert core.reconcile(certificate_id).status is Status.ACTIVE
    assert inside(core).contexts.documents(ca).get(f"approved/{certificate_id}").value == {"by": "otto"}
    assert PIN not in repr(core.certificates.view(certificate_id))
    assert core.certificates.verify_timeline(certificate_id).intact


def test_a_page_shows_a_button_to_those_who_may_press_it(desk):
    """The owner does not approve the own request, a viewer presses nothing, a stranger sees nothing."""
    core, ca = desk
    certificate_id = _waiting(core)
    assert {"approve", "remind"} <= set(_buttons(core, certificate_id, "otto"))
    assert {"remind"} == {"approve", "remind"} & set(_buttons(core, certificate_id, "anna"))
    assert set(_buttons(core, certificate_id, "vera")) == set()
    document = hint_to_json(_buttons(core, certificate_id, "otto")["approve"])
    assert [field["name"] for field in document["fields"]] == ["reference", "copies", "pin"]
    assert document["confirm"]["text"] == "Approve the request?"
    for actor, refused in (("anna", AccessDeniedError), ("vera", AccessDeniedError), ("mallory", NotFoundError)):
        with pytest.raises(refused):
            core.certificates.run_action(certificate_id, "approve", GOOD, actor=actor)
    assert [action.name for action in core.certificates.actions(certificate_id, actor="anna")] == ["remind"]
    core.certificates.run_action(certificate_id, "remind", actor="anna")
    assert [name for name, *_ in ca.runs] == ["remind"]


def test_every_offered_button_can_be_pressed(desk):
    """One call runs what a page shows, whether it is of certcore or of the module."""
    core, _ = desk
    for name in ("check_now", "approve", "remind"):
        certificate_id = _waiting(core, owner=f"owner of {name}")
        assert name in _buttons(core, certificate_id, "otto")
        done = core.certificates.run_action(certificate_id, name, GOOD if name == "approve" else None, actor="otto")
        assert isinstance(done, Message)
        assert core.due() == [certificate_id]
        core.certificates.delete(certificate_id)


@pytest.mark.parametrize("button", ["generate_csr", "check_now", "renew", "back_to_draft", "cancel_attempt"])
def test_a_button_of_certcore_asks_the_policy_and_the_status(desk, button):
    """A viewer may press none; where the status forbids it, it is refused as the call of that name is."""
    core, _ = desk
    certificate_id = _waiting(core)
    with pytest.raises(AccessDeniedError):
        core.certificates.run_action(certificate_id, button, actor="vera")
    offered = button in core.certificates.view(certificate_id).actions
    try:
        core.certificates.run_action(certificate_id, button, actor="otto")
    except TransitionNotAllowedError:
        assert not offered
    else:
        assert offered
    with pytest.raises(InvalidInputError, match="takes no values"):
        core.certificates.run_action(certificate_id, button, {"x": "1"}, actor="otto")


def test_what_does_not_fit_is_refused_before_anything_runs(desk):
    """A wrong value names its field, an unknown action what is possible; nothing is run or stored."""
    core, ca = desk
    certificate_id = _waiting(core)
    before = core.certificates.view(certificate_id)
    for values, field in (
        ({**GOOD, "copies": "9"}, "copies"),
        ({**GOOD, "reference": "x" * 21}, "reference"),
        ({**GOOD, "more": "1"}, "more"),
        ({"copies": "1"}, "reference"),
    ):
        with pytest.raises(InvalidInputError) as refused:
            core.certificates.run_action(certificate_id, "approve", values, actor="otto")
        assert refused.value.field == field
    with pytest.raises(InvalidInputError, match=r"Possible now: .*check_now.*, approve, remind\."):
        core.certificates.run_action(certificate_id, "explode", actor="otto")
    with pytest.raises(InvalidInputError, match="delete"):
        core.certificates.run_action(certificate_id, "delete", actor="otto")
    assert ca.runs == []
    assert core.certificates.view(certificate_id) == before


REFUSALS = {
    "a refusal": (
        lambda work: ActionRefused(reason=Message("desk.closed", "The desk opens at {hour}.", {"hour": 8})),
        ActionRefusedError,
        "opens at 8",
    ),
    "a wrong field": (
        lambda work: ActionRefused(field="reference", reason=Message("desk.unknown", "is not known.")),
        InvalidInputError,
        "reference: is not known",
    ),
    "a text with a secret": (
        lambda work: ActionDone(text=Message("desk.done", "Used {pin}.", {"pin": PIN})),
        PluginError,
        "holds a secret",
    ),
    "a state with a secret": (
        lambda work: ActionDone(text=Message("desk.done", "Done."), state={"key": "canary-api-key"}),
        PluginError,
        "holds a secret",
    ),
    "a large state": (
        lambda work: ActionDone(text=Message("desk.done", "Done."), state={"all": "x" * 300_000}),
        PluginError,
        "whose state has",
    ),
    "nothing": (lambda work: None, PluginError, "ActionDone or ActionRefused belongs"),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refused_action_stores_nothing(desk, what):
    """Neither state nor documents nor an event; the certificate is due when it was before."""
    core, ca = desk
    certificate_id = _waiting(core)
    answer, kind, words = REFUSALS[what]

    def run(work):
        work.documents.with_outcome.put("half", {})
        return answer(work)

    ca.answer = run
    before = core.certificates.view(certificate_id)
    with pytest.raises(kind, match=words) as refused:
        core.certificates.run_action(certificate_id, "approve", GOOD, actor="otto")
    assert PIN not in str(refused.value.as_dict())
    after = core.certificates.view(certificate_id)
    assert (after.issuance, after.events, after.certificate) == (before.issuance, before.events, before.certificate)
    assert after.schedule.due_at == before.schedule.due_at
    assert not after.schedule.is_leased(core.now())
    assert inside(core).contexts.documents(ca).get("half") is None


def test_a_refusal_can_be_translated(desk):
    """The error has the key of the module's text, and its parameters."""
    core, ca = desk
    certificate_id = _waiting(core)
    ca.answer = REFUSALS["a refusal"][0]
    with pytest.raises(ActionRefusedError) as refused:
        core.certificates.run_action(certificate_id, "approve", GOOD, actor="otto")
    assert (refused.value.text.key, dict(refused.value.text.params)) == ("desk.closed", {"hour": 8})
    assert refused.value.as_dict()["params"]["action"] == "approve"


def test_an_error_of_the_ca_reaches_the_person(desk):
    """What a module raises for people is shown in its words."""
    core, ca = desk
    certificate_id = _waiting(core)

    def fail(work):
        raise CAError("The CA is closed.", problem_type="urn:x", advice="Come back.")

    ca.answer = fail
    with pytest.raises(CAError, match="closed"):
        core.certificates.run_action(certificate_id, "approve", GOOD, actor="otto")


UNSOUND = {
    "a name of certcore": ([evolve(REMIND, name="renew")], "is an action of certcore"),
    "a name of the engine": ([evolve(REMIND, name="install")], "is an action of certcore"),
    "two alike": ([REMIND, REMIND], "two actions named"),
    "no name": ([evolve(REMIND, name="Do it!")], "lower-case letters"),
    "too many": ([evolve(REMIND, name=f"a{number}") for number in range(31)], "30 are allowed"),
    "another permission": ([evolve(REMIND, permission=Permission.KEYRING_CHANGE)], "certificate.act or"),
    "no form": ([evolve(REMIND, form=int)], "whose form is not an attrs class"),
}


@pytest.mark.parametrize("what", UNSOUND)
def test_actions_that_cannot_be_offered_are_the_modules_fault(desk, what):
    """The page stays and says so; the call names the plugin; certcore's own buttons work."""
    core, ca = desk
    certificate_id = _waiting(core)
    ca.offers, words = UNSOUND[what]
    with pytest.raises(PluginError, match=words):
        core.certificates.actions(certificate_id)
    with pytest.raises(PluginError, match=words):
        core.certificates.run_action(certificate_id, "remind")
    texts = [str(hint.text) for hint in core.certificates.hints(certificate_id) if hasattr(hint, "text")]
    assert any(words in text for text in texts)
    core.certificates.run_action(certificate_id, "check_now")


def test_the_outcome_of_a_running_step_does_not_overwrite_an_action(desk):
    """A step that began before the approval is not stored; the next one sees the approval."""
    core, ca = desk
    certificate_id = _waiting(core)
    core.certificates.check_now(certificate_id)

    def advance(work):
        del ca.advance  # once
        core.certificates.run_action(certificate_id, "approve", GOOD, actor="otto")
        return ca.advance(work)

    ca.advance = advance
    core.reconcile(certificate_id)
    assert core.certificates.view(certificate_id).issuance.module_state["approved_by"] == "otto"
    assert core.reconcile(certificate_id).status is Status.ACTIVE


def test_no_step_runs_while_an_action_does_and_no_second_action(desk):
    """The certificate is leased: a reconcile does nothing, another action is told to wait."""
    core, ca = desk
    certificate_id = _waiting(core)
    core.certificates.check_now(certificate_id)
    seen = []

    def run(work):
        seen.append(core.reconcile(certificate_id).stepped)
        with pytest.raises(CertificateBusyError):
            core.certificates.run_action(certificate_id, "remind", actor="otto")
        return ActionDone(text=Message("desk.done", "Done."))

    ca.answer = run
    core.certificates.run_action(certificate_id, "approve", GOOD, actor="otto")
    assert seen == [False]
    assert core.reconcile(certificate_id).stepped


@pytest.mark.parametrize("change", ["back_to_draft", "delete"])
def test_a_change_of_the_user_meanwhile_wins(desk, change):
    """The action's result is refused, and the caller is told."""
    core, ca = desk
    certificate_id = _waiting(core)

    def run(work):
        getattr(core.certificates, change)(certificate_id)
        return ActionDone(text=Message("desk.done", "Done."), state={})

    ca.answer = run
    with pytest.raises((CertificateBusyError, NotFoundError)):
        core.certificates.run_action(certificate_id, "approve", GOOD, actor="otto")
    assert not [event for event in core.certificates.timeline(certificate_id) if event.kind == "acted"]


def test_a_process_that_died_in_an_action_does_not_keep_the_certificate(desk):
    """After some minutes a worker takes it over."""
    core, _ = desk
    certificate_id = _waiting(core)
    with inside(core).storage.write() as transaction:
        schedule = transaction.schedules.get(certificate_id)
        transaction.schedules.save(
            evolve(schedule, due_at=core.now(), lease_owner="action", lease_until=core.now() + timedelta(minutes=5))
        )
    assert not core.reconcile(certificate_id).stepped
    inside(core).environment.advance(timedelta(minutes=6))
    assert core.reconcile(certificate_id).stepped


def test_an_action_without_an_issuance_has_no_state(desk):
    """A draft may have actions; a state belongs to an issuance that is under way."""
    core, ca = desk
    profile = core.authorities.create("desk", module="scripted")
    certificate_id = core.certificates.create("shop.example", authority=profile.id).id
    core.certificates.run_action(certificate_id, "remind")
    assert ca.runs[0][2].issuance is None
    ca.answer = lambda work: ActionDone(text=Message("desk.done", "Done."), state={})
    with pytest.raises(PluginError, match="no issuance is under way"):
        core.certificates.run_action(certificate_id, "remind")


def test_the_module_of_a_fallback_acts_while_it_is_at_work():
    """An issuance that has moved to a fallback has the actions of that CA profile."""
    environment = FrozenEnvironment()
    ca = DeskCA(now=environment.now())
    ca.scripts = {"us": (Act.CA_REFUSES,)}
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        first = core.authorities.create("first", module="scripted", settings={"region": "us"}).id
        second = core.authorities.create("second", module="scripted").id
        certificate_id = core.certificates.create("a.example", authority=first, fallbacks=[second]).id
        core.certificates.generate_csr(certificate_id)
        for _ in range(3):
            core.reconcile(certificate_id)
        core.certificates.run_action(certificate_id, "approve", GOOD)
        assert ca.runs[0][2].authority_id == second


def test_a_worker_issues_within_a_second_of_the_approval():
    """Whatever the certificate waited for, the worker sees the approval at once."""
    ca = DeskCA(now=FrozenEnvironment().now())
    environment = FrozenEnvironment()
    with CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False, environment=environment) as core:
        certificate_id = _waiting(core)
        worker = core.worker(threads=1)
        worker.start()
        try:
            core.certificates.run_action(certificate_id, "approve", GOOD)
            assert ca.issued.wait(timeout=1.5)
        finally:
            worker.stop(timeout=10)


def test_reserved_names_are_all_that_certcore_has():
    """A module cannot take the name of any action, of a user or of the engine."""
    assert {"renew", "delete", "install", "revoke", "edit"} <= set(Action)


# -- waiting for an administrator ------------------------------------------------------------------------------------


@pytest.fixture
def waiting(bench):
    """A request that waits for an administrator, of the scripted CA."""
    bench.ca.script = (Act.WAIT_OWNER, Act.WAIT_ADMINISTRATOR, Act.ISSUE)
    certificate_id = bench.requested()
    bench.core.reconcile(certificate_id)
    bench.step(certificate_id)
    return certificate_id


def test_a_request_waits_for_an_administrator_until_it_is_approved(bench, waiting):
    """It is pending, the page and the timeline say for whom, looks go on, and the approval has it issued."""
    view = bench.core.certificates.view(waiting)
    assert view.certificate.status is Status.PENDING
    assert view.issuance.engine_state.waiting_for == "administrator"
    texts = [str(hint.text) for hint in bench.core.certificates.hints(waiting) if hasattr(hint, "text")]
    assert "The request has been waiting for an administrator since 2030-01-01 00:01 UTC." in texts
    told = [event.data["waiting_for"] for event in view.events if event.kind == "waiting"]
    assert told == ["owner", "administrator"]
    for _ in range(3):
        bench.step(waiting)
    assert [event.kind for event in bench.core.certificates.timeline(waiting)].count("waiting") == 2
    with pytest.raises(InvalidInputError, match="is not known"):
        bench.core.certificates.run_action(waiting, "approve", {"reference": "unknown"})
    bench.core.certificates.run_action(waiting, "approve", {"reference": "A-17"})
    assert bench.core.reconcile(waiting).status is Status.ACTIVE


def test_a_request_that_is_refused_fails_with_a_reason(bench, waiting):
    """An administrator may refuse; the certificate says so, and its owner can take it back to draft."""
    bench.core.certificates.run_action(waiting, "refuse", actor="otto")
    assert bench.core.reconcile(waiting).status is Status.ERROR
    assert bench.core.certificates.actions(waiting) == ()
    bench.core.certificates.run_action(waiting, "back_to_draft")
    assert bench.get(waiting).status is Status.DRAFT


def test_a_renewal_that_waits_for_an_administrator_is_not_silent(bench):
    """The leaf stays in service, and what is told of the late renewal says for whom it waits."""
    certificate_id = bench.active()
    bench.ca.script = (Act.WAIT_ADMINISTRATOR, Act.ISSUE)
    bench.core.certificates.renew(certificate_id)
    bench.core.reconcile(certificate_id)
    assert bench.get(certificate_id).status is Status.ACTIVE
    bench.environment.set(bench.get(certificate_id).not_after - timedelta(days=2))
    texts = [str(hint.text) for hint in bench.core.certificates.hints(certificate_id) if hasattr(hint, "text")]
    assert any("renewal is late" in text and "waits for an administrator" in text for text in texts)


def test_what_waits_for_an_administrator_is_found_by_panel_and_module(bench, waiting):
    """A list for the administrator, and for the module the requests of its profile, page by page."""
    other = bench.core.authorities.create("other", module="scripted").id
    bench.active("active.example")
    bench.ca.script = (Act.WAIT_ADMINISTRATOR,)
    ids = {waiting}
    for number in range(120):
        ids.add(bench.requested(f"n{number}.example"))
    elsewhere = bench.core.certificates.create("elsewhere.example", authority=other).id
    bench.core.certificates.generate_csr(elsewhere)
    for certificate_id in bench.core.due(200):
        bench.core.reconcile(certificate_id)
    rows = bench.core.certificates.rows(attempt="administrator", limit=1000).items
    assert {row.certificate.id for row in rows} == {*ids, elsewhere}
    context = ModuleHarness(bench.core).context(bench.authority.id)
    first = context.waiting_for_administrator(None)
    second = context.waiting_for_administrator(first.next_cursor)
    assert (len(first.items), second.next_cursor) == (100, None)
    assert {certificate.id for certificate in (*first.items, *second.items)} == ids
    with pytest.raises(InvalidInputError):
        context.waiting_for_administrator("nonsense")
