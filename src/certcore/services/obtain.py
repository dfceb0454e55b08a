"""Wait until a certificate is active, for scripts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve, frozen

from certcore.engine.reconcile import Engine
from certcore.errors import (
    InvalidInputError,
    NotObtainedError,
    StaleWriteError,
    StorageUnavailableError,
    TransitionNotAllowedError,
)
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.certificate_form import INPUTS, CertificateForm
from certcore.model.issuance import Outcome
from certcore.model.lifecycle import Status
from certcore.model.permissions import Permission
from certcore.model.views import CertificateView
from certcore.ports.environment import Environment
from certcore.ports.storage import Transaction
from certcore.services.access import Access
from certcore.services.certificate_changes import validate
from certcore.services.certificate_form import new_certificate, read_new_form
from certcore.services.certificates import Certificates
from certcore.services.drafts import new_draft, store_draft

__all__ = ["Obtaining"]

#: The longest time between two queries of the store, in seconds, because another process may have made progress.
_LONGEST_WAIT: Final = 1.0
#: The longest timeout, in seconds; a longer one is shortened to this.
_LONGEST_TIMEOUT: Final = 10 * 365 * 86_400
#: The largest number of queries, in case the clock does not advance.
_MAX_LOOKS: Final = 1_000_000
#: The namespace of the documents that serve as locks. Names of CA modules have no hyphen.
_NAMESPACE: Final = "certcore-obtain"
#: The number of locks, so that calls for different certificates rarely wait for each other.
_LOCKS: Final = 64
_MAX_RACES: Final = 100
#: The largest number of certificates with some of the names that are compared before a new one is created.
_MAX_OVERLAPS: Final = 100
_SHOWN_NAMES: Final = 5
#: The fields that identify a certificate. Other given fields must be equal.
_IDENTITY: Final = frozenset({"owner", "domain", "aliases", "wildcard", "csr", "authority"})


@frozen(kw_only=True, eq=False)
class Obtaining:
    """Obtains one certificate in the thread of the caller, whether workers run or not."""

    certificates: Certificates
    engine: Engine
    access: Access
    #: Waits for a number of seconds. Tests replace it together with the clock.
    wait: Callable[[float], object] = lambda seconds: threading.Event().wait(seconds)

    def obtain(
        self,
        values: Mapping[str, Any],
        *,
        timeout: float,
        progress: Callable[[CertificateView], object] | None,
        actor: str,
    ) -> CertificateView:
        """See `certcore.CertCore.obtain`; the values are the fields of the form."""
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise InvalidInputError("timeout", Message("input.not_a_timeout", "must be a number of seconds above 0."))
        deadline = self.engine.environment.now() + timedelta(seconds=min(timeout, _LONGEST_TIMEOUT))
        certificate_id = self._started(_Request.read(self.engine.environment, self.access, values, actor)).id
        shown: object = None
        for _ in range(_MAX_LOOKS):
            reconciled = self.engine.reconcile(certificate_id)
            view = self.certificates.view(certificate_id, actor=actor)
            now = self.engine.environment.now()
            if progress is not None and shown != (shown := _visible_state(view)):
                progress(view)
            if _is_served(view, now) and (now >= deadline or not _is_renewing(view, now)):
                return view
            if _has_failed(view):
                raise _not_obtained(view.certificate)
            if now >= deadline:
                break
            until = deadline if reconciled.look_again is None else min(reconciled.look_again, deadline)
            if until > now:
                self.wait(min((until - now).total_seconds(), _LONGEST_WAIT))
        raise _not_obtained(view.certificate, timeout)

    def _started(self, request: _Request) -> Certificate:
        """The certificate with an issuance under way: an existing one, or a new one."""
        certificate, actor = self._existing_or_new(request), request.actor
        # The policy is asked before anything changes.
        self.access.certificate(actor, Permission.CERTIFICATE_CHECK, certificate.id)
        view = self.certificates.view(certificate.id, actor=actor)
        ends = certificate.not_after
        has_ended = certificate.status is Status.ACTIVE and ends is not None and ends <= self.engine.environment.now()
        try:
            match certificate.status:
                case Status.DRAFT:
                    return self.certificates.generate_csr(certificate.id, actor=actor)
                case Status.ERROR | Status.PENDING:
                    return self.certificates.check_now(certificate.id, actor=actor)
                case Status.EXPIRED | Status.REVOKED:
                    return self.certificates.renew(certificate.id, actor=actor)
                case Status.ACTIVE if view.under_way and not _matches_form(view):
                    return self.certificates.check_now(certificate.id, actor=actor)
                case Status.ACTIVE if not _matches_form(view):
                    return self.certificates.reissue(certificate.id, actor=actor)
                case _:
                    return self.certificates.renew(certificate.id, actor=actor) if has_ended else certificate
        except (StaleWriteError, TransitionNotAllowedError):
            return certificate  # another call has started it meanwhile

    def _existing_or_new(self, request: _Request) -> Certificate:
        """The newest certificate of the request that the actor may see, or a new one if the actor may create one."""
        hidden: set[str] = set()
        created_meanwhile = False

        def existing(transaction: Transaction) -> Certificate | None:
            nonlocal created_meanwhile
            # Calls for the same certificate write the same document, so that only one of them commits.
            lock = transaction.documents.get(_NAMESPACE, request.lock)
            version = 0 if lock is None else lock.version
            transaction.documents.put(_NAMESPACE, request.lock, {}, version=version)
            others = (other for other in request.matches(transaction) if other.id not in hidden)
            certificate = next(others, None)
            created_meanwhile = certificate is not None
            return certificate

        contexts, access = self.engine.contexts, self.access
        for _ in range(_MAX_RACES):
            if (certificate := self._visible(request, hidden)) is not None:
                self._refuse_other_values(certificate, request)
                return certificate
            self._refuse_overlap(request)
            access.require(request.actor, Permission.CERTIFICATE_CREATE, owner=request.sample.owner)
            draft = new_draft(contexts, access, request.form, request.actor)
            with suppress(StaleWriteError):
                certificate = store_draft(contexts, draft, request.actor, unless=existing)
                if not created_meanwhile:
                    return certificate
        raise StorageUnavailableError(
            Message("obtain.many_calls", "Many other calls request the same certificate at the moment.")
        )

    def _visible(self, request: _Request, hidden: set[str]) -> Certificate | None:
        """The newest matching certificate that the actor may see; the IDs of others are added to ``hidden``."""
        with self.engine.storage.read() as transaction:
            matches = request.matches(transaction)
        for certificate in matches:
            if self.access.seen(request.actor, [certificate]):
                return certificate
            hidden.add(certificate.id)
        return None

    def _refuse_overlap(self, request: _Request) -> None:
        """Refuse to create a certificate if the caller probably means an existing one.

        An existing certificate of the same owner and CA profile that has all these names, or the same primary name,
        would be deployed to the same place. `Certificates.create` can still create a second one.
        """
        sample = request.sample
        with self.engine.storage.read() as transaction:
            others = transaction.certificates.sharing(sample, limit=_MAX_OVERLAPS)
        for other in others:
            if other.authority_id != sample.authority_id or other.status in (Status.DRAFT, Status.REVOKED):
                continue
            names, wanted_names = set(other.names), set(sample.names)
            is_same = wanted_names == names and other.domain != sample.domain and other.csr_pem == sample.csr_pem
            is_part = wanted_names < names or is_same
            if not is_part and (other.domain != sample.domain or wanted_names == names):
                continue
            if not self.access.seen(request.actor, [other]):
                continue
            listed = ", ".join(name.ascii for name in other.names[:_SHOWN_NAMES])
            params = {"id": other.id, "names": f"{listed} …" if len(names) > _SHOWN_NAMES else listed}
            if is_part:
                text = "the certificate {id} for {names} already exists and covers these names."
                reason = Message("obtain.names_in_another", text, params)
            else:
                text = "the certificate {id} for {names} already exists with the same primary name."
                reason = Message("obtain.same_primary_name", text, params)
            advice = (
                "Call with the same names and the same primary name to use that certificate. For other names reissue "
                "it, or create a "
                "second one with certificates.create (certcore cert create)."
            )
            raise InvalidInputError("domain", reason, advice=Message("obtain.overlap.advice", advice))

    def _refuse_other_values(self, certificate: Certificate, request: _Request) -> None:
        """Refuse fields that differ from the existing certificate, because they would be ignored."""
        form = CertificateForm(
            **{name: value for name, value in request.form.filled_in.items() if name not in _IDENTITY}
        )
        attributes = form.attributes(certificate)
        if not attributes:
            return
        changed = validate(self.engine.contexts, evolve(certificate, **attributes), before=certificate)
        for field in INPUTS.values():
            attribute = field.attribute
            if attribute in attributes and getattr(changed, attribute) != getattr(certificate, attribute):
                raise InvalidInputError(
                    field.name,
                    Message(
                        "obtain.differs",
                        "differs from that of the existing certificate for {domain} ({id}).",
                        {"domain": certificate.domain, "id": certificate.id},
                    ),
                    advice=Message("obtain.differs.advice", "Leave it out, or edit or reissue that certificate."),
                )


@frozen(kw_only=True)
class _Request:
    """The certificate that a call asks for."""

    form: CertificateForm
    #: An unstored certificate with the requested names, owner, CA profile and CSR.
    sample: Certificate
    actor: str

    @classmethod
    def read(cls, environment: Environment, access: Access, values: Mapping[str, Any], actor: str) -> _Request:
        form = read_new_form(access, values, actor)
        sample = new_certificate(environment, form.attributes())
        return cls(form=form, sample=sample, actor=actor)

    @property
    def lock(self) -> str:
        """The key of the lock for this certificate."""
        sample = self.sample
        identity = [sample.owner, sample.authority_id, sample.csr_pem, *sorted(name.ascii for name in sample.names)]
        return f"obtain-{int(hashlib.sha256(repr(identity).encode()).hexdigest(), 16) % _LOCKS}"

    def matches(self, transaction: Transaction) -> Sequence[Certificate]:
        """The stored certificates with this identity, newest first."""
        sample = self.sample
        return [
            certificate
            for certificate in reversed(transaction.certificates.find_by_domain(sample.domain))
            if certificate.owner == sample.owner
            and certificate.authority_id == sample.authority_id
            and set(certificate.names) == set(sample.names)
            and certificate.csr_pem == sample.csr_pem
        ]


def _not_obtained(certificate: Certificate, seconds: float | None = None) -> NotObtainedError:
    problem = certificate.problem
    return NotObtainedError(
        certificate.domain.ascii,
        certificate.id,
        reason="" if problem is None else problem.text,
        advice="" if problem is None else problem.advice_text,
        seconds=seconds,
    )


def _has_failed(view: CertificateView) -> bool:
    """Whether the issuance failed permanently. With an expired leaf, the status does not show that."""
    failed = view.issuance is not None and view.issuance.outcome is Outcome.FAILED
    return failed or view.certificate.status is Status.ERROR


def _is_served(view: CertificateView, now: datetime) -> bool:
    ends = view.certificate.not_after
    return view.certificate.status is Status.ACTIVE and ends is not None and ends > now and _matches_form(view)


def _matches_form(view: CertificateView) -> bool:
    """Whether the leaf in service is for the names of the form, and for the key of its CSR if there is one."""
    active, certificate = view.active, view.certificate
    if active is None:
        return False
    return set(active.names) == set(certificate.names) and active.own_csr_pem == certificate.csr_pem


def _is_renewing(view: CertificateView, now: datetime) -> bool:
    """Whether a renewal is due or under way and has not failed, while the leaf is valid."""
    due = view.renews_at is not None and view.renews_at <= now
    return view.certificate.problem is None and (due or view.under_way)


def _visible_state(view: CertificateView) -> object:
    findings = (view.issuance.findings if view.issuance else None) or {}
    visible = {name: value for name, value in findings.items() if name != "checked_at"}
    return (view.certificate.status, view.certificate.problem, visible)
