"""Webhooks to a server that misbehaves in any way: it costs some time and no more; and TLS."""

import contextlib
import socket
import threading

import pytest

from certcore.contrib.webhook import WebhookError
from certcore.errors import InvalidInputError
from certcore.net.deadline import deadline
from certcore.testing.ports import free_port
from support.rude_servers import rude_servers
from support.server_identity import server_context, write_identity
from support.webhook_receivers import EVENT, hook, nobody, running_receiver


@pytest.fixture
def rude():
    """Starts servers that do with a connection what they are told."""
    with rude_servers() as start:
        yield lambda behave: f"http://127.0.0.1:{start(behave)}/hook?token=canary-token"


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
    """A server's certificate for ``panel.localhost``, and the file of its root."""
    folder = tmp_path_factory.mktemp("tls")
    write_identity(folder, "panel.localhost")
    (folder / "none.pem").write_text("no certificate")
    return folder


@pytest.fixture
def secure(identity):
    """A receiver behind TLS."""
    with running_receiver(server_context(identity)) as one:
        yield one


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
