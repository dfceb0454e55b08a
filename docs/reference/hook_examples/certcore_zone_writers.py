from collections.abc import Sequence

from certcore import CertCore
from certcore.plugin import TxtChange, ZoneServer, ZoneWriter, hookimpl


class PanelWriter:
    name = "panel"
    one_at_a_time = False

    def __init__(self):
        self.values: dict[str, set[str]] = {}  # the panel's own table of TXT records

    def write(self, zone: str, changes: Sequence[TxtChange], *, ttl: int) -> None:
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
def test_values_are_added_and_removed():
    writer = PanelWriter()
    with CertCore.in_memory(plugins=[Plugin(writer)], installed_plugins=False) as core:
        assert core.plugins[0].zone_writers == ("panel",)
    writer.write("acme.example", [TxtChange(name="a.acme.example", values=("one", "two"))], ttl=60)
    writer.write("acme.example", [TxtChange(name="a.acme.example", values=("two",), withdrawn=("one",))], ttl=60)
    assert writer.values == {"a.acme.example": {"two"}}
