"""Limits on UDP answers, so that the server cannot be used to amplify attacks.

The sender address of a UDP packet can be forged. An answer that is longer than its question then amplifies an attack on
that address. So answers longer than their question are counted per second and network of the sender: those to equal
questions, and all of them. A query beyond a limit gets an answer without records and with TC set, which is no longer
than the question. A real resolver then asks again over TCP, where addresses cannot be forged and nothing is limited.

CAs ask many different questions from few addresses within seconds; the default limits let 2000 of them pass per second.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Callable
from typing import Final

from attrs import define, field, frozen

__all__ = ["AnswerLimiter", "AnswerLimits", "network_of"]

#: Octets of an IPv6 address that make a network of 56 bits. Answers are counted per network, because an attacker can
#: forge every address of the network under attack.
_IPV6_NETWORK: Final = 7


@frozen(kw_only=True)
class AnswerLimits:
    """How many UDP answers longer than their question a network gets per second (IPv4 /24, IPv6 /56)."""

    #: Answers to equal questions.
    equal: int = 20
    #: Answers in all.
    total: int = 2000
    #: The most counters that are kept. If a second needs more, further questions are answered over TCP only.
    counters: int = 100_000


@define(eq=False)
class AnswerLimiter:
    """Counts answers per second; thread-safe.

    Args:
        limits: The limits per network and second.
        monotonic: Seconds from any start, never backwards.
    """

    limits: AnswerLimits
    _monotonic: Callable[[], float]
    _second: int = field(default=0, init=False)
    _counts: dict[tuple[str, str], int] = field(factory=dict, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    def permits(self, address: str, question: str) -> bool:
        """Whether a network may get one more answer to this question in this second.

        Args:
            address: The sender's IP address as text.
            question: Type and name asked for; not empty.
        """
        network = network_of(address)
        with self._lock:
            return self._permits(network, question)

    def count(self, address: str, question: str) -> None:
        """Count an answer that was longer than its question; arguments as for `permits`."""
        network = network_of(address)
        with self._lock:
            self._start_second()
            self._count(network, question)

    def take(self, address: str, question: str) -> bool:
        """Count an answer that is longer than its question if `permits` would permit it; returns whether it would."""
        network = network_of(address)
        with self._lock:
            if not self._permits(network, question):
                return False
            self._count(network, question)
            return True

    def _permits(self, network: str, question: str) -> bool:
        self._start_second()
        if len(self._counts) >= self.limits.counters and (network, question) not in self._counts:
            return False
        equal, total = self._counts.get((network, question), 0), self._counts.get((network, ""), 0)
        return equal < self.limits.equal and total < self.limits.total

    def _count(self, network: str, question: str) -> None:
        for key in ((network, question), (network, "")):
            self._counts[key] = self._counts.get(key, 0) + 1

    def _start_second(self) -> None:
        """Reset the counts when the second is over."""
        second = int(self._monotonic())
        if second != self._second:
            self._second = second
            self._counts = {}


def network_of(address: str) -> str:
    """The network of an IP address as text (IPv4 /24, IPv6 /56); other text is returned unchanged."""
    plain = address.partition("%")[0]
    if "." in plain and (":" not in plain or plain.lower().startswith("::ffff:")):
        return plain.rpartition(":")[2].rpartition(".")[0]  # IPv4, also as a mapped address: its first three octets
    try:
        packed = ipaddress.IPv6Address(plain).packed
    except ValueError:
        return plain
    return packed[:_IPV6_NETWORK].hex()
