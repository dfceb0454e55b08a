"""Lists, searches and counts of certificates."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypedDict, TypeVar, Unpack

from attrs import field, frozen

from certcore.engine.module_context import Contexts
from certcore.errors import InvalidInputError, InvalidNameError, NotFoundError
from certcore.messages import Message
from certcore.model.certificate import Certificate
from certcore.model.counts import COUNTED_DAYS, CertificateCounts
from certcore.model.identifiers import check_id, check_owner
from certcore.model.input_limits import MOST_ROWS, text_within, true_or_false, whole_number
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.listing import EVERYTHING, CertificateFilter, Position, SortKey
from certcore.model.names import DnsName
from certcore.model.permissions import Permission
from certcore.model.rows import CertificateRow, RowPage
from certcore.model.search import Search
from certcore.model.standing import Attempt, ConditionType
from certcore.model.views import Page
from certcore.ports.storage import Transaction
from certcore.services.access import Access, unknown_authority
from certcore.services.count_cache import CountCache
from certcore.services.failed_deliveries import failed_deliveries

__all__ = ["ListOptions", "Lists", "check_limit"]

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_MAX_PAGE: Final = 1000
_MOST_DAYS: Final = 36_500
#: The options that can be combined with a search.
_WITH_SEARCH: Final = frozenset({"limit", "owner", "search"})
_OLDEST_COUNTS: Final = timedelta(hours=1)
#: The longest text that is searched or filtered for, in characters.
_LONGEST_FILTER: Final = 300
_NAME_PART: Final = re.compile(r"[a-z0-9*.-]{1,253}")


class ListOptions(TypedDict, total=False):
    """The options of a list of certificates. A certificate must match all given filters."""

    #: A stored filter. The keywords below take precedence over its members.
    only: CertificateFilter
    #: The ``next_cursor`` of the previous page, with the same order. Changes and deletions in between are harmless.
    after: str | None
    #: The largest number of certificates, 1 to 1000; 50 by default.
    limit: int
    #: Only certificates with this status.
    status: Status | str | None
    #: Only certificates of this CA profile, by ID or name.
    authority: str | None
    #: Only certificates of this tenant; empty for those without a tenant. None, for all tenants, needs the permission
    #: ``certificate.list_all``.
    owner: str | None
    #: Only certificates for which this condition holds, for example ``RenewalInDanger`` for overdue renewals, or
    #: ``OwnerActionNeeded`` if the owner has to act. A leaf that is not valid yet counts as ready.
    condition: ConditionType | str | None
    #: Only certificates with an issuance in this state, for example ``administrator`` if it waits for one.
    attempt: Attempt | str | None
    #: Only certificates whose leaf has at least this many days left; negative for expired leaves.
    days_from: int | None
    #: Only certificates whose leaf has at most this many days left.
    days_to: int | None
    #: Only certificates with this key type.
    key_type: KeyType | str | None
    #: Only certificates that renew automatically (True) or do not (False).
    renews_itself: bool | None
    #: Only certificates with this text in a name, as A-labels or U-labels. Slow: reads all names.
    name: str | None
    #: Only certificates with a name that is this domain or one of its subdomains.
    below: str | None
    #: Only certificates that `Certificates.search` finds for this text: one page, sorted by domain. It can only be
    #: combined with ``owner`` and ``limit``.
    search: str | None
    #: Only certificates with a present or earlier leaf with this serial number, in hex.
    serial: str | None
    #: Only certificates with a present or earlier leaf with this SHA-256 or SHA-1 fingerprint.
    fingerprint: str | None
    #: The sort key. With ``not_after``, certificates without a leaf come last.
    order: SortKey | str
    #: Whether the order is descending.
    descending: bool


@frozen(kw_only=True)
class _Selection:
    """The parsed options of a list."""

    only: CertificateFilter
    order: SortKey
    descending: bool
    after: Position | None
    limit: int
    search: Search | None

    def read(self, transaction: Transaction) -> tuple[tuple[Certificate, ...], str | None]:
        """The certificates, and the cursor of the next page."""
        if self.search is not None:
            return tuple(transaction.certificates.search(self.search, owner=self.only.owner, limit=self.limit)), None
        rows = transaction.certificates.page(
            only=self.only, order=self.order, descending=self.descending, after=self.after, limit=self.limit + 1
        )
        items = tuple(rows[: self.limit])
        if len(rows) <= self.limit:
            return items, None
        return items, Position.of(items[-1], self.order).cursor(self.order, descending=self.descending)


@frozen(kw_only=True, eq=False, slots=False)
class Lists:
    """Lists, searches and counts of certificates."""

    _contexts: Contexts
    _access: Access
    _counted: CountCache = field(factory=CountCache, repr=False)

    def list(self, *, actor: str = "system", **filters: Unpack[ListOptions]) -> Page:
        """A page of the certificates that match all given filters.

        Args:
            actor: Who makes the call.
            filters: Filters, order and page, see `certcore.ListOptions`; by default the first 50 certificates by
                domain.

        Raises:
            InvalidInputError: A filter, the limit or the cursor is invalid.
            AccessDeniedError: The policy refused; with an ``owner`` it may allow.
        """
        selection = self._selection(filters, actor)
        with self._contexts.storage.read() as transaction:
            items, next_cursor = selection.read(transaction)
        return Page(items=items, next_cursor=next_cursor)

    def rows(self, *, actor: str = "system", **filters: Unpack[ListOptions]) -> RowPage:
        """A page of rows for a panel's list, with conditions, days left, the CA profile's name and the badge's level.

        The call needs three SQL statements, however long the page is.

        Args:
            actor: Who makes the call.
            filters: As in `list`.

        Raises:
            InvalidInputError: A filter, the limit or the cursor is invalid.
            AccessDeniedError: The policy refused; with an ``owner`` it may allow.
        """
        selection = self._selection(filters, actor)
        with self._contexts.storage.read() as transaction:
            certificates, next_cursor = selection.read(transaction)
            authority_ids = {each.authority_id for each in certificates if each.authority_id is not None}
            names = transaction.authorities.names(authority_ids)
            failed = failed_deliveries(transaction, [certificate.id for certificate in certificates])
        now = self._contexts.environment.now()
        items = tuple(
            CertificateRow(
                certificate=certificate,
                authority_name=names.get(certificate.authority_id or "", ""),
                now=now,
                failed_deliveries=failed.get(certificate.id, ()),
            )
            for certificate in certificates
        )
        return RowPage(items=items, next_cursor=next_cursor)

    def _selection(self, options: ListOptions, actor: str) -> _Selection:
        """The filter, order and page of a call of `list`, if the actor may see them."""
        _refuse_unknown(options)
        only = options.get("only", EVERYTHING)
        if not isinstance(only, CertificateFilter):
            raise InvalidInputError("only", Message("input.not_a_filter", "must be a CertificateFilter."))
        owner = options.get("owner")
        owner = only.owner if owner is None else owner
        self._require(actor, owner)
        limit, after, text = options.get("limit", 50), options.get("after"), options.get("search")
        check_limit(limit)
        order = _sort_key(options.get("order", SortKey.DOMAIN))
        descending = true_or_false("descending", options.get("descending", False))
        renews = _first(options.get("renews_itself"), only.renews_itself)
        key_type = _first(options.get("key_type"), only.key_type)
        authority = _first(options.get("authority"), only.authority_id)
        only = CertificateFilter(
            status=_member(Status, "status", _first(options.get("status"), only.status)),
            authority_id=self._authority(authority, owner, actor),
            owner=owner,
            key_type=None if key_type is None else KeyType.parse(key_type),
            renews_itself=None if renews is None else true_or_false("renews_itself", renews),
            attempt=_member(Attempt, "attempt", _first(options.get("attempt"), only.attempt)),
            condition=_member(ConditionType, "condition", _first(options.get("condition"), only.condition)),
            at=only.at or self._contexts.environment.now(),
            ends_from=self._end("days_from", options.get("days_from")) or only.ends_from,
            ends_before=self._end("days_to", options.get("days_to"), more=1) or only.ends_before,
            name_contains=_part(options.get("name") or only.name_contains),
            below=_below(options.get("below") or only.below),
            serial=_serial(options.get("serial") or only.serial),
            fingerprint=_fingerprint(options.get("fingerprint") or only.fingerprint),
        )
        position = None if after is None else Position.parse(after, order, descending=descending)
        search = None if text is None else Search.parse(text_within("search", text, _LONGEST_FILTER))
        others = {name for name in options.keys() - _WITH_SEARCH if options.get(name) is not None}
        if search is not None and others:
            raise InvalidInputError(
                "search",
                Message(
                    "input.not_combined", "cannot be combined with {others}.", {"others": ", ".join(sorted(others))}
                ),
            )
        return _Selection(only=only, order=order, descending=descending, after=position, limit=limit, search=search)

    def overlaps(self, certificate_id: str, *, limit: int = 20, actor: str = "system") -> Sequence[Certificate]:
        """Other certificates of the same owner that share a host name with this one.

        Args:
            certificate_id: The certificate.
            limit: The largest number of certificates, 1 to 1000.
            actor: Who makes the call.

        Raises:
            InvalidInputError: The limit is out of range.
            NotFoundError: There is no such certificate.
            AccessDeniedError: The policy refused.
        """
        certificate = self._access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        check_limit(limit)
        with self._contexts.storage.read() as transaction:
            others = transaction.certificates.sharing(certificate, limit=limit)
        return self._access.seen(actor, others)

    def search(
        self, text: str, *, owner: str | None = None, limit: int = 50, actor: str = "system"
    ) -> Sequence[Certificate]:
        """Search by the beginning of a name, a parent domain, a serial number or a fingerprint.

        Args:
            text: For example ``shop.exam``, ``example.com`` (also finds ``www.example.com``), ``03:AB:…`` or a SHA-256
                or SHA-1 fingerprint. Colons, spaces and case do not matter. Earlier leaves are searched, too.
            owner: Only certificates of this tenant, as in `list`.
            limit: The largest number of certificates, 1 to 1000. If more match, any of them are returned.
            actor: Who makes the call.

        Returns:
            The certificates, sorted by domain.

        Raises:
            InvalidInputError: The limit is out of range, or the text is longer than 300 characters.
            AccessDeniedError: The policy refused; with an ``owner`` it may allow.
        """
        self._require(actor, owner)
        check_limit(limit)
        search = Search.parse(text_within("text", text, _LONGEST_FILTER))
        with self._contexts.storage.read() as transaction:
            return transaction.certificates.search(search, owner=owner, limit=limit)

    def count_by_status(
        self,
        *,
        authority: str | None = None,
        owner: str | None = None,
        at_most: int | None = None,
        actor: str = "system",
    ) -> Mapping[Status, int]:
        """The number of certificates in each status, including zeros.

        Args:
            authority: Only certificates of this CA profile, by ID or name.
            owner: Only certificates of this tenant, as in `list`.
            at_most: Stop counting each status at this number, for a dashboard that shows "10,000 or more". With a
                million certificates, this saves some tenths of a second.
            actor: Who makes the call.

        Raises:
            InvalidInputError: ``at_most`` is below 1.
            AccessDeniedError: The policy refused; with an ``owner`` it may allow.
        """
        self._require(actor, owner)
        if at_most is not None:
            whole_number("at_most", at_most, 1, MOST_ROWS)
        authority_id = self._authority(authority, owner, actor)
        with self._contexts.storage.read() as transaction:
            counts = transaction.certificates.count_by_status(authority_id=authority_id, owner=owner, at_most=at_most)
        return {status: counts.get(status, 0) for status in Status}

    def counts(
        self,
        *,
        authority: str | None = None,
        owner: str | None = None,
        max_age: float = 60.0,
        actor: str = "system",
    ) -> CertificateCounts:
        """Counts for a dashboard: by status, by condition, and leaves that expire on each of the next 90 days.

        Counting a million certificates takes about a second, so the counts are cached in this process for a minute.

        Args:
            authority: Only certificates of this CA profile, by ID or name.
            owner: Only certificates of this tenant, as in `list`.
            max_age: How old cached counts may be, 0 to 3600 seconds; 0 to count now.
            actor: Who makes the call.

        Raises:
            InvalidInputError: ``max_age`` is out of range.
            AccessDeniedError: The policy refused; with an ``owner`` it may allow.
        """
        self._require(actor, owner)
        age = _seconds("max_age", max_age, _OLDEST_COUNTS)
        authority_id = self._authority(authority, owner, actor)
        now = self._contexts.environment.now()
        known = self._counted.get((authority_id, owner))
        if known is not None and age and not known.is_older_than(age, now):
            return known
        counted = self._count(authority_id, owner, now)
        self._counted.put((authority_id, owner), counted)
        return counted

    def _count(self, authority_id: str | None, owner: str | None, now: datetime) -> CertificateCounts:
        with self._contexts.storage.read() as transaction:
            certificates = transaction.certificates
            by_status = certificates.count_by_status(authority_id=authority_id, owner=owner)
            holding = certificates.count_conditions(at=now, authority_id=authority_id, owner=owner)
            ending = certificates.count_endings(now=now, days=COUNTED_DAYS, authority_id=authority_id, owner=owner)
        return CertificateCounts(
            at=now,
            by_status={status: by_status.get(status, 0) for status in Status},
            by_condition=holding,
            ending_by_day=tuple(ending.get(day, 0) for day in range(COUNTED_DAYS)),
        )

    def _require(self, actor: str, owner: str | None) -> None:
        """Require the permission to list the certificates of one owner, or of all owners."""
        if owner is None:
            self._access.require(actor, Permission.CERTIFICATE_LIST_ALL)
        else:
            self._access.require(actor, Permission.CERTIFICATE_LIST, owner=check_owner(owner))

    def _authority(self, authority: str | None, owner: str | None, actor: str) -> str | None:
        """The ID of a CA profile. Tenants get no error for an unknown one, so that they cannot probe for profiles."""
        if authority is None:
            return None
        check_id("authority", authority)
        if owner is not None:
            return self._access.authority_id("authority", authority, actor)
        try:
            return self._access.authority(actor, Permission.AUTHORITY_VIEW, authority).id
        except NotFoundError:
            raise unknown_authority("authority", authority) from None

    def _end(self, field: str, days: int | None, *, more: int = 0) -> datetime | None:
        if days is None:
            return None
        if isinstance(days, bool) or not isinstance(days, int) or abs(days) > _MOST_DAYS:
            raise InvalidInputError(
                field,
                Message("input.not_days", "must be a whole number of days, at most {most}.", {"most": _MOST_DAYS}),
            )
        return self._contexts.environment.now() + timedelta(days=days + more)


def _refuse_unknown(options: ListOptions) -> None:
    """Refuse unknown keywords.

    Raises:
        TypeError: There is an unknown keyword, as in any Python call.
    """
    unknown = sorted(set(options) - ListOptions.__annotations__.keys())
    if unknown:
        raise TypeError(f"list() got an unexpected keyword argument {unknown[0]!r}")


def check_limit(limit: int) -> None:
    """Require a limit to be an integer from 1 to 1000.

    Raises:
        InvalidInputError: It is not.
    """
    whole_number("limit", limit, 1, _MAX_PAGE)


def _first(value: T | None, default: T | None) -> T | None:
    return default if value is None else value


def _member(kind: type[E], field: str, word: str | None) -> E | None:
    """The member of an enumeration for a word."""
    if word is None:
        return None
    try:
        return kind(word)
    except ValueError:
        raise InvalidInputError(
            field,
            Message(
                "input.not_one_of",
                "{value} is not one of: {choices}.",
                {"value": repr(str(word)[:40]), "choices": ", ".join(kind)},
            ),
        ) from None


def _seconds(field_name: str, seconds: float, most: timedelta) -> timedelta:
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 <= seconds <= most.total_seconds():
        raise InvalidInputError(
            field_name,
            Message(
                "input.not_seconds",
                "must be a number of seconds from 0 to {most}.",
                {"most": f"{most.total_seconds():g}"},
            ),
        )
    return timedelta(seconds=seconds)


def _sort_key(order: SortKey | str) -> SortKey:
    try:
        return SortKey(order)
    except ValueError:
        raise InvalidInputError(
            "order",
            Message(
                "input.not_one_of",
                "{value} is not one of: {choices}.",
                {"value": repr(str(order)[:40]), "choices": ", ".join(SortKey)},
            ),
        ) from None


def _part(name: str | None) -> str:
    """A part of a name, as names are stored."""
    if not name:
        return ""
    part = text_within("name", name, _LONGEST_FILTER).strip().lower()
    if part.isascii():
        if not _NAME_PART.fullmatch(part):
            raise InvalidInputError(
                "name", Message("input.not_in_a_name", "{name} cannot be part of a name.", {"name": repr(name[:60])})
            )
        return part
    try:
        return DnsName.parse(part).ascii
    except InvalidNameError:
        raise InvalidInputError(
            "name",
            Message(
                "input.not_a_name_part", "{name} is neither a name nor an ASCII part of one.", {"name": repr(name[:60])}
            ),
        ) from None


def _below(domain: str | None) -> str:
    if not domain:
        return ""
    typed = text_within("below", domain, _LONGEST_FILTER)
    return DnsName.parse(typed.removeprefix("*.").removeprefix("."), field="below").ascii


def _serial(serial: str | None) -> str:
    if not serial:
        return ""
    digits = Search.hexadecimal(text_within("serial", serial, _LONGEST_FILTER))
    if not digits:
        raise InvalidInputError(
            "serial",
            Message("input.not_a_serial", "{serial} is not a serial number in hex.", {"serial": repr(serial[:60])}),
        )
    return digits.lstrip("0") or "0"


def _fingerprint(fingerprint: str | None) -> str:
    if not fingerprint:
        return ""
    digits = Search.parse(text_within("fingerprint", fingerprint, _LONGEST_FILTER)).fingerprint
    if not digits:
        raise InvalidInputError(
            "fingerprint",
            Message(
                "input.not_a_fingerprint",
                "{fingerprint} is not a SHA-256 or SHA-1 fingerprint in hex.",
                {"fingerprint": repr(fingerprint[:80])},
            ),
        )
    return digits
