"""A cache of answers, valid as long as the records that they were made from.

CAs query one TXT record from several places within seconds, and most of the cost of such a query is reading it and
writing the answer. A cached answer is only used if the source still returns the same records object that it was made
from. `benchmarks/dns_server.py` measures the gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from certcore.ports.dns import Zone, ZoneSource

__all__ = ["Basis", "RememberedAnswers"]

#: How many of the most recently used answers are kept at least, and half of the maximum. An answer takes about 0.5 KB.
_KEPT: Final = 32_768
#: Octets of a message's ID: the part in which equal queries differ.
_ID_SIZE: Final = 2


@frozen
class Basis:
    """The basis of a positive answer, besides its query: one name's records in a zone."""

    source: ZoneSource
    zone: Zone
    name: str
    records: Mapping[str, Sequence[str]]


@frozen
class _Remembered:
    #: The answer without its ID.
    message: bytes
    question: str
    #: The index of the source.
    source: int
    zone: Zone
    name: str
    records: Mapping[str, Sequence[str]]


@define(eq=False)
class RememberedAnswers:
    """A cache of answers over UDP by their queries. Only one thread at a time may use it.

    Args:
        kept: How many of the most recently used answers are kept at least. At most twice as many are kept.
    """

    _kept: int = _KEPT
    #: The answers used most recently. When there are ``kept`` of them, they replace the older ones.
    _recent: dict[bytes, _Remembered] = field(factory=dict, init=False)
    _older: dict[bytes, _Remembered] = field(factory=dict, init=False)
    #: The zones of each source that the answers are valid for.
    _zones: tuple[Sequence[Zone], ...] = field(default=(), init=False)

    def use_zones(self, sources: Sequence[ZoneSource]) -> None:
        """Clear the cache if the zones have changed.

        Args:
            sources: The sources, in the order that they always have.

        Raises:
            Exception: Whatever a source raises.
        """
        zones = tuple(source.zones() for source in sources)
        if zones != self._zones:
            self._recent, self._older = {}, {}
        self._zones = zones

    def get(self, wire: bytes, sources: Sequence[ZoneSource]) -> tuple[bytes, str] | None:
        """The answer to a query and the question in it, or None.

        Args:
            wire: The query.
            sources: As in `use_zones`.

        Raises:
            Exception: Whatever a source raises.
        """
        key = wire[_ID_SIZE:]
        remembered = self._recent.get(key)
        if remembered is None:
            remembered = self._older.get(key)
            if remembered is None:
                return None
            self._put(key, remembered)
        if sources[remembered.source].records(remembered.zone, remembered.name) is not remembered.records:
            return None
        return wire[:_ID_SIZE] + remembered.message, remembered.question

    def put(self, wire: bytes, message: bytes, question: str, basis: Basis, sources: Sequence[ZoneSource]) -> None:
        """Remember an answer.

        Args:
            wire: The query. Its answer must depend on ``basis`` only.
            message: The answer.
            question: Type and name asked for.
            basis: The records that the answer was made from.
            sources: As in `use_zones`.
        """
        place = next(place for place, source in enumerate(sources) if source is basis.source)
        remembered = _Remembered(message[_ID_SIZE:], question, place, basis.zone, basis.name, basis.records)
        self._put(wire[_ID_SIZE:], remembered)

    def _put(self, key: bytes, remembered: _Remembered) -> None:
        if len(self._recent) >= self._kept:
            self._older, self._recent = self._recent, {}
        self._recent[key] = remembered
