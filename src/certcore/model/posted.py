"""Read posted values from the request classes of any web framework, within limits."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.field_errors import FieldErrors
from certcore.model.input_limits import LONGEST_VALUE, is_storable

__all__ = ["posted_texts"]

#: The largest number of names, and of values of one name, that are read.
_MOST_NAMES: Final = 500
_MOST_VALUES: Final = 1000
#: The longest name, in characters.
_LONGEST_NAME: Final = 200
#: The largest number that is read.
_LARGEST: Final = 10**40


def posted_texts(posted: Any, errors: FieldErrors) -> dict[str, list[Any]]:
    """The posted values by name. Each name has at least one value, and line ends in texts are normalised.

    Args:
        posted: A mapping. If it has a method ``getlist``, as in Django and Flask, that gives all values of a name.
        errors: Collects the values that are too long, or not a text, truth value or number.

    Raises:
        InvalidInputError: ``posted`` is not a mapping, or has too many names.
    """
    if not isinstance(posted, Mapping) and not (hasattr(posted, "getlist") and hasattr(posted, "keys")):
        raise InvalidInputError("posted", Message("form.posted", "must be a mapping of names to texts."))
    names = list(islice(dict.fromkeys(posted.keys()), _MOST_NAMES + 1))
    if len(names) > _MOST_NAMES:
        raise InvalidInputError(
            "posted", Message("form.posted.names", "has more than {most} names.", {"most": _MOST_NAMES})
        )
    texts: dict[str, list[Any]] = {}
    for name in names:
        if not isinstance(name, str) or len(name) > _LONGEST_NAME:
            text = "a name is text of at most {most} characters."
            errors.add(InvalidInputError("posted", Message("form.posted.name", text, {"most": _LONGEST_NAME})))
            continue
        value = posted.getlist(name) if hasattr(posted, "getlist") else posted[name]
        values = list(islice(value, _MOST_VALUES + 1)) if isinstance(value, list | tuple) else [value]
        with errors.collecting():
            texts[name] = _checked(name, values)
    return {name: values for name, values in texts.items() if values}


def _checked(name: str, values: list[Any]) -> list[Any]:
    if len(values) > _MOST_VALUES:
        raise InvalidInputError(
            name[:60], Message("form.values", "has more than {most} values.", {"most": _MOST_VALUES})
        )
    if sum(len(value) for value in values if isinstance(value, str)) > LONGEST_VALUE:
        text = "is longer than {most} characters."
        raise InvalidInputError(name[:60], Message("form.too_long", text, {"most": LONGEST_VALUE}))
    return [_plain(name, value) for value in values]


def _plain(name: str, value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool | int):
        if abs(value) > _LARGEST:
            raise InvalidInputError(name[:60], Message("form.out_of_range", "is out of range."))
        return value
    if not isinstance(value, str):
        raise InvalidInputError(name[:60], Message("form.text", "must be text."))
    if not is_storable(value):
        reason = Message("form.no_text", "contains surrogates or NUL characters.")
        raise InvalidInputError(name[:60], reason)
    return value.replace("\r\n", "\n").replace("\r", "\n")
