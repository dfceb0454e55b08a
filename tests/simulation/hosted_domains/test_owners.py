"""Domains that the panel hosts, and their owners: nobody gets a CNAME or an order for a domain of another owner."""

from datetime import timedelta

import pytest

from support.hint_texts import notices
from support.internet import is_in
from support.simulation.hosting import NAME, documents, is_left_alone, requested, run

SECOND = timedelta(seconds=1)


def _name_of(function):
    return function.__name__


def _created(world, _):
    return requested(world, owner="bert")


def _as_alias(world, _):
    return requested(world, "other.test", owner="bert", aliases=["shop.test", "www.shop.test"])


def _below(world, _):
    return requested(world, "www.shop.test", owner="bert", wildcard=True)


def _other_case(world, _):
    return requested(world, owner="Anna")


def _cloned(world, one):
    return world.core.certificates.generate_csr(world.core.certificates.clone(one, owner="bert").id).id


def _imported(world, one):
    leaf = world.core.certificates.view(one).active
    certificates = world.core.certificates
    imported = certificates.import_certificate(leaf.leaf_pem, None, authority=world.authority.id, owner="bert").id
    certificates.renew(imported)
    return imported


def _reissued(world, _):
    own = requested(world, "other.test", owner="bert")
    run(world, own)
    before = len(world.ca.orders)
    world.core.certificates.reissue(own, domain="shop.test")
    run(world, own)
    assert len(world.ca.orders) == before
    return


def _fallback(world, _):
    dead = world.profile("dead")
    return requested(world, owner="bert", fallbacks=[dead.id])


@pytest.mark.parametrize(
    "route",
    [_created, _as_alias, _below, _other_case, _cloned, _imported, _reissued, _fallback],
    ids=_name_of,
)
def test_no_route_leads_to_another_tenants_domain(world, panel, route):
    """Bert gets no CNAME set for Anna's domain, and no order for it, however he asks; Anna's record stays."""
    one = requested(world)
    run(world, one)
    before = panel.net.at(NAME)
    other = route(world, one)
    if other is not None:
        assert is_left_alone(world, other)
    assert panel.net.at(NAME) == before
    owners = {owner for owner, name in panel.asked if is_in(name, "shop.test")}
    assert {kind for kind, name in panel.calls if is_in(name, "shop.test")} == {"set"}
    assert owners
    assert len([1 for kind, name in panel.calls if name == NAME]) == 1


def test_a_domain_that_moves_to_another_owner(world, panel):
    """The old owner's next renewal is refused and the CNAME taken away; the new owner gets one."""
    old = requested(world)
    run(world, old)
    panel.hosted["shop.test"] = "bert"
    world.core.certificates.renew(old)
    run(world, old)
    assert len(world.ca.orders) == 1
    assert panel.net.at(NAME) == {}
    assert "no longer confirms" in notices(world, old)
    new = requested(world, owner="bert")
    run(world, new)
    assert world.in_service(new)
    (issuance,) = world.core.certificates.issuances(new)
    assert panel.net.at(NAME) == {"CNAME": (issuance.module_state["targets"]["shop.test"],)}
    world.core.certificates.check_now(old)
    run(world, old)
    assert len(world.ca.orders) == 2


def test_what_cannot_be_removed_proves_nothing(world, panel):
    """The domain has moved and the server is down: its CNAME is still there and right, and no order relies on it."""
    old = requested(world)
    run(world, old)
    panel.hosted["shop.test"] = "bert"
    panel.is_down = True
    world.core.certificates.renew(old)
    run(world, old)
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert len(world.ca.orders) == 1
    panel.is_down = False
    world.core.certificates.check_now(old)
    run(world, old)
    assert panel.net.at(NAME) == {}
    assert len(world.ca.orders) == 1


def test_switching_it_off_does_not_make_old_records_count(world, panel):
    """What was set before still needs the panel's word at each renewal, and goes with its certificate."""
    one = requested(world)
    run(world, one)
    world.core.authorities.edit(world.authority.id, settings={"set_cnames": False})
    panel.hosted["shop.test"] = "bert"
    world.core.certificates.renew(one)
    run(world, one)
    assert len(world.ca.orders) == 1
    panel.hosted["shop.test"] = "anna"
    run(world, one)
    world.core.certificates.delete(one)
    assert panel.net.at(NAME) == {}


def test_a_certificate_that_is_transferred(world, panel):
    """The CNAME of the old owner does nothing for the new one: it is replaced where the domain was handed over, too."""
    one = requested(world)
    run(world, one)
    old = panel.net.at(NAME)
    world.core.certificates.transfer(one, to="bert")
    world.core.certificates.renew(one)
    run(world, one)
    assert panel.net.at(NAME) == {}
    assert len(world.ca.orders) == 1
    panel.hosted["shop.test"] = "bert"
    world.core.certificates.check_now(one)
    run(world, one)
    assert len(world.ca.orders) == 2
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert panel.net.at(NAME) != old
    world.core.certificates.delete(one)
    assert panel.net.at(NAME) == {}
    assert documents(world, "cname") == []


def test_a_transfer_into_a_tenant_whose_domain_it_is_not(world, panel):
    """No detour leads to Anna's domain: a certificate for it is handed over, and nothing is validated."""
    one = requested(world, owner="bert")
    world.core.certificates.transfer(one, to="carla")
    world.core.certificates.generate_csr(one)
    assert is_left_alone(world, one)
    assert panel.net.at(NAME) == {}


def test_a_domain_that_moves_while_its_order_waits_for_a_place(world, panel):
    """The panel is asked right before the order, also when the records were correct some seconds ago."""
    world.core.authorities.edit(world.authority.id, settings={"max_orders": 1})
    first, old = requested(world, "other.test", owner="bert"), requested(world)
    while not world.ca.orders:
        world.core.reconcile(first)
    while "its turn" not in notices(world, old):
        run(world, old, time=SECOND)
    panel.hosted["shop.test"] = "bert"
    run(world, first, time=20 * SECOND)
    assert world.in_service(first)
    run(world, old)
    assert len(world.ca.orders) == 1
    assert panel.net.at(NAME) == {}
