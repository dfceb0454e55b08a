"""A CA module that does what it is told: to test a panel without a CA, and the engine with every kind of CA."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, assert_never, cast

from attrs import frozen
from cryptography.hazmat.primitives.asymmetric import ec

from certcore.errors import CAError, InvalidInput
from certcore.hookspecs import hookimpl
from certcore.model import form
from certcore.model.hints import ActionButton, Fact, Facts, Hint, Level, Message, Notice
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.problem import Problem
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
    ProfileAction,
    Step,
    Waiting,
    WaitingFor,
    Work,
)
from certcore.testing.authority import LittleAuthority

__all__ = ["Act", "ScriptedCA", "ScriptedProfile", "ScriptedRenewalCA", "ScriptedSettings"]


class Act(StrEnum):
    """What the scripted CA does at one step."""

    #: Wait for the domain's owner, for a minute.
    WAIT_OWNER = "wait_owner"
    #: Be at work, for a minute.
    WORK = "work"
    #: Issue the right certificate.
    ISSUE = "issue"
    #: Fail as a server in trouble does.
    FAIL_SOON = "fail_soon"
    #: Refuse for a reason that may pass.
    FAIL_SLOW = "fail_slow"
    #: Refuse for good.
    FAIL_NEVER = "fail_never"
    #: Fail as a CA that is down does, for a reason of its own.
    CA_DOWN = "ca_down"
    #: Refuse for good, for a reason of the CA's own.
    CA_REFUSES = "ca_refuses"
    #: Wait for its turn, for a minute.
    WAIT_TURN = "wait_turn"
    #: Issue for another key than the one that was asked for.
    WRONG_KEY = "wrong_key"
    #: Issue for other names.
    WRONG_NAMES = "wrong_names"
    #: Issue a certificate that has ended already.
    ENDED = "ended"
    #: Return text that is no certificate.
    GARBAGE = "garbage"
    #: Raise, as a module with a bug does.
    RAISE = "raise"
    #: Return something that is no step.
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
    Act.WORK: WaitingFor.AUTHORITY,
    Act.WAIT_TURN: WaitingFor.TURN,
}
_A_MINUTE: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class ScriptedProfile:
    """One field of every kind."""

    lifetime_days: int = form.integer("Lifetime", minimum=1, maximum=398, default=90, unit="days")
    allow_wildcard: bool = form.boolean("Allow wildcards", default=True)
    region: str = form.choice("Region", [form.Choice("eu", "Europe"), form.Choice("us", "America")], default="eu")
    note: str = form.text("Note", default="")
    contacts: tuple[str, ...] = form.lines("Contacts", maximum=3)
    api_key: Secret | None = form.secret("API key", default=None)


@frozen(kw_only=True)
class ScriptedSettings:
    """What a certificate is asked besides."""

    order_reference: str = form.text("Order reference", default="", maximum=40)


@frozen(kw_only=True)
class ScriptedGreeting:
    """What the action of its profiles asks for."""

    whom: str = form.text("Whom")


class ScriptedCA(CAModule):
    """Goes through a script with every attempt, and issues real, verifiable leaves from a `LittleAuthority`.

    From its first step on it holds something outside for each attempt (an entry in `held`), which is taken back when
    the attempt has ended, so that a test can see whether anything is left behind.

    Args:
        script: What it does, step by step; the last act is repeated. `Act.ISSUE` alone issues at once.
        now: A moment at which its authority is valid.

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
    profile_type: ClassVar[type] = ScriptedProfile
    certificate_type: ClassVar[type] = ScriptedSettings

    def __init__(self, script: Iterable[Act] = (Act.WAIT_OWNER, Act.WORK, Act.ISSUE), *, now: datetime) -> None:
        self._authority = LittleAuthority(now)
        self._lock = threading.Lock()
        #: The script for steps that are taken from now on.
        self.script: tuple[Act, ...] = tuple(script)
        #: The ids of the issuances for which something is held outside.
        self.held: set[str] = set()
        #: How often `advance` was called.
        self.calls = 0
        #: The leaves that were revoked, PEM, and why.
        self.revoked: dict[str, RevocationReason] = {}
        #: Whether it refuses to revoke.
        self.refuses_revocation = False
        #: By the name of a CA profile's region, what it does there instead of `script`.
        self.scripts: dict[str, tuple[Act, ...]] = {}
        #: When set, cleaning up does not succeed before this moment.
        self.busy_until: datetime | None = None

    @property
    def root_pem(self) -> str:
        """What its chains end at."""
        return self._authority.root_pem

    def plugin(self) -> object:
        """What ``CertCore.open(plugins=[…])`` takes."""
        return _Plugin(self)

    def advance(self, work: Work) -> Step:
        """The next act."""
        step = int((work.state or {}).get("step", 0))
        with self._lock:
            self.calls += 1
            self.held.add(work.issuance.id)
            script = self.scripts.get(work.profile.region, self.script)
            act = script[min(step, len(script) - 1)]
        return self._act(act, work, {"step": step + 1})

    def clean_up(self, work: Work) -> datetime | None:
        """Take back what is held for this attempt."""
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
        context: ModuleContext,
    ) -> None:
        """Remember it, or refuse when `refuses_revocation` is set."""
        del private_key, context
        if self.refuses_revocation:
            raise CAError("The scripted CA does not revoke now.", problem_type="urn:scripted:refused", advice="Wait.")
        with self._lock:
            self.revoked[issuance.leaf_pem or ""] = reason

    def profile_actions(self, context: ModuleContext) -> Sequence[ProfileAction]:
        """One that greets."""
        help_text = Message("scripted.greet.help", "Says hello to somebody.")
        return [
            ProfileAction(name="greet", label=Message("scripted.greet", "Greet"), help=help_text, form=ScriptedGreeting)
        ]

    def run_action(self, name: str, values: Any, context: ModuleContext, *, actor: str) -> Message:
        """Greet."""
        text = "{actor} says hello to {whom} by {action}."
        return Message("scripted.greet.done", text, {"actor": actor, "whom": values.whom, "action": name})

    def hints(self, view: CertificateView, context: ModuleContext) -> Sequence[Hint]:
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
        """Refuse a profile with a note of ``refused``."""
        if profile.note == "refused":
            raise InvalidInput("note", "is refused.")

    def check_request(self, context: ModuleContext, names: Sequence[DnsName], settings: Any) -> None:
        """Refuse wildcards where the profile forbids them."""
        if not context.profile.allow_wildcard and any(name.is_wildcard for name in names):
            raise InvalidInput("wildcard", "this profile does not allow wildcards.")

    def _act(self, act: Act, work: Work, state: dict[str, Any]) -> Step:
        now = work.environment.now()
        match act:
            case Act.WAIT_OWNER | Act.WORK | Act.WAIT_TURN:
                seen = {"act": act.value, "at": now.isoformat()}
                return Waiting(
                    state=state,
                    look_again=now + _A_MINUTE,
                    waiting_for=_WAITS[act],
                    findings=seen,
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
                return cast("Step", None)
            case _:
                assert_never(act)

    def _chain(self, act: Act, work: Work, now: datetime) -> str:
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
    """A `ScriptedCA` that says when it wants its leaves to be renewed (RFC 9773).

    Args:
        script: What it does, step by step.
        now: A moment at which its authority is valid.
    """

    def __init__(self, script: Iterable[Act] = (Act.ISSUE,), *, now: datetime) -> None:
        super().__init__(script, now=now)
        #: When it wants leaves to be renewed, by the leaf's names; the error that it raises instead.
        self.windows: dict[tuple[str, ...], SuggestedWindow | CAError] = {}
        #: How often it was asked for a window.
        self.asked = 0

    def renewal_info(self, issuance: Issuance, context: ModuleContext) -> SuggestedWindow | None:
        """What `windows` says."""
        with self._lock:
            self.asked += 1
        found = self.windows.get(issuance.leaf.names if issuance.leaf else ())
        if isinstance(found, CAError):
            raise found
        return found


@frozen(eq=False)
class _Plugin:
    ca: ScriptedCA

    @hookimpl
    def certcore_ca_modules(self) -> Iterable[CAModule]:
        """Register the scripted CA."""
        return [self.ca]
