"""Every writer of TXT values passes the contract of `certcore.ports.zone_writers`, on the real server."""

import contextlib
import json
import subprocess
import sys
import urllib.request

import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.tsigkeyring
import dns.update
import pytest
from attrs import evolve, frozen

from certcore.adapters.environment import SystemEnvironment
from certcore.errors import InvalidInputError, ZoneWriteError
from certcore.model.secret import Secret
from certcore.net.http import HttpClient
from certcore.ports.dns import Zone
from certcore.ports.zone_writers import TxtChange, ZoneServer
from certcore.testing import conformance
from certcore.testing.conformance import CheckOutcome
from certcore.testing.contracts.zone_writers import CnameWriterContract, WrittenZone, ZoneWriterContract
from certcore.testing.module_store import MemoryDocuments
from certcore.testing.ports import free_port
from certcore.testing.server import ProgramMissingError
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord
from certcore_puq_acme.techzone.server import ZoneServer as EmbeddedServer
from certcore_puq_acme.techzone.writers.lexicon import LexiconWriter
from certcore_puq_acme.techzone.writers.lexicon_process import carry_out
from certcore_puq_acme.techzone.writers.powerdns import PowerDnsWriter
from certcore_puq_acme.techzone.writers.rfc2136 import Rfc2136Writer
from support.servers.dns_servers import TSIG_SECRET, Bind, HostingBind, HostingKnot, Knot, PowerDns

pytestmark = pytest.mark.integration

ZONE = "acme.panel.test"


@contextlib.contextmanager
def running(kind):
    """A server with the tech zone; the test is skipped where it is not installed."""
    try:
        server = kind.start(ZONE)
    except ProgramMissingError as error:
        pytest.skip(error.message)
    with server:
        yield server


@pytest.fixture(scope="module")
def bind():
    with running(Bind) as server:
        yield server


@pytest.fixture(scope="module")
def knot():
    with running(Knot) as server:
        yield server


@pytest.fixture(scope="module")
def powerdns():
    with running(PowerDns) as server:
        yield server


def rfc2136(port, *, name="certcore", secret=TSIG_SECRET, **more):
    return Rfc2136Writer(server=ZoneServer("127.0.0.1", port), key_name=name, key=Secret(secret), **more)


def powerdns_api(port, key, *, server="localhost", timeout=10.0):
    url = f"http://127.0.0.1:{port}/api/v1/servers/{server}"
    return PowerDnsWriter(url=url, key=Secret(key), http=HttpClient(timeout=timeout))


def written_by(writer, server):
    return WrittenZone(writer=writer, zone=ZONE, values=server.txt_values, has=server.has)


class TestBind(ZoneWriterContract):
    """RFC 2136 at BIND, whose key may change TXT records alone."""

    @pytest.fixture
    def written(self, bind):
        return written_by(rfc2136(bind.port), bind)


class TestKnot(ZoneWriterContract):
    """RFC 2136 at Knot, whose key may change TXT records alone."""

    @pytest.fixture
    def written(self, knot):
        return written_by(rfc2136(knot.port), knot)


class TestPowerDns(ZoneWriterContract):
    """The HTTP API of PowerDNS with its SQLite backend."""

    @pytest.fixture
    def written(self, powerdns):
        return evolve(written_by(powerdns_api(powerdns.ports[1], powerdns.api_key), powerdns), replaces=True)


@pytest.fixture(scope="module")
def hosting_bind():
    with running(HostingBind) as server:
        yield server


@pytest.fixture(scope="module")
def hosting_knot():
    with running(HostingKnot) as server:
        yield server


def by_lexicon(server, *, kind=LexiconWriter, **changed):
    """The provider of dns-lexicon for PowerDNS."""
    pytest.importorskip("lexicon", reason="dns-lexicon is not installed")
    options = f"auth_token={server.api_key}\npdns_server={server.api_url}\n"
    return kind(**{"provider": "powerdns", "options": Secret(options), **changed})


class LexiconHere(LexiconWriter):
    """The same without a process of its own, whose start costs more than the writing does."""

    def _run(self, zone, order):
        return carry_out(order)


class TestLexicon(ZoneWriterContract):
    """dns-lexicon with its provider for PowerDNS, which reads all values of a name and replaces them."""

    @pytest.fixture
    def written(self, powerdns):
        # A service is asked name by name, which takes seconds.
        return evolve(written_by(by_lexicon(powerdns, kind=LexiconHere), powerdns), batch=10)


def test_dns_lexicon_gets_plain_values_only(powerdns):
    """Those of orders and of tests; other values are refused, because the services quote them each in its way."""
    writer = by_lexicon(powerdns, kind=LexiconHere)
    with pytest.raises(ZoneWriteError, match="plain values"):
        writer.write(ZONE, [TxtChange(name=f"quoted.{ZONE}", values=('with "quotes"',))], ttl=30)


def test_dns_lexicon_calls_nobody_but_the_service(powerdns, monkeypatch, tmp_path):
    """No list of public suffixes is fetched, no zone is looked up, and nothing is written into a home directory."""
    calls, home = tmp_path / "calls", tmp_path / "home"
    home.mkdir()
    (tmp_path / "sitecustomize.py").write_text(
        f"""
import sys

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
        with open({str(calls)!r}, "a") as file:
            file.write(f"{{event}} {{arguments[1:] if event == 'socket.connect' else arguments}}\\n")

sys.addaudithook(watch)
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    name = f"quiet.{ZONE}"
    by_lexicon(powerdns).write(ZONE, [TxtChange(name=name, values=("value",))], ttl=30)
    by_lexicon(powerdns).write(ZONE, [TxtChange(name=name, withdrawn=("value",))], ttl=30)
    lines = calls.read_text().splitlines()
    assert lines
    assert [line for line in lines if f"'127.0.0.1', {powerdns.ports[1]}" not in line] == []
    assert list(home.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "word", "advice"),
    [
        ({"options": Secret("auth_token=wr0ng\npdns_server={url}")}, "401", "options"),
        ({"provider": "nosuch"}, "not a provider", "lexicon --help"),
        ({"options": Secret("auth_token=wr0ng\npdns_server=http://127.0.0.1:9")}, "could not be reached", "reaches"),
        ({"options": Secret("auth_token=wr0ng")}, "PowerDNSProviderError", "lexicon"),
    ],
    ids=["wrong key", "unknown provider", "no server", "option missing"],
)
def test_the_words_of_dns_lexicon(powerdns, changed, word, advice):
    """What the service says is told in words, without its text, which may have credentials."""
    if "options" in changed:
        changed = {"options": Secret(changed["options"].reveal_text().replace("{url}", powerdns.api_url))}
    writer = by_lexicon(powerdns, **changed)
    error = refusal(writer)
    assert word in error.message
    assert advice in error.advice
    assert "wr0ng" not in f"{error.message} {error.advice} {writer!r}"


def test_a_service_that_says_nothing(powerdns):
    """The providers of dns-lexicon wait for ever; here it costs the time that was set."""
    powerdns.pause()
    try:
        error = refusal(by_lexicon(powerdns, timeout=1.5))
    finally:
        powerdns.resume()
    assert "did not answer within 1.5 seconds" in error.message


def setting_cnames(writer, server):
    return evolve(written_by(writer, server), cname=server.cname)


class TestCnamesAtBind(CnameWriterContract):
    """RFC 2136 at BIND, which looks and sets in one step."""

    @pytest.fixture
    def written(self, hosting_bind):
        return setting_cnames(rfc2136(hosting_bind.port), hosting_bind)


class TestCnamesAtKnot(CnameWriterContract):
    """RFC 2136 at Knot."""

    @pytest.fixture
    def written(self, hosting_knot):
        return setting_cnames(rfc2136(hosting_knot.port), hosting_knot)


class TestCnamesAtPowerDns(CnameWriterContract):
    """The HTTP API of PowerDNS."""

    @pytest.fixture
    def written(self, powerdns):
        return setting_cnames(powerdns_api(powerdns.ports[1], powerdns.api_key), powerdns)


def test_a_zone_is_seen_by_dns(hosting_bind):
    """A writer whose server answers queries is checked with the name of its zone alone; a wrong zone is refused."""
    writer = rfc2136(hosting_bind.port)
    report = conformance.run(conformance.seen_by_dns(writer, ZONE))
    assert report.ok, report.text()
    outcomes = {result.check.name: result.outcome for result in report.results}
    assert {name for name, outcome in outcomes.items() if outcome is not CheckOutcome.PASSED} == {
        "server-down",
        "after-server-down",
    }
    with pytest.raises(InvalidInputError, match="authority"):
        conformance.seen_by_dns(writer, "elsewhere.test")
    with pytest.raises(InvalidInputError, match="does not answer DNS queries"):
        conformance.seen_by_dns(writer, ZONE, [ZoneServer("127.0.0.1", free_port())])


def test_a_zone_that_powerdns_only_copies(powerdns):
    """A zone that is transferred from another server is not the place for a CNAME."""
    writer = powerdns_api(powerdns.ports[1], powerdns.api_key)
    zone = {"name": "copied.test.", "kind": "Slave", "masters": ["127.0.0.1:9"], "nameservers": []}
    request = urllib.request.Request(
        f"{writer.url}/zones", json.dumps(zone).encode(), {"X-API-Key": powerdns.api_key}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=10) as reply:
        assert reply.status == 201
    assert writer.look_up("_acme-challenge.copied.test") is None


def test_a_key_without_cnames_is_told(bind):
    """The refusal of a server says which records the key has to be permitted."""
    with pytest.raises(ZoneWriteError) as caught:
        rfc2136(bind.port).set_cname(ZONE, f"_acme-challenge.{ZONE}", f"label.{ZONE}", ttl=30)
    assert "REFUSED" in caught.value.message
    assert "CNAME records" in caught.value.advice


@pytest.mark.parametrize("kind", ["bind", "powerdns"])
def test_a_cname_at_a_server_that_does_not_run(kind):
    """It is named, whatever is asked of it; a lookup that fails is not taken for a name that is free."""
    port = free_port()
    writer = rfc2136(port) if kind == "bind" else powerdns_api(port, "key")
    for call in (
        lambda: writer.look_up("_acme-challenge.shop.test"),
        lambda: writer.set_cname(ZONE, f"x.{ZONE}", f"y.{ZONE}", ttl=30),
        lambda: writer.remove_cname(ZONE, f"x.{ZONE}", f"y.{ZONE}"),
    ):
        with pytest.raises(ZoneWriteError, match="refused the connection"):
            call()


@frozen
class LedgerAlone:
    """certcore's own server needs no writer: it serves the ledger. Here one issuance holds all values."""

    documents: MemoryDocuments
    name: str = "embedded"
    one_at_a_time: bool = False

    def write(self, zone, changes, *, ttl):
        records = TechZoneRecords(self.documents)
        now = SystemEnvironment().now()
        for change in changes:
            if not change.name.endswith(f".{zone}"):
                raise ZoneWriteError("localhost", zone, f"does not serve {change.name}", advice="Name another zone.")
        records.add_many(
            TxtRecord(fqdn=change.name, value=value, issuance_id="one", added_at=now)
            for change in changes
            for value in change.values
        )
        for change in changes:
            for value in change.withdrawn:
                records.remove(change.name, value, "one")

    def servers(self, zone):
        return ()


class TestEmbedded(ZoneWriterContract):
    """certcore's own server, which reads the ledger from the store."""

    @pytest.fixture
    def written(self):
        documents = MemoryDocuments()
        zone = Zone(apex=ZONE, nameservers=(f"ns1.{ZONE}",), addresses={f"ns1.{ZONE}": ("127.0.0.1",)})
        environment = SystemEnvironment()
        source = DocumentsZoneSource(documents, lambda: [zone], environment)
        server = EmbeddedServer(("127.0.0.1", 0), [source], environment)

        def ask(name, rdtype):
            query = dns.message.make_query(name, rdtype)
            return dns.query.tcp(query, "127.0.0.1", port=server.address[1], timeout=10)

        def values(name):
            answers = ask(name, "TXT").answer
            return [
                b"".join(data.strings).decode()
                for rrset in answers
                if rrset.rdtype == dns.rdatatype.TXT
                for data in rrset
            ]

        with contextlib.closing(server):
            yield WrittenZone(
                writer=LedgerAlone(documents),
                zone=ZONE,
                values=values,
                has=lambda name, rdtype: bool(ask(name.replace("www.", "ns1."), rdtype).answer),
                foreign_zone="",
                is_shared=False,
            )


def refusal(writer, zone=ZONE):
    """What a writer says of one value that it cannot write."""
    with pytest.raises(ZoneWriteError) as caught:
        writer.write(zone, [TxtChange(name=f"label.{zone}", values=("value",))], ttl=30)
    assert TSIG_SECRET not in repr(caught.value) + caught.value.message + caught.value.advice
    return caught.value


@pytest.mark.parametrize("server", ["bind", "knot"])
@pytest.mark.parametrize(
    ("key", "word", "advice"),
    [
        ({"name": "nobody"}, "BADKEY", "Name the key nobody"),
        ({"secret": "bm90IHRoZSBzZWNyZXQ="}, "BADSIG", "TSIG secret"),
        ({"name": "reader"}, "permit", "reader"),
    ],
    ids=["unknown key", "wrong secret", "key without rights"],
)
def test_a_key_that_is_refused(request, server, key, word, advice):
    """The server's own word for it is told, and what to set right where."""
    port = request.getfixturevalue(server).port
    error = refusal(rfc2136(port, **key))
    assert word in f"{error.message} {error.advice.lower()}"
    assert advice in error.advice
    assert f"127.0.0.1:{port}" in error.message


@pytest.mark.parametrize("server", ["bind", "knot"])
def test_the_key_reaches_txt_records_alone(request, server):
    """Least privilege as docs/how-to shows it: the key of the writer sets no address."""

    port = request.getfixturevalue(server).port
    keyring = dns.tsigkeyring.from_text({"certcore": TSIG_SECRET})
    update = dns.update.UpdateMessage(ZONE, keyring=keyring)
    update.add("attack", 30, "A", "192.0.2.1")
    with contextlib.suppress(dns.tsig.PeerBadKey):  # Knot's way to say it; BIND says REFUSED
        answer = dns.query.tcp(update, "127.0.0.1", port=port, timeout=10)
        assert answer.rcode() == dns.rcode.REFUSED
    assert not request.getfixturevalue(server).has(f"attack.{ZONE}", "A")


@pytest.mark.parametrize("server", ["bind", "knot"])
@pytest.mark.parametrize("skew", [-3600, 3600], ids=["behind", "ahead"])
def test_a_clock_that_is_wrong(request, server, skew):
    """A machine whose clock is an hour off is told so: the signature carries the time (RFC 8945 section 5.2.3)."""
    port = request.getfixturevalue(server).port
    script = f"""
import json, time
real = time.time
time.time = lambda: real() + {skew}
from certcore.errors import InvalidInputError, ZoneWriteError
from certcore.model.secret import Secret
from certcore.ports.zone_writers import TxtChange, ZoneServer
from certcore_puq_acme.techzone.writers.rfc2136 import Rfc2136Writer
writer = Rfc2136Writer(server=ZoneServer("127.0.0.1", {port}), key_name="certcore", key=Secret({TSIG_SECRET!r}))
try:
    writer.write({ZONE!r}, [TxtChange(name="label.{ZONE}", values=("value",))], ttl=30)
except ZoneWriteError as error:
    print(json.dumps([error.message, error.advice]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    message, advice = json.loads(done.stdout)
    assert "BADTIME" in message
    assert "clocks" in advice


@pytest.mark.parametrize("server", ["bind", "knot"])
def test_a_zone_that_the_server_does_not_have(request, server):
    """NOTAUTH or REFUSED in words; a name outside of the zone is said to be outside."""
    error = refusal(rfc2136(request.getfixturevalue(server).port), "elsewhere.test")
    assert "NOTAUTH" in error.message
    assert "primary" in error.message


def test_the_words_of_powerdns(powerdns):
    """401, 404 and 422 say what to set right; the API key is in none of them."""
    port, key = powerdns.ports[1], powerdns.api_key
    wrong = refusal(powerdns_api(port, "wrong-key"))
    assert "API key" in wrong.message
    assert "api-key" in wrong.advice
    assert "does not have this zone" in refusal(powerdns_api(port, key), "elsewhere.test").message
    assert "404" in refusal(powerdns_api(port, key, server="nobody")).message
    writer = powerdns_api(port, key)
    assert key not in repr(writer)
    outside = TxtChange(name="label.elsewhere.test", values=("value",))
    with pytest.raises(ZoneWriteError, match="422") as caught:
        writer.write(ZONE, [outside], ttl=30)
    assert "label.elsewhere.test" in caught.value.message  # PowerDNS's own words
    assert key not in caught.value.message


@pytest.mark.parametrize("make", [rfc2136, lambda port: powerdns_api(port, "key")], ids=["rfc2136", "powerdns"])
def test_a_server_that_does_not_run(make):
    """It is named with its port."""
    port = free_port()
    error = refusal(make(port))
    assert "refused the connection" in error.message
    assert f"127.0.0.1:{port}" in error.message
    assert error.advice


@pytest.mark.parametrize("kind", ["bind", "powerdns"])
def test_a_server_that_says_nothing(request, kind):
    """A frozen server costs the time that was set, and is named."""
    server = request.getfixturevalue(kind)
    writer = (
        rfc2136(server.port, timeout=1.0)
        if kind == "bind"
        else powerdns_api(server.ports[1], server.api_key, timeout=1.0)
    )
    server.pause()
    try:
        error = refusal(writer)
    finally:
        server.resume()
    assert "did not answer within 1 seconds" in error.message


def test_values_of_others_stay_at_bind(bind):
    """RFC 2136 adds and removes single values: a TXT value that somebody else has at the name is left alone."""
    name = f"shared.{ZONE}"
    writer = rfc2136(bind.port)
    writer.write(ZONE, [TxtChange(name=name, values=("theirs",))], ttl=30)
    writer.write(ZONE, [TxtChange(name=name, values=("ours",))], ttl=30)
    writer.write(ZONE, [TxtChange(name=name, withdrawn=("ours",))], ttl=30)
    assert bind.txt_values(name) == {"theirs"}
    writer.write(ZONE, [TxtChange(name=name, withdrawn=("theirs",))], ttl=30)
