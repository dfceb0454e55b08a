"""Convert input for the fields of a certificate to values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from attrs import asdict

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.field_errors import FieldErrors
from certcore.model.form import read_boolean, read_integer
from certcore.model.input_limits import LONGEST_ID, MOST_ENTRIES, counted, members, text_within
from certcore.model.renewal import MAX_DAYS, RenewalPolicy
from certcore.model.subject import Subject

__all__ = ["MOST_FALLBACKS", "parse_authority", "parse_fallbacks", "parse_renewal", "parse_subject"]

MOST_FALLBACKS: Final = 5


def parse_authority(value: object) -> str | None:
    """The ID or name of a CA profile; None for empty text.

    Raises:
        InvalidInputError: The value is invalid.
    """
    return text_within("authority", value, LONGEST_ID) or None


def parse_fallbacks(authorities: object) -> tuple[str, ...]:
    """The IDs or names of CA profiles, from a list or from a text with one per line.

    Raises:
        InvalidInputError: The value is invalid.
    """
    if isinstance(authorities, str):
        text = text_within("fallbacks", authorities, LONGEST_ID * MOST_FALLBACKS * 2)
        authorities = [line.strip() for line in text.splitlines() if line.strip()]
    if not isinstance(authorities, Iterable) or isinstance(authorities, bytes):
        reason = Message("form.not_authorities", "must be a list of CA profiles.")
        raise InvalidInputError("fallbacks", reason)
    items = counted("fallbacks", authorities, MOST_ENTRIES)
    if len(items) > MOST_FALLBACKS:
        reason = Message("form.too_many_fallbacks", "are more than {count}.", {"count": MOST_FALLBACKS})
        raise InvalidInputError("fallbacks", reason)
    if not all(isinstance(item, str) and item for item in items):
        reason = Message("form.not_names_of_authorities", "must be a list of CA profiles, each by its id or name.")
        raise InvalidInputError("fallbacks", reason)
    return tuple(text_within("fallbacks", item, LONGEST_ID) for item in items)


def parse_subject(subject: object) -> Mapping[str, str]:
    """The given members of a subject; all members of a `Subject`.

    Raises:
        InvalidInputError: A member is invalid; the error names it.
    """
    if isinstance(subject, Subject):
        return asdict(subject)
    known = Subject.field_names()
    errors = FieldErrors()
    parsed: dict[str, str] = {}
    for name, value in members("subject", subject).items():
        if name not in known:
            reason = Message("form.no_such_subject_field", "there is no such subject field.")
            errors.add(InvalidInputError(name[:60], reason, advice=_known(known)))
            continue
        with errors.collecting():
            parsed[name] = getattr(Subject(**{name: value}), name)
    errors.refuse()
    return parsed


def parse_renewal(renewal: object) -> Mapping[str, Any]:
    """The given members of a renewal policy; all members of a `RenewalPolicy`.

    Raises:
        InvalidInputError: A member is invalid; the error names it.
    """
    if isinstance(renewal, RenewalPolicy):
        return asdict(renewal)
    known = [attribute.name for attribute in attrs.fields(RenewalPolicy)]
    errors = FieldErrors()
    parsed: dict[str, Any] = {}
    for name, value in members("renewal", renewal).items():
        if name not in known:
            reason = Message("form.not_in_renewal_policy", "is not part of a renewal policy.")
            errors.add(InvalidInputError(name[:60], reason, advice=_known(known)))
            continue
        with errors.collecting():
            parsed[name] = _parse_days(value) if name == "days_before" else read_boolean(name, value)
    errors.refuse()
    return parsed


def _known(names: Iterable[str]) -> Message:
    return Message("form.known", "Known: {names}.", {"names": ", ".join(names)})


def _parse_days(days: object) -> int | None:
    """A number of days; None for empty text or None, so that the renewal depends on the leaf's lifetime."""
    if days is None or (isinstance(days, str) and not days.strip()):
        return None
    return RenewalPolicy(days_before=read_integer("days_before", days, 1, MAX_DAYS)).days_before
