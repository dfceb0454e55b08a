"""Repair owners' DNS while a worker runs, and write how long each certificate takes from then on.

unshare --net python -m support.dns_zoo.repairs FILE
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from attrs import define

from certcore import CertCore, Status
from certcore.hints import DnsRecords
from certcore.testing.server import Child
from support.dns_zoo.remedies import REPAIRED, prepare, repair
from support.dns_zoo.set_ups import SetUp
from support.dns_zoo.visit import PROFILES, SLOW, make_profile, names_of, prepared, running_panel, world_of_the_panel
from support.dns_zoo.world import World

__all__ = ["main"]

#: Seconds: between two repairs, as owners do not act at one moment, and between two looks at the certificates; the
#: longest wait for a first look, for an answer of a resolver, and for the certificates after the last repair.
_PAUSE = 0.1
_LOOKED_AT = 60.0
_ANSWERED = 2.0
_LONGEST = 60.0
#: Many wait for servers that do not answer.
_SIDE_BY_SIDE = 16
#: So many repaired domains wait for their next look at once, at most: Pebble takes four orders, and what is measured is
#: not how long the others queue for it.
_WAITING = 12


@define
class _Row:
    set_up: SetUp
    certificate_id: str
    targets: list[str]
    repaired_at: float = 0.0
    #: From the repair to the active certificate; -1 as long as it is not.
    seconds: float = -1.0


def main() -> None:
    """Write the seconds from each repair to the active certificate, as JSON."""
    Path(sys.argv[1]).write_text(json.dumps(repaired(), indent=1))


def repaired() -> dict[str, float]:
    """For each repaired set-up, the seconds until its certificate was active; -1 for one that never was."""
    world = world_of_the_panel()
    with CertCore.in_memory() as core:
        profiles = {name: make_profile(core, name, max_orders=4) for name in PROFILES}
        rows = []
        for set_up in REPAIRED:
            rows.append(_Row(set_up, *prepared(core, world, set_up, profiles[set_up.profile])))
            prepare(world, set_up)
        with world.running(), running_panel(core, world, profiles) as resolver:
            for row in rows:
                core.certificates.generate_csr(row.certificate_id)
            worker = core.worker(threads=_SIDE_BY_SIDE)
            worker.start()
            try:
                _repair(core, world, rows, resolver)
            finally:
                worker.stop(timeout=30)
    return {row.set_up.name: row.seconds for row in rows}


def _ask_too_early(row: _Row) -> None:
    """Somebody looks for the record before it is right: the resolver keeps the answer, "no such name" mostly."""
    query = dns.message.make_query(f"_acme-challenge.{names_of(row.set_up)[-1]}", "CNAME")
    with contextlib.suppress(dns.exception.Timeout):
        dns.query.udp(query, PROFILES[row.set_up.profile][1], _ANSWERED)


def _repair(core: CertCore, world: World, rows: list[_Row], resolver: Child) -> None:
    """Repair one set-up after the other, and wait for the certificates."""
    first = [row for row in rows if row.set_up.expected == "dnssec_bogus"]
    others = sorted((row for row in rows if row not in first), key=lambda row: row.set_up.name in SLOW)
    # Nothing is measured while the machine is busy with the first look at all of them.
    _until(lambda: all(_was_looked_at(core, row) for row in others), _LOOKED_AT)
    for row in first:
        _repair_one(core, world, row)
    # A resolver keeps a key that it cannot trust for a minute, and nothing can be issued before: it is told to forget.
    os.kill(resolver.pid, signal.SIGHUP)
    with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as threads:
        list(threads.map(_ask_too_early, others))
    for row in others:
        _repair_one(core, world, row)
        time.sleep(_PAUSE)
        _until(lambda: _waiting(core, rows) < _WAITING, _LONGEST)
    _until(lambda: not _waiting(core, rows), _LONGEST)


def _repair_one(core: CertCore, world: World, row: _Row) -> None:
    _until(lambda: _was_looked_at(core, row), _LOOKED_AT)
    if core.certificates.get(row.certificate_id).status is Status.ACTIVE:
        raise RuntimeError(f"the certificate of {row.set_up.name} did not wait for the repair")
    repair(world, row.set_up, row.targets)
    row.repaired_at = time.monotonic()


def _was_looked_at(core: CertCore, row: _Row) -> bool:
    """Whether the record was looked for in the DNS, so that the next look comes after a pause."""
    hints = core.certificates.hints(row.certificate_id)
    return any(shown.checked_at for hint in hints if isinstance(hint, DnsRecords) for shown in hint.rows)


def _waiting(core: CertCore, rows: list[_Row]) -> int:
    """How many certificates are not active although they are repaired; of those that are, the seconds are kept."""
    waiting = [row for row in rows if row.repaired_at and row.seconds < 0]
    for row in waiting:
        if core.certificates.get(row.certificate_id).status is Status.ACTIVE:
            row.seconds = time.monotonic() - row.repaired_at
    return sum(1 for row in waiting if row.seconds < 0)


def _until(reached: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached() and time.monotonic() < deadline:
        time.sleep(_PAUSE)


if __name__ == "__main__":
    main()
