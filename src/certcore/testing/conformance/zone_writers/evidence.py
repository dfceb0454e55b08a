"""The evidence for checks of a zone writer: a zone to write to, with every call recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import cached_property
from typing import Any, Final

from certcore.adapters.environment import SystemEnvironment
from certcore.errors import ZoneWriteError
from certcore.model.secret import Secret
from certcore.ports.zone_writers import CnameChange, HostedName, TxtChange, WritesCnames
from certcore.testing.conformance.hooks import HookEvidence
from certcore.testing.conformance.log_texts import LogTexts
from certcore.testing.conformance.recording import Call, CallWatch
from certcore.testing.conformance.values import MissingSetupError, NotApplicableError, RuleBrokenError, require
from certcore.testing.conformance.zone_writers.setup import WrittenZone

__all__ = ["TTL", "WriterEvidence"]

#: The TTL of the records that the checks write, in seconds.
TTL: Final = 30
#: A shorter secret may occur in a text by chance.
_SHORTEST_SECRET: Final = 6
_METHODS: Final = ("write", "look_up", "set_cname", "remove_cname")


class WriterEvidence(HookEvidence):
    """A zone writer, its zone, and unused names in it. Use it as a context manager.

    At the end, the remaining values are removed.

    Args:
        written: The setup of the writer.
    """

    def __init__(self, written: WrittenZone) -> None:
        super().__init__(written.writer, watch=CallWatch(lets_sleep=True))
        self.written = written
        self.writer: Any = written.writer
        self._values: dict[str, set[str]] = defaultdict(set)
        self._cnames: list[tuple[str, str]] = []

    def __exit__(self, *details: object) -> None:
        with suppress(Exception):  # a broken writer may leave values behind
            self._tidy_up()
        super().__exit__(*details)

    @property
    def zone(self) -> str:
        """The name of the zone.

        Raises:
            MissingSetupError: The setup has no zone.
        """
        if not self.written.zone or self.written.values is None:
            raise MissingSetupError(
                "It needs a zone to write to, and `values`: a function that returns the TXT values of a name."
            )
        return self.written.zone

    def name(self, *labels: str) -> str:
        """A new name in the zone, below these labels."""
        return ".".join((*labels, f"conformance-{SystemEnvironment().new_id()}", self.zone))

    def change(self, *changes: TxtChange, zone: str | None = None) -> Call:
        """Call the writer. The returned call has the result or the exception."""
        where = self.zone if zone is None else zone
        if where == self.zone:
            for change in changes:
                self._values[change.name].update(change.values)
        return self.run("write", self.writer.write, {"ttl": TTL}, where, changes)

    def write(self, *changes: TxtChange, when: str = "") -> None:
        """Call the writer.

        Raises:
            RuleBrokenError: The writer raised an exception.
        """
        call = self.change(*changes)
        require(call.raised is None, f"{when}{call.failure}")

    def put(self, name: str, values: Collection[str], withdrawn: Collection[str] = (), *, when: str = "") -> None:
        """Write the values of one name.

        Raises:
            RuleBrokenError: The writer raised.
        """
        change = TxtChange(name=name, values=tuple(sorted(values)), withdrawn=tuple(sorted(withdrawn)))
        self.write(change, when=when)

    def shown(self, name: str) -> Sequence[str]:
        """The values that the server publishes at a name, sorted."""
        assert self.written.values is not None  # noqa: S101 - `zone` has been asked for
        return sorted(self.written.values(name))

    def require_shown(self, name: str, values: Collection[str], subject: str) -> None:
        """Require that the server publishes exactly these values at a name.

        Raises:
            RuleBrokenError: It publishes other values.
        """
        shown = self.shown(name)
        require(shown == sorted(values), f"{subject} the server shows {_listed(shown)}, not {_listed(sorted(values))}.")

    def refusal(self, change: TxtChange, subject: str, *, zone: str | None = None) -> ZoneWriteError:
        """The error with which the writer refuses a change.

        Raises:
            RuleBrokenError: The writer does not refuse the change, or raises another error.
        """
        call = self.change(change, zone=zone)
        require(call.raised is not None, f"{subject} is not refused: write returns as if the values were there.")
        if not isinstance(call.raised, ZoneWriteError):
            raise RuleBrokenError(f"{subject}: {call.failure}\nZoneWriteError is the error for that.")
        return call.raised

    @property
    def foreign_zone(self) -> str:
        """A zone that the server does not have.

        Raises:
            NotApplicableError: The server has every zone.
        """
        if self.zone and not self.written.foreign_zone:
            raise NotApplicableError("Any zone can be written to.")
        return self.written.foreign_zone

    def server_down(self) -> AbstractContextManager[object]:
        """A context manager during which the server is unreachable.

        Raises:
            MissingSetupError: The setup has no such context manager.
        """
        if self.zone and self.written.server_down is None:
            raise MissingSetupError("It needs `server_down`, which makes the server unreachable while it is entered.")
        return nullcontext() if self.written.server_down is None else self.written.server_down()

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets of the writer that are too long to occur in a text by chance.

        Raises:
            NotApplicableError: The writer has no such secrets.
        """
        own = [value.reveal_text() for value in _attributes(self.writer) if isinstance(value, Secret)]
        texts = tuple(text for text in (*self.written.secrets, *own) if len(text) >= _SHORTEST_SECRET)
        if not texts:
            raise NotApplicableError("The writer holds no Secret, and the setup names no secrets.")
        return texts

    @cached_property
    def log(self) -> Sequence[str]:
        """The log records while a value is added and removed and a call is refused. The calls are recorded."""
        log = LogTexts()
        name = self.name()
        with log.alone():
            self.change(TxtChange(name=name, values=("seen",)))
            self.change(TxtChange(name=name, withdrawn=("seen",)))
            if self.written.foreign_zone:
                foreign = f"label.{self.written.foreign_zone}"
                self.change(TxtChange(name=foreign, values=("seen",)), zone=self.written.foreign_zone)
        return log.texts

    @property
    def calls(self) -> Sequence[Call]:
        """The recorded calls, at least those of `log`."""
        if not self.recorder.of("write"):
            _ = self.log
        return [call for call in self.recorder.calls if call.method in _METHODS]

    # -- CNAMEs

    def need_cnames(self) -> None:
        """Require a writer that sets CNAMEs.

        Raises:
            NotApplicableError: The writer sets no CNAMEs.
            MissingSetupError: The setup cannot show CNAMEs.
        """
        if not isinstance(self.writer, WritesCnames):
            raise NotApplicableError("The writer sets no CNAMEs.")
        if self.zone and self.written.cname is None:
            raise MissingSetupError("It needs `cname`, which tells the CNAME that the server shows at a name.")

    def look_up(self, name: str) -> HostedName | None:
        """Call `look_up` of the writer.

        Raises:
            RuleBrokenError: The writer raised an exception or returned a value of another type.
        """
        hosted: HostedName | None = self._result("look_up", HostedName | None, name)
        return hosted

    def set_cname(self, name: str, target: str) -> CnameChange:
        """Set a CNAME.

        Raises:
            RuleBrokenError: The writer raised an exception or returned a value of another type.
        """
        self._cnames.append((name, target))
        change: CnameChange = self._result("set_cname", CnameChange, self.zone, name, target, ttl=TTL)
        return change

    def remove_cname(self, name: str, target: str) -> None:
        """Remove a CNAME.

        Raises:
            RuleBrokenError: The writer raised an exception or returned a value.
        """
        self._result("remove_cname", None, self.zone, name, target)

    def cname(self, name: str) -> str:
        """The target of the CNAME at a name; empty if there is none."""
        return "" if self.written.cname is None else self.written.cname(name)

    def _result(self, method: str, declared: Any, *arguments: Any, **named: Any) -> Any:
        return self.result(self.run(method, getattr(self.writer, method), named, *arguments), declared)

    def _tidy_up(self) -> None:
        for name, values in self._values.items():
            left = values & set(self.shown(name))
            if left:
                self.change(TxtChange(name=name, withdrawn=tuple(sorted(left))))
        for name, target in self._cnames:
            if self.cname(name) == target:
                self.writer.remove_cname(self.zone, name, target)


def _attributes(writer: object) -> Sequence[object]:
    """The values in the attributes of an object, with and without slots."""
    slots = [name for kind in type(writer).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(writer, "__dict__", {}).values(), *(getattr(writer, name, None) for name in slots)]


def _listed(values: Sequence[str]) -> str:
    return ", ".join(repr(value[:80]) for value in values[:5]) + (" …" if len(values) > 5 else "") or "nothing"  # noqa: PLR2004
