"""Translatable texts: a stable key, an English text, and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from string import Formatter
from typing import Any

from attrs import field, frozen

__all__ = ["Message", "as_message", "listed", "optional_message", "parameters", "sentences", "shown_moment"]


@frozen
class Message:
    """A translatable text. ``str()`` gives the English text.

    ::

        Message("desk.waits", "It waits for {desk}.", {"desk": "the front desk"})
        Message("desk.names", "{count} names are missing.", {"count": 1}, singular="{count} name is missing.")

    `certcore.translations.Translator` gives the text in another language.
    """

    #: A stable key, for example ``puq_acme.pending.set_cname``. One key always has the same text. Empty for a text that
    #: is not translated, for example the text of a CA.
    key: str
    #: The English text with ``{name}`` for each parameter.
    text: str
    #: The values of the parameters. A value may be a message, or a tuple of messages that are joined by spaces.
    params: Mapping[str, Any] = field(factory=dict)
    #: The English text if the parameter ``count`` is 1; empty for a text without a plural.
    singular: str = field(default="", kw_only=True)

    @property
    def english(self) -> str:
        """The English text before its parameters are filled in: `singular` if ``count`` is 1, otherwise `text`."""
        return self.singular if self.singular and self.params.get("count") == 1 else self.text

    def __str__(self) -> str:
        return self.filled(self.english, str)

    def filled(self, text: str, shown: Callable[[Message], str]) -> str:
        """Fill the parameters into a text.

        Args:
            text: The text, in any language, with ``{name}`` for each parameter.
            shown: Returns the text of a message that is the value of a parameter.

        Raises:
            LookupError, ValueError, AttributeError, TypeError: The parameters do not fit the text.
        """
        if not self.params:
            return text
        return text.format_map({name: _shown(value, shown) for name, value in self.params.items()})

    def to_json(self) -> dict[str, Any]:
        """The JSON form: ``key``, ``text`` (English, filled in) and ``params`` (texts, messages or lists of these)."""
        return {
            "key": self.key,
            "text": str(self),
            "params": {name: _json_param(value) for name, value in self.params.items()},
        }


def _shown(value: object, shown: Callable[[Message], str]) -> object:
    match value:
        case Message():
            return shown(value)
        case tuple():
            return " ".join(shown(item) if isinstance(item, Message) else str(item) for item in value)
        case _:
            return value


def _json_param(value: object) -> object:
    match value:
        case Message():
            return value.to_json()
        case tuple():
            return [item.to_json() if isinstance(item, Message) else str(item) for item in value]
        case _:
            return str(value)


def parameters(text: str) -> frozenset[str]:
    """The names of the parameters in a text.

    Raises:
        ValueError: The text is not a valid format string.
    """
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def as_message(text: str | Message) -> Message:
    """The message itself, or an untranslated message with a text."""
    return text if isinstance(text, Message) else Message("", text)  # text: not translated


def optional_message(text: str | Message | None) -> Message | None:
    """As `as_message`; None for an empty text or None."""
    return as_message(text) if text else None


def sentences(*texts: str | Message) -> Message:
    """Join whole sentences into one message. Empty texts are left out."""
    parts = tuple(as_message(text) for text in texts if str(text))
    return parts[0] if len(parts) == 1 else Message("sentences", "{sentences}", {"sentences": parts})


def listed(*texts: Message) -> Message:
    """Join texts with commas into one message. There must be at least one text."""
    *before, others = texts
    for first in reversed(before):
        others = Message("list", "{first}, {others}", {"first": first, "others": others})
    return others


def shown_moment(moment: datetime | None, *, seconds: bool = False) -> str:
    """A moment as text in UTC, the same in all languages; empty for None.

    Args:
        moment: The moment, with its time zone.
        seconds: Whether to show the seconds.
    """
    if moment is None:
        return ""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(' ', 'seconds' if seconds else 'minutes')} UTC"
