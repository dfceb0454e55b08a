"""The ACME client and servers that misbehave, do not answer, or are not whom they claim to be."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
from pathlib import Path

import pytest

from certcore.errors import InvalidInputError
from certcore.net.http import MAX_BODY
from certcore.testing.pebble import write_throwaway_tls
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import TRANSPORT_KINDS, ProtocolError, TransportError
from certcore_puq_acme.protocol.http import Http
from support.scripted_acme import KEY, Answer, Handler, Route, Server, Stage, kind_of, serve


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
