"""The conformance suites of observers, policies, keyrings and export formats: each fault is found by its check."""

import threading

import pytest

import certcore
from certcore import RolePolicy
from certcore.plugin import (
    ExportedFile,
    ExportFormat,
    NotFoundError,
    SealingKeyInUseError,
    UnknownSealingKeyError,
    UnsealError,
    Use,
)
from certcore.testing import conformance
from certcore.testing.conformance import CheckOutcome, Suite, all_checks
from support.inside import inside


class Observer:
    """Takes everything, and keeps the kinds."""

    name = "observer"

    def __init__(self):
        self.kinds = []

    @certcore.hookimpl
    def certcore_on_event(self, event, certificates):
        return self.take(event, certificates)

    def take(self, event, certificates):
        self.kinds.append(event.kind)


class RaisesForRevocations(Observer):
    def take(self, event, certificates):
        if event.kind == "revoked":
            raise KeyError(event.kind)


class RaisesForOthers(Observer):
    def take(self, event, certificates):
        {"created": 1, "csr_generated": 1, "processing": 1, "installed": 1, "renewal_started": 1, "revoked": 1}[
            event.kind
        ]


class RaisesForTwice(Observer):
    def take(self, event, certificates):
        if event in self.kinds:
            raise KeyError(event.number)
        self.kinds.append(event)


class ExportsDrafts(Observer):
    def take(self, event, certificates):
        if event.kind in {"created", "failed"} and event.owner == "tenant-2":
            certificates.export(event.certificate_id, reason="a fault")


class LooksAtDeleted(Observer):
    def take(self, event, certificates):
        if event.owner == "tenant-3":
            certificates.view(event.certificate_id)


class OneThreadOnly(Observer):
    def take(self, event, certificates):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a connection of another thread")


class PrintsEvents(Observer):
    def take(self, event, certificates):
        print(event.kind)  # noqa: T201 - this is the fault


class Unloadable(Observer):
    @certcore.hookimpl
    def certcore_hint(self, view):
        return []


OBSERVERS = {
    "loads": Unloadable,
    "takes-a-life": RaisesForRevocations,
    "takes-every-kind": RaisesForOthers,
    "takes-it-again": RaisesForTwice,
    "takes-drafts": ExportsDrafts,
    "takes-deleted": LooksAtDeleted,
    "thread-safe": OneThreadOnly,
    "quiet": PrintsEvents,
}


class Policy:
    """Denies to one, permits the rest."""

    name = "policy"

    def __init__(self):
        self.count = 0

    @certcore.hookimpl
    def certcore_authorize(self, actor, action, subject, owner):
        return self.decide(actor, action, subject, owner)

    def decide(self, actor, action, subject, owner):
        return False if actor == "trainee" else None


class UnloadablePolicy(Policy):
    @certcore.hookimpl
    def certcore_hint(self, view):
        return []


class SaysNo(Policy):
    def decide(self, actor, action, subject, owner):
        return "no" if action == "certificate.revoke" else None


class NeedsActor(Policy):
    def decide(self, actor, action, subject, owner):
        return actor[0] == "a"


class KnownActions(Policy):
    def decide(self, actor, action, subject, owner):
        return bool(certcore.Permission(action))


class Moody(Policy):
    def decide(self, actor, action, subject, owner):
        self.count += 1
        return self.count % 2 == 0


class OneThreadPolicy(Policy):
    def decide(self, actor, action, subject, owner):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a connection of another thread")


class PrintsDecisions(Policy):
    def decide(self, actor, action, subject, owner):
        print(actor)  # noqa: T201 - this is the fault


POLICIES = {
    "loads": UnloadablePolicy,
    "answers": SaysNo,
    "every-actor": NeedsActor,
    "later-permissions": KnownActions,
    "steady": Moody,
    "thread-safe": OneThreadPolicy,
    "quiet": PrintsDecisions,
}


class Ring:
    """A keyring that keeps every rule; its cipher is a toy."""

    def __init__(self):
        self.keys = {"k1": b"1" * 32}
        self.current_key_id = "k1"

    @property
    def key_ids(self):
        return frozenset(self.keys)

    def wrap(self, data_key, *, bound_to):
        return self.current_key_id, self.sealed(self.current_key_id, data_key, bound_to)

    def sealed(self, key_id, data_key, bound_to):
        import hashlib

        hidden = bytes(one ^ two for one, two in zip(data_key, self.keys[key_id], strict=True))
        return hidden + hashlib.sha256(self.keys[key_id] + hidden + bound_to).digest()

    def unwrap(self, key_id, wrapped_key, *, bound_to):
        if key_id not in self.keys:
            raise UnknownSealingKeyError(frozenset({key_id}))
        data_key = bytes(one ^ two for one, two in zip(wrapped_key[:32], self.keys[key_id], strict=False))
        if len(data_key) < 32 or self.sealed(key_id, data_key, bound_to) != wrapped_key:
            raise UnsealError("data key")
        return data_key

    def add_key(self):
        self.keys["k2"] = b"2" * 32
        return "k2"

    def make_current(self, key_id):
        if key_id not in self.keys:
            raise NotFoundError("sealing key", key_id)
        self.current_key_id = key_id

    def remove_key(self, key_id):
        if key_id not in self.keys:
            raise NotFoundError("sealing key", key_id)
        if key_id == self.current_key_id:
            raise SealingKeyInUseError(key_id, current=True)
        del self.keys[key_id]


class ListOfKeys(Ring):
    @property
    def key_ids(self):
        return list(self.keys)


class LosesKeys(Ring):
    def unwrap(self, key_id, wrapped_key, *, bound_to):
        return super().unwrap(key_id, wrapped_key, bound_to=bound_to)[:16]


class Plain(Ring):
    def wrap(self, data_key, *, bound_to):
        key_id, wrapped_key = super().wrap(data_key, bound_to=bound_to)
        return key_id, wrapped_key + data_key

    def unwrap(self, key_id, wrapped_key, *, bound_to):
        data_key = super().unwrap(key_id, wrapped_key[:64], bound_to=bound_to)
        if wrapped_key[64:] != data_key:
            raise UnsealError("data key")
        return data_key


class Unbound(Ring):
    def unwrap(self, key_id, wrapped_key, *, bound_to):
        return super().unwrap(key_id, wrapped_key, bound_to=b"conformance/one" if bound_to == b"other" else bound_to)


class ValueErrors(Ring):
    def unwrap(self, key_id, wrapped_key, *, bound_to):
        if not wrapped_key:
            raise ValueError("too short")
        return super().unwrap(key_id, wrapped_key, bound_to=bound_to)


class KeyErrors(Ring):
    def unwrap(self, key_id, wrapped_key, *, bound_to):
        self.keys[key_id]
        return super().unwrap(key_id, wrapped_key, bound_to=bound_to)


class Eager(Ring):
    def add_key(self):
        key_id = super().add_key()
        self.make_current(key_id)
        return key_id


class Careless(Ring):
    def remove_key(self, key_id):
        if key_id != self.current_key_id:
            super().remove_key(key_id)


class OneThreadRing(Ring):
    def wrap(self, data_key, *, bound_to):
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a session of another thread")
        return super().wrap(data_key, bound_to=bound_to)


class PrintingRing(Ring):
    def wrap(self, data_key, *, bound_to):
        print("wrapping")  # noqa: T201 - this is the fault
        return super().wrap(data_key, bound_to=bound_to)


KEYRINGS = {
    "key-ids": ListOfKeys,
    "round-trip": LosesKeys,
    "hidden": Plain,
    "binding": Unbound,
    "tampering": ValueErrors,
    "unknown-key": KeyErrors,
    "new-keys": Eager,
    "key-refusals": Careless,
    "thread-safe": OneThreadRing,
    "quiet": PrintingRing,
}


def one_file(exported, options, **changed):
    key = b""
    if exported.private_key is not None and options.password is None:
        key = exported.reveal_private_key()
    content = changed.pop("content", exported.fullchain_pem.encode() + key)
    return [ExportedFile(**{"name": f"{exported.file_stem}.pem", "content": content, "secret": True} | changed)]


def makes(make, **changed):
    """A format with an optional private key and password."""
    fields = {"name": "one", "title": "One", "private_key": Use.OPTIONAL, "password": Use.OPTIONAL}
    return lambda: ExportFormat(**{**fields, **changed}, make=make)


def _counting():
    count = iter(range(1000))

    def make(exported, options):
        text = f"{exported.fullchain_pem}{next(count)}".encode()
        return one_file(exported, options, content=text)

    return make


def _printing(exported, options):
    print(exported.domain)  # noqa: T201 - this is the fault
    return one_file(exported, options)


def _needs_chain(exported, options):
    exported.chain_pem.encode()[0]
    return one_file(exported, options)


def _needs_key(exported, options):
    exported.reveal_private_key()
    return one_file(exported, options)


def _open_key(exported, options):
    key = b"" if exported.private_key is None else exported.reveal_private_key()
    return one_file(exported, options, content=exported.leaf_pem.encode() + key)


FORMATS = {
    "files": makes(lambda exported, options: []),
    "leaf": makes(lambda exported, options: one_file(exported, options, content=b"the same", name="same.pem")),
    "names": makes(lambda exported, options: one_file(exported, options, name=f"{exported.domain}.pem")),
    "no-chain": makes(_needs_chain),
    "without-key": makes(_needs_key),
    "password": makes(_open_key),
    "steady": makes(_counting()),
    "quiet": makes(_printing),
}
HEALTHY = {
    Suite.OBSERVER: Observer,
    Suite.POLICY: Policy,
    Suite.KEYRING: Ring,
    Suite.EXPORT_FORMAT: makes(one_file),
}
BROKEN = {
    Suite.OBSERVER: OBSERVERS,
    Suite.POLICY: POLICIES,
    Suite.KEYRING: KEYRINGS,
    Suite.EXPORT_FORMAT: FORMATS,
}
CASES = [(suite, name) for suite, table in BROKEN.items() for name in table]


@pytest.mark.parametrize("suite", HEALTHY)
def test_what_is_right_passes(suite):
    """Every check applies, and passes."""
    report = conformance.run(HEALTHY[suite]())
    assert {result.outcome for result in report.results} == {CheckOutcome.PASSED}, report.text()
    assert {result.check.subject for result in report.results} == {suite}


@pytest.mark.parametrize("suite", HEALTHY)
def test_every_check_has_a_broken_plugin(suite):
    """No check is there that nothing fails."""
    assert set(BROKEN[suite]) == {check.name for check in all_checks() if check.subject is suite}


@pytest.mark.parametrize(("suite", "name"), CASES, ids=str)
def test_a_broken_plugin_fails_its_check_alone(suite, name):
    """The check fails by its name, those that need it are not run, and no other one fails."""
    report = conformance.run(BROKEN[suite][name]())
    assert [result.check.name for result in report.failed] == [name], report.text()
    assert report.failed[0].detail
    skipped = {result.check.name for result in report.of(CheckOutcome.SKIPPED)}
    broken = {name}
    for check in (check for check in all_checks() if check.subject is suite):
        if broken & set(check.needs):
            broken.add(check.name)
    assert skipped == broken - {name}


@pytest.mark.slow(reason="exports in every format, with RSA keys")
def test_what_comes_with_certcore_conforms(tmp_path):
    """The policy, the keyrings and the export formats of certcore pass their suites."""
    certcore.CertCore.create_keyring(tmp_path / "keyring.json")
    with certcore.CertCore.in_memory(installed_plugins=False) as core:
        subjects = [
            RolePolicy({"anna": certcore.Role.OPERATOR}),
            inside(core).vault.keyring,
            *core.certificates.formats(),
        ]
    for subject in subjects:
        report = conformance.run(subject)
        assert report.ok, report.text()
