"""Renewal information (RFC 9773): the CA's suggested window, and the moment that certcore chooses in it."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from certcore.model.leaf import Leaf

__all__ = ["RenewalInfo", "SuggestedWindow", "after_answer", "after_failure", "first_info"]

#: The longest wait before the CA is asked for the first time after an issuance.
_FIRST: Final = timedelta(hours=1)
#: A CA's Retry-After is limited to a minute at least and a day at most (RFC 9773 section 4.3.2).
_SHORTEST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=1)
#: The wait if the CA sends no Retry-After.
_USUAL: Final = timedelta(hours=6)
#: The waits after the first failures in a row. After more failures, it is six hours (RFC 9773 section 4.3.3).
_AFTER_FAILURE: Final = MappingProxyType({1: timedelta(minutes=1), 2: timedelta(minutes=5), 3: timedelta(minutes=30)})
#: The number of failures in a row after which the CA's last suggestion is ignored.
_GIVEN_UP: Final = len(_AFTER_FAILURE) + 1


@frozen(kw_only=True)
class SuggestedWindow:
    """A CA's answer: renew at a random moment between ``start`` and ``end`` (RFC 9773 section 4.2)."""

    #: The beginning of the window, with its time zone.
    start: datetime
    #: The end of the window, with its time zone.
    end: datetime
    #: The URL of a page that explains the suggestion; may be empty.
    explanation_url: str = ""
    #: How many seconds to wait before the next question; None if the CA did not say.
    retry_after: float | None = None


@frozen(kw_only=True)
class RenewalInfo:
    """The last answer of the CA, stored with the issuance of the leaf. All moments are UTC."""

    #: When to ask the CA next.
    check_at: datetime
    #: The suggested window; None before the first answer, or if the CA suggests none.
    start: datetime | None = None
    end: datetime | None = None
    #: The moment in the window at which to renew. It is chosen once, and kept while the window is unchanged.
    renew_at: datetime | None = None
    #: The URL of a page that explains the suggestion; may be empty.
    explanation_url: str = ""
    #: When the CA answered last; None before the first answer.
    checked_at: datetime | None = None
    #: How many times in a row the CA could not be reached.
    failures: int = 0

    @property
    def counts(self) -> bool:
        """Whether the suggested window applies. After repeated failures, only the certificate's own policy applies."""
        return self.renew_at is not None and self.failures < _GIVEN_UP


def first_info(leaf: Leaf, now: datetime) -> RenewalInfo:
    """The initial value for a leaf that was just issued. The CA is asked within an hour."""
    return RenewalInfo(check_at=now + min(_FIRST, leaf.lifetime / 100))


def after_answer(
    info: RenewalInfo | None, window: SuggestedWindow | None, *, leaf: Leaf, now: datetime, roll: float
) -> RenewalInfo:
    """The value after an answer of the CA.

    Args:
        info: The previous value; None if there was none.
        window: The answer; None if the CA offers no renewal information. Then it is asked again much later.
        leaf: The leaf in service.
        now: The present moment.
        roll: A random number from 0 to 1, which selects the moment in the window uniformly (RFC 9773 section 4.2).
    """
    if window is None:
        return RenewalInfo(check_at=now + leaf.lifetime / 10, checked_at=now)
    pause = _USUAL if window.retry_after is None else timedelta(seconds=_bounded(window.retry_after))
    same = info is not None and (info.start, info.end) == (window.start, window.end)
    kept = info.renew_at if info is not None and same else None
    chosen = kept or window.start + (window.end - window.start) * roll
    if window.end <= leaf.not_before:
        # The window lies before the leaf's beginning. If the CA does so for every leaf, following it would place an
        # order each hour.
        chosen = max(chosen, leaf.not_before + min(_LONGEST, leaf.lifetime / 10))
    return RenewalInfo(
        check_at=now + min(max(pause, _SHORTEST), _LONGEST),
        start=window.start,
        end=window.end,
        renew_at=chosen,
        explanation_url=window.explanation_url,
        checked_at=now,
    )


def _bounded(seconds: float) -> float:
    """A number of seconds from a CA or its module, limited to the range from 0 to a day; 0 for NaN."""
    return min(seconds, _LONGEST.total_seconds()) if seconds > 0 else 0.0


def after_failure(info: RenewalInfo | None, *, now: datetime, retry_after: float | None = None) -> RenewalInfo:
    """The value after the CA could not be reached (RFC 9773 section 4.3.3). The last suggestion is kept.

    Args:
        info: The previous value; None if there was none.
        now: The present moment.
        retry_after: How many seconds the CA asks to wait, at most a day; None if it did not say.
    """
    known = info or RenewalInfo(check_at=now)
    failures = known.failures + 1
    pause = _AFTER_FAILURE.get(failures, _USUAL)
    if retry_after is not None:
        pause = max(pause, timedelta(seconds=_bounded(retry_after)))
    return evolve(known, check_at=now + pause, failures=failures)
