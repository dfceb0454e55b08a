"""Collect the errors of several fields, so that the user sees all of them at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import field, frozen

from certcore.errors import InvalidFieldsError, InvalidInputError

__all__ = ["FieldErrors"]

#: The largest number of refused values that are kept.
_MOST: Final = 100


@frozen(eq=False)
class FieldErrors:
    """Collects the values that were refused.

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
        """Add an error, or each error of an `InvalidFieldsError`."""
        known = {(each.field, each.reason) for each in self._errors}
        # The property `errors` of a plugin's subclass may return anything.
        errors = error.errors if type(error) is InvalidFieldsError else (error,)
        for each in errors:
            if (each.field, each.reason) not in known and len(self._errors) < _MOST:
                self._errors.append(each)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """A context manager that adds the `InvalidInputError` raised by its block. Other exceptions are passed on."""
        try:
            yield
        except InvalidInputError as error:
            self.add(error)

    def refuse(self) -> None:
        """Raise the collected errors. Does nothing if no value was refused.

        Raises:
            InvalidFieldsError: Several values were refused.
            InvalidInputError: One value was refused.
        """
        if len(self._errors) > 1:
            raise InvalidFieldsError(self._errors)
        if self._errors:
            raise self._errors[0]
