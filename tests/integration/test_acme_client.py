"""The ACME client against a real Pebble that refuses half of all nonces."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from certcore.errors import CertCoreError
from certcore.testing.pebble import ChallTestSrv, Pebble
from certcore_puq_acme.protocol.client import AcmeClient
from certcore_puq_acme.protocol.errors import AcmeProblemError, TransportError
from certcore_puq_acme.protocol.http import Http
from certcore_puq_acme.protocol.jws import ExternalAccountBinding, generate_account_key, load_account_key
from certcore_puq_acme.protocol.resources import Authorization, Order

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.skipif(
        shutil.which("pebble") is None or shutil.which("pebble-challtestsrv") is None,
        reason="pebble is not installed: install the Debian package pebble",
    ),
]

T = TypeVar("T", Order, Authorization)
EAB = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}


@pytest.fixture(scope="module")
def dns() -> Iterator[ChallTestSrv]:
    """A DNS server that says what the tests tell it."""
    with ChallTestSrv.start() as server:
        yield server


@pytest.fixture(scope="module")
def pebble(dns: ChallTestSrv) -> Iterator[Pebble]:
    """A Pebble that refuses half of all good nonces and never reuses an authorization."""
    with Pebble.start(dns_server=dns.dns_address, nonce_reject=50, authz_reuse=0, alternate_roots=1) as server:
        yield server


@pytest.fixture
def client(pebble: Pebble) -> Iterator[AcmeClient]:
    """A client with a fresh account."""
    client, http = connect(pebble)
    client.new_account(["owner@example.org"], terms_agreed=True)
    yield client
    http.close()


def connect(pebble: Pebble, pem: bytes = b"", account_url: str = "") -> tuple[AcmeClient, Http]:
    http = Http(extra_roots=pebble.roots_pem)
    key = load_account_key(pem or generate_account_key())
    return AcmeClient(pebble.directory_url, key=key, http=http, account_url=account_url), http


def settled(ask: Callable[[], T], *moving: str) -> T:
    """Ask until the status is none of these."""
    deadline = time.monotonic() + 120
    while (found := ask()).status in moving:
        assert time.monotonic() < deadline, "Pebble hung"
        time.sleep(0.02)
    return found


def csr_for(names: list[str]) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    request = request.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def publish(dns: ChallTestSrv, client: AcmeClient, authorization: Authorization) -> None:
    """Publish the TXT value behind a CNAME, as a domain's owner and a tech zone do together."""
    challenge = authorization.challenge("dns-01")
    assert challenge is not None
    target = f"{authorization.identifier.replace('.', '-')}.tech.test"
    dns.set_cname(f"_acme-challenge.{authorization.identifier}", target)
    dns.set_txt(target, client.dns01_value(challenge.token))
    client.answer(challenge.url)


def test_the_same_key_finds_the_same_account(pebble: Pebble) -> None:
    """An account is created once; the same key finds it again, and an unknown key finds nothing."""
    pem = generate_account_key()
    first, second = connect(pebble, pem)[0], connect(pebble, pem)[0]
    with pytest.raises(AcmeProblemError) as caught:
        first.new_account(only_return_existing=True)
    assert caught.value.acme_type == "accountDoesNotExist"
    made = first.new_account(["owner@example.org"], terms_agreed=True)
    assert (made.status, made.contact) == ("valid", ("mailto:owner@example.org",))
    assert second.new_account(only_return_existing=True).url == made.url
    assert second.new_account(terms_agreed=True).url == made.url
    assert second.account().status == "valid"


@pytest.mark.parametrize("kind", ["p384", "rsa"])
def test_other_account_keys(pebble: Pebble, kind: str) -> None:
    """P-384 and RSA account keys work as well."""
    key = ec.generate_private_key(ec.SECP384R1()) if kind == "p384" else rsa.generate_private_key(65537, 2048)
    client, _ = connect(pebble, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert client.new_account(terms_agreed=True).status == "valid"


def test_external_account_binding() -> None:
    """A CA that requires a binding says so in its directory, refuses without one and accepts the right one."""
    with Pebble.start(eab=EAB, nonce_reject=50) as pebble:
        client, _ = connect(pebble)
        assert client.directory().external_account_required
        with pytest.raises(AcmeProblemError) as caught:
            client.new_account(terms_agreed=True)
        assert caught.value.acme_type == "externalAccountRequired"
        with pytest.raises(AcmeProblemError):
            client.new_account(terms_agreed=True, eab=ExternalAccountBinding(kid="kid-1", hmac_key="d3Jvbmc"))
        bound = ExternalAccountBinding(kid="kid-1", hmac_key=EAB["kid-1"])
        assert client.new_account(terms_agreed=True, eab=bound).status == "valid"


def test_apex_and_wildcard_end_to_end(pebble: Pebble, dns: ChallTestSrv, client: AcmeClient) -> None:
    """An order for apex and wildcard is validated, finalized, downloaded with its alternate chain, and revoked."""
    names = ["a.example.org", "*.a.example.org"]
    order = client.new_order(names)
    assert sorted(order.identifiers) == sorted(names)
    for url in order.authorizations:
        authorization = client.authorization(url)
        assert (authorization.identifier, authorization.status) == ("a.example.org", "pending")
        publish(dns, client, authorization)
    for url in order.authorizations:
        assert settled(lambda url=url: client.authorization(url), "pending", "processing").status == "valid"  # type: ignore[misc]
    ready = settled(lambda: client.order(order.url), "pending")
    client.finalize(ready, csr_for(names))
    done = settled(lambda: client.order(order.url), "ready", "processing")
    assert done.status == "valid"
    download = client.certificate(done.certificate)
    leaf = x509.load_pem_x509_certificates(download.chain_pem)[0]
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert sorted(found) == sorted(names)
    assert len(download.alternates) == 1
    other = client.certificate(download.alternates[0])
    assert x509.load_pem_x509_certificates(other.chain_pem)[0] == leaf
    assert pebble.issuer_root_pem() != pebble.issuer_root_pem(1)
    client.revoke(leaf.public_bytes(Encoding.DER), reason=4)
    with pytest.raises(AcmeProblemError) as caught:
        client.revoke(leaf.public_bytes(Encoding.DER))
    assert caught.value.acme_type == "alreadyRevoked"


def test_a_wrong_txt_value(dns: ChallTestSrv, client: AcmeClient) -> None:
    """A failed validation leaves an invalid authorization that tells why, and an invalid order."""
    order = client.new_order(["wrong.example.org"])
    authorization = client.authorization(order.authorizations[0])
    challenge = authorization.challenge("dns-01")
    assert challenge is not None
    dns.set_txt("_acme-challenge.wrong.example.org", "nonsense")
    client.answer(challenge.url)
    failed = settled(lambda: client.authorization(authorization.url), "pending", "processing")
    assert failed.status == "invalid"
    assert failed.problem is not None
    assert failed.problem.acme_type in {"unauthorized", "incorrectResponse"}
    assert settled(lambda: client.order(order.url), "pending", "ready").status == "invalid"


def test_an_authorization_can_be_given_up(client: AcmeClient) -> None:
    """A pending authorization can be deactivated."""
    order = client.new_order(["up.example.org"])
    assert client.deactivate_authorization(order.authorizations[0]).status == "deactivated"


def test_the_account_key_can_change(pebble: Pebble) -> None:
    """After a key change the account is the same, the new key works, and the old one is unknown."""
    old, new = generate_account_key(), load_account_key(generate_account_key())
    client, _ = connect(pebble, old)
    account = client.new_account(terms_agreed=True)
    client.change_key(new)
    assert client.account().url == account.url
    with pytest.raises(AcmeProblemError) as caught:
        connect(pebble, old)[0].new_account(only_return_existing=True)
    assert caught.value.acme_type == "accountDoesNotExist"
    assert client.deactivate_account().status == "deactivated"


def test_four_orders_in_flight_share_a_client() -> None:
    """Four threads on one client, with half of all nonces refused, lose no order."""

    def issue(client: AcmeClient, number: int) -> str:
        name = f"n{number}.example.org"
        order = client.new_order([name])
        authorization = client.authorization(order.authorizations[0])
        if authorization.status == "pending":
            challenge = authorization.challenge("dns-01")
            assert challenge is not None
            client.answer(challenge.url)
        valid = settled(lambda: client.authorization(authorization.url), "pending", "processing")
        assert valid.status == "valid"
        client.finalize(client.order(order.url), csr_for([name]))
        return settled(lambda: client.order(order.url), "ready", "processing").status

    with Pebble.start(always_valid=True, nonce_reject=50) as pebble:
        client, http = connect(pebble)
        client.new_account(terms_agreed=True)
        with ThreadPoolExecutor(4) as pool:
            assert set(pool.map(partial(issue, client), range(20))) == {"valid"}
        http.close()


def test_a_missing_pebble_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the binaries the error says which Debian package has them."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CertCoreError, match=r"pebble is not installed\. On Debian: apt-get install pebble\."):
        Pebble.start()
    with pytest.raises(CertCoreError, match="pebble-challtestsrv is not installed"):
        ChallTestSrv.start()


def test_a_refused_name_says_why(client: AcmeClient) -> None:
    """A name that the CA will not take is a problem of its own type."""
    with pytest.raises(AcmeProblemError) as caught:
        client.new_order(["a.*.example.org"])
    assert caught.value.acme_type in {"rejectedIdentifier", "malformed"}
    assert caught.value.detail


def test_a_stopped_pebble(pebble: Pebble) -> None:
    """Stopping twice is one stop; what comes after is a refused connection; the other Pebble lives on."""
    with Pebble.start(always_valid=True, nonce_reject=0) as other:
        client, _ = connect(other)
        client.new_account(terms_agreed=True)
        other.stop()
        other.stop()
        assert not other.running()
    with pytest.raises(TransportError):
        client.account()  # the pooled connection may notice first
    with pytest.raises(TransportError) as caught:
        client.account()
    assert caught.value.kind == "refused"
    assert pebble.running()
