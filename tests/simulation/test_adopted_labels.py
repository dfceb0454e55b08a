"""A panel keeps the labels of the original, which are the same for every owner: a domain is its first owner's."""

from datetime import timedelta

import pytest

from certcore import Status
from certcore.errors import InvalidInputError, InvalidNameError
from certcore.hookspecs import hookimpl
from certcore.model.hints import DnsRecords
from certcore.testing.contracts.keys import LOOKALIKES
from support.hint_texts import notices
from support.simulation.simulated_world import TECH_ZONE, World

NAME, TARGET = "_acme-challenge.shop.test", f"shop.test.{TECH_ZONE}"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Panel:
    """What the panel says about who controls a name: nothing, unless it is told."""

    def __init__(self):
        self.says = {}

    @hookimpl
    def certcore_controls_name(self, owner, name):
        answer = self.says.get((owner, name))
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def panel():
    return Panel()


@pytest.fixture
def world(panel):
    world = World(plugins=[panel], settings={"adopt_labels": True}, most_steps_an_hour=310)
    world.zone.set(NAME, "CNAME", TARGET)  # set years ago, for the original panel
    yield world
    world.close()


def requested(world, owner, domain="shop.test", **fields):
    """A certificate that was asked for; nobody has set a record for it."""
    draft = world.core.certificates.create(domain, authority=world.authority.id, owner=owner, **fields)
    return world.core.certificates.generate_csr(draft.id).id


def run(world, *ids, time=10 * MINUTE):
    world.run(world.environment.now() + time, ids)


def bound(world, owner="anna"):
    """Anna's certificate, which is active."""
    one = requested(world, owner)
    run(world, one)
    assert world.in_service(one)
    return one


def released(world, domain="shop.test"):
    return str(world.core.authorities.run_action(world.authority.id, "release_name", {"domain": domain}))


def test_the_owners_record_of_the_original_panel_is_used(world):
    """The page shows the CNAME as the original did, and the certificate is issued and renewed through it."""
    one = requested(world, "anna", wildcard=True)
    rows = [row for hint in world.core.certificates.hints(one) if isinstance(hint, DnsRecords) for row in hint.rows]
    assert [(row.name, row.value) for row in rows] == [(NAME, TARGET)]
    run(world, one, time=40 * DAY)
    assert world.in_service(one)
    assert len(world.ca.orders) == 2


def test_another_owner_is_refused_at_the_door(world):
    """Whatever the route: a new certificate, an alias, a clone, a reissue, an import that is renewed."""
    one = bound(world)
    certificates, authority = world.core.certificates, world.authority.id
    own = requested(world, "bert", "bert.shop.test")
    world.zone.set("_acme-challenge.bert.shop.test", "CNAME", f"bert.shop.test.{TECH_ZONE}")
    run(world, own)
    leaf = certificates.view(one).active.leaf_pem
    calls = {
        "domain": lambda: requested(world, "bert"),
        "aliases": lambda: requested(world, "bert", "bert.test", aliases=["shop.test"]),
        "wildcard": lambda: requested(world, "bert", "bert.test", aliases=["*.shop.test"]),
        "clone": lambda: certificates.clone(one, owner="bert"),
        "import": lambda: certificates.import_certificate(leaf, None, authority=authority, owner="bert"),
        "reissue": lambda: certificates.reissue(own, domain="shop.test"),
        "transfer": lambda: certificates.transfer(one, to="bert"),
        "obtain": lambda: world.core.obtain("shop.test", authority=authority, owner="bert", timeout=0.1),
    }
    for route, call in calls.items():
        with pytest.raises(InvalidInputError, match="validated for another owner") as refused:
            call()
        assert "anna" not in str(refused.value.as_dict()), route
    assert requested(world, "anna")
    assert len(world.ca.orders) == 2


def test_owners_are_compared_byte_by_byte(world):
    """One who looks like the owner is another one."""
    bound(world)
    for owner in {"Anna", "anna2", "", "ann", *LOOKALIKES} - {"anna"}:
        with pytest.raises(InvalidInputError):
            requested(world, owner)


def test_who_was_asked_for_before_is_refused_by_the_step(world):
    """A certificate that waited while another owner proved the name: the page says why, and nothing is ordered."""
    late = requested(world, "bert", aliases=["www.shop.test"])
    one = bound(world)
    world.zone.set("_acme-challenge.www.shop.test", "CNAME", f"www.shop.test.{TECH_ZONE}")
    run(world, late, time=HOUR)
    assert world.get(late).status is Status.PENDING
    assert len(world.ca.orders) == 1
    assert "validated for another owner first" in notices(world, late)
    assert world.get(one).status is Status.ACTIVE


@pytest.mark.parametrize("first", ["anna", "bert"])
def test_two_owners_at_once(world, first):
    """Steps of both alternate: one of them is validated, and the other never orders anything."""
    ids = [requested(world, owner) for owner in ("anna", "bert")]
    ids = ids if first == "anna" else ids[::-1]
    run(world, *ids, time=HOUR)
    assert [world.in_service(one) for one in ids] == [True, False]
    assert len(world.ca.orders) == 1


def test_a_claim_that_leads_to_nothing_ends(world):
    """Who asked first cannot prove it (the CA sees no value): after an hour the other owner's turn has come."""
    txt_values, world.ca.txt_values = world.ca.txt_values, lambda name: ()
    first = requested(world, "anna")
    run(world, first)
    assert {order.status for order in world.ca.orders.values()} == {"invalid"}
    world.ca.txt_values = txt_values
    second = requested(world, "bert")
    run(world, second)
    assert not world.in_service(second)
    assert "at this moment" in notices(world, second)
    run(world, second, time=HOUR + 10 * MINUTE)
    assert world.in_service(second)
    run(world, first, time=HOUR)
    assert not world.in_service(first)


def test_who_has_lost_the_claim_finalizes_nothing(world):
    """An order that stood still for hours meanwhile is validated: the name is another owner's by now."""
    first = requested(world, "anna")
    while "order" not in (world.core.certificates.issuances(first)[-1].module_state or {}):
        world.core.reconcile(first)
    world.environment.set(world.environment.now() + timedelta(hours=2))
    second = requested(world, "bert")
    run(world, second)
    assert world.in_service(second)
    run(world, first, time=HOUR)
    assert not world.in_service(first)
    assert sum(order.status == "valid" for order in world.ca.orders.values()) == 1


def test_the_name_stays_bound_when_the_certificate_is_deleted(world):
    """Until an administrator releases it; then the next owner gets it."""
    one = bound(world)
    world.core.certificates.delete(one)
    with pytest.raises(InvalidNameError):
        requested(world, "bert")
    assert "shop.test" in released(world)
    second = requested(world, "bert")
    run(world, second)
    assert world.in_service(second)
    with pytest.raises(InvalidInputError, match="not bound to an owner"):
        released(world, "unknown.test")


def test_the_panel_has_the_last_word(world, panel):
    """It may refuse an owner, and say that a domain has moved: then it is the new owner's at once."""
    panel.says = {("mallory", "shop.test"): False}
    refused = requested(world, "mallory")
    run(world, refused)
    assert world.ca.orders == {}
    assert "does not control the domain" in notices(world, refused)
    one = bound(world)
    panel.says |= {("bert", "shop.test"): True}
    with pytest.raises(InvalidNameError):  # both may be right: the first keeps it
        requested(world, "bert")
    panel.says |= {("anna", "shop.test"): False}
    new = requested(world, "bert")
    run(world, new)
    assert world.in_service(new)
    with pytest.raises(InvalidNameError):
        world.core.certificates.renew(one)
    world.environment.set(world.environment.now() + 35 * DAY)
    run(world, one)  # its renewal by itself
    assert len(world.ca.orders) == 2
    assert "does not control the domain" in notices(world, one)


@pytest.mark.parametrize("answer", [RuntimeError("s3cr3t"), "yes"])
def test_a_panel_that_fails_is_a_no(world, panel, answer):
    """Nothing is ordered until it answers, and the page says so."""
    panel.says = {("anna", "shop.test"): answer}
    one = requested(world, "anna")
    run(world, one)
    assert world.ca.orders == {}
    assert "could not say who controls" in notices(world, one)
    assert "s3cr3t" not in notices(world, one)
    panel.says = {}
    run(world, one, time=HOUR)
    assert world.in_service(one)


def test_a_name_that_is_too_long_for_a_label(world):
    """The domain stands in front of the tech zone: both have to fit into 253 characters."""
    zone = "a-much-longer-name.acme.panel.test"
    world.core.authorities.edit(world.authority.id, settings={"tech_zone": zone})
    with pytest.raises(InvalidNameError, match="too long to be a label"):
        requested(world, "anna", ".".join(["a" * 50] * 4 + ["b" * 27, "test"]))
