"""From a CA profile to the writer of its tech zone: connections are kept, and a dead writer blocks nobody for long."""

import contextlib
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from certcore.model.form import structure
from certcore.ports.ca_module import ModuleContext
from certcore.ports.zone_writers import TxtChange
from certcore.testing.clock import FrozenEnvironment
from certcore.testing.module_store import MemoryDocuments
from certcore_puq_acme.profile.settings import PuqAcmeProfile
from certcore_puq_acme.profile.zone_writer import ZoneConnections, publication_of


@contextlib.contextmanager
def powerdns_api():
    """An API that takes every change; gives its URL and the list of the connections that were made."""
    connections = []

    class Api(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self):
            connections.append(self.client_address)
            super().setup()

        def do_PATCH(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def do_PUT(self):
            self.do_PATCH()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", connections
        finally:
            server.shutdown()
            thread.join()


def publication(connections, **settings):
    profile = structure(PuqAcmeProfile, {"tech_zone": "acme.panel.test", **settings})
    context = ModuleContext(
        authority_id="1", profile=profile, documents=MemoryDocuments(), environment=FrozenEnvironment()
    )
    return publication_of(context, connections)


def test_the_connection_to_powerdns_is_kept():
    """Orders that follow one another write over one connection, although each makes a writer."""
    with powerdns_api() as (url, made):
        connections = ZoneConnections()
        for _ in range(3):
            zone = publication(connections, zone_writer="powerdns", zone_api_url=url, zone_api_key="key")
            zone.writer().write("acme.panel.test", [TxtChange(name="a.acme.panel.test", values=("value",))], ttl=30)
        assert len(made) == 1
        connections.client(url, timeout=10.0, extra_roots="").close()


def test_other_settings_have_other_connections():
    """What one profile trusts, and how long it waits, does not hold for another one."""
    connections = ZoneConnections()
    url = "http://127.0.0.1:1"
    first = connections.client(url, timeout=10.0, extra_roots="")
    assert connections.client(url, timeout=10.0, extra_roots="") is first
    assert connections.client(url, timeout=5.0, extra_roots="") is not first
    assert connections.client("https://dns.example.net", timeout=10.0, extra_roots="") is not first


@pytest.mark.parametrize(
    ("settings", "most"),
    [
        ({"zone_writer": "powerdns", "zone_api_url": "http://127.0.0.1:1", "zone_api_key": "key"}, 35),
        (
            {
                "zone_writer": "rfc2136",
                "zone_primary": "127.0.0.1",
                "zone_tsig_name": "certcore",
                "zone_tsig_secret": "c2VjcmV0",
            },
            35,
        ),
    ],
    ids=["powerdns", "rfc2136"],
)
def test_a_writer_that_died_blocks_a_name_for_seconds(settings, most):
    """As long as what it had sent may still be carried out, which is twice the timeout, and no longer."""
    assert timedelta(seconds=20) <= publication(ZoneConnections(), **settings).lease <= timedelta(seconds=most)
