"""A relay before a DNS server, on UDP: it loses packets, or takes its time, and counts questions."""

from __future__ import annotations

import heapq
import random
import select
import socket
import threading
import time

from attrs import define, field

__all__ = ["Relay"]

_SECONDS = 0.5


@define(eq=False)
class Relay:
    """Passes questions on to a server and its answers back, until `close`."""

    #: Where it listens, and the server that it asks.
    address: str
    server: str
    #: Which share of the packets gets lost, each way; and seconds until an answer is passed on.
    loss: float = 0.0
    delay: float = 0.0
    #: The port that it listens on, 0 for a free one; and that of the server.
    port: int = 53
    server_port: int = 53
    #: How many questions came.
    asked: int = field(init=False, default=0)
    _outer: socket.socket = field(init=False)
    _inner: socket.socket = field(init=False)
    #: By the id that the server is asked with: who asked, and with which id.
    _pending: dict[bytes, tuple[bytes, object]] = field(init=False, factory=dict)
    #: Answers that wait for their time.
    _late: list[tuple[float, int, bytes, object]] = field(init=False, factory=list)
    _is_closed: bool = field(init=False, default=False)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._outer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._outer.bind((self.address, self.port))
        self.port = self._outer.getsockname()[1]
        self._inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._inner.connect((self.server, self.server_port))
        for each in (self._outer, self._inner):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._is_closed = True
        self._thread.join()
        self._outer.close()
        self._inner.close()

    def _run(self) -> None:
        chances = random.Random(self.address)
        while not self._is_closed:
            wait = min(max(self._late[0][0] - time.monotonic(), 0.0), _SECONDS) if self._late else _SECONDS
            ready, _, _ = select.select([self._outer, self._inner], [], [], wait)
            for each in ready:
                packet, sender = each.recvfrom(65535)
                is_question = each is self._outer
                self.asked += is_question
                if chances.random() < self.loss:
                    continue
                if is_question:
                    number = (self.asked % 65536).to_bytes(2, "big")
                    self._pending[number] = (packet[:2], sender)
                    self._inner.send(number + packet[2:])
                elif packet[:2] in self._pending:
                    number, client = self._pending.pop(packet[:2])
                    at = time.monotonic() + self.delay
                    heapq.heappush(self._late, (at, len(self._late), number + packet[2:], client))
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, answer, client = heapq.heappop(self._late)
                self._outer.sendto(answer, client)
