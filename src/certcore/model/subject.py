"""The subject of a CSR without the names (RFC 5280 section 4.1.2.6 and appendix A.1)."""

from __future__ import annotations

import re
from typing import Any, Final

from attrs import Attribute, field, fields_dict, frozen

from certcore.errors import InvalidInputError
from certcore.messages import Message
from certcore.model.input_limits import not_text

__all__ = ["Subject", "parse_email"]

_EMAIL: Final = re.compile(r"[^@\s<>\"(),:;\\]+@[^@\s<>\"(),:;\\]+\.[^@\s<>\"(),:;\\.]+")
_MAX_EMAIL: Final = 254
#: C0 control characters and surrogates.
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\ud800-\udfff]")


def parse_email(text: str, *, field: str = "email") -> str:
    """Check an e-mail address, and return it without surrounding spaces. An empty text is allowed.

    Raises:
        InvalidInputError: The text is not a single ASCII address, as CAs require (RFC 8555 section 7.3).
    """
    if not isinstance(text, str):
        raise not_text(field)
    address = text.strip()
    plain = len(address) <= _MAX_EMAIL and address.isascii() and address.isprintable()
    if address and not (plain and _EMAIL.fullmatch(address)):
        params = {"address": repr(address[:60])}
        raise InvalidInputError(field, Message("input.not_an_email", "{address} is not an e-mail address.", params))
    return address


def _bounded(instance: object, attribute: Attribute[str], value: str) -> None:
    limit: int = attribute.metadata["limit"]
    if not isinstance(value, str):
        raise not_text(attribute.name)
    if len(value) > limit:
        text = "is {count} characters long; at most {most} are allowed."
        reason = Message("input.longer_than_allowed", text, {"count": len(value), "most": limit})
        raise InvalidInputError(attribute.name, reason)
    if _NO_TEXT.search(value):
        reason = Message("input.control_characters", "contains control characters or surrogates.")
        raise InvalidInputError(attribute.name, reason)


def _country(instance: object, attribute: Attribute[str], value: str) -> None:
    if not isinstance(value, str):
        raise not_text(attribute.name)
    if value and not re.fullmatch("[A-Z]{2}", value):
        text = "{country} is not a two-letter country code such as DE."
        raise InvalidInputError(attribute.name, Message("input.not_a_country", text, {"country": repr(value[:20])}))


def _text(limit: int) -> Any:
    return field(default="", converter=_strip, validator=_bounded, metadata={"limit": limit})


def _strip(value: str) -> str:
    return value.strip() if isinstance(value, str) else value


def _upper(value: str) -> str:
    return value.strip().upper() if isinstance(value, str) else value


@frozen(kw_only=True)
class Subject:
    """The optional subject fields that a user may fill in, with the length limits of RFC 5280 appendix A.1.

    Raises:
        InvalidInputError: A value is too long or invalid; ``field`` names it.
    """

    organization: str = _text(64)
    organizational_unit: str = _text(64)
    #: Two letters (ISO 3166-1 alpha-2), converted to upper case.
    country: str = field(default="", converter=_upper, validator=_country)
    state: str = _text(128)
    locality: str = _text(128)
    #: The attribute emailAddress of the subject.
    email: str = field(default="", converter=parse_email)

    @classmethod
    def field_names(cls) -> tuple[str, ...]:
        """The names of the subject's fields, in the order of the form."""
        return tuple(fields_dict(cls))
