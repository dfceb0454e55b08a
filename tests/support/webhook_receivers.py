"""HTTP servers that write down the events that they get, and what is posted to them."""

import contextlib
import http.server
import json
import threading
from datetime import UTC, datetime

from attrs import define, field

from certcore.contrib.webhook import Webhook
from certcore.errors import NotFoundError
from certcore.model.events import Event, EventKind
from certcore.model.secret import Secret
from certcore.testing.ports import free_port

SECRET, OTHER = Secret("canary-secret-one"), Secret("canary-secret-two")
NOW = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
#: Seconds that a server may take in these tests, where it is not about servers that take longer.
PATIENT = {"connect_timeout": 30, "read_timeout": 30}


@define(eq=False)
class Receiver:
    """An HTTP server that writes down what it gets, and answers as it is told to."""

    port: int
    status: int = 204
    headers: dict = field(factory=dict)
    got: list = field(factory=list)

    def url(self, path="/hook", scheme="http", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.port}{path}"

    @property
    def documents(self):
        return [json.loads(body) for _, _, body in self.got]


def _handler(receiver):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.got.append((self.path, dict(self.headers), body))
            self.send_response(receiver.status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    return Handler


@contextlib.contextmanager
def running_receiver(context=None):
    """A receiver that is run for a test."""
    receiver = Receiver(free_port())
    server = http.server.HTTPServer(("127.0.0.1", receiver.port), _handler(receiver))
    server.handle_error = lambda *_: None
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


def hook(url, **given):
    """A target that posts to it."""
    return Webhook(**{"name": "panel", "url": url, **PATIENT, **given})


def nobody():
    """A certificate source in which there is nothing."""

    class Nobody:
        def view(self, certificate_id, **_):
            raise NotFoundError("certificate", certificate_id)

    return Nobody()


EVENT = Event(
    certificate_id="id-7", number=3, hash="ab" * 32, kind=EventKind.DELETED, at=NOW, data={"domain": "a.example"}
)
