"""Webhooks: a real server gets every event, signed; one that misbehaves in any way costs some time and no more."""

import contextlib
import hmac
import http.server
import json
import logging
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define, evolve, field
from hypothesis import example, given
from hypothesis import strategies as st

from certcore.contrib.webhook import SIGNATURE_HEADER, Webhook, WebhookError, verify_signature
from certcore.errors import InvalidInputError, NotFoundError
from certcore.model.events import Event, EventKind
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.problem import Problem
from certcore.model.secret import Secret
from certcore.model.subject import Subject
from certcore.net.deadline import deadline
from certcore.serialization import event_document
from certcore.testing.local_ca import LittleAuthority
from certcore.testing.ports import free_port
from certcore.x509.chain import parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key, private_key_pem

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
def _serving(context=None):
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


@pytest.fixture
def receiver():
    """A server that takes everything."""
    with _serving() as one:
        yield one


@pytest.fixture
def rude():
    """Starts servers that do with a connection what they are told, in a thread of their own."""
    with contextlib.ExitStack() as stack:

        def start(behave):
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listening.settimeout(60)

            def serve():
                with contextlib.suppress(OSError), listening.accept()[0] as connected:
                    connected.settimeout(60)
                    behave(connected)

            thread = threading.Thread(target=serve)
            thread.start()
            stack.callback(thread.join, 60)
            return f"http://127.0.0.1:{listening.getsockname()[1]}/hook?token=canary-token"

        yield start


def hook(url, **given):
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


# ------------------------------------------------------------------------------------------------------ what is sent


def test_every_event_is_posted_in_order(open_place, receiver):
    """From the first to the last, deletion included, each once, with what the event and the certificate say."""
    place = open_place(hook(receiver.url()))
    certificate_id = place.issued("shop.example", owner="customer-7")
    place.deliver()
    place.core.certificates.delete(certificate_id)
    place.deliver()
    record = place.core.certificates.timeline(certificate_id)
    assert [each["kind"] for each in receiver.documents] == [str(event.kind) for event in record]
    assert [each["id"] for each in receiver.documents] == [f"{certificate_id}/{event.number}" for event in record]
    installed = next(each for each in receiver.documents if each["kind"] == "installed")
    event = next(event for event in record if event.kind == "installed")
    assert installed == {
        "schema": "urn:certcore:schema:webhook:1",
        "id": f"{certificate_id}/{event.number}",
        "domain": "shop.example",
        "owner": "customer-7",
        "certificate_id": certificate_id,
        "number": event.number,
        "at": f"{event.at:%Y-%m-%dT%H:%M:%S}Z",
        "kind": "installed",
        "actor": event.actor,
        "from_status": "pending",
        "to_status": "active",
        "data": dict(event.data),
        "problem": None,
        "hash": event.hash,
    }
    last = receiver.documents[-1]
    assert (last["kind"], last["domain"], last["owner"]) == ("deleted", "shop.example", "customer-7")
    for path, headers, _ in receiver.got:
        assert path == "/hook"
        assert headers["Content-Type"] == "application/json"
        assert SIGNATURE_HEADER not in headers


def test_a_problem_is_posted(receiver):
    """As the document that RFC 9457 describes."""
    problem = Problem(type="urn:test", title="It failed.", detail="für immer \ud800", advice="Wait.")
    hook(receiver.url()).certcore_on_event(evolve(EVENT, problem=problem, data={"deep": {"list": [1, None]}}), nobody())
    (document,) = receiver.documents
    assert document["problem"] == problem.to_json()
    assert document["data"] == {"deep": {"list": [1, None]}}
    assert document.keys() == {"id", "domain", "owner"} | event_document(EVENT).keys()


def test_only_the_kinds_that_are_asked_for(open_place, receiver):
    """The others count as taken."""
    place = open_place(hook(receiver.url(), kinds=["installed", EventKind.DELETED]))
    certificate_id = place.issued()
    place.deliver()
    assert [each["kind"] for each in receiver.documents] == ["installed"]
    assert place.reason(certificate_id, "panel") is None


def test_requests_are_signed(open_place, receiver):
    """With each secret, over the moment of the request and the body; the id of the event is a header, too."""
    place = open_place()
    certificate_id = place.issued()
    target = hook(receiver.url(), secrets=[OTHER, SECRET], environment=place.environment)
    event = place.event(certificate_id)
    target.certcore_on_event(event, place.core.certificates)
    place.environment.advance(timedelta(hours=1))
    target.certcore_on_event(event, place.core.certificates)
    (_, first, body), (_, second, again) = receiver.got
    assert body == again
    assert first["Idempotency-Key"] == second["Idempotency-Key"] == f"{certificate_id}/{event.number}"
    for secret in (SECRET, OTHER):
        now = place.environment.now()
        assert verify_signature(body, second[SIGNATURE_HEADER], secrets=[secret], now=now)
        assert not verify_signature(body, first[SIGNATURE_HEADER], secrets=[secret], now=now)  # a recorded one
        assert verify_signature(body, first[SIGNATURE_HEADER], secrets=[secret], now=now - timedelta(hours=1))
    seconds = int(place.environment.now().timestamp())
    expected = hmac.new(SECRET.reveal(), b"%d.%b" % (seconds, body), "sha256").hexdigest()
    assert second[SIGNATURE_HEADER].startswith(f"t={seconds},")
    assert f"v1={expected}" in second[SIGNATURE_HEADER]


def test_a_server_that_refuses_is_asked_again(open_place, receiver):
    """The event is kept, in order, with the reason; the repeated request has the same body and key."""
    place = open_place(hook(receiver.url(), kinds=["csr_generated", "installed"]))
    receiver.status = 503
    certificate_id = place.issued()
    for attempts in (1, 2):
        place.deliver()
        behind = place.core.certificates.deliveries(certificate_id).behind["panel"]
        assert behind.attempts == attempts
        assert "WebhookError: The server http://127.0.0.1" in behind.reason
        assert "status 503" in behind.reason
    receiver.status = 200
    place.deliver()
    assert place.reason(certificate_id, "panel") is None
    assert [each["kind"] for each in receiver.documents] == ["csr_generated"] * 3 + ["installed"]
    assert len({body for _, _, body in receiver.got[:3]}) == 1


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_success_is_enough(receiver, status):
    """Whatever kind of success it is."""
    receiver.status = status
    hook(receiver.url()).certcore_on_event(EVENT, nobody())
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (400, "log"),
        (401, "secret"),
        (403, "secret"),
        (404, "URL"),
        (405, "POST"),
        (410, "remove"),
        (429, "again"),
        (500, "log"),
    ],
)
def test_a_refusal_says_what_to_look_at(receiver, status, advice):
    """With the status, and nothing of the URL but the server."""
    receiver.status = status
    with pytest.raises(WebhookError, match=f"status {status}") as failed:
        hook(receiver.url("/canary-path")).certcore_on_event(EVENT, nobody())
    assert advice in failed.value.advice
    assert "canary" not in str(failed.value)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver, status):
    """Not within the server, and not to another one: only the administrator says where events go."""
    receiver.status = status
    receiver.headers = {"Location": receiver.url("/inner")}
    with pytest.raises(WebhookError, match="redirect"):
        hook(receiver.url()).certcore_on_event(EVENT, nobody())
    assert [path for path, _, _ in receiver.got] == ["/hook"]


def test_the_environment_has_no_say(receiver, monkeypatch):
    """Neither proxies nor logins that other programs put there are used."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    hook(receiver.url()).certcore_on_event(EVENT, nobody())
    assert "Authorization" not in receiver.got[0][1]


# ---------------------------------------------------------------------------------------------- servers that misbehave


def _read_request(connected):
    received = b""
    while b"\r\n\r\n" not in received:
        received += connected.recv(65536)


def _silent(connected):
    connected.recv(1)
    while connected.recv(65536):
        pass


def _trickles(connected):
    connected.sendall(b"HTTP/1.1 200 OK\r\n")
    pause = threading.Event()
    with contextlib.suppress(OSError):
        for number in range(10_000):
            connected.sendall(b"X-%d: y\r\n" % number if number < 50 else b"y")
            pause.wait(0.05)


def _never_comes_to_the_point(connected):
    with contextlib.suppress(OSError):
        for _ in range(100_000):
            connected.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            threading.Event().wait(0.01)


@pytest.mark.parametrize("behave", [_silent, _trickles, _never_comes_to_the_point])
def test_a_server_that_never_answers_is_left(rude, behave):
    """A silent server, and one that sends one byte now and then, are given up at a deadline."""
    with pytest.raises(WebhookError, match=r"did not answer within") as failed:
        hook(rude(behave), connect_timeout=0.2, read_timeout=0.4).certcore_on_event(EVENT, nobody())
    assert "canary" not in str(failed.value)


def test_an_answer_is_not_read_on(rude):
    """A server may send gigabytes after its status: nobody reads them."""
    sent = 0

    def floods(connected):
        nonlocal sent
        _read_request(connected)
        connected.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999999\r\n\r\n")
        with contextlib.suppress(OSError):
            while sent < 10**9:
                sent += connected.send(b"x" * 65536)

    hook(rude(floods)).certcore_on_event(EVENT, nobody())
    assert sent < 10**9


@pytest.mark.parametrize(
    ("interim", "status"),
    [
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 200),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nConnection: close\r\n\r\n" * 5, 204),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", 503),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 200),
        (b"", 101),
    ],
)
def test_an_interim_answer_is_not_the_answer(rude, interim, status):
    """The final answer counts; a server that sends none, or that switches protocols, is given up."""

    def behave(connected):
        _read_request(connected)
        with contextlib.suppress(OSError):
            connected.sendall(interim + b"HTTP/1.1 %d X\r\nX: y\r\n\r\n" % status)

    if status in {200, 204} and len(interim) < 1000:
        hook(rude(behave)).certcore_on_event(EVENT, nobody())
        return
    said = "did not speak the protocol" if status == 200 else f"status {status}"
    with pytest.raises(WebhookError, match=said):
        hook(rude(behave)).certcore_on_event(EVENT, nobody())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 20\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"\xff" * 100_000,
    ],
)
def test_what_is_no_answer(rude, answer):
    """Another protocol, too many or too long headers, or nothing: broken off."""

    def behave(connected):
        _read_request(connected)
        with contextlib.suppress(OSError):
            connected.sendall(answer)

    with pytest.raises(WebhookError):
        hook(rude(behave)).certcore_on_event(EVENT, nobody())


def test_nobody_is_there(monkeypatch):
    """A refused connection and a name without address are said in words."""
    with pytest.raises(WebhookError, match="refused the connection"):
        hook(f"http://127.0.0.1:{free_port()}/").certcore_on_event(EVENT, nobody())
    with pytest.raises(WebhookError, match="has no address"):
        hook(f"https://{'a' * 64}.invalid/").certcore_on_event(EVENT, nobody())

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(WebhookError, match="has no address"):
        hook("https://nobody.invalid/").certcore_on_event(EVENT, nobody())


def test_a_deadline_ends_a_connection_that_begins_late():
    """One that is there only when the time is over is ended at once."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as connected,
        deadline(60) as limit,
    ):
        limit.end()
        limit.watch(connected)
        assert connected.recv(1) == b""


# --------------------------------------------------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A server's certificate for ``localhost.test`` and 127.0.0.1's name, and the file of its root."""
    folder = tmp_path_factory.mktemp("tls")
    now = datetime.now(UTC)
    authority = LittleAuthority(now)
    key = generate_key(KeyType.EC_P256)
    csr = build_csr(key, [DnsName("panel.localhost")], Subject()).decode()
    chain = parse_chain(authority.issue(csr, now=now))
    (folder / "chain.pem").write_text(chain.leaf_pem + chain.chain_pem)
    (folder / "key.pem").write_bytes(private_key_pem(key))
    (folder / "root.pem").write_text(authority.root_pem)
    (folder / "none.pem").write_text("no certificate")
    return folder


@pytest.fixture
def secure(identity):
    """A receiver behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity / "chain.pem", identity / "key.pem")
    with _serving(context) as one:
        yield one


@pytest.fixture
def named(monkeypatch):
    """The resolver gives ``panel.localhost`` the address of this machine."""
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))


def test_the_server_is_verified(secure, identity, named):
    """By its own CA's root and by its name; by the system's roots it is not known."""
    url = secure.url(scheme="https", host="panel.localhost")
    hook(url, ca_file=identity / "root.pem").certcore_on_event(EVENT, nobody())
    assert len(secure.got) == 1
    assert secure.got[0][1]["Host"] == f"panel.localhost:{secure.port}"
    with pytest.raises(WebhookError, match="certificate that cannot be trusted") as failed:
        hook(url).certcore_on_event(EVENT, nobody())
    assert "ca_file" in failed.value.advice
    other = secure.url(scheme="https", host="other.localhost")
    with pytest.raises(WebhookError, match="certificate that cannot be trusted"):
        hook(other, ca_file=identity / "root.pem").certcore_on_event(EVENT, nobody())
    for name in ("none.pem", "missing.pem"):
        with pytest.raises(InvalidInputError, match="ca_file"):
            hook(url, ca_file=identity / name).certcore_on_event(EVENT, nobody())
    assert len(secure.got) == 1


def test_a_server_without_tls(receiver, identity):
    """Where https was meant, nothing is sent in plain."""
    with pytest.raises(WebhookError, match="TLS handshake"):
        hook(receiver.url(scheme="https"), ca_file=identity / "root.pem").certcore_on_event(EVENT, nobody())
    assert receiver.got == []


def test_a_handshake_that_does_not_end(rude):
    """It has the same deadline."""
    url = rude(_silent).replace("http:", "https:")
    with pytest.raises(WebhookError, match="did not answer within"):
        hook(url, connect_timeout=0.2, read_timeout=0.4).certcore_on_event(EVENT, nobody())


# --------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"url": "http://panel.example/"}, "url"),
        ({"url": "http://127.0.0.1.example/"}, "url"),
        ({"url": "http://localhost.example/"}, "url"),
        ({"url": "ftp://panel.example/"}, "url"),
        ({"url": "panel.example"}, "url"),
        ({"url": "https:///hook"}, "url"),
        ({"url": "https://canary:pass@panel.example/"}, "url"),
        ({"url": "https://canary@panel.example/"}, "url"),
        ({"url": "https://panel.example/#x"}, "url"),
        ({"url": "https://panel.example/a b"}, "url"),
        ({"url": "https://panel.example/\r\nX: y"}, "url"),
        ({"url": "https://panel.example:99999/"}, "url"),
        ({"url": "https://panel.example:0/"}, "url"),
        ({"url": "https://pänel.example/"}, "url"),
        ({"url": "https://[::1/"}, "url"),
        ({"url": "https://" + "a" * 3000}, "url"),
        ({"url": None}, "url"),
        ({"secrets": ["text"]}, "secrets"),
        ({"secrets": [Secret("too-short-canary"[:15])]}, "secrets"),
        ({"secrets": [SECRET] * 11}, "secrets"),
        ({"kinds": ["exploded"]}, "kinds"),
        ({"kinds": []}, "kinds"),
        ({"kinds": "installed"}, "kinds"),
        ({"read_timeout": 0}, "read_timeout"),
        ({"connect_timeout": 10**6}, "connect_timeout"),
    ],
)
def test_what_cannot_work_is_refused_at_once(given, field):
    """By the name of the field, and without a secret in the sentence."""
    with pytest.raises(InvalidInputError) as refused:
        Webhook(**{"name": "panel", "url": "https://panel.example/hook", **given})
    assert refused.value.field == field
    assert "canary" not in str(refused.value)


def test_plain_http_is_for_this_machine(receiver):
    """Or for whoever asks for it."""
    for url in ("http://localhost/", "http://127.0.0.5/", "http://[::1]:8080/x"):
        hook(url)
    assert hook("http://panel.example/", allow_http=True).allow_http


def test_secrets_are_not_shown(receiver, caplog):
    """Neither those that sign nor the URL, whose path or query may be one, are in representations, errors and logs."""
    target = hook(receiver.url("/canary-path?canary-query"), secrets=[SECRET])
    receiver.status = 500
    with caplog.at_level(logging.DEBUG), pytest.raises(WebhookError) as failed:
        target.certcore_on_event(EVENT, nobody())
    assert receiver.got[0][0] == "/canary-path?canary-query"
    assert "canary" not in "".join((repr(target), str(failed.value), str(failed.value.as_dict()), caplog.text))


# -------------------------------------------------------------------------------------------------------- signatures


def _header(secret, seconds, body):
    return f"t={seconds},v1={hmac.new(secret, b'%d.%b' % (seconds, body), 'sha256').hexdigest()}"


@given(
    body=st.binary(max_size=200),
    secret=st.binary(min_size=16, max_size=80),
    sent=st.integers(0, 10**11),
    late=st.integers(-1000, 1000),
    tolerance=st.integers(0, 900),
)
@example(body=b"", secret=b"x" * 16, sent=1893456000, late=300, tolerance=300)
@example(body=b"", secret=b"x" * 16, sent=1893456000, late=301, tolerance=300)
def test_a_signature_holds_for_its_body_its_secret_and_its_time(body, secret, sent, late, tolerance):
    """Right within the tolerance, to both sides; never for another body, another secret or another moment."""
    header = _header(secret, sent, body)
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=max(sent + late, 0))
    off = abs(max(sent + late, 0) - sent)

    right = (Secret(secret),)

    def verified(body=body, header=header, secrets=right):
        return verify_signature(body, header, secrets=secrets, now=now, tolerance=timedelta(seconds=tolerance))

    assert verified() is (off <= tolerance)
    assert verified(secrets=(Secret(b"other" * 5), Secret(secret))) is (off <= tolerance)
    assert not verified(body=body + b"x")
    assert not verified(secrets=(Secret(secret + b"x"),))
    assert not verified(secrets=())
    assert not verified(header=header.replace(f"t={sent}", f"t={sent + 1}"))
    flipped = header[:-1] + ("0" if header[-1] != "0" else "1")
    assert not verified(header=flipped)


@given(
    header=st.one_of(
        st.none(),
        st.binary(max_size=200),
        st.text(max_size=200),
        st.from_regex(r"t=[0-9]{0,14}(,v[01]=[0-9a-f]{0,66}){0,3}"),
    )
)
def test_any_header_is_judged(header):
    """Whatever somebody sends is no signature, and no error."""
    assert not verify_signature(b"body", header, secrets=[SECRET], now=NOW)


def test_a_signature_among_others_is_found():
    """While a secret is changed there are several, some with secrets that the receiver has not got."""
    seconds = int(NOW.timestamp())
    good = _header(SECRET.reveal(), seconds, b"body").partition(",")[2]
    for header in (f"t={seconds},v1={'0' * 64},{good}", f"t={seconds},{good},v1={'0' * 64}"):
        assert verify_signature(b"body", header, secrets=[OTHER, SECRET], now=NOW)
        assert verify_signature(b"body", header.encode(), secrets=[OTHER, SECRET], now=NOW)  # as ASGI has headers
    assert not verify_signature(b"body", f"t={seconds}," + ",".join([good] * 20), secrets=[SECRET], now=NOW)
    with pytest.raises(InvalidInputError, match="time zone"):
        verify_signature(b"body", "", secrets=[SECRET], now=NOW.replace(tzinfo=None))
