"""Whatever a CA module does: it is refused or contained; others get their certificates, and no thread is lost."""

import contextlib
import os
import signal
import sys
import time
from datetime import timedelta

import attrs
import pytest

from certcore import CertCore, NoticePolicy
from certcore.adapters.plugins.module_checks import METHODS
from certcore.errors import CertCoreError, InvalidInputError, PluginError, UnknownModuleError
from certcore.model import form
from certcore.model.lifecycle import Status
from certcore.model.plugin_calls import call_plugin
from certcore.model.secret import Secret
from certcore.ports.ca_module import CAModule, NoSettings
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.scripted_ca import Act, ScriptedCA
from support.broken_modules import ANYWHERE, HINTS, SECRET, STEPS, Wild, raising, returning, waiting
from support.inside import inside
from support.module_users import Named, activated, in_thread, profile_of, requested


@pytest.fixture
def wild():
    return Wild()


@pytest.fixture
def core(wild):
    healthy = ScriptedCA([Act.ISSUE], now=FrozenEnvironment().now())
    with CertCore.in_memory(
        plugins=[wild.plugin(), Named(healthy)],
        installed_plugins=False,
        environment=FrozenEnvironment(),
        notices=NoticePolicy(days_before=()),
    ) as core:
        assert core.plugin_failures == ()
        yield core


@pytest.mark.parametrize("what", [*ANYWHERE, *STEPS])
def test_a_step_that_breaks_a_promise_is_contained(core, wild, what):
    """The page names the module and what it did; a certificate beside it becomes active; no thread is lost."""
    does, words = {**ANYWHERE, **STEPS}[what]
    certificate_id = requested(core, profile_of(core))
    wild.wild["advance"] = does
    other = requested(core, profile_of(core, "scripted"), "healthy.example")
    worker = core.worker(threads=1, poll_interval=0.01)
    worker.start()
    try:
        deadline = time.monotonic() + 30
        while (
            core.certificates.get(other).status is not Status.ACTIVE
            or not core.certificates.get(certificate_id).problem
        ):
            assert time.monotonic() < deadline, (
                core.certificates.get(other).status,
                core.certificates.get(certificate_id).problem,
            )
            time.sleep(0.002)
        assert worker.health().threads == 1
    finally:
        assert worker.stop(timeout=30)
    title = core.certificates.get(certificate_id).problem.title
    assert words in title
    assert words.startswith("There is no") or "'wild'" in title
    assert SECRET not in title
    assert core.certificates.view(certificate_id).schedule.due_at > core.now()


def _ask_renewal_info(core, certificate_id):
    before = core.certificates.view(certificate_id).active.renewal_info
    inside(core).environment.set(before.check_at)
    core.reconcile(certificate_id)
    assert core.certificates.view(certificate_id).active.renewal_info.failures == before.failures + 1
    raise PluginError("wild", "renewal_info", "contained.")


def _shown(hints):
    """What the right column says in place of the module's hints."""
    (notice,) = [hint for hint in hints if getattr(getattr(hint, "text", None), "key", "") == "core.module_failed"]
    raise PluginError("wild", "hints", str(notice.text))


def _in_the_way(core, certificate_id):
    """What a preflight says in place of what the module finds."""
    (obstacle,) = core.certificates.preflight(certificate_id).readiness.obstacles
    assert obstacle.finding.code == "authority_unusable"
    raise PluginError("wild", "preflight", str(obstacle.finding.cause))


#: How each method is reached, with an active certificate and its profile.
REACHED = {
    "advance": None,  # by the worker: see above
    "check": lambda core, one, profile: core.authorities.check(profile),
    "diagnose": lambda core, one, profile: core.diagnose(["shop.test"], authority=profile),
    "check_profile": lambda core, one, profile: core.authorities.edit(profile, settings={"note": "new"}),
    "check_request": lambda core, one, profile: core.certificates.create("new.example", authority=profile),
    "certificate_deleted": lambda core, one, profile: core.certificates.delete(one),
    "certificate_actions": lambda core, one, profile: core.certificates.actions(one),
    "budgets": lambda core, one, profile: core.authorities.budgets(profile),
    "certificate_files": lambda core, one, profile: core.certificates.files(one),
    "profile_files": lambda core, one, profile: core.authorities.files(profile),
    "certificate_form": lambda core, one, profile: core.authorities.certificate_form(profile),
    "clean_up": None,
    "dns_server": lambda core, one, profile: core.dns_server(listen=("127.0.0.1", 0), module="wild"),
    "hints": lambda core, one, profile: _shown(core.certificates.hints(one)),
    "preflight": lambda core, one, profile: _in_the_way(core, one),
    "wants_preflights": lambda core, one, profile: _in_the_way(core, one),
    "profile_actions": lambda core, one, profile: core.authorities.actions(profile),
    "profile_form": lambda core, one, profile: core.authorities.profile_form(profile),
    "profile_hints": lambda core, one, profile: _shown(core.authorities.hints(profile)),
    "renewal_info": lambda core, one, profile: _ask_renewal_info(core, one),
    "revoke": lambda core, one, profile: core.certificates.revoke(one),
    "run_certificate_action": lambda core, one, profile: core.certificates.run_action(one, "greet"),
    "run_action": lambda core, one, profile: core.authorities.run_action(profile, "greet", {"whom": "you"}),
}


def test_every_method_of_a_module_is_tried():
    """No method that certcore calls is left out of these tables."""
    assert set(REACHED) == set(METHODS)


@pytest.mark.parametrize("method", [name for name, reach in REACHED.items() if reach is not None])
def test_every_call_into_a_module_is_contained(core, wild, method):
    """Whatever any method raises or returns, the caller gets a PluginError that names the module, or a notice."""
    profile = profile_of(core)
    certificate_id = activated(core, profile)
    cases = {**ANYWHERE, **(HINTS if method.endswith("hints") else {})}
    if method == "dns_server":  # what a server is, only its module knows
        cases = {name: case for name, case in cases.items() if "returned" not in case[1] and name != "something rude"}
    for name, (does, words) in cases.items():
        wild.wild[method] = does
        error = in_thread(lambda: REACHED[method](core, certificate_id, profile))
        wild.wild.clear()
        assert isinstance(error, PluginError), (name, error)
        assert method == "renewal_info" or words in error.message, (name, error.message)
        assert SECRET not in str(error)
    assert core.certificates.get(certificate_id).status is Status.ACTIVE


@pytest.mark.parametrize("what", ANYWHERE)
def test_cleaning_up_that_fails_is_tried_again(core, wild, what):
    """A delete is refused and says why; the engine tries again later, and takes everything back in the end."""
    does, words = ANYWHERE[what]
    wild.script = (Act.WAIT_OWNER,)
    certificate_id = requested(core, profile_of(core))
    core.reconcile(certificate_id)
    wild.wild["clean_up"] = does
    error = in_thread(lambda: core.certificates.delete(certificate_id))
    assert isinstance(error, PluginError)
    assert words in error.message
    core.certificates.back_to_draft(certificate_id)
    assert in_thread(lambda: core.reconcile(certificate_id)) is None
    due_at = core.certificates.view(certificate_id).schedule.due_at
    assert due_at > core.now()
    wild.wild.clear()
    inside(core).environment.set(due_at)
    core.reconcile(certificate_id)
    assert not any(attempt.needs_clean_up for attempt in core.certificates.issuances(certificate_id))


@pytest.mark.parametrize("again", ["now", "past", "9999"])
def test_a_clean_up_is_not_asked_without_a_pause_nor_forgotten(core, wild, again):
    """Whenever a module wants to try again: not at once, and not in a year."""
    wild.script = (Act.WAIT_OWNER,)
    certificate_id = requested(core, profile_of(core))
    core.reconcile(certificate_id)
    core.certificates.back_to_draft(certificate_id)
    now = core.now()
    moments = {"now": now, "past": now.replace(year=1971), "9999": now.replace(year=9999)}
    wild.wild["clean_up"] = returning(moments[again])
    core.reconcile(certificate_id)
    pause = (core.certificates.view(certificate_id).schedule.due_at - now).total_seconds()
    assert 1 <= pause <= 86400


def test_what_a_module_means_for_people_reaches_them(core, wild):
    """An error of certcore.errors from a module is shown in its own words, in a step and in a service."""
    profile = profile_of(core)
    certificate_id = requested(core, profile)
    wild.wild["advance"] = raising(CertCoreError("The CA asks for something else.", advice="Tell the CA."))
    core.reconcile(certificate_id)
    problem = core.certificates.get(certificate_id).problem
    assert (problem.title, problem.advice) == ("The CA asks for something else.", "Tell the CA.")
    wild.wild["profile_form"] = raising(CertCoreError("The list of plans is not there.", advice="Wait."))
    with pytest.raises(CertCoreError, match="The list of plans is not there") as caught:
        core.authorities.profile_form(profile)
    assert not isinstance(caught.value, PluginError)


def test_a_module_cannot_change_what_is_stored(core, wild):
    """A state that a module changes after it was handed in, or out, stays as it was stored."""
    certificate_id = requested(core, profile_of(core))
    mine = {"mine": [1]}
    wild.wild["advance"] = returning(waiting(state=mine))
    core.reconcile(certificate_id)
    mine["mine"].append(2)

    def change(work):
        work.issuance.module_state["mine"].append(3)
        raise RuntimeError

    wild.wild["advance"] = change
    inside(core).environment.set(core.certificates.view(certificate_id).schedule.due_at)
    core.reconcile(certificate_id)
    assert core.certificates.issuances(certificate_id)[0].module_state == {"mine": [1]}


def test_an_interrupt_of_the_main_thread_stays_one():
    """Ctrl-C while a plugin runs interrupts the program; what a signal's handler raises there passes, too."""
    with pytest.raises(KeyboardInterrupt):
        call_plugin("wild", "advance", raising(KeyboardInterrupt()), returns=None)

    def leave(number, frame):
        raise SystemExit(number)

    def interrupted():
        os.kill(os.getpid(), signal.SIGUSR1)
        time.sleep(5)

    before = signal.signal(signal.SIGUSR1, leave)
    try:
        with pytest.raises(SystemExit):
            call_plugin("wild", "advance", interrupted, returns=None)
    finally:
        signal.signal(signal.SIGUSR1, before)
    with pytest.raises(PluginError, match="raised SystemExit"):
        call_plugin("wild", "advance", raising(SystemExit(1)), returns=None)


def test_the_log_says_where_and_no_text(caplog):
    """A plugin's author finds file, line and function; the text of the exception, and of the source, stays out."""
    with contextlib.suppress(PluginError):
        call_plugin("wild", "advance", raising(RuntimeError("s3cr3t")), returns=None)
    assert "'wild' raised RuntimeError in advance" in caplog.text
    assert f'File "{raising.__code__.co_filename}"' in caplog.text
    assert "in function" in caplog.text
    assert "s3cr3t" not in caplog.text


class WithoutCleanUp(CAModule):
    """Says that it holds something, and cannot take it back."""

    name = "holding"
    title = "Holding"
    profile_type = NoSettings

    def advance(self, work):
        return waiting(needs_clean_up=True)

    def hints(self, view, context):
        return []


def test_a_module_that_cannot_take_back_what_it_holds_is_told():
    """Half of a power that only a step shows is said at that step."""
    with CertCore.in_memory(
        plugins=[Named(WithoutCleanUp())], installed_plugins=False, environment=FrozenEnvironment()
    ) as core:
        profile = core.authorities.create("x", module="holding").id
        certificate_id = requested(core, profile)
        core.reconcile(certificate_id)
        assert "the module has no method clean_up" in core.certificates.get(certificate_id).problem.title


def test_hints_cannot_change_what_is_stored(core, wild):
    """What a module changes in the view that it is given stays its own."""
    certificate_id = requested(core, profile_of(core))
    wild.wild["advance"] = returning(waiting(state={"mine": [1]}))
    core.reconcile(certificate_id)
    wild.wild["hints"] = lambda view, context: view.issuance.module_state["mine"].append(2) or []
    core.certificates.hints(certificate_id)
    assert core.certificates.issuances(certificate_id)[0].module_state == {"mine": [1]}


@pytest.mark.parametrize("look_again", ["now", "9999"])
def test_a_module_that_never_rests_takes_nobody_the_turn(core, wild, look_again):
    """A module that asks for the next look at once, or in thousands of years, delays no other certificate."""
    now = core.now()
    moment = now if look_again == "now" else now.replace(year=9999)
    wild.wild["advance"] = returning(waiting(look_again=moment))
    certificate_id = requested(core, profile_of(core))
    other = requested(core, profile_of(core, "scripted"), "healthy.example")
    worker = core.worker(threads=1, poll_interval=0.01)
    worker.start()
    try:
        deadline = time.monotonic() + 30
        while core.certificates.get(other).status is not Status.ACTIVE:
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        assert worker.stop(timeout=30)
    assert core.certificates.view(certificate_id).schedule.due_at <= now + timedelta(days=8)


def test_a_module_that_is_gone_is_looked_for_among_the_broken():
    """If a CA module does not load any more, the error lists the plugins that could not be used."""
    broken = Named("no module")
    with CertCore.in_memory(plugins=[broken], installed_plugins=False) as other:
        with pytest.raises(UnknownModuleError) as caught:
            other.authorities.create("x", module="healthy")
        assert "could not be used, see plugin_failures: healthy" in caught.value.advice


@attrs.frozen(kw_only=True)
class _Fields:
    """Settings whose own code fails."""

    parsed: str = form.text("Parsed", default="", parse=lambda text, name: sys.exit(3))
    secret: Secret | None = form.secret("Secret", default=None)
    checked: str = form.text("Checked", default="")

    def __attrs_post_init__(self):
        if self.checked == "wrong":
            raise ValueError(self.secret)
        if self.checked == "refused":
            raise InvalidInputError("checked", "is refused.")


class _WithFields(WithoutCleanUp):
    name = "fields"
    profile_type = _Fields
    certificate_type = _Fields


@pytest.mark.parametrize("settings", [{"parsed": "x"}, {"checked": "wrong", "secret": SECRET}])
def test_settings_whose_own_code_fails_are_contained(settings):
    """A parser or a check of a module's form that raises is the module's failure; what it refuses, it refuses."""
    with CertCore.in_memory(
        plugins=[Named(_WithFields())], installed_plugins=False, environment=FrozenEnvironment()
    ) as core:
        with pytest.raises(PluginError, match="'fields' failed in _Fields") as caught:
            core.authorities.create("x", module="fields", settings=settings)
        assert SECRET not in str(caught.value)
        with pytest.raises(InvalidInputError, match="is refused"):
            core.authorities.create("x", module="fields", settings={"checked": "refused"})
        profile = core.authorities.create("x", module="fields").id
        with pytest.raises(PluginError, match="'fields' failed in _Fields"):
            core.certificates.create("a.example", authority=profile, module_data=settings)
