"""The status of an order counts, whatever is said of its parts; one that may be there is not followed at once."""

from datetime import timedelta

import pytest
from attrs import evolve

from certcore_puq_acme.protocol.errors import TransportError
from support.simulation.simulated_ca import Reply, problem
from support.simulation.simulated_world import World

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
LOST = TransportError("reset", "The CA's server closed the connection.", host="ca.simulated.test")
NAMES = [f"{name}.shop.test" for name in ("www", "mail", "api", "img", "old")]
#: Orders, and requests for an order that the CA refuses, of one certificate within a week.
MOST_ORDERS, MOST_REFUSALS = 5, 20


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def _lost(ca, kind, count, handle):
    """The CA validates, and nobody hears of it."""
    reply = handle()
    if kind == "challenge":
        raise LOST
    if kind == "authorization":
        return evolve(reply, body=reply.body | {"status": "pending"})
    return reply


def _known(ca, kind, count, handle):
    """The names were validated for an earlier order, and of that nothing is known any more."""
    reply = handle()
    if kind == "authorization":
        return problem(404, "malformed", "No such thing")
    if kind != "newOrder":
        return reply
    order = list(ca.orders.values())[-1]
    for authorization in order.authorizations:
        authorization.status = "valid"
    return evolve(reply, body=reply.body | {"status": "ready"})


@pytest.mark.parametrize("aliases", [[], NAMES], ids=["one name", "six names"])
@pytest.mark.parametrize("tamper", [_lost, _known])
def test_an_order_that_is_ready_is_finalized_whatever_is_said_of_its_parts(world, tamper, aliases):
    """Authorizations that stay pending or are not found, challenges without an answer: the order is looked at."""
    world.ca.tamper = tamper
    certificate = world.request("shop.test", aliases=aliases)
    world.run(world.environment.now() + HOUR, [certificate])
    assert world.in_service(certificate)
    assert len(world.ca.orders) == 1


def _newest(world):
    return [one.at for one in world.ca.asked if one.kind == "newOrder"]


def _most_in_a_week(moments):
    return max(sum(first <= other < first + WEEK for other in moments) for first in moments)


def _answering(world, answer):
    """A CA that places each order, and answers something else."""

    def tamper(ca, kind, count, handle):
        reply = handle()
        if kind != "newOrder":
            return reply
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.ca.tamper = tamper


UNCLEAR = {
    "500": problem(500, "serverInternal", "The database is on fire"),
    "500 badNonce": problem(500, "badNonce", "Used already"),
    "503": evolve(problem(503, "rateLimited", "Busy"), headers={"Retry-After": "60"}),
    "502": Reply(status=502, body=b"<html>Bad gateway", headers={"Content-Type": "text/html"}),
    "302": Reply(status=302, headers={"Location": "https://ca.simulated.test/elsewhere"}),
    "403 of a proxy": Reply(status=403, body=b"<html>No", headers={"Content-Type": "text/html"}),
    "lost": LOST,
    "no URL": Reply(status=201, body={"status": "pending"}),
}
REFUSALS = {
    "429": evolve(problem(429, "rateLimited", "Too many"), headers={"Retry-After": "60"}),
    "404": problem(404, "malformed", "No such thing"),
    "409": problem(409, "alreadyReplaced", "It was replaced"),
    "orderNotReady": problem(403, "orderNotReady", "Not yet"),
    "badNonce": problem(400, "badNonce", "Used already"),
}
ANSWERS = [
    *(pytest.param(answer, MOST_ORDERS, id=name) for name, answer in UNCLEAR.items()),
    *(pytest.param(answer, MOST_REFUSALS, id=name) for name, answer in REFUSALS.items()),
]


@pytest.mark.parametrize(("answer", "most"), ANSWERS)
def test_a_ca_that_places_orders_and_says_that_it_does_not_gets_few_of_them(world, answer, most):
    """Whatever it answers to newOrder: five a week where an order may be there, twenty where it says that none is."""
    _answering(world, answer)
    certificate = world.request("shop.test")
    world.run(world.environment.now() + 2 * WEEK, [certificate])
    assert not world.in_service(certificate)
    assert 3 <= _most_in_a_week(_newest(world)) <= most
    assert len(world.ca.orders) == len(_newest(world))


@pytest.mark.parametrize(("answer", "most"), ANSWERS)
def test_no_more_orders_are_placed_when_the_leaf_in_service_ends_soon(world, answer, most):
    """In the last week of a leaf, and in the one after it, the bound is the same as ever."""
    world.ca.window = lambda leaf, now: (leaf.not_valid_after_utc - 7 * DAY, leaf.not_valid_after_utc - 6.9 * DAY)
    certificate = world.request("shop.test")
    world.run(world.environment.now() + HOUR, [certificate])
    ends = world.get(certificate).not_after
    world.run(ends - timedelta(days=8), [certificate])
    del world.ca.asked[:]
    _answering(world, answer)
    world.run(ends + WEEK, [certificate])
    assert 3 <= _most_in_a_week(_newest(world)) <= most


def test_a_user_gets_one_order_more_with_each_check(world):
    """After five orders of which nothing is known, Check now places one more, up to ten in a week."""
    _answering(world, UNCLEAR["500"])
    certificate = world.request("shop.test")
    world.run(world.environment.now() + WEEK - HOUR, [certificate])
    for placed in (6, 7, 8, 9, 10, 10, 10):
        world.core.certificates.check_now(certificate)
        world.run(world.environment.now(), [certificate])
        assert len(_newest(world)) == placed


# -- outages ---------------------------------------------------------------------------------------------------------


def _down(ca, kind, handle):
    return problem(503, "serverInternal", "Down")


def _silent(ca, kind, handle):
    raise TransportError("timeout", "No answer in time.", host="ca.simulated.test")


def _no_orders(ca, kind, handle):
    if kind != "newOrder":
        return handle()
    handle()
    return problem(500, "serverInternal", "Down")


def _no_nonces(ca, kind, handle):
    return handle() if kind != "newOrder" else problem(400, "badNonce", "Unknown")


def _outage(world, fault, begins, ends):
    def tamper(ca, kind, count, handle):
        return fault(ca, kind, handle) if begins <= ca.environment.now() < ends else handle()

    world.ca.tamper = tamper


@pytest.mark.parametrize("fault", [_down, _silent])
@pytest.mark.parametrize("lasts", [timedelta(hours=6), DAY, 3 * DAY, 6 * DAY, 20 * DAY], ids=str)
def test_an_outage_uses_no_orders_up(world, fault, lasts):
    """While the CA answers nothing, one order counts at most; a leaf comes within two hours of its return."""
    now = world.environment.now()
    _outage(world, fault, now + timedelta(minutes=1), now + lasts)
    first = world.request("first.shop.test")  # its account is there when the outage begins
    world.run(now, [first])
    world.environment.set(now + timedelta(minutes=2))
    certificate = world.request("shop.test")
    world.run(now + lasts, [certificate])
    assert len(_newest(world)) <= 2
    world.run(now + lasts + 2 * HOUR, [certificate])
    assert world.in_service(certificate)


#: How long a leaf lives, and how long after the renewal's moment the CA works again; the leaf then serves for a while.
IN_TIME = [(6, 1), (6, 2), *((life, lasts) for life in (47, 90) for lasts in (1, 3, 6, 12))]


@pytest.mark.parametrize("fault", [_down, _no_orders, _no_nonces])
@pytest.mark.parametrize(("life", "lasts"), IN_TIME)
def test_after_an_outage_a_leaf_is_renewed_in_time(world, fault, life, lasts):
    """The orders of the week are spread: whenever the CA works again, one is left before the leaf in service ends."""
    world.ca.lifetime = life * DAY
    certificate = world.request("shop.test")
    world.run(world.environment.now() + HOUR, [certificate])
    leaf, began = world.get(certificate).not_after, world.core.certificates.view(certificate).renews_at
    world.run(began - timedelta(minutes=1), [certificate])
    _outage(world, fault, began, began + lasts * DAY)
    world.run(leaf, [certificate])
    assert world.get(certificate).not_after > leaf
    assert not world.lapses
    assert _most_in_a_week(_newest(world)) <= (MOST_REFUSALS + 1 if fault is _no_nonces else MOST_ORDERS)


@pytest.mark.parametrize("fault", [_no_orders, _no_nonces])
@pytest.mark.parametrize("lasts", [HOUR * 6, DAY, 3 * DAY, 6 * DAY], ids=str)
def test_a_first_leaf_comes_within_days_of_an_outage(world, fault, lasts):
    """Where newOrder alone fails, the next order comes within three days, and after six hours within seven."""
    now = world.environment.now()
    _outage(world, fault, now, now + lasts)
    certificate = world.request("shop.test")
    world.run(now + lasts + min(3 * DAY, lasts + HOUR), [certificate])
    assert world.in_service(certificate)
