"""The simulated CA is strict: it checks what a real one checks, so that what passes here is worth something."""

import json
from datetime import timedelta

import pytest

from certcore import Status
from certcore_puq_acme.protocol.account_key_types import AccountKeyType
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.jws import AccountSigner, generate_account_key, load_account_key
from support.simulation.simulated_ca import BASE
from support.simulation.simulated_world import World

HOUR = timedelta(hours=1)


@pytest.fixture
def world():
    world = World()
    yield world
    world.close()


def _key():
    return load_account_key(generate_account_key(AccountKeyType.EC_P256))


def test_a_certificate_comes_and_is_renewed(world):
    """From the CNAME to a leaf with its chain, and again when two thirds of its life are over."""
    certificate_id = world.request("shop.test", wildcard=True)
    world.run(world.environment.now() + HOUR, [certificate_id])
    first = world.get(certificate_id).not_after
    assert {name.ascii for name in world.get(certificate_id).names} == {"shop.test", "*.shop.test"}
    world.run(world.environment.now() + timedelta(days=32), [certificate_id])
    assert world.in_service(certificate_id)
    assert world.get(certificate_id).not_after > first
    orders = list(world.ca.orders.values())
    assert [bool(order.replaces) for order in orders] == [False, True]


def test_without_the_value_there_is_no_leaf(world):
    """The CA looks the TXT value up through the owner's CNAME: where that is gone, the order is invalid."""
    certificate_id = world.request("shop.test")
    world.ca.txt_values = lambda name: ()
    world.run(world.environment.now() + HOUR, [certificate_id])
    assert world.get(certificate_id).status is not Status.ACTIVE
    assert {order.status for order in world.ca.orders.values()} == {"invalid"}


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"nonce": "made-up"}, "badNonce"),
        ({"url": f"{BASE}/newOrder"}, "unauthorized"),
        ({"key": True}, "unauthorized"),
        ({"kid": "https://ca.simulated.test/account/unknown"}, "accountDoesNotExist"),
    ],
)
def test_requests_that_are_not_right_are_refused(world, change, kind):
    """A nonce that was not given, a signature for another URL or by another key, an account that is not there."""
    key = _key()
    client = AcmeClient(f"{BASE}/directory", key=key, http=world.ca)
    url = client.new_account(terms_agreed=True).url
    signer = AccountSigner(_key() if change.get("key") else key)
    nonce = change.get("nonce") or world.ca.request("HEAD", f"{BASE}/newNonce", home=f"{BASE}/directory").header(
        "Replay-Nonce"
    )
    body = signer.sign(b"", url=change.get("url", url), nonce=nonce, kid=change.get("kid", url))
    headers = {"Content-Type": "application/jose+json"}
    reply = world.ca.request("POST", url, body=body, headers=headers, home=f"{BASE}/directory")
    assert reply.status >= 400
    assert json.loads(reply.body)["type"].endswith(kind)


def test_one_account_does_not_see_anothers_order(world):
    """An order is there for the account that placed it alone."""
    clients = [AcmeClient(f"{BASE}/directory", key=_key(), http=world.ca) for _ in range(2)]
    for client in clients:
        client.new_account(terms_agreed=True)
    order = clients[0].new_order(["shop.test"])
    assert clients[0].order(order.url).status == "pending"
    with pytest.raises(AcmeProblemError, match="no such thing"):
        clients[1].order(order.url)
