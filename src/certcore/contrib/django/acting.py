"""A cache of each actor's role and tenant during a request, as the policy asks for them many times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from attrs import frozen

from certcore.model.permissions import Role

__all__ = ["SYSTEM", "Acting", "is_remembering", "remember", "remembered", "remembering"]

#: The actor of calls that name no actor: the panel itself makes them.
SYSTEM: Final = "system"


@frozen(kw_only=True)
class Acting:
    """The role and the tenant of an actor."""

    role: Role | None
    #: The tenant that the actor acts for; None if there is no tenant.
    owner: str | None = None


_KNOWN: Final[ContextVar[dict[str, Acting] | None]] = ContextVar("certcore_acting", default=None)


@contextmanager
def remembering() -> Iterator[None]:
    """Cache roles and tenants of actors within the block, which answers a request."""
    token = _KNOWN.set({})
    try:
        yield
    finally:
        _KNOWN.reset(token)


def is_remembering() -> bool:
    """Whether the caller is inside `remembering`."""
    return _KNOWN.get() is not None


def remember(actor: str, acting: Acting) -> None:
    """Cache the role and tenant of an actor until the end of the request; do nothing outside of `remembering`."""
    known = _KNOWN.get()
    if known is not None:
        known[actor] = acting


def remembered(actor: str) -> Acting | None:
    """Return the cached role and tenant of an actor; None if they are not cached."""
    return (_KNOWN.get() or {}).get(actor)
