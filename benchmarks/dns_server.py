"""Queries per second of the embedded name server, beside Knot in the same run.

    python benchmarks/dns_server.py [--labels 50000] [--seconds 10] [--writes 1000]

The tech zone has one TXT value at each label, in SQLite. `certcore dns serve` and Knot serve the same zone in processes
of their own; dnsperf asks each in turn for names that are there, then again while another process writes that many
values a second, and for names that are not there. What counts is the ratio: dnsperf runs on the same processors. The
second ratio is of queries per second of the server's own CPU time, which depends less on what else the machine does.

dnsperf asks from one address, so certcore serves without limits on answers per network: with them, all but 2,000
answers a second would be cut to their question.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import servers  # noqa: F401 - makes tests/support importable

from certcore import CertCore
from certcore.adapters.environment import SystemEnvironment
from certcore.adapters.sql import open_storage
from certcore.engine.module_store import StoredDocuments
from certcore.ports.dns import Zone
from certcore.testing.ports import free_port
from certcore_puq_acme.techzone.documents_source import DocumentsZoneSource
from certcore_puq_acme.techzone.records import TechZoneRecords, TxtRecord
from certcore_puq_acme.techzone.server import ServerOptions, ZoneServer
from support.servers.name_servers import HOST, knot, program

_ZONE = "acme.panel.test"
_VALUE = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
#: Values in a transaction of the writer.
_BATCH = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, default=50_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--writes", type=int, default=1000, help="values a second")
    parser.add_argument("--write", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        _serve(options.serve)
        return
    if options.write:
        _write(options.write, options.writes)
        return
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        folder = Path(name)
        url = f"sqlite:///{folder}/certcore.db"
        labels = _fill(folder, url, options.labels)
        port = free_port()
        process = running.enter_context(knot(folder, port, f"  - domain: {_ZONE}\n    file: zone\n", first=_ZONE))
        asked = {"certcore": running.enter_context(_certcore(url)), "Knot": (port, process)}
        hits, misses = folder / "hits", folder / "misses"
        chosen = random.Random(1).choices(labels, k=200_000)
        hits.write_text("".join(f"{label}.{_ZONE} TXT\n" for label in chosen))
        misses.write_text("".join(f"x{label}.{_ZONE} TXT\n" for label in chosen))
        once = folder / "once"
        once.write_text("".join(f"{label}.{_ZONE} TXT\n" for label in labels))
        _, of_cpu = _rate(*asked["certcore"], once, 0)
        print(f"each name for the first time: certcore {of_cpu:.0f} queries a second of CPU time")
        _compare("hits", asked, hits, options.seconds)
        with _writer(url, options.writes):
            _compare(f"hits, while {options.writes} values a second are written", asked, hits, options.seconds)
        _compare("names that are not there", asked, misses, options.seconds)


def _fill(folder: Path, url: str, count: int) -> list[str]:
    """Create the store with the zone, and the zone file for Knot; returns the labels."""
    CertCore.create_keyring(folder / "keyring.json")
    with CertCore.open(url, keyring=folder / "keyring.json") as core:
        settings = {"tech_zone": _ZONE, "tech_zone_nameservers": [f"ns.{_ZONE} {HOST}"]}
        core.authorities.create("ca", module="puq_acme", settings=settings)
    labels = [f"{number:032x}" for number in range(count)]
    records = _records(url)
    now = datetime.now(UTC)
    for begin in range(0, count, 1000):
        records.add_many(_record(label, now) for label in labels[begin : begin + 1000])
    lines = [
        f"$ORIGIN {_ZONE}.",
        "$TTL 30",
        "@ 5 SOA ns hostmaster 1 14400 3600 1209600 300",
        "@ NS ns",
        "ns A 127.0.0.1",
    ]
    (folder / "zone").write_text("\n".join([*lines, *(f"{label} TXT {_VALUE}" for label in labels)]) + "\n")
    return labels


def _records(url: str) -> TechZoneRecords:
    return TechZoneRecords(_documents(url))


def _documents(url: str) -> StoredDocuments:
    return StoredDocuments(open_storage(url), vault=None, namespace="puq_acme")  # type: ignore[arg-type]


def _record(label: str, now: datetime) -> TxtRecord:
    return TxtRecord(fqdn=f"{label}.{_ZONE}", value=_VALUE, issuance_id="benchmark", added_at=now)


def _serve(url: str) -> None:
    """Serve the zone until the process is ended; the port is printed."""
    environment = SystemEnvironment()
    zone = Zone(apex=_ZONE, nameservers=(f"ns.{_ZONE}",), addresses={f"ns.{_ZONE}": (HOST,)})
    source = DocumentsZoneSource(_documents(url), lambda: [zone], environment)
    with ZoneServer((HOST, 0), [source], environment, options=ServerOptions(answer_limits=None)) as server:
        print(server.address[1], flush=True)
        signal.pause()


@contextlib.contextmanager
def _certcore(url: str) -> Iterator[tuple[int, int]]:
    process = subprocess.Popen([sys.executable, __file__, "--serve", url], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def _writer(url: str, rate: int) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, __file__, "--write", url, "--writes", str(rate)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield
    finally:
        process.terminate()
        print(f"    written: {process.communicate(timeout=20)[0].split()[-1]} values a second")


def _write(url: str, rate: int) -> None:
    """Write values, and say each second how many they were, until the process is ended."""
    records = _records(url)
    begun, written = time.monotonic(), 0
    print("begins", flush=True)
    while True:
        now = datetime.now(UTC)
        records.add_many(_record(f"new-{written + number}", now) for number in range(_BATCH))
        written += _BATCH
        ahead = written / rate - (time.monotonic() - begun)
        if ahead > 0:
            time.sleep(ahead)
        if written % 500 == 0:
            print(round(written / (time.monotonic() - begun)), flush=True)


def _compare(what: str, asked: dict[str, tuple[int, int]], queries: Path, seconds: int) -> None:
    rates = {server: _rate(*place, queries, seconds) for server, place in asked.items()}
    (ours, ours_of_cpu), (theirs, theirs_of_cpu) = rates["certcore"], rates["Knot"]
    print(f"{what}: certcore {ours:.0f}, Knot {theirs:.0f} queries a second; ratio {theirs / ours:.1f}")
    print(f"    of CPU time: {ours_of_cpu:.0f} and {theirs_of_cpu:.0f}; ratio {theirs_of_cpu / ours_of_cpu:.1f}")


def _rate(port: int, process: int, queries: Path, seconds: int) -> tuple[float, float]:
    """Queries answered in a second, and in a second of the server's CPU time; each query once without ``seconds``."""
    command = [program("dnsperf"), "-s", HOST, "-p", str(port), "-d", str(queries)]
    command += ["-l", str(seconds)] if seconds else ["-n", "1"]
    before = _cpu_seconds(process)
    said = subprocess.run([*command, "-c", "8", "-q", "32"], capture_output=True, text=True, check=True).stdout
    used = _cpu_seconds(process) - before
    numbers = {name: float(number) for name, number in re.findall(r"Queries ([a-z ]+):\s+([\d.]+)", said)}
    if numbers["lost"]:
        print(f"    lost: {numbers['lost']:.0f}")
    sizes = re.search(r"size:\s+request (\d+), response (\d+)", said)
    assert sizes is not None
    assert int(sizes[2]) > int(sizes[1]), "answers without records"
    return numbers["per second"], numbers["completed"] / used


def _cpu_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
