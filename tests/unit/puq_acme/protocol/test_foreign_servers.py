"""A CA names the URLs that it is asked at. It cannot name servers of this host or network that are not its own."""

import contextlib
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from attrs import define, field

from certcore.testing.pebble import write_throwaway_tls
from certcore_puq_acme.protocol.account_key_types import AccountKeyType
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeError, AcmeProblemError, TransportError
from certcore_puq_acme.protocol.http import Http
from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key
from certcore_puq_acme.protocol.problem_document import ProblemDocument, error_urn

KEY = load_account_key(generate_account_key(AccountKeyType.EC_P256))
SECRET = "vault token s.abcdef"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"{self.command} {self.path}")
        status, headers, document = self.server.answer(self.path)
        body = json.dumps(document).encode()
        self.send_response_only(status)
        for name, value in {"Replay-Nonce": "AAAA", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = handle_one  # noqa: N815 - the names that http.server asks for

    def log_message(self, *_):
        """Keep quiet."""


@define(eq=False)
class Servers:
    """HTTP servers on loopback."""

    tls: ssl.SSLContext
    roots: str
    running: contextlib.ExitStack = field(factory=contextlib.ExitStack)

    def start(self, answer, *, encrypted=True, address="127.0.0.1"):
        server = ThreadingHTTPServer((address, 0), _Handler)
        server.daemon_threads = True
        server.answer, server.asked = answer, []
        if encrypted:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        server.base = f"http{'s' if encrypted else ''}://{address}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        self.running.callback(server.server_close)
        self.running.callback(thread.join, 5)
        self.running.callback(server.shutdown)
        return server

    def ca(self, **urls):
        """A CA whose directory names these URLs."""
        document = dict.fromkeys(("newNonce", "newAccount", "newOrder", "revokeCert"), "https://127.0.0.1:1/")
        return self.start(lambda _: (200, {"Replay-Nonce": ""}, document | urls))

    def victim(self, **how):
        """A service that is nobody's business, which answers with what nobody should read."""
        error = {"type": "urn:ietf:params:acme:error:unauthorized", "title": SECRET, "detail": SECRET}
        return self.start(lambda _: (403, {}, {**error, "subproblems": [error], "instance": SECRET}), **how)


@pytest.fixture
def servers(tmp_path):
    roots = write_throwaway_tls(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    servers = Servers(tls, roots)
    with servers.running:
        yield servers


def refusal(client):
    with pytest.raises(AcmeError) as caught:
        client.new_account(["a@shop.test"], terms_agreed=True)
    return caught.value


@pytest.mark.parametrize("what", ["newNonce", "newAccount"])
def test_plain_http_is_not_spoken_for_a_ca_that_does_not(servers, what):
    """An https directory that names a plain http service of this host gets no request there."""
    victim = servers.victim(encrypted=False)
    nonces = servers.start(lambda _: (200, {}, {}))
    ca = servers.ca(**{"newNonce": nonces.base, what: f"{victim.base}/v1/agent/service/register"})
    error = refusal(AcmeClient(f"{ca.base}/dir", key=KEY, http=Http(extra_roots=servers.roots, timeout=5)))
    assert isinstance(error, TransportError)
    assert (error.kind, victim.asked) == ("bad_url", [])


@pytest.mark.parametrize(
    "host",
    [
        "10.255.255.1",
        "192.168.255.1",
        "169.254.169.254",
        "100.100.100.200",
        "0x0a000001",
        "[fd00:ec2::254]",
        "[fe80::1]",
    ],
)
@pytest.mark.parametrize("by", ["directory", "redirect"])
def test_a_ca_on_one_network_does_not_lead_into_another(servers, host, by):
    """A directory on loopback names a private or link-local address, or redirects there: nobody connects to it."""
    there = f"https://{host}:9/"
    ca = servers.ca(newNonce=there) if by == "directory" else servers.start(lambda _: (302, {"Location": there}, {}))
    error = refusal(AcmeClient(f"{ca.base}/dir", key=KEY, http=Http(extra_roots=servers.roots, timeout=5)))
    assert isinstance(error, TransportError)
    assert error.kind == "foreign_address"
    assert "its address in that network" in error.advice


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"])
@pytest.mark.parametrize("home", ["https://203.0.113.7/dir", "https://ca.shop.test/dir", "https://10.0.0.1/dir"])
def test_a_ca_elsewhere_does_not_lead_to_this_host(servers, host, home):
    """Whatever way the address of this host is written in, a CA that is not on it gets no request sent there."""
    victim = servers.victim()
    http = Http(extra_roots=servers.roots, timeout=5)
    there = f"https://{host}:{victim.server_port}/v1"
    http.request("POST", f"{victim.base}/", body=b"")  # an idle connection is no way around the rule
    with pytest.raises(TransportError) as caught:
        http.request("POST", there, body=b"{}", home=home)
    assert caught.value.kind == "foreign_address"
    with pytest.raises(TransportError) as caught:
        http.request("POST", there.replace("https:", "http:"), body=b"{}", home=home)
    assert caught.value.kind == "bad_url"
    assert victim.asked == ["POST /"]


def test_a_ca_of_ones_own_may_use_its_own_network(servers):
    """A directory on loopback may name other ports of loopback; so may one of plain http."""
    account = servers.start(lambda _: (201, {"Location": "/acct/1"}, {"status": "valid"}))
    ca = servers.ca(newNonce=f"{account.base}/nonce", newAccount=f"{account.base}/account")
    client = AcmeClient(f"{ca.base}/dir", key=KEY, http=Http(extra_roots=servers.roots, timeout=5))
    assert client.new_account().url == f"{account.base}/acct/1"


def test_a_ca_of_ones_own_is_found_by_its_name(servers):
    """Where a directory's name leads into a network of one's own, its URLs may lead to other servers there."""
    account = servers.start(lambda _: (201, {"Location": "/acct/1"}, {"status": "valid"}))
    ca = servers.ca(newNonce=f"{account.base}/nonce", newAccount=f"{account.base}/account")
    by_name = f"https://localhost:{ca.server_port}/dir"
    client = AcmeClient(by_name, key=KEY, http=Http(extra_roots=servers.roots, timeout=5))
    assert client.new_account().url == f"{account.base}/acct/1"


@pytest.mark.parametrize("where", ["error", "order"])
def test_the_words_of_a_foreign_server_are_not_shown(servers, where):
    """What a server that is not the directory's answers is in no error, message or problem that people see."""
    error = {"type": "urn:ietf:params:acme:error:dns", "detail": SECRET, "title": SECRET}
    order = {"status": "invalid", "authorizations": [], "finalize": "https://127.0.0.1:1/", "error": error}
    victim = servers.victim() if where == "error" else servers.start(lambda _: (201, {"Location": "/1"}, order))
    nonces = servers.start(lambda _: (200, {}, {}))
    ca = servers.ca(newNonce=nonces.base, newOrder=f"{victim.base}/order")
    http = Http(extra_roots=servers.roots, timeout=5)
    client = AcmeClient(f"{ca.base}/dir", key=KEY, http=http, account_url=f"{ca.base}/acct/1")
    if where == "order":
        problem = client.new_order(["shop.test"]).problem
        assert problem == ProblemDocument(type=error_urn("dns"))
        return
    with pytest.raises(AcmeProblemError) as caught:
        client.new_order(["shop.test"])
    shown = [caught.value, caught.value.advice, caught.value.detail, caught.value.as_dict(), caught.value.problem]
    assert SECRET not in "".join(map(repr, shown)) + str(caught.value)
    assert caught.value.acme_type == "unauthorized"


def test_the_words_of_a_directory_that_has_moved_are_shown(servers):
    """After a redirect of the directory, the server that it leads to speaks for the CA."""
    own = servers.start(
        lambda path: (
            (200, {}, dict.fromkeys(("newNonce", "newAccount", "newOrder"), f"{own.base}/x"))
            if path == "/dir"
            else (403, {}, {"detail": "no more orders this week"})
            if path == "/order"
            else (200, {}, {})
        )
    )
    moved = servers.start(lambda _: (301, {"Location": f"{own.base}/dir"}, {}))
    client = AcmeClient(f"{moved.base}/", key=KEY, http=Http(extra_roots=servers.roots, timeout=5), account_url="a")
    client.directory()
    with pytest.raises(AcmeProblemError, match="no more orders this week"):
        client.order(f"{own.base}/order")
