"""A sample of the hostile-CA table with the real Pebble, through an HTTP port that makes the same faults."""

import json

import pytest
from attrs import define, field

from certcore import Status
from certcore.hookspecs import hookimpl
from certcore.net.http import HttpReply
from certcore_puq_acme.module import PuqAcme
from certcore_puq_acme.network import Network
from support.simulation.ca_faults import FAULTS
from support.simulation.simulated_ca import Reply

pytestmark = pytest.mark.pebble

PATHS = {
    "dir": "directory",
    "nonce-plz": "newNonce",
    "sign-me-up": "newAccount",
    "my-account": "account",
    "order-plz": "newOrder",
    "authZ": "authorization",
    "chalZ": "challenge",
    "my-order": "order",
    "finalize-order": "finalize",
    "certZ": "certificate",
}
SAMPLE = (
    "newAccount, 404 once",
    "newOrder, garbage once",
    "authorization, a status that never moves",
    "challenge, garbage once",
    "order, Retry-After of a day",
    "finalize, 500 once",
    "finalized order, 404 once",
    "certificate, Retry-After as a date",
)


@define(eq=False)
class Intercepted:
    """`certcore_puq_acme.network.NetworkPort`: the real network, with the faults of a row in between."""

    fault: object
    environment: object
    real: Network = field(factory=Network)
    counts: dict = field(factory=dict)
    inner: object = None
    finalized: bool = False

    def http(self, *, timeout, extra_roots=""):
        self.inner = self.inner or self.real.http(timeout=timeout, extra_roots=extra_roots)
        return self

    def dns(self):
        return self.real.dns()

    def close(self):
        """Kept open for the next user."""

    def request(self, method, url, *, body=None, headers=None, home=""):
        kind = PATHS[url.split("/")[3]]
        if kind == "order" and self.finalized:
            kind = "finalized order"
        real = None

        def handle():
            nonlocal real
            real = self.inner.request(method, url, body=body, headers=headers, home=home)
            self.finalized = self.finalized or (kind == "finalize" and real.status == 200)
            is_json = real.body[:1] == b"{"
            return Reply(status=real.status, body=json.loads(real.body) if is_json else real.body)

        if kind != self.fault.axis:
            handle()
            return real
        self.counts[kind] = self.counts.get(kind, 0) + 1
        reply = self.fault.tamper(self, handle, self.counts[kind])
        kept = {name: real.header(name) for name in ("replay-nonce", "location", "link") if real and real.header(name)}
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        sent = kept | {name.lower(): str(value) for name, value in reply.headers.items()}
        return HttpReply(status=reply.status, url=url, body=content, headers=tuple(sent.items()))


@pytest.mark.parametrize("name", SAMPLE)
def test_pebble_confirms_the_simulation(panel, start_pebble, name):
    """A real CA with the same fault ends as the simulated one: there is a leaf, after two orders at most."""
    fault = next(fault for fault in FAULTS if str(fault) == name)
    network = Intercepted(fault, panel.environment)
    module = PuqAcme(network=network)

    class Plugin:
        @hookimpl
        def certcore_ca_modules(self):
            return [module]

    panel.options = {"plugins": [Plugin()], "installed_plugins": False}
    panel.restart()
    pebble = start_pebble(nonce_reject=0, authz_reuse=0)
    certificate_id = panel.request(panel.profile(pebble.directory_url, pebble.roots_pem), "www.shop.test")
    panel.set_cnames(certificate_id)
    assert panel.until_active(certificate_id).status is Status.ACTIVE
    assert network.counts[fault.axis] >= 1
    asked = [issuance.number for issuance in panel.core.certificates.issuances(certificate_id)]
    assert len(asked) == 1
