"""The TXT values of the tech zone, kept in the module's documents.

There is one document per value and issuance. So adding and removing are idempotent, two issuances never change each
other's values, and all processes that use the same store serve the same zone, also after a restart.

The key is ``txt/<labels reversed>/<issuance>/<value>``. Because the labels are reversed (``net.example.acme.label``), a
name server can find the values at a name, and whether there are names below it, by listing the keys with a prefix.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.ports.ca_module import Documents
from certcore_puq_acme.techzone.zone_changes import CHANGES_KEY, ZoneChanges

__all__ = ["TechZoneRecords", "TxtRecord", "is_record_name", "key_prefix", "name_of_key"]

_PREFIX: Final = "txt/"
#: A name in the tech zone. The underscore is for labels like ``_validation-persist``.
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MAX_NAME: Final = 253
#: Values that are used in keys unchanged, such as the digests of key authorizations (RFC 8555 section 8.4).
_PLAIN_VALUE: Final = re.compile(r"[A-Za-z0-9_-]{1,100}")
_ISSUANCE: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")


@frozen(kw_only=True)
class TxtRecord:
    """A TXT value to serve for an issuance."""

    #: The name in A-labels and lower case, without a trailing dot.
    fqdn: str
    value: str
    issuance_id: str
    added_at: datetime


class TechZoneRecords:
    """The TXT values, by name and issuance. Names may have upper-case letters and a trailing dot.

    A value is served as long as at least one issuance needs it.
    """

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def add(self, fqdn: str, value: str, issuance_id: str, now: datetime) -> None:
        """Serve a value at a name. Adding it again is not an error.

        Raises:
            InvalidInputError: The name is not a valid DNS name.
        """
        self.add_many([TxtRecord(fqdn=fqdn, value=value, issuance_id=issuance_id, added_at=now)])

    def add_many(self, records: Iterable[TxtRecord]) -> None:
        """Serve several values; all are stored in one transaction.

        Raises:
            InvalidInputError: A name is not a valid DNS name; nothing is stored.
        """
        records = tuple(records)
        values = {
            _key(record.fqdn, record.issuance_id, record.value): {
                "value": record.value,
                "issuance": record.issuance_id,
                "added_at": record.added_at.isoformat(),
            }
            for record in records
        }
        if values:
            now = max(record.added_at for record in records)
            self._documents.put_many(values, change={CHANGES_KEY: _noting((each.fqdn for each in records), now)})

    def remove(self, fqdn: str, value: str, issuance_id: str) -> None:
        """Remove the value of an issuance. It is still served if another issuance needs it. It may be missing."""
        self._documents.put_many({}, delete=[_key(fqdn, issuance_id, value)], change={CHANGES_KEY: _noting([fqdn])})

    def remove_issuance(self, issuance_id: str, fqdns: Iterable[str], now: datetime | None = None) -> None:
        """Remove the values of an issuance at these names, in the transaction that stores the outcome of the step.

        Args:
            issuance_id: The issuance.
            fqdns: The names.
            now: The current time, for the zone's serial.
        """
        # If another worker has already removed the values, the zone does not change.
        names = tuple(fqdn for fqdn in fqdns if self._keys(fqdn, issuance_id))
        for fqdn in names:
            self._documents.with_outcome.delete_prefix(_issuance_prefix(fqdn, issuance_id))
        if names:
            self._documents.with_outcome.change(CHANGES_KEY, _noting(names, now))

    def remove_issuance_now(self, issuance_id: str, fqdns: Iterable[str], now: datetime | None = None) -> None:
        """As `remove_issuance`, but in a transaction of its own, so that another server can be changed afterwards."""
        names = tuple(fqdns)
        keys = [key for fqdn in names for key in self._keys(fqdn, issuance_id)]
        if keys:
            self._documents.put_many({}, delete=keys, change={CHANGES_KEY: _noting(names, now)})

    def _keys(self, fqdn: str, issuance_id: str) -> list[str]:
        """The keys of an issuance's values at a name."""
        prefix = _issuance_prefix(fqdn, issuance_id)
        return [document.key for document in self._documents.list(prefix) if document.key.startswith(prefix)]

    def values(self, fqdn: str) -> tuple[str, ...]:
        """The values that are served at a name, sorted, each once."""
        return tuple(sorted({record.value for record in self.at(fqdn)}))

    def changed_since(self, fqdn: str, moment: datetime) -> bool:
        """Whether the last recorded changes of the zone include this name, at this moment or later."""
        document = self._documents.get(CHANGES_KEY)
        changes = ZoneChanges.of({} if document is None else document.value)
        return changes.have_name_since(_name(fqdn), moment)

    def at(self, fqdn: str) -> tuple[TxtRecord, ...]:
        """The values at a name with their issuances."""
        return self._listed(f"{_PREFIX}{_reversed(_name(fqdn))}/")

    def below(self, fqdn: str) -> tuple[TxtRecord, ...]:
        """The values at all names below a name, with their issuances."""
        return self._listed(f"{_PREFIX}{_reversed(_name(fqdn))}.")

    def _listed(self, prefix: str) -> tuple[TxtRecord, ...]:
        return tuple(
            TxtRecord(
                fqdn=name_of_key(each.key),
                value=str(each.value["value"]),
                issuance_id=str(each.value["issuance"]),
                added_at=datetime.fromisoformat(str(each.value["added_at"])),
            )
            for each in self._documents.list(prefix)
            # Some stores ignore case when they compare prefixes, or match any character with "_".
            if each.key.startswith(prefix)
        )


def _noting(
    fqdns: Iterable[str], now: datetime | None = None
) -> Callable[[Mapping[str, Any]], Mapping[str, Any] | None]:
    """A change of the document of `ZoneChanges` that records these names, for name servers that cache records."""
    names = {_name(fqdn) for fqdn in fqdns}
    return lambda stored: ZoneChanges.of(stored).with_change(names, now).value()


def _key(fqdn: str, issuance_id: str, value: str) -> str:
    # Values that are too long or have other characters are replaced by a digest. The "=" distinguishes the digest from
    # a value that looks like a digest.
    plain = _PLAIN_VALUE.fullmatch(value)
    last = value if plain else f"={hashlib.sha256(value.encode('utf-8')).hexdigest()}"
    return _issuance_prefix(fqdn, issuance_id) + last


def _issuance_prefix(fqdn: str, issuance_id: str) -> str:
    if not _ISSUANCE.fullmatch(issuance_id):
        raise InvalidInputError(
            "issuance_id", Message("puq_acme.zone.not_an_issuance", "it must be 1 to 40 letters, digits or hyphens.")
        )
    return f"{_PREFIX}{_reversed(_name(fqdn))}/{issuance_id}/"


def _name(fqdn: str) -> str:
    name = fqdn.removesuffix(".").lower()
    if not is_record_name(name):
        raise InvalidInputError(
            "fqdn",
            Message(
                "puq_acme.zone.not_a_name",
                "{fqdn} is not a DNS name of letters, digits, hyphens and underscores.",
                {"fqdn": repr(fqdn[:80])},
            ),
        )
    return name


def is_record_name(name: str) -> bool:
    """Whether a name can be part of a key. A query for ``label/x`` must not find the documents of another name."""
    return len(name) <= _MAX_NAME and _NAME.fullmatch(name) is not None


def key_prefix(name: str) -> str:
    """The prefix of the keys of values at a name (followed by ``/``) and below it (followed by ``.``)."""
    return f"{_PREFIX}{_reversed(name)}"


def name_of_key(key: str) -> str:
    """The name in the key of a value."""
    return _reversed(key.split("/", 2)[1])


def _reversed(name: str) -> str:
    return ".".join(reversed(name.split(".")))
