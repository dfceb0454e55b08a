"""Blocking until a certificate is there: for scripts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from certcore.engine.reconcile import Engine
from certcore.errors import InvalidInput, NotObtained, StaleWrite, TransitionNotAllowed
from certcore.model.certificate import Certificate
from certcore.model.issuance import Outcome
from certcore.model.lifecycle import Status
from certcore.model.names import certificate_names
from certcore.model.views import CertificateView
from certcore.services.certificates import Certificates
from certcore.services.inputs import names_given, owner_of

__all__ = ["Obtaining"]

#: Seconds after which the store is looked at again at the latest: another process may have gone on.
_LOOK: Final = 1.0
#: Seconds: for ever.
_LONGEST: Final = 10 * 365 * 86_400
#: So many looks at most, whatever the clock does.
_MOST_LOOKS: Final = 1_000_000


@frozen(kw_only=True, eq=False)
class Obtaining:
    """Takes one certificate all the way, in the thread of the caller, whether workers run or not."""

    certificates: Certificates
    engine: Engine
    #: Waits for some seconds; replaced where the clock is.
    wait: Callable[[float], object] = lambda seconds: threading.Event().wait(seconds)

    def obtain(
        self,
        domain: str | None,
        *,
        authority: str,
        owner: str,
        timeout: float,
        progress: Callable[[CertificateView], object] | None,
        actor: str,
        form: dict[str, Any],
    ) -> CertificateView:
        """See `certcore.CertCore.obtain`."""
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise InvalidInput("timeout", "must be a number of seconds above 0.")
        deadline = self.engine.environment.now() + timedelta(seconds=min(timeout, _LONGEST))
        if not isinstance(aliases := form.get("aliases", ()), str):
            form = {**form, "aliases": _listed(aliases)}  # they are read more than once
        with self.engine.storage.read() as transaction:
            named = [one for one in transaction.authorities.list() if authority in (one.id, one.name)]
        authority_id = named[0].id if named else authority
        one = self._started(domain, authority_id, owner, actor, form)
        seen: object = None
        for _ in range(_MOST_LOOKS):
            looked = self.engine.reconcile(one.id)
            view = self.certificates.view(one.id, actor=actor)
            now = self.engine.environment.now()
            if progress is not None and seen != (seen := _what_counts(view)):
                progress(view)
            if _is_there(view, now) and (now >= deadline or not _is_renewing(view, now)):
                return view
            if _is_refused(view):
                raise _not_obtained(view.certificate)
            if now >= deadline:
                break
            until = deadline if looked.look_again is None else min(looked.look_again, deadline)
            if until > now:
                self.wait(min((until - now).total_seconds(), _LOOK))
        raise _not_obtained(view.certificate, timeout)

    def _started(
        self, domain: str | None, authority_id: str, owner: str, actor: str, form: dict[str, Any]
    ) -> Certificate:
        """The certificate, on its way: one that is here already, or a new one."""
        one = self._known(domain, authority_id, owner, form)
        if one is None:
            one = self.certificates.create(domain, authority=authority_id, owner=owner, actor=actor, **form)
        ends = one.not_after
        ended = one.status is Status.ACTIVE and ends is not None and ends <= self.engine.environment.now()
        try:
            match one.status:
                case Status.DRAFT:
                    return self.certificates.generate_csr(one.id, actor=actor)
                case Status.ERROR:
                    return self.certificates.check_now(one.id, actor=actor)
                case Status.EXPIRED | Status.REVOKED:
                    return self.certificates.renew(one.id, actor=actor)
                case _:
                    return self.certificates.renew(one.id, actor=actor) if ended else one
        except (StaleWrite, TransitionNotAllowed):
            return one  # somebody else was faster: it is on its way

    def _known(self, domain: str | None, authority_id: str, owner: str, form: dict[str, Any]) -> Certificate | None:
        """The newest certificate of this owner and CA profile for exactly these names."""
        wanted = names_given(
            domain,
            form.get("aliases", ()),
            wildcard=form.get("wildcard", False),
            key_type=form.get("key_type"),
            csr=form.get("csr"),
        )
        names = set(certificate_names(wanted["domain"], wanted["aliases"], wildcard=wanted["wildcard"]))
        with self.engine.storage.read() as transaction:
            found: Iterable[Certificate] = transaction.certificates.find_by_domain(wanted["domain"])
        same = [
            one
            for one in found
            if one.owner == owner_of(owner)
            and one.authority_id == authority_id
            and set(one.names) == names
            and one.csr_pem == wanted.get("csr_pem", "")
        ]
        return same[-1] if same else None


def _not_obtained(certificate: Certificate, seconds: float | None = None) -> NotObtained:
    problem = certificate.problem
    return NotObtained(
        certificate.domain.ascii,
        certificate.id,
        reason="" if problem is None else str(problem),
        advice="" if problem is None else problem.advice,
        seconds=seconds,
    )


def _listed(aliases: Any) -> Any:
    try:
        return list(aliases)
    except TypeError:
        return aliases  # no aliases at all, which the form says better


def _is_refused(view: CertificateView) -> bool:
    """Whether the attempt failed for good; beside a leaf that has ended the status does not tell."""
    failed = view.issuance is not None and view.issuance.outcome is Outcome.FAILED
    return failed or view.certificate.status is Status.ERROR


def _is_there(view: CertificateView, now: datetime) -> bool:
    ends = view.certificate.not_after
    return view.certificate.status is Status.ACTIVE and ends is not None and ends > now


def _is_renewing(view: CertificateView, now: datetime) -> bool:
    """Whether a renewal is due or under way, and has not failed: the leaf is still good then."""
    due = view.renews_at is not None and view.renews_at <= now
    return view.certificate.problem is None and (due or view.under_way)


def _what_counts(view: CertificateView) -> object:
    findings = view.issuance.findings if view.issuance else None
    return (view.certificate.status, view.certificate.problem, None if findings is None else dict(findings))
