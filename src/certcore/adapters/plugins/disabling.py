"""The plugins that the program or the environment of the process has disabled."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from certcore.errors import InvalidInputError
from certcore.messages import Message

__all__ = ["disabled_names"]

#: The environment variable with names that are separated by commas.
_VARIABLE: Final = "CERTCORE_DISABLED_PLUGINS"


def disabled_names(by_program: Iterable[str]) -> frozenset[str]:
    """The names of the disabled plugins.

    Args:
        by_program: The names that the program disables. Those in the environment variable
            ``CERTCORE_DISABLED_PLUGINS``, separated by commas, are added.

    Raises:
        InvalidInputError: `by_program` is a single text, or contains something else than texts.
    """
    names = () if isinstance(by_program, str | bytes) else tuple(by_program)
    if isinstance(by_program, str | bytes) or not all(isinstance(name, str) for name in names):
        text = "must be a list of the names of plugins."
        raise InvalidInputError("disabled_plugins", Message("plugin.disabled_names", text))
    environment = os.environ.get(_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in (*names, *environment) if name.strip())
