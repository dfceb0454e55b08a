"""The CA's wishes about renewals, and what happens when a CA keeps failing: another one is tried."""

from datetime import timedelta

import pytest

from certcore import RenewalPolicy, Status
from certcore.errors import CAError, InUseError, InvalidInputError
from certcore.model.events import EventKind
from certcore.model.issuance import Outcome
from certcore.model.renewal_info import SuggestedWindow
from certcore.testing.scripted_ca import Act
from support.inside import inside

DAY = timedelta(days=1)
NAMES = ("shop.example",)


def _window(bench, start, end, **more):
    now = bench.environment.now()
    return SuggestedWindow(start=now + start, end=now + end, **more)


def _asked(bench, certificate_id):
    """Step to the CA's next question; gives what is known then."""
    before = bench.ca.asked
    while bench.ca.asked == before:
        bench.step(certificate_id)
    return bench.core.certificates.view(certificate_id).active.renewal_info


def _events(bench, certificate_id, kind):
    return [event for event in bench.core.certificates.timeline(certificate_id) if event.kind is kind]


# -- the CA's wishes ----------------------------------------------------------------------------------------------


def test_the_ca_is_asked_at_the_times_that_it_asks_for(wishing_bench):
    """Within an hour for the first time, then after each Retry-After; the renewal comes in the window."""
    bench = wishing_bench
    certificate_id = bench.active()
    issued_at = bench.environment.now()
    bench.ca.windows[NAMES] = _window(bench, 50 * DAY, 54 * DAY, retry_after=7200)
    info = _asked(bench, certificate_id)
    assert bench.environment.now() - issued_at <= timedelta(hours=1)
    for _ in range(3):
        assert info.check_at == bench.environment.now() + timedelta(hours=2)
        info = _asked(bench, certificate_id)
    assert bench.environment.now() - issued_at == timedelta(hours=7)
    assert bench.core.certificates.view(certificate_id).renews_at == info.renew_at == issued_at + 52 * DAY
    bench.environment.set(info.renew_at)
    bench.step(certificate_id)
    bench.step(certificate_id)
    assert bench.core.certificates.view(certificate_id).certificate.issuance_id is not None
    assert _events(bench, certificate_id, EventKind.RENEWAL_ASKED) == []


def test_a_window_in_the_past_renews_at_once_and_is_told(wishing_bench):
    """A mass revocation: the next question finds the window in the past, and the renewal begins; the page is told."""
    bench = wishing_bench
    certificate_id = bench.active()
    first = bench.core.certificates.view(certificate_id).leaf
    bench.ca.windows[NAMES] = _window(bench, 50 * DAY, 54 * DAY)
    _asked(bench, certificate_id)
    page = "https://ca.example/incident"
    bench.advance(days=10)
    bench.ca.windows[NAMES] = _window(bench, -2 * DAY, -DAY, explanation_url=page)
    _asked(bench, certificate_id)
    (told,) = _events(bench, certificate_id, EventKind.RENEWAL_ASKED)
    assert told.data["explanation_url"] == page
    now = bench.environment.now()
    bench.step(certificate_id)
    bench.step(certificate_id)
    assert bench.environment.now() == now
    view = bench.core.certificates.view(certificate_id)
    assert view.certificate.status is Status.ACTIVE
    assert view.leaf.serial_hex != first.serial_hex


def test_a_ca_that_cannot_be_asked_leaves_it_to_the_policy(wishing_bench):
    """Whether it never answered, or stopped answering: after some failures the policy's time counts."""
    bench = wishing_bench
    certificate_id = bench.active()
    own = bench.core.certificates.view(certificate_id).renews_at
    bench.ca.windows[NAMES] = _window(bench, 20 * DAY, 22 * DAY, retry_after=60)
    _asked(bench, certificate_id)
    assert bench.core.certificates.view(certificate_id).renews_at < own
    bench.ca.windows[NAMES] = CAError("The CA is down.")
    for failures in range(1, 6):
        assert _asked(bench, certificate_id).failures == failures
    assert bench.core.certificates.view(certificate_id).renews_at == own
    assert bench.get(certificate_id).problem is None


def test_without_auto_renewal_the_wish_is_known_and_nothing_else_happens(wishing_bench):
    """The CA is asked, and the page shows it; the leaf stays until its end."""
    bench = wishing_bench
    certificate_id = bench.active(renewal=RenewalPolicy(auto=False))
    bench.ca.windows[NAMES] = _window(bench, -2 * DAY, -DAY)
    _asked(bench, certificate_id)
    for _ in range(5):
        _asked(bench, certificate_id)
    assert len(bench.core.certificates.issuances(certificate_id)) == 1
    assert len(_events(bench, certificate_id, EventKind.RENEWAL_ASKED)) == 1


def test_a_module_with_a_bug_costs_only_the_wish(wishing_bench):
    """A window that is no window counts as a failure; the certificate goes on."""
    bench = wishing_bench
    certificate_id = bench.active()
    bench.ca.windows[NAMES] = "tomorrow"
    assert _asked(bench, certificate_id).failures == 1
    assert bench.get(certificate_id).status is Status.ACTIVE


@pytest.mark.parametrize(
    ("says", "days"),
    [
        pytest.param(
            says, days, marks=[pytest.mark.slow(reason="asks the CA on each of many days")] if days > most else []
        )
        for says, most in {"nothing": 90, "a window": 90, "down": 6}.items()
        for days in (6, 45, 90, 398)
    ],
)
def test_every_lifetime_renews_for_years(wishing_bench, days, says):
    """With a CA that answers, or has no opinion, or is down, the leaf in service never ends; renewals are few."""
    bench = wishing_bench
    bench.core.authorities.edit(bench.authority.id, settings={"lifetime_days": days})
    certificate_id = bench.active()
    begun = bench.environment.now()
    while bench.environment.now() - begun < 3 * days * DAY:
        if says == "a window":
            leaf = bench.core.certificates.view(certificate_id).leaf
            start = leaf.not_before + leaf.lifetime * 0.66
            bench.ca.windows[NAMES] = SuggestedWindow(start=start, end=start + leaf.lifetime * 0.02, retry_after=86400)
        elif says == "down":
            bench.ca.windows[NAMES] = CAError("The CA is down.")
        bench.step(certificate_id)
        view = bench.core.certificates.view(certificate_id)
        assert view.certificate.status is Status.ACTIVE
        assert view.leaf.not_after > bench.environment.now()
    assert 4 <= len(bench.core.certificates.issuances(certificate_id)) <= 8


# -- another CA ---------------------------------------------------------------------------------------------------


@pytest.fixture
def other(bench):
    """A second CA profile; the first one of the bench is in the region eu, this one in us."""
    bench.ca.scripts = {"eu": (Act.ISSUE,), "us": (Act.ISSUE,)}
    return bench.core.authorities.create("other", module="scripted", settings={"region": "us"})


def _until(bench, one, condition, steps=40):
    for _ in range(steps):
        if condition(bench.get(one)):
            return
        bench.step(one)
    raise AssertionError(f"still {bench.get(one)}")


def test_when_the_ca_keeps_failing_the_next_is_tried(bench, other):
    """After some minutes of a CA that is down the second one issues; the timeline tells from where to where and why."""
    bench.ca.scripts["eu"] = (Act.CA_DOWN,)
    certificate_id = bench.requested(fallbacks=[other.id])
    begun = bench.environment.now()
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)
    assert timedelta(minutes=3) < bench.environment.now() - begun < timedelta(minutes=30)
    (told,) = _events(bench, certificate_id, EventKind.FELL_BACK)
    assert (told.data["from"], told.data["to"]) == ("test", "other")
    assert told.problem is not None
    first, second = bench.core.certificates.issuances(certificate_id)
    assert (first.outcome, first.authority_id) == (Outcome.ABANDONED, bench.authority.id)
    assert (second.outcome, second.authority_id) == (Outcome.ISSUED, other.id)
    assert bench.get(certificate_id).authority_id == bench.authority.id
    bench.step(certificate_id)
    assert bench.ca.held == set()
    with inside(bench.core).storage.read() as transaction:
        assert transaction.secrets.get(first.key_name) is None
        assert transaction.secrets.get(second.key_name) is not None


def test_a_refusal_for_good_goes_to_the_next_at_once(bench, other):
    """A CA that will never issue is left without any pause."""
    bench.ca.scripts["eu"] = (Act.CA_REFUSES,)
    certificate_id = bench.requested(fallbacks=[other.id])
    begun = bench.environment.now()
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)
    assert bench.environment.now() == begun


@pytest.mark.parametrize("act", [Act.FAIL_SOON, Act.FAIL_SLOW, Act.FAIL_NEVER])
def test_what_is_the_owners_to_solve_stays_where_it_is(bench, other, act):
    """A failure that is not the CA's own never leads to another CA."""
    bench.ca.scripts["eu"] = (act,)
    certificate_id = bench.requested(fallbacks=[other.id])
    for _ in range(20):
        bench.step(certificate_id)
    assert _events(bench, certificate_id, EventKind.FELL_BACK) == []
    assert bench.get(certificate_id).status is (Status.ERROR if act is Act.FAIL_NEVER else Status.PENDING)


def test_without_a_fallback_a_ca_in_trouble_is_tried_on(bench):
    """With nobody else to ask, the attempt goes on where it is."""
    bench.ca.script = (*(Act.CA_DOWN,) * 12, Act.ISSUE)
    certificate_id = bench.requested()
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)
    assert len(bench.core.certificates.issuances(certificate_id)) == 1


def test_the_next_renewal_begins_at_the_first_ca_again(bench, other):
    """A fallback is for one issuance; a renewal that fails goes to the fallback beside the leaf in service."""
    bench.ca.scripts["eu"] = (Act.CA_REFUSES,)
    certificate_id = bench.requested(fallbacks=[other.id])
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)
    serial = bench.core.certificates.view(certificate_id).leaf.serial_hex
    _until(bench, certificate_id, lambda found: bench.core.certificates.view(certificate_id).leaf.serial_hex != serial)
    tried = [issuance.authority_id for issuance in bench.core.certificates.issuances(certificate_id)]
    assert tried == [bench.authority.id, other.id] * 2
    assert bench.get(certificate_id).status is Status.ACTIVE


def test_when_all_fail_they_take_turns(bench, other):
    """After the last one the first has its turn again, ever more slowly, and whoever recovers issues."""
    bench.ca.scripts = {"eu": (Act.CA_DOWN,), "us": (Act.CA_REFUSES,)}
    certificate_id = bench.requested(fallbacks=[other.id])
    for _ in range(60):
        bench.step(certificate_id)
    tried = [issuance.authority_id for issuance in bench.core.certificates.issuances(certificate_id)]
    assert tried[:4] == [bench.authority.id, other.id] * 2
    assert len(tried) < 20
    bench.ca.scripts["eu"] = (Act.ISSUE,)
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)


def test_a_fallback_that_waits_for_the_owner_does_not_keep_the_first_one_waiting(bench, other):
    """What a fallback asks of the owner is nothing to wait for: the first CA is tried again."""
    bench.ca.scripts = {"eu": (Act.CA_REFUSES,), "us": (Act.WAIT_OWNER,)}
    certificate_id = bench.requested(fallbacks=[other.id])
    bench.step(certificate_id)
    bench.step(certificate_id)
    bench.step(certificate_id)
    bench.ca.scripts["eu"] = (Act.ISSUE,)
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)
    assert bench.core.certificates.view(certificate_id).active.authority_id == bench.authority.id


def test_a_fallback_that_does_not_permit_the_names_is_passed_over(bench, other):
    """One without wildcards is no fallback for a wildcard; the next in the list is."""
    third = bench.core.authorities.create("third", module="scripted", settings={"region": "us"})
    bench.core.authorities.edit(other.id, settings={"allow_wildcard": False})
    bench.ca.scripts["eu"] = (Act.CA_REFUSES,)
    certificate_id = bench.requested(wildcard=True, fallbacks=[other.id, third.id])
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)
    assert bench.core.certificates.view(certificate_id).active.authority_id == third.id


def test_a_kept_key_is_kept_by_the_fallback(bench, other):
    """A policy that keeps the key keeps it also when the renewal goes to another CA; the leaf in service works on."""
    certificate_id = bench.active(fallbacks=[other.id], renewal=RenewalPolicy(rotate_key=False))
    key = bench.core.certificates.private_key(certificate_id, reason="test")
    bench.ca.scripts["eu"] = (Act.CA_REFUSES,)
    bench.core.certificates.renew(certificate_id)
    _until(
        bench,
        certificate_id,
        lambda found: bench.core.certificates.view(certificate_id).active.authority_id == other.id,
    )
    assert bench.core.certificates.private_key(certificate_id, reason="test") == key


def test_fallbacks_are_checked_at_the_door(bench, other):
    """Unknown, doubled, too many, and its own profile are refused; the list can be changed at any time."""
    for wrong in (["nobody"], [other.id, other.id], [bench.authority.id], [f"x{n}" for n in range(6)], [1], [""]):
        with pytest.raises(InvalidInputError) as caught:
            bench.draft(fallbacks=wrong)
        assert caught.value.field == "fallbacks"
    certificate_id = bench.active("a.example")
    assert bench.core.certificates.edit(certificate_id, fallbacks=[other.id]).fallbacks == (other.id,)
    with pytest.raises(InvalidInputError):
        bench.core.certificates.edit(certificate_id, fallbacks=["nobody"])
    with pytest.raises(InUseError):
        bench.core.authorities.delete(other.id)
    assert bench.core.certificates.edit(certificate_id, fallbacks=[]).fallbacks == ()
    bench.core.authorities.delete(other.id)


def test_waiting_for_its_turn_is_waiting(bench):
    """A certificate whose turn has not come is pending, or active, and nobody has to do anything."""
    bench.ca.script = (Act.WAIT_TURN, Act.ISSUE)
    certificate_id = bench.requested()
    bench.step(certificate_id)
    assert bench.get(certificate_id).status is Status.PENDING
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)


def test_cas_that_refuse_at_once_are_not_asked_round_and_round(bench, other):
    """When every CA refuses for good, each is asked once a round, and the rounds come ever more slowly."""
    bench.ca.scripts = {"eu": (Act.CA_REFUSES,), "us": (Act.CA_REFUSES,)}
    certificate_id = bench.requested(fallbacks=[other.id])
    began = bench.environment.now()
    while bench.environment.now() < began + DAY:
        bench.step(certificate_id)
        assert bench.ca.calls < 30
    assert bench.ca.calls >= 4
    bench.ca.scripts["eu"] = (Act.ISSUE,)
    _until(bench, certificate_id, lambda found: found.status is Status.ACTIVE)


def test_a_ca_that_refuses_at_once_is_not_hammered_when_no_fallback_can_take_it(bench, other):
    """If no fallback permits the names, the first CA is asked again with growing pauses."""
    bench.core.authorities.edit(other.id, settings={"allow_wildcard": False})
    bench.ca.scripts["eu"] = (Act.CA_REFUSES,)
    certificate_id = bench.requested(wildcard=True, fallbacks=[other.id])
    began = bench.environment.now()
    while bench.environment.now() < began + DAY:
        bench.step(certificate_id)
        assert bench.ca.calls < 20
    assert len(bench.core.certificates.issuances(certificate_id)) == 1
