"""A DNS zone served from a master file (RFC 1035 section 5), reloaded when the file changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dns.exception
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.tokenizer
import dns.zone
import dns.zonefile
from attrs import field, frozen

from certcore.errors import InvalidInputError
from certcore.ports.dns import Zone

__all__ = ["ZoneFile"]

_log = logging.getLogger(__name__)
_TTL: Final = 30
_NEGATIVE_TTL: Final = 5
#: The server builds the apex records of these types from `Zone`, and does not serve those of the file unchanged.
_APEX_TYPES: Final = frozenset({"SOA", "NS"})

_Records = Mapping[str, Mapping[str, Sequence[str]]]


@frozen
class _Content:
    """The content of a file when it was last read."""

    #: Modification time in nanoseconds, size and inode. If one of them differs, the file has changed.
    mark: tuple[int, int, int]
    zone: Zone
    #: Values by name and type.
    records: _Records = field(repr=False)


class ZoneFile:
    """A master file as a `certcore.ports.dns.ZoneSource`.

    The file is read again when its modification time, size or inode changes. While the file is missing or invalid, the
    last valid content is served; an invalid file is logged as a warning. Wildcards and delegations in the file have no
    effect, and $INCLUDE is refused.

    Args:
        apex: The zone's name; names in the file are relative to it unless they end in a dot.
        path: The file. Records need a TTL, for example from $TTL. SOA and NS may be missing; the server makes them.

    Raises:
        InvalidInputError: The name is invalid, the file cannot be read or parsed, or it has records of another zone.
            The message about a syntax error names the line.
    """

    def __init__(self, apex: str, path: Path) -> None:
        try:
            origin = dns.name.from_text(apex.strip())
        except (dns.exception.DNSException, UnicodeError):
            origin = dns.name.root
        if origin == dns.name.root:
            raise InvalidInputError("--zone", f"{apex!r} is not the name of a zone.")
        self._origin: dns.name.Name = origin
        self._path = path
        self._lock = threading.Lock()
        self._complained: tuple[int, int, int] | None = None
        self._content = _read(origin, path)

    def zones(self) -> Sequence[Zone]:
        """The zone that the file describes now."""
        return (self._current().zone,)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The records that the file has for a name now."""
        del zone
        return self._current().records.get(name, {})

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether there are records for a name below `name`."""
        del zone
        return any(each.endswith(f".{name}") for each in self._current().records)

    def _current(self) -> _Content:
        try:
            mark = _mark(self._path)
        except OSError:
            return self._content  # an editor may remove the file for a moment while it saves
        with self._lock:
            if mark not in (self._content.mark, self._complained):
                try:
                    self._content = _read(self._origin, self._path)
                    self._complained = None
                except InvalidInputError as error:
                    self._complained = mark
                    _log.warning("%s The last valid content is still served.", error)
            return self._content


def _mark(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(origin: dns.name.Name, path: Path) -> _Content:
    try:
        mark = _mark(path)  # before reading, so that a change made meanwhile is noticed the next time
        text = path.read_text(encoding="utf-8")
        parsed = _parse(origin, text, path)
    except OSError as error:
        raise InvalidInputError("--zone", f"the file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidInputError("--zone", f"the file {path} is not UTF-8 text.") from None
    except (dns.exception.DNSException, ValueError) as error:
        raise InvalidInputError("--zone", f"the file {path} is not a valid zone file: {error}.") from None
    records: dict[str, dict[str, list[str]]] = {}
    nameservers: list[str] = []
    ttls = []
    negative_ttl = _NEGATIVE_TTL
    each: Any  # the attributes of a dnspython record depend on its type
    for name, ttl, each in parsed.iterate_rdatas():
        kind = dns.rdatatype.to_text(each.rdtype)
        if name == origin and kind in _APEX_TYPES:
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
        # The server has one TTL per zone: the shortest, so that no record is cached longer than the file allows.
        ttl=min(ttls, default=_TTL),
        negative_ttl=negative_ttl,
    )
    return _Content(mark, zone, records)


def _parse(origin: dns.name.Name, text: str, path: Path) -> dns.zone.Zone:
    """Parse a master file. `dns.zone.from_text` is not used, because it silently ignores records of other zones."""
    parsed = dns.zone.Zone(origin, relativize=False)
    with parsed.writer(replacement=True) as transaction:
        tokenizer = dns.tokenizer.Tokenizer(text, str(path))
        reader = dns.zonefile.Reader(tokenizer, dns.rdataclass.IN, transaction, allow_include=False)
        # The reader ignores names outside of its origin. With the root, they reach the transaction, which refuses them.
        reader.zone_origin = dns.name.root
        try:
            reader.read()
        except (dns.exception.DNSException, ValueError, KeyError):
            name = reader.last_name
            if name is None or name.is_subdomain(origin):
                raise
            raise InvalidInputError(
                "--zone",
                f"the file {path} has records for {_canonical(name)}, which is not in the zone {_canonical(origin)}.",
                advice="Name the zone that the file is for: --zone NAME=FILE.",
            ) from None
    return parsed


def _canonical(name: dns.name.Name) -> str:
    return name.canonicalize().to_text(omit_final_dot=True)


def _value(kind: str, rdata: Any) -> str:
    if kind == "TXT":
        return b"".join(rdata.strings).decode("utf-8", "replace")
    text: str = rdata.to_text()
    return text
