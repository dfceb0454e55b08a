"""``certcore demo``: the life of a certificate on this machine, with a real ACME server. Nothing is left behind."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from certcore.cli.commands.authority import draw_report
from certcore.cli.errors import CommandError
from certcore.cli.interrupts import sigterm_interrupts
from certcore.cli.options import Json
from certcore.cli.output import Output, console, reporting
from certcore.cli.render.certificate import draw_leaf, draw_timeline
from certcore.cli.render.hints import draw_records
from certcore.core import CertCore
from certcore.model.certificate import Certificate
from certcore.model.events import Event
from certcore.model.hints import DnsRecord, DnsRecords
from certcore.model.leaf import Leaf
from certcore.model.lifecycle import Status
from certcore.serialization import check_document, event_document, leaf_document
from certcore.x509.chain import parse_chain, verify_chain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from certcore.testing.dns_zone import MemoryZone
    from certcore.testing.pebble import Pebble

__all__ = ["demo"]

_MODULE: Final = "puq_acme"
_DOMAIN: Final = "shop.demo.test"
_ALIAS: Final = "www.shop.demo.test"
#: The zone of the certificate's owner. The demo sets the owner's records in it.
_OWNERS_ZONE: Final = "demo.test"
_TECH_ZONE: Final = "acme.panel.test"
_LOOPBACK: Final = "127.0.0.1"
#: Timeout in seconds for each of: the first CNAME check, the issuance, the renewal.
_TIMEOUT: Final = 40.0
#: Seconds between two polls.
_POLL_INTERVAL: Final = 0.02


def demo(as_json: Json = False) -> None:
    """Issue and renew a certificate on this machine: with Pebble, a real ACME server, and the embedded DNS server.

    Takes less than a minute, needs no network, and leaves nothing behind. Needs the program `pebble`.
    """
    with reporting(as_json=as_json) as output, sigterm_interrupts(), ExitStack() as started:
        story = _Story(output=output)
        stage = _set_up(story, started)
        _issue(story, stage)
        _renew(story, stage)
        started.close()
        story.step("Stopped everything and removed the demo's directory.")
        story.tell("Nothing is left running.", "green")
        if as_json:
            output.result(story.document, _draw_nothing)


@define(kw_only=True)
class _Story:
    """The demo's output: step by step as text, or one JSON document at the end."""

    output: Output
    document: dict[str, Any] = field(factory=dict)
    _console: Any = field(init=False, default=None)
    _steps: int = field(init=False, default=0)
    #: The sequence number of the last event that was printed.
    _last_sequence: int = field(init=False, default=0)

    def step(self, title: str) -> None:
        """Begin the next step."""
        self._steps += 1
        self.tell("")
        self.tell(f"{self._steps}. {title}", "bold")

    def tell(self, text: str | RenderableType, style: str = "") -> None:
        """Print text, unless JSON was asked for."""
        if not self.output.as_json:
            self.console.print(text, style=style or None)
            self.console.file.flush()

    def draw(self, draw: Callable[[Console], None]) -> None:
        """Call `draw` and print its output indented, unless JSON was asked for."""
        if self.output.as_json:
            return
        with self.console.capture() as captured:
            draw(self.console)
        for line in captured.get().splitlines():
            self.console.file.write(f"   {line.rstrip()}\n")

    def tell_events(self, events: Sequence[Event]) -> None:
        """Print the events of a timeline that were not printed yet."""
        for event in events:
            if event.sequence <= self._last_sequence:
                continue
            self._last_sequence = event.sequence
            moved = f"{event.from_status} → {event.to_status}" if event.from_status else str(event.to_status)
            if event.from_status is event.to_status:
                moved = f"stays {event.to_status}"
            self.tell(f"   {event.at:%H:%M:%S.%f}"[:-3] + f"  {moved:24}  {str(event.kind).replace('_', ' ')}", "cyan")

    @property
    def console(self) -> Console:
        """The console on stdout."""
        if self._console is None:
            self._console = console()
        made: Console = self._console
        return made


@define(kw_only=True)
class _Stage:
    """The running servers, the open store and the certificate of the demo."""

    core: CertCore
    pebble: Pebble
    zone: MemoryZone
    certificate: Certificate


def _set_up(story: _Story, started: ExitStack) -> _Stage:
    """Start the servers; create store, CA profile and draft."""
    from certcore.testing.dns_zone import MemoryZone  # noqa: PLC0415
    from certcore.testing.pebble import Pebble  # noqa: PLC0415 - the demo's own needs
    from certcore.testing.server import uninterrupted  # noqa: PLC0415

    story.step("Start the servers: all on this machine, on free ports, stopped afterwards.")
    with uninterrupted():
        folder = Path(started.enter_context(tempfile.TemporaryDirectory(prefix="certcore-demo-")))
    keyring = folder / "keyring.json"
    CertCore.create_keyring(keyring)
    core = started.enter_context(
        # No other installed plugin is loaded, because the demo's events must not trigger deploy hooks.
        CertCore.open(f"sqlite:///{folder}/certcore.db", keyring=keyring, plugins=[_plugin()], installed_plugins=False)
    )
    zone = MemoryZone(_OWNERS_ZONE, negative_ttl=0)
    server = core.dns_server(listen=(_LOOPBACK, 0), module=_MODULE, also=[zone])
    started.callback(server.close)
    dns_address = f"{_LOOPBACK}:{server.address[1]}"
    pebble = started.enter_context(Pebble.start(dns_server=dns_address))
    story.tell(f"   DNS server        {dns_address}, for {_TECH_ZONE} (ours) and {_OWNERS_ZONE} (the customer's)")
    story.tell(f"   ACME CA (Pebble)  {pebble.directory_url}")
    story.tell(f"   Store             SQLite in {folder}")
    story.document["started"] = {
        "pebble_pid": pebble.pid,
        "directory_url": pebble.directory_url,
        "dns": dns_address,
        "folder": str(folder),
    }

    story.step("Add a CA profile, and test it.")
    authority = core.authorities.create(
        "demo",
        module=_MODULE,
        settings={
            "ca": "custom",
            "directory_url": pebble.directory_url,
            "trusted_roots": pebble.roots_pem,
            "terms_agreed": True,
            "email": "admin@panel.test",
            "tech_zone": _TECH_ZONE,
            "tech_zone_nameservers": [f"ns.{_TECH_ZONE} {_LOOPBACK}"],
            "dns_servers": [dns_address],
        },
        actor="demo",
    )
    report = core.authorities.check(authority.id, actor="demo")
    story.draw(lambda to: draw_report(to, report))
    story.document["authority_test"] = check_document(report)
    if not report.ok:
        raise CommandError("The demo's CA profile does not work.", advice="See above; please report it.")

    story.step(f"Create a certificate for {_DOMAIN}, *.{_DOMAIN} and {_ALIAS}.")
    draft = core.certificates.create(_DOMAIN, authority=authority.id, aliases=[_ALIAS], wildcard=True, actor="demo")
    story.tell_events(core.certificates.timeline(draft.id))
    story.tell(f"   It is a {draft.status}: no key, no CSR. Its owner has to set these DNS records, once:")
    records = _records(core, draft.id)
    story.draw(lambda to: draw_records(to, records))
    story.document["names"] = [name.ascii for name in draft.names]
    story.document["cnames"] = [{"name": record.name, "type": record.type, "value": record.value} for record in records]
    return _Stage(core=core, pebble=pebble, zone=zone, certificate=draft)


def _draw_nothing(to: Console) -> None:
    """Draw nothing: the text was printed step by step."""


def _plugin() -> object:
    plugins = list(entry_points(group="certcore", name=_MODULE))
    if not plugins:
        raise CommandError(f"The plugin {_MODULE} is not installed.", advice="Reinstall certcore: pip install certcore")
    plugin: object = plugins[0].load()
    return plugin


def _issue(story: _Story, stage: _Stage) -> None:
    """Take the certificate from draft to active."""
    core, certificate_id = stage.core, stage.certificate.id
    with _worker(core):
        story.step("Generate key and CSR. The CNAMEs are not set yet, so the certificate waits for them.")
        core.certificates.generate_csr(certificate_id, actor="demo")
        _follow(
            story, core, certificate_id, lambda: all(record.checked_at for record in _records(core, certificate_id))
        )
        records = _records(core, certificate_id)
        story.draw(lambda to: draw_records(to, records))

        story.step(f"Set the CNAMEs in the customer's zone {_OWNERS_ZONE}, as the owner would.")
        for record in records:
            stage.zone.set(record.name, record.type, record.value)
        story.tell("   From here on everything is automatic; `check now` only skips the wait for the next check.")
        core.certificates.check_now(certificate_id, actor="demo")
        begun = time.monotonic()
        _follow(story, core, certificate_id, lambda: core.certificates.view(certificate_id).leaf is not None)
        story.tell(f"   Issued {time.monotonic() - begun:.1f} seconds after the CNAMEs were set.", "green")

    story.step("Look at the certificate, and verify it.")
    leaf = _verified(story, stage)
    story.document["leaf"] = leaf_document(leaf)


def _renew(story: _Story, stage: _Stage) -> None:
    """Renew the certificate, and show its timeline."""
    core, certificate_id = stage.core, stage.certificate.id
    story.step("Renew it: a new key with the same CNAMEs; the owner has nothing to do.")
    first = core.certificates.view(certificate_id).leaf
    with _worker(core):
        core.certificates.renew(certificate_id, actor="demo")
        _follow(story, core, certificate_id, lambda: core.certificates.view(certificate_id).leaf != first)
    second = _verified(story, stage, details=False)
    story.tell(f"   The serial number was {first.serial_hex if first else ''}, it is {second.serial_hex}.")
    story.document["renewed_leaf"] = leaf_document(second)

    story.step("The timeline, as the store keeps it.")
    view = core.certificates.view(certificate_id)
    story.draw(lambda to: draw_timeline(to, view.events))
    story.document["status"] = str(view.certificate.status)
    story.document["timeline"] = [event_document(event) for event in view.events]


def _verified(story: _Story, stage: _Stage, *, details: bool = True) -> Leaf:
    """Verify the chain of the leaf in service up to Pebble's root, and return the leaf."""
    view = stage.core.certificates.view(stage.certificate.id)
    if view.active is None or view.active.fullchain_pem is None:
        raise CommandError("The demo's certificate has no leaf.", advice="Please report it.")
    chain = parse_chain(view.active.fullchain_pem)
    if details:
        story.draw(lambda to: draw_leaf(to, chain.leaf, view.now))
    root = verify_chain(chain, stage.pebble.issuer_root_pem(), view.now)
    story.tell(f"   ✓ The chain leads to Pebble's root: {root.subject.rfc4514_string()}", "green")
    story.document["verified"] = True
    return chain.leaf


@contextmanager
def _worker(core: CertCore) -> Iterator[None]:
    worker = core.worker(threads=2, in_flight=2, poll_interval=0.1)
    try:
        worker.start()
        yield
    finally:
        worker.stop(10)


def _follow(story: _Story, core: CertCore, certificate_id: str, done: Callable[[], bool]) -> None:
    """Print the events of the certificate until `done` returns True.

    Raises:
        CommandError: The issuance failed or took too long.
    """
    deadline = time.monotonic() + _TIMEOUT
    pause = threading.Event()
    while True:
        finished = done()
        story.tell_events(core.certificates.timeline(certificate_id))
        if finished:
            return
        certificate = core.certificates.get(certificate_id)
        if certificate.status is Status.ERROR or time.monotonic() > deadline:
            problem = certificate.problem
            raise CommandError(
                f"The demo's certificate is {certificate.status}: {problem or 'it took too long.'}",
                advice=problem.advice if problem else "Try again when this machine is less busy.",
            )
        pause.wait(_POLL_INTERVAL)


def _records(core: CertCore, certificate_id: str) -> tuple[DnsRecord, ...]:
    """The CNAMEs to set, from the certificate's hints."""
    hints = core.certificates.hints(certificate_id)
    return next((hint.rows for hint in hints if isinstance(hint, DnsRecords)), ())
