"""NSD, Knot, BIND, PowerDNS and Unbound on port 53 of addresses of their own, with zones given as text."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import dns.exception
import dns.message
import dns.query
from attrs import frozen

from certcore.testing.server import Child, find_program
from support.servers.configurations import bind_arguments, knot_arguments, nsd_arguments, unbound_arguments

__all__ = [
    "SILENT",
    "Authoritative",
    "add_addresses",
    "answers",
    "bind",
    "knot",
    "nsd",
    "powerdns",
    "recursor",
    "rewrite",
    "shows",
    "silence",
    "unbound",
]

#: An address on which packets are taken and never answered.
SILENT = "192.0.2.91"
#: Seconds that a server which has just been started gets for one answer, before it is asked again.
_SOON = 0.1


@frozen
class Authoritative:
    """An authoritative server of the zoo."""

    #: Its host name's first label, and what starts it: nsd, knot, bind or powerdns.
    name: str
    program: str
    addresses: tuple[str, ...]


def add_addresses(addresses: Iterable[str]) -> None:
    """Give this network namespace its addresses; all of them are on its loopback device."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in addresses:
        bits = 128 if ":" in address else 32
        options = ["nodad"] if ":" in address else []
        subprocess.run(["ip", "address", "add", f"{address}/{bits}", "dev", "lo", *options], check=True)


def silence() -> list[socket.socket]:
    """Take UDP packets and TCP connections at `SILENT` and answer none, as a firewall that drops them does."""
    sockets = []
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        each = socket.socket(socket.AF_INET, kind)
        each.bind((SILENT, 53))
        if kind is socket.SOCK_STREAM:
            each.listen(100)
        sockets.append(each)
    return sockets


def nsd(addresses: Iterable[str], zones: Mapping[str, str]) -> Child:
    """Start NSD."""
    folder, places = _folder("nsd", zones), list(addresses)
    clauses = "".join(f'zone:\n  name: "{zone or "."}"\n  zonefile: "{_file(zone)}"\n' for zone in zones)
    arguments = nsd_arguments(folder, [(address, 53) for address in places], clauses)
    return _started("nsd", arguments, folder, places, zones)


def knot(addresses: Iterable[str], zones: Mapping[str, str], signed: Iterable[str] = ()) -> Child:
    """Start Knot; it signs the zones in `signed` with keys of its own."""
    folder, places = _folder("knot", zones), list(addresses)
    listed = "".join(
        f"  - domain: {zone}.\n    file: {_file(zone)}\n" + ("    dnssec-signing: on\n" if zone in signed else "")
        for zone in zones
    )
    template = f"""template:
  - id: default
    storage: {folder}
    zonefile-sync: 0
    zonefile-load: whole
    journal-content: none
"""
    arguments = knot_arguments(folder, [(address, 53) for address in places], f"{template}zone:\n{listed}")
    return _started("knotd", arguments, folder, places, zones, package="knot")


def bind(
    addresses: Iterable[str],
    zones: Mapping[str, str],
    views: Mapping[str, Mapping[str, str]] | None = None,
    signed: Iterable[str] = (),
) -> Child:
    """Start BIND; it signs the zones in `signed` with keys of its own.

    `views` has zones that a client's address sees instead: address -> zones.
    """
    views = views or {}
    folder, places = _folder("bind", zones), list(addresses)
    for address, inside in views.items():
        for zone, text in inside.items():
            (folder / f"{address}-{_file(zone)}").write_text(text)

    def listed(given: Mapping[str, str], before: str = "") -> str:
        return "".join(
            f'zone "{zone}" {{ type primary; file "{before}{_file(zone)}"; check-names ignore; check-mx ignore; '
            "check-integrity no; check-sibling no; "
            + ("dnssec-policy default; inline-signing yes; };\n" if zone in signed and not before else "};\n")
            for zone in given
        )

    blocks = "".join(
        f'view "of-{address}" {{ match-clients {{ {address}; }};\n{listed(inside, f"{address}-")}'
        f"{listed({zone: text for zone, text in zones.items() if zone not in (*inside, *signed)})}}};\n"
        for address, inside in views.items()
    )
    blocks += f'view "all" {{ match-clients {{ any; }};\n{listed(zones)}}};\n'
    arguments = bind_arguments(folder, [(address, 53) for address in places], blocks)
    return _started("named", arguments, folder, places, zones, "bind9")


def powerdns(addresses: Iterable[str], zones: Mapping[str, str]) -> Child:
    """Start PowerDNS's authoritative server on its BIND backend."""
    folder = _folder("pdns", zones)
    (folder / "zones.conf").write_text(
        "".join(f'zone "{zone}" {{ type native; file "{folder}/{_file(zone)}"; }};\n' for zone in zones)
    )
    arguments = [
        "--config-dir=" + str(folder),
        "--daemon=no",
        "--guardian=no",
        "--launch=bind",
        f"--bind-config={folder}/zones.conf",
        "--local-address=" + ",".join(addresses),
        f"--socket-dir={folder}",
        "--setuid=",
        "--setgid=",
        "--security-poll-suffix=",
        "--zone-cache-refresh-interval=0",
        "--disable-syslog=yes",
    ]
    return _started("pdns_server", arguments, folder, addresses, zones, package="pdns-server pdns-backend-bind")


def unbound(address: str, root: str, extra: str = "") -> Child:
    """Start Unbound as a resolver that knows one root server; `extra` is added to its server clause."""
    folder = Path(tempfile.mkdtemp(prefix="certcore-unbound-"))
    (folder / "root.hints").write_text(f". 3600 IN NS a.root.\na.root. 3600 IN A {root}\n")
    server = f"""
    root-hints: "{folder}/root.hints"
    module-config: "validator iterator"
    outgoing-interface: {address}
    ede: yes
    val-log-level: 2
    local-zone: "2.0.192.in-addr.arpa." nodefault
    infra-host-ttl: 5
    val-bogus-ttl: 5
{extra}"""
    return _started("unbound", unbound_arguments(folder, (address, 53), server), folder, [address], {})


def recursor(address: str, root: str) -> Child:
    """Start PowerDNS's resolver, which knows one root server."""
    folder = Path(tempfile.mkdtemp(prefix="certcore-recursor-"))
    (folder / "root.hints").write_text(f". 3600 IN NS a.root.\na.root. 3600 IN A {root}\n")
    settings = {
        "config-dir": folder,
        "socket-dir": folder,
        "daemon": "no",
        "setuid": "",
        "setgid": "",
        "disable-syslog": "yes",
        "threads": 1,
        "local-address": address,
        "query-local-address": address,
        "allow-from": "0.0.0.0/0",
        "dont-query": "",  # by default no addresses of documentation are asked
        "hint-file": folder / "root.hints",
        "export-etc-hosts": "off",
        "security-poll-suffix": "",
        "dnssec": "process",
    }
    arguments = [f"--{name}={value}" for name, value in settings.items()]
    return _started("pdns_recursor", arguments, folder, [address], {}, package="pdns-recursor")


def rewrite(child: Child, zone: str, text: str) -> None:
    """Give a running server other content of a zone."""
    (child.folder / _file(zone)).write_text(text)
    if (child.folder / "zones.conf").exists():  # PowerDNS has no signal for it
        subprocess.run(
            ["pdns_control", f"--socket-dir={child.folder}", "bind-reload-now", zone], check=True, capture_output=True
        )
    else:
        os.kill(child.pid, signal.SIGHUP)


def shows(address: str, zone: str, text: str) -> bool:
    """Whether a server shows the serial that a zone's text has."""
    answer = answers(address, zone)
    serial = int(text.split(" IN SOA ")[1].split()[2])
    return answer is not None and any(record.serial >= serial for rrset in answer.answer for record in rrset)


def answers(address: str, name: str, kind: str = "SOA", *, timeout: float = 0.5) -> dns.message.Message | None:
    """What a server answers to one question; None without an answer."""
    query = dns.message.make_query(name or ".", kind)
    query.flags &= ~dns.flags.RD
    try:
        return dns.query.udp(query, address, timeout=timeout)
    except (dns.exception.DNSException, OSError):
        return None


def _file(zone: str) -> str:
    return f"{zone or 'root'}.zone"


def _folder(name: str, zones: Mapping[str, str]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"certcore-{name}-"))
    for zone, text in zones.items():
        (folder / _file(zone)).write_text(text)
    return folder


def _started(
    program: str,
    arguments: list[str],
    folder: Path,
    addresses: Iterable[str],
    zones: Mapping[str, str],
    package: str = "",
) -> Child:
    child = Child(find_program(program, package or program), arguments, folder=folder, env={})
    asked = next(iter(zones), "")

    def ready() -> bool:
        return all(answers(address, asked, timeout=_SOON) is not None for address in addresses)

    if not child.wait_until(ready):
        tail = child.log_tail()
        child.stop()
        raise RuntimeError(f"{program} did not become ready: {tail}")
    return child
