"""Run an action of a certificate's page: a button of certcore's own, or an action of the CA module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import evolve, frozen

from certcore.engine.module_context import read_settings, secrets_in
from certcore.engine.module_store import OpenStep
from certcore.engine.notes import on_one_line
from certcore.engine.step_validation import sound_action
from certcore.errors import (
    ActionRefusedError,
    CertificateBusyError,
    InvalidInputError,
    LeaseLostError,
    NotFoundError,
    PluginError,
)
from certcore.messages import Message
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import ACTION, DELETION, Schedule
from certcore.model.events import EventKind
from certcore.model.issuance import Issuance
from certcore.model.lifecycle import Action
from certcore.model.permissions import Permission
from certcore.model.plugin_calls import call_plugin
from certcore.model.preflight import PREFLIGHT
from certcore.model.views import CertificateView
from certcore.ports.module_actions import ActionDone, ActionRefused, ActionResult, SupportsCertificateActions
from certcore.services.certificate_changes import certificate_event
from certcore.services.drafts import Drafts
from certcore.services.issuance import Requests
from certcore.services.module_actions import check_call, unknown_action
from certcore.services.preflights import PreflightRequests
from certcore.services.reissues import Reissues

__all__ = ["PageActions"]

#: If this process dies during the action, a worker takes the certificate over after this time.
_TIME_TO_ACT: Final = timedelta(minutes=5)
#: Actions of certcore without values to fill in.
_BUTTONS: Final = frozenset(
    {Action.BACK_TO_DRAFT, Action.CANCEL_ATTEMPT, Action.CHECK_NOW, Action.GENERATE_CSR, Action.RENEW}
)
_CALL: Final = "run_certificate_action"


@frozen(kw_only=True, eq=False, slots=False)
class PageActions(Drafts, Requests, Reissues, PreflightRequests):
    """The one call behind the buttons of a certificate's page."""

    def run_action(
        self, certificate_id: str, action: str, values: Mapping[str, Any] | None = None, *, actor: str = "system"
    ) -> Message:
        """Run the action of a button, a hint of the class `certcore.hints.ActionButton`.

        This is either an action of the CA module (see `actions`), which may send requests to the CA, or one of
        certcore's actions without values: ``generate_csr``, ``check_now``, ``renew``, ``back_to_draft``,
        ``cancel_attempt`` and ``preflight``. After an action of the module, the next step is due at once.

        Args:
            certificate_id: The certificate.
            action: The name of the action.
            values: The values of the action's form.
            actor: Who runs the action.

        Returns:
            A sentence about what was done.

        Raises:
            InvalidInputError: There is no such action now, or a value is invalid.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
            ActionRefusedError: The CA module refused.
            CertificateBusyError: Another action runs, or the certificate was changed while this one ran.
            TransitionNotAllowedError: The status does not allow an action of certcore.
            CertCoreError: The action failed.
        """
        checked = check_call(action, values)
        view = self._view(certificate_id, actor)
        if action in {*_BUTTONS, PREFLIGHT}:
            if checked:
                text = "the action {action} takes no values."
                raise InvalidInputError("values", Message("field.values.none", text, {"action": action}))
            if action == PREFLIGHT:
                return self._run_preflight(certificate_id, actor)
            return self._run_button(certificate_id, Action(action), actor)
        authority, chosen_form, permission = self._find(view, action, actor)
        self._access.certificate(actor, permission, certificate_id)
        form: object = read_settings(authority.module, chosen_form, checked)
        with self._leased(view) as lease:
            return self._run(certificate_id, action, form, lease, actor)

    def _run_button(self, certificate_id: str, action: Action, actor: str) -> Message:
        match action:
            case Action.GENERATE_CSR:
                self.generate_csr(certificate_id, actor=actor)
                return Message("core.done.generate_csr", "Key and CSR are made, and the issuance has begun.")
            case Action.RENEW:
                self.renew(certificate_id, actor=actor)
                return Message("core.done.renew", "A new issuance has begun.")
            case Action.BACK_TO_DRAFT:
                self.back_to_draft(certificate_id, actor=actor)
                return Message("core.done.back_to_draft", "The certificate is a draft again.")
            case Action.CANCEL_ATTEMPT:
                self.cancel_attempt(certificate_id, actor=actor)
                return Message("core.done.cancel_attempt", "The issuance is cancelled.")
            case _:
                self.check_now(certificate_id, actor=actor)
                return Message("core.done.check_now", "The certificate is checked now.")

    def _run_preflight(self, certificate_id: str, actor: str) -> Message:
        readiness = self.preflight(certificate_id, actor=actor).readiness
        if readiness is None:
            return Message("core.done.preflight.none", "There is nothing to check about a renewal now.")
        if readiness.is_ready:
            return Message("core.done.preflight.ready", "The certificate could be renewed now.")
        return Message(
            "core.done.preflight.not_ready", "The certificate could not be renewed now: see what is in the way."
        )

    def _find(self, view: CertificateView, action: str, actor: str) -> tuple[CertificateAuthority, type, Permission]:
        """The CA profile, the form and the permission of a module's action that is offered now.

        Raises:
            InvalidInputError: There is no such action now.
        """
        authority, offered = self._offered(view)
        for each in offered:
            if each.name == action and authority is not None:
                return authority, each.form, each.permission
        own = sorted(str(button) for button in view.actions & _BUTTONS)
        raise unknown_action(action, [*own, *(each.name for each in self._permitted_actions(view, offered, actor))])

    @contextlib.contextmanager
    def _leased(self, view: CertificateView) -> Iterator[Schedule]:
        """Hold the certificate's lease, so that no step runs. The outcome of a step that is running is discarded.

        Raises:
            CertificateBusyError: Another action, or a deletion, runs.
        """
        certificate, storage, now = view.certificate, self._contexts.storage, self._contexts.environment.now()
        domain = certificate.domain.ascii
        with storage.write() as transaction:
            stored = transaction.schedules.get(certificate.id)
            is_leased = stored.is_leased(now)
            if is_leased and stored.lease_owner in (ACTION, DELETION):
                text = "Another action is being carried out on the certificate for {domain}."
                raise CertificateBusyError(
                    Message("error.action_busy", text, {"domain": domain}),
                    domain=domain,
                    advice=Message("error.action_busy.advice", "Try again in a moment."),
                )
            due_at = now if is_leased else stored.due_at
            lease = evolve(
                transaction.schedules.take_over(certificate.id, due_at=due_at),
                lease_owner=ACTION,
                lease_until=now + _TIME_TO_ACT,
                written_at=now,
            )
            transaction.schedules.save(lease)
        try:
            yield lease
        except LeaseLostError:
            text = "The certificate for {domain} was changed while the action ran; its result is not stored."
            advice = "Look at the certificate, and repeat the action if it is still offered."
            raise CertificateBusyError(
                Message("error.action_overtaken", text, {"domain": domain}),
                domain=domain,
                advice=Message("error.action_overtaken.advice", advice),
            ) from None
        except BaseException:  # boundary: release the lease after any exception
            with contextlib.suppress(LeaseLostError, NotFoundError), storage.write() as transaction:
                transaction.schedules.finish(_released(lease), begun=lease)
            raise

    def _run(self, certificate_id: str, action: str, form: object, lease: Schedule, actor: str) -> Message:
        """Run an action of the module under the lease, and store its outcome in one transaction."""
        view = self._view(certificate_id, actor)  # read again, now that no step runs
        authority, _, permission = self._find(view, action, actor)
        self._access.certificate(actor, permission, certificate_id)
        module = self._contexts.plugins.module(authority.module)
        if not isinstance(module, SupportsCertificateActions):  # pragma: no cover - it has offered the action
            raise unknown_action(action, ())
        step = OpenStep(lease)
        work = self._contexts.action_work(authority, view.certificate, view.issuance, view.active, step)
        secrets = (*secrets_in(work.profile), *secrets_in(form))
        result: ActionResult = call_plugin(
            authority.module,
            _CALL,
            module.run_certificate_action,
            action,
            form,
            work,
            returns=lambda returned: sound_action(returned, secrets=secrets),
            actor=actor,
        )
        if isinstance(result, ActionRefused):
            raise _refusal(action, result, view)
        if not view.under_way and (result.state is not None or result.findings is not None):
            reason = "it returned a state or findings, and no issuance is under way."
            raise PluginError(authority.module, _CALL, reason)
        self._store_action(view, action, result, step, actor)
        return result.text

    def _store_action(self, view: CertificateView, action: str, result: ActionDone, step: OpenStep, actor: str) -> None:
        now = self._contexts.environment.now()
        text = on_one_line(str(result.text))
        event = certificate_event(
            self._contexts,
            view.certificate,
            EventKind.ACTED,
            actor,
            from_status=view.certificate.status,
            action=action,
            text=text,
        )
        due = evolve(_released(step.lease), due_at=now, attempts=0, written_at=now)
        with self._contexts.storage.write() as transaction:
            transaction.schedules.finish(due, begun=step.lease)  # first, because it checks the token
            if view.under_way and view.issuance is not None:
                transaction.issuances.save(_after(transaction.issuances.get(view.issuance.id), result))
            transaction.events.append([event])
            step.store(transaction)


def _released(lease: Schedule) -> Schedule:
    return evolve(lease, lease_owner="", lease_until=None)


def _after(issuance: Issuance, result: ActionDone) -> Issuance:
    """The issuance after an action; a user has asked for its next step, as with a check."""
    return evolve(
        issuance,
        module_state=issuance.module_state if result.state is None else dict(result.state),
        findings=issuance.findings if result.findings is None else dict(result.findings),
        engine_state=evolve(issuance.engine_state, by_user=True),
    )


def _refusal(action: str, result: ActionRefused, view: CertificateView) -> Exception:
    if result.field:
        return InvalidInputError(result.field[:60], result.reason)
    return ActionRefusedError(action, domain=view.certificate.domain.ascii, reason=result.reason)
