"""The status of an order counts, whatever is said of its parts; one that may be there is not followed at once."""

from datetime import timedelta

import pytest
from attrs import evolve
from simulated_ca import Reply, problem
from simulated_world import World

from certcore_puq_acme.acme_errors import TransportFailed

HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
LOST = TransportFailed("reset", "The CA's server broke the connection off.", host="ca.simulated.test")
NAMES = [f"{name}.shop.test" for name in ("www", "mail", "api", "img", "old")]
#: Orders that a certificate without a leaf may ask for within a week, where each is answered with an error.
MOST_A_WEEK = 20
#: A request is repeated so often when its nonce is refused.
WITH_NONCES = 21


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


def _orders_in_a_week(world, answer):
    def tamper(ca, kind, count, handle):
        reply = handle()
        if kind != "newOrder":
            return reply
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.ca.tamper = tamper
    certificate = world.request("shop.test")
    world.run(world.environment.now() + WEEK, [certificate])
    assert not world.in_service(certificate)
    return len(world.ca.orders)


@pytest.mark.parametrize(
    "answer",
    [
        problem(500, "serverInternal", "The database is on fire"),
        evolve(problem(503, "rateLimited", "Busy"), headers={"Retry-After": "60"}),
        evolve(problem(429, "rateLimited", "Too many"), headers={"Retry-After": "60"}),
        Reply(status=502, body=b"<html>Bad gateway", headers={"Content-Type": "text/html"}),
        Reply(status=302, headers={"Location": "https://ca.simulated.test/elsewhere"}),
        problem(404, "malformed", "No such thing"),
        problem(409, "alreadyReplaced", "It was replaced"),
        problem(403, "orderNotReady", "Not yet"),
        LOST,
        Reply(status=201, body={"status": "pending"}),
    ],
    ids=["500", "503", "429", "502", "redirect", "404", "409", "orderNotReady", "lost", "no URL"],
)
def test_a_ca_that_places_orders_and_says_that_it_does_not_gets_few_of_them(world, answer):
    """Whatever it answers to newOrder, the next one comes after a pause that doubles, or counts as placed."""
    assert 0 < _orders_in_a_week(world, answer) <= MOST_A_WEEK


@pytest.mark.parametrize("status", [400, 500])
def test_a_ca_that_places_orders_and_refuses_all_nonces_gets_few_of_them(world, status):
    """A nonce that is refused is repeated at once, but what follows comes after a pause that doubles."""
    placed = _orders_in_a_week(world, problem(status, "badNonce", "Used already"))
    assert WITH_NONCES <= placed <= MOST_A_WEEK * WITH_NONCES


def test_after_an_outage_of_the_ca_an_order_follows_within_its_length(world):
    """The pauses between orders that were answered with an error are no longer than that has lasted."""
    outage = timedelta(hours=6)
    end = world.environment.now() + outage

    def tamper(ca, kind, count, handle):
        down = kind == "newOrder" and ca.environment.now() < end
        return problem(500, "serverInternal", "Down") if down else handle()

    world.ca.tamper = tamper
    certificate = world.request("shop.test")
    world.run(end + outage + HOUR, [certificate])
    assert world.in_service(certificate)
