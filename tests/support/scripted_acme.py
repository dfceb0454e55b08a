"""An ACME server on loopback that says what a test tells it, and a client with an account there."""

from __future__ import annotations

import contextlib
import json
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from attrs import define, field, frozen

from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError, TransportError
from certcore_puq_acme.protocol.http import Http
from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key

KEY = load_account_key(generate_account_key())
LEAF = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@frozen
class Answer:
    """One reply: a status, a body (JSON unless bytes) and headers."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(factory=dict)


Route = Answer | Callable[["Handler"], Answer | None]


class Handler(BaseHTTPRequestHandler):
    """Looks the path up in the server's routes; the last answer of a list repeats."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def handle_one(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        state = self.server.state
        with state.lock:
            state.seen.append((self.command, self.path, body))
            routes = state.routes[self.path]
            route = routes.pop(0) if len(routes) > 1 else routes[0]
            state.nonces += 1
            nonce = f"nonce-{state.nonces}"
        answer = route(self) if callable(route) else route
        if answer is not None:
            self.reply(answer, nonce)

    do_GET = do_POST = do_HEAD = handle_one  # noqa: N815 - the names that http.server asks for

    def reply(self, answer: Answer, nonce: str) -> None:
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        headers = {"Replay-Nonce": nonce, "Content-Length": str(len(body)), **answer.headers}
        self.send_response_only(answer.status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(OSError):
                self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@define
class State:
    """What the server will say, and what it was asked."""

    routes: dict[str, list[Route]] = field(factory=dict)
    seen: list[tuple[str, str, bytes]] = field(factory=list)
    lock: threading.Lock = field(factory=threading.Lock)
    nonces: int = 0
    released: threading.Event = field(factory=threading.Event)


class Server(ThreadingHTTPServer):
    """A loopback server with a State."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), Handler)
        self.state = State()
        self.base = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        """Keep quiet: broken connections are the point."""


@define
class Stage:
    """The server, a client with an account, and short ways to script and read them."""

    server: Server
    client: AcmeClient
    http: Http

    def says(self, path: str, *routes: Route) -> str:
        self.server.state.routes[path] = list(routes)
        return f"{self.server.base}{path}"

    def asked(self, method: str = "", path: str = "") -> int:
        return sum(method in {"", m} and path in {"", p} for m, p, _ in self.server.state.seen)

    def protected(self, index: int = -1) -> dict[str, Any]:
        head = json.loads([body for m, _, body in self.server.state.seen if m == "POST"][index])["protected"]
        found: dict[str, Any] = json.loads(urlsafe_b64decode(head + "=="))
        return found


def serve(server: Server) -> contextlib.AbstractContextManager[None]:
    """Let the server answer for a while."""

    @contextlib.contextmanager
    def running() -> Iterator[None]:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.state.released.set()
            server.shutdown()
            server.server_close()
            thread.join(5)

    return running()


def kind_of(url: str, http: Http | None = None) -> str:
    """The kind of failure of asking for the directory."""
    with pytest.raises(TransportError) as caught:
        AcmeClient(url, http=http or Http(timeout=2)).directory()
    assert "u:p" not in str(caught.value)
    return caught.value.kind


def refusal(stage: Stage, answer: Answer) -> AcmeProblemError:
    """The problem of asking for an order that gets this answer."""
    url = stage.says("/order/1", answer)
    with pytest.raises(AcmeProblemError) as caught:
        stage.client.order(url)
    return caught.value
