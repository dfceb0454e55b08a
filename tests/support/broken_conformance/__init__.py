"""CA modules that break one rule each: `BROKEN` has them by the name of the check that has to find it."""

from support.broken_conformance import forms, leaves, loading, pages, powers, repetition, steps
from support.broken_conformance.table import ANY_ORDER, PLUGINS, SETUPS

__all__ = ["BROKEN", "PLUGINS", "SETUPS"]

#: In the order of the checks, whichever file is imported first: the default tests take every fourth of them.
BROKEN = {
    check: broken
    for part in (loading, forms, steps, leaves, powers, repetition, pages)
    for check, broken in ANY_ORDER.items()
    if broken.__module__ == part.__name__
}
