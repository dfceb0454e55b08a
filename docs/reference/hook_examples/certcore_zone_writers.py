from collections.abc import Sequence

from certcore import CertCore
from certcore.plugin import TxtChange, ZoneServer, ZoneWriteError, ZoneWriter, hookimpl
from certcore.testing import WrittenZone, conformance


class PanelWriter:
    name = "panel"
    one_at_a_time = False

    def __init__(self):
        self.values: dict[str, set[str]] = {}  # the panel's own table of TXT records

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
        for change in changes:
            if not change.name.endswith(f".{zone}"):
                reason = f"was to get the name {change.name}, which is not in the zone"
                raise ZoneWriteError("panel", zone, reason, advice="Name the zone that the tech zone lies in.")
        for change in changes:
            values = self.values.setdefault(change.name, set())
            values |= set(change.values)
            values -= set(change.withdrawn)

    def servers(self, zone: str) -> Sequence[ZoneServer]:
        return [ZoneServer("192.0.2.53")]


class Plugin:
    def __init__(self, writer: ZoneWriter):
        self.writer = writer

    @hookimpl
    def certcore_zone_writers(self) -> list[ZoneWriter]:
        return [self.writer]


# test
def test_certcore_takes_the_writer():
    with CertCore.in_memory(plugins=[Plugin(PanelWriter())], installed_plugins=False) as core:
        assert core.plugins[0].zone_writers == ("panel",)


def test_it_keeps_every_rule():
    writer = PanelWriter()
    written = WrittenZone(
        writer=writer,
        zone="acme.example",
        values=lambda name: writer.values.get(name, set()),
        foreign_zone="",  # the panel writes to any zone
        is_shared=False,  # this table is in the memory of one process
    )
    report = conformance.run(written)
    assert report.ok, report.text()
