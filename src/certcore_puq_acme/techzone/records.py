"""The TXT values of the tech zone, kept in the module's documents, and served from there.

One document per value and issuance: adding and removing are idempotent, two orders never touch each other's values,
and any process that sees the same store serves the same zone, also after a restart.

The key is ``txt/<labels reversed>/<issuance>/<value>``. With the labels reversed (``net.example.acme.label``) both
questions of a name server are listings by prefix: the values at a name, and whether there are names below it.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from certcore.errors import InvalidInput
from certcore.ports.ca_module import Documents
from certcore.ports.dns import Zone
from certcore.ports.environment import Environment

__all__ = ["DocumentsZoneSource", "TechZoneRecords", "TxtRecord"]

_log = logging.getLogger(__name__)

_PREFIX: Final = "txt/"
#: Labels as the tech zone has them; the underscore is for names like ``_validation-persist``.
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MAX_NAME: Final = 253
#: Values that may stand in a key as they are: key authorization digests (RFC 8555 section 8.4) do.
_PLAIN_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ISSUANCE: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


@frozen(kw_only=True)
class TxtRecord:
    """One TXT value that an issuance wants to be served."""

    #: The name in A-labels and lower case, without a trailing dot.
    fqdn: str
    value: str
    issuance_id: str
    added_at: datetime


class TechZoneRecords:
    """The TXT values, by name and issuance. Names are taken in any case, with or without a trailing dot.

    A value is served as long as any issuance holds it.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, fqdn: str, value: str, issuance_id: str, now: datetime) -> None:
        """Serve a value at a name; one that is there already is no error.

        Raises:
            InvalidInput: The name is not one that DNS can carry.
        """
        self.add_many([TxtRecord(fqdn=fqdn, value=value, issuance_id=issuance_id, added_at=now)])

    def add_many(self, records: Iterable[TxtRecord]) -> None:
        """Serve several values from the same moment on, in one transaction.

        Raises:
            InvalidInput: A name is not one that DNS can carry; nothing is stored.
        """
        values = {
            _key(record.fqdn, record.issuance_id, record.value): {
                "value": record.value,
                "issuance": record.issuance_id,
                "added_at": record.added_at.isoformat(),
            }
            for record in records
        }
        if values:
            self._documents.put_many(values)

    def remove(self, fqdn: str, value: str, issuance_id: str) -> None:
        """Release one value; another issuance's hold on it stays. One that is not there is no error."""
        self._documents.delete(_key(fqdn, issuance_id, value))

    def remove_issuance(self, issuance_id: str, fqdns: Iterable[str]) -> None:
        """Release everything that an issuance holds at these names."""
        keys: list[str] = []
        for fqdn in fqdns:
            prefix = _issuance_prefix(fqdn, issuance_id)
            keys += [each.key for each in self._documents.list(prefix) if each.key.startswith(prefix)]
        if keys:
            self._documents.delete(*keys)

    def values(self, fqdn: str) -> tuple[str, ...]:
        """The distinct values at a name, sorted: what is served."""
        return tuple(sorted({record.value for record in self.at(fqdn)}))

    def of_issuance(self, issuance_id: str, fqdn: str) -> tuple[str, ...]:
        """The values that one issuance holds at a name, sorted."""
        return tuple(sorted(record.value for record in self.at(fqdn) if record.issuance_id == issuance_id))

    def at(self, fqdn: str) -> tuple[TxtRecord, ...]:
        """What is held at a name, and by whom."""
        name = _name(fqdn)
        prefix = f"{_PREFIX}{_reversed(name)}/"
        return tuple(
            TxtRecord(
                fqdn=name,
                value=str(each.value["value"]),
                issuance_id=str(each.value["issuance"]),
                added_at=datetime.fromisoformat(str(each.value["added_at"])),
            )
            for each in self._documents.list(prefix)
            # Some stores compare prefixes regardless of case, or take "_" for any character.
            if each.key.startswith(prefix)
        )


@frozen
class _Known:
    zones: tuple[Zone, ...]
    read_at: datetime


class DocumentsZoneSource:
    """Serves the TXT values of `TechZoneRecords`; a value is served from the moment that it is stored.

    Args:
        documents: The module's documents.
        zones: The zones to serve; asked again every ``refresh``. Of several with one apex the first counts.
        environment: Its clock says when to ask again.
        refresh: How long the answer of ``zones`` is kept.
    """

    def __init__(
        self,
        documents: Documents,
        zones: Callable[[], Sequence[Zone]],
        environment: Environment,
        *,
        refresh: timedelta = timedelta(seconds=1),
    ) -> None:
        self._documents = documents
        self._read_zones = zones
        self._environment = environment
        self._refresh = refresh
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def zones(self) -> Sequence[Zone]:
        """The zones as they were a second ago at most.

        When they cannot be read again, the last ones stand: the other sources' zones must not suffer, and `records`
        reports a broken store anyway.
        """
        known = self._known
        now = self._environment.now()
        # Also read again when the clock was set back, or it might be long until the next time.
        if known is not None and abs(now - known.read_at) < self._refresh:
            return known.zones
        with self._lock:
            if self._known is not known and self._known is not None:
                return self._known.zones  # another thread was faster
            try:
                zones = tuple({zone.apex: zone for zone in reversed(self._read_zones())}.values())
            except Exception as error:  # isolation: any store's or profile's error
                if known is None:
                    raise
                _log.warning("The tech zones could not be read again (%s); the last ones stand", type(error).__name__)
                zones = known.zones
            self._known = _Known(zones, now)
            return zones

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        """The TXT values at a name, or the addresses of a name server inside the zone."""
        if not _is_name(name):
            return {}
        if addresses := zone.addresses.get(name):
            kinds = {
                "A": [one for one in addresses if ":" not in one],
                "AAAA": [one for one in addresses if ":" in one],
            }
            return {kind: found for kind, found in kinds.items() if found}
        prefix = f"{_PREFIX}{_reversed(name)}/"
        values = sorted(
            {str(each.value["value"]) for each in self._documents.list(prefix) if each.key.startswith(prefix)}
        )
        return {"TXT": values} if values else {}

    def has_names_below(self, zone: Zone, name: str) -> bool:
        """Whether a name below this one has TXT values."""
        del zone
        prefix = f"{_PREFIX}{_reversed(name)}."
        return _is_name(name) and any(each.key.startswith(prefix) for each in self._documents.list(prefix))


def _key(fqdn: str, issuance_id: str, value: str) -> str:
    # A key is short and plain; a value need not be. "=" tells a digest from a value that looks like one.
    plain = _PLAIN_VALUE.fullmatch(value)
    last = value if plain else f"={hashlib.sha256(value.encode('utf-8')).hexdigest()}"
    return _issuance_prefix(fqdn, issuance_id) + last


def _issuance_prefix(fqdn: str, issuance_id: str) -> str:
    if not _ISSUANCE.fullmatch(issuance_id):
        raise InvalidInput("issuance_id", "it must be 1 to 40 letters, digits or hyphens.")
    return f"{_PREFIX}{_reversed(_name(fqdn))}/{issuance_id}/"


def _name(fqdn: str) -> str:
    name = fqdn.removesuffix(".").lower()
    if not _is_name(name):
        raise InvalidInput("fqdn", f"{fqdn[:80]!r} is not a DNS name of letters, digits, hyphens and underscores.")
    return name


def _is_name(name: str) -> bool:
    """Whether a name can stand in a key: whoever asks for ``label/x`` must not be led to another name's documents."""
    return len(name) <= _MAX_NAME and _NAME.fullmatch(name) is not None


def _reversed(name: str) -> str:
    return ".".join(reversed(name.split(".")))
