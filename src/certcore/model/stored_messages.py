"""The stored form of messages: the template and its parameters, so that a message can be translated later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from certcore.messages import Message

__all__ = ["message_document", "plain_message", "read_message"]

#: The types of parameters that are stored unchanged. Others are stored as text.
_PLAIN: Final = (str, int, float, bool)
_LONGEST_KEY: Final = 200
#: The deepest nesting of messages in parameters that is read.
_MOST_LEVELS: Final = 5


def plain_message(message: Message) -> Message:
    """A message with storable parameters, so that `read_message` restores exactly the same message.

    Raises:
        LookupError, ValueError, AttributeError, TypeError: The parameters do not fit the text.
    """
    params = {name: _plain(value) for name, value in message.params.items()}
    plain = Message(message.key, message.text, params, singular=message.singular)  # text: the message itself
    str(plain)
    return plain


def _plain(value: object) -> object:
    match value:
        case Message():
            return plain_message(value)
        case tuple() | list():
            return tuple(plain_message(item) if isinstance(item, Message) else str(item) for item in value)
        case _:
            return value if type(value) in _PLAIN else str(value)


def message_document(message: Message) -> dict[str, Any]:
    """The stored form: `Message.to_json` with ``template`` and ``singular``, the texts without their parameters."""
    document = {
        "key": message.key,
        "text": str(message),
        "template": message.text,
        "params": {name: _param_document(value) for name, value in plain_message(message).params.items()},
    }
    return {**document, "singular": message.singular} if message.singular else document


def _param_document(value: object) -> object:
    match value:
        case Message():
            return message_document(value)
        case tuple():
            return [message_document(item) if isinstance(item, Message) else item for item in value]
        case _:
            return value


def read_message(document: object, *, depth: int = 0) -> Message | None:
    """Read the stored form of `message_document`; None for anything else."""
    match document:
        case {"key": str(key), "template": str(template), "params": Mapping() as stored, **others}:
            singular = others.get("singular")
        case _:
            return None
    params = {str(name): _param(value, depth) for name, value in stored.items()}
    if len(key) > _LONGEST_KEY or any(value is None for value in params.values()):
        return None
    english_singular = singular if isinstance(singular, str) else ""
    message = Message(key, template, params, singular=english_singular)  # text: the document's
    try:
        str(message)
    except (LookupError, ValueError, AttributeError, TypeError):  # not written by `message_document`
        return None
    return message


def _param(value: object, depth: int) -> object:
    """A parameter; None if it cannot be read."""
    match value:
        case Mapping():
            return read_message(value, depth=depth + 1) if depth < _MOST_LEVELS else None
        case list() | tuple():
            items = tuple(_param(item, depth) for item in value)
            return None if any(not isinstance(item, str | Message) for item in items) else items
        case _:
            return value if type(value) in _PLAIN else None
