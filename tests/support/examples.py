"""How many examples property tests take: half of what they say in `make test`, a quarter in `make check`.

In CI the examples are the same each time, so that more of them find nothing new; `make soak` takes five times what the
tests say, and other ones each time.
"""

from hypothesis import settings

#: What a test takes that says nothing, which those that say something refer to.
SAID = 100
#: What is taken of it by the profiles of `make soak`, `make test` and `make check`.
DEEP = 500
FULL = 50
FAST = 25


def examples(count, **options):
    """Settings with so many examples, and proportionally more or fewer as the profile says."""
    return settings(max_examples=max(1, count * settings.default.max_examples // SAID), **options)


def is_fast():
    """Whether this is a run of `make check`."""
    return settings.default.max_examples == FAST
