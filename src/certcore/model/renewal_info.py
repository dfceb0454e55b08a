"""When the CA asks for a certificate to be renewed (RFC 9773): what it said, and what follows from it."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from certcore.model.leaf import Leaf

__all__ = ["RenewalInfo", "SuggestedWindow", "after_answer", "after_failure", "first_info"]

#: How long the first question waits after the issuance, at most.
_FIRST: Final = timedelta(hours=1)
#: RFC 9773 section 4.3.2: what a CA asks for is kept between a minute and a day.
_SHORTEST: Final = timedelta(minutes=1)
_LONGEST: Final = timedelta(days=1)
#: Without a Retry-After.
_USUAL: Final = timedelta(hours=6)
#: How long to wait after the first failures in a row; after more of them RFC 9773 section 4.3.3 asks for six hours.
_AFTER_FAILURE: Final = MappingProxyType({1: timedelta(minutes=1), 2: timedelta(minutes=5), 3: timedelta(minutes=30)})
#: After so many failures in a row, what the CA said last does not count any more.
_GIVEN_UP: Final = len(_AFTER_FAILURE) + 1


@frozen(kw_only=True)
class SuggestedWindow:
    """A CA's answer: renew at a random moment between ``start`` and ``end`` (RFC 9773 section 4.2)."""

    start: datetime
    end: datetime
    #: A page that says why, empty without.
    explanation_url: str = ""
    #: Seconds until the CA wants to be asked again, None when it did not say.
    retry_after: float | None = None


@frozen(kw_only=True)
class RenewalInfo:
    """What is known of the CA's wish, kept with the issuance whose leaf it is about."""

    #: When to ask (again).
    check_at: datetime
    #: The CA's window; None before the first answer, and where the CA has no opinion.
    start: datetime | None = None
    end: datetime | None = None
    #: The moment in the window at which to renew: chosen once, and kept while the window stays the same.
    renew_at: datetime | None = None
    #: The CA's page about its wish, empty without.
    explanation_url: str = ""
    #: When the CA answered last.
    checked_at: datetime | None = None
    #: How often in a row it could not be asked.
    failures: int = 0

    @property
    def counts(self) -> bool:
        """Whether there is a window to follow: after failures that last, the certificate's own policy counts again."""
        return self.renew_at is not None and self.failures < _GIVEN_UP


def first_info(leaf: Leaf, now: datetime) -> RenewalInfo:
    """For a leaf that was just issued: the CA is asked an hour later at the latest."""
    return RenewalInfo(check_at=now + min(_FIRST, leaf.lifetime / 100))


def after_answer(
    info: RenewalInfo | None, window: SuggestedWindow | None, *, leaf: Leaf, now: datetime, roll: float
) -> RenewalInfo:
    """What is known after the CA has answered.

    Args:
        info: What was known before.
        window: The answer; None when the CA offers no renewal information, which is asked again much later.
        leaf: The leaf in question.
        now: The present moment.
        roll: A random number from 0 to 1, which chooses the moment (RFC 9773 section 4.2: uniformly).
    """
    if window is None:
        return RenewalInfo(check_at=now + leaf.lifetime / 10, checked_at=now)
    pause = _USUAL if window.retry_after is None else timedelta(seconds=_bounded(window.retry_after))
    same = info is not None and (info.start, info.end) == (window.start, window.end)
    kept = info.renew_at if info is not None and same else None
    chosen = kept or window.start + (window.end - window.start) * roll
    if window.end <= leaf.not_before:
        # From before the leaf was there: a CA that says so of every leaf would get an order for a new one each hour.
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
    """Seconds that a CA, or its module, gave: from 0 to a day; what is no number is 0."""
    return min(seconds, _LONGEST.total_seconds()) if seconds > 0 else 0.0


def after_failure(info: RenewalInfo | None, *, now: datetime, retry_after: float | None = None) -> RenewalInfo:
    """What is known after the CA could not be asked (RFC 9773 section 4.3.3).

    Args:
        info: What was known before; it stays.
        now: The present moment.
        retry_after: Seconds until the CA wants to be asked again, if it said so; kept below a day.
    """
    known = info or RenewalInfo(check_at=now)
    failures = known.failures + 1
    pause = _AFTER_FAILURE.get(failures, _USUAL)
    if retry_after is not None:
        pause = max(pause, timedelta(seconds=_bounded(retry_after)))
    return evolve(known, check_at=now + pause, failures=failures)
