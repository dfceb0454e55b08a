"""A tech zone inside a larger zone at BIND or Knot: the key reaches what the how-to pages say, and no more."""

import re
from pathlib import Path

import pytest

from certcore.errors import ZoneWriteError
from certcore.model.secret import Secret
from certcore.ports.zone_writers import TxtChange, ZoneServer
from certcore.testing.server import ProgramMissingError
from certcore_puq_acme.techzone.writers.rfc2136 import Rfc2136Writer
from support.servers.dns_servers import TSIG_SECRET, Bind, Knot

pytestmark = pytest.mark.integration

ZONE = "panel.test"
_HOW_TO = Path(__file__).parents[2] / "docs/how-to"


def _page(name):
    return (_HOW_TO / name).read_text(encoding="utf-8").replace("panel.example", ZONE)


class ConfinedBind(Bind):
    """BIND with the policy of the page."""

    def arguments(self):
        arguments = super().arguments()
        (policy,) = re.findall(r"`(update-policy \{ grant certcore subdomain [^`]+)`", _page("use-your-bind.md"))
        config = self.folder / "named.conf"
        config.write_text(config.read_text().replace("update-policy { grant certcore zonesub TXT; };", policy))
        return arguments


class ConfinedKnot(Knot):
    """Knot with the limits of the page."""

    def arguments(self):
        arguments = super().arguments()
        limits = re.findall(r"`(update-owner[^`]*)`", _page("use-your-knot.md"))
        assert len(limits) == 3
        config = self.folder / "knot.conf"
        permitted = "    update-type: [TXT]\n"
        lines = "".join(f"    {limit}\n" for limit in limits)
        config.write_text(config.read_text().replace(permitted, permitted + lines))
        return arguments


@pytest.mark.parametrize("kind", [ConfinedBind, ConfinedKnot])
def test_the_key_is_confined_to_the_names_of_the_tech_zone(kind):
    """TXT values below the tech zone are taken; at the rest of the zone, and at its apex, they are refused."""
    try:
        server = kind.start(ZONE)
    except ProgramMissingError as error:
        pytest.skip(error.message)
    with server:
        writer = Rfc2136Writer(
            server=ZoneServer("127.0.0.1", server.port), key_name="certcore", key=Secret(TSIG_SECRET)
        )
        inside = f"label.acme.{ZONE}"
        writer.write(ZONE, [TxtChange(name=inside, values=("value",))], ttl=30)
        assert server.txt_values(inside) == {"value"}
        for outside in (f"_acme-challenge.{ZONE}", ZONE):
            with pytest.raises(ZoneWriteError):
                writer.write(ZONE, [TxtChange(name=outside, values=("value",))], ttl=30)
            assert server.txt_values(outside) == set()
        writer.write(ZONE, [TxtChange(name=inside, withdrawn=("value",))], ttl=30)
        assert server.txt_values(inside) == set()
