"""Stores that each break one rule: the in-memory store with another method, or with other transactions."""

import json
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial

from attrs import evolve

from certcore.adapters.memory import MemoryStorage
from certcore.errors import (
    AlreadyExistsError,
    InUseError,
    LeaseLostError,
    NotFoundError,
    StaleWriteError,
)
from certcore.model.secret import SecretName

YEARS = timedelta(days=3650)


class Changed:
    """A repository, or a transaction, with something else in places."""

    def __init__(self, real, **other):
        self._real, self._other = real, other

    def __getattr__(self, name):
        return self._other[name] if name in self._other else getattr(self._real, name)


class StoreAround:
    """A store around the in-memory one."""

    def __init__(self):
        self.real = MemoryStorage()

    def __getattr__(self, name):
        return getattr(self.real, name)


def other(repository, **methods):
    """A store in which methods of a repository are functions that get the real repository first."""

    class Store(StoreAround):
        @contextmanager
        def read(self):
            with self.real.read() as transaction:
                yield self.changed(transaction)

        @contextmanager
        def write(self, *arguments, **named):
            with self.real.write(*arguments, **named) as transaction:
                yield self.changed(transaction)

        def changed(self, transaction):
            real = getattr(transaction, repository)
            changed = {name: partial(method, real) for name, method in methods.items()}
            return Changed(transaction, **{repository: Changed(real, **changed)})

    return Store


def returns(value):
    """A method that does nothing."""
    return lambda _real, *_arguments, **_named: value


def passes_on(method, change=lambda result: result, **always):
    """A method whose result is changed, or that gets other arguments."""
    return lambda real, *arguments, **named: change(getattr(real, method)(*arguments, **{**named, **always}))


def without(error, method):
    """A method that hides an error."""

    def call(real, *arguments, **named):
        with suppress(error):
            return getattr(real, method)(*arguments, **named)

    return call


def lower(method):
    """A method that takes its key for that in lower case, as a database with a collation does."""
    return lambda real, key, *arguments, **named: getattr(real, method)(key.lower(), *arguments, **named)


def newest(method):
    """A method that stores a row whatever version it was read in."""

    def call(real, row):
        try:
            return getattr(real, method)(row)
        except StaleWriteError:
            return getattr(real, method)(evolve(row, version=real.get(row.id).version))

    return call


def reverse(rows):
    return list(reversed(rows))


def any_version(real, namespace, key, value, *, version=None):
    return real.put(namespace, key, value)


def as_text(real, namespace, key, value, *, version=None):
    return real.put(namespace, key, json.loads(json.dumps(value, default=str)), version=version)


def put_secret(real, name, old, new):
    real.put(name, new)
    return True


def edits_too(real, certificate):
    real.save(evolve(certificate, version=real.get(certificate.id).version))


def ends_without_look(real, schedule, *, begun):
    real.save(schedule)
    return schedule


def forgets_attempts(real, certificate_id, *, due_at, attempts=None):
    return real.take_over(certificate_id, due_at=due_at, attempts=attempts or 0)


def leases_what_is_leased(real, certificate_id, *, now, owner, lease_until):
    return real.claim(certificate_id, now=now + YEARS, owner=owner, lease_until=lease_until)


def everybody(real, *, observers, now, owner, lease_until, limit):
    names = [observer.name for observer in real.known_observers()]
    return real.claim_due(observers=names, now=now, owner=owner, lease_until=lease_until, limit=limit)


def keeps_first(real, preflight):
    stored = real.get(preflight.certificate_id)
    return real.save(evolve(preflight, version=stored.version if stored else 0))


def delete_alike(real, certificate_id):
    for certificate in real.page():
        if certificate.id.lower() == certificate_id.lower():
            real.delete(certificate.id)


def from_the_start(cursors):
    return [evolve(cursor, delivered=0) for cursor in cursors]


def without_chain(events):
    return [evolve(event, hash="0" * 64) for event in events]


class KeepsHalf(StoreAround):
    """Commits what a transaction did before it raised."""

    @contextmanager
    def write(self, *arguments, **named):
        error = None
        with self.real.write(*arguments, **named) as transaction:
            try:
                yield transaction
            except ZeroDivisionError as raised:
                error = raised
        if error is not None:
            raise error


class StopsAfterNothing(MemoryStorage):
    """Loses what follows a writing transaction in which nothing happened."""

    is_stuck = False

    @contextmanager
    def write(self, *arguments, **named):
        before = self._tables
        with super().write(*arguments, **named) as transaction:
            rows = repr(transaction.authorities.list())
            yield transaction
            is_same = repr(transaction.authorities.list()) == rows
        if self.is_stuck:
            self._tables = before
        self.is_stuck = self.is_stuck or is_same


class ReadsLive(StoreAround):
    """Shows in a reading transaction what is committed meanwhile."""

    @contextmanager
    def read(self):
        store = self.real

        class Latest:
            def __getattr__(self, name):
                with store.read() as transaction:
                    return getattr(transaction, name)

        yield Latest()


class SameMark(StoreAround):
    def change_mark(self):
        return 1


class Nests(StoreAround):
    """Lets a thread open a second writing transaction, which is the first one."""

    def __init__(self):
        super().__init__()
        self.local = threading.local()

    @contextmanager
    def write(self, *arguments, **named):
        if getattr(self.local, "transaction", None) is not None:
            yield self.local.transaction
            return
        with self.real.write(*arguments, **named) as transaction:
            self.local.transaction = transaction
            try:
                yield transaction
            finally:
                self.local.transaction = None


class ThreadsApart(MemoryStorage):
    """Begins each thread with what the first one has written: changes of other threads are lost."""

    def __init__(self):
        super().__init__()
        self.local = threading.local()
        self.local.is_first = True
        self.base = self._tables

    @contextmanager
    def write(self, *arguments, **named):
        is_first = getattr(self.local, "is_first", False)
        with self._writing:
            if not is_first:
                self._tables = getattr(self.local, "tables", self.base)
        with super().write(*arguments, **named) as transaction:
            yield transaction
        self.local.tables = self._tables
        if is_first:
            self.base = self._tables


class NeverCloses(StoreAround):
    def close(self):
        pass


#: By the name of the check that each fails.
BROKEN = {
    # rows
    "a-certificate-comes-back-as-it-went-in": other(
        "certificates", get=passes_on("get", lambda row: evolve(row, csr_pem=""))
    ),
    "a-stale-save-is-refused": other("certificates", save=newest("save")),
    "progress-touches-nothing-that-users-edit": other("certificates", save_progress=edits_too),
    "deleting-takes-everything-but-the-timeline": other("certificates", delete=returns(None)),
    "what-is-missing-is-not-found": other("certificates", get=without(NotFoundError, "get")),
    "nothing-is-stored-for-a-parent-that-is-not-there": other("schedules", add=without(NotFoundError, "add")),
    "finding-by-domain": other("certificates", find_by_domain=passes_on("find_by_domain", reverse)),
    "an-issuance-comes-back-as-it-went-in": other(
        "issuances", get=passes_on("get", lambda row: evolve(row, leaf_pem=""))
    ),
    "profiles": other("authorities", list=passes_on("list", reverse)),
    "an-id-that-is-taken-is-refused": other("certificates", add=without(AlreadyExistsError, "add")),
    "profile-names-are-unique": other("authorities", add=without(AlreadyExistsError, "add")),
    "a-stale-profile-is-refused": other("authorities", save=newest("save")),
    "a-profile-in-use-stays": other("authorities", delete=without(InUseError, "delete")),
    "sealed-secrets": other("secrets", names=returns([])),
    "certificates-are-found-by-what-people-have": other("certificates", search=returns([])),
    "certificates-are-counted-by-status": other("certificates", count_by_status=returns({})),
    "documents": other("documents", list=returns([])),
    "documents-demand-versions": other("documents", put=any_version),
    "only-json-is-stored": other("documents", put=as_text),
    # lists
    "pages-follow-each-other-without-gaps": other("certificates", page=passes_on("page", lambda rows: rows[:-1])),
    "every-order-has-pages": other("certificates", page=passes_on("page", descending=False)),
    "filters": other("certificates", count=returns(0)),
    "conditions-filter-lists": other("certificates", page=passes_on("page", only=None)),
    "the-ends-of-leaves-are-counted-by-day": other("certificates", count_endings=passes_on("count_endings", reverse)),
    "the-names-of-profiles": other("authorities", names=returns({})),
    "names-filter-lists": other("certificates", page=returns([])),
    "leaves-filter-lists": other("certificates", page=returns([])),
    "a-leaf-that-many-owners-have": other("certificates", search=passes_on("search", owner=None)),
    "which-certificates-share-names": other("certificates", sharing=returns([])),
    # keys
    "owners-are-compared-byte-by-byte": other(
        "certificates", count_by_status=lambda real, **named: real.count_by_status(**{**named, "owner": None})
    ),
    "ids-are-compared-byte-by-byte": other("certificates", get=lower("get")),
    "observers-are-compared-byte-by-byte": other("deliveries", forget_observer=lower("forget_observer")),
    "what-is-written-under-one-key-leaves-the-others-alone": other("certificates", delete=delete_alike),
    "names-of-profiles-are-compared-byte-by-byte": other("authorities", by_name=lower("by_name")),
    "secrets-and-documents-are-compared-byte-by-byte": other(
        "secrets", get=lambda real, name: real.get(SecretName(name.purpose, name.owner_id.lower()))
    ),
    # secrets
    "secrets-by-their-key": other("secrets", key_ids=passes_on("key_ids", reverse)),
    "secrets-that-are-sealed-otherwise": other(
        "secrets", sealed_otherwise=passes_on("sealed_otherwise", lambda rows: rows[1:])
    ),
    "a-secret-is-replaced-only-by-who-knows-it": other("secrets", replace=put_secret),
    "of-two-replacements-one-is-made": other("secrets", replace=put_secret),
    # steps
    "a-step-reads-what-is-live": other(
        "issuances", live=lambda real, certificate, *, since: real.of_certificate(certificate.id)
    ),
    "renewal-information-is-stored-by-itself": other("issuances", save_renewal_info=returns(None)),
    "keys-of-leaves-that-have-ended": other("issuances", ended_keys=returns(set())),
    "a-step-ends-under-its-lease": other("schedules", finish=ends_without_look),
    "many-documents-at-once": other("documents", get_many=returns({})),
    "a-document-that-was-deleted-meanwhile-is-a-stale-write": other("documents", put=any_version),
    # timelines
    "events-are-numbered-in-order": other("events", of_certificate=passes_on("of_certificate", reverse)),
    "the-feed-has-every-event-once": other("events", feed=returns([])),
    "events-are-chained": other("events", following=passes_on("following", without_chain)),
    "nobody-takes-a-number-twice": ThreadsApart,
    "new-events-are-pending": other(
        "timelines", get=passes_on("get", lambda timeline: evolve(timeline, pending_since=None))
    ),
    # deliveries
    "pending-events-are-offered-to-all-observers": other("deliveries", offer=returns(0)),
    "an-observer-that-comes-later-begins-there": other("deliveries", offer=returns(0)),
    "only-what-is-due-to-these-observers-is-claimed": other("deliveries", claim_due=everybody),
    "a-delivery-is-settled": other("deliveries", settle=returns(None)),
    "what-failed-can-be-tried-again-at-once": other("deliveries", retry_now=returns(0)),
    "events-that-come-during-a-delivery-are-not-missed": other("deliveries", settle=returns(None)),
    "who-was-overtaken-settles-nothing": other("deliveries", settle=without(LeaseLostError, "settle")),
    "a-cursor-that-was-begun-anew-is-not-that-of-an-old-lease": other(
        "deliveries", settle=without(LeaseLostError, "settle")
    ),
    "a-delivery-that-a-wrong-clock-has-put-off": other("deliveries", repair=returns(0)),
    "observers-are-known-until-they-are-forgotten": other("deliveries", known_observers=returns([])),
    "several-at-once-claim-each-delivery-once": other("deliveries", claim_due=passes_on("claim_due", from_the_start)),
    # preflights
    "a-preflight-comes-back-as-it-was": other("preflights", get=returns(None)),
    "one-of-two-processes-saves-a-preflight": other("preflights", save=keeps_first),
    "a-preflight-goes-with-its-certificate": other("preflights", save=without(NotFoundError, "save")),
    "the-longest-overdue-preflights-come-first": other("preflights", due=passes_on("due", reverse)),
    "certificates-in-service-without-a-preflight": other("preflights", unplanned=returns([])),
    # transactions
    "everything-or-nothing": KeepsHalf,
    "a-transaction-in-which-nothing-happens": StopsAfterNothing,
    "a-reader-sees-one-state": ReadsLive,
    "documents-are-listed-in-parts": other("documents", list=passes_on("list", after="")),
    "a-change-mark-tells-of-every-commit": SameMark,
    "a-second-writing-transaction-in-one-thread-is-refused": Nests,
    "writers-in-many-threads-lose-nothing": ThreadsApart,
    "writers-of-the-same-new-row-do-not-hurt-each-other": other("documents", put=any_version),
    "steps-and-users-never-wait-for-each-other-for-ever": ThreadsApart,
    "a-closed-store-says-so": NeverCloses,
    # schedules
    "only-what-is-due-is-claimed-longest-overdue-first": other("schedules", claim_due=passes_on("claim_due", reverse)),
    "the-most-urgent-is-claimed-first": other("schedules", claim_due=passes_on("claim_due", reverse)),
    "what-is-due-is-read-without-a-lease": other("schedules", due=passes_on("due", reverse)),
    "a-lease-that-ran-out-is-claimed-again": other("schedules", save=without(LeaseLostError, "save")),
    "claiming-one": other("schedules", claim=leases_what_is_leased),
    "saving-gives-a-lease-back": other("schedules", save=returns(None)),
    "renewing-a-lease": other("schedules", renew_lease=returns(None)),
    "a-users-action-takes-over": other("schedules", take_over=forgets_attempts),
    "when-something-is-due-next": other("schedules", next_due=returns(None)),
    "what-a-wrong-clock-has-put-off-is-made-due": other("schedules", repair=returns(0)),
    "a-lease-of-a-wrong-clock-is-taken-away": other("schedules", repair=returns(0)),
    "a-repair-takes-no-more-rows-than-it-may": other("schedules", repair=passes_on("repair", limit=100)),
    "two-claimers-never-get-the-same": ThreadsApart,
}
