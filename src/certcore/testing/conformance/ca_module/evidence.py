"""The evidence for checks of a CA module: certificates that it has issued, with every call recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from functools import cached_property, partial
from types import FunctionType, MappingProxyType
from typing import Any, Final, Self

from attrs import evolve, frozen

from certcore.adapters.keyrings.static import StaticKeyring
from certcore.adapters.memory import MemoryStorage
from certcore.adapters.plugins.loaded import LoadedPlugins, load_plugins
from certcore.core import CertCore
from certcore.engine.module_context import secrets_in
from certcore.model.certificate import Certificate
from certcore.model.lifecycle import Status
from certcore.model.notice_policy import NoticePolicy
from certcore.model.plugin_calls import is_interrupt
from certcore.model.plugin_results import UnexpectedResultError, conform, with_article
from certcore.model.secret import Secret
from certcore.ports.ca_module import CAModule, Failed, Issued, ModuleContext, Waiting
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.conformance.ca_module.setup import ModuleSetup
from certcore.testing.conformance.log_texts import LogTexts
from certcore.testing.conformance.recording import Call, CallWatch, Recorder, recorded
from certcore.testing.conformance.values import NotApplicableError, RuleBrokenError
from certcore.testing.module_harness import ModuleHarness

__all__ = ["ModuleEvidence", "Trial", "result_of"]

#: How many steps an issuance may take.
_MOST_STEPS: Final = 300
#: After this many failures in a row, the issuance is given up.
_MOST_FAILURES: Final = 5


@frozen(kw_only=True, eq=False)
class Trial:
    """A separate core in memory with a frozen clock, whose calls of the module are recorded."""

    setup: ModuleSetup
    core: CertCore
    environment: FrozenEnvironment
    #: The module itself.
    module: CAModule[Any, Any]
    #: The proxy that records calls of the module.
    stand_in: CAModule[Any, Any]
    recorder: Recorder
    authority_id: str = ""

    @property
    def harness(self) -> ModuleHarness:
        """Makes the arguments of calls."""
        return ModuleHarness(self.core)

    @property
    def context(self) -> ModuleContext:
        """The context of calls about the CA profile."""
        return self.harness.context(self.authority_id)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of the CA profile that are too long to occur in a text by chance."""
        texts = [_revealed(secret) for secret in secrets_in(self.context.profile)]
        return tuple(text for text in texts if len(text) >= 8)  # noqa: PLR2004 - as in the engine

    def has(self, power: Any) -> bool:
        """Whether the module has a power, one of the Protocols ``Supports…``."""
        return isinstance(self.module, power)

    def need(self, power: Any) -> None:
        """Require a module with a power.

        Raises:
            NotApplicableError: The module does not have it.
        """
        if not self.has(power):
            raise NotApplicableError(f"The module has no {power.__name__}.")

    def call(self, method: str, *arguments: Any, **named: Any) -> Call:
        """Call a method of the module. The returned call has the result or the exception."""
        try:
            getattr(self.stand_in, method)(*arguments, **named)
        except BaseException as error:  # isolation: the recorder has it
            if is_interrupt(error):
                raise
        return self.recorder.of(method)[-1]

    def draft(self, number: int = 0) -> str:
        """The ID of a new draft."""
        draft = self.core.certificates.create(
            self.setup.domains[number], authority=self.authority_id, module_data=self.setup.certificate_settings
        )
        return draft.id

    def requested(self, number: int = 0) -> str:
        """The ID of a new certificate with a key and CSR."""
        certificate_id = self.draft(number)
        self.setup.others_act(self.core, certificate_id)
        return self.core.certificates.generate_csr(certificate_id).id

    def status(self, certificate_id: str) -> Status:
        """The status of a certificate."""
        return self.core.certificates.get(certificate_id).status

    def step(self, certificate_id: str) -> None:
        """Move the clock to the next due time, and take one step."""
        self.setup.others_act(self.core, certificate_id)
        look_again = self.core.reconcile(certificate_id).look_again
        if look_again is not None and look_again > self.environment.now():
            self.environment.set(look_again)

    def drive(self, certificate_id: str, before_step: Callable[[], None] | None = None) -> Certificate:
        """Take steps until the certificate is active or has failed, within limits of steps and simulated time."""
        end = self.environment.now() + self.setup.patience
        for _ in range(_MOST_STEPS):
            certificate = self.core.certificates.get(certificate_id)
            if certificate.status in (Status.ACTIVE, Status.ERROR) or self.environment.now() > end:
                break
            if before_step is not None:
                before_step()
            self.step(certificate_id)
            if self._is_hopeless():
                break
        return self.core.certificates.get(certificate_id)

    def issued(self, number: int = 0) -> str:
        """The ID of a certificate that is active, and has nothing left to clean up.

        Raises:
            RuleBrokenError: It did not become active.
        """
        certificate_id = self.requested(number)
        self.require_active(self.drive(certificate_id))
        self.rest(certificate_id)
        return certificate_id

    def rest(self, certificate_id: str) -> None:
        """Take the steps after an issuance, in which the module releases what it holds."""
        for _ in range(10):
            if not any(issuance.needs_clean_up for issuance in self.core.certificates.issuances(certificate_id)):
                return
            self.step(certificate_id)

    def require_active(self, certificate: Certificate, when: str = "") -> None:
        """Require that a certificate is active.

        Raises:
            RuleBrokenError: It is not. The text says why.
        """
        if certificate.status is Status.ACTIVE:
            return
        problem = certificate.problem
        why = f": {problem.title} {problem.detail} {problem.advice}".rstrip() if problem is not None else ""
        days = self.setup.patience / timedelta(days=1)
        raise RuleBrokenError(
            f"{certificate.domain} did not become active{when} within {days:g} simulated days, it is "
            f"{certificate.status}{why}"
        )

    def close(self) -> None:
        """Close the core."""
        self.core.close()

    def _is_hopeless(self) -> bool:
        last = self.recorder.of("advance")[-_MOST_FAILURES:]
        return len(last) == _MOST_FAILURES and not any(
            isinstance(call.returned, (Waiting, Issued, Failed)) for call in last
        )


class ModuleEvidence:
    """The evidence of one run of the suite, which is made on first use. Use it as a context manager.

    Args:
        setup: The setup of the module.
    """

    def __init__(self, setup: ModuleSetup) -> None:
        self.setup = setup
        self._stack = ExitStack()
        self._watch = CallWatch()
        self._trials = 0

    def __enter__(self) -> Self:
        self._stack.enter_context(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @cached_property
    def loaded(self) -> LoadedPlugins:
        """The plugin as certcore loads it, with the other plugins that it needs, without installed plugins."""
        return load_plugins([self.setup.plugin, *self.setup.more_plugins], installed=False)

    @cached_property
    def module(self) -> CAModule[Any, Any]:
        """The module under test.

        Raises:
            RuleBrokenError: The module is not loaded, or the plugin has several and the setup names none.
        """
        modules = self.loaded.modules
        if self.setup.module in modules:
            return modules[self.setup.module]
        if self.setup.module or len(modules) != 1:
            raise RuleBrokenError(
                f"The CA module {self.setup.module!r} is not loaded; loaded: {', '.join(modules) or 'none'}."
            )
        return next(iter(modules.values()))

    def network_down(self) -> AbstractContextManager[Sequence[str]]:
        """A context manager that blocks the network for calls of the module, and lists the addresses that they used."""
        return self._watch.network_down()

    def bare_trial(self) -> Trial:
        """A trial without a CA profile."""
        self._trials += 1
        environment = _TrialEnvironment(self._trials)
        recorder = Recorder(watch=self._watch, now=environment.now)
        stand_in = recorded(self.module, recorder)
        plugins = evolve(self.loaded, modules=MappingProxyType({**self.loaded.modules, self.module.name: stand_in}))
        core = CertCore._wire(  # noqa: SLF001 - the kit is part of certcore
            MemoryStorage(), StaticKeyring.generate(), plugins, environment, NoticePolicy(days_before=())
        )
        trial = Trial(
            setup=self.setup,
            core=core,
            environment=environment,
            module=self.module,
            stand_in=stand_in,
            recorder=recorder,
        )
        self._stack.callback(trial.close)
        return trial

    def trial(self) -> Trial:
        """A trial with a working CA profile."""
        trial = self.bare_trial()
        profile = trial.core.authorities.create(
            "conformance", module=self.module.name, settings=dict(self.setup.settings)
        )
        return evolve(trial, authority_id=profile.id)

    @cached_property
    def first(self) -> FirstIssuance:
        """The first certificate, after its issuance has ended or failed."""
        trial = self.trial()
        log = LogTexts()
        with log.alone():
            certificate_id = trial.requested()
            certificate = trial.drive(certificate_id)
            trial.rest(certificate_id)
        return FirstIssuance(trial=trial, certificate=certificate, log=tuple(log.texts))


@frozen(kw_only=True, eq=False)
class FirstIssuance:
    """A certificate after one issuance by the module. Most checks of steps and leaves use it."""

    trial: Trial
    certificate: Certificate
    #: The log records of the issuance.
    log: tuple[str, ...]

    @property
    def calls(self) -> Sequence[Call]:
        """The calls of `CAModule.advance`."""
        return self.trial.recorder.of("advance")

    @property
    def steps(self) -> Sequence[Waiting | Issued | Failed]:
        """The results of these calls that are steps."""
        return tuple(call.returned for call in self.calls if isinstance(call.returned, (Waiting, Issued, Failed)))

    @property
    def chains(self) -> Sequence[str]:
        """The chains that were issued, PEM."""
        return tuple(step.chain_pem for step in self.steps if isinstance(step, Issued))


def result_of(call: Call, declared: Any) -> Any:
    """The result of a call, checked and copied.

    Args:
        call: The call.
        declared: As in `certcore.model.plugin_results.conform`; or a function that checks the returned value.

    Raises:
        RuleBrokenError: The call raised an exception or returned a value of another type.
        NotApplicableError: The call was prevented from using the network, which another check covers.
    """
    if call.reached:
        raise NotApplicableError(f"{call.method} tried to use the network.")
    if call.raised is not None:
        raise RuleBrokenError(call.failure)
    try:
        if isinstance(declared, FunctionType | partial):
            return declared(call.returned)
        return conform(call.returned, declared)
    except UnexpectedResultError as error:
        raise RuleBrokenError(f"{call.method} returned {error}.") from None
    except Exception as error:  # isolation: an object of the plugin's own that raises where it is read
        kind = with_article(call.returned)
        raise RuleBrokenError(f"{call.method} returned {kind} that raised {type(error).__name__}.") from None


class _TrialEnvironment(FrozenEnvironment):
    """A frozen clock, and IDs that are unique in the run, because the CA may remember them."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def new_id(self) -> str:
        """An ID with the number of the trial."""
        return f"{super().new_id()}-{self._number}"


def _revealed(secret: Secret) -> str:
    try:
        return secret.reveal_text()
    except UnicodeDecodeError:
        return ""
