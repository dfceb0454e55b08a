"""Look at every set-up of the zoo as a panel does, inside of the network namespace, and write what was found.

unshare --net python -m support.dns_zoo.visit FILE
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from certcore import CertCore
from certcore.hints import DnsRecords
from certcore.testing.pebble import Pebble
from certcore.testing.server import Child
from support.ca_proxy import proxy_before
from support.dns_zoo import servers
from support.dns_zoo.set_ups import ISSUER, SET_UPS, SetUp
from support.dns_zoo.world import (
    INNER_RESOLVER,
    KNOT,
    KNOT2,
    OTHER_RESOLVER,
    RESOLVER,
    REWRITING_RESOLVER,
    ROOT,
    TECH_SERVERS,
    World,
    started,
)

__all__ = [
    "PROFILES",
    "SLOW",
    "main",
    "make_profile",
    "names_of",
    "prepared",
    "running_panel",
    "visited",
    "world_of_the_panel",
]

TECH_ZONE = "acme.panel.test"
#: What is special about a CA profile: its tech zone and its resolver.
PROFILES = {
    "usual": (TECH_ZONE, RESOLVER),
    "inner": (TECH_ZONE, INNER_RESOLVER),
    "rewriting": (TECH_ZONE, REWRITING_RESOLVER),
    "other": (TECH_ZONE, OTHER_RESOLVER),
    "gone": ("gone.panel.test", RESOLVER),
    "dead": ("dead.panel.test", RESOLVER),
    "stale": ("stale.panel.test", RESOLVER),
    "homeless": ("homeless.panel.test", RESOLVER),
}
#: How many set-ups are looked at side by side, and those that take seconds each: they begin first.
_SIDE_BY_SIDE = 16
SLOW = frozenset({"tech-dead", "one-silent", "silent", "closed", "caa-silent", "right-loses"})
_PANEL = """
acme IN NS tech1.hosts.test.
acme IN NS tech2.hosts.test.
dead IN NS silent.hosts.test.
stale IN NS tech1.hosts.test.
stale IN NS knot2.hosts.test.
homeless IN NS nowhere.hosts.test.
"""


def main() -> None:
    """Write the findings of every set-up, as JSON."""
    Path(sys.argv[1]).write_text(json.dumps(visited(), indent=1))


def visited() -> dict[str, Any]:
    """For each set-up, what `CertCore.diagnose` finds and how many seconds it took."""
    world = world_of_the_panel()
    with CertCore.in_memory() as core:
        profiles = {name: make_profile(core, name) for name in PROFILES}
        drafts = {set_up.name: prepared(core, world, set_up, profiles[set_up.profile])[0] for set_up in SET_UPS}
        with world.running(), running_panel(core, world, profiles):
            for set_up in SET_UPS:
                if set_up.profile == "stale":  # the first step of a certificate makes the day's check value
                    core.certificates.generate_csr(drafts[set_up.name])
                    core.reconcile(drafts[set_up.name])
            with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as threads:
                looks = {
                    set_up.name: threads.submit(_diagnosed, core, names_of(set_up), profiles[set_up.profile])
                    for set_up in sorted(SET_UPS, key=lambda set_up: set_up.name not in SLOW)
                }
            return {name: look.result() for name, look in looks.items()}


def world_of_the_panel() -> World:
    """A world in which the panel has its tech zones, the one that is right and broken ones."""
    world = World()
    world.domain("panel.test", _PANEL, at=(KNOT,))
    world.zone("stale.panel.test", "old IN A 192.0.2.80\n", at=(KNOT2,))
    return world


def make_profile(core: CertCore, name: str, **more: Any) -> str:
    """A CA profile of `PROFILES`, with more settings; its id."""
    tech_zone, resolver = PROFILES[name]
    profile = core.authorities.create(
        name,
        module="puq_acme",
        settings={
            "ca": "custom",
            "directory_url": "https://127.0.0.1:9/dir",
            "terms_agreed": True,
            "tech_zone": tech_zone,
            "tech_zone_nameservers": ["tech1.hosts.test", "tech2.hosts.test"],
            "dns_servers": [resolver],
            "servers_asked": "all",
            **more,
        },
    )
    return profile.id


def prepared(core: CertCore, world: World, set_up: SetUp, profile: str) -> tuple[str, list[str]]:
    """Build the zones of a set-up; the id of a draft with its names, and the right targets of its CNAMEs."""
    names = names_of(set_up)
    draft = core.certificates.create(names[0], aliases=names[1:], authority=profile)
    rows = [row for hint in core.certificates.hints(draft.id) if isinstance(hint, DnsRecords) for row in hint.rows]
    targets = [row.value.removesuffix(".") for row in rows if row.type == "CNAME"]
    set_up.build(world, set_up.domain, targets)
    return draft.id, targets


def names_of(set_up: SetUp) -> list[str]:
    """The names of a set-up's certificate."""
    return [set_up.domain if name == "@" else f"{name}.{set_up.domain}" for name in set_up.names]


@contextlib.contextmanager
def running_panel(core: CertCore, world: World, profiles: dict[str, str]) -> Iterator[Child]:
    """The resolvers, the tech zone's servers, and Pebble as the CA of all profiles; gives the CA's resolver."""
    rewriting = '    local-zone: "rewritten.test." redirect\n    local-data: "rewritten.test. A 192.0.2.99"\n'
    keys = [
        record
        for zone in world.signed
        if (answer := servers.answers(KNOT.addresses[0], zone, "DNSKEY")) is not None
        for rrset in answer.answer
        for record in rrset.to_text().splitlines()
    ]
    with contextlib.ExitStack() as stack:
        trusted = "".join(f'    trust-anchor: "{key}"\n' for key in (*keys, *world.anchors))
        starts = (
            lambda: servers.unbound(RESOLVER, ROOT, trusted),
            lambda: servers.unbound(REWRITING_RESOLVER, ROOT, rewriting),
            lambda: servers.unbound(INNER_RESOLVER, ROOT),
            lambda: servers.recursor(OTHER_RESOLVER, ROOT),
        )
        resolver, *_ = started(stack, starts)
        for address in TECH_SERVERS:
            stack.callback(core.dns_server(listen=(address, 53), module="puq_acme").close)
        pebble = stack.enter_context(Pebble.start(dns_server=f"{RESOLVER}:53"))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plan, proxy = stack.enter_context(proxy_before(pebble, folder))
        plan.rewrite = _with_issuer
        at = {"directory_url": proxy["directory_url"], "trusted_roots": proxy["roots_pem"], "terms_agreed": True}
        for profile in profiles.values():
            core.authorities.edit(profile, settings=at)
        core.authorities.check(profiles["usual"])  # it tells the CA's names in CAA records
        yield resolver


def _with_issuer(path: str, status: int, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, dict[str, str]]:
    """Pebble's directory, with the CA's name in CAA records, which Pebble does not tell."""
    if path.endswith("/dir"):
        directory = json.loads(body)
        directory["meta"]["caaIdentities"] = [ISSUER]
        body = json.dumps(directory).encode()
    return status, body, headers


def _diagnosed(core: CertCore, names: list[str], profile: str) -> dict[str, Any]:
    begun = time.monotonic()
    findings = core.diagnose(names, authority=profile, thorough=True)
    return {
        "seconds": time.monotonic() - begun,
        "codes": [finding.code for finding in findings],
        "texts": [str(finding) for finding in findings],
        "remedy": [str(record) for finding in findings[:1] for record in finding.remedy],
    }


if __name__ == "__main__":
    main()
