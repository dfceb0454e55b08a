"""How many examples property tests take: all of them in `make test`, a quarter in `make check`."""

from hypothesis import settings

#: What hypothesis takes when a test says nothing, by profile. `make check` loads the profile "fast".
FULL = 100
FAST = 25


def examples(count, **options):
    """Settings with so many examples in the full profile, and proportionally fewer in the fast one."""
    return settings(max_examples=max(1, count * settings.default.max_examples // FULL), **options)


def is_fast():
    """Whether this is a run of `make check`."""
    return settings.default.max_examples == FAST
