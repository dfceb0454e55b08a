"""Counts of certificates for a dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import accumulate

from attrs import frozen

from certcore.model.lifecycle import Status
from certcore.model.standing import ConditionType

__all__ = ["COUNTED_DAYS", "CertificateCounts"]

#: For how many days from now expiring leaves are counted.
COUNTED_DAYS = 90


@frozen(kw_only=True)
class CertificateCounts:
    """Counts of certificates for a dashboard."""

    #: When the certificates were counted, UTC.
    at: datetime
    #: How many certificates have each status, including zeros.
    by_status: Mapping[Status, int]
    #: For how many certificates each condition holds, including zeros. A leaf that is not valid yet counts as ready.
    by_condition: Mapping[ConditionType, int]
    #: How many leaves in service expire on each of the 90 days (of 24 hours) from `at`.
    ending_by_day: tuple[int, ...]

    @property
    def total(self) -> int:
        """The number of all certificates."""
        return sum(self.by_status.values())

    @property
    def overdue(self) -> int:
        """How many renewals are late: the condition `ConditionType.RENEWAL_IN_DANGER`."""
        return self.by_condition[ConditionType.RENEWAL_IN_DANGER]

    @property
    def ending_within(self) -> Mapping[int, int]:
        """How many leaves in service expire within 7, 30 and 90 days."""
        totals = [0, *accumulate(self.ending_by_day)]
        return {days: totals[days] for days in (7, 30, COUNTED_DAYS)}

    @property
    def ending_by_week(self) -> tuple[int, ...]:
        """How many leaves in service expire in each week from `at`. The last entry counts the remaining days."""
        days = self.ending_by_day
        return tuple(sum(days[start : start + 7]) for start in range(0, len(days), 7))

    def is_older_than(self, age: timedelta, now: datetime) -> bool:
        """Whether they were counted longer ago than ``age``, or under a clock that was ahead."""
        return not timedelta(0) <= now - self.at <= age
