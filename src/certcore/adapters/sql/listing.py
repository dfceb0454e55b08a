"""Pages of certificates, by keyset: the cost of a page does not grow with its number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, assert_never

import sqlalchemy as sa

from certcore.adapters.sql import mapping
from certcore.adapters.sql.ranges import after_prefix
from certcore.adapters.sql.tables import certificates, deliveries, issuances, names
from certcore.adapters.sql.types import EPOCH, UtcDateTime
from certcore.model.certificate import Certificate
from certcore.model.lifecycle import Status
from certcore.model.listing import CertificateFilter, Position, SortKey
from certcore.model.search import reversed_labels
from certcore.model.standing import Attempt, ConditionType

__all__ = ["conditions", "holds", "read_page", "unindexed"]

_HAS_LEAF: Final = (Status.ACTIVE.value, Status.EXPIRED.value)
_FIRST_ISSUANCE: Final = (Status.PENDING.value, Status.PROCESSING.value)
#: The values of attempts under way. The query lists them to use their index; "is not null" would read the table. Most
#: certificates have none of these values, so this index is better than that of the status.
_UNDER_WAY: Final = tuple(attempt.value for attempt in Attempt if attempt is not Attempt.NONE)
#: Conditions that hold for few certificates. Their indexes are not in the order of a list.
_RARE: Final = frozenset({ConditionType.RENEWAL_IN_DANGER, ConditionType.RENEWING})
_COLUMNS: Final = MappingProxyType(
    {
        SortKey.DOMAIN: certificates.c.domain,
        SortKey.NOT_AFTER: certificates.c.not_after,
        SortKey.CREATED_AT: certificates.c.created_at,
    }
)


def read_page(
    connection: sa.Connection,
    only: CertificateFilter,
    order: SortKey,
    after: Position | None,
    *,
    descending: bool,
    limit: int,
) -> Sequence[Certificate]:
    """The certificates after a position."""
    read: list[Certificate] = []
    column = _COLUMNS[order]
    # Otherwise a planner without statistics reads the whole list to find a few rows.
    is_rare = only.condition in _RARE and only.owner is None
    sorted_by = unindexed(column) if is_rare else column
    for part in _parts(only, order, after, sorted_by, descending=descending):
        directed = [each.desc() if descending else each for each in (sorted_by, certificates.c.id)]
        statement = certificates.select().where(*part).order_by(*directed).limit(limit - len(read))
        if is_rare:
            picked = statement.with_only_columns(certificates.c.id).subquery("picked")
            directed = [each.desc() if descending else each for each in (column, certificates.c.id)]
            statement = certificates.select().join(picked, picked.c.id == certificates.c.id).order_by(*directed)
        read += [mapping.certificate_of(row) for row in connection.execute(statement)]
        if len(read) >= limit:
            break
    return read


def unindexed(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The same value as an expression for which the database cannot use an index."""
    if isinstance(column.type, UtcDateTime):
        return sa.type_coerce(sa.type_coerce(column, sa.BigInteger) + 0, UtcDateTime())
    return sa.type_coerce(column.concat(""), column.type)


def conditions(only: CertificateFilter) -> Iterator[sa.ColumnElement[bool]]:
    """The SQL conditions of a filter."""
    table = certificates.c
    for column, value in (
        (table.status, only.status and only.status.value),
        (table.authority_id, only.authority_id),
        (table.owner, only.owner),
        (table.key_type, only.key_type and only.key_type.value),
    ):
        if value is not None:
            yield column == value
    if only.renews_itself is not None:
        itself = sa.and_(table.renewal_auto.is_(sa.true()), table.authority_id.is_not(None))
        yield itself if only.renews_itself else sa.not_(itself)
    if only.attempt is not None:
        yield table.attempt.is_(None) if only.attempt is Attempt.NONE else table.attempt == only.attempt.value
    if only.condition is not None:
        yield holds(only.condition, only.at or EPOCH)
    if only.ends_from is not None:
        yield table.not_after >= only.ends_from
    if only.ends_before is not None:
        yield table.not_after < only.ends_before
    if only.name_contains:
        yield table.id.in_(
            sa.select(names.c.certificate_id).where(names.c.name.contains(only.name_contains, autoescape=True))
        )
    if only.below:
        prefix = reversed_labels(only.below)
        below = sa.select(names.c.certificate_id).where(names.c.reversed >= prefix)
        if (end := after_prefix(prefix)) is not None:
            below = below.where(names.c.reversed < end)
        yield table.id.in_(below)
    of_leaf = list(_of_leaf(only))
    if of_leaf:
        yield table.id.in_(sa.select(issuances.c.certificate_id).where(*of_leaf))


def holds(condition: ConditionType, at: datetime) -> sa.ColumnElement[bool]:
    """Whether a condition holds for a certificate at a moment."""
    table = certificates.c
    match condition:
        case ConditionType.READY:
            return sa.and_(table.status == Status.ACTIVE.value, table.not_after > at)
        case ConditionType.ISSUING:
            return sa.and_(unindexed(table.status).in_(_FIRST_ISSUANCE), table.attempt.in_(_UNDER_WAY))
        case ConditionType.RENEWING:
            return sa.and_(unindexed(table.status).in_(_HAS_LEAF), table.attempt.in_(_UNDER_WAY))
        case ConditionType.OWNER_ACTION_NEEDED:
            return table.attempt == Attempt.OWNER.value
        case ConditionType.RENEWAL_IN_DANGER:
            return table.late_at <= at  # which only certificates with a leaf have
        case ConditionType.DEPLOYMENT_FAILED:
            failed = sa.select(deliveries.c.certificate_id).where(deliveries.c.failing_since >= EPOCH)
            return table.id.in_(failed)
        case _:
            assert_never(condition)


def _of_leaf(only: CertificateFilter) -> Iterator[sa.ColumnElement[bool]]:
    if only.serial:
        yield issuances.c.serial == only.serial
    if only.fingerprint:
        yield sa.or_(
            issuances.c.fingerprint_sha256 == only.fingerprint, issuances.c.fingerprint_sha1 == only.fingerprint
        )


def _parts(
    only: CertificateFilter,
    order: SortKey,
    after: Position | None,
    sorted_by: sa.ColumnElement[Any],
    *,
    descending: bool,
) -> Iterator[list[sa.ColumnElement[bool]]]:
    """The conditions of two queries, for rows with and without a sort value, so that each uses an index."""
    column, key = _COLUMNS[order], certificates.c.id
    has_none = order is SortKey.NOT_AFTER
    if after is None or after.value is not None:
        with_value = [column.is_not(None)] if has_none else []
        yield [*conditions(only), *with_value, *_behind(sorted_by, after, descending=descending)]
    if has_none and only.ends_from is None and only.ends_before is None:
        behind = []
        if after is not None and after.value is None:
            behind = [key < after.id if descending else key > after.id]
        yield [*conditions(only), column.is_(None), *behind]


def _behind(
    column: sa.ColumnElement[Any], after: Position | None, *, descending: bool
) -> Iterator[sa.ColumnElement[bool]]:
    """Whether a row follows a position. Not a row comparison, for which MySQL would read the index from its start."""
    if after is None:
        return
    value: str | datetime | None = after.value
    key = certificates.c.id
    if descending:
        yield column <= value
        yield sa.or_(column < value, key < after.id)
    else:
        yield column >= value
        yield sa.or_(column > value, key > after.id)
