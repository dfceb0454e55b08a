"""A CA in trouble: whatever it answers, at whichever point, the certificate says so in words and gets there later."""

import contextlib
import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from attrs import define, field

from certcore import Status
from certcore.model.events import EventKind
from certcore.testing.pebble import write_throwaway_tls

pytestmark = pytest.mark.pebble

#: Pebble's paths, in the order in which an issuance comes along.
PLACES = [
    "/dir",
    "/nonce-plz",
    "/sign-me-up",
    "/order-plz",
    "/authZ/",
    "/chalZ/",
    "/my-order/",
    "/finalize-order/",
    "/certZ/",
]
#: "lost": the CA has acted, but its answer never arrives.
FAULTS = ["500", "html", "empty", "not_json", "redirect", "reset", "lost"]


class _Handler(BaseHTTPRequestHandler):
    """Hands requests on to Pebble, unless a fault is planned for the path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        plan = self.server.plan
        fault = plan.take(self.path)
        if fault == "reset":
            self.close_connection = True
            return
        if fault not in (None, "lost"):
            self._send(*_ANSWERS[fault], {"Location": self.path})
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
        upstream = http.client.HTTPSConnection(*plan.upstream, timeout=10, context=plan.tls)
        with contextlib.closing(upstream):
            upstream.request(self.command, self.path, body or None, headers)
            reply = upstream.getresponse()
            content = reply.read()
        if fault == "lost":
            self.close_connection = True
            return
        if self.path.startswith("/certZ/") and plan.swap_certificate is not None:
            content, plan.swap_certificate = plan.swap_certificate, None
        kept = ("replay-nonce", "location", "content-type", "link", "retry-after")
        self._send(reply.status, content, {name: value for name, value in reply.getheaders() if name.lower() in kept})

    do_GET = do_POST = do_HEAD = handle_one  # noqa: N815 - the names that http.server asks for

    def _send(self, status, body, headers):
        self.send_response_only(status)
        for name, value in {**headers, "Content-Length": len(body)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Keep quiet."""


_ANSWERS = {
    "500": (500, b'{"type":"urn:ietf:params:acme:error:serverInternal","detail":"the database is on fire"}'),
    "html": (200, b"<!DOCTYPE html><title>Please log in to the hotel's network</title>"),
    "empty": (200, b""),
    "not_json": (200, b"{"),
    "redirect": (302, b""),
}


@define(eq=False)
class Plan:
    """Which faults happen where, each once."""

    upstream: tuple[str, int]
    tls: ssl.SSLContext
    faults: list[tuple[str, str]] = field(factory=list)
    happened: list[tuple[str, str]] = field(factory=list)
    swap_certificate: bytes | None = None
    lock: object = field(factory=threading.Lock)

    def take(self, path):
        with self.lock:
            for planned in self.faults:
                if path.startswith(planned[0]):
                    self.faults.remove(planned)
                    self.happened.append(planned)
                    return planned[1]
        return None


@pytest.fixture
def trouble(start_pebble, tmp_path_factory):
    """A Pebble behind a proxy that makes faults; gives the plan, and what a profile needs to use the proxy."""
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    host, port = pebble.directory_url.split("/")[2].split(":")
    plan = Plan(upstream=(host, int(port)), tls=ssl.create_default_context(cadata=pebble.roots_pem))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    folder = tmp_path_factory.mktemp("proxy")
    roots = write_throwaway_tls(folder)
    presented = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    presented.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server.socket = presented.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    server.plan = plan
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield plan, {"directory_url": f"https://127.0.0.1:{server.server_port}/dir", "roots_pem": roots}
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.mark.parametrize("place", PLACES)
def test_every_fault_at_every_point_is_survived(panel, trouble, place):
    """Seven kinds of fault in a row at one point: each is told in words, and the leaf comes at last."""
    plan, proxy = trouble
    one = panel.request(panel.profile(**proxy), "shop.test")
    panel.set_cnames(one)
    # A directory may be behind a few redirects; only a loop is a fault there.
    planned = [fault for fault in FAULTS for _ in range(4 if (place, fault) == ("/dir", "redirect") else 1)]
    plan.faults = [(place, fault) for fault in planned]
    told = {}

    def active(certificate):
        if certificate.problem is not None and plan.happened:
            told[plan.happened[-1][1]] = certificate.problem
        assert certificate.status in (Status.PENDING, Status.PROCESSING, Status.ACTIVE)
        return certificate.status is Status.ACTIVE

    panel.drive(one, active)
    # A nonce request that fails oddly may still have brought a nonce; everything else has to be told.
    assert set(told) >= (set() if place == "/nonce-plz" else {fault for _, fault in plan.happened})
    assert place == "/nonce-plz" or len(plan.happened) == len(planned)
    for problem in told.values():
        assert "127.0.0.1" in str(problem)
        assert "Traceback" not in str(problem)
        assert "Exception" not in str(problem)
    assert panel.txt_values() == []
    assert panel.core.certificates.get(one).problem is None
    view = panel.core.certificates.view(one)
    assert any(event.kind is EventKind.ATTEMPT_FAILED and event.problem for event in view.events) == bool(told)


def test_a_ca_that_is_down(panel, trouble):
    """While nothing listens the certificate waits with a clear word, backs off, and goes on when the CA is back."""
    _, proxy = trouble
    profile = panel.profile("http://127.0.0.1:9/dir")
    one = panel.request(profile, "shop.test")
    panel.set_cnames(one)
    waits = []
    for _ in range(6):
        done = panel.core.reconcile(one)
        waits.append(done.look_again - panel.environment.now())
        panel.environment.skip(waits[-1])
    down = panel.core.certificates.get(one)
    assert down.status is Status.PENDING
    assert "refused the connection" in str(down.problem)
    assert waits[-1] > waits[1] * 2
    panel.core.authorities.edit(
        profile.id, settings={"directory_url": proxy["directory_url"], "trusted_roots": proxy["roots_pem"]}
    )
    panel.core.certificates.check_now(one)
    panel.until_active(one)


def test_a_certificate_for_another_key_is_never_installed(panel, trouble):
    """A leaf that does not fit the request is refused and told; the attempt is repeated and ends well."""
    plan, proxy = trouble
    profile = panel.profile(**proxy)
    first = panel.request(profile, "other.shop.test")
    panel.set_cnames(first)
    panel.until_active(first)
    plan.swap_certificate = panel.core.certificates.export(first, reason="test").fullchain_pem.encode()
    one = panel.request(profile, "shop.test")
    panel.set_cnames(one)
    refused = panel.drive(one, lambda certificate: certificate.problem is not None)
    assert refused.active_issuance_id is None
    assert refused.status is Status.PENDING
    assert "not the one that was asked for" in str(refused.problem)
    assert panel.issuance(one).leaf_pem is None
    assert panel.txt_values() == []
    panel.until_active(one)
    assert panel.core.certificates.view(one).leaf.names == ("shop.test",)
