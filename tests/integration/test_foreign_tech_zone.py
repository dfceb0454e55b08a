"""The tech zone on a DNS server that somebody else runs: issuance, and what becomes of values when servers fail."""

import contextlib
from datetime import timedelta

import pytest

from certcore.errors import NotFoundError
from certcore.hookspecs import hookimpl
from certcore.model.hints import Notice
from certcore.testing.server import ProgramMissingError
from support.servers.dns_servers import Bind, HostingBind, HostingKnot, Knot, PowerDns

pytestmark = [pytest.mark.pebble, pytest.mark.integration]


@pytest.fixture
def start_zone(panel):
    """Starts DNS servers with the panel's tech zone."""
    with contextlib.ExitStack() as running:

        def start(kind):
            try:
                return running.enter_context(kind.start(panel.tech_zone))
            except ProgramMissingError as error:
                pytest.skip(error.message)

        yield start


@pytest.fixture
def placed(panel, start_zone, start_unbound, start_pebble):
    """Puts the tech zone on a server, with a resolver and a CA that find it there; gives server and CA profile."""

    def place(kind, **settings):
        server = start_zone(kind)
        resolver = start_unbound({"shop.test": panel.dns.address[1], panel.tech_zone: server.port})
        pebble = start_pebble(dns_server=f"127.0.0.1:{resolver}", authz_reuse=0)
        at = {"dns_servers": [f"127.0.0.1:{resolver}"], **server.settings(), **settings}
        return server, panel.profile(pebble.directory_url, pebble.roots_pem, **at)

    return place


def published(panel, server, certificate_id):
    """The values that the server has at the names of a certificate."""
    state = panel.issuance(certificate_id).module_state or {}
    return {value for name in state.get("targets", {}).values() for value in server.txt_values(name)}


@pytest.mark.parametrize("kind", [Bind, Knot, PowerDns])
def test_issuance(panel, placed, kind):
    """A certificate with several names and a wildcard is issued, and no value is left behind."""
    server, profile = placed(kind)
    one = panel.request(profile, "shop.test", aliases=["www.shop.test"], wildcard=True)
    panel.set_cnames(one)
    panel.until_active(one)
    assert len(published(panel, server, one)) == 3
    panel.core.reconcile(one)
    assert not published(panel, server, one)
    assert panel.txt_values() == []
    assert panel.documents("zone-name/") == []
    assert not panel.issuance(one).needs_clean_up
    assert server.txt_values(f"www.{panel.tech_zone}") == frozenset()
    assert server.has(f"www.{panel.tech_zone}", "A")


@pytest.mark.parametrize("kind", [Bind, PowerDns])
def test_a_server_that_is_down_when_it_is_needed(panel, placed, kind):
    """The page says which server, why, and what to do; when it is back, the same order goes on."""
    server, profile = placed(kind)
    one = panel.request(profile, "shop.test")
    panel.set_cnames(one)
    server.kill()
    panel.drive(one, lambda _: "unwritten" in (panel.issuance(one).findings or {}))
    order = panel.issuance(one).module_state["order"]
    notices = [str(hint.text) for hint in panel.core.certificates.hints(one) if isinstance(hint, Notice)]
    assert any("refused the connection" in text and "127.0.0.1" in text for text in notices)
    assert panel.txt_values() != []  # the ledger knows what is to be there
    panel.drive(one, lambda _: panel.issuance(one).module_state["trouble"]["looks"] > 5)
    server.restart()
    panel.until_active(one)
    assert panel.issuance(one).module_state["order"] == order


@pytest.mark.parametrize("kind", [Bind, PowerDns])
def test_a_server_that_is_down_when_values_are_to_go(panel, placed, kind):
    """The leaf is installed all the same, and the values are withdrawn when the server is back."""
    server, profile = placed(kind)
    one = panel.request(profile, "shop.test")
    panel.set_cnames(one)
    panel.until_active(one)
    assert published(panel, server, one)
    server.kill()
    for _ in range(3):
        panel.environment.skip(timedelta(minutes=5))
        panel.core.reconcile(one)
    assert panel.issuance(one).needs_clean_up
    server.restart()
    assert published(panel, server, one)
    panel.drive(one, lambda _: not panel.issuance(one).needs_clean_up)
    assert not published(panel, server, one)
    assert panel.documents("zone-name/") == []


@pytest.mark.parametrize("kind", [Bind, PowerDns])
def test_a_certificate_is_deleted_while_the_server_is_down(panel, placed, kind):
    """It is gone at once; its values are withdrawn when the server is back, by what is done for another certificate."""
    server, profile = placed(kind)
    first = panel.request(profile, "shop.test")
    panel.set_cnames(first)
    panel.until_active(first)
    names = panel.issuance(first).module_state["targets"].values()
    other = panel.request(profile, "www.shop.test")
    server.kill()
    panel.core.certificates.delete(first)
    with pytest.raises(NotFoundError):
        panel.core.certificates.get(first)
    server.restart()
    assert [name for name in names if server.txt_values(name)]
    panel.core.reconcile(other)
    assert [name for name in names if server.txt_values(name)] == []
    assert panel.documents("zone-name/") == panel.documents("zone-left/") == []


def test_a_server_that_loses_what_it_has_confirmed(panel, placed):
    """Values that vanish from the server (a restored backup, say) before the CA has seen them are written again."""
    server, profile = placed(Bind, zone_shown_by=["127.0.0.1:9"])  # one that shows nothing holds the order up
    one = panel.request(profile, "shop.test")
    panel.set_cnames(one)
    panel.drive(one, lambda _: bool(published(panel, server, one)))
    server.kill()
    for journal in server.folder.glob("*.jnl"):
        journal.unlink()
    server.restart()
    assert not published(panel, server, one)
    panel.core.authorities.edit(profile.id, settings={"zone_shown_by": [server.address]})
    panel.until_active(one)


def test_a_wrong_key_is_told_and_repaired(panel, placed):
    """Credentials that do not work keep the order waiting with the server's own word; set right, it goes on."""
    server, profile = placed(Bind, zone_tsig_secret="bm90IHRoZSBzZWNyZXQ=")
    one = panel.request(profile, "shop.test")
    panel.set_cnames(one)
    panel.drive(one, lambda _: "unwritten" in (panel.issuance(one).findings or {}))
    assert "BADSIG" in panel.issuance(one).findings["unwritten"]["said"]["text"]
    panel.core.authorities.edit(profile.id, settings={"zone_tsig_secret": server.settings()["zone_tsig_secret"]})
    panel.until_active(one)


def test_issuance_by_dns_lexicon(panel, placed):
    """A certificate is issued through a provider of dns-lexicon, and no value is left behind."""
    pytest.importorskip("lexicon", reason="dns-lexicon is not installed")
    server, profile = placed(PowerDns)
    options = f"auth_token = {server.api_key}\npdns_server = {server.api_url}"
    settings = {"zone_writer": "lexicon", "zone_provider": "powerdns", "zone_provider_options": options}
    panel.core.authorities.edit(profile.id, settings=settings)
    one = panel.request(profile, "shop.test")
    panel.set_cnames(one)
    panel.until_active(one)
    assert len(published(panel, server, one)) == 1
    panel.core.reconcile(one)
    assert not published(panel, server, one)
    assert panel.documents("zone-name/") == []


class HostingPanel:
    """Says who controls which domain."""

    def __init__(self):
        self.of = {"shop.panel.test": "anna", "www.shop.panel.test": "anna"}

    @hookimpl
    def certcore_controls_name(self, owner, name):
        return self.of.get(name) == owner


@pytest.mark.parametrize("kind", [HostingBind, HostingKnot, PowerDns])
def test_a_domain_that_the_server_hosts(panel, start_unbound, start_pebble, kind):
    """The owner does nothing: the CNAMEs are set, the certificate is issued and renewed, and they go with it."""
    panel.options["plugins"] = [HostingPanel()]
    panel.restart()
    try:
        server = kind.start("panel.test")
    except ProgramMissingError as error:
        pytest.skip(error.message)
    with server:
        resolver = start_unbound({"panel.test": server.port})
        pebble = start_pebble(dns_server=f"127.0.0.1:{resolver}", authz_reuse=0)
        at = {"zone_at_server": "panel.test", "set_cnames": True, "dns_servers": [f"127.0.0.1:{resolver}"]}
        profile = panel.profile(pebble.directory_url, pebble.roots_pem, **server.settings(), **at)
        one = panel.request(profile, "shop.panel.test", aliases=["www.shop.panel.test"], wildcard=True, owner="anna")
        panel.until_active(one)
        for base in ("shop.panel.test", "www.shop.panel.test"):
            assert server.cname(f"_acme-challenge.{base}").endswith(f".{panel.tech_zone}")
        panel.core.reconcile(one)
        panel.core.certificates.renew(one)
        panel.until_active(one)
        panel.core.certificates.delete(one)
        assert not server.has("_acme-challenge.shop.panel.test", "CNAME")
        assert not server.has("_acme-challenge.www.shop.panel.test", "CNAME")
        assert panel.documents("cname") == []
