"""The configuration files of BIND, Knot, NSD and Unbound as tests start them, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = ["bind_arguments", "knot_arguments", "nsd_arguments", "unbound_arguments"]


def bind_arguments(folder: Path, listen: Iterable[tuple[str, int]], statements: str, options: str = "") -> list[str]:
    """Write ``named.conf`` of a server without recursion; the arguments of ``named``.

    Args:
        folder: Where the file is written, and what zone files' names are relative to.
        listen: Addresses and ports.
        statements: The zones, keys and views.
        options: More statements of ``options``.
    """
    places = list(listen)
    listens = "".join(
        f"listen-on{'-v6' if ':' in address else ''} port {port} {{ {address}; }};\n" for address, port in places
    )
    has_six = any(":" in address for address, _ in places)
    (folder / "named.conf").write_text(
        f"""options {{
directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";
{listens}{"" if has_six else "listen-on-v6 { none; };"}
recursion no; dnssec-validation no; notify no; allow-transfer {{ none; }}; minimal-responses no;
{options}
}};
controls {{ }};
{statements}
"""
    )
    return ["-g", *([] if has_six else ["-4"]), "-n", "1", "-c", str(folder / "named.conf")]


def knot_arguments(folder: Path, listen: Iterable[tuple[str, int]], sections: str, server: str = "") -> list[str]:
    """Write ``knot.conf``; the arguments of ``knotd``.

    Args:
        folder: Where the file is written.
        listen: Addresses and ports.
        sections: The sections with keys, templates and zones.
        server: More lines of the section ``server``, indented by four blanks.
    """
    (folder / "db").mkdir(exist_ok=True)
    places = ", ".join(f'"{address}@{port}"' for address, port in listen)
    (folder / "knot.conf").write_text(
        f"""server:
    rundir: "{folder}"
    listen: [{places}]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
{server}database:
    storage: "{folder}/db"
    journal-db-max-size: 100M
log:
  - target: stderr
    any: info
{sections}"""
    )
    return ["-c", str(folder / "knot.conf")]


def nsd_arguments(folder: Path, listen: Iterable[tuple[str, int]], clauses: str, server: str = "") -> list[str]:
    """Write ``nsd.conf``; the arguments of ``nsd``.

    Args:
        folder: Where the file is written, and what zone files' names are relative to.
        listen: Addresses and ports.
        clauses: The clauses with keys and zones.
        server: More lines of the clause ``server``, indented by two blanks.
    """
    places = "".join(f'  ip-address: "{address}@{port}"\n' for address, port in listen)
    (folder / "nsd.conf").write_text(
        f"""server:
{places}  username: ""
  chroot: ""
  zonesdir: "{folder}"
  database: ""
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  server-count: 1
  hide-version: yes
  rrl-ratelimit: 0
{server}remote-control:
  control-enable: no
{clauses}"""
    )
    return ["-d", "-c", str(folder / "nsd.conf")]


def unbound_arguments(folder: Path, listen: tuple[str, int], server: str, clauses: str = "") -> list[str]:
    """Write ``unbound.conf`` of a resolver that minimises its questions and mixes case; the arguments of ``unbound``.

    Args:
        folder: Where the file is written.
        listen: Address and port.
        server: More lines of the clause ``server``.
        clauses: Further clauses.
    """
    address, port = listen
    (folder / "unbound.conf").write_text(
        f"""server:
    interface: {address}
    port: {port}
    access-control: 0.0.0.0/0 allow
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: "{folder}/unbound.pid"
    use-syslog: no
    logfile: ""
    num-threads: 1
    qname-minimisation: yes
    use-caps-for-id: yes
    local-zone: "test." nodefault
{server}
remote-control:
    control-enable: no
{clauses}
"""
    )
    return ["-d", "-c", str(folder / "unbound.conf")]
