"""Pages of certificates, by keyset: the cost of a page does not grow with its number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import sqlalchemy as sa

from certcore.adapters.sql import mapping
from certcore.adapters.sql.ranges import after_prefix
from certcore.adapters.sql.tables import certificates, issuances, names
from certcore.model.certificate import Certificate
from certcore.model.listing import CertificateFilter, Order, Position
from certcore.model.search import reversed_labels

__all__ = ["conditions", "read_page"]

_COLUMNS: Final = MappingProxyType(
    {
        Order.DOMAIN: certificates.c.domain,
        Order.NOT_AFTER: certificates.c.not_after,
        Order.CREATED_AT: certificates.c.created_at,
    }
)


def read_page(
    connection: sa.Connection,
    only: CertificateFilter,
    order: Order,
    after: Position | None,
    *,
    descending: bool,
    limit: int,
) -> Sequence[Certificate]:
    """The certificates after a position."""
    found: list[Certificate] = []
    for statement in _statements(only, order, after, descending=descending):
        rows = connection.execute(statement.limit(limit - len(found)))
        found += [mapping.certificate_of(row) for row in rows]
        if len(found) >= limit:
            break
    return found


def conditions(only: CertificateFilter) -> Iterator[sa.ColumnElement[bool]]:
    """What the rows of a list have in common."""
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


def _of_leaf(only: CertificateFilter) -> Iterator[sa.ColumnElement[bool]]:
    if only.serial:
        yield issuances.c.serial == only.serial
    if only.fingerprint:
        yield sa.or_(
            issuances.c.fingerprint_sha256 == only.fingerprint, issuances.c.fingerprint_sha1 == only.fingerprint
        )


def _statements(
    only: CertificateFilter, order: Order, after: Position | None, *, descending: bool
) -> Iterator[sa.Select[Any]]:
    """One for the rows that have a value to be sorted by, and one for those that have none: each uses its index."""
    column, key = _COLUMNS[order], certificates.c.id
    sorted_by = (column.desc(), key.desc()) if descending else (column, key)
    wanted = certificates.select().where(*conditions(only))
    has_none = order is Order.NOT_AFTER
    if after is None or after.value is not None:
        with_value = wanted.where(column.is_not(None)) if has_none else wanted
        yield with_value.where(*_behind(column, after, descending=descending)).order_by(*sorted_by)
    if has_none and only.ends_from is None and only.ends_before is None:
        without = wanted.where(column.is_(None))
        if after is not None and after.value is None:
            without = without.where(key < after.id if descending else key > after.id)
        yield without.order_by(sorted_by[1])


def _behind(
    column: sa.ColumnElement[Any], after: Position | None, *, descending: bool
) -> Iterator[sa.ColumnElement[bool]]:
    """Not as a comparison of pairs, for which MySQL reads the index from its beginning."""
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
