"""The fields of forms, as a panel needs them to display a form."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import attrs
from attrs import frozen

from certcore.messages import Message, as_message, optional_message
from certcore.model.json_form import json_form

__all__ = ["Choice", "FieldGroup", "FieldKind", "FormField"]


class FieldGroup(StrEnum):
    """The blocks of the left column."""

    STATUS = "status"
    NAMES = "names"
    SUBJECT = "subject"
    KEY = "key"
    RENEWAL = "renewal"
    AUTHORITY = "authority"
    LEAF = "leaf"
    PEM = "pem"


class FieldKind(StrEnum):
    """The kind of an input field."""

    TEXT = "text"
    #: A text with several lines, for example PEM.
    MULTILINE = "multiline"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    #: A list of texts, one per line.
    LINES = "lines"
    #: A text that is stored sealed and never shown again.
    SECRET = "secret"  # noqa: S105 - a kind of field, not a password


@frozen
class Choice:
    """One choice of a `FieldKind.CHOICE` field."""

    value: str
    label: Message = attrs.field(converter=as_message)


@frozen(kw_only=True)
class FormField:
    """One field of a form, as a panel needs it to display the field.

    The label, the help and the labels of choices are messages; `str` gives their English text. Plain texts are
    converted to messages.
    """

    name: str
    label: Message = attrs.field(converter=as_message)
    kind: FieldKind
    #: One sentence under the field.
    help: Message | None = attrs.field(default=None, converter=optional_message)
    required: bool = False
    default: Any = None
    choices: tuple[Choice, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    #: The longest text, or the longest text of a list, in characters; None for other kinds.
    longest: int | None = None
    #: The largest number of texts in a list; None for other kinds.
    most: int | None = None
    #: What a number counts, for example ``seconds``.
    unit: Message | None = attrs.field(default=None, converter=optional_message)
    placeholder: str = ""
    #: Whether a secret may contain line breaks, for example PEM.
    multiline: bool = False
    #: If the field is a consent: the names of the fields that determine what the user consents to. The consent must be
    #: given again when one of them changes.
    consent_to: tuple[str, ...] = ()
    #: Whether a page may hide the field at first, because most users keep the default.
    advanced: bool = False
    #: Whether the value is about the person who fills it in. A transfer to another owner clears it.
    personal: bool = False

    def to_json(self) -> dict[str, Any]:
        """The field as plain JSON. Members without a value are left out."""
        names = [attribute.name for attribute in attrs.fields(FormField) if attribute.name != "personal"]
        values = {name: getattr(self, name) for name in names}
        plain: dict[str, Any] = json_form(values)
        flags = ("multiline", "advanced")
        return {
            name: value
            for name, value in plain.items()
            if name == "required" or (value not in (None, "", []) and (value is not False or name not in flags))
        }
