"""What a CA permits: read as people write it, counted so that no window ever holds too much."""

from bisect import insort
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError
from certcore_puq_acme.profile.limits import (
    Limit,
    LimitKind,
    NoLimits,
    free_at,
    limits_of,
    parse_limit,
    registered_domain,
    same_names,
)
from certcore_puq_acme.profile.presets import PRESETS

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    "text",
    [
        "orders 300 per 3h except renewals and ari",
        "registered_domain 50 per 7d except renewals and ari",
        "same_names 5 per 7d except ari",
        "failed_authorizations 5 per 1h",
        "orders 5 per 90m",
        "orders 1 per 366d",
    ],
)
def test_a_limit_reads_back_as_it_was_written(text):
    """Text to limit and back is the same; blanks and case do not matter."""
    assert str(Limit.parse(text, "limits")) == text
    assert str(Limit.parse(f"  {text.upper()} ".replace(" ", "  "), "limits")) == text


@given(
    st.sampled_from(LimitKind),
    st.integers(1, 1_000_000),
    st.integers(1, 366).map(lambda days: timedelta(days=days)) | st.integers(1, 9999).map(lambda many: many * MINUTE),
    st.booleans(),
    st.booleans(),
)
def test_every_limit_can_be_written(kind, count, window, renewals, ari):
    """Whatever a limit is, its text is read as the same limit."""
    limit = Limit(kind=kind, count=count, window=window, except_renewals=renewals, except_ari=ari)
    assert Limit.parse(str(limit), "limits") == limit


@pytest.mark.parametrize(
    "text",
    [
        "",
        "orders",
        "orders 0 per 1h",
        "orders 5 per 0h",
        "orders 5 per 367d",
        "pizzas 5 per 1h",
        "orders 5 per 1w",
        "orders 5 per 1h except mondays",
        "orders five per 1h",
        "orders 9999999 per 1h",
    ],
)
def test_what_is_no_limit_is_refused(text):
    """With the field's name, and an example of how it looks or what is allowed."""
    with pytest.raises(InvalidInputError) as caught:
        parse_limit(text, "limits")
    assert caught.value.field == "limits"


def test_the_presets_limits_and_none():
    """Let's Encrypt's published limits count until a profile says otherwise; none means none."""
    published = limits_of((), PRESETS["letsencrypt"].limits)
    assert {str(one.kind): (one.count, one.window) for one in published} == {
        "orders": (300, timedelta(hours=3)),
        "registered_domain": (50, timedelta(days=7)),
        "same_names": (5, timedelta(days=7)),
        "failed_authorizations": (5, timedelta(hours=1)),
    }
    assert all(one.except_ari for one in published)
    assert [str(one.kind) for one in published if one.except_renewals] == ["orders", "registered_domain"]
    own = parse_limit("orders 9 per 1h", "limits")
    assert limits_of((own,), PRESETS["letsencrypt"].limits) == (own,)
    assert limits_of((NoLimits(),), PRESETS["letsencrypt"].limits) == ()
    assert str(parse_limit(" None ", "limits")) == "none"
    for preset in PRESETS.values():
        limits_of((), preset.limits)


def _fits(taken, moment, limit, window):
    every = sorted([*taken, moment])
    return all(every[at + limit] - every[at] >= window for at in range(len(every) - limit))


@given(
    st.integers(1, 4),
    st.integers(1, 10),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 0, 0, 3])), max_size=14),
)
def test_no_window_ever_holds_too_much_and_nobody_waits_in_vain(limit, seconds, moments):
    """Each moment fits, also beside those that were promised for later; and there is no earlier one on the clock."""
    window, now, taken = timedelta(seconds=seconds), NOW, []
    for pause, later in moments:
        now += timedelta(seconds=pause)
        found = free_at(taken, limit, window, now)
        assert found >= now
        assert _fits(taken, found, limit, window)
        first = now
        while not _fits(taken, first, limit, window):
            first += timedelta(seconds=1)
        assert found <= first
        promised = found + timedelta(seconds=later)
        if _fits(taken, promised, limit, window):
            insort(taken, promised)


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("www.example.com", "example.com"),
        ("*.shop.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("anna.github.io", "anna.github.io"),
        ("a.b.xn--55qx5d.cn", "b.xn--55qx5d.cn"),
        ("one.test", "one.test"),
    ],
)
def test_registered_domains(name, domain):
    """By the public suffix list, its private part included."""
    assert registered_domain(name) == domain


def test_the_same_set_of_names_is_the_same():
    """Order and doubles do not matter."""
    assert same_names(["b.test", "a.test", "a.test"]) == same_names(["a.test", "b.test"]) != same_names(["a.test"])
