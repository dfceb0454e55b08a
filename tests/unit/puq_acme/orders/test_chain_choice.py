"""Which of the chains that a CA offers is taken: the best that serves, and none is a reason for a new order."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define, field

from certcore.errors import X509Error
from certcore.model.keys import KeyType
from certcore.model.names import DnsName
from certcore.model.subject import Subject
from certcore.net.http import HttpReply
from certcore.testing.local_ca import LittleAuthority
from certcore.x509.chain import parse_chain
from certcore.x509.csr import build_csr
from certcore.x509.keys import generate_key
from certcore_puq_acme.orders.chain_choice import choose_chain
from certcore_puq_acme.profile.settings import PuqAcmeProfile
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.jws import generate_account_key, load_account_key

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BASE = "https://ca.test"
KEY = load_account_key(generate_account_key())
PROFILE = PuqAcmeProfile(ca="custom", directory_url=f"{BASE}/dir", tech_zone=DnsName.parse("acme.panel.test"))
CSR = build_csr(generate_key(KeyType.EC_P256), [DnsName.parse("shop.test")], Subject()).decode()
GOOD, OTHER = LittleAuthority(NOW, name="Good"), LittleAuthority(NOW, name="Other")
#: Both of its certificates ended years ago.
ENDED = LittleAuthority(NOW - timedelta(days=25 * 365), name="Ended")
WHOLE = GOOD.issue(CSR, now=NOW)
LEAF_ONLY = WHOLE[: WHOLE.index("-----END CERTIFICATE-----") + 26]
EXPIRED = ENDED.issue(CSR, now=NOW)
BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
EXTRA = WHOLE + OTHER.intermediate_pem + OTHER.root_pem


@define
class Pages:
    """The CA's pages, over the module's port for HTTP."""

    chains: list[str]
    asked: list[str] = field(factory=list)

    def request(self, method, url, *, body=None, headers=None, home=""):
        headers = [("replay-nonce", f"n{len(self.asked)}")]
        self.asked.append(url)
        if url.endswith("/dir"):
            names = ("newNonce", "newAccount", "newOrder")
            return HttpReply(status=200, url=url, body=json.dumps({name: f"{BASE}/{name}" for name in names}).encode())
        if url.endswith("/newNonce"):
            return HttpReply(status=200, url=url, headers=tuple(headers))
        number = int(url.rsplit("/", 1)[1])
        if number == 0:
            headers += [("link", f'<{BASE}/cert/{one}>;rel="alternate"') for one in range(1, len(self.chains))]
        return HttpReply(status=200, url=url, body=self.chains[number].encode(), headers=tuple(headers))

    def close(self):
        """Nothing is held."""


def _chosen(*chains, profile=PROFILE):
    pages = Pages(list(chains))
    client = AcmeClient(f"{BASE}/dir", key=KEY, http=pages, account_url=f"{BASE}/acct/1", now=lambda: NOW)
    chosen = choose_chain(client, f"{BASE}/cert/0", profile, NOW)
    return chosen, sum("/cert/" in url for url in pages.asked)


@pytest.mark.parametrize("first", [LEAF_ONLY, EXPIRED, BROKEN], ids=["leaf only", "expired", "broken"])
def test_a_whole_alternate_is_better_than_a_chain_with_a_fault(first):
    """Without its intermediate, with an expired link or unreadable: the alternate is taken instead."""
    chosen, fetched = _chosen(first, WHOLE)
    assert chosen.pem == WHOLE
    assert not chosen.refusal
    assert fetched == 2


@pytest.mark.parametrize("chains", [[LEAF_ONLY], [EXPIRED], [LEAF_ONLY, EXPIRED], [EXPIRED, LEAF_ONLY]])
def test_without_a_better_one_the_cas_own_choice_is_taken(chains):
    """A leaf with a chain that is not whole is still a leaf that serves, and is not ordered again."""
    chosen, _ = _chosen(*chains)
    assert chosen.pem == chains[0]
    assert not chosen.refusal
    assert parse_chain(chosen.pem, now=NOW).leaf.names == ("shop.test",)


def test_a_chain_without_a_fault_costs_one_request():
    """Alternates are fetched only when there is a reason."""
    assert _chosen(WHOLE, LEAF_ONLY, EXPIRED)[1] == 1


def test_certificates_that_do_not_belong_to_the_chain_are_no_fault():
    """A CA that sends more than the chain gets its leaf installed, without them."""
    chosen, _ = _chosen(EXTRA)
    assert not chosen.refusal
    chain = parse_chain(chosen.pem, now=NOW)
    assert chain.chain_pem == GOOD.intermediate_pem


def test_chains_none_of_which_can_be_read_are_told():
    """Then, and only then, the download is a failure."""
    with pytest.raises(X509Error):
        _chosen(BROKEN, BROKEN)
