"""An HTTPS proxy before a real CA: it makes faults, changes replies, hides pages, and writes down what was asked."""

import base64
import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from attrs import define, field

from certcore.testing.pebble import write_throwaway_tls


class _Handler(BaseHTTPRequestHandler):
    """Hands requests on to Pebble, unless a fault is planned for the path."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        plan = self.server.plan
        plan.note(self.path, body)
        fault = plan.take(self.path)
        if fault == "reset":
            self.close_connection = True
            return
        if fault not in (None, "lost"):
            self._send(*_ANSWERS[fault], {"Location": self.path})
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() != "accept-encoding"}
        if not plan.has(self.server.server_port, self.path):
            self._send(404, b'{"type":"urn:ietf:params:acme:error:malformed","detail":"Page not found"}', {})
            return
        upstream = http.client.HTTPSConnection(*plan.upstream, timeout=60, context=plan.tls)
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
        found = {name.lower(): value for name, value in reply.getheaders() if name.lower() in kept}
        status, content, found = plan.rewrite(self.path, reply.status, content, found)
        self._send(status, content, found)

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
    #: Path and payload of every signed request.
    asked: list = field(factory=list)
    #: Where else the proxy listens.
    other_port: int = 0
    #: Whether there is a page at a port and path.
    has: Callable = lambda port, path: True
    #: A reply as it is passed on: path, status, body and headers to status, body and headers.
    rewrite: Callable = lambda path, status, body, headers: (status, body, headers)
    lock: object = field(factory=threading.Lock)

    def note(self, path, body):
        """Write down what a signed request holds."""
        if body:
            payload = json.loads(body).get("payload", "")
            text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
            self.asked.append((path, json.loads(text) if text else None))

    def use(self, pebble):
        """Hand everything on to this Pebble from now on."""
        host, port = pebble.directory_url.split("/")[2].split(":")
        self.upstream, self.tls = (host, int(port)), ssl.create_default_context(cadata=pebble.roots_pem)

    def take(self, path):
        with self.lock:
            for planned in self.faults:
                if path.startswith(planned[0]):
                    self.faults.remove(planned)
                    self.happened.append(planned)
                    return planned[1]
        return None


@contextlib.contextmanager
def proxy_before(server, folder):
    """A proxy before a CA; gives the plan, and what a profile needs to use the proxy."""
    plan = Plan(upstream=("", 0), tls=None)
    plan.use(server)
    roots = write_throwaway_tls(folder)
    presented = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    presented.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    path = server.directory_url.split("/", 3)[3]
    with contextlib.ExitStack() as running:
        port, plan.other_port = (running.enter_context(_listening(plan, presented)) for _ in range(2))
        yield plan, {"directory_url": f"https://127.0.0.1:{port}/{path}", "roots_pem": roots}


@contextlib.contextmanager
def _listening(plan, presented):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.socket = presented.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    server.plan = plan
    with serving(server):
        yield server.server_port


@contextlib.contextmanager
def serving(server):
    """A server that answers in a thread of its own."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
