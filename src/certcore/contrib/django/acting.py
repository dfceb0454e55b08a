"""Who acts in the present request: what the policy is asked about many times, and looks up once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from attrs import frozen

from certcore.model.permissions import Role

__all__ = ["SYSTEM", "Acting", "is_remembering", "remember", "remembered", "remembering"]

#: The actor of calls that name none: the panel itself.
SYSTEM: Final = "system"


@frozen(kw_only=True)
class Acting:
    """What is known of an actor."""

    role: Role | None
    #: The tenant that the actor acts for; None for none.
    owner: str | None = None


_KNOWN: Final[ContextVar[dict[str, Acting] | None]] = ContextVar("certcore_acting", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Keep what is known of actors within the block: a request. Nothing of it is left for the next one."""
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def is_remembering() -> bool:
    """Whether a request is being answered."""
    return _KNOWN.get() is not None


def remember(actor: str, acting: Acting) -> None:
    """Keep what is known of an actor until the end of the request; outside of a request nothing is kept."""
    known = _KNOWN.get()
    if known is not None:
        known[actor] = acting


def remembered(actor: str) -> Acting | None:
    """What is known of an actor; None where nothing is."""
    return (_KNOWN.get() or {}).get(actor)
