"""The ledger of CNAMEs and the server agree in the end, whoever dies when; processes do not hinder each other."""

from datetime import timedelta

import pytest
from attrs import define, field

from certcore.errors import ZoneWriteError
from certcore.ports.zone_writers import CnameChange, CnameOutcome, HostedName
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.techzone.hosted_cnames import CnameState, HostedCnames

NAME, TARGET, OTHER = "_acme-challenge.shop.test", "label.acme.panel.test", "other.acme.panel.test"
A_LEASE = timedelta(minutes=2)


class KilledError(BaseException):
    """The process has died: from then on it does nothing."""


@define(eq=False)
class Life:
    """A process that dies at its n-th write to the store or the server, before or after it."""

    dies_at: float = float("inf")
    is_after: bool = False
    count: int = 0

    def of(self, function):
        def call(*arguments, **options):
            if self.count >= self.dies_at:
                raise KilledError
            self.count += 1
            if self.count == self.dies_at and not self.is_after:
                raise KilledError
            outcome = function(*arguments, **options)
            if self.count == self.dies_at:
                raise KilledError
            return outcome

        return call


@define(eq=False)
class Server:
    """A DNS server with one zone."""

    records: dict = field(factory=dict)
    is_down: bool = False
    name: str = "panel"
    one_at_a_time: bool = False

    def write(self, zone, changes, *, ttl):
        raise AssertionError

    def servers(self, zone):
        return ()

    def look_up(self, name):
        self._answer(name)
        return HostedName(zone="shop.test", target=self.records.get(name, ""))

    def set_cname(self, zone, name, target, *, ttl):
        self._answer(name)
        there = self.records.setdefault(name, "")
        if not there:
            self.records[name] = target
            return CnameChange(outcome=CnameOutcome.SET)
        if there == target:
            return CnameChange(outcome=CnameOutcome.PRESENT)
        return CnameChange(outcome=CnameOutcome.OCCUPIED, seen=f"CNAME {there}")

    def remove_cname(self, zone, name, target):
        self._answer(name)
        if self.records.get(name) == target:
            del self.records[name]

    def _answer(self, name):
        if self.is_down:
            raise ZoneWriteError("192.0.2.1", name, "refused the connection")


class Process:
    """What one process does with the ledger in a store."""

    def __init__(self, documents, server, environment=None, life=None):
        life = life or Life()

        class Documents:
            put_many, delete = staticmethod(life.of(documents.put_many)), staticmethod(life.of(documents.delete))

            def __getattr__(self, name):
                return getattr(documents, name)

        class Writer:
            name, one_at_a_time = server.name, server.one_at_a_time
            set_cname, remove_cname = (
                staticmethod(life.of(server.set_cname)),
                staticmethod(life.of(server.remove_cname)),
            )

            def __getattr__(self, name):
                return getattr(server, name)

        writer = Writer()
        writer.look_up, writer.write, writer.servers = server.look_up, server.write, server.servers
        self.cnames = HostedCnames(
            documents=Documents(),
            environment=environment or FrozenEnvironment(),
            server="panel",
            is_on=True,
            ttl=30,
            writer=lambda: writer,
        )


@pytest.fixture
def documents():
    return MemoryDocuments()


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def cnames(documents, server):
    return Process(documents, server).cnames


def later(documents, server):
    """Another process, after every lease has run out."""
    environment = FrozenEnvironment()
    environment.set(environment.now() + A_LEASE)
    return Process(documents, server, environment).cnames


def keys(documents):
    return [document.key for document in documents.list("cname")]


def test_set_and_removed(documents, server, cnames):
    """One certificate needs it: it is there; none does: it is gone, and so is every document."""
    assert cnames.hold("one", NAME, TARGET).state is CnameState.SET
    assert server.records == {NAME: TARGET}
    assert cnames.held_names("one") == {NAME}
    assert cnames.set_here([NAME, "x.shop.test"]) == {NAME: TARGET}
    assert cnames.release("one") == frozenset()
    assert server.records == {}
    assert keys(documents) == []


def test_the_owner_of_a_certificate_changes(documents, server, cnames):
    """The same certificate needs another target: certcore's own old CNAME is replaced."""
    cnames.hold("one", NAME, TARGET)
    assert cnames.hold("one", NAME, OTHER).state is CnameState.SET
    assert server.records == {NAME: OTHER}
    cnames.release("one")
    assert server.records == {}
    assert keys(documents) == []


def test_two_certificates_with_different_targets(documents, server, cnames):
    """The first keeps the name as long as it lives; then the second can have it."""
    cnames.hold("one", NAME, TARGET)
    second = cnames.hold("two", NAME, OTHER)
    assert second.state is CnameState.OCCUPIED
    assert TARGET in str(second.said)
    cnames.release("two")
    assert server.records == {NAME: TARGET}
    cnames.release("one")
    assert cnames.hold("two", NAME, OTHER).state is CnameState.SET


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", range(1, 4))
def test_a_process_that_dies_while_it_sets(documents, server, point, is_after):
    """Whoever comes next sets it, knows that it is certcore's own, and removes it in the end."""
    dying = Process(documents, server, life=Life(point, is_after)).cnames
    with pytest.raises(KilledError):
        dying.hold("one", NAME, TARGET)
    after = later(documents, server)
    assert after.hold("one", NAME, TARGET).state is CnameState.SET
    assert server.records == {NAME: TARGET}
    assert after.release("one") == frozenset()
    assert server.records == {}
    assert keys(documents) == []


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", range(1, 5))
def test_a_process_that_dies_while_it_removes(documents, server, point, is_after):
    """The deletion of a certificate is called again, and does what is left of it."""
    Process(documents, server).cnames.hold("one", NAME, TARGET)
    dying = Process(documents, server, life=Life(point, is_after)).cnames
    with pytest.raises(KilledError):
        dying.release("one")
    after = later(documents, server)
    after.tidy([NAME])  # the clean-up of its issuances
    after.release("one")
    assert server.records == {}
    assert keys(documents) == []


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("point", range(1, 6))
def test_a_process_that_dies_while_it_replaces(documents, server, point, is_after):
    """Neither the old nor the new CNAME is forgotten."""
    Process(documents, server).cnames.hold("one", NAME, TARGET)
    dying = Process(documents, server, life=Life(point, is_after)).cnames
    with pytest.raises(KilledError):
        dying.hold("one", NAME, OTHER)
    after = later(documents, server)
    assert after.hold("one", NAME, OTHER).state is CnameState.SET
    assert server.records == {NAME: OTHER}
    after.release("one")
    assert server.records == {}
    assert keys(documents) == []


def test_a_record_that_was_there_first_is_nobodys_to_remove(documents, server, cnames):
    """The same CNAME, set by somebody else before: used, and left alone; another one: left alone and told."""
    server.records[NAME] = TARGET
    assert cnames.hold("one", NAME, TARGET).state is CnameState.PRESENT
    cnames.release("one")
    assert server.records == {NAME: TARGET}
    server.records[NAME] = "elsewhere.example"
    assert cnames.hold("one", NAME, TARGET).state is CnameState.OCCUPIED
    cnames.release("one")
    assert server.records == {NAME: "elsewhere.example"}
    assert keys(documents) == []


def test_a_record_that_was_replaced_is_not_certcores_any_more(documents, server, cnames):
    """Somebody puts another CNAME in its place: it stays, also when the certificate goes."""
    cnames.hold("one", NAME, TARGET)
    server.records[NAME] = "elsewhere.example"
    assert cnames.hold("one", NAME, TARGET, again=True).state is CnameState.OCCUPIED
    cnames.release("one")
    assert server.records == {NAME: "elsewhere.example"}
    assert keys(documents) == []


def test_a_server_that_is_down(documents, server, cnames):
    """Setting says why it cannot; removing is noted, and done by `heal` when the server is back."""
    cnames.hold("one", NAME, TARGET)
    server.is_down = True
    other = cnames.hold("one", f"_acme-challenge.www.{NAME}", TARGET)
    assert other.state is CnameState.UNWRITTEN
    assert "refused the connection" in str(other.said)
    assert cnames.release("one") == {NAME}
    cnames.heal()
    assert server.records == {NAME: TARGET}
    server.is_down = False
    cnames.heal()
    assert server.records == {}
    assert keys(documents) == []


def test_nobody_writes_a_name_that_another_process_writes(documents, server, cnames):
    """A lease is waited for, not forced; one from a wrong clock is not waited for."""
    seen = []
    set_cname = server.set_cname

    @define(eq=False)
    class Watched(Server):
        def set_cname(self, zone, name, target, *, ttl):
            seen.append(cnames.hold("two", NAME, TARGET).state)
            seen.append(cnames.release("three", [NAME]))
            return set_cname(zone, name, target, ttl=ttl)

    watched = Watched(server.records)
    Process(documents, watched).cnames.hold("one", NAME, TARGET)
    assert seen == [CnameState.BUSY, frozenset()]
    assert server.records == {NAME: TARGET}
    (document,) = documents.list("cname/")
    until = FrozenEnvironment().now() + timedelta(days=365)
    documents.put(document.key, {**document.value, "leased_until": until.isoformat()})
    assert cnames.hold("two", NAME, TARGET).state is CnameState.SET


def test_documents_of_another_kind_are_no_trouble(documents, server, cnames):
    """Whatever a damaged document holds, it counts as empty."""
    documents.put(f"cname/{NAME}", {"ours": 5, "holders": ["x"], "leased_until": "never", "zone": None})
    assert cnames.hold("one", NAME, TARGET).state is CnameState.SET
    assert server.records == {NAME: TARGET}


def test_a_server_that_takes_one_call_at_a_time(documents, server):
    """Calls about different names wait for one another, and nobody waits for a turn that is over."""
    server.one_at_a_time = True
    seen = []
    set_cname = server.set_cname
    other = Process(documents, server).cnames

    @define(eq=False)
    class Watched(Server):
        def set_cname(self, zone, name, target, *, ttl):
            seen.append(other.hold("two", f"_acme-challenge.www.{NAME}", TARGET).state)
            return set_cname(zone, name, target, ttl=ttl)

    watched = Watched(server.records, one_at_a_time=True)
    assert Process(documents, watched).cnames.hold("one", NAME, TARGET).state is CnameState.SET
    assert seen == [CnameState.BUSY]
    assert other.hold("two", f"_acme-challenge.www.{NAME}", TARGET).state is CnameState.SET
    server.is_down = True
    assert other.release("two") != frozenset()
    server.is_down = False
    other.heal()
    other.release("one")
    assert server.records == {}
    assert keys(documents) == []
