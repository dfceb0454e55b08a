"""Blocking until a certificate is there: for scripts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

from attrs import evolve, frozen

from certcore.engine.reconcile import Engine
from certcore.errors import InvalidInput, NotObtained, StaleWrite, StorageUnavailable, TransitionNotAllowed
from certcore.model.bounds import counted
from certcore.model.certificate import Certificate
from certcore.model.issuance import Outcome
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.names import DnsName, certificate_names
from certcore.model.permissions import Permission
from certcore.model.renewal import RenewalPolicy
from certcore.model.subject import Subject
from certcore.model.views import CertificateView
from certcore.ports.storage import Transaction
from certcore.services.authorities import find_profile
from certcore.services.certificates import Certificates
from certcore.services.edits import checked
from certcore.services.identifiers import MOST_ID, check_identifier, check_owner
from certcore.services.inputs import fallbacks_of, given_changes, names_given, owner_of

__all__ = ["CertificateForm", "Obtaining"]

#: Seconds after which the store is looked at again at the latest: another process may have gone on.
_LOOK: Final = 1.0
#: Seconds: for ever.
_LONGEST: Final = 10 * 365 * 86_400
#: So many looks at most, whatever the clock does.
_MOST_LOOKS: Final = 1_000_000
#: No CA module has this name: names of modules have no hyphen.
_NAMESPACE: Final = "certcore-obtain"
#: So many calls for other certificates can go on at the same moment without one waiting for another.
_LOCKS: Final = 64
_MOST_RACES: Final = 100
#: How many certificates with some of the names are looked at before another one is made.
_MOST_OVERLAPS: Final = 100
_SHOWN_NAMES: Final = 5
#: Entries of a list before the empty ones are left out.
_MOST_ALIASES: Final = 1000


class CertificateForm(TypedDict, total=False):
    """The fields of a certificate besides its domain, tenant and CA profile; see `certcore.services.drafts`."""

    aliases: Iterable[str] | str
    wildcard: bool
    csr: str | bytes | None
    key_type: KeyType | str | None
    subject: Subject | Mapping[str, str] | None
    renewal: RenewalPolicy | Mapping[str, Any] | None
    #: The ids or the names of further CA profiles.
    fallbacks: Iterable[str]
    module_data: Mapping[str, Any] | None


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
        form: CertificateForm,
    ) -> CertificateView:
        """See `certcore.CertCore.obtain`."""
        for name in form:
            if name not in CertificateForm.__annotations__:
                fields = ", ".join(CertificateForm.__annotations__)
                raise InvalidInput(name[:60], "there is no such field.", advice=f"Fields: {fields}.")
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout > 0:
            raise InvalidInput("timeout", "must be a number of seconds above 0.")
        deadline = self.engine.environment.now() + timedelta(seconds=min(timeout, _LONGEST))
        if not isinstance(aliases := form.get("aliases", ()), str):
            form = {**form, "aliases": _listed(aliases)}  # they are read more than once
        check_owner(owner)
        authority_id = self._profile_id("authority", authority, actor)
        if "fallbacks" in form:
            named = fallbacks_of(form["fallbacks"])
            form = {**form, "fallbacks": [self._profile_id("fallbacks", one, actor) for one in named]}
        one = self._started(_Wanted.of(domain, authority_id, owner, form), actor, form)
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

    def _started(self, wanted: _Wanted, actor: str, form: CertificateForm) -> Certificate:
        """The certificate, on its way: one that is here already, or a new one."""
        one = self._known_or_new(wanted, actor, form)
        # Before anything is done about it.
        self.certificates.access.certificate(actor, Permission.CERTIFICATE_CHECK, one.id)
        view = self.certificates.view(one.id, actor=actor)
        ends = one.not_after
        ended = one.status is Status.ACTIVE and ends is not None and ends <= self.engine.environment.now()
        try:
            match one.status:
                case Status.DRAFT:
                    return self.certificates.generate_csr(one.id, actor=actor)
                case Status.ERROR | Status.PENDING:
                    return self.certificates.check_now(one.id, actor=actor)
                case Status.EXPIRED | Status.REVOKED:
                    return self.certificates.renew(one.id, actor=actor)
                case Status.ACTIVE if view.under_way and not _is_as_wanted(view):
                    return self.certificates.check_now(one.id, actor=actor)
                case Status.ACTIVE if not _is_as_wanted(view):
                    return self.certificates.reissue(one.id, actor=actor)
                case _:
                    return self.certificates.renew(one.id, actor=actor) if ended else one
        except (StaleWrite, TransitionNotAllowed):
            return one  # somebody else was faster: it is on its way

    def _profile_id(self, field: str, name_or_id: str, actor: str) -> str:
        """The id of a CA profile; a name is read only for somebody who may see the profile, and is an id to others."""
        check_identifier(field, name_or_id, most=MOST_ID)
        with self.engine.storage.read() as transaction:
            found = find_profile(transaction, name_or_id)
        if found is None:
            return name_or_id
        return found.id if self.certificates.access.allows(actor, Permission.AUTHORITY_VIEW, found.id) else name_or_id

    def _known_or_new(self, wanted: _Wanted, actor: str, form: CertificateForm) -> Certificate:
        """The newest such certificate that the actor may see, or a new one if the actor may make one."""
        hidden: set[str] = set()
        faster: Certificate | None = None

        def known(transaction: Transaction) -> Certificate | None:
            nonlocal faster
            # Whoever wants the same at this moment writes here, too, and only one of them is first.
            lock = transaction.documents.get(_NAMESPACE, wanted.key)
            version = 0 if lock is None else lock.version
            transaction.documents.put(_NAMESPACE, wanted.key, {}, version=version)
            faster = next((one for one in wanted.found(transaction) if one.id not in hidden), None)
            return faster

        for _ in range(_MOST_RACES):
            if (one := self._seen(wanted, actor, hidden)) is not None:
                self._refuse_others(one, form)
                return one
            self._refuse_overlap(wanted, actor)
            with suppress(StaleWrite):
                one = self.certificates.create(
                    wanted.domain,
                    authority=wanted.authority_id,
                    owner=wanted.owner,
                    unless=known,
                    actor=actor,
                    **form,
                )
                if faster is None:
                    return one
                # Somebody was a moment faster: it is there now, for those who may see it.
        raise StorageUnavailable("Many others want the same certificate at this moment.")

    def _seen(self, wanted: _Wanted, actor: str, hidden: set[str]) -> Certificate | None:
        """The newest such certificate that the actor may see; those that the actor may not see are noted."""
        with self.engine.storage.read() as transaction:
            found = wanted.found(transaction)
        for one in found:
            if self.certificates.access.seen(actor, [one]):
                return one
            hidden.add(one.id)
        return None

    def _refuse_overlap(self, wanted: _Wanted, actor: str) -> None:
        """Refuse a second certificate of one owner and CA profile beside one that is meant, most likely.

        It would have names of the first alone, or the same primary name beside others: both would be deployed to one
        place. Whoever wants two makes the second with `Certificates.create`.
        """
        with self.engine.storage.read() as transaction:
            others = transaction.certificates.sharing(
                wanted.sample(self.engine.environment.now()), limit=_MOST_OVERLAPS
            )
        for one in others:
            if one.authority_id != wanted.authority_id or one.status in (Status.DRAFT, Status.REVOKED):
                continue
            names = set(one.names)
            is_same = wanted.names == names and one.domain != wanted.primary and one.csr_pem == wanted.csr_pem
            is_part = wanted.names < names or is_same
            if not is_part and (one.domain != wanted.primary or wanted.names == names):
                continue
            if not self.certificates.access.seen(actor, [one]):
                continue
            listed = ", ".join(name.ascii for name in one.names[:_SHOWN_NAMES])
            raise InvalidInput(
                "domain",
                f"the certificate {one.id} is here already, for {listed}{' …' if len(names) > _SHOWN_NAMES else ''}"
                f"{': these names are part of it' if is_part else ', with the same primary name'}.",
                advice="Call with the same names and primary name to use that one. For other names edit it and have it "
                "reissued, or make a second one with certificates.create (certcore cert create).",
            )

    def _refuse_others(self, one: Certificate, form: CertificateForm) -> None:
        """Refuse fields that the certificate here does not have: they would be passed over in silence."""
        given = {name: form.get(name) for name in ("key_type", "subject", "renewal", "fallbacks", "module_data")}
        changes = given_changes(one, given)
        if not changes:
            return
        wished = checked(self.engine.contexts, evolve(one, **changes), before=one)
        for name in changes:
            if getattr(wished, name) != getattr(one, name):
                raise InvalidInput(
                    name,
                    f"is another one in the certificate for {one.domain} that is here ({one.id}).",
                    advice="Leave it out, or edit that certificate or have it reissued.",
                )


@frozen(kw_only=True)
class _Wanted:
    """What makes a certificate the one that is wanted: names, tenant, CA profile and CSR."""

    domain: str | None
    primary: DnsName
    names: frozenset[DnsName]
    authority_id: str
    owner: str
    csr_pem: str

    @classmethod
    def of(cls, domain: str | None, authority_id: str, owner: str, form: CertificateForm) -> _Wanted:
        found = names_given(
            domain,
            form.get("aliases", ()),
            wildcard=form.get("wildcard", False),
            key_type=form.get("key_type"),
            csr=form.get("csr"),
        )
        return cls(
            domain=domain,
            primary=found["domain"],
            names=frozenset(certificate_names(found["domain"], found["aliases"], wildcard=found["wildcard"])),
            authority_id=authority_id,
            owner=owner_of(owner),
            csr_pem=found.get("csr_pem", ""),
        )

    def sample(self, now: datetime) -> Certificate:
        """A certificate that is not stored, with these names."""
        return Certificate(
            id="",
            owner=self.owner,
            domain=self.primary,
            aliases=tuple(sorted(self.names - {self.primary}, key=lambda name: name.ascii)),
            authority_id=self.authority_id,
            created_at=now,
            updated_at=now,
        )

    @property
    def key(self) -> str:
        """One of a few locks."""
        said = [self.owner, self.authority_id, self.csr_pem, *sorted(one.ascii for one in self.names)]
        return f"obtain-{int(hashlib.sha256(repr(said).encode()).hexdigest(), 16) % _LOCKS}"

    def found(self, transaction: Transaction) -> Sequence[Certificate]:
        """Those that are such a certificate, the newest first."""
        return [
            one
            for one in reversed(transaction.certificates.find_by_domain(self.primary))
            if one.owner == self.owner
            and one.authority_id == self.authority_id
            and set(one.names) == self.names
            and one.csr_pem == self.csr_pem
        ]


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
    """A list that can be read twice; what is no list is left for the form to refuse."""
    return counted("aliases", aliases, _MOST_ALIASES) if isinstance(aliases, Iterable) else aliases


def _is_refused(view: CertificateView) -> bool:
    """Whether the attempt failed for good; beside a leaf that has ended the status does not tell."""
    failed = view.issuance is not None and view.issuance.outcome is Outcome.FAILED
    return failed or view.certificate.status is Status.ERROR


def _is_there(view: CertificateView, now: datetime) -> bool:
    ends = view.certificate.not_after
    return view.certificate.status is Status.ACTIVE and ends is not None and ends > now and _is_as_wanted(view)


def _is_as_wanted(view: CertificateView) -> bool:
    """Whether the leaf in service is for the names of the form, and for the key of its CSR if there is one."""
    active, certificate = view.active, view.certificate
    if active is None:
        return False
    return set(active.names) == set(certificate.names) and active.own_csr_pem == certificate.csr_pem


def _is_renewing(view: CertificateView, now: datetime) -> bool:
    """Whether a renewal is due or under way, and has not failed: the leaf is still good then."""
    due = view.renews_at is not None and view.renews_at <= now
    return view.certificate.problem is None and (due or view.under_way)


def _what_counts(view: CertificateView) -> object:
    findings = (view.issuance.findings if view.issuance else None) or {}
    seen = {name: value for name, value in findings.items() if name != "checked_at"}
    return (view.certificate.status, view.certificate.problem, seen)
