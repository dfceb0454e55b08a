"""The rules of CA modules, from the docstrings of `certcore.plugin.CAModule` and its powers, as pytest tests.

::

    class TestMyModule(CAModuleContract):
        @pytest.fixture
        def core(self):
            plugins = [my_plugin]
            with CertCore.in_memory(plugins=plugins, installed_plugins=False, environment=FrozenEnvironment()) as core:
                yield core

        @pytest.fixture
        def settings(self):
            return {"api_key": "…"}

        module_name = "my_module"

Calls of the module are checked by `certcore.model.plugin_calls`, as in operation.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

import attrs
import pytest
from attrs import evolve

from certcore.core import CertCore
from certcore.engine.module_context import secrets_in
from certcore.engine.step_validation import sound_step
from certcore.errors import InvalidInputError
from certcore.model.certificate import Certificate
from certcore.model.events import EventKind
from certcore.model.form import fields_of
from certcore.model.hints import hint_to_json
from certcore.model.lifecycle import Action, Status
from certcore.model.notes import LONGEST_NOTE, MOST_NOTES, Note
from certcore.model.plugin_calls import call_plugin
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.ports.ca_module import (
    CAModule,
    CheckReport,
    StepResult,
    SupportsCheck,
    SupportsCleanUp,
    SupportsPreflight,
    SupportsRenewalInfo,
    SupportsRevocation,
)
from certcore.ports.module_actions import SupportsCertificateActions
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.module_harness import ModuleHarness
from certcore.x509.chain import check_leaf, parse_chain

__all__ = ["CAModuleContract"]

_MOMENT: Final = timedelta(seconds=0.5)
#: How many steps an issuance may take under a frozen clock.
_MOST_STEPS: Final = 1000


class CAModuleContract:
    """Inherit this class, define ``core``, ``settings`` and ``module_name``, and override the rest if necessary."""

    #: The module's name.
    module_name: ClassVar[str]
    #: Different names for which certificates can be obtained with ``settings``.
    domains: ClassVar[tuple[str, ...]] = ("one.shop.test", "two.shop.test", "three.shop.test")
    #: Settings that must be refused, each with the field that the error must name.
    invalid_settings: ClassVar[tuple[tuple[Mapping[str, Any], str], ...]] = ()

    #: How long a certificate may take to become active, by the core's clock, which may be simulated.
    patience: ClassVar[timedelta] = timedelta(days=3)
    #: How many seconds it may take if the core has the real clock.
    deadline: ClassVar[float] = 240.0

    @pytest.fixture
    def core(self) -> CertCore:
        """A core with the module loaded, and an empty store."""
        raise NotImplementedError("Give the suite a fixture `core`: a CertCore with the plugin, and an empty store.")

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """The settings of a working CA profile."""
        raise NotImplementedError("Give the suite a fixture `settings`: those of a profile that works.")

    def wait(self, core: CertCore, duration: timedelta) -> None:
        """Let time pass; by default, by moving the clock of a `certcore.testing.clock.FrozenEnvironment`."""
        environment = ModuleHarness(core).environment
        if not isinstance(environment, FrozenEnvironment):
            raise NotImplementedError("Give the core a FrozenEnvironment, or override `wait`: let this time pass.")
        environment.advance(duration)

    def owner_acts(self, core: CertCore, certificate_id: str) -> None:
        """Act as the owner of the domain if that is necessary, for example by setting CNAMEs."""

    def held_outside(self, core: CertCore) -> int:
        """The number of resources that the module holds outside now, for example TXT values."""
        return 0

    # -- helpers of the tests -------------------------------------------------------------------------------------

    @pytest.fixture
    def module(self, core: CertCore) -> CAModule[Any, Any]:
        """The module under test."""
        assert not core.plugin_failures, [f"{failure.reason} {failure.advice}" for failure in core.plugin_failures]
        return core.authorities.modules()[self.module_name]

    @pytest.fixture
    def authority_id(self, core: CertCore, settings: Mapping[str, Any]) -> str:
        """The ID of a working CA profile."""
        return core.authorities.create("contract", module=self.module_name, settings=settings).id

    def requested(self, core: CertCore, authority_id: str, number: int = 0) -> str:
        """The ID of a certificate with a key and CSR, after its owner has acted."""
        draft = core.certificates.create(self.domains[number], authority=authority_id)
        self.owner_acts(core, draft.id)
        return core.certificates.generate_csr(draft.id).id

    def drive(self, core: CertCore, certificate_id: str, until: Callable[[Certificate], bool]) -> Certificate:
        """Reconcile until a condition holds, within a time limit, and with a frozen clock within a number of steps."""
        deadline, end = time.monotonic() + self.deadline, core.now() + self.patience
        is_frozen = isinstance(ModuleHarness(core).environment, FrozenEnvironment)
        steps = 0
        while not until(certificate := core.certificates.get(certificate_id)):
            steps += 1
            in_time = core.now() < end and steps < _MOST_STEPS if is_frozen else time.monotonic() < deadline
            assert in_time, f"still {certificate.status}: {certificate.problem}"
            done = core.reconcile(certificate_id)
            if done.look_again is not None:
                ahead = done.look_again - core.now()
                if ahead > timedelta(0):
                    self.wait(core, ahead)
        return certificate

    def issued(self, core: CertCore, certificate_id: str) -> Certificate:
        """The certificate after it has become active and nothing is left to do for this issuance."""
        certificate = self.drive(core, certificate_id, lambda certificate: certificate.status is Status.ACTIVE)
        for _ in range(10):
            if not any(issuance.needs_clean_up for issuance in core.certificates.issuances(certificate_id)):
                return certificate
            core.reconcile(certificate_id)
        return certificate

    def ask(self, core: CertCore, certificate_id: str) -> StepResult | None:
        """Call the module for the current issuance, and discard the result."""
        if core.certificates.view(certificate_id).issuance is None:
            return None
        return ModuleHarness(core).advance(certificate_id)

    # -- forms and settings ---------------------------------------------------------------------------------------

    def test_it_says_what_it_is(self, module: CAModule[Any, Any]) -> None:
        """It has a name, a title and both attrs classes, and every form field has a JSON form."""
        assert re.fullmatch(r"[a-z][a-z0-9_]{0,39}", module.name)
        assert module.name == self.module_name
        assert module.title.strip()
        for kind in (module.profile_type, module.certificate_type):
            assert attrs.has(kind)
            assert json.dumps([field.to_json() for field in fields_of(kind)])

    def test_settings_come_back(self, core: CertCore, authority_id: str, settings: Mapping[str, Any]) -> None:
        """A CA profile is unchanged after it was stored and read again, and its views show no secret."""
        stored = core.authorities.get(authority_id)
        profile: object = ModuleHarness(core).profile(authority_id)
        assert isinstance(profile, core.authorities.modules()[self.module_name].profile_type)
        core.authorities.edit(authority_id, settings={})
        assert ModuleHarness(core).profile(authority_id) == profile
        for name in stored.secrets_set:
            secret = str(settings[name])
            assert secret not in f"{stored!r} {profile!r} {json.dumps(dict(stored.settings))}"

    def test_bad_settings_are_refused_with_their_field(self, core: CertCore, settings: Mapping[str, Any]) -> None:
        """A wrong setting names its field, and nothing is stored."""
        for wrong, field in (({"no_such_field": "x"}, "no_such_field"), *self.invalid_settings):
            with pytest.raises(InvalidInputError) as caught:
                core.authorities.create("wrong", module=self.module_name, settings={**settings, **wrong})
            assert caught.value.field == field
        assert core.authorities.list() == []

    def test_it_can_be_checked(self, core: CertCore, module: CAModule[Any, Any], authority_id: str) -> None:
        """The test of a working CA profile finds no failures."""
        report = core.authorities.check(authority_id)
        assert isinstance(report, CheckReport)
        assert report.ok, report
        assert report.items or not isinstance(module, SupportsCheck)

    def test_the_forms_and_the_profile_can_be_shown(self, core: CertCore, authority_id: str) -> None:
        """The forms, actions and hints of a working CA profile can be made, and have a JSON form."""
        for fields in (core.authorities.profile_form(authority_id), core.authorities.certificate_form(authority_id)):
            assert json.dumps([field.to_json() for field in fields])
        hints = [hint_to_json(hint) for hint in core.authorities.hints(authority_id)]
        assert "core.module_failed" not in json.dumps(hints)
        assert len({action.name for action in core.authorities.actions(authority_id)}) == len(
            core.authorities.actions(authority_id)
        )

    # -- issuances ------------------------------------------------------------------------------------------------

    def test_a_draft_becomes_active(self, core: CertCore, authority_id: str) -> None:
        """The leaf has the names and the key of the request, and the module holds nothing outside afterwards."""
        certificate_id = self.requested(core, authority_id)
        certificate = self.issued(core, certificate_id)
        issuance = core.certificates.issuances(certificate_id)[-1]
        chain = parse_chain(issuance.fullchain_pem or "")
        now = core.now()
        check_leaf(chain, names=certificate.names, csr_pem=issuance.csr_pem, now=now)
        assert self.held_outside(core) == 0
        assert not issuance.needs_clean_up

    def test_steps_are_plain_and_quick(self, core: CertCore, authority_id: str) -> None:
        """A step returns quickly instead of waiting. Its result is plain JSON, small, and without secrets."""
        certificate_id = self.requested(core, authority_id)

        def active(certificate: Certificate) -> bool:
            if certificate.status is not Status.ACTIVE:
                begun = time.monotonic()
                step = self.ask(core, certificate_id)
                assert time.monotonic() - begun < 10
                if step is not None:
                    profile = ModuleHarness(core).profile(authority_id)
                    assert sound_step(step, secrets=secrets_in(profile)) is not None
            return certificate.status is Status.ACTIVE

        self.drive(core, certificate_id, active)

    def test_what_it_notes_is_in_the_timeline_once(self, core: CertCore, authority_id: str) -> None:
        """The notes of its steps are whole sentences within the limits, and the timeline has each note once."""
        certificate_id = self.requested(core, authority_id)
        returned: list[Note] = []

        def active(certificate: Certificate) -> bool:
            step = None if certificate.status is Status.ACTIVE else self.ask(core, certificate_id)
            returned.extend(() if step is None else step.notes)
            return certificate.status is Status.ACTIVE

        self.drive(core, certificate_id, active)
        events = [
            event for event in core.certificates.timeline(certificate_id, limit=1000) if event.kind is EventKind.NOTED
        ]
        noted = [(event.data["about"], event.data["text"]) for event in events]
        assert len(noted) == len(set(noted)) <= MOST_NOTES
        for note in returned:
            text = str(note.text)
            assert text == " ".join(text.split())
            assert 0 < len(text) <= LONGEST_NOTE, "it would be cut"
            assert (str(note.about), text) in noted

    def test_a_step_that_is_lost_and_repeated_does_no_harm(self, core: CertCore, authority_id: str) -> None:
        """A certificate becomes active even if each step is repeated, as after a crash before its result was stored."""
        certificate_id = self.requested(core, authority_id)

        def active(certificate: Certificate) -> bool:
            if certificate.status is not Status.ACTIVE:
                self.ask(core, certificate_id)
            return certificate.status is Status.ACTIVE

        self.drive(core, certificate_id, active)
        self.issued(core, certificate_id)
        assert self.held_outside(core) == 0

    def test_cleaning_up_can_be_repeated(self, core: CertCore, module: CAModule[Any, Any], authority_id: str) -> None:
        """Cleaning up twice, or without anything to clean up, is not an error."""
        certificate_id = self.requested(core, authority_id)
        if isinstance(module, SupportsCleanUp):
            work = ModuleHarness(core).work(certificate_id)
            assert module.clean_up(work) is None
            self.issued(core, certificate_id)
            done = core.certificates.issuances(certificate_id)[-1]
            assert module.clean_up(evolve(work, issuance=done)) is None
            assert module.clean_up(evolve(work, issuance=done)) is None
        assert self.held_outside(core) == 0

    def test_revoking_can_be_repeated(self, core: CertCore, module: CAModule[Any, Any], authority_id: str) -> None:
        """Revoking a revoked leaf is not an error, because the process may have died before it stored the result."""
        if not isinstance(module, SupportsRevocation):
            return
        certificate_id = self.issued(core, self.requested(core, authority_id))
        view = core.certificates.view(certificate_id.id)
        assert view.active is not None
        context = ModuleHarness(core).context(authority_id)
        for _ in range(2):
            module.revoke(view.active, RevocationReason.SUPERSEDED, lambda: None, context)
        assert core.certificates.revoke(certificate_id.id, reason=RevocationReason.SUPERSEDED).status is Status.REVOKED

    def test_the_ca_can_be_asked_about_renewals(
        self, core: CertCore, module: CAModule[Any, Any], authority_id: str
    ) -> None:
        """A module with renewal information returns it, or None, for a leaf that it has issued."""
        if not isinstance(module, SupportsRenewalInfo):
            return
        view = core.certificates.view(self.issued(core, self.requested(core, authority_id)).id)
        assert view.active is not None
        context = ModuleHarness(core).context(authority_id)
        kind = SuggestedWindow | None
        call_plugin(module.name, "renewal_info", module.renewal_info, view.active, context, returns=kind)

    def test_a_preflight_holds_nothing(self, core: CertCore, module: CAModule[Any, Any], authority_id: str) -> None:
        """A preflight of a certificate in service can be repeated. It starts no issuance and holds nothing outside."""
        if not isinstance(module, SupportsPreflight):
            return
        certificate_id = self.issued(core, self.requested(core, authority_id)).id
        for _ in range(2):
            readiness = core.certificates.preflight(certificate_id).readiness
            assert readiness is not None
            assert "authority_unusable" not in [obstacle.finding.code for obstacle in readiness.obstacles]
        assert len(core.certificates.issuances(certificate_id)) == 1
        assert self.held_outside(core) == 0

    def test_deleting_in_the_middle_leaves_nothing_outside(self, core: CertCore, authority_id: str) -> None:
        """If a certificate is deleted after any step, the module releases what it holds outside."""
        for steps in range(8):
            certificate_id = self.requested(core, authority_id)
            for _ in range(steps):
                if core.certificates.get(certificate_id).status is not Status.ACTIVE:
                    core.reconcile(certificate_id)
                    self.wait(core, _MOMENT)
            core.certificates.delete(certificate_id)
            assert self.held_outside(core) == 0

    def test_certificates_do_not_mix(self, core: CertCore, authority_id: str) -> None:
        """If the steps of several issuances take turns, each certificate gets its own leaf."""
        ids = [self.requested(core, authority_id, number) for number in range(len(self.domains))]
        pending = list(ids)
        deadline, end = time.monotonic() + self.deadline, core.now() + self.patience
        is_frozen = isinstance(ModuleHarness(core).environment, FrozenEnvironment)
        while pending:
            assert core.now() < end if is_frozen else time.monotonic() < deadline
            for certificate_id in list(pending):
                core.reconcile(certificate_id)
                if core.certificates.get(certificate_id).status is Status.ACTIVE:
                    pending.remove(certificate_id)
            self.wait(core, timedelta(minutes=1))
        for domain, certificate_id in zip(self.domains, ids, strict=True):
            leaf = core.certificates.view(certificate_id).leaf
            assert leaf is not None
            assert leaf.names == (domain,)
        assert len({core.certificates.view(certificate_id).leaf for certificate_id in ids}) == len(ids)

    def test_hints_for_every_status(self, core: CertCore, module: CAModule[Any, Any], authority_id: str) -> None:
        """In every status, the hints have a JSON form and contain no private key."""
        certificate_id = self.requested(core, authority_id)
        self.issued(core, certificate_id)
        view = core.certificates.view(certificate_id)
        context = ModuleHarness(core).context(authority_id)
        key = core.certificates.private_key(certificate_id, reason="contract").reveal_text()
        secrets = [secret.reveal_text() for secret in secrets_in(context.profile) if secret]
        for status in Status:
            changed = evolve(view.certificate, status=status)
            for issuance in (None, view.active):
                shown = evolve(view, certificate=changed, issuance=issuance)
                text = json.dumps([hint_to_json(hint) for hint in module.hints(shown, context)])
                assert key.splitlines()[1] not in text
                assert not any(secret in text for secret in secrets)
                assert "PRIVATE KEY" not in text

    def test_actions_in_hints_are_possible(self, core: CertCore, module: CAModule[Any, Any], authority_id: str) -> None:
        """Each action in a hint is possible in this status, or is an action that the module offers now."""
        certificate_id = self.requested(core, authority_id)
        context = ModuleHarness(core).context(authority_id)
        for _ in range(2):
            view = core.certificates.view(certificate_id)
            own: set[str] = set()
            if isinstance(module, SupportsCertificateActions):
                own = {action.name for action in module.certificate_actions(view, context)}
            buttons = [hint_to_json(hint) for hint in core.certificates.hints(certificate_id)]
            names = {button["name"] for button in buttons if button["kind"] == "action"}
            assert names <= own | {str(action) for action in view.actions if action in Action}
            self.issued(core, certificate_id)
