"""A CA module that follows a script, to test panels without a CA, and the engine with all behaviours of CAs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, assert_never, cast

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import ec

from certcore.errors import CAError, InvalidInputError
from certcore.hookspecs import hookimpl
from certcore.model import form
from certcore.model.hints import ActionButton, Fact, Facts, Hint, Level, Message, Notice
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.permissions import Permission
from certcore.model.problem import Problem
from certcore.model.readiness import Obstacle, Readiness
from certcore.model.renewal import Retry
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.model.views import CertificateView
from certcore.ports.ca_module import (
    CAModule,
    Failed,
    Issued,
    ModuleContext,
    StepResult,
    Waiting,
    WaitingFor,
    Work,
)
from certcore.ports.module_actions import (
    ActionDone,
    ActionRefused,
    ActionResult,
    ActionWork,
    CertificateAction,
    ProfileAction,
)
from certcore.testing.local_ca import LittleAuthority

__all__ = ["Act", "ScriptedCA", "ScriptedProfile", "ScriptedRenewalCA", "ScriptedSettings"]


class Act(StrEnum):
    """An act of the scripted CA in one step."""

    #: Wait for the domain's owner for a minute.
    WAIT_OWNER = "wait_owner"
    #: Wait for an administrator for a minute. The action ``approve`` continues with the next act.
    WAIT_ADMINISTRATOR = "wait_administrator"
    #: Wait for the CA for a minute.
    WORK = "work"
    #: Issue the requested leaf.
    ISSUE = "issue"
    #: Fail like a faulty server (`Retry.SOON`).
    FAIL_SOON = "fail_soon"
    #: Refuse for a reason that may pass (`Retry.SLOW`).
    FAIL_SLOW = "fail_slow"
    #: Refuse permanently (`Retry.NEVER`).
    FAIL_NEVER = "fail_never"
    #: Fail for the CA's own reasons, like a CA that is down.
    CA_DOWN = "ca_down"
    #: Refuse permanently for the CA's own reasons.
    CA_REFUSES = "ca_refuses"
    #: Wait for the turn for a minute.
    WAIT_TURN = "wait_turn"
    #: Issue a leaf for another key.
    WRONG_KEY = "wrong_key"
    #: Issue a leaf for other names.
    WRONG_NAMES = "wrong_names"
    #: Issue an expired leaf.
    ENDED = "ended"
    #: Return a text that is not a certificate.
    GARBAGE = "garbage"
    #: Raise an exception, like a module with a bug.
    RAISE = "raise"
    #: Return an object that is not a step.
    NONSENSE = "nonsense"


_FAILURES: Final = {
    Act.FAIL_SOON: Retry.SOON,
    Act.FAIL_SLOW: Retry.SLOW,
    Act.FAIL_NEVER: Retry.NEVER,
    Act.CA_DOWN: Retry.SOON,
    Act.CA_REFUSES: Retry.NEVER,
}
_WAITS: Final = {
    Act.WAIT_OWNER: WaitingFor.OWNER,
    Act.WAIT_ADMINISTRATOR: WaitingFor.ADMINISTRATOR,
    Act.WORK: WaitingFor.AUTHORITY,
    Act.WAIT_TURN: WaitingFor.TURN,
}
_A_MINUTE: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class ScriptedProfile:
    """The settings of its CA profiles, with one field of every kind."""

    lifetime_days: int = form.integer("Lifetime", minimum=1, maximum=398, default=90, unit="days")
    allow_wildcard: bool = form.boolean("Allow wildcards", default=True)
    region: str = form.choice("Region", [form.Choice("eu", "Europe"), form.Choice("us", "America")], default="eu")
    note: str = form.text("Note", default="")
    contacts: tuple[str, ...] = form.lines("Contacts", maximum=3)
    api_key: Secret | None = form.secret("API key", default=None)


@frozen(kw_only=True)
class ScriptedSettings:
    """The settings of its certificates."""

    order_reference: str = form.text("Order reference", default="", maximum=40)


@frozen(kw_only=True)
class ScriptedGreeting:
    """The form of the action on its CA profiles."""

    whom: str = form.text("Whom")


@frozen(kw_only=True)
class ScriptedApproval:
    """The form of the action ``approve`` on its certificates."""

    reference: str = form.text("Reference", maximum=40)


class ScriptedCA(CAModule[ScriptedProfile, ScriptedSettings]):
    """A CA module that follows a script in each issuance, and issues valid leaves from a `LittleAuthority`.

    From its first step on, it holds a resource for each issuance (an entry in `held`), which is released when the
    issuance has ended. So a test can see whether anything is left behind.

    Args:
        script: The acts, one for each step; the last one is repeated. `Act.ISSUE` alone issues at once.
        now: The present moment, with its time zone.

    Example:
        >>> from datetime import UTC, datetime
        >>> from certcore import CertCore
        >>> ca = ScriptedCA([Act.ISSUE], now=datetime.now(UTC))
        >>> core = CertCore.in_memory(plugins=[ca.plugin()], installed_plugins=False)
        >>> profile = core.authorities.create("test", module="scripted")
        >>> certificate = core.certificates.create("shop.example", authority=profile.id)
        >>> _ = core.certificates.generate_csr(certificate.id)
        >>> str(core.reconcile(certificate.id).status)
        'active'
    """

    name: ClassVar[str] = "scripted"
    title: ClassVar[str] = "Scripted CA"

    def __init__(self, script: Iterable[Act] = (Act.WAIT_OWNER, Act.WORK, Act.ISSUE), *, now: datetime) -> None:
        self._authority = LittleAuthority(now)
        self._lock = threading.Lock()
        #: The script. A change applies to the next steps.
        self.script: tuple[Act, ...] = tuple(script)
        #: The IDs of the issuances for which a resource is held.
        self.held: set[str] = set()
        #: How many times `advance` was called.
        self.calls = 0
        #: The reasons for revocations by the leaf in PEM.
        self.revoked: dict[str, RevocationReason] = {}
        #: Whether it refuses revocations.
        self.refuses_revocation = False
        #: Other scripts by the region of the CA profile.
        self.scripts: dict[str, tuple[Act, ...]] = {}
        #: If set, clean-ups do not succeed before this moment.
        self.busy_until: datetime | None = None
        #: The obstacles that preflights find, and whether certificates are checked regularly (`has_preflights`).
        self.obstacles: tuple[Obstacle, ...] = ()
        self.has_preflights = True

    @property
    def root_pem(self) -> str:
        """The root of its chains, in PEM."""
        return self._authority.root_pem

    def plugin(self) -> object:
        """The plugin for ``CertCore.open(plugins=[…])``."""
        return _Plugin(self)

    def advance(self, work: Work[ScriptedProfile, ScriptedSettings]) -> StepResult:
        """Run the next act."""
        step = int((work.state or {}).get("step", 0))
        if (work.state or {}).get("refused"):
            return self._act(Act.FAIL_NEVER, work, {})
        with self._lock:
            self.calls += 1
            self.held.add(work.issuance.id)
            script = self.scripts.get(work.profile.region, self.script)
            act = script[min(step, len(script) - 1)]
        if act is Act.WAIT_ADMINISTRATOR:
            return self._act(act, work, {"step": step})
        return self._act(act, work, {"step": step + 1})

    def clean_up(self, work: Work[ScriptedProfile, ScriptedSettings]) -> datetime | None:
        """Release the resource of this issuance."""
        if self.busy_until is not None and work.environment.now() < self.busy_until:
            return self.busy_until
        with self._lock:
            self.held.discard(work.issuance.id)
        return None

    def revoke(
        self,
        issuance: Issuance,
        reason: RevocationReason,
        private_key: Callable[[], Secret | None],
        context: ModuleContext[ScriptedProfile],
    ) -> None:
        """Record the revocation, or refuse it if `refuses_revocation` is set."""
        del private_key, context
        if self.refuses_revocation:
            raise CAError("The scripted CA does not revoke now.", problem_type="urn:scripted:refused", advice="Wait.")
        with self._lock:
            self.revoked[issuance.leaf_pem or ""] = reason

    def wants_preflights(self, context: ModuleContext[ScriptedProfile]) -> bool:
        """The value of `has_preflights`."""
        return self.has_preflights

    def preflight(self, work: Work[ScriptedProfile, ScriptedSettings]) -> Readiness:
        """The value of `obstacles`."""
        return Readiness(obstacles=self.obstacles)

    def profile_actions(self, context: ModuleContext[ScriptedProfile]) -> Sequence[ProfileAction]:
        """The action ``greet``."""
        help_text = Message("scripted.greet.help", "Says hello to somebody.")
        return [
            ProfileAction(name="greet", label=Message("scripted.greet", "Greet"), help=help_text, form=ScriptedGreeting)
        ]

    def run_action(self, name: str, values: Any, context: ModuleContext[ScriptedProfile], *, actor: str) -> Message:
        """Run the action ``greet``."""
        text = "{actor} says hello to {whom} by {action}."
        return Message("scripted.greet.done", text, {"actor": actor, "whom": values.whom, "action": name})

    def certificate_actions(
        self, view: CertificateView, context: ModuleContext[ScriptedProfile]
    ) -> Sequence[CertificateAction]:
        """The actions ``approve`` and ``refuse``, while the issuance waits for an administrator."""
        state = None if view.issuance is None else view.issuance.engine_state
        if not view.under_way or state is None or state.waiting_for != WaitingFor.ADMINISTRATOR:
            return ()
        return (
            CertificateAction(
                name="approve",
                label=Message("scripted.approve", "Approve"),
                help=Message("scripted.approve.help", "Has the scripted CA go on."),
                form=ScriptedApproval,
                permission=Permission.CERTIFICATE_APPROVE,
            ),
            CertificateAction(
                name="refuse",
                label=Message("scripted.refuse", "Refuse"),
                help=Message("scripted.refuse.help", "Has the scripted CA refuse the request."),
                confirm=Message("scripted.refuse.confirm", "Refuse this request?"),
                permission=Permission.CERTIFICATE_APPROVE,
            ),
        )

    def run_certificate_action(
        self, name: str, values: Any, work: ActionWork[ScriptedProfile, ScriptedSettings], *, actor: str
    ) -> ActionResult:
        """Continue with the next act, or fail permanently."""
        state = dict(work.state or {})
        if name == "refuse":
            done = Message("scripted.refused", "{actor} refused the request.", {"actor": actor})
            return ActionDone(text=done, state={**state, "refused": True})
        if values.reference == "unknown":
            return ActionRefused(field="reference", reason=Message("scripted.approve.unknown", "is not known."))
        params = {"actor": actor, "reference": values.reference}
        done = Message("scripted.approved", "{actor} approved the request under {reference}.", params)
        return ActionDone(text=done, state={**state, "step": int(state.get("step", 0)) + 1})

    def hints(self, view: CertificateView, context: ModuleContext[ScriptedProfile]) -> Sequence[Hint]:
        """A few hints, different for each status."""
        text = "The scripted CA shows a certificate that is {status}."
        hints: list[Hint] = [Notice(Level.INFO, Message("scripted.status", text, {"status": view.certificate.status}))]
        if view.issuance is not None:
            step = str((view.issuance.module_state or {}).get("step", 0))
            hints.append(Facts((Fact(Message("scripted.step", "Steps taken"), step),)))
        if view.certificate.status is Status.PENDING:
            hints.append(ActionButton(name="check_now", label=Message("scripted.check_now", "Check now")))
        return hints

    def check_profile(self, profile: Any) -> None:
        """Refuse a CA profile whose note is ``refused``."""
        if profile.note == "refused":
            raise InvalidInputError("note", "is refused.")

    def check_request(self, context: ModuleContext[ScriptedProfile], names: Sequence[DnsName], settings: Any) -> None:
        """Refuse wildcards if the CA profile does not allow them."""
        if not context.profile.allow_wildcard and any(name.is_wildcard for name in names):
            raise InvalidInputError("wildcard", "this profile does not allow wildcards.")

    def _act(self, act: Act, work: Work[ScriptedProfile, ScriptedSettings], state: dict[str, Any]) -> StepResult:
        now = work.environment.now()
        match act:
            case Act.WAIT_OWNER | Act.WAIT_ADMINISTRATOR | Act.WORK | Act.WAIT_TURN:
                findings = {"act": act.value, "at": now.isoformat()}
                return Waiting(
                    state=state,
                    look_again=now + _A_MINUTE,
                    waiting_for=_WAITS[act],
                    findings=findings,
                    needs_clean_up=True,
                )
            case Act.FAIL_SOON | Act.FAIL_SLOW | Act.FAIL_NEVER | Act.CA_DOWN | Act.CA_REFUSES:
                problem = Problem(
                    type=f"urn:scripted:{act.value}", title="The scripted CA refuses.", detail=act.value, advice="Wait."
                )
                return Failed(
                    state=state,
                    problem=problem,
                    retry=_FAILURES[act],
                    of_authority=act in (Act.CA_DOWN, Act.CA_REFUSES),
                    needs_clean_up=True,
                )
            case Act.ISSUE | Act.WRONG_KEY | Act.WRONG_NAMES | Act.ENDED | Act.GARBAGE:
                return Issued(state=state, chain_pem=self._chain(act, work, now), needs_clean_up=True)
            case Act.RAISE:
                raise RuntimeError(f"a bug, with a secret in its text: {work.profile.api_key}")
            case Act.NONSENSE:
                return cast("StepResult", None)
            case _:
                assert_never(act)

    def _chain(self, act: Act, work: Work[ScriptedProfile, ScriptedSettings], now: datetime) -> str:
        csr = work.issuance.csr_pem
        lifetime = timedelta(days=work.profile.lifetime_days)
        match act:
            case Act.WRONG_KEY:
                other = ec.generate_private_key(ec.SECP256R1()).public_key()
                return self._authority.issue(csr, now=now, lifetime=lifetime, public_key=other)
            case Act.WRONG_NAMES:
                return self._authority.issue(csr, now=now, lifetime=lifetime, names=["somebody-else.example"])
            case Act.ENDED:
                return self._authority.issue(csr, now=now - lifetime - _A_MINUTE, lifetime=lifetime)
            case Act.GARBAGE:
                return "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----\n"
            case _:
                return self._authority.issue(csr, now=now, lifetime=lifetime)


class ScriptedRenewalCA(ScriptedCA):
    """A `ScriptedCA` with renewal information (RFC 9773).

    Args:
        script: The acts, one for each step; the last one is repeated.
        now: The present moment, with its time zone.
    """

    def __init__(self, script: Iterable[Act] = (Act.ISSUE,), *, now: datetime) -> None:
        super().__init__(script, now=now)
        #: The suggested windows by the names of the leaf, or errors to raise.
        self.windows: dict[tuple[str, ...], SuggestedWindow | CAError] = {}
        #: How many times it was asked for a window.
        self.asked = 0

    def renewal_info(self, issuance: Issuance, context: ModuleContext[ScriptedProfile]) -> SuggestedWindow | None:
        """The window from `windows`."""
        with self._lock:
            self.asked += 1
        window = self.windows.get(issuance.leaf.names if issuance.leaf else ())
        if isinstance(window, CAError):
            raise window
        return window


@frozen(eq=False)
class _Plugin:
    ca: ScriptedCA

    @hookimpl
    def certcore_ca_modules(self) -> Iterable[CAModule[Any, Any]]:
        """Register the scripted CA."""
        return [self.ca]
