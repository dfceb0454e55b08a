"""What repairs each broken set-up: mostly the right records at the servers that its domain has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import dns.name
from attrs import evolve

from support.dns_zoo.odd import Quirk
from support.dns_zoo.set_ups import ISSUER, SET_UPS, SetUp
from support.dns_zoo.signing import signed_now
from support.dns_zoo.world import CUSTOMERS, KNOT, KNOT2, NSD, World

__all__ = ["NOT_REPAIRED", "REPAIRED", "Repair", "prepare", "repair"]

#: Repairs a set-up while the servers run; the last argument are the right targets of its CNAMEs.
Repair = Callable[[World, SetUp, Sequence[str]], None]

#: Broken set-ups without a repair to measure. What is found there is a warning, and does not hold the certificate up:
#: an order is placed at once. The CA validates it, or refuses it (`six`: its resolver has no IPv6) and is asked again
#: when its limits for failed validations permit, not when the DNS is right.
NOT_REPAIRED = frozenset({"one-lame", "one-silent", "alias", "beside", "caa-silent", "six"})


def repair(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """Repair a set-up; returns when its servers show it."""
    _OF_THEIR_OWN.get(set_up.name, _records)(world, set_up, targets)


def prepare(world: World, set_up: SetUp) -> None:
    """Let the DNS host that a domain moves to have a zone for it, before the servers start."""
    if _OF_THEIR_OWN.get(set_up.name) is _moved:
        world.zone(set_up.domain, at=(KNOT2,))


def _records(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The right records at the servers that have the zone."""
    at = [server for server in CUSTOMERS if set_up.domain in world.zones.get(server.name, {})]
    world.zone(set_up.domain, _right(set_up, targets), at=at)
    world.reload(set_up.domain)


def _right(set_up: SetUp, targets: Sequence[str]) -> str:
    labels = dict.fromkeys("" if name in ("@", "*") else f".{name}" for name in set_up.names)
    pairs = zip(labels, dict.fromkeys(targets), strict=True)
    lines = [f"_acme-challenge{label} IN CNAME {target}." for label, target in pairs]
    if set_up.expected.startswith("caa_"):
        lines.append(f'@ IN CAA 0 issue "{ISSUER}"')
    return "\n".join(lines) + "\n"


def _moved(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The domain moves to a DNS host that has its zone, and is registered if nobody has done so."""
    world.zone(set_up.domain, _right(set_up, targets), at=(KNOT2,))
    world.reload(set_up.domain)
    world.delegate_anew(set_up.domain, "knot2.hosts.test.")


def _child_zone(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The CNAME goes to the zone below the domain's."""
    zone = f"{set_up.names[0]}.{set_up.domain}"
    world.zone(zone, f"_acme-challenge IN CNAME {targets[0]}.\n", at=(NSD,))
    world.reload(zone)


def _signed(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The zone is signed with the key that is trusted."""
    at = [server for server in CUSTOMERS if set_up.domain in world.zones.get(server.name, {})]
    world.zone(set_up.domain, _right(set_up, targets), at=at)
    for server in at:
        zones = world.zones[server.name]
        zones[set_up.domain] = signed_now(world.keys[set_up.domain], zones[set_up.domain])
    world.reload(set_up.domain)


def _without_ds(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The DS record of the zone below goes: it is not secured any more."""
    world.zone(set_up.domain, "shop IN NS bind.hosts.test.\n", at=(KNOT,))
    world.reload(set_up.domain)


def _caa_at_the_alias(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The host of the alias permits the CA, too."""
    zone = f"host-{set_up.domain}"
    world.zone(zone, f'shops IN A 192.0.2.80\nshops IN CAA 0 issue "{ISSUER}"\n', at=(NSD,))
    world.reload(zone)


def _at_the_host(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The DNS host repairs its server: it answers what stands in the zone, and nothing of its own."""
    zone = dns.name.from_text(set_up.domain)
    world.odd[zone] = evolve(world.odd[zone], quirk=Quirk.BESIDE, values=())


def _tech_zone(world: World, set_up: SetUp, targets: Sequence[str]) -> None:
    """The operator delegates the tech zone to certcore's servers."""
    label = set_up.profile
    lines = [line for line in world.zones[KNOT.name]["panel.test"].splitlines() if " IN NS " in line]
    records = [line for line in lines if not line.startswith((f"{label} ", "@ "))]
    records += [f"{label} IN NS tech1.hosts.test.", f"{label} IN NS tech2.hosts.test."]
    world.zone("panel.test", "\n".join(records) + "\n", at=(KNOT,))
    world.reload("panel.test")


_OF_THEIR_OWN: Mapping[str, Repair] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "unregistered",
                "lame",
                "lame-bind",
                "lame-pdns",
                "lame-other",
                "silent",
                "closed",
                "no-address",
                "dead-six",
            ),
            _moved,
        ),
        **dict.fromkeys(("bogus", "expired"), _signed),
        **dict.fromkeys(("caa-fails", "flattened", "own-txt"), _at_the_host),
        **dict.fromkeys(("tech-gone", "tech-dead", "tech-homeless", "tech-stale"), _tech_zone),
        "parent-cut": _child_zone,
        "ds-of-other-key": _without_ds,
        "caa-alias": _caa_at_the_alias,
    }
)

#: Set-ups that are repaired.
REPAIRED = tuple(set_up for set_up in SET_UPS if set_up.expected and set_up.name not in NOT_REPAIRED)
