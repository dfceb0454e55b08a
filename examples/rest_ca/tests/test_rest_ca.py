"""The module in certcore, against its server: orders, approval, retries, lost answers, revocation."""

import contextlib
import socket
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest

from certcore import CertCore
from certcore.hints import hint_to_json
from certcore.plugin import CAError
from certcore.testing import CAModuleContract, FrozenEnvironment, ModuleHarness, conformance, make_request
from certcore_rest_ca import plugin
from certcore_rest_ca.server import serve
from certcore_rest_ca.service import CAService

TOKENS = {"panel": "token-of-the-panel", "other": "token-of-another-panel", "approver": "token-of-the-approver"}


@pytest.fixture
def clock():
    return FrozenEnvironment()


@pytest.fixture
def server(clock):
    with serve(CAService(clock.now), TOKENS) as server:
        yield server


def _core(clock):
    return CertCore.in_memory(plugins=[plugin], installed_plugins=False, environment=clock)


@pytest.fixture
def core(clock):
    with _core(clock) as core:
        yield core


@pytest.fixture
def authority_id(core, server):
    settings = {"url": server.url, "token": TOKENS["panel"]}
    return core.authorities.create("approving", module="rest_ca", settings=settings).id


def _requested(core, authority_id, name="shop.example"):
    certificate = core.certificates.create(name, authority=authority_id)
    core.certificates.generate_csr(certificate.id)
    core.reconcile(certificate.id)
    return certificate.id


def _approve_all(server):
    """What the approver does, over HTTP, while the CA answers; another approver may be faster."""
    headers = {"Authorization": f"Bearer {TOKENS['approver']}"}
    with httpx.Client(base_url=server.url, headers=headers, verify=False) as client:  # http; making a context is slow
        for order in client.get("pending").json().get("orders", ()):
            assert client.post(f"pending/{order['client']}/{order['id']}/approve").status_code in {200, 409}


def _later(core, clock, certificate_id, until="active", most=40):
    """Let time pass until the certificate has this status."""
    for _ in range(most):
        certificate = core.certificates.get(certificate_id)
        if certificate.status == until:
            return certificate
        look_again = core.reconcile(certificate_id).look_again
        if look_again is not None and look_again > clock.now():
            clock.set(look_again)
    raise AssertionError(f"still {certificate.status}: {certificate.problem}")


class TestRestCA(CAModuleContract):
    """The suite that every CA module passes; the approver comes whenever time passes."""

    module_name = "rest_ca"
    invalid_settings = (
        ({"url": "http://ca.example/"}, "url"),
        ({"url": "https://user@ca.example/"}, "url"),
        ({"trusted_roots": "x"}, "trusted_roots"),
        ({"token": ""}, "token"),
    )

    @pytest.fixture(autouse=True)
    def _approver(self, server):
        self.server = server

    @pytest.fixture
    def core(self, clock):
        with _core(clock) as core:
            yield core

    @pytest.fixture
    def settings(self, server):
        return {"url": server.url, "token": TOKENS["panel"]}

    def wait(self, core, duration):
        for order in self.server.service.pending():
            self.server.service.approve(order.client, order.id)
        super().wait(core, duration)

    def held_outside(self, core):
        return len(self.server.service.pending())


def test_it_keeps_every_rule(server):
    """The conformance suite of certcore finds no broken rule, with an approver who accepts every order."""

    @contextlib.contextmanager
    def ca_down():
        server.trouble = HTTPStatus.SERVICE_UNAVAILABLE
        try:
            yield
        finally:
            server.trouble = None

    report = conformance.run(
        plugin,
        settings={"url": server.url, "token": TOKENS["panel"]},
        others_act=lambda _core, _certificate_id: _approve_all(server),
        held_outside=lambda: len(server.service.pending()),
        orders_placed=lambda: server.service.placed,
        ca_down=ca_down,
    )
    assert report.ok, report.text()


def test_from_the_order_to_an_active_certificate(core, clock, server, authority_id):
    """The order waits for the approver; the page says so; after the approval the certificate becomes active."""
    certificate_id = _requested(core, authority_id)
    assert core.certificates.get(certificate_id).status == "pending"
    hints = [hint_to_json(hint) for hint in core.certificates.hints(certificate_id)]
    assert "waits for an administrator" in str(hints)
    (order,) = server.service.pending()
    assert order.id in str(hints)
    assert order.names == ("shop.example",)
    assert [row.certificate.id for row in core.certificates.rows(attempt="administrator").items] == [certificate_id]
    _approve_all(server)
    _later(core, clock, certificate_id)
    assert core.certificates.view(certificate_id).leaf.names == ("shop.example",)
    assert core.authorities.check(authority_id).ok


def test_looks_become_rare(core, clock, server, authority_id):
    """An order that waits for days is looked at once an hour, not once a minute."""
    certificate_id = _requested(core, authority_id)
    pauses = []
    for _ in range(10):
        look_again = core.reconcile(certificate_id).look_again
        pauses.append(look_again - clock.now())
        clock.set(look_again)
    assert pauses[0] <= timedelta(minutes=2)
    assert pauses[-1] == timedelta(hours=1)
    assert len(server.service.pending()) == 1


def test_a_lost_answer_places_no_second_order(core, clock, server, authority_id):
    """The step that placed the order is taken again after a crash: the CA has one order, and the count is one."""
    certificate = core.certificates.create("shop.example", authority=authority_id)
    core.certificates.generate_csr(certificate.id)
    for _ in range(3):
        ModuleHarness(core).advance(certificate.id)  # what it returns is lost
    core.reconcile(certificate.id)
    assert len(server.service.pending()) == 1
    _approve_all(server)
    _later(core, clock, certificate.id)


def test_a_refusal_is_final(core, server, authority_id):
    """The owner reads the reason of the approver; nothing is ordered again automatically."""
    certificate_id = _requested(core, authority_id)
    (order,) = server.service.pending()
    server.service.refuse("panel", order.id, "shop.example belongs to somebody else")
    core.certificates.check_now(certificate_id)
    core.reconcile(certificate_id)
    certificate = core.certificates.get(certificate_id)
    assert certificate.status == "error"
    assert "belongs to somebody else" in str(certificate.problem)
    assert not server.service.pending()


def test_trouble_is_waited_out(core, clock, server, authority_id):
    """While the CA is in maintenance it is asked again at the time that it names; then the certificate is issued."""
    server.trouble = HTTPStatus.SERVICE_UNAVAILABLE
    certificate_id = _requested(core, authority_id)
    certificate = core.certificates.get(certificate_id)
    assert "in trouble" in str(certificate.problem)
    assert not core.authorities.check(authority_id).ok
    server.trouble = None
    _later(core, clock, certificate_id, until="pending")
    while not server.service.pending():
        _later_once(core, clock, certificate_id)
    _approve_all(server)
    _later(core, clock, certificate_id)


def _later_once(core, clock, certificate_id):
    look_again = core.reconcile(certificate_id).look_again
    if look_again is not None and look_again > clock.now():
        clock.set(look_again)


def test_a_ca_that_is_down_is_no_end(core):
    """Without any server the certificate waits, and says that the CA cannot be reached."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # held, and nobody listens
        settings = {"url": f"http://127.0.0.1:{taken.getsockname()[1]}/", "token": TOKENS["panel"]}
        authority_id = core.authorities.create("down", module="rest_ca", settings=settings).id
        certificate_id = _requested(core, authority_id)
        assert "cannot be reached" in str(core.certificates.get(certificate_id).problem)
        assert not core.authorities.check(authority_id).ok


def test_a_wrong_token_is_named(core, server, authority_id):
    """Save and Test says that the token is refused, and what to do; the token is in no text."""
    core.authorities.edit(authority_id, settings={"token": "token-that-is-wrong"})
    report = core.authorities.check(authority_id)
    assert not report.ok
    assert "refuses the token" in str(report.items[0].detail)
    assert "token-that-is-wrong" not in repr(report)


def test_lost_orders_are_placed_anew(core, clock, server, authority_id):
    """A CA that has lost an order is asked twice before the order is placed under another name."""
    certificate_id = _requested(core, authority_id)
    (first,) = server.service.pending()
    server.service.forget_orders()
    for _ in range(10):
        if server.service.pending():
            break
        _later_once(core, clock, certificate_id)
    (second,) = server.service.pending()
    assert second.id != first.id
    _approve_all(server)
    _later(core, clock, certificate_id)


def test_deleting_cancels_the_order(core, server, authority_id):
    """The approver does not see requests that nobody needs any more."""
    certificate_id = _requested(core, authority_id)
    (order,) = server.service.pending()
    core.certificates.delete(certificate_id)
    assert not server.service.pending()
    assert server.service.look("panel", order.id).status == "cancelled"


def test_revocation(core, clock, server, authority_id):
    """A leaf that was ordered here is revoked, once; another client's leaf is not."""
    certificate_id = _requested(core, authority_id)
    _approve_all(server)
    _later(core, clock, certificate_id)
    leaf = core.certificates.view(certificate_id).active.leaf_pem
    settings = {"url": server.url, "token": TOKENS["other"]}
    other = core.authorities.create("other", module="rest_ca", settings=settings).id
    with pytest.raises(CAError, match="does not know"):
        core.certificates.revoke(certificate_id, authority=other)
    assert core.certificates.revoke(certificate_id, reason="key_compromise").status == "revoked"
    assert list(server.service.revoked.values()) == ["key_compromise"]
    ModuleHarness(core).profile(authority_id).client.revoke(leaf, "superseded")
    assert list(server.service.revoked.values()) == ["key_compromise"]


def test_the_api_refuses_what_it_should(server):
    """Other tokens, other clients' orders, unreadable requests and other requests under a known name."""
    request, _ = make_request("shop.example")
    order = {"csr": request, "names": ["shop.example"]}

    def call(method, path, token="panel", **options):
        headers = {"Authorization": f"Bearer {TOKENS.get(token, token)}"}
        return httpx.request(method, server.url + path, headers=headers, **options).status_code

    assert call("PUT", "orders/1", json=order) == 201
    assert call("PUT", "orders/1", json=order) == 200
    assert call("PUT", "orders/1", json=order | {"csr": make_request("shop.example")[0]}) == 409
    assert call("PUT", "orders/2", json=order | {"names": ["other.example"]}) == 422
    assert call("PUT", "orders/2", content=b"no json") == 422
    assert call("PUT", "orders/2", content=b"x" * 70_000) == 413
    assert call("GET", "orders/1", token="other") == 404
    assert call("GET", "orders/1", token="nobody") == 401
    assert call("POST", "pending/panel/1/approve") == 404
    assert call("POST", "pending/panel/1/approve", token="approver") == 200
    assert call("POST", "pending/panel/1/approve", token="approver") == 409
    assert call("DELETE", "orders/1") == 204
    assert call("DELETE", "orders/7") == 204


@contextlib.contextmanager
def _answering(body):
    """A server that answers every PUT with this."""

    class Odd(BaseHTTPRequestHandler):
        def do_PUT(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Odd) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"status": "odd"}', b"<html>", b"[" * 200_000, b"x" * 1_100_000])
def test_answers_that_make_no_sense(core, body):
    """A server that answers with something else is a CA in trouble, not a broken plugin."""
    with _answering(body) as url:
        authority = core.authorities.create("odd", module="rest_ca", settings={"url": url, "token": "t" * 20})
        problem = str(core.certificates.get(_requested(core, authority.id)).problem)
    assert "The CA's answer" in problem
    assert "plugin" not in problem


@pytest.mark.parametrize("reason", ["half a pair: \\ud800", "nothing: \\u0000", "two\\nlines", "x" * 100_000])
def test_odd_reasons_are_shown(core, reason):
    """Whatever the CA gives as its reason can be stored and shown."""
    with _answering(f'{{"status": "refused", "reason": "{reason}"}}'.encode()) as url:
        authority = core.authorities.create("odd", module="rest_ca", settings={"url": url, "token": "t" * 20})
        certificate = core.certificates.get(_requested(core, authority.id))
    assert certificate.status == "error"
    assert "The CA has refused the request." in str(certificate.problem)
