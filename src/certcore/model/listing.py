"""Lists of certificates: which are in, in which order, and where a page ends."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import frozen

from certcore.errors import InvalidInput
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status

__all__ = ["EVERYTHING", "CertificateFilter", "Order", "Position"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: A domain, an id, and what is around them.
_LONGEST_CURSOR: Final = 1000


class Order(StrEnum):
    """The orders of a list; certificates that are equal in it come by id, those without a leaf last."""

    DOMAIN = "domain"
    #: By the end of the leaf in service.
    NOT_AFTER = "not_after"
    CREATED_AT = "created_at"


@frozen(kw_only=True)
class CertificateFilter:
    """Which certificates are in a list: those that fit every member that is given."""

    status: Status | None = None
    #: The CA profile that issues it.
    authority_id: str | None = None
    owner: str | None = None
    key_type: KeyType | None = None
    #: Whether it renews by itself: by its policy, and with a CA profile.
    renews_itself: bool | None = None
    #: The leaf in service ends at this moment or later.
    ends_from: datetime | None = None
    #: The leaf in service ends before this moment.
    ends_before: datetime | None = None
    #: Stands anywhere in one of its names, as A-labels in lower case; the whole table of names is read for it.
    name_contains: str = ""
    #: One of its names is this domain, or lies below it.
    below: str = ""
    #: A leaf of it has this serial number: lower-case hex without leading zeros.
    serial: str = ""
    #: A leaf of it has this SHA-256 or SHA-1 fingerprint: lower-case hex.
    fingerprint: str = ""

    def takes(self, certificate: Certificate) -> bool:
        """Whether a certificate fits, as far as it says itself: all but serial number and fingerprint."""
        names = [name.ascii for name in certificate.names]
        ends = certificate.not_after
        return (
            (self.status is None or certificate.status is self.status)
            and (self.authority_id is None or certificate.authority_id == self.authority_id)
            and (self.owner is None or certificate.owner == self.owner)
            and (self.key_type is None or certificate.key_type is self.key_type)
            and (self.renews_itself is None or certificate.renews_itself is self.renews_itself)
            and (self.ends_from is None or (ends is not None and ends >= self.ends_from))
            and (self.ends_before is None or (ends is not None and ends < self.ends_before))
            and (not self.name_contains or any(self.name_contains in name for name in names))
            and (not self.below or any(f".{name}".endswith(f".{self.below}") for name in names))
        )

    def takes_leaf_of(self, issuance: Issuance) -> bool:
        """Whether the leaf of an issuance has the serial number and the fingerprint."""
        leaf = issuance.leaf
        if leaf is None:
            return False
        return (not self.serial or leaf.serial_hex.lstrip("0") == self.serial) and (
            not self.fingerprint or self.fingerprint in (leaf.fingerprint_sha256, leaf.fingerprint_sha1)
        )


#: No filter at all.
EVERYTHING: Final = CertificateFilter()


@frozen(kw_only=True)
class Position:
    """Where a page ended: what the last certificate was sorted by, and its id. It may be gone by now."""

    #: Its domain, or its moment; None for one without.
    value: str | datetime | None
    id: str

    @classmethod
    def of(cls, certificate: Certificate, order: Order) -> Position:
        """The position of a certificate in an order."""
        match order:
            case Order.DOMAIN:
                return cls(value=certificate.domain.ascii, id=certificate.id)
            case Order.NOT_AFTER:
                return cls(value=certificate.not_after, id=certificate.id)
            case Order.CREATED_AT:
                return cls(value=certificate.created_at, id=certificate.id)

    def cursor(self, order: Order, *, descending: bool) -> str:
        """As text for the next call."""
        value = (self.value - _EPOCH) // _MICROSECOND if isinstance(self.value, datetime) else self.value
        document = json.dumps([str(order), descending, value, self.id])
        return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, cursor: str, order: Order, *, descending: bool) -> Position:
        """Read a cursor.

        Raises:
            InvalidInput: It is none, or one of a list in another order.
        """
        try:
            if len(cursor) > _LONGEST_CURSOR:
                raise ValueError("longer than any of ours")  # noqa: TRY301 - one sentence for all that is no cursor
            padded = cursor + "=" * (-len(cursor) % 4)
            kind, down, value, certificate_id = json.loads(base64.urlsafe_b64decode(padded.encode()))
        except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
            raise _no_cursor() from None
        if kind != order or down is not descending:
            raise InvalidInput("after", "is of a list in another order.", advice="Begin with the first page.")
        if not _is_plain(certificate_id):
            raise _no_cursor()
        return cls(value=_value(value, order), id=certificate_id)


def _value(value: object, order: Order) -> str | datetime | None:
    """What the last certificate of a page was sorted by, out of a cursor that anybody may have written."""
    if order is Order.DOMAIN:
        if isinstance(value, str) and _is_plain(value):
            return value
    elif value is None and order is Order.NOT_AFTER:
        return None
    elif isinstance(value, int) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return _EPOCH + value * _MICROSECOND
    raise _no_cursor()


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable()


def _no_cursor() -> InvalidInput:
    return InvalidInput("after", "is not the next_cursor of a page.", advice="Begin with the first page.")
