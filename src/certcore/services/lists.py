"""Lists of certificates: filtered, sorted, in pages; searched; counted; and which of them overlap."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from certcore.engine.contexts import Contexts
from certcore.errors import InvalidInput, InvalidName, NotFound
from certcore.model.bounds import MOST_ROWS, text_within, whole_number
from certcore.model.certificate import Certificate
from certcore.model.keys import KeyType
from certcore.model.lifecycle import Status
from certcore.model.listing import CertificateFilter, Order, Position
from certcore.model.names import DnsName
from certcore.model.permissions import Permission
from certcore.model.search import Search
from certcore.model.views import Page
from certcore.services.access import Access
from certcore.services.identifiers import check_id
from certcore.services.inputs import no_profile, owner_of, true_or_false

__all__ = ["Lists", "check_limit"]

_MAX_PAGE: Final = 1000
_MOST_DAYS: Final = 36_500
#: The longest text that is searched or filtered for, in characters.
_LONGEST_FILTER: Final = 300
_NAME_PART: Final = re.compile(r"[a-z0-9*.-]{1,253}")


@frozen(kw_only=True, eq=False, slots=False)
class Lists:
    """Reads of many certificates."""

    contexts: Contexts
    access: Access

    def list(  # noqa: PLR0913 - one keyword per filter
        self,
        *,
        after: str | None = None,
        limit: int = 50,
        status: Status | str | None = None,
        authority: str | None = None,
        owner: str | None = None,
        days_from: int | None = None,
        days_to: int | None = None,
        key_type: KeyType | str | None = None,
        renews_itself: bool | None = None,
        name: str | None = None,
        below: str | None = None,
        serial: str | None = None,
        fingerprint: str | None = None,
        order: Order | str = Order.DOMAIN,
        descending: bool = False,
        actor: str = "system",
    ) -> Page:
        """A page of certificates: those that fit all that is given.

        Args:
            after: The ``next_cursor`` of the page before, with the same order. What was changed or deleted between two
                pages does no harm.
            limit: How many, from 1 to 1000.
            status: Only those of this status.
            authority: Only those of this CA profile (its id).
            owner: Only those of this tenant; empty for those without one. None takes a permission of its own.
            days_from: Only those whose leaf has so many days left, or more; negative for expired ones.
            days_to: Only those whose leaf has so many days left, or fewer.
            key_type: Only those with this kind of key.
            renews_itself: Whether they renew by themselves. With False and ``status="expired"``: those that nobody
                looks after.
            name: Only those with this text anywhere in a name (a U-label too, as a whole name).
            below: Only those with a name that is this domain, or lies below it.
            serial: Only those of a leaf with this serial number, in hex; earlier leaves count.
            fingerprint: Only those of a leaf with this SHA-256 or SHA-1 fingerprint; earlier leaves count.
            order: By what they are sorted; those without a leaf come last by ``not_after``.
            descending: The largest first.
            actor: Who asks.

        Raises:
            InvalidInput: A filter, the limit or the cursor is none.
            AccessDenied: The policy said no; with an ``owner`` it may say yes.
        """
        self._require(actor, owner)
        check_limit(limit)
        sorted_by = _order(order)
        true_or_false("descending", descending)
        only = CertificateFilter(
            status=_status(status),
            authority_id=self._authority(authority, owner, actor),
            owner=owner,
            key_type=None if key_type is None else KeyType.parse(key_type),
            renews_itself=None if renews_itself is None else true_or_false("renews_itself", renews_itself),
            ends_from=self._end("days_from", days_from),
            ends_before=self._end("days_to", days_to, more=1),
            name_contains=_part(name),
            below=_below(below),
            serial=_serial(serial),
            fingerprint=_fingerprint(fingerprint),
        )
        position = None if after is None else Position.parse(after, sorted_by, descending=descending)
        with self.contexts.storage.read() as transaction:
            found = transaction.certificates.page(
                only=only, order=sorted_by, descending=descending, after=position, limit=limit + 1
            )
        items = tuple(found[:limit])
        cursor = None
        if len(found) > limit:
            cursor = Position.of(items[-1], sorted_by).cursor(sorted_by, descending=descending)
        return Page(items=items, next_cursor=cursor)

    def overlaps(self, certificate_id: str, *, limit: int = 20, actor: str = "system") -> Sequence[Certificate]:
        """Other certificates of the same owner that cover a host name of this one: duplicates, and overlapping ones.

        Args:
            certificate_id: Which certificate.
            limit: How many, from 1 to 1000.
            actor: Who asks.

        Raises:
            InvalidInput: The limit is none.
            NotFound: There is no such certificate.
            AccessDenied: The policy said no.
        """
        certificate = self.access.certificate(actor, Permission.CERTIFICATE_VIEW, certificate_id)
        check_limit(limit)
        with self.contexts.storage.read() as transaction:
            found = transaction.certificates.sharing(certificate, limit=limit)
        return self.access.seen(actor, found)

    def search(
        self, text: str, *, owner: str | None = None, limit: int = 50, actor: str = "system"
    ) -> Sequence[Certificate]:
        """What a person looks for: by the beginning of any name, by a domain above it, by serial or fingerprint.

        Args:
            text: For example ``shop.exam``, ``example.com`` (finds ``www.example.com``, too), ``03:AB:…`` or a
                SHA-256 or SHA-1 fingerprint; colons, blanks and case do not matter. Serial numbers and fingerprints
                of earlier leaves count as well.
            owner: Only those of this tenant; as in `list`.
            limit: How many, from 1 to 1000. When more fit, it is not said which of them are found.
            actor: Who asks.

        Returns:
            By domain; empty when nothing fits.

        Raises:
            InvalidInput: The limit is none, or the text is longer than 300 characters.
            AccessDenied: The policy said no; with an ``owner`` it may say yes.
        """
        self._require(actor, owner)
        check_limit(limit)
        wanted = Search.parse(text_within("text", text, _LONGEST_FILTER))
        with self.contexts.storage.read() as transaction:
            return transaction.certificates.search(wanted, owner=owner, limit=limit)

    def count_by_status(
        self,
        *,
        authority: str | None = None,
        owner: str | None = None,
        at_most: int | None = None,
        actor: str = "system",
    ) -> Mapping[Status, int]:
        """How many certificates there are in each status, also in those without any: for a dashboard.

        Args:
            authority: Only those of this CA profile (its id).
            owner: Only those of this tenant; as in `list`.
            at_most: Count no status further than this, for a dashboard that shows "10,000 or more": a million
                certificates are counted in a moment then, instead of in some tenths of a second.
            actor: Who asks.

        Raises:
            InvalidInput: ``at_most`` is below 1.
            AccessDenied: The policy said no; with an ``owner`` it may say yes.
        """
        self._require(actor, owner)
        if at_most is not None:
            whole_number("at_most", at_most, 1, MOST_ROWS)
        of = self._authority(authority, owner, actor)
        with self.contexts.storage.read() as transaction:
            found = transaction.certificates.count_by_status(authority_id=of, owner=owner, at_most=at_most)
        return {status: found.get(status, 0) for status in Status}

    def _require(self, actor: str, owner: str | None) -> None:
        """Everybody's certificates are another question than those without an owner."""
        if owner is None:
            self.access.require(actor, Permission.CERTIFICATE_LIST_ALL)
        else:
            self.access.require(actor, Permission.CERTIFICATE_LIST, owner=owner_of(owner))

    def _authority(self, authority: str | None, owner: str | None, actor: str) -> str | None:
        """The id; one that is none is refused, but to a tenant, who need not know which there are."""
        if authority is None:
            return None
        check_id("authority", authority)
        if owner is None:
            try:
                self.access.authority(actor, Permission.AUTHORITY_VIEW, authority)
            except NotFound:
                raise no_profile("authority", authority) from None
        return authority

    def _end(self, field: str, days: int | None, *, more: int = 0) -> datetime | None:
        if days is None:
            return None
        if isinstance(days, bool) or not isinstance(days, int) or abs(days) > _MOST_DAYS:
            raise InvalidInput(field, f"must be a whole number of days, at most {_MOST_DAYS}.")
        return self.contexts.environment.now() + timedelta(days=days + more)


def check_limit(limit: int) -> None:
    """Refuse a number of rows that is none.

    Raises:
        InvalidInput: It is not a whole number from 1 to 1000.
    """
    whole_number("limit", limit, 1, _MAX_PAGE)


def _status(status: Status | str | None) -> Status | None:
    if status is None:
        return None
    try:
        return Status(status)
    except ValueError:
        raise InvalidInput("status", f"{str(status)[:40]!r} is not one of: {', '.join(Status)}.") from None


def _order(order: Order | str) -> Order:
    try:
        return Order(order)
    except ValueError:
        raise InvalidInput("order", f"{str(order)[:40]!r} is not one of: {', '.join(Order)}.") from None


def _part(name: str | None) -> str:
    """A part of a name, in the form in which names are stored."""
    if not name:
        return ""
    part = text_within("name", name, _LONGEST_FILTER).strip().lower()
    if part.isascii():
        if not _NAME_PART.fullmatch(part):
            raise InvalidInput("name", f"{name[:60]!r} cannot stand in a name.")
        return part
    try:
        return DnsName.parse(part).ascii
    except InvalidName:
        raise InvalidInput("name", f"{name[:60]!r} is no whole name, and no part of one in ASCII.") from None


def _below(domain: str | None) -> str:
    if not domain:
        return ""
    typed = text_within("below", domain, _LONGEST_FILTER)
    return DnsName.parse(typed.removeprefix("*.").removeprefix("."), field="below").ascii


def _serial(serial: str | None) -> str:
    if not serial:
        return ""
    found = Search.hexadecimal(text_within("serial", serial, _LONGEST_FILTER))
    if not found:
        raise InvalidInput("serial", f"{serial[:60]!r} is not a serial number in hex.")
    return found.lstrip("0") or "0"


def _fingerprint(fingerprint: str | None) -> str:
    if not fingerprint:
        return ""
    found = Search.parse(text_within("fingerprint", fingerprint, _LONGEST_FILTER)).fingerprint
    if not found:
        raise InvalidInput("fingerprint", f"{fingerprint[:80]!r} is not a SHA-256 or SHA-1 fingerprint in hex.")
    return found
