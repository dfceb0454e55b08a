"""Services bound to one actor: the same calls without the arguments ``actor`` and ``owner``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, get_args, get_type_hints

__all__ = ["ActingCall", "ActingService", "acting_call"]

P = ParamSpec("P")
T = TypeVar("T")


class ActingCall(Generic[P, T]):
    """A descriptor that makes a call of `certcore.CertCore` available in a class for one actor."""

    def __init__(self, function: Callable[Concatenate[Any, P], T]) -> None:
        self._name = function.__name__
        self.__doc__ = function.__doc__

    def __get__(self, instance: Any, _: type) -> Callable[P, T]:
        core, actor, owner = instance._core, instance._actor, instance._owner  # noqa: SLF001 - a part of that class
        call: Callable[P, T] = acting_call(getattr(core, self._name), actor, owner)
        return call


class ActingService:
    """A service bound to one actor. Type checkers see the service itself."""

    __slots__ = ("_actor", "_owner", "_service")

    def __init__(self, service: object, actor: str, owner: str | None) -> None:
        self._service = service
        self._actor = actor
        self._owner = owner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return acting_call(getattr(self._service, name), self._actor, self._owner)

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._service) if not name.startswith("_")]

    def __repr__(self) -> str:
        return f"{type(self._service).__name__} of actor={self._actor!r}, owner={self._owner!r}"


def acting_call(call: Callable[..., Any], actor: str, owner: str | None) -> Callable[..., Any]:
    """Bind a call to its actor, and to its tenant if there is one.

    Args:
        call: A method of a service. A method without the argument ``actor`` is returned unchanged.
        actor: Who acts.
        owner: The tenant; None keeps the argument ``owner``.
    """
    argument_names = _arguments_of(getattr(call, "__func__", call))
    if "actor" not in argument_names:
        return call
    bound = {"actor": actor}
    if owner is not None and "owner" in argument_names:
        bound["owner"] = owner

    @functools.wraps(call)
    def acting(*arguments: Any, **named: Any) -> Any:
        for name in bound:
            if name in named:
                raise TypeError(f"{call.__name__}() has its {name} from acting_as: leave it out")
        return call(*arguments, **named, **bound)

    signature = inspect.signature(call)
    left = [parameter for name, parameter in signature.parameters.items() if name not in bound]
    acting.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]
    return acting


@functools.lru_cache(maxsize=500)
def _arguments_of(function: Callable[..., Any]) -> frozenset[str]:
    """The names of the arguments of a function, including those of ``**options: Unpack[…]``."""
    names: set[str] = set()
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (options,) = get_args(get_type_hints(function, include_extras=True)[name]) or (object,)
            names |= set(getattr(options, "__annotations__", {}))
        else:
            names.add(name)
    return frozenset(names)
