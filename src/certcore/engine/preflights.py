"""Check certificates in service regularly as if they were renewed now, and report obstacles.

A check holds no lease: it reads, checks, and stores its result if the certificate has not changed meanwhile. So it
delays no step, and a step in between voids it. The process that first moves a check's due time runs it; if that process
dies, another one repeats the check a quarter of an hour later.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, frozen

from certcore.engine.module_context import Contexts
from certcore.engine.observers import is_gone
from certcore.errors import CertCoreError, InvalidInputError, NotFoundError, StaleWriteError, StorageError
from certcore.messages import Message, shown_moment
from certcore.model.authority import CertificateAuthority
from certcore.model.certificate import Certificate
from certcore.model.events import Event, EventKind
from certcore.model.finding import Finding, Severity
from certcore.model.issuance import Issuance
from certcore.model.order_limit import OrderLimit, order_limit
from certcore.model.plugin_calls import call_plugin
from certcore.model.preflight import CLAIM, Preflight, checked, comes_too_late, is_checked, next_preflight
from certcore.model.problem import Problem
from certcore.model.readiness import Obstacle, Readiness, WhoseTurn
from certcore.ports.ca_module import SupportsPreflight
from certcore.ports.plugins import CertificateSource
from certcore.ports.storage import Storage, Transaction

__all__ = ["Preflights"]

_log = logging.getLogger(__name__)
#: Issuances that finished within this time count for the order limit.
_RECENT: Final = timedelta(days=8)
#: The next check of a certificate that changed while it was checked, or whose renewal was under way.
_SOON: Final = timedelta(hours=1)
_UNDER_WAY: Final = timedelta(days=1)
#: The most obstacles that are kept of the CA module, and of each target.
_MOST_OF_MODULE: Final = 20
_MOST_OF_TARGET: Final = 5
#: How many obstacles an event lists.
_MOST_TOLD: Final = 5
#: The problem type of the event.
_NOT_READY: Final = "urn:certcore:renewal-not-ready"


@frozen(kw_only=True)
class _Checked:
    """A certificate as read for a check."""

    certificate: Certificate
    issuances: tuple[Issuance, ...]
    authority: CertificateAuthority | None
    preflight: Preflight

    @property
    def active(self) -> Issuance | None:
        """The issuance whose leaf is in service."""
        return next((each for each in self.issuances if each.id == self.certificate.active_issuance_id), None)

    @property
    def current(self) -> Issuance | None:
        """The issuance under way, or the last one that failed."""
        return next((each for each in self.issuances if each.id == self.certificate.issuance_id), None)

    @property
    def is_under_way(self) -> bool:
        """Whether an issuance is under way."""
        return self.current is not None and self.current.outcome is None

    def is_like(self, other: _Checked) -> bool:
        """Whether the checked leaf, names and settings are the same."""
        ours, theirs = self.certificate, other.certificate
        return (
            (ours.version, ours.status) == (theirs.version, theirs.status)
            and (ours.issuance_id, ours.active_issuance_id) == (theirs.issuance_id, theirs.active_issuance_id)
            and (self.authority and self.authority.version) == (other.authority and other.authority.version)
        )


@frozen(kw_only=True, eq=False)
class Preflights:
    """The regular checks of one store. Thread-safe; any number of processes may run them."""

    contexts: Contexts
    #: Passed to plugins with targets, to read certificates.
    certificates: CertificateSource

    @property
    def _storage(self) -> Storage:
        return self.contexts.storage

    def plan(self, limit: int) -> int:
        """Plan the first check of certificates in service without one; returns how many were planned.

        Raises:
            StorageError: The store cannot be used now.
        """
        with self._storage.read() as transaction:
            ids = transaction.preflights.unplanned(limit=limit)
        for certificate_id in ids:
            try:
                with self._storage.write() as transaction:
                    read = self._read(transaction, certificate_id)
                    transaction.preflights.save(read.preflight)
            except (NotFoundError, StaleWriteError):  # deleted, or planned by another process
                continue
        return len(ids)

    def run_due(self, limit: int) -> int:
        """Run the due checks, the longest overdue first; returns how many certificates were checked.

        Raises:
            StorageError: The store cannot be used now.
        """
        now = self.contexts.environment.now()
        with self._storage.read() as transaction:
            due = transaction.preflights.due(now=now, limit=limit)
        return sum(self._run(preflight, now) for preflight in due)

    def _run(self, preflight: Preflight, now: datetime) -> bool:
        """Run a due check; returns whether this process ran it."""
        try:
            with self._storage.write() as transaction:
                # No other process runs the check until this time.
                transaction.preflights.save(evolve(preflight, due_at=now + CLAIM))
            self.check(preflight.certificate_id)
        except (NotFoundError, StaleWriteError):
            return False
        except StorageError:
            raise
        except Exception as error:  # isolation: the check is repeated; other certificates are checked
            reason = error.message if isinstance(error, CertCoreError) else type(error).__name__
            _log.error("The preflight of certificate %s failed: %s", preflight.certificate_id, reason)
        return True

    def check(self, certificate_id: str, *, actor: str = "", is_asked: bool = False) -> Preflight:
        """Check one certificate, whether it is due or not, and store the result.

        Args:
            certificate_id: The certificate.
            actor: Who asks; empty for the regular check.
            is_asked: Whether a user asked for the check. Then it runs even if the CA profile has switched off the
                regular checks.

        Returns:
            The result. It is stored and reported if the certificate is checked regularly. Its ``readiness`` is None if
            there is nothing to check: no leaf, no CA profile, or an issuance under way.

        Raises:
            NotFoundError: There is no such certificate.
            StaleWriteError: Another process has checked it meanwhile.
            StorageError: The store cannot be used now.
        """
        now = self.contexts.environment.now()
        with self._storage.read() as transaction:
            before = self._read(transaction, certificate_id)
        is_wanted = is_checked(before.certificate, before.active, before.current)
        readiness = self._look(before, now, is_asked=is_asked) if is_wanted or is_asked else None
        if is_asked and not is_wanted:
            return evolve(before.preflight, checked_at=now, readiness=readiness)
        with self._storage.write() as transaction:
            stored = self._read(transaction, certificate_id)
            if not is_wanted:
                return transaction.preflights.save(self._passed_over(before, now))
            if not stored.is_like(before):
                # The result is about another leaf, other names or other settings.
                return transaction.preflights.save(evolve(before.preflight, due_at=now + _SOON))
            after, lasting = checked(before.preflight, readiness, now)
            due_at = next_preflight(stored.certificate, stored.active, after, now)
            saved = transaction.preflights.save(evolve(after, due_at=due_at))
            if saved.told != before.preflight.told and readiness is not None:
                transaction.events.append([_event(stored.certificate, lasting, now, actor or "engine")])
        return saved

    def _passed_over(self, read: _Checked, now: datetime) -> Preflight:
        """The preflight of a certificate that cannot be checked now."""
        preflight, certificate = read.preflight, read.certificate
        if read.is_under_way:
            return evolve(preflight, due_at=now + _UNDER_WAY)  # the renewal reports its own problem
        after = evolve(preflight, checked_at=now, readiness=None, told="")
        return evolve(after, due_at=next_preflight(certificate, read.active, after, now))

    def _read(self, transaction: Transaction, certificate_id: str) -> _Checked:
        now = self.contexts.environment.now()
        certificate = transaction.certificates.get(certificate_id)
        issuances = tuple(transaction.issuances.live(certificate, since=now - _RECENT))
        authority_id = certificate.authority_id
        authority = None if authority_id is None else transaction.authorities.get(authority_id)
        stored = transaction.preflights.get(certificate_id)
        read = _Checked(
            certificate=certificate,
            issuances=issuances,
            authority=authority,
            preflight=stored or Preflight(certificate_id=certificate_id, due_at=now),
        )
        if stored is not None:
            return read
        due_at = next_preflight(certificate, read.active, read.preflight, now)
        return evolve(read, preflight=evolve(read.preflight, due_at=due_at))

    def _look(self, read: _Checked, now: datetime, *, is_asked: bool) -> Readiness | None:
        """The obstacles to a renewal; None if there is nothing to check, or the CA profile wants no checks."""
        authority, active = read.authority, read.active
        if authority is None or active is None or active.leaf is None or read.is_under_way:
            return None
        limit = order_limit(read.issuances, now)
        by_module = self._by_module(read, authority, active, limit, is_asked=is_asked)
        if by_module is None:
            return None
        return Readiness.of([*by_module, *_by_order_limit(read, limit, now), *self._by_targets(read, now)])

    def _by_module(
        self, read: _Checked, authority: CertificateAuthority, active: Issuance, limit: OrderLimit, *, is_asked: bool
    ) -> tuple[Obstacle, ...] | None:
        """The findings of the CA module; None if the CA profile has switched off the regular checks."""
        certificate, name = read.certificate, authority.module
        domain = certificate.domain.ascii
        try:
            module, work = self.contexts.work(authority, certificate, active, active=active, orders=limit)
            check = module.check_request
            call_plugin(name, "check_request", check, work, certificate.names, work.settings, returns=None)
            if not isinstance(module, SupportsPreflight):
                return ()
            is_on: bool = call_plugin(name, "wants_preflights", module.wants_preflights, work, returns=bool)
            if not is_on and not is_asked:
                return None
            readiness: Readiness = call_plugin(name, "preflight", module.preflight, work, returns=Readiness)
        except StorageError:
            raise
        except InvalidInputError as error:
            return (_refused(domain, authority, error),)
        except CertCoreError as error:
            _log.warning("The preflight of certificate %s failed: %s", certificate.id, error)
            return (_unusable(domain, authority, error),)
        obstacles = Readiness.of(readiness.obstacles).obstacles[:_MOST_OF_MODULE]
        return tuple(evolve(obstacle, target="", since=None) for obstacle in obstacles)

    def _by_targets(self, read: _Checked, now: datetime) -> Iterator[Obstacle]:
        """The findings of plugins about their targets; findings of plugins that only other processes have are kept."""
        findings = self.contexts.plugins.check_targets(read.certificate.id, self.certificates)
        for target, found_there in findings.items():
            for finding in found_there[:_MOST_OF_TARGET]:
                # A file system or a server may be away for a moment.
                whose_turn = WhoseTurn.ADMINISTRATOR
                yield Obstacle(finding=finding, whose_turn=whose_turn, target=target, is_certain=False)
        before = () if read.preflight.readiness is None else read.preflight.readiness.obstacles
        elsewhere = [obstacle for obstacle in before if obstacle.target and obstacle.target not in findings]
        if elsewhere:
            with self._storage.read() as transaction:
                observers = transaction.deliveries.known_observers()
            here = {observer.name for observer in observers if not is_gone(observer, now)}
            yield from (obstacle for obstacle in elsewhere if obstacle.target in here)


def _by_order_limit(read: _Checked, limit: OrderLimit, now: datetime) -> Iterator[Obstacle]:
    if limit.next_at is None or read.active is None:
        return
    is_late = comes_too_late(read.certificate, read.active, limit.next_at, now)
    text = "{count} orders were placed for this certificate within a short time: the next one is placed at {next_at}."
    advice = "Look in the timeline for the reason of so many orders, and remove it."
    yield Obstacle(
        finding=Finding(
            code="order_limit",
            severity=Severity.ERROR if is_late else Severity.INFO,
            name=read.certificate.domain.ascii,
            cause=Message(
                "core.preflight.order_limit.cause",
                text,
                {"count": limit.most, "next_at": shown_moment(limit.next_at)},
            ),
            advice=Message("core.preflight.order_limit.advice", advice),
            next_look=limit.next_at,
        ),
        whose_turn=WhoseTurn.ADMINISTRATOR if is_late else WhoseTurn.NOBODY,
    )


def _refused(domain: str, authority: CertificateAuthority, error: CertCoreError) -> Obstacle:
    text = "The CA profile {authority} no longer permits this certificate: {reason}"
    advice = "Change the certificate, or the CA profile. {advice}"
    return Obstacle(
        finding=Finding(
            code="request_refused",
            severity=Severity.ERROR,
            name=domain,
            cause=Message(
                "core.preflight.request_refused.cause", text, {"authority": authority.name, "reason": error.text}
            ),
            advice=Message("core.preflight.request_refused.advice", advice, {"advice": error.advice_text}),
        ),
        whose_turn=WhoseTurn.ADMINISTRATOR,
    )


def _unusable(domain: str, authority: CertificateAuthority, error: CertCoreError) -> Obstacle:
    text = "The CA profile {authority} could not be checked: {reason}"
    advice = "Test the CA profile on its page. {advice}"
    return Obstacle(
        finding=Finding(
            code="authority_unusable",
            severity=Severity.ERROR,
            name=domain,
            cause=Message(
                "core.preflight.authority_unusable.cause", text, {"authority": authority.name, "reason": error.text}
            ),
            advice=Message("core.preflight.authority_unusable.advice", advice, {"advice": error.advice_text}),
        ),
        whose_turn=WhoseTurn.ADMINISTRATOR,
        is_certain=False,  # this process may lack a module, or the CA may be down
    )


def _event(certificate: Certificate, lasting: Iterable[Obstacle], now: datetime, actor: str) -> Event:
    """The event with the obstacles, without the targets' details about the server; or that no obstacle is left."""
    shown = [obstacle.without_details() for obstacle in lasting]
    obstacles = [
        {
            "code": obstacle.finding.code,
            "name": obstacle.finding.name,
            "target": obstacle.target,
            "whose_turn": str(obstacle.whose_turn),
            "cause": obstacle.finding.cause.to_json(),
            "advice": obstacle.finding.advice.to_json(),
        }
        for obstacle in shown[:_MOST_TOLD]
    ]
    first = shown[0] if shown else None
    return Event(
        certificate_id=certificate.id,
        kind=EventKind.RENEWAL_READY if first is None else EventKind.RENEWAL_NOT_READY,
        at=now,
        owner=certificate.owner,
        actor=actor,
        from_status=certificate.status,
        to_status=certificate.status,
        data={}
        if first is None
        else {"whose_turn": str(first.whose_turn), "count": len(shown), "obstacles": obstacles},
        problem=None
        if first is None
        else Problem(type=_NOT_READY, title=first.finding.cause, advice=first.finding.advice),
    )
