"""Domains that the panel hosts: it sets their CNAMEs itself, for the owner that it says controls them."""

import pytest

from certcore import Status
from certcore.errors import InvalidInputError
from certcore.hookspecs import hookimpl
from support.hint_texts import notices
from support.simulation.hosting import (
    DAY,
    MINUTE,
    NAME,
    documents,
    hosted_world,
    is_left_alone,
    requested,
    run,
    target_of,
)

# -- for the owner


def test_the_owner_has_nothing_to_do(world, panel):
    """The CNAME is set when the certificate is asked for, the page says so, and it stays as long as that lives."""
    one = requested(world, wildcard=True, aliases=["www.shop.test"])
    run(world, one)
    assert world.in_service(one)
    first = world.get(one).not_after
    run(world, one, time=35 * DAY)
    assert world.get(one).not_after > first
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert [name for kind, name in panel.calls if kind == "remove"] == []


def test_the_page_says_what_the_panel_has_done(world, panel):
    """While something else is waited for, the owner reads that the panel has set the record."""
    panel.net.set("_acme-challenge.www.shop.test", "TXT", "something")
    one = requested(world, aliases=["www.shop.test"])
    assert is_left_alone(world, one)
    assert "The panel has set 1 of the CNAMEs below" in notices(world, one)


def test_what_the_panel_will_set_is_not_missed(world, panel):
    """A look before any certificate exists finds nothing for the owner to do; another tenant is told to act."""
    diagnose, authority = world.core.diagnose, world.authority.id
    codes = {
        owner: [finding.code for finding in diagnose(["shop.test"], authority=authority, owner=owner)]
        for owner in ("anna", "bert")
    }
    assert "cname_missing" not in codes["anna"]
    assert "cname_missing" in codes["bert"]
    panel.is_down = True
    found = world.core.diagnose(["shop.test"], authority=world.authority.id, owner="anna")
    assert "cname_missing" in [finding.code for finding in found]


def test_a_draft_says_what_will_happen(world):
    """Before anything is asked, the page says that the panel sets the record where it hosts the domain."""
    draft = world.core.certificates.create("shop.test", authority=world.authority.id, owner="anna")
    assert "it sets the CNAME when" in notices(world, draft.id)


def test_the_last_certificate_takes_it_along(world, panel):
    """Two certificates need the same CNAME: it goes when the second one is deleted, and the ledger is empty then."""
    first, second = requested(world), requested(world, aliases=["www.shop.test"])
    run(world, first, second)
    assert world.in_service(first)
    assert world.in_service(second)
    world.core.certificates.delete(first)
    assert set(panel.net.at(NAME)) == {"CNAME"}
    world.core.certificates.delete(second)
    assert panel.net.at(NAME) == panel.net.at("_acme-challenge.www.shop.test") == {}
    assert documents(world, "cname") == []


def test_an_alias_that_is_given_up_loses_its_cname(world, panel):
    """After a reissue without it, the next attempt takes the CNAME of the old name away."""
    one = requested(world, aliases=["www.shop.test"])
    run(world, one)
    world.core.certificates.reissue(one, aliases=[])
    run(world, one)
    run(world, one, time=35 * DAY)
    assert panel.net.at("_acme-challenge.www.shop.test") == {}
    assert set(panel.net.at(NAME)) == {"CNAME"}


def test_a_record_that_somebody_removed_is_set_again(world, panel):
    """The ledger is not believed when the DNS does not show it."""
    one = requested(world)
    run(world, one)
    panel.net.set(NAME, "CNAME")
    world.core.certificates.renew(one)
    run(world, one)
    assert set(panel.net.at(NAME)) == {"CNAME"}


# -- not without the panel's word


def test_the_default_is_no(panel):
    """Without a plugin that says who controls the name, the owner sets the CNAME."""

    class Writer:
        name = "writer"

        @hookimpl
        def certcore_zone_writers(self):
            return [panel]

    world = hosted_world(panel, plugins=[Writer()])
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.calls == []
    world.close()


@pytest.mark.parametrize("answer", [1, "yes", RuntimeError("s3cr3t"), SystemExit("s3cr3t")])
def test_a_plugin_that_fails_is_a_no_that_is_told(world, panel, answer):
    """Whatever it raises or returns but True: nothing is set, and the page says why, without the text of the error."""
    panel.answer = answer
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.net.at(NAME) == {}
    assert "could not say who controls the domain" in notices(world, one)
    assert "s3cr3t" not in notices(world, one)
    panel.answer = None
    run(world, one)
    assert world.in_service(one)


def test_a_plugin_that_fails_later_removes_nothing_and_validates_nothing(world, panel):
    """A renewal waits for the panel's word; the CNAME of a living certificate is not torn down for an outage."""
    one = requested(world)
    run(world, one)
    panel.answer = RuntimeError()
    world.core.certificates.renew(one)
    assert len(world.ca.orders) == 1
    run(world, one)
    assert len(world.ca.orders) == 1
    assert set(panel.net.at(NAME)) == {"CNAME"}
    assert world.in_service(one)
    panel.answer = None
    run(world, one)
    assert len(world.ca.orders) == 2


# -- what others have set


@pytest.mark.parametrize(
    ("kind", "value"), [("CNAME", "elsewhere.example"), ("TXT", "v=spf1 -all"), ("A", "192.0.2.7")]
)
def test_a_record_of_somebody_else_stays(world, panel, kind, value):
    """It is neither replaced nor removed, and the page says what is in the way."""
    panel.net.set(NAME, kind, value)
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.net.at(NAME) == {kind: (value,)}
    assert "another record exists there" in notices(world, one)
    world.core.certificates.delete(one)
    assert panel.net.at(NAME) == {kind: (value,)}
    assert documents(world, "cname") == []


def test_a_cname_that_the_owner_has_set_stays(world, panel):
    """The right one, set by hand before: it is used, and not taken away with the certificate."""
    draft = world.core.certificates.create("shop.test", authority=world.authority.id, owner="anna")
    panel.net.set(NAME, "CNAME", target_of(world, draft.id))
    world.core.certificates.generate_csr(draft.id)
    run(world, draft.id)
    assert world.in_service(draft.id)
    world.core.certificates.delete(draft.id)
    assert set(panel.net.at(NAME)) == {"CNAME"}


def test_a_domain_that_is_not_hosted_is_its_owners_business(world, panel):
    """The panel says yes, and its server has no such zone: nothing is written, and the owner sets the CNAME."""
    panel.answer = True
    del panel.hosted["shop.test"]
    one = requested(world)
    assert is_left_alone(world, one)
    assert panel.calls == []
    panel.net.set(NAME, "CNAME", target_of(world, one))
    run(world, one)
    assert world.in_service(one)


# -- failures


def test_a_server_that_is_down(world, panel):
    """The page says so; when it is back the order goes on."""
    panel.is_down = True
    one = requested(world)
    assert is_left_alone(world, one)
    assert "refused the connection" in notices(world, one)
    panel.is_down = False
    run(world, one)
    assert world.in_service(one)


def test_deleted_while_the_server_is_down(world, panel):
    """The certificate is gone at once; the CNAME goes with the next step about another one."""
    one = requested(world)
    run(world, one)
    panel.is_down = True
    world.core.certificates.delete(one)
    assert set(panel.net.at(NAME)) == {"CNAME"}
    panel.is_down = False
    world.core.reconcile(requested(world, "other.test", owner="bert"))
    assert panel.net.at(NAME) == {}
    assert [key for key in documents(world, "cname") if "shop" in key] == []


def test_deleted_while_a_step_sets_it(world, panel):
    """Whichever comes first, nothing is left: neither the CNAME nor a document."""
    one = requested(world)
    panel.meanwhile = lambda: world.core.certificates.delete(one)
    world.core.reconcile(one)
    world.environment.set(world.environment.now() + 2 * MINUTE)
    world.core.reconcile(requested(world, "other.test", owner="bert"))
    assert panel.net.at(NAME) == {}
    assert [key for key in documents(world, "cname") if "shop" in key] == []


def test_it_is_not_for_certcores_own_server(world):
    """A profile whose tech zone certcore serves itself cannot set CNAMEs, and says so."""
    with pytest.raises(InvalidInputError) as refused:
        world.core.authorities.edit(world.authority.id, settings={"zone_writer": "embedded"})
    assert refused.value.field == "set_cnames"
    assert world.get(requested(world)).status is Status.PENDING


def test_a_preflight_tells_that_the_panel_will_refuse(world, panel):
    """Before the renewal: the domain has moved to another owner, and the administrator has the turn."""
    one = requested(world)
    run(world, one)
    assert world.core.certificates.preflight(one).readiness.is_ready
    panel.hosted["shop.test"] = "bert"
    readiness = world.core.certificates.preflight(one).readiness
    assert not readiness.is_ready
    assert readiness.whose_turn == "administrator"
    assert [obstacle.finding.code for obstacle in readiness.obstacles] == ["name_not_controlled"]
