"""The client against a real server on loopback that misbehaves on purpose."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import sys
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field, frozen

from certcore.errors import InvalidInputError
from certcore.net.http import MAX_BODY
from certcore.testing.pebble import write_throwaway_tls
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import TRANSPORT_KINDS, AcmeProblemError, ProtocolError, TransportError
from certcore_puq_acme.protocol.http import Http
from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key
from certcore_puq_acme.protocol.signed_requests import BAD_NONCE_RETRIES

KEY = load_account_key(generate_account_key())
BAD_NONCE = {"type": "urn:ietf:params:acme:error:badNonce", "detail": "used"}
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


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A server with a directory and nonces; everything else is for the test to script."""
    server = Server()
    http = Http(timeout=60)
    client = AcmeClient(f"{server.base}/dir", key=KEY, http=http, account_url=f"{server.base}/acct/1")
    stage = Stage(server, client, http)
    names = ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
    stage.says("/dir", Answer({name: f"{server.base}/{name}" for name in names}, headers={"Replay-Nonce": ""}))
    stage.says("/newNonce", Answer())
    with serve(server):
        yield stage
        http.close()


def failure(stage: Stage, *routes: Route) -> TransportError:
    """The error of asking for an order while the server does this."""
    url = stage.says("/order/1", *routes)
    with pytest.raises(TransportError) as caught:
        stage.client.order(url)
    assert caught.value.kind in TRANSPORT_KINDS
    return caught.value


def hang(handler: Handler) -> None:
    handler.server.state.released.wait(10)


def reset(handler: Handler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def drip(handler: Handler) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b"{")
        if handler.server.state.released.wait(0.05):
            return


def truncated(handler: Handler) -> None:
    handler.send_response_only(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"status":')
    handler.close_connection = True


@pytest.mark.parametrize(
    ("route", "kind", "words"),
    [
        (Answer(b"<!DOCTYPE html><p>hello"), "html", "sent a web page instead of an ACME answer"),
        (Answer(b"hello", headers={"Content-Type": "text/html"}), "html", "sent a web page"),
        (Answer(b""), "empty", "sent an empty answer"),
        (Answer(b"hello"), "not_json", "sent something that is not JSON"),
        (Answer(b"[" * 200_000), "not_json", "sent something that is not JSON"),
        (Answer(b"9" * 10_000), "not_json", "sent something that is not JSON"),
        (Answer(b" " * (MAX_BODY + 1)), "too_large", "sent more than 1024 KiB"),
        (Answer(status=302, headers={"Location": "/order/2"}), "redirect", "sent a redirect that is not allowed"),
        (reset, "reset", "closed the connection"),
        (truncated, "reset", "closed the connection"),
    ],
)
def test_every_fault_has_its_kind_and_its_sentence(stage: Stage, route: Route, kind: str, words: str) -> None:
    """Whatever a server does wrong, the error has a stable kind and a plain sentence with the server's name."""
    error = failure(stage, route)
    assert error.kind == kind
    assert words in error.message
    assert f"127.0.0.1:{stage.server.server_address[1]}" in error.message
    assert stage.asked("POST") == 1


@pytest.mark.slow(reason="waits until a server has used its time up")
@pytest.mark.parametrize("route", [hang, drip])
def test_a_server_that_takes_its_time(stage: Stage, route: Route) -> None:
    """No answer, and one that comes byte by byte, are given up on after the client's seconds."""
    http = Http(timeout=1.5)
    stage.client = AcmeClient(f"{stage.server.base}/dir", key=KEY, http=http, account_url=f"{stage.server.base}/acct/1")
    error = failure(stage, route)
    http.close()
    assert error.kind == "timeout"
    assert "did not answer within 1.5 seconds" in error.message
    assert f"127.0.0.1:{stage.server.server_address[1]}" in error.message
    assert stage.asked("POST") == 1


def test_json_that_is_no_object(stage: Stage) -> None:
    """JSON that is not an object is a ProtocolError that names the server and the resource."""
    url = stage.says("/order/1", Answer([1]))
    with pytest.raises(ProtocolError, match="sent an order that is not the JSON object it should be") as caught:
        stage.client.order(url)
    assert caught.value.host.startswith("127.0.0.1")


def test_nobody_listens() -> None:
    """A closed port, a name that does not exist and a URL that is none are three different kinds."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        closed = f"https://127.0.0.1:{held.getsockname()[1]}/dir"
        assert kind_of(closed) == "refused"
    assert kind_of("https://no-such-host.invalid/dir") == "unresolvable"
    assert kind_of(f"https://{'a' * 70}.invalid/dir") in {"bad_url", "unresolvable", "unreachable"}


@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://ca.test/dir", "ftp://ca.test/", "https://", "https://[::1", "https://u:p@ca.test/d"]
)
def test_only_encrypted_urls(url: str) -> None:
    """Nothing is sent to a URL that is not https, save plain http on loopback."""
    assert kind_of(url) == "bad_url"


def kind_of(url: str, http: Http | None = None) -> str:
    with pytest.raises(TransportError) as caught:
        AcmeClient(url, http=http or Http(timeout=2)).directory()
    assert "u:p" not in str(caught.value)
    return caught.value.kind


def test_certificates_are_verified(tmp_path: Path) -> None:
    """A server whose root nobody added is refused; with its root it is trusted; plain text is no TLS."""
    roots = write_throwaway_tls(tmp_path)
    server, plain = Server("0.0.0.0"), Server()  # on all of 127.0.0.0/8
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.state.routes["/dir"] = [Answer(dict.fromkeys(("newNonce", "newAccount", "newOrder"), "https://x.test"))]
    with serve(server), serve(plain):
        url = server.base.replace("http:", "https:") + "/dir"
        with pytest.raises(TransportError, match="has a certificate that cannot be trusted") as caught:
            AcmeClient(url, http=Http()).directory()
        assert caught.value.kind == "tls"
        assert AcmeClient(url, http=Http(extra_roots=roots)).directory().new_nonce == "https://x.test"
        commented = f"# Ein Vertrauensanker für Tests\n{roots}"
        assert AcmeClient(url, http=Http(extra_roots=commented)).directory()
        assert AcmeClient(url, http=Http(extra_roots=commented.encode())).directory()
        if sys.platform == "linux":  # elsewhere 127.0.0.2 is not there by itself
            with pytest.raises(TransportError, match=r"certificate is not valid for '127\.0\.0\.2'"):
                AcmeClient(url.replace("127.0.0.1", "127.0.0.2"), http=Http(extra_roots=roots)).directory()
        assert kind_of(plain.base.replace("http:", "https:") + "/dir") == "tls"


@pytest.mark.parametrize(
    "roots", ["nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"]
)
def test_roots_that_are_none(roots: str | bytes) -> None:
    """Extra roots that are not certificates are refused when the client is made, not at the first request."""
    with pytest.raises(InvalidInputError, match="extra_roots"):
        Http(extra_roots=roots)


def test_the_directory_may_redirect_three_times(stage: Stage) -> None:
    """The directory may move up to three times, and a loop ends."""
    directory = stage.server.state.routes["/dir"][0]
    for step in range(3):
        stage.says(f"/moved/{step}", Answer(status=301, headers={"Location": f"/moved/{step + 1}"}))
    stage.says("/moved/3", directory)
    url = f"{stage.server.base}/moved/0"
    assert AcmeClient(url, http=stage.http).directory().new_order.endswith("/newOrder")
    stage.says("/moved/3", Answer(status=302, headers={"Location": "/moved/0"}))
    assert kind_of(url, stage.http) == "redirect"
    stage.says("/moved/0", Answer(status=302, headers={"Location": "http://ca.test/dir"}))
    assert kind_of(url, stage.http) == "bad_url"
    stage.says("/moved/0", Answer(status=302))
    assert kind_of(url, stage.http) == "redirect"


def test_a_directory_that_is_none(stage: Stage) -> None:
    """A JSON object that is no directory says which field it lacks."""
    stage.says("/dir", Answer({"hello": "world"}))
    with pytest.raises(ProtocolError, match="sent a directory without a usable 'newNonce'"):
        stage.client.directory()


def test_the_directory_is_fetched_once(stage: Stage) -> None:
    """The directory is remembered until a refresh is asked for."""
    stage.client.directory()
    stage.client.directory()
    assert stage.asked("GET", "/dir") == 1
    stage.client.directory(refresh=True)
    assert stage.asked("GET", "/dir") == stage.client.requests_sent == 2


def refusal(stage: Stage, answer: Answer) -> AcmeProblemError:
    url = stage.says("/order/1", answer)
    with pytest.raises(AcmeProblemError) as caught:
        stage.client.order(url)
    return caught.value


def test_a_problem_document_with_unknown_members(stage: Stage) -> None:
    """A problem keeps what is known of it, and members of strange types do no harm."""
    error = refusal(
        stage,
        Answer(
            {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "later\u0000\ud800", "x": [{}], "title": 5},
            429,
            {"Retry-After": "77", "Content-Type": "application/problem+json"},
        ),
    )
    assert (error.status, error.retry_after, error.acme_type) == (429, 77.0, "rateLimited")
    assert error.detail == "later\ufffd\ufffd"
    assert error.title.endswith("refuses because of too many requests.")


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"{", b"[]", b'"x"', b'{"type":7}'])
@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_errors_without_a_problem_document(stage: Stage, body: bytes, status: int) -> None:
    """Any 4xx or 5xx is an AcmeProblemError with its status, whatever its body is."""
    error = refusal(stage, Answer(body, status, {"Retry-After": "5"}))
    assert (error.status, error.problem.status, error.problem_type, error.retry_after) == (
        status,
        status,
        "about:blank",
        5,
    )
    assert str(status) in str(error)
    assert stage.asked("POST") == 1


def test_a_retry_after_date_counts_from_the_reply(stage: Stage) -> None:
    """A date in Retry-After counts from the reply's Date, or from the clock that was handed in."""
    late = {"Retry-After": "Thu, 01 Jan 2026 00:01:00 GMT"}
    with_date = refusal(stage, Answer({}, 503, {**late, "Date": "Thu, 01 Jan 2026 00:00:30 GMT"}))
    assert with_date.retry_after == 30
    assert refusal(stage, Answer({}, 503, late)).retry_after is None
    clock = AcmeClient(
        f"{stage.server.base}/dir",
        key=KEY,
        http=stage.http,
        account_url="https://ca.test/acct/1",
        now=lambda: datetime(2026, 1, 1, 0, 0, 50, tzinfo=UTC),
    )
    with pytest.raises(AcmeProblemError) as caught:
        clock.order(f"{stage.server.base}/order/1")
    assert caught.value.retry_after == 10


def test_a_conflict_keeps_its_problem_and_its_location(stage: Stage) -> None:
    """A 409 keeps the problem document, and the URL that it points at."""
    conflict = Answer(
        {"type": "urn:ietf:params:acme:error:alreadyReplaced", "detail": "done"},
        409,
        {"Location": "https://ca.test/a/2"},
    )
    stage.says("/newOrder", conflict)
    with pytest.raises(AcmeProblemError) as caught:
        stage.client.new_order(["a.test"], replaces="x.y")
    assert (caught.value.acme_type, caught.value.detail) == ("alreadyReplaced", "done")
    assert caught.value.location == "https://ca.test/a/2"


def test_a_bad_nonce_is_replaced_by_the_errors_own(stage: Stage) -> None:
    """Twenty-five refused nonces end in success: each retry takes the nonce that the error brought."""
    url = stage.says("/order/1", *[Answer(BAD_NONCE, 400)] * 25, Answer({"status": "processing"}))
    assert stage.client.order(url).status == "processing"
    assert stage.asked("POST") == 26
    assert stage.asked("HEAD", "/newNonce") == 1
    sent = [stage.protected(index)["nonce"] for index in range(26)]
    assert sent == [f"nonce-{number}" for number in range(2, 28)]


def test_bad_nonces_are_bounded(stage: Stage) -> None:
    """A server that refuses every nonce is given up on."""
    error = refusal(stage, Answer(BAD_NONCE, 400))
    assert error.acme_type == "badNonce"
    assert stage.asked("POST") == BAD_NONCE_RETRIES + 1


def test_a_bad_nonce_without_a_new_one(stage: Stage) -> None:
    """When the error brings no nonce, newNonce is asked for one."""
    url = stage.says("/order/1", Answer(BAD_NONCE, 400, {"Replay-Nonce": ""}), Answer({"status": "processing"}))
    stage.client.order(url)
    assert stage.asked("HEAD", "/newNonce") == 2


def test_errors_bring_nonces_too(stage: Stage) -> None:
    """The nonce of an error reply serves the next request."""
    refusal(stage, Answer({}, 500))
    refusal(stage, Answer({}, 403))
    assert stage.asked("HEAD", "/newNonce") == 1


@pytest.mark.parametrize("nonce", ["", "not base64url!", "x" * 2000])
def test_a_server_without_nonces(stage: Stage, nonce: str) -> None:
    """A newNonce reply without a usable Replay-Nonce is a ProtocolError; its errors stay errors."""
    stage.says("/newNonce", Answer(headers={"Replay-Nonce": nonce}))
    url = stage.says("/order/1", Answer({}))
    with pytest.raises(ProtocolError) as caught:
        stage.client.order(url)
    assert caught.value.field == "Replay-Nonce"
    stage.says("/newNonce", Answer(status=503, headers={"Replay-Nonce": nonce, "Retry-After": "9"}))
    with pytest.raises(AcmeProblemError) as refused:
        stage.client.order(url)
    assert refused.value.retry_after == 9
    assert stage.asked("POST") == 0


def test_threads_never_share_a_nonce(stage: Stage) -> None:
    """Many threads on one client never send the same nonce twice, and every request is counted."""
    url = stage.says("/order/1", Answer({"status": "processing"}))
    stage.client.directory()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stage.client.order(url), range(200)))
    sent = [stage.protected(index)["nonce"] for index in range(200)]
    assert len(set(sent)) == 200
    assert stage.asked("HEAD") <= 8
    assert stage.client.requests_sent == len(stage.server.state.seen)


def test_an_order_end_to_end(stage: Stage) -> None:
    """URLs, waits, names and requests of an order are what RFC 8555 says."""
    base = stage.server.base
    pending = {"status": "pending", "authorizations": [f"{base}/authz/1"], "finalize": f"{base}/fin/1"}
    stage.says("/newOrder", Answer(pending, 201, {"Location": f"{base}/order/1", "Retry-After": "3"}))
    order = stage.client.new_order(["a.test", "*.a.test", "192.0.2.1", "2001:DB8::1"], profile="tls", replaces="a.b")
    assert (order.url, order.retry_after) == (f"{base}/order/1", 3.0)
    payload = json.loads(urlsafe_b64decode(json.loads(stage.server.state.seen[-1][2])["payload"] + "=="))
    assert payload == {
        "identifiers": [
            {"type": "dns", "value": "a.test"},
            {"type": "dns", "value": "*.a.test"},
            {"type": "ip", "value": "192.0.2.1"},
            {"type": "ip", "value": "2001:db8::1"},
        ],
        "profile": "tls",
        "replaces": "a.b",
    }
    stage.says(
        "/authz/1", Answer({"status": "pending", "identifier": {"value": "a.test"}}, headers={"Retry-After": "4"})
    )
    assert stage.client.authorization(order.authorizations[0]).retry_after == 4
    assert json.loads(stage.server.state.seen[-1][2])["payload"] == ""
    stage.says("/chall/1", Answer({"type": "dns-01", "status": "processing", "token": "t"}))
    answered = stage.client.answer(f"{base}/chall/1")
    assert (answered.url, answered.status) == (f"{base}/chall/1", "processing")
    assert json.loads(stage.server.state.seen[-1][2])["payload"] == "e30"
    stage.says("/fin/1", Answer({"status": "valid", "certificate": f"{base}/cert/1"}))
    done = stage.client.finalize(order, b"\x30\x00")
    assert (done.url, done.certificate) == (order.url, f"{base}/cert/1")
    assert stage.protected() == {
        "alg": "ES256",
        "url": f"{base}/fin/1",
        "nonce": stage.protected()["nonce"],
        "kid": f"{base}/acct/1",
    }


def test_a_new_order_without_a_location(stage: Stage) -> None:
    """An order that nobody could find again is refused."""
    stage.says("/newOrder", Answer({"status": "pending", "authorizations": ["a"], "finalize": "f"}, 201))
    with pytest.raises(ProtocolError) as caught:
        stage.client.new_order(["a.test"])
    assert caught.value.field == "Location"


def test_an_existing_account_is_found(stage: Stage) -> None:
    """NewAccount for a key that is known answers 200 with the account's URL, which becomes the kid."""
    stage.says("/newAccount", Answer({"status": "valid"}, 200, {"Location": "/acct/7"}))
    account = stage.client.new_account(["a@b.test", "tel:1"], terms_agreed=True)
    assert account.url == stage.client.account_url == f"{stage.server.base}/acct/7"
    assert "jwk" in stage.protected()
    assert "kid" not in stage.protected()


def test_a_certificate_with_alternates(stage: Stage) -> None:
    """The chain comes as it was sent, with the URLs of the other chains."""
    url = stage.says("/cert/1", Answer(LEAF * 2, headers={"Link": '</cert/1/1>;rel="alternate", </dir>;rel="index"'}))
    chain, others = stage.client.certificate(url)
    assert chain == LEAF * 2
    assert others == (f"{stage.server.base}/cert/1/1",)


@pytest.mark.parametrize(
    ("body", "error", "word"),
    [
        (b"", TransportError, "empty"),
        (b"<html>", TransportError, "web page"),
        (b"hello", ProtocolError, "PEM"),
        (LEAF + b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", ProtocolError, "PEM"),
    ],
)
def test_a_chain_that_is_none(stage: Stage, body: bytes, error: type[Exception], word: str) -> None:
    """Only certificates are taken as a certificate chain."""
    url = stage.says("/cert/1", Answer(body))
    with pytest.raises(error, match=word):
        stage.client.certificate(url)


def test_revocation_and_key_change(stage: Stage) -> None:
    """Both need no body in the answer; after a key change the new key signs."""
    stage.says("/revokeCert", Answer())
    stage.client.revoke(b"der", reason=1)
    stage.says("/keyChange", Answer())
    new = load_account_key(generate_account_key())
    old_thumbprint = stage.client.thumbprint
    stage.client.change_key(new)
    assert stage.client.thumbprint != old_thumbprint
    inner = json.loads(urlsafe_b64decode(json.loads(stage.server.state.seen[-1][2])["payload"] + "=="))
    head = json.loads(urlsafe_b64decode(inner["protected"] + "=="))
    assert head == {"alg": "ES256", "url": f"{stage.server.base}/keyChange", "jwk": new.public_key().to_json()}
    stage.says("/dir", Answer(dict.fromkeys(("newNonce", "newAccount", "newOrder"), stage.server.base)))
    stage.client.directory(refresh=True)
    with pytest.raises(ProtocolError, match="revokeCert"):
        stage.client.revoke(b"der")


@pytest.mark.parametrize(
    ("answer", "error", "word"),
    [
        (Answer(b"<!DOCTYPE html><title>Please log in</title>"), TransportError, "web page"),
        (Answer(b"hello", headers={"Content-Type": "text/html; charset=utf-8"}), TransportError, "web page"),
        (Answer(headers={"Replay-Nonce": ""}), ProtocolError, "Replay-Nonce"),
        (Answer(status=204, headers={"Replay-Nonce": ""}), ProtocolError, "Replay-Nonce"),
    ],
)
def test_a_success_that_is_not_the_cas(stage: Stage, answer: Answer, error: type[Exception], word: str) -> None:
    """A web page, or a reply without a nonce, confirms neither a revocation nor a key change: the old key signs on."""
    stage.says("/revokeCert", answer)
    with pytest.raises(error, match=word):
        stage.client.revoke(b"der")
    stage.says("/keyChange", answer)
    before = stage.client.thumbprint
    with pytest.raises(error, match=word):
        stage.client.change_key(load_account_key(generate_account_key()))
    assert stage.client.thumbprint == before


def test_connections_are_reused(stage: Stage) -> None:
    """A hundred requests in a row use one connection."""
    ports: set[int] = set()

    def note(handler: Handler) -> Answer:
        ports.add(handler.client_address[1])
        return Answer({"status": "processing"})

    url = stage.says("/order/1", note)
    for _ in range(100):
        stage.client.order(url)
    assert len(ports) == 1


def test_who_we_are(stage: Stage) -> None:
    """Every request carries our User-Agent."""
    agents: list[str] = []

    def note(handler: Handler) -> Answer:
        agents.append(handler.headers["User-Agent"])
        return Answer({"suggestedWindow": {}}, headers={"Retry-After": "21600"})

    document, wait = stage.client.fetch(stage.says("/renewal/1", note))
    assert (document, wait) == ({"suggestedWindow": {}}, 21600.0)
    assert agents[0].startswith("certcore/")
