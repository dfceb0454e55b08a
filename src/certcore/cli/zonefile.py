"""A zone in a master file (RFC 1035 section 5) that is served as it stands and read again when it changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dns.exception
import dns.name
import dns.rdatatype
import dns.zone
from attrs import field, frozen

from certcore.errors import InvalidInput
from certcore.ports.dns import Zone

__all__ = ["ZoneFile"]

_log = logging.getLogger(__name__)
_TTL: Final = 30
_NEGATIVE_TTL: Final = 5
#: What the served `Zone` says itself; a file's own would contradict it.
_OF_THE_ZONE: Final = frozenset({"SOA", "NS"})

_Records = Mapping[str, Mapping[str, Sequence[str]]]


@frozen
class _Content:
    """What a file held when it was read."""

    #: Changes when the file does: modification time in nanoseconds, size, inode.
    mark: tuple[int, int, int]
    zone: Zone
    #: Name to type to values.
    records: _Records = field(repr=False)


class ZoneFile:
    """A master file as a `certcore.ports.dns.ZoneSource`.

    The file is read again when its modification time changes; while it cannot be read, what was read last is served
    and the log says why. Neither wildcards nor delegations in the file have an effect, and $INCLUDE is refused.

    Args:
        apex: The zone's name; names in the file are relative to it unless they end in a dot.
        path: The file. Records need a TTL ($TTL will do); SOA and NS may be missing, the server has its own.

    Raises:
        InvalidInput: The name is none, or the file cannot be read or holds a mistake; the message says where.
    """

    def __init__(self, apex: str, path: Path) -> None:
        try:
            origin = dns.name.from_text(apex.strip())
        except (dns.exception.DNSException, UnicodeError):
            origin = dns.name.root
        if origin == dns.name.root:
            raise InvalidInput("--zone", f"{apex!r} is not the name of a zone.")
        self._origin: dns.name.Name = origin
        self._path = path
        self._lock = threading.Lock()
        self._complained: tuple[int, int, int] | None = None
        self._content = _read(origin, path)

    def zones(self) -> Sequence[Zone]:
        """The one zone, as the file has it now."""
        return (self._current().zone,)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The records at a name, as the file has them now."""
        del zone
        return self._current().records.get(name, {})

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether any name below has records."""
        del zone
        return any(each.endswith(f".{name}") for each in self._current().records)

    def _current(self) -> _Content:
        try:
            mark = _mark(self._path)
        except OSError:
            return self._content  # between two writes of an editor it may be gone for a moment
        with self._lock:
            if mark not in (self._content.mark, self._complained):
                try:
                    self._content = _read(self._origin, self._path)
                    self._complained = None
                except InvalidInput as error:
                    self._complained = mark
                    _log.warning("%s What was read before is served on.", error)
            return self._content


def _mark(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(origin: dns.name.Name, path: Path) -> _Content:
    try:
        mark = _mark(path)  # before the reading: what is written meanwhile is read the next time
        text = path.read_text(encoding="utf-8")
        parsed = dns.zone.from_text(
            text, origin=origin, relativize=False, check_origin=False, filename=str(path), allow_include=False
        )
    except OSError as error:
        raise InvalidInput("--zone", f"the file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidInput("--zone", f"the file {path} is no text in UTF-8.") from None
    except (dns.exception.DNSException, ValueError) as error:
        raise InvalidInput("--zone", f"the file {path} is no zone file: {error}.") from None
    records: dict[str, dict[str, list[str]]] = {}
    nameservers: list[str] = []
    ttls = []
    negative_ttl = _NEGATIVE_TTL
    each: Any  # dnspython's records have the fields of their type
    for name, ttl, each in parsed.iterate_rdatas():
        kind = dns.rdatatype.to_text(each.rdtype)
        if name == origin and kind in _OF_THE_ZONE:
            if kind == "NS":
                nameservers.append(_canonical(each.target))
            else:
                negative_ttl = each.minimum
            continue
        ttls.append(ttl)
        records.setdefault(_canonical(name), {}).setdefault(kind, []).append(_value(kind, each))
    apex = _canonical(origin)
    zone = Zone(
        apex=apex,
        nameservers=tuple(nameservers) or (f"ns1.{apex}",),
        # One TTL for all is what is served; the shortest breaks nobody's word.
        ttl=min(ttls, default=_TTL),
        negative_ttl=negative_ttl,
    )
    return _Content(mark, zone, records)


def _canonical(name: dns.name.Name) -> str:
    return name.canonicalize().to_text(omit_final_dot=True)


def _value(kind: str, rdata: Any) -> str:
    if kind == "TXT":
        return b"".join(rdata.strings).decode("utf-8", "replace")
    text: str = rdata.to_text()
    return text
