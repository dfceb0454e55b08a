"""Load a setup by its name, for `certcore plugin check`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from certcore.errors import CertCoreError, InvalidInputError
from certcore.model.plugin_calls import kind_of
from certcore.testing.conformance.ca_module.setup import ModuleSetup
from certcore.testing.conformance.store_setup import StoreSetup
from certcore.testing.conformance.values import Suite
from certcore.testing.conformance.zone_writers.setup import WrittenZone

__all__ = ["SETUP_SUITES", "named_setup"]

#: The setup types of the suites.
SETUP_SUITES: Final[Mapping[type, Suite]] = MappingProxyType(
    {ModuleSetup: Suite.CA_MODULE, StoreSetup: Suite.STORE, WrittenZone: Suite.ZONE_WRITER}
)


@contextmanager
def named_setup(name: str) -> Iterator[Any]:
    """A context manager with a setup from a Python module.

    Args:
        name: ``MODULE:NAME``, the name of a setup, or of a function without arguments that returns a setup or a context
            manager with one. The working directory is searched for the module, too.

    Raises:
        InvalidInputError: There is no such name, or the value is not a setup.
    """
    value = _named_value(name)
    kinds = tuple(SETUP_SUITES)
    if callable(value) and not isinstance(value, kinds):
        try:
            value = value()
        except CertCoreError:
            raise
        except Exception as error:  # boundary: the code of a plugin's author
            raise InvalidInputError("setup", f"{name} raised {kind_of(error)}.") from error
    if isinstance(value, AbstractContextManager):
        with value as entered:
            yield _checked(name, entered)
    else:
        yield _checked(name, value)


def _checked(name: str, value: object) -> object:
    if not isinstance(value, tuple(SETUP_SUITES)):
        kinds = " or a ".join(kind.__name__ for kind in SETUP_SUITES)
        raise InvalidInputError("setup", f"{name} is a {type(value).__name__}, not a {kinds}.")
    return value


def _named_value(name: str) -> Any:
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, ValueError, AttributeError) as error:
        advice = "Name it as MODULE:NAME, for example tests.conformance:setup."
        raise InvalidInputError("setup", f"there is no {name}: {error}.", advice=advice) from None
    finally:
        sys.path.remove(here)
