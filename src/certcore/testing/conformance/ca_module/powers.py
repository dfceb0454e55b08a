"""Checks of the powers that a module may have: clean-up, revocation, renewal information and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from attrs import evolve

from certcore.errors import CAError, CertCoreError
from certcore.model.finding import Finding
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName
from certcore.model.readiness import Readiness
from certcore.model.renewal_info import SuggestedWindow
from certcore.model.revocation import RevocationReason
from certcore.model.secret import Secret
from certcore.ports.ca_module import (
    CheckReport,
    Failed,
    SupportsCheck,
    SupportsCleanUp,
    SupportsDeletion,
    SupportsDiagnosis,
    SupportsPreflight,
    SupportsRenewalInfo,
    SupportsRevocation,
    Waiting,
)
from certcore.testing.conformance.ca_module.evidence import ModuleEvidence, Trial, result_of
from certcore.testing.conformance.values import (
    MissingSetupError,
    NotApplicableError,
    RuleBrokenError,
    Suite,
    check_of,
    require,
)

__all__ = ["POWERS"]

_check: Final = check_of(Suite.CA_MODULE, needs=("issues",))

_REASON: Final = RevocationReason.SUPERSEDED


def _nothing(call: Any) -> None:
    result_of(call, None)


def _clean_up(evidence: ModuleEvidence) -> None:
    trial = evidence.first.trial
    trial.need(SupportsCleanUp)
    calls = trial.recorder.of("clean_up")
    if not calls:
        raise NotApplicableError("The module held nothing.")
    for call in calls:
        again = result_of(call, datetime | None)
        require(again is None or again > call.now, "clean_up asks to be called in the past.")


def _clean_up_twice(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsCleanUp)
    certificate_id = trial.requested()
    work = trial.harness.work(certificate_id)
    trial.drive(certificate_id)
    trial.rest(certificate_id)
    done = evolve(work, issuance=trial.core.certificates.issuances(certificate_id)[-1])
    for number in (1, 2):
        try:
            result_of(trial.call("clean_up", done), datetime | None)
        except RuleBrokenError as error:
            raise RuleBrokenError(f"When it is called again, for the {number + 1}. time: {error}") from None


def _clean_up_nothing(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsCleanUp)
    work = trial.harness.work(trial.requested())
    again = result_of(trial.call("clean_up", work), datetime | None)
    require(again is None, "clean_up of an issuance that holds nothing asks to be called again.")


def _held(evidence: ModuleEvidence) -> Callable[[], int]:
    if evidence.setup.held_outside is not None:
        return evidence.setup.held_outside
    if not isinstance(evidence.module, SupportsCleanUp):
        raise NotApplicableError("The module has no SupportsCleanUp.")
    raise MissingSetupError("The setup has to give `held_outside`: how many things the module holds outside now.")


def _taken_back(evidence: ModuleEvidence) -> None:
    held_outside = _held(evidence)
    before = held_outside()
    trial = evidence.trial()
    trial.issued()
    left = held_outside() - before
    require(left <= 0, f"After an issuance {left} things are still held outside.")


def _revocable(evidence: ModuleEvidence) -> tuple[Trial, str, Any]:
    trial = evidence.trial()
    trial.need(SupportsRevocation)
    certificate_id = trial.issued()
    return trial, certificate_id, trial.core.certificates.view(certificate_id).active


def _no_key() -> Secret | None:
    return None


def _revoke(evidence: ModuleEvidence) -> None:
    trial, certificate_id, active = _revocable(evidence)
    _nothing(trial.call("revoke", active, _REASON, _no_key, trial.context))
    trial.core.certificates.view(certificate_id)


def _revoke_twice(evidence: ModuleEvidence) -> None:
    trial, certificate_id, active = _revocable(evidence)
    trial.call("revoke", active, _REASON, _no_key, trial.context)
    try:
        _nothing(trial.call("revoke", active, _REASON, _no_key, trial.context))
        trial.core.certificates.revoke(certificate_id, reason=_REASON)
    except CertCoreError as error:
        raise RuleBrokenError(f"A leaf that is revoked already is an error: {error.message}") from None
    require(trial.status(certificate_id) is Status.REVOKED, "The certificate is not revoked.")


def _revoke_key(evidence: ModuleEvidence) -> None:
    trial, _, active = _revocable(evidence)
    opened: list[bool] = []

    def private_key() -> Secret | None:
        opened.append(True)
        return None

    trial.call("revoke", active, _REASON, private_key, trial.context)
    text = "revoke opened the private key of a leaf that was ordered here; its account is proof enough."
    require(not opened, text)


def _renewal_info(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsRenewalInfo)
    certificate_id = trial.issued()
    active = trial.core.certificates.view(certificate_id).active
    call = trial.call("renewal_info", active, trial.context)
    if isinstance(call.raised, CAError):
        return
    result_of(call, SuggestedWindow | None)


def _preflight(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsPreflight)
    result_of(trial.call("wants_preflights", trial.context), bool)
    certificate_id = trial.issued()
    before = 0 if evidence.setup.held_outside is None else evidence.setup.held_outside()
    trial.core.certificates.preflight(certificate_id)
    for call in trial.recorder.of("preflight"):
        result_of(call, Readiness)
    require(len(trial.core.certificates.issuances(certificate_id)) == 1, "A preflight began an issuance.")
    after = 0 if evidence.setup.held_outside is None else evidence.setup.held_outside()
    require(after <= before, "A preflight holds something outside when it returns.")


def _diagnosis(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsDiagnosis)
    names = [DnsName.parse(evidence.setup.domains[0])]
    for thorough in (False, True):
        result_of(trial.call("diagnose", names, trial.context, thorough=thorough), tuple[Finding, ...])


def _report(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsCheck)
    report: CheckReport = result_of(trial.call("check", trial.context), CheckReport)
    require(report.items, "The report of a test of the CA profile is empty.")
    wrong = [item for item in report.items if not item.ok]
    require(not wrong, f"The test of a CA profile that works fails: {', '.join(str(item.title) for item in wrong)}.")


@contextmanager
def _down(evidence: ModuleEvidence) -> Iterator[None]:
    """The CA cannot be reached: by the setup's own means, or because the calls of the module reach nobody.

    Raises:
        MissingSetupError: The setup has no means, and the module did not try to reach anybody.
    """
    if evidence.setup.ca_down is not None:
        with evidence.setup.ca_down():
            yield
        return
    with evidence.network_down() as refused:
        yield
    if not refused:
        raise MissingSetupError(
            "The module was not seen to use the network: the setup has to give `ca_down`, which makes the CA "
            "unreachable while it is entered."
        )


def _report_when_down(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsCheck)
    with _down(evidence):
        call = trial.call("check", trial.context)
    report: CheckReport = result_of(call, CheckReport)
    require(not report.ok, "The test of a CA profile succeeds although the CA is down.")


def _step_when_down(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    certificate_id = trial.requested()
    with _down(evidence):
        for _ in range(3):
            if trial.status(certificate_id) not in (Status.ACTIVE, Status.ERROR):
                trial.step(certificate_id)
    for call in trial.recorder.of("advance"):
        if call.raised is not None:
            require(isinstance(call.raised, CertCoreError), f"While the CA is down {call.failure}")
        else:
            is_failure = isinstance(call.returned, (Waiting, Failed))
            require(is_failure, "While the CA is down advance returned something else than Waiting or Failed.")
    trial.require_active(trial.drive(certificate_id), " after the CA was down for a while")


def _deletion(evidence: ModuleEvidence) -> None:
    trial = evidence.trial()
    trial.need(SupportsDeletion)
    certificate_id = trial.issued()
    certificate = trial.core.certificates.get(certificate_id)
    for _ in range(2):
        _nothing(trial.call("certificate_deleted", certificate, trial.context))


#: In the order in which they are run.
POWERS: Final = (
    _check(
        "clean-up",
        "clean_up returns None when all is taken back, else a moment with a time zone in the future.",
        "certcore calls it again at that moment; what it cannot read it calls again slowly.",
        _clean_up,
    ),
    _check(
        "clean-up-twice",
        "clean_up is harmless when it was called before.",
        "A crash between clean_up and the store's write repeats it.",
        _clean_up_twice,
        needs=("clean-up",),
    ),
    _check(
        "clean-up-nothing",
        "clean_up is harmless, and done, for an issuance that holds nothing.",
        "It is called for issuances that were given up before their first step.",
        _clean_up_nothing,
        needs=("request",),
    ),
    _check(
        "taken-back",
        "After an issuance nothing is held outside any more.",
        "DNS records, places and orders that are left behind use up limits.",
        _taken_back,
        needs=("clean-up", "clean-up-there"),
    ),
    _check(
        "revoke",
        "revoke revokes a leaf that was issued here, and returns nothing.",
        "A key that was stolen has to be revoked at once.",
        _revoke,
    ),
    _check(
        "revoke-twice",
        "revoke is harmless for a leaf that is revoked already.",
        "A crash before the answer was stored repeats the revocation, and it would never be recorded.",
        _revoke_twice,
        needs=("revoke",),
    ),
    _check(
        "revoke-key",
        "revoke does not open the private key of a leaf that was ordered here.",
        "Every opening of a private key is in the audit trail, and has to have a reason.",
        _revoke_key,
        needs=("revoke",),
    ),
    _check(
        "renewal-info",
        "renewal_info returns a SuggestedWindow or None, or raises a CAError (RFC 9773).",
        "Renewals are planned by it.",
        _renewal_info,
    ),
    _check(
        "preflight",
        "preflight returns a Readiness, begins nothing and holds nothing outside.",
        "It runs every week for each certificate.",
        _preflight,
    ),
    _check(
        "diagnosis",
        "diagnose returns findings, with and without `thorough`.",
        "It is shown before a certificate exists.",
        _diagnosis,
        needs=("profile",),
    ),
    _check(
        "check",
        "check returns a CheckReport with items, which is good for a CA profile that works.",
        "It is what *Save and Test* shows.",
        _report,
        needs=("profile",),
    ),
    _check(
        "check-ca-down",
        "check reports a CA that is down as an item that is not ok, and raises nothing.",
        "The administrator has to see what was tried, and what failed.",
        _report_when_down,
        needs=("check",),
    ),
    _check(
        "ca-down",
        "While the CA is down advance waits, fails or raises an error of certcore.errors; afterwards it issues.",
        "CAs are down now and then, and nobody should have to press a button afterwards.",
        _step_when_down,
    ),
    _check(
        "certificate-deleted",
        "certificate_deleted returns nothing, and is harmless when it is called twice.",
        "A crash while a certificate is deleted repeats it.",
        _deletion,
    ),
)
