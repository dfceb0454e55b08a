"""One HTTP exchange for ACME, EAB and webhooks: which URLs are requested, and what a failure is called."""

import contextlib
import http.server
import os
import threading

import pytest

from certcore.net.failures import FailureKind, NetworkError
from certcore.net.http import HttpClient
from certcore.net.urls import BadUrlError, parse_url
from certcore.testing.ports import free_port


@contextlib.contextmanager
def serving(address="127.0.0.1"):
    """The URL of a server that answers every request with its path, and the clients that have connected to it."""
    clients = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            clients.append(self.client_address)
            super().setup()

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.path)))
            self.end_headers()
            self.wfile.write(self.path.encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}", clients
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


@pytest.mark.parametrize(
    ("url", "label", "target"),
    [
        ("https://ca.test", "ca.test", "/"),
        ("https://CA.test:443/a?b=c#d", "ca.test", "/a?b=c"),
        ("https://ca.test:8443?b=c", "ca.test:8443", "/?b=c"),
        ("https://[2001:db8::1]/ü", "[2001:db8::1]", "/%C3%BC"),
        ("http://localhost:80/a\r\nb", "localhost", "/a%0D%0Ab"),
        ("https://ca.test/a%20b", "ca.test", "/a%20b"),
    ],
)
def test_urls_that_are_requested(url, label, target):
    """Host header and request target, percent-encoded where they must be, without the fragment."""
    origin, found = parse_url(url)
    assert (origin.label, found) == (label, target)


@pytest.mark.parametrize(
    "url",
    ["", "ca.test", "ftp://ca.test/", "https://", "https://[::1", "https://a:0/", "https://a:99999/", "https://a b/"],
)
def test_urls_that_are_none(url):
    """They are refused before anything is sent, in words."""
    with pytest.raises(BadUrlError, match=r"^(is|cannot|has)"):
        parse_url(url)


def test_plain_http_goes_to_this_machine():
    """To others only where it is permitted; a password in a URL is refused always, and not repeated."""
    assert parse_url("http://127.0.0.1/")[0].is_permitted
    with pytest.raises(BadUrlError, match="not encrypted"):
        parse_url("http://ca.test/")
    assert not parse_url("http://ca.test/", allow_http=True)[0].is_permitted
    for url in ("https://user:canary@ca.test/", "http://canary@localhost/"):
        with pytest.raises(BadUrlError, match="password") as caught:
            parse_url(url, allow_http=True)
        assert "canary" not in str(caught.value)


def test_a_connection_is_kept_and_is_not_a_childs():
    """Two requests share a connection; a forked child makes one of its own, and the parent goes on with the first."""
    with serving() as (base, clients), contextlib.closing(HttpClient(timeout=30)) as client:
        for path in ("/one", "/two"):
            assert client.request("GET", base + path).body == path.encode()
        assert len(clients) == 1
        child = os.fork()
        if not child:
            try:
                os._exit(client.request("GET", f"{base}/child").body != b"/child")
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert client.request("GET", f"{base}/three").body == b"/three"
        assert len(clients) == 2


def test_a_failure_has_a_kind_and_a_clause():
    """The clause follows the caller's own name of the server."""
    with pytest.raises(NetworkError) as caught:
        HttpClient(timeout=5).request("GET", f"http://127.0.0.1:{free_port()}/")
    assert (caught.value.kind, caught.value.clause) == (FailureKind.REFUSED, "refused the connection")
    assert caught.value.message == f"The server {caught.value.host} refused the connection."
