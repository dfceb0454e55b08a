"""A zone writer that keeps every rule, into a zone in a file."""

import contextlib
import fcntl
import json

from certcore.errors import ZoneWriteError
from certcore.plugin import CnameChange, CnameOutcome, HostedName, Secret, ZoneServer
from certcore.testing import WrittenZone

ZONE = "acme.panel.test"
KEY = "canary-key-of-the-server"


class FileServer:
    """A server that has one zone, in a file, so that other processes write to it, too."""

    address = "127.0.0.1:5300"

    def __init__(self, folder):
        self.file = folder / "zone.json"
        self.lock = folder / "lock"
        self.is_down = False
        self.file.write_text(json.dumps({f"www.{ZONE}": [["A", "192.0.2.1"]]}))

    @contextlib.contextmanager
    def changing(self):
        if self.is_down:
            raise OSError("connection refused")
        with self.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            records = json.loads(self.file.read_text())
            yield records
            new = self.file.with_suffix(".new")
            new.write_text(json.dumps(records))
            new.replace(self.file)

    def of(self, name, rdtype):
        records = json.loads(self.file.read_text())
        return [data for kind, data in records.get(name, []) if kind == rdtype]

    @contextlib.contextmanager
    def down(self):
        self.is_down = True
        try:
            yield
        finally:
            self.is_down = False


class FileWriter:
    """Keeps every rule."""

    name = "file"
    one_at_a_time = False

    def __init__(self, server):
        self.server = server
        self.key = Secret(KEY)

    def write(self, zone, changes, *, ttl):
        self.refuse_others(zone, changes)
        with self.changing(zone) as records:
            for change in changes:
                self.withdraw(records, change.name, change.withdrawn)
                self.add(records, change.name, change.values)

    @contextlib.contextmanager
    def changing(self, zone):
        try:
            with self.server.changing() as records:
                yield records
        except OSError:
            raise self.refused(zone, "refused the connection") from None

    def refuse_others(self, zone, changes):
        if zone != ZONE:
            raise self.refused(zone, "does not have this zone")
        if not all(change.name.endswith(f".{zone}") for change in changes):
            raise self.refused(zone, "was to get a name that is not in the zone")

    def refused(self, zone, reason):
        return ZoneWriteError(self.server.address, zone, reason, advice="Look at the server.")

    def add(self, records, name, values):
        for value in values:
            if ["TXT", value] not in records.setdefault(name, []):
                records[name].append(["TXT", value])

    def withdraw(self, records, name, values):
        records[name] = [record for record in records.get(name, []) if not self.is_meant(record, values)]

    def is_meant(self, record, values):
        return record[0] == "TXT" and record[1] in values

    def servers(self, zone):
        return [ZoneServer("127.0.0.1", 5300)]

    # -- CNAMEs

    def look_up(self, name):
        if not name.endswith(f".{ZONE}"):
            return None
        return HostedName(zone=ZONE, target=next(iter(self.server.of(name, "CNAME")), ""))

    def set_cname(self, zone, name, target, *, ttl):
        with self.changing(zone) as records:
            at_name = records.setdefault(name, [])
            if at_name == [["CNAME", target]]:
                return CnameChange(outcome=CnameOutcome.PRESENT)
            if self.occupied(records, name):
                return CnameChange(outcome=CnameOutcome.OCCUPIED, seen=" ".join(at_name[0]) if at_name else "")
            at_name[:] = [["CNAME", target]]
            return CnameChange(outcome=CnameOutcome.SET)

    def occupied(self, records, name):
        return records.get(name)

    def remove_cname(self, zone, name, target):
        with self.changing(zone) as records:
            records[name] = [record for record in records.get(name, []) if record != ["CNAME", target]]


def zone_of(writer, server, **changed):
    """A setup with every window."""
    windows = {
        "values": lambda name: server.of(name, "TXT"),
        "has": lambda name, rdtype: bool(server.of(name, rdtype)),
        "cname": lambda name: next(iter(server.of(name, "CNAME")), ""),
        "server_down": server.down,
    }
    return WrittenZone(writer=writer, zone=ZONE, **{**windows, **changed})
