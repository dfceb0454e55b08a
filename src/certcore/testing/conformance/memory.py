"""Snapshots of the memory of an object, its classes and their Python modules, to simulate a new process."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

__all__ = ["Memory"]


@frozen(eq=False)
class Memory:
    """A snapshot of an object, its classes or a Python module, to restore it later."""

    owner: Any
    values: Mapping[str, Any]

    @staticmethod
    def of(owner: Any, names: Iterator[str]) -> Memory:
        """A snapshot of these attributes of the owner."""
        values = vars(owner)
        return Memory(owner, {name: _copied(values[name]) for name in names if name in values})

    @classmethod
    def of_object(cls, owner: object) -> Memory:
        """A snapshot of an object's attributes; empty if it has no ``__dict__``."""
        return cls.of(owner, iter(list(vars(owner)))) if hasattr(owner, "__dict__") else cls(None, {})

    def restore(self) -> None:
        """Restore the snapshot: containers get their old content, and new attributes are removed."""
        values = vars(self.owner) if hasattr(self.owner, "__dict__") else {}
        for name, value in self.values.items():
            if isinstance(values.get(name), dict | list | set | bytearray) and type(value) is type(values[name]):
                _refill(values[name], _copied(value))
            elif values.get(name) is not value:
                _assign(self.owner, name, _copied(value))
        for name in [name for name in values if name not in self.values and self._is_forgotten(name)]:
            _delete(self.owner, name)

    def _is_forgotten(self, name: str) -> bool:
        return not isinstance(self.owner, type | types.ModuleType) and not name.startswith("__")


def _copied(value: Any) -> Any:
    """A copy of containers, and of the containers in them; other objects stay the same."""
    match value:
        case dict():
            return {key: _copied(item) for key, item in value.items()}
        case list():
            return [_copied(item) for item in value]
        case set() | bytearray():
            return type(value)(value)
        case _:
            return value


def _refill(container: Any, value: Any) -> None:
    if isinstance(container, bytearray | list):
        container[:] = value
    else:
        container.clear()
        container.update(value)


def _assign(owner: Any, name: str, value: Any) -> None:
    try:
        setattr(owner, name, value)
    except (AttributeError, TypeError):
        object.__setattr__(owner, name, value)


def _delete(owner: Any, name: str) -> None:
    try:
        delattr(owner, name)
    except (AttributeError, TypeError):
        object.__delattr__(owner, name)
