"""The check value: a TXT value that every server of the tech zone has to show, to detect servers with old data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from certcore_puq_acme.techzone.records import TechZoneRecords

__all__ = ["CheckValue", "check_value", "known_check_value", "trial_value", "trials_name", "withdraw"]

_LABEL: Final = "_certcore-check"
_TRIALS_LABEL: Final = "_certcore-trial"
#: The holders of check values in the store, where other values are held by issuances: the value of the day, and those
#: of single tests.
_HOLDER: Final = "check"
_TRIAL: Final = "trial"
#: A value is replaced after this time, so that a server with an old copy of the zone is detected.
_LIFE: Final = timedelta(days=1)
#: How long secondary servers may take to show a new value.
_YOUNG: Final = timedelta(minutes=2)
#: A test that began earlier than this has ended.
_LONGEST_TRIAL: Final = timedelta(minutes=10)


@frozen(kw_only=True)
class CheckValue:
    """A check value, and its name in the DNS."""

    name: str
    value: str
    #: Whether the value was published only just now, so that servers may not show it yet.
    is_young: bool
    holder: str = _HOLDER


def check_value(records: TechZoneRecords, zone: str, now: datetime, new_id: Callable[[], str]) -> CheckValue:
    """The present value; a new one once a day.

    Args:
        records: The tech zone's values.
        zone: The tech zone.
        now: The current time.
        new_id: Returns a new unique text.
    """
    known = known_check_value(records, zone, now)
    if known is not None:
        return known
    name = f"{_LABEL}.{zone}"
    outdated = [record for record in records.at(name) if record.issuance_id == _HOLDER]
    value = f"check-{new_id()}"
    records.add(name, value, _HOLDER, now)
    for record in outdated:
        records.remove(name, record.value, _HOLDER)
    _end_trials(records, zone, now)
    return CheckValue(name=name, value=value, is_young=True)


def known_check_value(records: TechZoneRecords, zone: str, now: datetime) -> CheckValue | None:
    """The value of today; None if there is none yet. The arguments are those of `check_value`."""
    name = f"{_LABEL}.{zone}"
    known = sorted(
        (record for record in records.at(name) if record.issuance_id == _HOLDER), key=lambda record: record.added_at
    )
    # A value from the future was made under a wrong clock.
    if not known or not timedelta(0) <= now - known[-1].added_at < _LIFE:
        return None
    newest = known[-1]
    return CheckValue(name=name, value=newest.value, is_young=now - newest.added_at < _YOUNG)


def trial_value(records: TechZoneRecords, zone: str, now: datetime, new_id: Callable[[], str]) -> CheckValue:
    """A new value for one test, to be removed with `withdraw`. The arguments are those of `check_value`.

    The value has a name of its own, so that no resolver has cached the answer to an earlier test.
    """
    _end_trials(records, zone, now)
    number = new_id()
    name, value = f"{number.lower()}.{trials_name(zone)}", f"trial-{number}"
    records.add(name, value, _TRIAL, now)
    return CheckValue(name=name, value=value, is_young=True, holder=_TRIAL)


def trials_name(zone: str) -> str:
    """The name below which all trial values of a tech zone are published."""
    return f"{_TRIALS_LABEL}.{zone}"


def withdraw(records: TechZoneRecords, check: CheckValue) -> None:
    """Remove a value that was published for one test only."""
    records.remove(check.name, check.value, check.holder)


def _end_trials(records: TechZoneRecords, zone: str, now: datetime) -> None:
    """Remove the values of tests whose process was killed."""
    for record in records.below(trials_name(zone)):
        if not timedelta(0) <= now - record.added_at < _LONGEST_TRIAL:
            records.remove(record.fqdn, record.value, record.issuance_id)
