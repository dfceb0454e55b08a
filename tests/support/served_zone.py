"""A zone server that runs for a test, and a source that fails."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from certcore.adapters.environment import SystemEnvironment
from certcore.errors import CertCoreError, StorageUnavailableError
from certcore.ports.dns import Zone
from certcore.testing.dns_zone import MemoryZone
from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer
from support.zone_clients import HOST, LABEL, MANY, PATIENCE

ZONE = Zone(apex="acme.example.net", nameservers=("ns1.example.net",), ttl=30, negative_ttl=1)


def serve(*sources: object, **options: object) -> ZoneServer:
    """A server over a small zone, or over other sources."""
    zone = MemoryZone("acme.example.net")
    zone.set(LABEL, "TXT", "one")
    zone.set(MANY, "TXT", *(f"{number:043d}" for number in range(600)))
    options.setdefault("answer_limits", None)  # most tests ask the same question often
    return ZoneServer((HOST, 0), sources or [zone], SystemEnvironment(), options=ServerOptions(**options))  # type: ignore[arg-type]


class Flaky:
    """A source that fails for one name and blocks for another."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.waiting = threading.Event()
        self.restarted = False

    def zones(self) -> Sequence[Zone]:
        return (ZONE,)

    def records(self, zone: Zone, name: str) -> Mapping[str, Sequence[str]]:
        if name.startswith("bad."):
            raise OSError(f"postgresql://user:hunter2@{zone.apex}")
        if name.startswith("restarted.") and not self.restarted:
            self.restarted = True
            raise StorageUnavailableError("The database failed.")
        if name.startswith("refused."):
            raise CertCoreError("The store is closed.")
        if name.startswith("slow."):
            self.waiting.set()
            assert self.gate.wait(PATIENCE)
        return {"TXT": ["ok"]}

    def has_names_below(self, zone: Zone, name: str) -> bool:
        return bool(zone and name)
