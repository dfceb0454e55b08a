"""Zone writers that each break one rule: `BROKEN` has them by the name of the check that has to find it."""

import contextlib
import json
import logging
import os
import socket
import threading
import time

from certcore.errors import ZoneWriteError
from certcore.plugin import CnameChange, CnameOutcome, HostedName, ZoneServer
from support.file_zone_writers import ZONE, FileWriter

# -- values


class WrongSwitch(FileWriter):
    one_at_a_time = "no"


class HostNames(FileWriter):
    def servers(self, zone):
        return [ZoneServer("ns1.panel.test")]


class ResolvesServers(FileWriter):
    def servers(self, zone):
        return [ZoneServer(socket.getaddrinfo("localhost", 53)[0][4][0])]


class Later(FileWriter):
    def __init__(self, server):
        super().__init__(server)
        self.waiting = []

    def add(self, records, name, values):
        for waiting in self.waiting:
            super().add(records, *waiting)
        self.waiting = [(name, values)]


class AddsAgain(FileWriter):
    def add(self, records, name, values):
        records.setdefault(name, []).extend(["TXT", value] for value in values)


class NeverRemoves(FileWriter):
    def withdraw(self, records, name, values):
        pass


class MissesValues(FileWriter):
    def withdraw(self, records, name, values):
        if any(["TXT", value] not in records.get(name, []) for value in values):
            raise self.refused(ZONE, "does not have a value")
        super().withdraw(records, name, values)


class FirstChange(FileWriter):
    def write(self, zone, changes, *, ttl):
        self.refuse_others(zone, [changes[0], *changes])
        super().write(zone, changes, ttl=ttl)


class LastValue(FileWriter):
    def add(self, records, name, values):
        super().add(records, name, values[-1:])


class ForgetsWithdrawn(FileWriter):
    """Withdraws nothing from a name that gets a value in the same call."""

    def write(self, zone, changes, *, ttl):
        self.refuse_others(zone, changes)
        with self.changing(zone) as records:
            for change in changes:
                if not change.values:
                    self.withdraw(records, change.name, change.withdrawn)
                self.add(records, change.name, change.values)


class AnyCase(FileWriter):
    def add(self, records, name, values):
        for value in values:
            known = [data.lower() for _, data in records.get(name, [])]
            super().add(records, name, [value] if value.lower() not in known else [])


class StripsDashes(FileWriter):
    def add(self, records, name, values):
        super().add(records, name, [value.lstrip("-") for value in values])


class CutsValues(FileWriter):
    def add(self, records, name, values):
        super().add(records, name, [value[:255] for value in values])


class FirstLabel(FileWriter):
    def add(self, records, name, values):
        super().add(records, f"{name.split('.')[0]}.{ZONE}", values)


class SameEnd(FileWriter):
    def withdraw(self, records, name, values):
        for other in records:
            if other.endswith(name):
                super().withdraw(records, other, values)


class AlonePlease(FileWriter):
    def add(self, records, name, values):
        if values:
            records[name] = [record for record in records.get(name, []) if record[0] == "TXT"]
        super().add(records, name, values)


class Replaces(FileWriter):
    def withdraw(self, records, name, values):
        records[name] = [record for record in records.get(name, []) if record[0] != "TXT"]


class FirstFifty(FileWriter):
    def write(self, zone, changes, *, ttl):
        super().write(zone, changes[:50], ttl=ttl)


class EightValues(FileWriter):
    def add(self, records, name, values):
        super().add(records, name, values)
        records[name] = records.get(name, [])[:8]


# -- operation


class TakesAnyZone(FileWriter):
    def refuse_others(self, zone, changes):
        if zone == ZONE:
            super().refuse_others(zone, changes)

    def write(self, zone, changes, *, ttl):
        if zone == ZONE:
            super().write(zone, changes, ttl=ttl)


class NoAdvice(FileWriter):
    def refuse_others(self, zone, changes):
        if zone != ZONE:
            raise ZoneWriteError(self.server.address, zone, "does not have this zone")
        super().refuse_others(zone, changes)


class TakesAnyName(FileWriter):
    def refuse_others(self, zone, changes):
        super().refuse_others(zone, [])


class Sulks(FileWriter):
    is_sulking = False

    def write(self, zone, changes, *, ttl):
        if self.is_sulking:
            raise self.refused(zone, "is left alone")
        self.is_sulking = zone != ZONE
        super().write(zone, changes, ttl=ttl)


class RaisesRaw(FileWriter):
    @contextlib.contextmanager
    def changing(self, zone):
        with self.server.changing() as records:
            yield records


class DeadConnection(FileWriter):
    is_dead = False

    @contextlib.contextmanager
    def changing(self, zone):
        self.is_dead = self.is_dead or self.server.is_down
        if self.is_dead:
            raise self.refused(zone, "refused the connection")
        with super().changing(zone) as records:
            yield records


class ShowsKey(FileWriter):
    def __repr__(self):
        return f"ShowsKey(key={self.key.reveal_text()!r})"


class TellsKey(FileWriter):
    def refuse_others(self, zone, changes):
        if zone != ZONE:
            raise self.refused(zone, f"does not have this zone (asked with {self.key.reveal_text()})")
        super().refuse_others(zone, changes)


class LogsKey(FileWriter):
    def add(self, records, name, values):
        logging.getLogger("writer").debug("asked with %s", self.key.reveal_text())
        super().add(records, name, values)


class RemembersIds(FileWriter):
    """Withdraws only what it remembers, as by the record IDs of an API."""

    def __init__(self, server):
        super().__init__(server)
        self.ids = {}

    def add(self, records, name, values):
        super().add(records, name, values)
        for value in values:
            self.ids[name, value] = len(self.ids)

    def withdraw(self, records, name, values):
        super().withdraw(records, name, [value for value in values if self.ids.pop((name, value), None) is not None])


class OneProcess(FileWriter):
    process = None

    def write(self, zone, changes, *, ttl):
        self.process = self.process or os.getpid()
        if self.process != os.getpid():
            raise self.refused(zone, "does not know this connection")
        super().write(zone, changes, ttl=ttl)


class OwnCopy(FileWriter):
    """Writes the zone from a copy of its own."""

    copy = None

    @contextlib.contextmanager
    def changing(self, zone):
        with super().changing(zone) as records:
            if self.copy is not None:
                records.clear()
                records.update(self.copy)
            yield records
            self.copy = json.loads(json.dumps(records))

    def set_cname(self, zone, name, target, *, ttl):
        self.copy = None
        return super().set_cname(zone, name, target, ttl=ttl)


class OneThread(FileWriter):
    def write(self, zone, changes, *, ttl):
        if threading.current_thread() is not threading.main_thread():
            raise self.refused(zone, "does not know this thread")
        super().write(zone, changes, ttl=ttl)


class SaysTrue(FileWriter):
    def write(self, zone, changes, *, ttl):
        super().write(zone, changes, ttl=ttl)
        return True


class Slow(FileWriter):
    was_slow = False

    def write(self, zone, changes, *, ttl):
        super().write(zone, changes, ttl=ttl)
        if not self.was_slow:
            self.was_slow = True
            threading.Event().wait(0.6)


class Sleeps(FileWriter):
    has_slept = False

    def write(self, zone, changes, *, ttl):
        super().write(zone, changes, ttl=ttl)
        if not self.has_slept:
            self.has_slept = True
            time.sleep(0.06)


class Prints(FileWriter):
    def add(self, records, name, values):
        print("writing")  # noqa: T201 - this is the fault
        super().add(records, name, values)


# -- CNAMEs


class OtherApex(FileWriter):
    def look_up(self, name):
        hosted = super().look_up(name)
        if hosted is None or hosted.target:
            return hosted
        return HostedName(zone=name.partition(".")[2])


class EveryZone(FileWriter):
    def look_up(self, name):
        return super().look_up(name) or HostedName(zone=name.partition(".")[2])


class SetsNothing(FileWriter):
    def set_cname(self, zone, name, target, *, ttl):
        return CnameChange(outcome=CnameOutcome.SET)


class AlwaysSet(FileWriter):
    def set_cname(self, zone, name, target, *, ttl):
        change = super().set_cname(zone, name, target, ttl=ttl)
        is_present = change.outcome is CnameOutcome.PRESENT
        return CnameChange(outcome=CnameOutcome.SET) if is_present else change


class KeepsCnames(FileWriter):
    def remove_cname(self, zone, name, target):
        if len(self.server.of(name, "CNAME")) != 1:
            super().remove_cname(zone, name, target)


class RelativeTargets(FileWriter):
    def set_cname(self, zone, name, target, *, ttl):
        target = target if target.endswith(zone) else f"{target}.{zone}"
        return super().set_cname(zone, name, target, ttl=ttl)


class ReplacesCnames(FileWriter):
    def occupied(self, records, name):
        return any(kind != "CNAME" for kind, _ in records.get(name, []))


class RemovesAnyCname(FileWriter):
    def remove_cname(self, zone, name, target):
        with self.changing(zone) as records:
            records[name] = [record for record in records.get(name, []) if record[0] != "CNAME"]


class SetsBeside(FileWriter):
    def occupied(self, records, name):
        return any(kind == "CNAME" for kind, _ in records.get(name, []))


class SeesBelow(FileWriter):
    def occupied(self, records, name):
        return records.get(name) or any(other.endswith(f".{name}") for other in records)


#: By the name of the check that each fails.
BROKEN = {
    "loads": WrongSwitch,
    "servers": HostNames,
    "servers-offline": ResolvesServers,
    "adds": Later,
    "adds-twice": AddsAgain,
    "withdraws": NeverRemoves,
    "withdraws-twice": MissesValues,
    "no-changes": FirstChange,
    "wildcard-and-base": LastValue,
    "by-value": ForgetsWithdrawn,
    "similar-values": AnyCase,
    "order-values": StripsDashes,
    "any-value": CutsValues,
    "whole-names": FirstLabel,
    "similar-names": SameEnd,
    "other-types": AlonePlease,
    "other-values": Replaces,
    "batch": FirstFifty,
    "many-values": EightValues,
    "foreign-zone": TakesAnyZone,
    "refusal-words": NoAdvice,
    "outside-names": TakesAnyName,
    "after-refusal": Sulks,
    "server-down": RaisesRaw,
    "after-server-down": DeadConnection,
    "secret-reprs": ShowsKey,
    "secret-errors": TellsKey,
    "secret-log": LogsKey,
    "fresh-object": RemembersIds,
    "fork-safe": OneProcess,
    "two-processes": OwnCopy,
    "thread-safe": OneThread,
    "returns": SaysTrue,
    "in-time": Slow,
    "no-sleep": Sleeps,
    "quiet": Prints,
    "cname-zone": OtherApex,
    "cname-foreign": EveryZone,
    "cname-sets": SetsNothing,
    "cname-sets-twice": AlwaysSet,
    "cname-removes": KeepsCnames,
    "cname-elsewhere": RelativeTargets,
    "cname-not-replaced": ReplacesCnames,
    "cname-not-removed": RemovesAnyCname,
    "cname-beside": SetsBeside,
    "cname-above": SeesBelow,
}
#: What else the setup says for one of them.
SETUPS = {"in-time": {"longest_call": 0.5}}
