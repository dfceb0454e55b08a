"""When to renew, and how long to wait after a failure: pure functions of their arguments."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from certcore.errors import InvalidInput
from certcore.model.leaf import Leaf
from certcore.model.renewal_info import RenewalInfo

__all__ = ["RenewalPolicy", "Retry", "retry_delay"]

_SHORT_LIFETIME: Final = timedelta(days=10)
_MAX_DAYS: Final = 365
#: Over how long renewals that would begin together are spread, at most.
_SPREAD: Final = timedelta(days=1)


def _days(instance: object, attribute: object, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_DAYS):
        raise InvalidInput("days_before", f"must be a whole number of days from 1 to {_MAX_DAYS}.")


@frozen(kw_only=True)
class RenewalPolicy:
    """Whether and when a certificate renews by itself."""

    #: Renew without being asked.
    auto: bool = True
    #: Days before not_after; None leaves it to the lifetime: a third of it, half of it below ten days.
    days_before: int | None = field(default=None, validator=_days)
    #: Make a new key at each renewal.
    rotate_key: bool = True

    def renew_at(self, leaf: Leaf, certificate_id: str, info: RenewalInfo | None = None) -> datetime:
        """The moment from which the leaf is due for renewal.

        Where the CA says when (RFC 9773), that counts, unless a number of days asks for an earlier renewal.

        A number of days never reaches back further than half the lifetime, so that a threshold of 30 days does not
        renew a certificate of 6 days in a circle. Nothing comes later than 1/20 of the lifetime before the end, and of
        a lifetime below ten days nothing later than a third.

        Certificates that were issued together do not renew together: each begins later by a share of its own, made
        from its id, of a tenth of the time that is left, at most a day.

        Args:
            leaf: The leaf in service.
            certificate_id: Whose it is.
            info: What the CA said about it.
        """
        latest = leaf.not_after - leaf.lifetime / (3 if leaf.lifetime < _SHORT_LIFETIME else 20)
        wished = info.renew_at if info is not None and info.counts else None
        if wished is not None and self.days_before is None:
            return min(wished, latest)
        share = leaf.lifetime / (2 if leaf.lifetime < _SHORT_LIFETIME else 3)
        before = share if self.days_before is None else timedelta(days=self.days_before)
        before = min(before, leaf.lifetime / 2)
        before -= min(before / 10, _SPREAD) * _share(certificate_id)
        own = min(leaf.not_after - before, latest)
        return own if wished is None else min(own, wished)


def _share(text: str) -> float:
    """From 0 to 1, always the same for the same text, and even over many texts."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


class Retry(StrEnum):
    """What a failure means for the next attempt."""

    #: The network, or a server in trouble: try again soon.
    SOON = "soon"
    #: The CA refused for a reason that may pass: slow down to hours.
    SLOW = "slow"
    #: Trying again will not help until somebody changes something.
    NEVER = "never"


_FIRST: Final = {Retry.SOON: timedelta(seconds=10), Retry.SLOW: timedelta(minutes=15)}
_LONGEST: Final = {Retry.SOON: timedelta(hours=1), Retry.SLOW: timedelta(hours=24)}


def retry_delay(retry: Retry, attempt: int, roll: float) -> timedelta:
    """How long to wait before the next attempt: exponential, with jitter.

    Args:
        retry: The class of the failure, `Retry.SOON` or `Retry.SLOW`.
        attempt: How many attempts have failed in a row, from 1.
        roll: A random number from 0 to 1.

    Returns:
        Between half of the step and the whole step; the step doubles from 10 seconds to 1 hour (soon) or from 15
        minutes to 24 hours (slow). Half of it is always kept, so that a failing CA is never hammered.
    """
    step: timedelta = min(_FIRST[retry] * 2 ** min(attempt - 1, 20), _LONGEST[retry])
    return step / 2 + step / 2 * roll
