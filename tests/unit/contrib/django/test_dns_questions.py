"""Pages that look for news ask no DNS server, however many people have them open."""

import re
import shutil
import socket
from contextlib import closing

import dns.message
import pytest
from django.test import override_settings

from certcore import CertCore
from certcore.contrib.django.roles import policy
from certcore.testing import MemoryZone, Pebble
from support.django_pages import LIST, page, text
from support.dns_zoo.relay import Relay

pytestmark = [
    pytest.mark.pebble,
    pytest.mark.integration,
    pytest.mark.skipif(shutil.which("pebble") is None, reason="pebble is not installed"),
]

TECH_ZONE = "acme.panel.test"


@pytest.fixture
def served(panel):
    """A core whose tech zone is served, the relay that counts what its DNS server is asked, and an issued profile."""
    with CertCore.in_memory(plugins=[policy()]) as core:
        zone = MemoryZone("test", ttl=1, negative_ttl=0)
        with closing(core.dns_server(listen=("127.0.0.1", 0), module="puq_acme", also=[zone])) as server:
            host, port = server.address
            with (
                closing(Relay("127.0.0.1", host, port=0, server_port=port)) as relay,
                Pebble.start(dns_server=f"{host}:{port}") as pebble,
                override_settings(CERTCORE={"CORE": lambda: core}),
            ):
                settings = {
                    "ca": "custom",
                    "directory_url": pebble.directory_url,
                    "trusted_roots": pebble.roots_pem,
                    "terms_agreed": True,
                    "tech_zone": TECH_ZONE,
                    "tech_zone_nameservers": [f"ns.{TECH_ZONE} 127.0.0.1"],
                    "dns_servers": [f"127.0.0.1:{relay.port}"],
                }
                profile = core.authorities.create("Pebble", module="puq_acme", settings=settings)
                yield core, relay, profile


def _asked(relay):
    """How many questions came so far: one of ours comes after all of them, and is not counted."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(30)
        asking.sendto(dns.message.make_query(TECH_ZONE, "SOA").to_wire(), ("127.0.0.1", relay.port))
        asking.recv(4096)
    relay.asked -= 1
    return relay.asked


def test_open_pages_ask_no_dns_server(panel, served):
    """The page with the CNAME, the list and the dashboard show what the worker has found; only a button asks anew."""
    core, relay, profile = served
    certificate_id = core.certificates.create("shop.test", authority=profile.id).id
    core.certificates.generate_csr(certificate_id)
    core.reconcile(certificate_id)
    people = [panel.browser(panel.user(name, "SSL operators")) for name in ("otto", "olga", "omar")]
    shown = people[0].get(page(certificate_id))
    assert "Missing" in text(shown)
    before = _asked(relay)
    assert before > 0

    live = re.search(r'hx-get="([^"]+live/[^"]*)"', shown.content.decode())[1]
    polled = (live, page(certificate_id, "live/"), f"{LIST}rows/", "/ssl/numbers/")
    for person in people:
        for address in (page(certificate_id), LIST, "/ssl/", *polled * 5):
            headers = {"HX-Request": "true"} if address in polled else {}
            assert person.get(address, headers=headers).status_code in (200, 204)
    assert _asked(relay) == before

    assert people[0].post(page(certificate_id, "actions/check_now/")).status_code == 302
    core.reconcile(certificate_id)
    assert _asked(relay) > before
