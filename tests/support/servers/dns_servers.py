"""BIND, Knot and PowerDNS as child processes with one zone that is written to, for tests: throwaway, on loopback.

::

    with Bind.start("acme.panel.test") as server:
        server.txt_values("label.acme.panel.test")

`kill` ends a server as a power cut would; `restart` starts it again with what it had stored, on its old ports.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import sqlite3
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Final, Self

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from certcore.testing.ports import free_ports
from certcore.testing.server import START_SECONDS, START_TRIES, Child, ServerStartError, find_program
from support.servers.configurations import bind_arguments, knot_arguments

__all__ = ["Bind", "DnsServerProcess", "HostingBind", "HostingKnot", "Knot", "PowerDns"]

#: The TSIG secret of all servers here: 32 bytes, base64.
TSIG_SECRET: Final = "Y2VydGNvcmUtdGVzdHMtY2VydGNvcmUtdGVzdHMtMTI="
_SCHEMA: Final = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


class DnsServerProcess(ABC):
    """An authoritative server of one zone, which has its SOA, an NS, and an A record at ``www``."""

    #: The program and the Debian package that brings it.
    program: ClassVar[tuple[str, str]]
    #: What the program has to be told to end.
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, zone: str, folder: Path, ports: list[int]) -> None:
        self.zone = zone
        #: What the server stores; it outlives the process.
        self.folder = folder
        self.ports = ports
        self._child: Child | None = None
        self._records = (
            f"$TTL 60\n@ IN SOA ns1.{zone}. hostmaster.{zone}. 1 3600 600 604800 1\n"
            f"@ IN NS ns1.{zone}.\nns1 IN A 127.0.0.1\nwww IN A 127.0.0.1\n"
        )

    @classmethod
    def start(cls, zone: str) -> Self:
        """Start one and wait until it answers.

        Raises:
            CertCoreError: It is not installed, or did not start; the message has what it said.
        """
        find_program(*cls.program)
        tail = ""
        for _ in range(START_TRIES):
            folder = Path(tempfile.mkdtemp(prefix=f"certcore-{cls.program[0]}-"))
            folder.chmod(0o755)
            server = cls(zone, folder, free_ports(2))
            server.prepare()
            if server._run():
                return server
            tail = server._tail
            server.stop()
        raise ServerStartError(f"{cls.program[0]} did not start within {START_SECONDS:g} seconds. It said: {tail}")

    @property
    def port(self) -> int:
        """The port that answers DNS."""
        return self.ports[0]

    @property
    def address(self) -> str:
        """Address and port, as a CA profile has them."""
        return f"127.0.0.1:{self.port}"

    @abstractmethod
    def prepare(self) -> None:
        """Write the configuration and the zone."""

    @abstractmethod
    def arguments(self) -> list[str]:
        """The program's arguments."""

    @abstractmethod
    def settings(self) -> Mapping[str, Any]:
        """The settings of a CA profile that write to it."""

    def restart(self) -> None:
        """Start it again, with what it had stored."""
        self.kill()
        if not self._run():
            raise ServerStartError(f"{self.program[0]} did not start again. It said: {self._tail}")

    def kill(self) -> None:
        """End it without a chance to store anything more."""
        if self._child is not None:
            if self._child.running():
                os.kill(self._child.pid, signal.SIGKILL)
            self._child.stop()
        self._child = None

    def pause(self) -> None:
        """Let it take connections and answer nothing, until `resume`."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self._child.pid, os.WSTOPPED)  # until then its threads may still answer

    def resume(self) -> None:
        """Let it go on."""
        assert self._child is not None
        os.kill(self._child.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove what it stored."""
        if self._child is not None:
            self._child.stop()
            self._child = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def txt_values(self, name: str) -> frozenset[str]:
        """The TXT values that it answers for a name."""
        answer = self._ask(name, "TXT")
        return frozenset(
            b"".join(data.strings).decode()
            for rrset in answer.answer
            if rrset.rdtype == dns.rdatatype.TXT
            for data in rrset
        )

    def cname(self, name: str) -> str:
        """Where the CNAME at a name points; empty when there is none."""
        for rrset in self._ask(name, "CNAME").answer:
            if rrset.rdtype == dns.rdatatype.CNAME:
                return rrset[0].target.to_text(omit_final_dot=True)
        return ""

    def has(self, name: str, rdtype: str) -> bool:
        """Whether it answers with a record of a type."""
        return bool(self._ask(name, rdtype).answer)

    def _ask(self, name: str, rdtype: str) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype)
        return dns.query.tcp(query, "127.0.0.1", port=self.port, timeout=10)

    def _run(self) -> bool:
        binary = find_program(*self.program)
        running = Path(tempfile.mkdtemp(prefix="certcore-dns-running-"))
        self._child = Child(binary, self.arguments(), folder=running, env={}, stop_signal=self.stop_signal)
        return self._child.wait_until(self._answers)

    @property
    def _tail(self) -> str:
        return "" if self._child is None else self._child.log_tail()

    def _answers(self) -> bool:
        with suppress(dns.exception.DNSException, OSError):
            query = dns.message.make_query(self.zone, "SOA")
            return dns.query.udp(query, "127.0.0.1", port=self.port, timeout=0.3).rcode() == dns.rcode.NOERROR
        return False


class _TakesUpdates(DnsServerProcess):
    """A server that takes dynamic updates of TXT records, signed with the key ``certcore``."""

    #: The types of records that the key may change.
    types: ClassVar[tuple[str, ...]] = ("TXT",)

    def settings(self) -> Mapping[str, Any]:
        return {
            "zone_writer": "rfc2136",
            "zone_primary": self.address,
            "zone_tsig_name": "certcore",
            "zone_tsig_secret": TSIG_SECRET,
            "zone_shown_by": [self.address],
        }


class Bind(_TakesUpdates):
    """BIND, with the least that docs/how-to shows."""

    program = ("named", "bind9")

    def prepare(self) -> None:
        (self.folder / "zone").write_text(self._records)

    def arguments(self) -> list[str]:
        statements = f"""key "certcore" {{ algorithm hmac-sha256; secret "{TSIG_SECRET}"; }};
key "reader" {{ algorithm hmac-sha256; secret "{TSIG_SECRET}"; }};
zone "{self.zone}" {{
    type primary; file "zone";
    update-policy {{ grant certcore zonesub {" ".join(self.types)}; }};
}};
"""
        return bind_arguments(self.folder, [("127.0.0.1", self.port)], statements)


class Knot(_TakesUpdates):
    """Knot DNS, with the least that docs/how-to shows."""

    program = ("knotd", "knot")

    def prepare(self) -> None:
        (self.folder / "zone").write_text(self._records)

    def arguments(self) -> list[str]:
        sections = f"""key:
  - id: certcore
    algorithm: hmac-sha256
    secret: {TSIG_SECRET}
  - id: reader
    algorithm: hmac-sha256
    secret: {TSIG_SECRET}
acl:
  - id: certcore
    key: certcore
    action: update
    update-type: [{", ".join(self.types)}]
zone:
  - domain: {self.zone}
    storage: "{self.folder}"
    file: zone
    acl: certcore
"""
        return knot_arguments(self.folder, [("127.0.0.1", self.port)], sections)


class HostingBind(Bind):
    """BIND that has the zone of a customer, too: the key may change CNAMEs."""

    types = ("TXT", "CNAME")


class HostingKnot(Knot):
    """The same with Knot."""

    types = ("TXT", "CNAME")


class PowerDns(DnsServerProcess):
    """PowerDNS with its SQLite backend and its HTTP API."""

    program = ("pdns_server", "pdns-server")

    def __init__(self, zone: str, folder: Path, ports: list[int]) -> None:
        super().__init__(zone, folder, ports)
        self.api_key = secrets.token_urlsafe(24)

    @property
    def api_url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.ports[1]}"

    def settings(self) -> Mapping[str, Any]:
        return {
            "zone_writer": "powerdns",
            "zone_api_url": self.api_url,
            "zone_api_key": self.api_key,
            "zone_shown_by": [self.address],
        }

    def prepare(self) -> None:
        with closing(sqlite3.connect(self.folder / "zones.db")) as database:
            database.executescript(_SCHEMA.read_text())
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("INSERT INTO domains (id, name, type) VALUES (1, ?, 'NATIVE')", (self.zone,))
            rows = [
                (self.zone, "SOA", f"ns1.{self.zone} hostmaster.{self.zone} 1 3600 600 604800 1"),
                (self.zone, "NS", f"ns1.{self.zone}"),
                (f"ns1.{self.zone}", "A", "127.0.0.1"),
                (f"www.{self.zone}", "A", "127.0.0.1"),
            ]
            for name, rdtype, content in rows:
                database.execute(
                    "INSERT INTO records (domain_id, name, type, content, ttl, auth) VALUES (1, ?, ?, ?, 60, 1)",
                    (name, rdtype, content),
                )
            database.commit()

    def arguments(self) -> list[str]:
        settings = {
            "config-dir": self.folder,
            "socket-dir": self.folder,
            "daemon": "no",
            "guardian": "no",
            "launch": "gsqlite3",
            "gsqlite3-database": self.folder / "zones.db",
            "local-address": "127.0.0.1",
            "local-port": self.port,
            "api": "yes",
            "api-key": self.api_key,
            "webserver": "yes",
            "webserver-address": "127.0.0.1",
            "webserver-port": self.ports[1],
            "webserver-allow-from": "127.0.0.1",
            "security-poll-suffix": "",
            "version-string": "anonymous",
            "receiver-threads": 1,
            "distributor-threads": 1,
        }
        return [f"--{name}={value}" for name, value in settings.items()]

    def _answers(self) -> bool:
        if not super()._answers():
            return False
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.ports[1]), timeout=1).close()
            return True
        return False
