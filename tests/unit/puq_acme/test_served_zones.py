"""The zones that the embedded DNS server serves for CA profiles."""

import pytest

from certcore.model import form
from certcore_puq_acme.module import served_zones
from certcore_puq_acme.profile.settings import PuqAcmeProfile


def zone(listen="127.0.0.1", **settings):
    (served,) = served_zones([form.structure(PuqAcmeProfile, {"tech_zone": "acme.panel.example", **settings})], listen)
    return served


@pytest.mark.parametrize("listen", ["198.51.100.53", "10.0.0.1", "127.0.0.1", "0.0.0.0", "::", ""])
def test_a_default_name_server_without_a_public_address_has_none(listen):
    """An address that resolvers cannot reach would hide the right one, which the delegation has."""
    assert zone(listen).nameservers == ("ns.acme.panel.example",)
    assert zone(listen).addresses == {}


@pytest.mark.parametrize("listen", ["1.2.3.4", "2a00::53"])
def test_a_default_name_server_has_the_public_address_that_is_listened_on(listen):
    """Half of all resolvers ask for it, and took the tech zone for broken without one."""
    assert zone(listen).addresses == {"ns.acme.panel.example": (listen,)}
    servers = ["ns1.acme.panel.example 192.0.2.1", "ns2.panel.example"]
    assert zone(listen, tech_zone_nameservers=servers).addresses == {"ns1.acme.panel.example": ("192.0.2.1",)}


def test_the_zones_own_settings():
    """TTLs and mailbox come from the profile; dots of the mailbox's local part are escaped."""
    served = zone(zone_ttl=7200, ttl=60, tech_zone_mailbox="jo.doe@panel.example")
    assert (served.ttl, served.apex_ttl, served.mailbox) == (60, 7200, r"jo\.doe.panel.example")
    assert zone().mailbox == ""
