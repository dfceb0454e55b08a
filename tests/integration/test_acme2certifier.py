"""A second ACME server, which shares no code with Pebble, and what it does otherwise."""

import contextlib
import importlib.util
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certcore import Status
from certcore.adapters.environment import SystemEnvironment
from certcore.errors import CertCoreError
from certcore.testing.dns_zone import MemoryZone
from certcore.x509.chain import parse_chain, verify_chain
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError
from certcore_puq_acme.protocol.http import Http
from certcore_puq_acme.protocol.jws import ExternalAccountBinding, b64url, generate_account_key, load_account_key
from certcore_puq_acme.techzone.server import ZoneServer
from support.servers.acme2certifier import Acme2certifier

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("acme2certifier") is None,
    reason="acme2certifier is not installed: pip install acme2certifier",
)

_OWNER = "owner@example.org"
_EAB = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
_PROFILES = {"classic": "certificates for 90 days", "shortlived": "certificates for 6 days"}


class Zones:
    """A customer's zone and a tech zone, served by one of our own DNS servers."""

    def __init__(self):
        self.customer, self.tech = MemoryZone("shop.test"), MemoryZone("acme.panel.test")
        self.server = ZoneServer(("127.0.0.1", 0), [self.customer, self.tech], SystemEnvironment())
        self.address = f"127.0.0.1:{self.server.address[1]}"

    def publish(self, name, value):
        """What a domain's owner does once, and a tech zone each time."""
        target = f"{name.replace('.', '-')}.acme.panel.test"
        self.customer.set(f"_acme-challenge.{name}", "CNAME", target)
        self.tech.add(target, "TXT", value)


@pytest.fixture(scope="module")
def zones():
    """The DNS of all tests of this module, each of which has names of its own."""
    zones = Zones()
    with contextlib.closing(zones.server):
        yield zones


@pytest.fixture(scope="module")
def server(zones):
    """A server with all that does no harm switched on."""
    with Acme2certifier.start(
        dns_server=zones.address,
        terms="https://ca.test/terms",
        profiles=_PROFILES,
        profile_days={"shortlived": 6},
        renewal_percent=50,
        renewal_window=timedelta(hours=2),
        renewal_retry_after=600,
        dns_persist=True,
    ) as server:
        yield server


@pytest.fixture
def connect():
    """Makes clients, and closes their connections at the end."""
    with contextlib.ExitStack() as closing:

        def connect(server, pem=b""):
            http = Http(extra_roots=server.roots_pem)
            closing.callback(http.close)
            return AcmeClient(server.directory_url, key=load_account_key(pem or generate_account_key()), http=http)

        yield connect


@pytest.fixture
def client(server, connect):
    """A client with a fresh account."""
    client = connect(server)
    client.new_account([_OWNER], terms_agreed=True)
    return client


def _csr(names):
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = request.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return key, request.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _validated(zones, client, names, **order):
    """An order whose names are proven with dns-01."""
    order = client.new_order(names, **order)
    for url in order.authorizations:
        authorization = client.authorization(url)
        challenge = authorization.challenge("dns-01")
        zones.publish(authorization.identifier, client.dns01_value(challenge.token))
        client.answer(challenge.url)
    return client.order(order.url)


def _issue(zones, client, names, **order):
    """The key and the chain of a new certificate."""
    key, csr = _csr(names)
    done = client.finalize(_validated(zones, client, names, **order), csr)
    assert done.status == "valid"
    return key, client.certificate(done.certificate).chain_pem


def _leaf(chain_pem):
    return x509.load_pem_x509_certificates(chain_pem)[0]


def _ari_id(leaf):
    """The certificate's identifier in renewal information (RFC 9773 section 4.1)."""
    authority = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    serial = leaf.serial_number
    return f"{b64url(authority)}.{b64url(serial.to_bytes(serial.bit_length() // 8 + 1, 'big'))}"


def test_the_same_key_finds_the_same_account(server, connect):
    """An account is created once; the same key finds it again, and an unknown key finds nothing."""
    pem = generate_account_key()
    first, second = connect(server, pem), connect(server, pem)
    with pytest.raises(AcmeProblemError) as caught:
        first.new_account(only_return_existing=True)
    assert caught.value.acme_type == "accountDoesNotExist"
    with pytest.raises(AcmeProblemError) as caught:
        first.new_account([_OWNER])
    assert caught.value.acme_type == "userActionRequired"
    made = first.new_account([_OWNER], terms_agreed=True)
    assert (made.status, made.contact) == ("valid", (f"mailto:{_OWNER}",))
    assert second.new_account(only_return_existing=True).url == made.url
    assert second.account().contact == (f"mailto:{_OWNER}",)
    assert second.new_account([_OWNER], terms_agreed=True).url == made.url
    assert second.update_contact(["new@example.org"]).contact == ("mailto:new@example.org",)


def test_the_account_key_can_change(server, connect):
    """After a key change the account is the same and the old key unknown; a deactivated account is gone."""
    old, new = generate_account_key(), load_account_key(generate_account_key())
    client = connect(server, old)
    account = client.new_account([_OWNER], terms_agreed=True)
    client.change_key(new)
    assert client.account().url == account.url
    with pytest.raises(AcmeProblemError) as caught:
        connect(server, old).new_account(only_return_existing=True)
    assert caught.value.acme_type == "accountDoesNotExist"
    assert client.deactivate_account().status == "deactivated"
    with pytest.raises(AcmeProblemError) as caught:
        client.account()
    assert (caught.value.acme_type, caught.value.status) == ("accountDoesNotExist", 403)


def test_external_account_binding(connect):
    """A server that requires a binding says so, refuses without one and with a wrong one, and accepts the right one."""
    with Acme2certifier.start(eab=_EAB) as server:
        client = connect(server)
        assert client.directory().external_account_required
        with pytest.raises(AcmeProblemError) as caught:
            client.new_account([_OWNER])
        assert caught.value.acme_type == "externalAccountRequired"
        with pytest.raises(AcmeProblemError) as caught:
            client.new_account([_OWNER], eab=ExternalAccountBinding(kid="kid-1", hmac_key="d3Jvbmc"))
        assert caught.value.acme_type == "unauthorized"
        bound = ExternalAccountBinding(kid="kid-1", hmac_key=_EAB["kid-1"])
        assert client.new_account([_OWNER], eab=bound).status == "valid"
        assert client.new_order(["bound.shop.test"]).status == "pending"


def test_the_directory_tells_what_is_switched_on(server, connect):
    """Terms, identities, profiles and renewal information are in the directory, and only when they are wanted."""
    found = connect(server).directory()
    assert found.profiles == _PROFILES
    assert found.renewal_info.startswith(server.directory_url.removesuffix("/directory"))
    assert (found.terms_of_service, found.caa_identities) == ("https://ca.test/terms", ("ca.test",))
    assert not found.external_account_required
    with Acme2certifier.start(renewal_info=False, caa_identities=()) as plain:
        found = connect(plain).directory()
    assert (found.renewal_info, found.terms_of_service) == ("", "")
    assert (dict(found.profiles), found.caa_identities) == ({}, ())


def test_apex_and_wildcard_through_a_cname(server, zones, client):
    """An order is validated through the owner's CNAME; its chain verifies against the root; it is revoked once."""
    names = ["a.shop.test", "*.a.shop.test"]
    _, chain_pem = _issue(zones, client, names)
    chain = parse_chain(chain_pem)
    verify_chain(chain, server.issuer_root_pem(), datetime.now(UTC))
    assert chain.chain_pem.count("BEGIN CERTIFICATE") == 1
    assert set(chain.leaf.names) == set(names)
    leaf = _leaf(chain_pem)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=90)
    assert leaf.serial_number not in server.revoked_serials()
    client.revoke(leaf.public_bytes(Encoding.DER), reason=4)
    assert leaf.serial_number in server.revoked_serials()
    with pytest.raises(AcmeProblemError) as caught:
        client.revoke(leaf.public_bytes(Encoding.DER))
    assert caught.value.acme_type == "alreadyRevoked"


def test_a_certificate_does_not_revoke_itself(server, zones, client, connect):
    """A request signed with the certificate's own key is taken for one of an unknown account: nothing is revoked."""
    key, chain_pem = _issue(zones, client, ["key.shop.test"])
    leaf = _leaf(chain_pem)
    own = connect(server, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(AcmeProblemError) as caught:
        own.revoke(leaf.public_bytes(Encoding.DER), by_key=True)
    assert (caught.value.acme_type, caught.value.status) == ("accountDoesNotExist", 403)
    assert leaf.serial_number not in server.revoked_serials()


def test_profiles_and_their_renewal_windows(zones, client):
    """Certificates of a profile live as long as it says; each is to be renewed in the middle of its life."""
    for profile, days in {"classic": 90, "shortlived": 6}.items():
        leaf = _leaf(_issue(zones, client, [f"{profile}.shop.test"], profile=profile)[1])
        life = leaf.not_valid_after_utc - leaf.not_valid_before_utc
        assert life == timedelta(days=days)
        found = client.fetch(f"{client.directory().renewal_info}/{_ari_id(leaf)}")
        window = {end: datetime.fromisoformat(at) for end, at in found.document["suggestedWindow"].items()}
        assert window["start"] == leaf.not_valid_before_utc + life / 2
        assert window["end"] - window["start"] == timedelta(hours=2)
        assert found.retry_after == 600
    with pytest.raises(AcmeProblemError) as caught:
        client.new_order(["unknown.shop.test"], profile="unknown")
    assert caught.value.acme_type == "invalidProfile"


def test_renewal_of_all_certificates_now(zones, connect):
    """When the server wants everything renewed, the suggested window has begun already."""
    with Acme2certifier.start(dns_server=zones.address, renewal_now=True) as server:
        client = connect(server)
        client.new_account([_OWNER])
        leaf = _leaf(_issue(zones, client, ["now.shop.test"])[1])
        found = client.fetch(f"{client.directory().renewal_info}/{_ari_id(leaf)}").document["suggestedWindow"]
    start, end = (datetime.fromisoformat(found[name]) for name in ("start", "end"))
    assert start < leaf.not_valid_before_utc < end


def test_a_wrong_value_leaves_the_order_pending(zones, client):
    """Only the authorization shows that a validation failed, without a reason; the order keeps waiting."""
    order = client.new_order(["wrong.shop.test"])
    challenge = client.authorization(order.authorizations[0]).challenge("dns-01")
    zones.publish("wrong.shop.test", "nonsense")
    assert client.answer(challenge.url).status == "invalid"
    failed = client.authorization(order.authorizations[0])
    assert (failed.status, failed.problem) == ("invalid", None)
    assert client.order(order.url).status == "pending"
    # Asking again is enough to have it checked again.
    zones.publish("wrong.shop.test", client.dns01_value(challenge.token))
    assert client.challenge(challenge.url).status == "valid"
    assert client.order(order.url).status == "ready"


def test_an_authorization_cannot_be_given_up(client):
    """The request to deactivate an authorization changes nothing."""
    order = client.new_order(["up.shop.test"])
    assert client.deactivate_authorization(order.authorizations[0]).status == "pending"


def test_a_refused_csr_leaves_the_order_processing(zones, client):
    """A CSR for other names is refused, and the order is stuck: it takes no other CSR."""
    order = _validated(zones, client, ["csr.shop.test"])
    with pytest.raises(AcmeProblemError) as caught:
        client.finalize(order, _csr(["other.shop.test"])[1])
    assert caught.value.acme_type == "badCSR"
    assert client.order(order.url).status == "processing"
    with pytest.raises(AcmeProblemError) as caught:
        client.finalize(order, _csr(["csr.shop.test"])[1])
    assert caught.value.acme_type == "orderNotReady"


def test_dns_persist(zones, client):
    """A lasting record for this account proves a name again and again, and a wildcard if its policy says so."""
    record = f"ca.test; accounturi={client.account_url}"
    for policy, status in {"": "invalid", "; policy=wildcard": "valid"}.items():
        zones.customer.set("_validation-persist.lasting.shop.test", "TXT", record + policy)
        for name, expected in {"lasting.shop.test": "valid", "*.lasting.shop.test": status}.items():
            order = client.new_order([name])
            challenge = client.authorization(order.authorizations[0]).challenge("dns-persist-01")
            assert challenge.token == ""
            assert client.answer(challenge.url).status == expected
    zones.customer.set("_validation-persist.lasting.shop.test", "TXT", f"ca.test; accounturi={client.account_url}0")
    order = client.new_order(["lasting.shop.test"])
    challenge = client.authorization(order.authorizations[0]).challenge("dns-persist-01")
    assert client.answer(challenge.url).status == "invalid"


def test_prevalidated_names_need_no_challenge(zones, connect):
    """An authorization of a name that the server trusts is valid as soon as it is fetched."""
    with Acme2certifier.start(dns_server=zones.address, prevalidated=["known.shop.test"], days=7) as server:
        client = connect(server)
        client.new_account([_OWNER])
        order = client.new_order(["known.shop.test"])
        assert client.authorization(order.authorizations[0]).status == "valid"
        done = client.finalize(client.order(order.url), _csr(["known.shop.test"])[1])
        leaf = _leaf(client.certificate(done.certificate).chain_pem)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=7)


def test_a_certificate_that_comes_later(zones, connect):
    """When the server does not wait for its CA, the order is processing first, and valid a moment after."""
    with Acme2certifier.start(dns_server=zones.address, enrollment_seconds=0, retry_after=3) as server:
        client = connect(server)
        client.new_account([_OWNER])
        order = _validated(zones, client, ["later.shop.test"])
        done = client.finalize(order, _csr(["later.shop.test"])[1])
        assert (done.status, done.retry_after) in {("processing", 3.0), ("valid", None)}
        deadline = time.monotonic() + 120
        while (done := client.order(order.url)).status == "processing":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert _leaf(client.certificate(done.certificate).chain_pem)


def test_eight_orders_in_flight(zones, client):
    """Eight threads on one client lose no order."""
    with ThreadPoolExecutor(8) as pool:
        done = pool.map(lambda number: _issue(zones, client, [f"n{number}.shop.test"]), range(16))
    assert len({_leaf(chain_pem).serial_number for _, chain_pem in done}) == 16


def test_the_panel_gets_a_certificate(panel, start_acme2certifier):
    """A panel's certificate becomes active through the CNAME, with a new process for every step."""
    server = start_acme2certifier(enrollment_seconds=0)
    certificate_id = panel.request(panel.profile(server.directory_url, server.roots_pem), "shop.test", wildcard=True)
    panel.set_cnames(certificate_id)
    assert panel.until_active(certificate_id, restart=True).status is Status.ACTIVE
    chain = parse_chain(panel.core.certificates.export(certificate_id, reason="test").fullchain_pem)
    verify_chain(chain, server.issuer_root_pem(), panel.environment.now())
    assert panel.txt_values() == []


def test_the_panel_revokes(panel, start_acme2certifier):
    """The account that issued revokes; the certificate is revoked when the CA has confirmed it."""
    server = start_acme2certifier()
    certificate_id = panel.request(panel.profile(server.directory_url, server.roots_pem), "shop.test")
    panel.set_cnames(certificate_id)
    panel.until_active(certificate_id)
    serial = int(panel.core.certificates.view(certificate_id).leaf.serial_hex, 16)
    assert serial not in server.revoked_serials()
    assert panel.core.certificates.revoke(certificate_id, reason="superseded").status is Status.REVOKED
    assert serial in server.revoked_serials()


def test_an_order_that_stays_pending_after_a_failure(panel, start_acme2certifier, zones):
    """If the CA never makes the order invalid, the authorization is read, and the failure names the identifier."""
    blind = start_acme2certifier(dns_server=zones.address)
    profile = panel.profile(blind.directory_url, blind.roots_pem)
    certificate_id = panel.request(profile, "shop.test")
    panel.set_cnames(certificate_id)
    begun = panel.environment.now()
    failed = panel.drive(certificate_id, lambda certificate: certificate.problem is not None)
    assert panel.environment.now() - begun < timedelta(hours=1)
    assert failed.status is Status.PENDING
    assert "could not validate shop.test" in str(failed.problem)
    assert panel.txt_values() == []
    healthy = start_acme2certifier()
    panel.move(profile, healthy)
    panel.until_active(certificate_id)


def test_a_stopped_server_leaves_nothing(server):
    """Stopping a server twice is harmless, removes its folder, and does not affect the other server."""
    with Acme2certifier.start() as other:
        folder = other.log_path.parent
        assert folder.is_dir()
        other.stop()
        other.stop()
        assert not other.running()
    assert not folder.exists()
    assert server.running()


def test_an_interpreter_without_the_package(tmp_path):
    """The error says for which interpreter the package is missing, and how to install it."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(CertCoreError, match="acme2certifier is not installed for") as caught:
        Acme2certifier.start(python=str(bare))
    assert caught.value.advice == "Run: pip install acme2certifier."
