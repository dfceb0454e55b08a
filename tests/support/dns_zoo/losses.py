"""A hundred names at servers that lose packets, and at slow servers where all of them are broken.

unshare --net python -m support.dns_zoo.losses FILE
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from certcore import CertCore
from certcore.hints import DnsRecords
from support.dns_zoo import servers
from support.dns_zoo.relay import Relay
from support.dns_zoo.servers import Authoritative
from support.dns_zoo.visit import make_profile, world_of_the_panel
from support.dns_zoo.world import KNOT, NSD, RESOLVER, ROOT, TECH_SERVERS, World, started

__all__ = ["NAMES", "main"]

NAMES = 100
_CHECKS = 10
_LOSS = 0.05
_DELAY = 0.05
#: Host name, address, and the server behind it.
_Host = tuple[str, str, Authoritative]
_LOSSY = (("lossy1", "192.0.2.81", KNOT), ("lossy2", "192.0.2.82", NSD))
_SLOW = (("slow1", "192.0.2.83", KNOT), ("slow2", "192.0.2.84", NSD))
_LOSSY_RESOLVER = "192.0.2.85"


def main() -> None:
    """Write what was found, as JSON."""
    Path(sys.argv[1]).write_text(json.dumps(looked(), indent=1))


def looked() -> dict[str, Any]:
    """The findings of each check of names whose packets get lost; seconds and questions of one of broken names."""
    world = world_of_the_panel()
    world.hosts += [f"{host} IN A {address}" for host, address, _ in (*_LOSSY, *_SLOW)]
    with CertCore.in_memory() as core:
        profile = make_profile(core, "usual", dns_servers=[_LOSSY_RESOLVER])
        right = _domains(core, world, profile, "right", _LOSSY)
        broken = _domains(core, world, profile, "broken", _SLOW)
        servers.add_addresses([*(address for _, address, _ in (*_LOSSY, *_SLOW)), _LOSSY_RESOLVER])
        with contextlib.ExitStack() as stack:
            stack.enter_context(world.running())
            started(stack, [lambda: servers.unbound(RESOLVER, ROOT)])
            for address in TECH_SERVERS:
                stack.callback(core.dns_server(listen=(address, 53), module="puq_acme").close)
            relays = [Relay(address, server.addresses[0], loss=_LOSS) for _, address, server in _LOSSY]
            relays.append(Relay(_LOSSY_RESOLVER, RESOLVER, loss=_LOSS))
            slow = [Relay(address, server.addresses[0], delay=_DELAY) for _, address, server in _SLOW]
            for relay in (*relays, *slow):
                stack.callback(relay.close)
            begun = time.monotonic()
            found = core.diagnose(broken, authority=profile)
            seconds = time.monotonic() - begun
            with ThreadPoolExecutor() as threads:
                checks = [threads.submit(core.diagnose, right, authority=profile) for _ in range(_CHECKS)]
            return {
                "broken": {
                    "seconds": seconds,
                    "questions": sum(relay.asked for relay in slow),
                    "codes": [finding.code for finding in found],
                },
                "lossy": [[(str(one.severity), str(one)) for one in check.result()] for check in checks],
                "questions": sum(relay.asked for relay in relays),
            }


def _domains(core: CertCore, world: World, profile: str, name: str, hosts: Iterable[_Host]) -> list[str]:
    """A hundred domains at two servers, each with its CNAME where they are right."""
    domains = [f"{name}{number}.test" for number in range(NAMES)]
    full = [f"{host}.hosts.test." for host, *_ in hosts]
    draft = core.certificates.create(domains[0], aliases=domains[1:], authority=profile)
    rows = [row for hint in core.certificates.hints(draft.id) if isinstance(hint, DnsRecords) for row in hint.rows]
    for domain, row in zip(domains, rows, strict=True):
        records = f"_acme-challenge IN CNAME {row.value}.\n" if name == "right" else ""
        world.zone(domain, records, at=[server for *_, server in hosts], ns=full)
        world.delegate(domain, *full)
    return domains


if __name__ == "__main__":
    main()
