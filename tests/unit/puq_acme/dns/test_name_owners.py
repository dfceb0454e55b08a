"""Two owners claim one name at the same moment: the store lets one of them."""

import threading
from contextlib import closing
from datetime import timedelta

import pytest

from certcore.adapters.sql import open_storage
from certcore.engine.module_store import StoredDocuments
from certcore.model.form import structure
from certcore.ports.ca_module import ModuleContext
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.dns.delegation import Delegation
from certcore_puq_acme.dns.name_owners import Claim, bind_name, claim_name, is_bound_to_another
from certcore_puq_acme.profile.settings import PuqAcmeProfile
from support.databases import sqlite_with_tables

SHOP = Delegation(base="shop.example", name="_acme-challenge.shop.example", target="shop.example.acme.panel.example")


def context(documents, owner, *, later=timedelta(0)):
    environment = FrozenEnvironment()
    environment.set(environment.now() + later)
    profile = structure(PuqAcmeProfile, {"tech_zone": "acme.panel.example", "adopt_labels": "yes"})
    return ModuleContext(authority_id="1", profile=profile, documents=documents, environment=environment, owner=owner)


def at_once(calls):
    """What calls return that threads make at the same moment."""
    results, barrier = [], threading.Barrier(len(calls))

    def run(call):
        barrier.wait()
        results.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.fixture(params=["memory", "sqlite"])
def documents(request, tmp_path):
    """The module's documents, in memory and in a database."""
    if request.param == "memory":
        yield MemoryDocuments()
        return
    with closing(open_storage(sqlite_with_tables(tmp_path))) as storage:
        yield StoredDocuments(storage, None, "puq_acme")


def test_one_of_many_owners_gets_it(documents):
    """Whoever is first; the others are told that somebody is proving it."""
    calls = [lambda owner=f"owner-{number}": claim_name(context(documents, owner), SHOP) for number in range(6)]
    assert sorted(at_once(calls)) == [Claim.CLAIMED] * 5 + [Claim.OURS]


def test_several_certificates_of_one_owner_do_not_hinder_each_other():
    """All of them claim and bind it at once."""
    documents = MemoryDocuments()
    calls = [lambda: claim_name(context(documents, "anna"), SHOP)] * 2
    assert at_once(calls) == [Claim.OURS] * 2
    assert at_once([lambda: bind_name(context(documents, "anna"), SHOP)] * 2) == [True] * 2


def test_a_bound_name_is_not_claimed():
    """However long ago it was bound; and nobody else binds it."""
    documents = MemoryDocuments()
    assert bind_name(context(documents, "anna"), SHOP)
    other = context(documents, "bert", later=timedelta(days=1000))
    assert claim_name(other, SHOP) is Claim.TAKEN
    assert not bind_name(other, SHOP)
    assert is_bound_to_another(other, "shop.example")
    assert not is_bound_to_another(context(documents, "anna"), "shop.example")


@pytest.mark.parametrize("later", [timedelta(hours=2), timedelta(days=-365)], ids=["an hour ago", "from the future"])
def test_a_claim_without_a_proof_ends(later):
    """Also one that was made under a wrong clock; who made it binds nothing after that."""
    documents = MemoryDocuments()
    assert claim_name(context(documents, "anna"), SHOP) is Claim.OURS
    assert claim_name(context(documents, "bert"), SHOP) is Claim.CLAIMED
    assert claim_name(context(documents, "bert", later=later), SHOP) is Claim.OURS
    assert not bind_name(context(documents, "anna"), SHOP)


@pytest.mark.parametrize("value", [{}, {"owner": None}, {"owner": ["anna"]}, {"owner": 5, "proved": False}])
def test_a_binding_that_cannot_be_read_keeps_everybody_out(value):
    """A damaged document does not give a name away."""
    documents = MemoryDocuments()
    documents.put(f"name-owner/{SHOP.target}", value)
    assert claim_name(context(documents, "anna"), SHOP) is Claim.TAKEN
    assert not bind_name(context(documents, "anna"), SHOP)
