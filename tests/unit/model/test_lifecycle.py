"""The transition table, and when a certificate renews or an attempt is repeated."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from certcore.errors import InvalidInputError, TransitionNotAllowedError
from certcore.model.labels import label_of
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import TRANSITIONS, USER_ACTIONS, Action, Status, allowed_actions
from certcore.model.renewal import RenewalPolicy, Retry, retry_delay
from certcore.model.transitions import transition

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
# Certificates count whole seconds; an even number of them has a half.
LIFETIMES = st.integers(150, 400 * 43_200).map(lambda half: timedelta(seconds=2 * half))


def _leaf(lifetime):
    texts = dict.fromkeys(
        ["subject", "issuer", "signature_algorithm", "public_key_algorithm", "fingerprint_sha256", "fingerprint_sha1"],
        "",
    )
    return Leaf(
        names=("a.example",),
        serial_hex="0a",
        key_size=256,
        spki_sha256="",
        not_before=START,
        not_after=START + lifetime,
        **texts,
    )


@given(st.sampled_from(Status), st.sampled_from(Action))
def test_the_table_is_all_there_is(status, action):
    """What the table does not allow is refused, and the refusal says what a user may do instead."""
    if (status, action) in TRANSITIONS:
        assert transition(status, action) is TRANSITIONS[status, action]
        return
    with pytest.raises(TransitionNotAllowedError) as refused:
        transition(status, action)
    assert set(refused.value.allowed) == allowed_actions(status)
    assert (refused.value.status, refused.value.action) == (status, action)
    assert f"'{label_of(status)}'" in refused.value.message
    assert f"'{label_of(action)}'" in refused.value.message
    titles = sorted(str(label_of(member)) for member in allowed_actions(status))
    assert sorted(refused.value.advice.removeprefix("Possible now: ").removesuffix(".").split(", ")) == titles
    assert allowed_actions(status) <= USER_ACTIONS


def test_every_status_is_reached_from_a_draft():
    """No status stands outside of the life that begins with a draft."""
    reached = {Status.DRAFT}
    while True:
        further = reached | {to for (at, _), to in TRANSITIONS.items() if at in reached}
        if further == reached:
            break
        reached = further
    assert reached == set(Status)


def test_only_install_makes_a_certificate_active():
    """Neither a user nor a failure puts a certificate into service; the clock only what a wrong one had taken out."""
    into = {action for (at, action), to in TRANSITIONS.items() if to is Status.ACTIVE and at is not Status.ACTIVE}
    assert into == {Action.INSTALL, Action.REINSTATE}


def test_only_the_clock_and_the_ca_take_an_active_one_out_of_service():
    """A renewal that waits or fails, or a user's click, never does."""
    out = {action for (at, action), to in TRANSITIONS.items() if at is Status.ACTIVE and to is not Status.ACTIVE}
    assert out == {Action.EXPIRE, Action.REVOKE}
    assert {at for (at, action) in TRANSITIONS if action is Action.EXPIRE} == {Status.ACTIVE}


def test_everything_can_be_deleted():
    """There is no status from which a user cannot get rid of a certificate."""
    assert all(Action.DELETE in allowed_actions(status) for status in Status)


@given(LIFETIMES, st.none() | st.integers(1, 365), st.text())
def test_renewal_begins_within_the_second_half_of_the_life(lifetime, days, certificate_id):
    """Whatever the threshold: never in a circle, and never without time left to repeat a failed attempt."""
    leaf = _leaf(lifetime)
    at = RenewalPolicy(days_before=days).renew_at(leaf, certificate_id)
    short = lifetime < timedelta(days=10)
    assert leaf.not_before + lifetime / 2 <= at <= leaf.not_after - lifetime / (3 if short else 20)
    if days is not None and lifetime / (2.7 if short else 18) <= timedelta(days=days) <= lifetime / 2:
        late = at - (leaf.not_after - timedelta(days=days))
        assert timedelta(0) <= late <= min(timedelta(days=days) / 10, timedelta(days=1))


def test_certificates_that_were_issued_together_renew_apart():
    """A thousand of the same minute are spread over a day, evenly; each keeps its own moment."""
    leaf = _leaf(timedelta(days=90))
    moments = [RenewalPolicy().renew_at(leaf, f"certificate-{number}") for number in range(1000)]
    assert moments == [RenewalPolicy().renew_at(leaf, f"certificate-{number}") for number in range(1000)]
    assert max(moments) - min(moments) > timedelta(hours=23)
    hours = [int((moment - min(moments)) / timedelta(hours=1)) for moment in moments]
    assert max(hours.count(hour) for hour in range(24)) < 80


@pytest.mark.parametrize(("lifetime", "before"), [(6, 3), (45, 15), (90, 30), (398, 398 / 3)])
def test_renewal_without_a_threshold(lifetime, before):
    """A third of the lifetime before the end, half of it for certificates of a few days."""
    leaf = _leaf(timedelta(days=lifetime))
    found = leaf.not_after - RenewalPolicy().renew_at(leaf, "x")
    assert timedelta(days=before) * 0.9 <= found <= timedelta(days=before)


@pytest.mark.parametrize("days", [0, -1, 366, True, "30", 1.5])
def test_a_threshold_that_cannot_be(days):
    """The days are a whole number from 1 to 365."""
    with pytest.raises(InvalidInputError, match="days_before"):
        RenewalPolicy(days_before=days)


@given(st.sampled_from([Retry.SOON, Retry.SLOW]), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_the_wait_before_the_next_attempt(retry, attempt, roll):
    """It grows, up to an hour or a day, and jitter never takes more than half of it away."""
    longest = timedelta(hours=1) if retry is Retry.SOON else timedelta(hours=24)
    shortest = timedelta(seconds=5) if retry is Retry.SOON else timedelta(minutes=7.5)
    delay = retry_delay(retry, attempt, roll)
    assert shortest <= delay <= longest
    assert retry_delay(retry, attempt + 1, roll) >= delay
    assert delay <= 2 * retry_delay(retry, attempt, 0.0)


def test_days_remaining_round_down():
    """One second less than two days is one day; one second past the end is minus one."""
    leaf = _leaf(timedelta(days=2))
    assert leaf.days_remaining(START) == 2
    assert leaf.days_remaining(START + timedelta(seconds=1)) == 1
    assert leaf.days_remaining(leaf.not_after + timedelta(seconds=1)) == -1
    assert leaf.serial_decimal == "10"
