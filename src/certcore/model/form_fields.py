"""The fields of forms, as a panel needs them to draw one."""

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
    """How a field is shown and typed."""

    TEXT = "text"
    #: Several lines in one text (a PEM, say).
    MULTILINE = "multiline"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    #: A list of texts, one per line.
    LINES = "lines"
    #: Text that is sealed at rest and never shown again.
    SECRET = "secret"  # noqa: S105 - a kind of field, not a password


@frozen
class Choice:
    """One choice of a `FieldKind.CHOICE` field."""

    value: str
    label: Message = attrs.field(converter=as_message)


@frozen(kw_only=True)
class FormField:
    """One field of a form, as a panel needs it to draw it.

    Label, help and the labels of choices are messages: `str` gives the English text. Plain text becomes one.
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
    #: How long a text, or one of the texts of a list, may be, in characters; None for other kinds.
    longest: int | None = None
    #: How many texts a list may have; None for other kinds.
    most: int | None = None
    #: What a number counts, for example ``seconds``.
    unit: Message | None = attrs.field(default=None, converter=optional_message)
    placeholder: str = ""
    #: Whether line breaks are part of a secret (a PEM, say).
    multiline: bool = False
    #: For a consent: the fields that say what the user agrees to. It has to be given again when one of them changes.
    consent_to: tuple[str, ...] = ()
    #: Whether most people leave it as it is, so that a page may hide it at first.
    advanced: bool = False
    #: Whether it is about the person who fills it in, so that a transfer to another owner empties it.
    personal: bool = False

    def to_json(self) -> dict[str, Any]:
        """The field as plain data; members without a value are left out."""
        names = [attribute.name for attribute in attrs.fields(FormField) if attribute.name != "personal"]
        values = {name: getattr(self, name) for name in names}
        plain: dict[str, Any] = json_form(values)
        flags = ("multiline", "advanced")
        return {
            name: value
            for name, value in plain.items()
            if name == "required" or (value not in (None, "", []) and (value is not False or name not in flags))
        }
