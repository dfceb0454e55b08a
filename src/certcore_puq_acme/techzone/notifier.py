"""NOTIFY (RFC 1996): tell the secondaries of a zone that it has changed."""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable, Sequence
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rdatatype
from attrs import define, field

from certcore.ports.dns import SecondaryServer, Zone
from certcore_puq_acme.techzone.bounded_source import BoundedSource
from certcore_puq_acme.techzone.signatures import KeyRing

__all__ = ["Notifier"]

#: Seconds between two checks: of zones with secondaries, and when no zone has secondaries.
_LOOK: Final = 0.5
_IDLE: Final = 5.0
#: Half the pause, in seconds, before a message is sent again; each pause is twice as long as the one before.
_AGAIN: Final = 2.0
#: How often a message is sent at most.
_TIMES: Final = 6
_MAX_ANSWER: Final = 4096
_ANY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@define(eq=False)
class _Told:
    """The state of notifying one secondary of one zone's latest serial."""

    serial: int | None = None
    sent: int = 0
    id: int = -1
    again_at: float = 0.0
    is_answered: bool = False


@define(eq=False)
class Notifier:
    """Sends notifications, and repeats each until the secondary answers, up to a limit. `run` needs its own thread.

    Args:
        host: The address to send from; ``0.0.0.0``, ``::`` or empty for any.
        sources: The zones.
        keys: The keys that messages are signed with.
        awake: A socket that becomes readable when `run` is to return.
        monotonic: Seconds from any start, never backwards.
        failed: Called with the errors of a source.
    """

    _host: str
    _sources: Sequence[BoundedSource]
    _keys: KeyRing
    _awake: socket.socket
    _monotonic: Callable[[], float]
    _failed: Callable[[Exception], object]
    _sockets: dict[int, socket.socket] = field(factory=dict, init=False)
    _told: dict[tuple[str, SecondaryServer], _Told] = field(factory=dict, init=False)

    def run(self) -> None:
        """Look for changes and send messages until ``awake`` becomes readable."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._awake, selectors.EVENT_READ)
            try:
                while True:
                    try:
                        patience = self._look(selector)
                    except Exception as error:  # isolation: a source may be foreign code; it is asked again
                        self._failed(error)
                        patience = _IDLE
                    for key, _ in selector.select(patience):
                        if key.fileobj is self._awake:
                            return
                        self._hear(key.data)
            finally:
                for each in self._sockets.values():
                    each.close()

    def _look(self, selector: selectors.BaseSelector) -> float:
        """Send the notifications that are due; returns the seconds until the next check."""
        known: dict[tuple[str, SecondaryServer], _Told] = {}
        for source in self._sources:
            zones = [zone for zone in source.zones() if zone.secondaries]
            if not zones:
                continue
            serial = source.serial()
            for zone in zones:
                for secondary in zone.secondaries:
                    progress = self._told.get((zone.apex, secondary)) or _Told()
                    known[zone.apex, secondary] = progress
                    if progress.serial != serial or not progress.sent:
                        progress.serial, progress.sent, progress.is_answered, progress.again_at = serial, 0, False, 0.0
                    self._send(selector, zone, secondary, progress)
        self._told = known
        return _LOOK if known else _IDLE

    def _send(self, selector: selectors.BaseSelector, zone: Zone, secondary: SecondaryServer, progress: _Told) -> None:
        now = self._monotonic()
        if progress.is_answered or progress.sent >= _TIMES or now < progress.again_at:
            return
        message = dns.message.make_query(zone.apex, dns.rdatatype.SOA)
        message.set_opcode(dns.opcode.NOTIFY)
        message.flags = (message.flags | dns.flags.AA) & ~dns.flags.RD
        self._keys.sign_request(message, secondary.key)
        progress.sent += 1
        progress.id = message.id
        progress.again_at = now + _AGAIN * 2**progress.sent
        with contextlib.suppress(OSError):  # such as no route; the message is sent again later
            self._socket(selector, secondary.address).sendto(message.to_wire(), (secondary.address, secondary.port))

    def _socket(self, selector: selectors.BaseSelector, address: str) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        if family not in self._sockets:
            made = socket.socket(family, socket.SOCK_DGRAM)
            made.setblocking(False)
            # Secondaries accept notifications only from the address that they transfer the zone from.
            if self._host not in _ANY_ADDRESS and (":" in self._host) == (family == socket.AF_INET6):
                made.bind((self._host, 0))
            self._sockets[family] = made
            selector.register(made, selectors.EVENT_READ, made)
        return self._sockets[family]

    def _hear(self, hearing: socket.socket) -> None:
        """Note an answer. Even an error shows that the secondary received the notification (RFC 1996 section 4.7)."""
        with contextlib.suppress(OSError, dns.exception.DNSException):
            data, sender = hearing.recvfrom(_MAX_ANSWER)
            if len(data) < 12 or not data[2] & 0x80:  # noqa: PLR2004 - a header, and QR
                return
            for (_, secondary), progress in self._told.items():
                if progress.id == int.from_bytes(data[:2], "big") and secondary.address == sender[0]:
                    progress.is_answered = True
