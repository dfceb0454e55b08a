"""CPU time of one HTTP request and its reply over a socket, by the library that parses the reply.

    python benchmarks/http_parsers.py [--requests 20000]

`certcore` is `certcore.net.http_connection`, on `http.client.HTTPResponse`. httptools and h11 are measured where they
are installed; the socket alone shows what is left when nothing is parsed. The figures are the best of five rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.util
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from certcore.net.http_connection import HttpConnection

_BODY = json.dumps({"status": "pending", "authorizations": [f"https://ca.test/authz/{n}" for n in range(12)]}).encode()
_REPLY = (
    b"HTTP/1.1 201 Created\r\nCache-Control: public, max-age=0, no-cache\r\n"
    b'Content-Type: application/json; charset=utf-8\r\nLink: <https://ca.test/dir>;rel="index"\r\n'
    b"Location: https://ca.test/my-order/abcdefgh\r\nReplay-Nonce: AAAAAAAAAAAAAAAAAAAAAA\r\n"
    b"Date: Sun, 29 Nov 2026 03:00:00 GMT\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
) + _BODY
_SENT = b"x" * 600
_HEAD = (
    b"POST /order HTTP/1.1\r\nHost: ca.test\r\nUser-Agent: certcore/0\r\nAccept-Encoding: identity\r\n"
    b"Content-Length: %d\r\nContent-Type: application/jose+json\r\n\r\n" % len(_SENT)
)
_ROUNDS = 5
_Request = Callable[[], bytes]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=20000)
    count = options.parse_args().requests
    kinds = {"socket alone": _socket, "httptools": _httptools, "certcore": _certcore, "http.client": _http_client}
    kinds["h11"] = _h11
    for name, kind in kinds.items():
        if importlib.util.find_spec(name) or name not in ("httptools", "h11"):
            print(f"{name:13} {_measure(kind, count):6.1f} us of CPU")


def _measure(kind: Callable[[socket.socket], _Request], count: int) -> float:
    ours, theirs = socket.socketpair()
    threading.Thread(target=_serve, args=(theirs,), daemon=True).start()
    request = kind(ours)
    if request() != _BODY:
        raise SystemExit("a reply was not read")
    best = float("inf")
    for _ in range(_ROUNDS):
        begun = time.thread_time()
        for _ in range(count // _ROUNDS):
            request()
        best = min(best, time.thread_time() - begun)
    ours.close()
    return best / (count // _ROUNDS) * 1e6


def _serve(connected: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connected.recv(65536):
            connected.sendall(_REPLY)


def _socket(connected: socket.socket) -> _Request:
    def request() -> bytes:
        connected.sendall(_HEAD + _SENT)
        return connected.recv(65536).partition(b"\r\n\r\n")[2]

    return request


def _httptools(connected: socket.socket) -> _Request:
    import httptools  # noqa: PLC0415 - it need not be installed

    class Reply:
        def __init__(self) -> None:
            self.headers: list[tuple[str, str]] = []
            self.body: list[bytes] = []
            self.complete = False

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

        def on_body(self, data: bytes) -> None:
            self.body.append(data)

        def on_message_complete(self) -> None:
            self.complete = True

    def request() -> bytes:
        connected.sendall(_HEAD + _SENT)
        reply = Reply()
        parser = httptools.HttpResponseParser(reply)
        while not reply.complete:
            parser.feed_data(connected.recv(65536))
        return b"".join(reply.body)

    return request


def _certcore(connected: socket.socket) -> _Request:
    connection: Any = object.__new__(HttpConnection)
    connection._timeout, connection._monotonic, connection._socket = 10.0, time.monotonic, connected

    def request() -> bytes:
        body: bytes = connection.exchange(_HEAD, _SENT, method="POST", limit=1 << 20).body
        return body

    return request


def _http_client(connected: socket.socket) -> _Request:
    connection = http.client.HTTPConnection("ca.test")
    connection.sock = connected

    def request() -> bytes:
        connection.request("POST", "/order", _SENT, {"Content-Type": "application/jose+json"})
        return connection.getresponse().read()

    return request


def _h11(connected: socket.socket) -> _Request:
    import h11  # noqa: PLC0415 - it need not be installed

    connection = h11.Connection(h11.CLIENT)
    headers = [("Host", "ca.test"), ("Content-Length", str(len(_SENT))), ("Content-Type", "application/jose+json")]

    def request() -> bytes:
        if connection.our_state is h11.DONE:
            connection.start_next_cycle()
        head = connection.send(h11.Request(method="POST", target="/order", headers=headers))
        body = connection.send(h11.Data(data=_SENT)) + connection.send(h11.EndOfMessage())
        connected.sendall(head + body)
        parts = []
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(connected.recv(65536))
            elif type(event) is h11.Data:
                parts.append(bytes(event.data))
            elif type(event) is h11.EndOfMessage:
                return b"".join(parts)

    return request


if __name__ == "__main__":
    main()
