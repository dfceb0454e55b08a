"""Lists of certificates: filters, sort keys and cursors."""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, assert_never

import attrs
from attrs import frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.issuance import Issuance
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.standing import Attempt, ConditionType

__all__ = ["EVERYTHING", "CertificateFilter", "Position", "SortKey"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
#: In characters: a domain, an ID, and the JSON around them.
_LONGEST_CURSOR: Final = 1000


def _aware(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (isinstance(value, datetime) and value.tzinfo is not None):
        raise InvalidInputError(attribute.name, Message("input.not_aware", "must be a timezone-aware datetime."))


class SortKey(StrEnum):
    """The sort key of a list. Certificates with equal keys are sorted by ID; those without a leaf come last."""

    DOMAIN = "domain"
    #: By the end of the leaf in service.
    NOT_AFTER = "not_after"
    CREATED_AT = "created_at"


@frozen(kw_only=True)
class CertificateFilter:
    """A filter of certificates. A certificate must match all members that are set."""

    status: Status | None = None
    #: The ID of its CA profile.
    authority_id: str | None = None
    owner: str | None = None
    key_type: KeyType | None = None
    #: Whether it renews automatically: its policy says so, and it has a CA profile.
    renews_itself: bool | None = None
    #: The state of the issuance under way.
    attempt: Attempt | None = None
    #: A condition that holds at the moment `at`. A leaf that is not valid yet counts as ready.
    condition: ConditionType | None = None
    #: The moment for `condition`, with its time zone; by default, lists of certificates use the present moment.
    at: datetime | None = attrs.field(default=None, validator=_aware)
    #: The leaf in service expires at this moment (with its time zone) or later.
    ends_from: datetime | None = attrs.field(default=None, validator=_aware)
    #: The leaf in service expires before this moment (with its time zone).
    ends_before: datetime | None = attrs.field(default=None, validator=_aware)
    #: A text anywhere in one of the names, as A-labels in lower case. Slow: reads the whole table of names.
    name_contains: str = ""
    #: A domain that is one of the names, or a parent domain of one.
    below: str = ""
    #: The serial number of one of the leaves, as lower-case hex without leading zeros.
    serial: str = ""
    #: The SHA-256 or SHA-1 fingerprint of one of the leaves, as lower-case hex.
    fingerprint: str = ""

    def takes(self, certificate: Certificate) -> bool:
        """Whether a certificate matches all members except serial number, fingerprint and a failed deployment."""
        names = [name.ascii for name in certificate.names]
        ends = certificate.not_after
        return (
            (self.status is None or certificate.status is self.status)
            and (self.authority_id is None or certificate.authority_id == self.authority_id)
            and (self.owner is None or certificate.owner == self.owner)
            and (self.key_type is None or certificate.key_type is self.key_type)
            and (self.renews_itself is None or certificate.renews_itself is self.renews_itself)
            and (self.attempt is None or certificate.standing.attempt is self.attempt)
            and (self.condition is None or self._holds(self.condition, certificate))
            and (self.ends_from is None or (ends is not None and ends >= self.ends_from))
            and (self.ends_before is None or (ends is not None and ends < self.ends_before))
            and (not self.name_contains or any(self.name_contains in name for name in names))
            and (not self.below or any(f".{name}".endswith(f".{self.below}") for name in names))
        )

    def _holds(self, condition: ConditionType, certificate: Certificate) -> bool:
        at, ends, standing = self.at or _EPOCH, certificate.not_after, certificate.standing
        has_leaf = certificate.status in (Status.ACTIVE, Status.EXPIRED)
        match condition:
            case ConditionType.READY:
                return certificate.status is Status.ACTIVE and ends is not None and ends > at
            case ConditionType.ISSUING:
                begins = certificate.status in (Status.PENDING, Status.PROCESSING)
                return begins and standing.attempt is not Attempt.NONE
            case ConditionType.RENEWING:
                return has_leaf and standing.attempt is not Attempt.NONE
            case ConditionType.OWNER_ACTION_NEEDED:
                return standing.attempt is Attempt.OWNER
            case ConditionType.RENEWAL_IN_DANGER:
                return has_leaf and standing.late_at is not None and standing.late_at <= at
            case ConditionType.DEPLOYMENT_FAILED:
                return True
            case _:
                assert_never(condition)

    def takes_leaf_of(self, issuance: Issuance) -> bool:
        """Whether the leaf of an issuance matches serial number and fingerprint."""
        leaf = issuance.leaf
        if leaf is None:
            return False
        return (not self.serial or leaf.serial_hex.lstrip("0") == self.serial) and (
            not self.fingerprint or self.fingerprint in (leaf.fingerprint_sha256, leaf.fingerprint_sha1)
        )


#: The filter that matches every certificate.
EVERYTHING: Final = CertificateFilter()


@frozen(kw_only=True)
class Position:
    """The end of a page: the sort value and the ID of its last certificate, which may have been deleted since."""

    #: The sort value, a domain or a moment; None if the certificate has none.
    value: str | datetime | None
    id: str

    @classmethod
    def of(cls, certificate: Certificate, order: SortKey) -> Position:
        """The position of a certificate under a sort key."""
        match order:
            case SortKey.DOMAIN:
                return cls(value=certificate.domain.ascii, id=certificate.id)
            case SortKey.NOT_AFTER:
                return cls(value=certificate.not_after, id=certificate.id)
            case SortKey.CREATED_AT:
                return cls(value=certificate.created_at, id=certificate.id)

    def cursor(self, order: SortKey, *, descending: bool) -> str:
        """The position as text, for the next call."""
        value = (self.value - _EPOCH) // _MICROSECOND if isinstance(self.value, datetime) else self.value
        document = json.dumps([str(order), descending, value, self.id])
        return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")

    @classmethod
    def parse(cls, cursor: str, order: SortKey, *, descending: bool) -> Position:
        """Read a cursor.

        Raises:
            InvalidInputError: The text is not a cursor, or belongs to another sort key or direction.
        """
        try:
            if len(cursor) > _LONGEST_CURSOR:
                raise ValueError("longer than any of ours")  # noqa: TRY301 - one message for every malformed cursor
            padded = cursor + "=" * (-len(cursor) % 4)
            kind, down, value, certificate_id = json.loads(base64.urlsafe_b64decode(padded.encode()))
        except (ValueError, TypeError, AttributeError, binascii.Error, RecursionError):
            raise _no_cursor() from None
        if kind != order or down is not descending:
            raise _unusable_cursor(Message("input.cursor_of_another_order", "belongs to another sort order."))
        if not _is_plain(certificate_id):
            raise _no_cursor()
        return cls(value=_value(value, order), id=certificate_id)


def _value(value: object, order: SortKey) -> str | datetime | None:
    """The sort value in a cursor. A cursor is not trusted, because a client may send any text."""
    if order is SortKey.DOMAIN:
        if isinstance(value, str) and _is_plain(value):
            return value
    elif value is None and order is SortKey.NOT_AFTER:
        return None
    elif isinstance(value, int) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return _EPOCH + value * _MICROSECOND
    raise _no_cursor()


def _is_plain(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable()


def _no_cursor() -> InvalidInputError:
    return _unusable_cursor(Message("input.not_a_cursor", "is not the next_cursor of a page."))


def _unusable_cursor(reason: Message) -> InvalidInputError:
    return InvalidInputError("after", reason, advice=Message("input.first_page", "Begin with the first page."))
