"""Write down what a version of certcore stores of its attempts; see README.md."""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

from attrs import evolve

try:
    import hostile_ca
    from simulated_ca import problem
    from simulated_world import World
except ImportError:
    from support.simulation import hostile_ca
    from support.simulation.simulated_ca import problem
    from support.simulation.simulated_world import World

MINUTE = timedelta(minutes=1)


def row_of(core, certificate_id):
    issuance = core.certificates.issuances(certificate_id)[-1]
    return {"state": issuance.module_state, "findings": issuance.findings}


def steps(world, certificate_id, *, until=None):
    """The rows after each step of one certificate, until its leaf is there or a moment is reached."""
    rows = []
    for _ in range(60):
        engine = world.core.engine
        for schedule in engine.claim_due(50):
            if schedule.certificate_id == certificate_id:
                engine.step(engine.load(schedule), keep_lease=False)
            else:
                engine.release(schedule)
        row = row_of(world.core, certificate_id)
        if row["state"] is not None and row not in rows:
            rows.append(row)
        view = world.core.certificates.view(certificate_id)
        if view.issuance is None or (until is not None and world.environment.now() > until):
            return rows
        world.environment.set(max(view.schedule.due_at, world.environment.now()))
    raise AssertionError(rows[-1])


def way(names):
    """Every row of a certificate with so many names."""
    world = World(0)
    aliases = [f"a{number}.shop.test" for number in range(1, names)]
    try:
        return steps(world, world.request("a0.shop.test", aliases=aliases))
    finally:
        world.close()


def unseen():
    """The values are not visible for a while."""
    world = World(0)
    try:
        certificate_id = world.request("a.shop.test")
        sources, world.dns.sources = world.dns.sources, world.dns.sources[1:]
        rows = steps(world, certificate_id, until=world.environment.now() + 3 * MINUTE)
        world.dns.sources = sources
        return [*rows, *steps(world, certificate_id)]
    finally:
        world.close()


def turns():
    """The CA's limit is used up; it wants a pause; others are in flight; the owner has not acted."""
    rows = []
    for settings, tamper in (({"limits": "orders 1 per 3h"}, None), ({"max_orders": 1}, None), ({}, slow_down)):
        world = World(0)
        try:
            world.core.authorities.edit(world.authority.id, settings=settings)
            world.ca.tamper = tamper
            certificates = [world.request("a.shop.test"), world.request("b.shop.test")]
            certificates.append(world.core.certificates.create("c.shop.test", authority=world.authority.id).id)
            world.core.certificates.generate_csr(certificates[-1])  # its owner has set nothing
            for _ in range(3):
                for schedule in world.core.engine.claim_due(50):
                    world.core.engine.step(world.core.engine.load(schedule), keep_lease=False)
                rows += [row_of(world.core, certificate_id) for certificate_id in certificates]
                world.environment.advance(2 * MINUTE)
        finally:
            world.close()
    return rows


def slow_down(ca, kind, count, handle):
    """A pause of a day."""
    reply = (
        handle() if kind != "newOrder" else problem(429, "rateLimited", "Too many orders; see https://ca.test/page.")
    )
    return evolve(reply, headers={**reply.headers, "Retry-After": "86400"}) if reply.status == 429 else reply


def shape(row):
    state, findings = row["state"], row["findings"] or {}
    turn = (findings.get("turn") or {}).get("why")
    return str((state.get("stage"), sorted(name for name, value in state.items() if value), sorted(findings), turn))


def troubles():
    """What is stored while a CA does what CAs can do wrong."""
    rows = []

    class Watched(World):
        def run(self, until, ids):
            moment = self.environment.now()
            while moment < until:
                moment = min(moment + 20 * MINUTE, until)
                super().run(moment, ids)
                rows.extend(row_of(self.core, one) for one in ids)

    hostile_ca.World = Watched
    for fault in hostile_ca.FAULTS:
        hostile_ca.run([fault], days=min(3, fault.short))
    return rows


kept: dict[str, object] = {}
for row in [*way(1), *way(22), *unseen(), *turns(), *troubles()]:
    if row["state"] is not None:
        kept.setdefault(shape(row), row)
lines = [json.dumps(row, ensure_ascii=False) for row in kept.values()]
Path(sys.argv[1]).write_text("\n".join(lines) + "\n", encoding="utf-8")
