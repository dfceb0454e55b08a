"""Collects the errors of several fields, so that a person sees all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import field, frozen

from certcore.errors import InvalidFieldsError, InvalidInputError

__all__ = ["FieldErrors"]

#: How many refused values are kept: nobody reads more.
_MOST: Final = 100


@frozen(eq=False)
class FieldErrors:
    """The values that were refused so far.

    ::

        errors = FieldErrors()
        with errors.collecting():
            check_one_field()
        with errors.collecting():
            check_another_field()
        errors.refuse()
    """

    _errors: list[InvalidInputError] = field(factory=list, init=False)

    def __bool__(self) -> bool:
        """Whether a value was refused."""
        return bool(self._errors)

    @property
    def fields(self) -> frozenset[str]:
        """The names of the fields that were refused."""
        return frozenset(error.field for error in self._errors)

    def add(self, error: InvalidInputError) -> None:
        """Add an error, or those that it consists of."""
        known = {(each.field, each.reason) for each in self._errors}
        # A subclass of a plugin may return anything here.
        errors = error.errors if type(error) is InvalidFieldsError else (error,)
        for each in errors:
            if (each.field, each.reason) not in known and len(self._errors) < _MOST:
                self._errors.append(each)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Add the `InvalidInputError` that the block raises; other errors go through."""
        try:
            yield
        except InvalidInputError as error:
            self.add(error)

    def refuse(self) -> None:
        """Raise what was collected; nothing happens if no value was refused.

        Raises:
            InvalidFieldsError: Several values were refused.
            InvalidInputError: One value was refused.
        """
        if len(self._errors) > 1:
            raise InvalidFieldsError(self._errors)
        if self._errors:
            raise self._errors[0]
